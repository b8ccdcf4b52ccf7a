// What the worker is asked to do with rotated logs, and the evidence of a node's own log files.
#include "daemon/log_keeper.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "daemon/node_logs.hpp"
#include "unit/classify.hpp"

using namespace hasup;
using namespace hasup::daemon;
using words = std::vector<std::string>;

TEST_CASE("the worker is asked for the logs that need it, and not at all when there is none") {
  model::log_policy plain, all;
  all.max_files = 3;
  all.max_age = std::chrono::hours(1);
  all.max_total = 1000;
  all.compress = true;
  CHECK(keeping_command("/w", "/log", {{"a.log", retention_of(plain)}}).empty());
  CHECK(keeping_command("/w", "/log", {{"a.log", retention_of(plain)}, {"b@1.log", retention_of(all)}}) ==
        words{"/w", "keep", "/log", "b@1.log", "3", "3600000", "1000", "1"});
}

TEST_CASE(
    "evidence is the end of a node's own files, then the end of its output, in whole lines and below the limit") {
  CHECK(join_evidence("", "a\nb\n") == "a\nb\n");
  CHECK(join_evidence("file\n", "a\n") == "file\na\n");
  CHECK(join_evidence("file", "") == "file\n");
  std::string ring, file;
  for (int i = 0; ring.size() < unit::evidence_limit; ++i) ring += "ring " + std::to_string(i) + "\n";
  for (int i = 0; file.size() < unit::evidence_limit; ++i) file += "file " + std::to_string(i) + "\n";
  const auto both = join_evidence(file, ring);
  CHECK(both.size() < unit::evidence_limit);
  CHECK(both.size() > unit::evidence_limit - 100);
  CHECK(both.starts_with("file "));
  CHECK(both.ends_with(ring.substr(ring.size() - 1000)));
  CHECK(both.find(file.substr(file.size() - 1000)) != std::string::npos);
  CHECK(both.find("\nring ") != std::string::npos);
}
