// What a worker answers, which runs as the unit's user and may have been taken over, to hasupd, which may be root.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "expect.hpp"
#include "ports/worker_job.hpp"

using namespace hasup::ports;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto result = decode_result(text)) {
    const auto again = decode_result(encode(*result));
    EXPECT(again.has_value());
    EXPECT(encode(*again) == encode(*result));
  }
  if (const auto progress = decode_progress(text)) EXPECT(decode_progress(encode(*progress)).has_value());
  if (const auto job = decode_job(text)) {
    const auto again = decode_job(encode(*job));
    EXPECT(again.has_value());
    EXPECT(encode(*again) == encode(*job));
  }
  return 0;
}
