// How a chunk becomes a frame of the archive: the same bytes for the same content, level and libzstd, whoever makes
// it. So a host that has the content has the frame too.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "snapshot/delta/chunk_index.hpp"

struct ZSTD_CCtx_s;

namespace hasup::snapshot {

// Room that a frame of so much content may need.
std::size_t frame_bound(std::size_t content);

// Makes one after the other; of one thread.
class frame_maker {
 public:
  explicit frame_maker(int level);
  ~frame_maker();
  frame_maker(const frame_maker&) = delete;
  frame_maker& operator=(const frame_maker&) = delete;

  // How many bytes the frame has, of `room`, which is frame_bound(content.size()) or more.
  outcome<std::size_t> make(std::string_view content, char* into, std::size_t room);

 private:
  struct closer {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_CCtx_s, closer> context_;
};

outcome<std::string> compress_frame(int level, std::string_view content);

chunk_digest sha256_of(std::string_view bytes);
// What an index says of it.
chunk chunk_of(std::string_view content, std::string_view frame);

}  // namespace hasup::snapshot
