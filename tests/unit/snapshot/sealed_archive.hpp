// An archive in the cache that a fetch has verified, as far as its seal says.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "base/unique_fd.hpp"
#include "snapshot/cache_seal.hpp"
#include "temp_tree.hpp"

#include <catch2/catch.hpp>

namespace hasup::test {

inline void seal_archive(const std::string& data_dir, const std::string& name) {
  const auto own = data_dir + "/.hasup";
  struct stat st {};
  REQUIRE(::stat((own + "/cache/" + name).c_str(), &st) == 0);
  snapshot::cache_seal seal;
  seal.sha256 = "aa";
  seal.size = static_cast<std::uint64_t>(st.st_size);
  seal.modified_ns = st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec;
  seal.inode = st.st_ino;
  const base::unique_fd fd(::open(own.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(snapshot::write_seal(fd.get(), snapshot::disk{}, name, seal).has_value());
}

}  // namespace hasup::test
