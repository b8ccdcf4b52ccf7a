// Which logs a person means: those that hasup writes, and those that nodes write themselves ([log] follow).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/context.hpp"
#include "logs/log_reader.hpp"

namespace hasup::cli {

struct log_source {
  std::string name;  // as shown: "leap", "miner@2", "nginx:error.log"
  std::string unit;
  unsigned instance = 0;
  std::string path;
  logs::log_form form = logs::log_form::cri;
  // "leap", "miner@2": the name in commands and events.
  std::string instance_name;
};

// Of `targets` (units, UNIT@N, @GROUP; none = all). A unit that has written nothing yet is a source without a file;
// an unknown one is an error with code ENOENT.
base::result<std::vector<log_source>> find_logs(const config::directories& dirs,
                                                const std::vector<std::string>& targets);

}  // namespace hasup::cli
