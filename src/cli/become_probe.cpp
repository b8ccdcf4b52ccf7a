// hasup probe, in a program that has nothing to probe with: becomes the one beside it that has.
#include <unistd.h>

#include <array>
#include <climits>
#include <vector>

#include "base/result.hpp"
#include "cli/verbs.hpp"

namespace hasup::cli {

exit_code run_probe(const context& c) {
  std::array<char, PATH_MAX> self{};
  const auto n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  std::string program(self.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  program.resize(program.rfind('/') + 1);
  program += "hasup-probe";
  std::vector<char*> arguments{program.data()};
  for (const auto& word : c.typed) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
  complain(c, base::errno_error("start " + program).message + "; install it beside hasup");
  return exit_code::failed;
}

}  // namespace hasup::cli
