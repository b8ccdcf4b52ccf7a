// Files that are there complete or as they were before: temporary file, fsync, rename, fsync of the directory.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::journal {

// Blocking. After success the contents are durable; after an error the file is as it was (or, when only the last sync
// failed, complete but perhaps not durable). The temporary file is PATH.new: one writer a path.
base::result<void> write_atomic(const std::string& path, std::string_view contents, unsigned mode = 0600);

// The same on the disk thread; `then` runs on the loop.
void write_atomic_on(boost::asio::any_io_executor disk, boost::asio::any_io_executor loop, std::string path,
                     std::string contents, std::function<void(base::result<void>)> then);

// Blocking; error.code is ENOENT when there is no such file.
base::result<std::string> read_whole(const std::string& path);

// Removes a file durably; one that is not there is fine.
base::result<void> remove_durably(const std::string& path);

}  // namespace hasup::journal
