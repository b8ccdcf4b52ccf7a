// The options of `hasup snapshot`, as they were typed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hasup::cli {

struct snapshot_call {
  // Of a source that no unit file describes; the keys are those of a source in a unit file ("identity_file").
  std::map<std::string, std::string> source_options;
  std::string match;    // glob
  std::string pattern;  // RE2
  std::string order;    // block, time, name
  std::string max_age;
  std::string checksum;    // required, if_present
  std::string public_key;  // also for verify: the key, or minisign's file
  std::string max_rate;
  std::string max_window;          // verify
  std::vector<std::string> seeds;  // get: files that may have parts of it
  std::string name;                // get: glob; create: of the archive

  // create
  std::string to;
  int level = 3;
  std::string sign;           // minisign's secret key
  std::string password_file;  // of the key
  bool allow_changes = false;
  bool no_chunks = false;
  std::optional<std::uint64_t> block;
  std::string chain_id;
  std::string node_version;
  std::string set;
};

}  // namespace hasup::cli
