// A temporary directory with the files of one log, filled and rotated as a shim does it.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "logs/log_reader.hpp"
#include "logs/zst_file.hpp"

namespace hasup::logs::test {

namespace fs = std::filesystem;

struct log_directory {
  std::string path;
  log_directory() {
    char name[] = "/tmp/hasup-test-XXXXXX";
    REQUIRE(::mkdtemp(name));
    path = name;
  }
  ~log_directory() { fs::remove_all(path); }
  log_directory(const log_directory&) = delete;
  log_directory& operator=(const log_directory&) = delete;
  [[nodiscard]] std::string log() const { return path + "/leap.log"; }
  [[nodiscard]] std::string old(int n) const { return log() + "." + std::to_string(n); }
};

inline std::string stamp(int n) {
  char text[64];
  std::snprintf(text, sizeof text, "2026-11-21T01:%02d:%02d.000000001Z", n / 60 % 60, n % 60);
  return text;
}
inline std::string line(int n, const char* tag = "F") {
  return stamp(n) + " stdout " + tag + " line " + std::to_string(n) + "\n";
}

inline void append(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text;
}
inline void append_lines(const std::string& path, int from, int to) {
  std::string all;
  for (int n = from; n < to; ++n) all += line(n);
  append(path, all);
}

// Texts of what there is now.
inline std::vector<std::string> rest(log_reader& r) {
  std::vector<std::string> all;
  while (const auto l = r.next()) all.push_back(l->text);
  return all;
}
inline std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int n = from; n < to; ++n) all.push_back("line " + std::to_string(n));
  return all;
}

inline void rotate(const log_directory& d) {
  for (int n = 8; n > 0; --n)
    for (const char* suffix : {"", ".zst"})
      if (fs::exists(d.old(n) + suffix)) fs::rename(d.old(n) + suffix, d.old(n + 1) + suffix);
  fs::rename(d.log(), d.old(1));
}

// As the worker does it, without its care for crashes.
inline void compress(const std::string& path) {
  const base::unique_fd from(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const base::unique_fd to(::open((path + ".zst").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  const auto done = compress_file(from.get(), to.get());
  REQUIRE(done.has_value());
  fs::remove(path);
}

}  // namespace hasup::logs::test
