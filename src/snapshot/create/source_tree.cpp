#include "snapshot/create/source_tree.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <map>

#include "snapshot/disk.hpp"
#include "snapshot/unpack/entry_ledger.hpp"
#include "snapshot/unpack/entry_path.hpp"

namespace hasup::snapshot {
namespace {

class walk {
 public:
  walk(int root, const wipe_rules* rules, const std::function<bool()>& stop)
      : root_(root), rules_(rules), stop_(stop) {}

  outcome<source_tree> run() {
    struct stat st {};
    if (::fstat(root_, &st) != 0) return system_failure("stat the directory", errno);
    out_.modified = st.st_mtim;
    std::vector<std::string> to_go{""};
    while (!to_go.empty()) {
      const auto at = std::move(to_go.back());
      to_go.pop_back();
      if (auto read = directory(at, to_go); !read) return read.error();
    }
    auto& all = out_.entries;
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    if (auto linked = find_hard_links(); !linked) return linked.error();
    std::sort(out_.notes.begin(), out_.notes.end());
    return std::move(out_);
  }

 private:
  outcome<void> directory(const std::string& at, std::vector<std::string>& to_go) {
    if (stop_()) return cancelled();
    // A mount in the tree belongs to it, as with tar.
    auto dir = open_beneath(root_, at, O_RDONLY | O_DIRECTORY, mounts::cross);
    if (!dir) return dir.error();
    auto names = list_names(dir->get(), "");
    if (!names) return system_failure("list " + (at.empty() ? std::string("the directory") : at), errno);
    for (const auto& name : *names) {
      const auto path = joined(at, name);
      if (name == ".hasup") {
        if (!at.empty()) out_.notes.push_back(path + " is left out: it is hasup's own");
        continue;
      }
      const auto what = rules_ == nullptr ? fate::replaced : rules_->decide(path);
      if (what == fate::untouched) continue;
      if (auto taken = take(dir->get(), name, path, what, to_go); !taken) return taken;
    }
    return {};
  }

  outcome<void> take(int dir, const std::string& name, const std::string& path, fate what,
                     std::vector<std::string>& to_go) {
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return errno == ENOENT ? failure{ports::worker_failure::internal, path + " went away while the tree was read"}
                             : system_failure("stat " + path, errno);
    if (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)) {
      out_.notes.push_back(path + (S_ISSOCK(st.st_mode) ? " is a socket" : " is a pipe") + ": left out");
      return {};
    }
    if (what == fate::descend && !S_ISDIR(st.st_mode)) return {};
    if (auto clean = clean_entry_path(path); !clean) return refusal("\"" + path + "\" " + clean.error().message);
    source_entry e;
    e.path = path;
    e.mode = st.st_mode & 07777U;
    e.uid = st.st_uid;
    e.gid = st.st_gid;
    e.modified = st.st_mtim;
    if (S_ISDIR(st.st_mode)) {
      e.is = source_entry::kind::directory;
      to_go.push_back(path);
    } else if (S_ISLNK(st.st_mode)) {
      e.is = source_entry::kind::link;
      if (auto read = read_link(dir, name, e); !read) return read;
    } else if (S_ISREG(st.st_mode)) {
      file(st, e);
    } else {
      return refusal(path + " is a device: no archive of hasup's may hold one; remove it, or move it away");
    }
    out_.entries.push_back(std::move(e));
    return {};
  }

  void file(const struct stat& st, source_entry& e) {
    if ((e.mode & 06000U) != 0) {
      out_.notes.push_back(e.path + " loses its setuid or setgid bit");
      e.mode &= ~mode_t{06000};
    }
    e.size = static_cast<std::uint64_t>(st.st_size);
    e.on_disk = std::min(e.size, static_cast<std::uint64_t>(st.st_blocks) * 512);
    if (st.st_nlink > 1) inodes_[e.path] = {st.st_dev, st.st_ino};
  }

  static outcome<void> read_link(int dir, const std::string& name, source_entry& e) {
    std::array<char, PATH_MAX> target{};
    const auto n = ::readlinkat(dir, name.c_str(), target.data(), target.size());
    if (n < 0) return system_failure("read the link " + e.path, errno);
    e.target.assign(target.data(), static_cast<std::size_t>(n));
    return {};
  }

  // The first of several names is the file.
  outcome<void> find_hard_links() {
    std::map<std::pair<dev_t, ino_t>, const std::string*> first;
    entry_ledger ledger("");
    for (auto& e : out_.entries) {
      if (e.is == source_entry::kind::file && !inodes_.empty()) {
        const auto found = inodes_.find(e.path);
        if (found != inodes_.end()) {
          const auto [there, made] = first.try_emplace(found->second, &e.path);
          if (!made) {
            e.is = source_entry::kind::hard_link;
            e.target = *there->second;
            e.size = e.on_disk = 0;
          }
        }
      }
      out_.on_disk += e.on_disk;
      if (e.is != source_entry::kind::link) continue;
      checked_entry link;
      link.path = e.path;
      link.is = checked_entry::kind::link;
      link.target = e.target;
      if (auto added = ledger.add(link); !added) return added;
    }
    if (auto inside = ledger.check_links(); !inside) {
      for (const auto& e : out_.entries)
        if (e.is == source_entry::kind::link &&
            inside.error().message.find("\"" + e.path + "\"") != std::string::npos)
          return refusal(e.path + " is a link to \"" + e.target +
                         "\", which leaves the directory: what it means would be missing; name the directory that "
                         "holds it, or replace the link by what it means (a bind mount)");
      return refusal(inside.error().message);
    }
    return {};
  }

  int root_;
  const wipe_rules* rules_;
  const std::function<bool()>& stop_;
  source_tree out_;
  std::map<std::string, std::pair<dev_t, ino_t>> inodes_;  // of files with several names
};

}  // namespace

outcome<source_tree> read_source_tree(int root, const wipe_rules* rules, const std::function<bool()>& stop) {
  return walk(root, rules, stop).run();
}

}  // namespace hasup::snapshot
