// `hasup`: the command line.
#include <string>
#include <vector>

#include "cli/verbs.hpp"

int main(int argc, char** argv) {
  return hasup::cli::run(std::vector<std::string>(argv + 1, argv + argc));
}
