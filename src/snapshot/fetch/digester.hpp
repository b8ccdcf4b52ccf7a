// The digest of what passes by.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "snapshot/digest_kind.hpp"

namespace hasup::snapshot {

class digester {
 public:
  explicit digester(digest_kind kind = digest_kind::sha256);
  ~digester();
  digester(digester&&) noexcept;
  digester& operator=(digester&&) noexcept;

  void add(const void* data, std::size_t size);
  // Lower-case hex of all that was added; begins anew.
  std::string take();

 private:
  struct context;
  std::unique_ptr<context> context_;
};

}  // namespace hasup::snapshot
