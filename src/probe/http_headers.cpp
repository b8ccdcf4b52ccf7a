#include "probe/http_headers.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/trimmed.hpp"
#include "base/unique_fd.hpp"

namespace hasup::probe {
namespace {

constexpr off_t largest_file = 64 * 1024;

bool good_name(std::string_view name) {
  constexpr std::string_view allowed = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           allowed.find(c) != std::string_view::npos;
  });
}

bool good_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; });
}

base::result<std::string> read_file(const std::string& path) {
  const auto failed = [&path](int code) { return base::errno_error("header_file " + path, code); };
  // O_NONBLOCK: a pipe must not hold up the caller.
  const base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return failed(errno);
  if (!S_ISREG(info.st_mode)) return base::error{"header_file " + path + " is not a regular file"};
  if (info.st_size > largest_file) return base::error{"header_file " + path + " is larger than 64 KiB"};
  std::string all(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t have = 0;
  while (have < all.size()) {
    const ssize_t n = ::read(fd.get(), all.data() + have, all.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  all.resize(have);
  return {boost::system::in_place_value, std::move(all)};
}

}  // namespace

base::result<header_lines> read_headers(const model::check& c) {
  header_lines out;
  for (const auto& [name, value] : c.headers) {
    if (!good_name(name) || !good_value(value)) return base::error{"headers: bad header line \"" + name + "\""};
    out.emplace_back(name, value);
  }
  if (c.header_file.empty()) return out;
  const auto file = read_file(c.header_file);
  if (!file) return file.error();
  std::string_view rest = *file;
  for (unsigned number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const std::string_view line = base::trimmed(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.empty() || line[0] == '#') continue;
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    const auto value = colon == std::string_view::npos ? line : base::trimmed(line.substr(colon + 1));
    // The line may hold a secret: it is not repeated.
    if (colon == std::string_view::npos || !good_name(name) || !good_value(value)) {
      return base::error{c.header_file + ":" + std::to_string(number) + ": bad header line; write \"Name: value\""};
    }
    out.emplace_back(name, value);
  }
  return out;
}

}  // namespace hasup::probe
