// What a host says that it has: HTML, JSON, S3 and SFTP listings.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "expect.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/s3_listing.hpp"
#include "snapshot/sftp_listing.hpp"

using namespace hasup;
using namespace hasup::snapshot;

namespace {

void check(const std::vector<listed_file>& files, std::string_view scheme) {
  for (const auto& f : files) {
    EXPECT(!f.name.empty());
    EXPECT(f.name != "." && f.name != "..");
    EXPECT(f.name.find('/') == std::string::npos);
    EXPECT(f.name.find('\0') == std::string::npos);
    // No host sends its reader to the files of this machine, or to another kind of host.
    EXPECT(f.url.starts_with(scheme));
    EXPECT(f.sha256.empty() || f.sha256.size() == 64 || f.sha256 == unreadable_digest);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto files = parse_listing(text, "https://host/dir/")) check(*files, "http");
  if (const auto page = parse_s3_page(text, "https://host/bucket/", "dir/"))
    check(page->files, "https://host/bucket/");
  const base::wall_time now{std::chrono::seconds(1'795'000'000)};
  if (const auto files = parse_sftp_listing(text, "sftp://host/dir/", now)) check(*files, "sftp://host/dir/");
  return 0;
}
