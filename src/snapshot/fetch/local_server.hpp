// Answers one request for a file or a directory of this machine, in the words of HTTP. For local_reader.cpp alone.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

namespace hasup::snapshot {

// Each line of a directory's answer is "SIZE SECONDS NANOSECONDS NAME", the name percent-encoded: its files, links to
// files among them.
inline constexpr const char* local_directory_type = "application/x-hasup-directory";
// Beside ETag and Content-Length: the time of the last change, and of an error its words, percent-encoded.
inline constexpr const char* local_time_header = "x-hasup-time";
inline constexpr const char* local_reason_header = "x-hasup-reason";

// How many processes of one user may hang at one place before no further one is sent there.
inline constexpr unsigned most_hanging = 3;

// In a process of its own, since it locks itself in first, and since it may never come back. A file that changes
// while it is sent is broken off before its last byte.
void serve_local(int stream, const std::vector<std::string>& places);

// Size, time and inode: what an ETag is for a file.
std::string file_validator(const struct stat& st);

}  // namespace hasup::snapshot
