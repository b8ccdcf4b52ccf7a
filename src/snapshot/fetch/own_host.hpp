// Which addresses are the source's own: what gets into a source is shown to its host alone, and what is encrypted
// does not lead to what is not. A listing, an index, a text or a redirect may name any address. Pure.
#pragma once

#include <optional>
#include <string>

#include "model/source.hpp"

namespace hasup::snapshot {

// "https://host:443" of an HTTP URL, in lower case and as libcurl reads it; nothing for other URLs.
std::optional<std::string> web_origin(const std::string& url);

// Of the host that the source itself names, a store's for s3:; nothing where it is no HTTP host.
std::optional<std::string> own_origin(const model::source& source);

// Whether `url` has scheme, host and port of the source itself, or is the https (port 443) of a host whose http (port
// 80) is the source; never the other way round.
bool is_own(const model::source& source, const std::string& url);

// Why `url` is not to be asked because of the source; "" = nothing speaks against it.
std::string downgrade_problem(const model::source& source, const std::string& url);

}  // namespace hasup::snapshot
