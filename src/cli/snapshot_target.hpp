// What `hasup snapshot list` and `get` look at: the sources of a unit, as its recovery would, or one that is named.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "cli/context.hpp"
#include "config/unit_file.hpp"
#include "ports/worker_job.hpp"

namespace hasup::cli {

struct snapshot_target {
  std::string name;           // "leap", or the source
  bool is_unit = false;       // else what is refused is refused by options
  ports::worker_job job;      // without a mode
  std::string data_dir;       // of the unit, which its snapshots may have to fit; ""
  std::set<std::string> bad;  // how snapshots are remembered as bad, see recovery/candidates.hpp
  std::string bad_unknown;    // why that could not be read; ""
  std::string home;           // HOME of the unit's user, for his keys; "" = the caller's
};

struct target_error {
  exit_code code = exit_code::failed;
  std::string message;
};

exit_code refuse(const context& c, const target_error& e);

// The instance that a word names, read with the rights of whose files these are.
struct found_instance {
  config::unit_entry entry;  // valid
  unsigned index = 0;        // of its instances
};
struct unknown_unit_name {
  std::string message;
};
std::variant<found_instance, unknown_unit_name, target_error> find_instance(const context& c,
                                                                            const std::string& word);

// A URL or a path, rather than the name of a unit.
bool names_a_source(std::string_view word);

// Nothing of it is asked for over the network. Root reads the files of another user with no more than his rights.
std::variant<snapshot_target, target_error> find_snapshot_target(const context& c, const std::string& word);

// A URL or a directory with the options that say how to get in.
std::variant<model::source, target_error> read_source(const std::string& word, const snapshot_call& o);

// The key itself, or that of minisign's file FILE.pub.
base::result<std::string> read_public_key(const std::string& word);

// `bad_snapshots` of an instance in the text of STATE/intent.json.
base::result<std::set<std::string>> remembered_as_bad(std::string_view intent, const std::string& instance);

// Why `directory` is no place for archives: the data directory of a unit, or of any hasup, or below one; "" = it is.
// `option` says another one.
std::string data_directory_problem(const context& c, const std::string& directory, const std::string& option);

}  // namespace hasup::cli
