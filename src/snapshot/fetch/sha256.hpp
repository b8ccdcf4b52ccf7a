// SHA-256 of what passes by.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace hasup::snapshot {

class sha256 {
 public:
  sha256();
  ~sha256();
  sha256(sha256&&) noexcept;
  sha256& operator=(sha256&&) noexcept;

  void add(const void* data, std::size_t size);
  // Lower-case hex of all that was added; begins anew.
  std::string take();

 private:
  struct context;
  std::unique_ptr<context> context_;
};

}  // namespace hasup::snapshot
