// What stands for a file without being it: a text file such as "latest" that holds a name, and the name that a host
// gives to what it sends. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hasup::snapshot {

// More is no pointer to a file, but a file.
inline constexpr std::uint64_t most_pointer_bytes = 4096;

// Whether the answer for a URL whose last part is `name` may be such a text: "latest", "LATEST.txt",
// "latest-snapshot" …, small, and neither a page nor an archive.
bool may_be_pointer(std::string_view name, std::string_view content_type, std::optional<std::uint64_t> length);

// The absolute URL that the text names, which was read from `url`: its first line, a name beside it, a path below its
// directory, or an http URL. Nothing when it names none.
std::optional<std::string> pointed_url(std::string_view text, std::string_view url);

// Of Content-Disposition: attachment; filename="snap.car.zst", or filename*=UTF-8''snap.car.zst, which wins. Without
// directories; "" when there is none.
std::string disposition_name(std::string_view text);

}  // namespace hasup::snapshot
