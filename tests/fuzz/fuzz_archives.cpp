// Whole archives of any kind: whatever one holds, what comes out of it is below the directory, of files, directories
// and links that stay inside, and nothing beside the directory is touched.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/unique_fd.hpp"
#include "expect.hpp"
#include "snapshot/unpack/extractor.hpp"

using namespace hasup;
using namespace hasup::snapshot;
namespace fs = std::filesystem;

namespace {

constexpr unsigned most_blocks = 2000;           // a bomb is left after them
constexpr std::uint64_t most_window = 8U << 20;  // as recovery.max_window bounds it
constexpr std::size_t most_memory = 16U << 20;

// WORK/target, into which is unpacked, and beside it what must stay as it is.
class places {
 public:
  places() {
    const fs::path memory = "/dev/shm";
    work_ = (fs::is_directory(memory) ? memory : fs::temp_directory_path()) /
            ("hasup-fuzz-" + std::to_string(::getpid()));
    fs::remove_all(work_);
    fs::create_directories(work_);
    std::ofstream(work_ / "beside") << "as it was";
    ::chmod((work_ / "beside").c_str(), 0600);
  }
  ~places() { clear(work_); }
  places(const places&) = delete;
  places& operator=(const places&) = delete;

  fs::path fresh() const {
    clear(target());
    fs::create_directory(target());
    return target();
  }
  void expect_all_is_well() const {
    std::size_t entries = 0;
    for (const auto& entry : fs::directory_iterator(work_)) {
      EXPECT(entry.path() == target() || entry.path() == work_ / "beside");
      ++entries;
    }
    EXPECT(entries == 2);
    std::ifstream in(work_ / "beside");
    EXPECT(std::string(std::istreambuf_iterator<char>(in), {}) == "as it was");
    struct stat st {};
    EXPECT(::lstat((work_ / "beside").c_str(), &st) == 0 && (st.st_mode & 07777U) == 0600U && st.st_nlink == 1);
    for (auto i = fs::recursive_directory_iterator(target(), fs::directory_options::skip_permission_denied);
         i != fs::recursive_directory_iterator(); ++i)
      expect_harmless(i->path());
  }

 private:
  [[nodiscard]] fs::path target() const { return work_ / "target"; }

  // Directories may have come out that their owner cannot enter; root can.
  static void clear(const fs::path& path) {
    std::error_code ec;
    fs::remove_all(path, ec);
    if (!fs::exists(fs::symlink_status(path))) return;
    fs::permissions(path, fs::perms::owner_all, fs::perm_options::add, ec);
    for (auto i = fs::recursive_directory_iterator(path, ec); i != fs::recursive_directory_iterator();
         i.increment(ec))
      if (i->is_directory() && !i->is_symlink())
        fs::permissions(i->path(), fs::perms::owner_all, fs::perm_options::add, ec);
    fs::remove_all(path, ec);
  }

  void expect_harmless(const fs::path& path) const {
    struct stat st {};
    EXPECT(::lstat(path.c_str(), &st) == 0);
    EXPECT(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
    EXPECT(path.filename() != ".hasup");
    EXPECT(st.st_uid == ::geteuid());
    if (!S_ISLNK(st.st_mode)) {
      EXPECT((st.st_mode & 07000U) == 0);
      return;
    }
    const auto leads_to = (path.parent_path() / fs::read_symlink(path)).lexically_normal();
    const auto inside = leads_to.lexically_relative(target());
    EXPECT(!inside.empty() && *inside.begin() != "..");
  }

  fs::path work_;
};

base::unique_fd file_of(const std::uint8_t* data, std::size_t size) {
  base::unique_fd fd(::memfd_create("archive", MFD_CLOEXEC));
  EXPECT(fd);
  while (size > 0) {
    const auto n = ::write(fd.get(), data, size);
    EXPECT(n > 0);
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return fd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool locale = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;
  static const places work;
  static_cast<void>(locale);
  const auto archive = file_of(data, size);
  const base::unique_fd dir(::open(work.fresh().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT(dir);
  unsigned blocks = 0;
  job_control control("", [&blocks] { return ++blocks > most_blocks; });
  archive_reader::options options;
  options.max_window = most_window;
  options.memory = most_memory;
  auto reader = archive_reader::open(archive.get(), "a", archive_reader::content::archive, options);
  if (reader) {
    space_guard guard(dir.get(), 0, "the target");
    extractor out(dir.get(), "a", guard, control, [](const std::string& path) {
      if (path == "keep") return hasup::snapshot::admission::left_out;
      return path == "KEEP" ? hasup::snapshot::admission::only_folding_differs : hasup::snapshot::admission::yes;
    });
    if (out.extract(*reader)) static_cast<void>(out.make_links("").has_value());
    EXPECT(::faccessat(dir.get(), "keep", F_OK, AT_SYMLINK_NOFOLLOW) != 0);
  }
  work.expect_all_is_well();
  return 0;
}
