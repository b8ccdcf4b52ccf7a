#include "hasupd/self_check.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "config/unit_dir.hpp"
#include "daemon/disk_thread.hpp"
#include "daemon/intent.hpp"
#include "daemon/upgrade.hpp"
#include "hasup/exit_code.hpp"
#include "hasup/version.hpp"
#include "journal/journal_text.hpp"
#include "process/shim_client.hpp"
#include "recovery/progress.hpp"
#include "start/trust.hpp"

namespace hasup::hasupd {
namespace {

namespace fs = std::filesystem;

// "" or the first thing that is in the way.
std::string find_programs(const std::string& program_dir) {
  for (const auto* name : {"/hasup-shim", "/hasup-worker", "/hasup-worker-logs"})
    if (::access((program_dir + name).c_str(), X_OK) != 0)
      return program_dir + name + ": " + std::strerror(errno) + "; it belongs beside hasupd";
  return {};
}

std::string read_intent(const std::string& state) {
  boost::asio::io_context loop;
  daemon::disk_thread disk(loop);
  const auto was = daemon::intent_file(disk, state + "/intent.json").read();
  return was ? std::string() : was.error().message;
}

// Recoveries that are under way must be understood, or they could not be gone on with.
std::string read_journals(const std::string& state) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(state + "/journals", ec)) {
    // Not by journal_file: that cuts off a torn end, which may be a record that hasupd is just writing.
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto journal = journal::parse_journal(text);
    if (!journal) return entry.path().string() + ": " + journal.error().message;
    if (const auto done = recovery::replay(journal->records); !done)
      return entry.path().string() + ": " + done.error().message + "; wait for the end of this recovery";
  }
  return ec && ec != std::errc::no_such_file_or_directory ? state + "/journals: " + ec.message() : std::string();
}

std::string read_records(const config::directories& dirs, std::size_t& shims) {
  const process::directories where{dirs.state, dirs.run, {}};
  const auto names = process::claimed_instances(where);
  shims = names.size();
  for (const auto& name : names) {
    const auto path = dirs.state + "/records/" + name;
    std::error_code none_yet;
    if (fs::file_size(path, none_yet) < process::record_page_size || none_yet) continue;  // its shim is just starting
    if (!process::read_record(where, name)) return "the record of " + name + " cannot be read: " + path;
  }
  return {};
}

}  // namespace

int self_check(const config::directories& dirs, const std::string& program) {
  const auto fail = [&](const std::string& why) {
    std::cerr << "hasupd " << hasup::version << ": " << why << "\n";
    return static_cast<int>(exit_code::failed);
  };
  std::size_t shims = 0;
  if (const auto why = find_programs(fs::path(program).parent_path().string()); !why.empty()) return fail(why);
  if (const auto trusted = start::check_trust(dirs); !trusted) return fail(trusted.error().message);
  if (const auto why = read_intent(dirs.state); !why.empty()) return fail(why);
  if (const auto why = read_journals(dirs.state); !why.empty()) return fail(why);
  if (const auto why = read_records(dirs, shims); !why.empty()) return fail(why);
  const auto loaded = config::load(dirs);
  for (const auto& d : loaded.problems)
    if (d.level == base::severity::error && fs::path(d.file).filename() == "hasup.toml")
      return fail(base::headline(d));
  const auto broken =
      std::count_if(loaded.units.begin(), loaded.units.end(), [](const auto& entry) { return !entry.second.valid; });
  std::cout << fmt::format("hasupd {} (shim protocol {}, {}): {} units{}, {} shims; ready to take over\n",
                           hasup::version, process::protocol_version, daemon::hand_over_mark, loaded.units.size(),
                           broken > 0 ? fmt::format(" of which {} have a broken file (`hasup check`)", broken) : "",
                           shims);
  return 0;
}

}  // namespace hasup::hasupd
