// hasup snapshot create: an archive of a unit's data, a directory or a file, where backups are kept.
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <filesystem>

#include "base/byte_size.hpp"
#include "base/small_file.hpp"
#include "cli/create_source.hpp"
#include "cli/selection.hpp"
#include "cli/snapshot_verb.hpp"
#include "model/minisign.hpp"
#include "snapshot/candidate_order.hpp"
#include "snapshot/publication.hpp"

namespace json = boost::json;
namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

constexpr std::size_t most_password = 1024;

struct made {
  ports::worker_result result;
  bool is_signed = false;
};

// A file that was named relatively is the caller's, whatever user he becomes.
std::string absolute(const std::string& path) {
  if (path.empty() || path == "-") return path;
  return config::normal_path(path.starts_with('/') ? path : fs::current_path().string() + "/" + path);
}

// Typed unseen; nothing when it was interrupted.
std::optional<std::string> ask_password(const std::string& key) {
  termios before{};
  if (::tcgetattr(STDIN_FILENO, &before) != 0) return std::nullopt;
  catch_interrupts();  // whatever happens, the terminal shows again what is typed
  auto unseen = before;
  unseen.c_lflag &= ~tcflag_t{ECHO};
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
  write_all(STDERR_FILENO, "password of " + printable(key) + ": ");
  std::string typed;
  char one = 0;
  while (typed.size() < most_password && ::read(STDIN_FILENO, &one, 1) == 1 && one != '\n') typed += one;
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  write_all(STDERR_FILENO, "\n");
  return one == '\n' ? std::optional(std::move(typed)) : std::nullopt;
}

// Where the key's password is, or the password that was typed.
std::optional<target_error> find_password(const context& c, ports::create_order& order, std::string& secret) {
  if (order.sign_key.empty()) return std::nullopt;
  const auto text = base::read_small_file(order.sign_key, 64U << 10);
  if (!text)
    return target_error{text.error().code == EACCES ? exit_code::permission_denied : exit_code::failed,
                        "--sign: " + text.error().message};
  const auto key = model::parse_minisign_secret(*text);
  if (!key) return target_error{exit_code::failed, order.sign_key + ": " + key.error().message};
  if (!key->encrypted) return std::nullopt;
  if (!c.call.snapshots.password_file.empty()) {
    order.sign_password = absolute(c.call.snapshots.password_file);
    return std::nullopt;
  }
  if (::isatty(STDIN_FILENO) == 0)
    return target_error{exit_code::failed,
                        order.sign_key + " has a password; without a terminal, --password-file says where it is"};
  auto typed = ask_password(order.sign_key);
  if (!typed || typed->empty()) return target_error{exit_code::failed, "no password was typed"};
  secret = *typed + "\n";
  order.sign_password = "-";
  return std::nullopt;
}

class creation {
 public:
  creation(const context& c, ports::create_order order, std::string secret)
      : c_(c), order_(std::move(order)), secret_(std::move(secret)) {}

  exit_code one(const create_source& source, made& out) {
    if (source.job.file.empty())
      if (const auto refused = nobody_writes(source)) return refuse(c_, *refused);
    auto job = source.job;
    job.mode = ports::worker_mode::create;
    job.create = order_;
    job.create.name = archive_name(source, c_.call.snapshots.name, std::chrono::system_clock::now());
    if (const auto bad = snapshot::name_problem(job.create.name); !bad.empty())
      return refuse(c_,
                    {exit_code::usage, fmt::format("--name: \"{}\" cannot be its name: {}", job.create.name, bad)});
    if (!job.create.block) job.create.block = block_of(source, job.create.name);
    auto answer = call_worker(c_, job, "", secret_);
    if (answer.interrupted && !answer.result.ok())
      return refuse(
          c_, {exit_code::failed, "interrupted; " + (answer.result.error == "cancelled" ? "nothing is left of it"
                                                                                        : answer.result.error)});
    if (!answer.result.ok()) return refuse(c_, failure_of(answer.result));
    if (!source.note.empty()) answer.result.notes.push_back(source.note);
    for (const auto& note : answer.result.notes)
      if (!c_.call.json) complain(c_, printable(note));
    if (!source.unit.empty() && !c_.call.json) tell_unless_taken(source, job.create.name);
    out.is_signed = !answer.result.signature.empty();
    out.result = std::move(answer.result);
    return exit_code::done;
  }

 private:
  // What a node has mapped changes without a trace in the file's times, so its writers are looked for.
  std::optional<target_error> nobody_writes(const create_source& source) const {
    if (const auto up = wanted_up(source)) return up;
    if (order_.allow_changes) return std::nullopt;
    auto look = source.job;
    look.mode = ports::worker_mode::inspect;
    const auto seen = call_worker(c_, look, "");
    if (seen.interrupted) return target_error{exit_code::failed, "interrupted"};
    if (seen.result.failure == ports::worker_failure::writer) {
      const auto how =
          source.unit.empty() ? std::string("; or say --allow-changes") : fmt::format(": hasup stop {}", source.unit);
      return target_error{exit_code::failed, seen.result.error + how};
    }
    if (seen.result.ok()) return std::nullopt;
    return failure_of(seen.result);
  }

  // Also one that waits for its next start.
  [[nodiscard]] std::optional<target_error> wanted_up(const create_source& source) const {
    if (source.unit.empty()) return std::nullopt;
    const auto host = c_.daemon.status();
    if (!host) return std::nullopt;  // without a daemon its writers alone tell
    for (const auto& u : host->units) {
      if (!means(source.unit, u) || u.desired != model::desired::up) continue;
      return target_error{exit_code::failed,
                          fmt::format("unit {} is {}: its data changes while it runs; stop it first: hasup stop {}",
                                      source.unit, model::unit_state_names.text(u.state), source.unit)};
    }
    return std::nullopt;
  }

