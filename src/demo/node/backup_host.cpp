// The backup host: a listing, whole files and ranges of them.
#include "demo/node/backup_host.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <optional>

#include "demo/node/arguments.hpp"
#include "demo/node/http_service.hpp"

namespace hasup::demo {
namespace fs = std::filesystem;
namespace {

int usage_error(std::string_view what) {
  std::cerr << "hasup-demo-node: " << what << '\n';
  return 2;
}

std::string index_page(const std::string& dir, const std::string& path) {
  std::vector<fs::directory_entry> entries;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(dir, failed)) entries.push_back(entry);
  std::ranges::sort(entries, {}, [](const fs::directory_entry& e) { return e.path().filename().string(); });
  std::string page = fmt::format(
      "<html>\r\n<head><title>Index of {0}</title></head>\r\n<body>\r\n<h1>Index of {0}</h1><hr><pre><a "
      "href=\"../\">../</a>\r\n",
      path);
  for (const auto& entry : entries) {
    struct stat st {};
    if (::stat(entry.path().c_str(), &st) != 0) continue;
    const bool is_dir = S_ISDIR(st.st_mode);
    const std::string name = entry.path().filename().string() + (is_dir ? "/" : "");
    // nginx shows at most 50 characters of a name and pads up to there.
    const std::string shown = name.size() > 50 ? name.substr(0, 47) + "..&gt;" : name;
    const std::size_t padding = name.size() > 50 ? 0 : 50 - name.size();
    page +=
        fmt::format("<a href=\"{}\">{}</a>{} {:%d-%b-%Y %H:%M} {:>19}\r\n", name, shown, std::string(padding, ' '),
                    fmt::gmtime(st.st_mtime), is_dir ? "-" : std::to_string(st.st_size));
  }
  return page + "</pre><hr></body>\r\n</html>\r\n";
}

struct byte_range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// "bytes=FIRST-" and "bytes=FIRST-LAST"; anything else is no range.
std::optional<byte_range> parse_range(std::string_view header, std::uint64_t size) {
  constexpr std::string_view unit = "bytes=";
  if (!header.starts_with(unit) || size == 0) return std::nullopt;
  const char* at = header.data() + unit.size();
  const char* end = header.data() + header.size();
  byte_range range{0, size - 1};
  auto parsed = std::from_chars(at, end, range.first);
  if (parsed.ec != std::errc{} || parsed.ptr == end || *parsed.ptr != '-') return std::nullopt;
  if (++parsed.ptr != end && std::from_chars(parsed.ptr, end, range.last).ec != std::errc{}) return std::nullopt;
  range.last = std::min(range.last, size - 1);
  return range;
}

class backup_host {
 public:
  backup_host(std::string dir, std::uint64_t rate) : dir_(std::move(dir)), rate_(rate) {}

  [[nodiscard]] http_answer answer(const http_request& request) const {
    if (request.method != "GET" && request.method != "HEAD") return plain(405, "Not Allowed");
    if (request.path.find("..") != std::string::npos) return plain(400, "Bad Request");
    const std::string path = dir_ + request.path;
    struct stat st {};
    base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::fstat(fd.get(), &st) != 0) return plain(404, "Not Found");
    if (S_ISDIR(st.st_mode)) return {200, "text/html", {}, index_page(path, request.path), nullptr};
    return file(std::move(fd), st, request.range);
  }

 private:
  static http_answer plain(unsigned status, std::string_view text) {
    return {status, "text/plain", {}, std::string(text) + "\n", nullptr};
  }

  [[nodiscard]] http_answer file(base::unique_fd fd, const struct stat& st, const std::string& range_header) const {
    http_answer a;
    const auto size = static_cast<std::uint64_t>(st.st_size);
    a.type = "application/octet-stream";
    a.headers["Accept-Ranges"] = "bytes";
    a.headers["ETag"] = fmt::format("\"{:x}-{:x}\"", st.st_mtime, size);
    a.headers["Last-Modified"] = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(st.st_mtime));
    a.file = std::make_shared<file_part>(std::move(fd), 0, size, rate_);
    const auto range = parse_range(range_header, size);
    if (!range) return a;
    if (range->first >= size || range->first > range->last) {
      a.file.reset();
      a.status = 416;
      a.headers["Content-Range"] = fmt::format("bytes */{}", size);
      return a;
    }
    a.status = 206;
    a.headers["Content-Range"] = fmt::format("bytes {}-{}/{}", range->first, range->last, size);
    a.file->offset = range->first;
    a.file->length = range->last - range->first + 1;
    return a;
  }

  std::string dir_;
  std::uint64_t rate_;
};

}  // namespace

int run_backup_host(std::span<const std::string> words) {
  constexpr std::array known = {option{"dir"}, option{"http"}, option{"rate"}};
  const auto options = arguments::parse(words, known);
  if (!options) return usage_error(options.error().message);
  const auto where = parse_host_port(options->text("http"));
  if (!where) return usage_error("--http: " + where.error().message);
  const auto rate = options->number("rate", 0);
  if (!rate) return usage_error(rate.error().message);

  boost::asio::io_context io{1};
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code, int) { io.stop(); });
  const backup_host host(options->text("dir", "."), *rate);
  http_service service(io.get_executor());
  const auto bound = service.listen(
      *where, [&](const http_request& request, const http_reply& reply) { reply(host.answer(request)); });
  if (!bound) return usage_error(bound.error().message);
  io.run();
  return 0;
}

}  // namespace hasup::demo
