// Whether anybody has a file below some directories open for writing: asked of the kernel, file by file, and not read
// from /proc, process by process.
//
// A read lease is granted only on a file that nobody has open for writing. The kernel counts by inode, and for as
// long as an open file lives. So this sees processes that cannot be read from here, those of other namespaces, maps
// whose descriptor is closed, and descriptors that are on their way through a socket; it knows no pids that could be
// used again; and it takes as long as there are files, however many processes run. It does not tell who it is, and it
// does not see files that are no longer in the directories.
#pragma once

#include <string>
#include <vector>

namespace hasup::snapshot {

enum class writing {
  nobody,
  somebody,
  unknown,  // not ours to ask, a file system that keeps no such count, or too many files
};

struct lease_answer {
  writing who = writing::nobody;
  std::string path{};  // what somebody writes, or what could not be asked
};

// What is in the directories of `without`, named by a path that begins as the one of `dirs` does, is left out. A
// lease is given back at once; who opens the file for writing in these microseconds waits for it, and the kernel then
// sends SIGIO, which the caller must ignore.
lease_answer ask_for_writers(const std::vector<std::string>& dirs, const std::vector<std::string>& without = {});

}  // namespace hasup::snapshot
