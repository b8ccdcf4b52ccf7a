// A backup host: a directory over HTTP with an index page as nginx makes it, HEAD and byte ranges.
#pragma once

#include <span>
#include <string>

namespace hasup::demo {

// `hasup-demo-node backup-host --dir DIR --http HOST:PORT [--rate BYTES_PER_SECOND]`.
int run_backup_host(std::span<const std::string> words);

}  // namespace hasup::demo
