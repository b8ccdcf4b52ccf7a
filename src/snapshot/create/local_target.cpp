#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/create/archive_target.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/publication.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t manifest_limit = 64U << 20;

class local_target : public archive_target {
 public:
  local_target(const ports::create_order& order, const job_control& control, std::string path)
      : order_(order), control_(control), path_(std::move(path)), part_name_(order.name + ".part") {}
  ~local_target() override {
    if (dir_ && part_ && !published_) ::unlinkat(dir_.get(), part_name_.c_str(), 0);
  }

  outcome<void> open() {
    dir_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir_) return system_failure("open " + path_, errno);
    if (auto free = name_is_free(); !free) return free;
    // Before hours of packing.
    if (auto readable = changed_manifest({order_.name, 0, "", {}, {}, "", ""}); !readable) return readable.error();
    return take_part();
  }

  outcome<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto n = ::write(part_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return cannot_write(errno);
      bytes.remove_prefix(static_cast<std::size_t>(n));
      written_ += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  outcome<void> publish(ports::worker_result& made, std::string index) override {
    made.url = shown();
    if (::fsync(part_.get()) != 0) return cannot_write(errno);
    if (auto alone = lock_directory(); !alone) return alone;
    if (auto free = name_is_free(); !free) return free;
    // Nobody is to see an archive without its checksum, nor a row of an archive that is not there. What is replaced
    // has its own checksum until the new one's is there: from then on its readers refuse it, and load nothing
    // unverified. The other way about they would refuse the new one, and remember that.
    const auto beside = side_files_of(made, std::move(index));
    const auto stale = stale_side_files(made);
    const auto before = texts_before(beside, stale);
    if (auto named = name_with(beside, stale); !named) {
      for (const auto& side : beside)
        if (!before.contains(side.name)) ::unlinkat(dir_.get(), side.name.c_str(), 0);
      for (const auto& [name, text] : before) (void)put_file(name, text);
      return named;
    }
    published_ = true;
    auto text = changed_manifest(row_of(order_, made, std::chrono::system_clock::now()));
    if (!text) return text.error();
    if (auto put = put_file(manifest_name, *text); !put) return put;
    return sync_directory();
  }

 private:
  [[nodiscard]] std::string shown() const { return path_ == "/" ? "/" + order_.name : path_ + "/" + order_.name; }

  [[nodiscard]] outcome<void> name_is_free() const {
    struct stat st {};
    if (::fstatat(dir_.get(), order_.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (!S_ISREG(st.st_mode)) return refusal(shown() + " is there and no file; say another --name");
    if (order_.replace) return {};
    return refusal(shown() + " is there already; --force replaces it, --name says another");
  }

  // The lock tells a run that goes on from what an earlier one left.
  outcome<void> take_part() {
    for (int attempt = 0; attempt < 8; ++attempt) {
      base::unique_fd fd(
          ::openat(dir_.get(), part_name_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644));
      if (!fd) return system_failure("create " + shown() + ".part", errno);
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return refusal(shown() + ".part is being written by another run; wait for it, or say another --name");
      struct stat mine {};
      struct stat named {};
      if (::fstat(fd.get(), &mine) != 0 || !S_ISREG(mine.st_mode))
        return refusal(shown() + ".part is no file; move it away");
      // The run before has just renamed or removed what was opened here.
      if (::fstatat(dir_.get(), part_name_.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
          named.st_ino != mine.st_ino || named.st_dev != mine.st_dev)
        continue;
      if (::ftruncate(fd.get(), 0) != 0) return system_failure("truncate " + shown() + ".part", errno);
      part_ = std::move(fd);
      return {};
    }
    return refusal(shown() + ".part changes hands again and again; end the other runs");
  }

  // One publishes at a time: both have a row in the manifest then.
  outcome<void> lock_directory() {
    while (::flock(dir_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return {};  // a file system without such locks
      if (control_.cancelled()) return cancelled();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return {};
  }

  [[nodiscard]] outcome<std::string> manifest() const {
    auto found = look(dir_.get(), manifest_name);
    if (!found) return found.error();
    if (!*found) return {boost::system::in_place_value, std::string()};
    auto text = read_text(dir_.get(), manifest_name, manifest_limit);
    if (!text) return refusal(path_ + ": " + text.error().message + "; its list of archives must be readable");
    return text;
  }

  [[nodiscard]] outcome<std::string> changed_manifest(const manifest_row& row) const {
    auto text = manifest();
    if (!text) return text;
    auto changed = manifest_with(*text, row);
    if (!changed) return refusal(path_ + "/" + changed.error().message);
    return {boost::system::in_place_value, std::move(*changed)};
  }

  // Of an archive of the same name, whose checksum is not that of the new one.
  outcome<void> forget_row() {
    auto text = manifest();
    if (!text) return text.error();
    auto changed = manifest_without(*text, order_.name);
    if (!changed) return refusal(path_ + "/" + changed.error().message);
    return *changed ? put_file(manifest_name, **changed) : outcome<void>{};
  }

  outcome<void> put_file(const std::string& name, std::string_view text) {
    const auto part = name + ".part";
    ::unlinkat(dir_.get(), part.c_str(), 0);
    const auto fail = [&](int code) {
      ::unlinkat(dir_.get(), part.c_str(), 0);
      return system_failure("write " + path_ + "/" + name, code);
    };
    const base::unique_fd fd(
        ::openat(dir_.get(), part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd) return fail(errno);
    while (!text.empty()) {
      const auto n = ::write(fd.get(), text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(errno);
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fsync(fd.get()) != 0 || ::renameat(dir_.get(), part.c_str(), dir_.get(), name.c_str()) != 0)
      return fail(errno);
    return {};
  }

  // Of the archive that is to be replaced, so that it has them again when that fails.
  std::map<std::string, std::string> texts_before(const std::vector<side_file>& beside,
                                                  const std::vector<std::string>& stale) {
    std::map<std::string, std::string> out;
    if (!order_.replace) return out;
    for (const auto& name : texts_to_keep(beside, stale)) {
      if (auto text = read_text(dir_.get(), name, manifest_limit)) out[name] = std::move(*text);
    }
    return out;
  }

  outcome<void> name_with(const std::vector<side_file>& beside, const std::vector<std::string>& stale) {
    for (const auto& side : beside)
      if (auto put = put_file(side.name, side.text); !put) return put;
    if (auto forgotten = forget_row(); !forgotten) return forgotten;
    for (const auto& name : stale)
      if (::unlinkat(dir_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
        return system_failure("delete " + path_ + "/" + name, errno);
    return name_it();
  }

  outcome<void> name_it() {
    const auto* from = part_name_.c_str();
    const auto* to = order_.name.c_str();
    const unsigned how = order_.replace ? 0 : RENAME_NOREPLACE;
    if (::renameat2(dir_.get(), from, dir_.get(), to, how) == 0) return sync_directory();
    // A network file system may not know the flag; it was looked whether the name is free.
    if ((errno == EINVAL || errno == ENOSYS) && ::renameat(dir_.get(), from, dir_.get(), to) == 0)
      return sync_directory();
    return system_failure("put in place " + shown(), errno);
  }

  outcome<void> sync_directory() {
    if (::fsync(dir_.get()) != 0 && errno != EINVAL) return system_failure("fsync " + path_, errno);
    return {};
  }

  failure cannot_write(int code) const {
    auto out = system_failure("write " + shown(), code);
    if (out.kind != ports::worker_failure::no_space) return out;
    const auto free = free_space(dir_.get());
    out.message += fmt_room(free ? *free : 0);
    return out;
  }
  [[nodiscard]] std::string fmt_room(std::uint64_t free) const {
    return ": " + base::format_byte_size(written_) + " were written, " + base::format_byte_size(free) +
           " are left in " + path_ + "; make room, or say another directory with --to";
  }

  const ports::create_order& order_;
  const job_control& control_;
  std::string path_;
  std::string part_name_;
  base::unique_fd dir_;
  base::unique_fd part_;
  std::uint64_t written_ = 0;
  bool published_ = false;
};

}  // namespace

outcome<std::unique_ptr<archive_target>> open_local_target(const ports::create_order& order,
                                                           const job_control& control) {
  auto path = file_source_path(order.target.url);
  if (!path) return refusal(order.target.url + " is no directory of this machine");
  while (path->size() > 1 && path->back() == '/') path->pop_back();
  auto out = std::make_unique<local_target>(order, control, std::move(*path));
  if (auto opened = out->open(); !opened) return opened.error();
  return std::unique_ptr<archive_target>(std::move(out));
}

}  // namespace hasup::snapshot