  static std::optional<std::uint64_t> block_of(const create_source& source, const std::string& name) {
    auto spec = source.archive;
    if (spec.match.empty() && spec.pattern.empty()) spec.match = "*";
    const auto matcher = snapshot::name_matcher::from(spec);
    return matcher ? matcher->block_of(name) : std::nullopt;
  }

  void tell_unless_taken(const create_source& source, const std::string& name) const {
    const auto& a = source.archive;
    if (a.match.empty() && a.pattern.empty()) return;
    const auto matcher = snapshot::name_matcher::from(a);
    if (matcher && !matcher->matches(name))
      complain(c_, fmt::format("a recovery of {} looks for {}: it would not take {}", source.unit,
                               a.match.empty() ? a.pattern : a.match, name));
  }

  static target_error failure_of(const ports::worker_result& r) {
    const bool forbidden = r.error.ends_with("Permission denied");
    return {forbidden ? exit_code::permission_denied : exit_code::failed, r.error};
  }

  const context& c_;
  ports::create_order order_;
  std::string secret_;
};

std::string line_of(const made& m, const terminal& t) {
  const auto& r = m.result;
  return fmt::format("{}: {} of {} in {} {}, sha256 {}{}\n", printable(r.url), base::format_byte_size(r.bytes),
                     base::format_byte_size(r.content), r.entries, r.entries == 1 ? "entry" : "entries",
                     r.sha256.at(0), m.is_signed ? ", " + paint("signed", style::green, t.colour) : "");
}

json::object json_of(const made& m) {
  const auto& r = m.result;
  json::array notes;
  for (const auto& n : r.notes) notes.emplace_back(valid_utf8(n));
  return {{"name", valid_utf8(r.name)},
          {"url", valid_utf8(r.url)},
          {"size", r.bytes},
          {"sha256", r.sha256.at(0)},
          {"entries", r.entries},
          {"unpacked_size", r.content},
          {"signed", m.is_signed},
          {"notes", std::move(notes)},
          {"chunks", r.chunks.empty() ? json::value(nullptr) : json::value(valid_utf8(r.chunks))}};
}

// An archive that grew in the tree it is made of would have no end.
std::optional<target_error> lies_inside(const create_source& source, const std::string& path) {
  if (source.job.data_dir.empty()) return std::nullopt;
  std::error_code ignored;
  const auto root = fs::weakly_canonical(source.job.data_dir, ignored).string();
  const auto to = fs::weakly_canonical(path, ignored).string();
  if (to != root && !to.starts_with(root == "/" ? root : root + "/")) return std::nullopt;
  return target_error{exit_code::failed,
                      fmt::format("{} lies in {}, which is to be packed; say another directory with "
                                  "--to",
                                  to, root)};
}

std::variant<model::source, target_error> find_place(const context& c, const std::vector<create_source>& sources) {
  const auto& to = c.call.snapshots.to;
  const bool is_url = to.find("://") != std::string::npos;
  if (is_url && !to.starts_with("file://")) {
    if (!to.starts_with("sftp://") && !to.starts_with("s3://"))
      return target_error{exit_code::usage, "--to: archives go to a directory, sftp://… or s3://…"};
    return read_source(to, c.call.snapshots);
  }
  auto place = read_source(is_url || to.find('/') != std::string::npos ? to : "./" + to, c.call.snapshots);
  if (const auto* wrong = std::get_if<target_error>(&place)) return *wrong;
  const auto path = snapshot::file_source_path(std::get<model::source>(place).url);
  for (const auto& source : sources)
    if (const auto inside = lies_inside(source, path.value_or(to))) return *inside;
  auto directory = prepare_directory(c, path.value_or(to), "--to DIR");
  if (const auto* wrong = std::get_if<target_error>(&directory)) return *wrong;
  return model::source(std::get<std::string>(directory));
}

}  // namespace

exit_code create_snapshots(const context& c) {
  const auto& o = c.call.snapshots;
  ports::create_order order;
  order.level = o.level;
  order.chunks = !o.no_chunks;
  order.replace = c.call.force;
  order.allow_changes = o.allow_changes;
  order.block = o.block;
  order.chain_id = o.chain_id;
  order.node_version = o.node_version;
  order.set = o.set;
  order.sign_key = absolute(o.sign);
  std::vector<create_source> sources;
  std::vector<std::string> words;
  for (const auto& word : c.call.targets)
    words.push_back(names_a_source(word) ? absolute(word) : word);  // before root becomes the owner of unit files
  std::string secret;
  if (const auto wrong = find_password(c, order, secret)) return refuse(c, *wrong);
  for (const auto& word : words) {
    auto source = find_create_source(c, word);
    if (const auto* wrong = std::get_if<target_error>(&source)) return refuse(c, *wrong);
    sources.push_back(std::move(std::get<create_source>(source)));
  }
  auto place = find_place(c, sources);
  if (const auto* wrong = std::get_if<target_error>(&place)) return refuse(c, *wrong);
  order.target = std::get<model::source>(place);
  creation create(c, order, std::move(secret));
  json::array all;
  for (const auto& source : sources) {
    made one;
    if (const auto code = create.one(source, one); code != exit_code::done) return code;
    if (c.call.json)
      all.emplace_back(json_of(one));
    else
      print(line_of(one, c.out));
  }
  if (c.call.json) print(json::serialize(json::object{{"files", std::move(all)}}) + "\n");
  return exit_code::done;
}

}  // namespace hasup::cli
