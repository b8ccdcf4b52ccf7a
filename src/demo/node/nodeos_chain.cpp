// Each refusal below is one that nodeos was seen to make, with its exit code.
#include "demo/node/nodeos_chain.hpp"

#include <sys/statvfs.h>

#include <filesystem>
#include <fstream>

#include "demo/node/node_log.hpp"
#include "demo/node/snapshot_file.hpp"

namespace hasup::demo {
namespace fs = std::filesystem;
namespace {

constexpr int out_of_database_memory = 1;
constexpr int dirty_database = 2;
constexpr int other_exception = 254;
constexpr int initialisation_failed = 255;
constexpr int quit = 0;  // application::quit(): a failed start that looks like a clean stop

constexpr log_origin controller{"controller.cpp:603", "startup"};

node_end io_failure(const base::error& e) {
  return {other_exception, e.message};
}

}  // namespace

std::optional<node_end> nodeos_chain::open() {
  if (auto end = make_directories()) return end;
  if (settings_.delete_all_blocks) {
    std::error_code ignored;
    fs::remove(settings_.state_file(), ignored);
    fs::remove(settings_.blocks_log(), ignored);
    fs::remove(settings_.fork_database(), ignored);
  }
  if (auto end = open_logs()) return end;
  if (!settings_.snapshot.empty()) return restore();
  return fs::exists(settings_.state_file()) ? open_existing() : begin_chain();
}

bool nodeos_chain::has_state() const {
  return fs::exists(settings_.state_file());
}

std::optional<node_end> nodeos_chain::make_directories() const {
  for (const auto* name : {"/state", "/blocks/reversible", "/snapshots", "/state-history"}) {
    std::error_code failed;
    fs::create_directories(settings_.data_dir + name, failed);
    if (failed) return node_end{other_exception, "boost::filesystem::create_directories: " + failed.message()};
  }
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::open_logs() {
  if (const auto opened = blocks_.open(settings_.blocks_log()); !opened) return io_failure(opened.error());
  if (const auto opened = history_.open(settings_.history_log()); !opened) return io_failure(opened.error());
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::open_existing() {
  switch (state_.open(settings_.state_file())) {
    case state_database::fault::none:
      break;
    case state_database::fault::dirty:
      return node_end{settings_.chain_plugin ? dirty_database : initialisation_failed,
                      "database dirty flag set (likely due to unclean shutdown): replay required"};
    case state_database::fault::pre_dates_versioning:
      return node_end{other_exception,
                      "state database version pre-dates versioning, please restore from a "
                      "compatible snapshot or replay!"};
    case state_database::fault::unreadable:
      return node_end{other_exception, state_.detail()};
  }
  if (settings_.locked && !state_.lock_in_memory()) {
    state_.close_clean();
    return node_end{other_exception, "Failed to mlock database"};
  }
  if (!fs::exists(settings_.fork_database()) || blocks_.empty()) {
    state_.close_clean();
    return node_end{other_exception, "No existing fork database despite existing chain state. Replay required."};
  }
  std::error_code ignored;
  fs::remove(settings_.fork_database(), ignored);  // written again at the orderly end, and only there
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::begin_chain() {
  if (!blocks_.empty() && blocks_.first() > 1)
    return node_end{other_exception,
                    "Genesis state is necessary to initialize fresh blockchain state but genesis "
                    "state could not be found in the blocks log. Please either load from snapshot "
                    "or find a blocks log that starts from genesis."};
  if (settings_.history && !history_.empty())
    return node_end{other_exception, "Existing ship log with " + std::to_string(history_.size()) +
                                         " blocks when starting from genesis block 2"};
  const digest chain = blocks_.chain().value_or(settings_.chain);
  const block genesis = blocks_.empty() ? block{1, now_ms()} : block{1, 0};
  if (auto end = begin_state(chain, genesis, filler(chain, 1, settings_.content_size))) return end;
  if (!blocks_.empty()) return replay_blocks();
  return append_to_logs(genesis);
}

std::optional<node_end> nodeos_chain::begin_state(const digest& chain, block head, std::string_view content) {
  const auto created = state_.create(settings_.state_file(), chain, head, content);
  return created ? std::nullopt : std::optional(io_failure(created.error()));
}

std::optional<node_end> nodeos_chain::restore() {
  const auto loaded = read_snapshot(settings_.snapshot);
  if (!loaded) {
    if (!fs::exists(settings_.snapshot))
      return node_end{other_exception, "Cannot load snapshot, " + settings_.snapshot + " does not exist"};
    return node_end{other_exception, "Binary snapshot validation threw IO exception (" + loaded.error().message +
                                         ") (Snapshot exception)"};
  }
  if (fs::exists(settings_.state_file()))
    return node_end{other_exception, "Snapshot can only be used to initialize an empty database."};
  if (blocks_.chain() && !blocks_.empty() && *blocks_.chain() != loaded->chain)
    return node_end{other_exception, "snapshot chain ID (" + to_hex(loaded->chain) +
                                         ") does not match the chain ID (" + to_hex(*blocks_.chain()) +
                                         ") in the block log"};
  if (loaded->content.size() > settings_.database_mb << 20) {
    std::ofstream(settings_.state_file(), std::ios::binary) << std::string(4096, '\0');
    log_info(controller, "Blockchain started; head block is #" + std::to_string(loaded->head.number));
    return node_end{quit,
                    "db storage not configured to have enough storage for the provided snapshot, please increase "
                    "and retry snapshot"};
  }
  log_info(controller, "Starting initialization from snapshot, this may take a significant amount of time");
  if (auto end = begin_state(loaded->chain, loaded->head, loaded->content)) return end;
  if (auto end = check_logs_against(loaded->head)) {
    state_.close_clean();
    return end;
  }
  log_info(controller, "Finished initialization from snapshot");
  if (!blocks_.empty()) return replay_blocks();
  return append_to_logs(loaded->head);
}

std::optional<node_end> nodeos_chain::check_logs_against(block snapshot_head) {
  const bool blocks_kept = !blocks_.empty();
  if (blocks_kept && (blocks_.first() > snapshot_head.number + 1 || blocks_.last() < snapshot_head.number))
    return node_end{other_exception,
                    "Block log is provided with snapshot but does not contain the head block from the "
                    "snapshot nor a block right after it"};
  if (!settings_.history || history_.empty()) return std::nullopt;
  const bool other_chain = history_.chain() != chain();
  if (other_chain || history_.last() < snapshot_head.number || history_.first() > snapshot_head.number + 1)
    return node_end{blocks_kept ? other_exception : quit, "missed a block in trace_history.log"};
  if (!blocks_kept) {
    if (const auto cut = history_.cut_above(snapshot_head.number); !cut) return io_failure(cut.error());
  }
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::replay_blocks() {
  const std::uint32_t from = state_.head().number;
  if (blocks_.last() <= from) return std::nullopt;
  log_info(controller, "existing block log, attempting to replay from " + std::to_string(from + 1) + " to " +
                           std::to_string(blocks_.last()) + " blocks");
  for (std::uint32_t number = from + 1; number <= blocks_.last(); ++number) {
    const auto b = blocks_.read(number);
    if (!b) return io_failure(b.error());
    state_.set_head(*b);
    if (settings_.history && (history_.empty() || number > history_.last())) {
      if (const auto added = history_.append(chain(), *b); !added) return io_failure(added.error());
    }
  }
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::append_to_logs(block b) {
  if (const auto added = blocks_.append(chain(), b); !added) return io_failure(added.error());
  if (!settings_.history || (!history_.empty() && b.number <= history_.last())) return std::nullopt;
  if (const auto added = history_.append(chain(), b); !added) return io_failure(added.error());
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::produce(std::int64_t time_ms) {
  const block next{head().number + 1, time_ms};
  if (settings_.state_growth > 0) {
    if (const auto room = state_.reserve(settings_.database_mb << 20); !room) return io_failure(room.error());
    if (!state_.grow(settings_.state_growth)) {
      state_.close_dirty();  // nodeos calls _Exit
      return node_end{out_of_database_memory, "database memory exhausted: increase chain-state-db-size-mb"};
    }
  }
  if (auto end = append_to_logs(next)) return end;
  state_.set_head(next);
  return std::nullopt;
}

std::optional<node_end> nodeos_chain::check_space() const {
  const std::uint64_t used = state_.content().size();
  if (used + (settings_.guard_mb << 20) > settings_.database_mb << 20)
    return node_end{quit,
                    "Database has reached an unsafe level of usage, shutting down to avoid corrupting the database.  "
                    "Please increase the value set for \"chain-state-db-size-mb\" and restart the process!"};
  struct statvfs disk {};
  if (settings_.space_threshold && ::statvfs(settings_.data_dir.c_str(), &disk) == 0 &&
      (disk.f_blocks - disk.f_bavail) * 100 > disk.f_blocks * *settings_.space_threshold)
    return node_end{quit, "Gracefully shutting down, exceeded file system configured threshold."};
  return std::nullopt;
}

base::result<std::string> nodeos_chain::write_snapshot_of_head() const {
  const std::string name = "snapshot-" + to_hex(block_id(chain(), head().number)) + ".bin";
  const std::string path = fs::absolute(settings_.snapshots_dir() + "/" + name).string();
  const auto written = write_snapshot(path, {chain(), head(), std::string(state_.content())});
  if (!written) return written.error();
  return base::result<std::string>(boost::system::in_place_value, path);
}

void nodeos_chain::close() {
  if (!state_.is_open()) return;
  std::ofstream(settings_.fork_database(), std::ios::binary) << to_hex(block_id(chain(), head().number));
  state_.close_clean();
}

}  // namespace hasup::demo
