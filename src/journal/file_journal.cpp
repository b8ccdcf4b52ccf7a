#include "journal/file_journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdio>

#include "journal/atomic_file.hpp"
#include "journal/file_io.hpp"
#include "journal/journal_text.hpp"

namespace hasup::journal {

journal_file::journal_file(std::string path) : path_(std::move(path)) {}

base::result<std::vector<std::string>> journal_file::read_all() {
  file_.reset();
  if (const auto cut = cut_back(); !cut) return cut.error();
  base::unique_fd file(::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file) {
    if (errno == ENOENT) return std::vector<std::string>{};
    return base::errno_error("open the journal " + path_);
  }
  const auto text = read_fully(file.get(), path_);
  if (!text) return text.error();
  auto contents = parse_journal(*text);
  if (!contents)
    return base::error{path_ + ": " + contents.error().message +
                       "; it was left as it is, nothing is started from it"};
  if (contents->good_size < text->size()) {
    if (::ftruncate(file.get(), static_cast<off_t>(contents->good_size)) != 0 || ::fsync(file.get()) != 0)
      return base::errno_error("cut the torn end off " + path_);
  }
  return std::move(contents->records);
}

// What an append that failed left behind is not what its caller was told, be it a whole record.
base::result<void> journal_file::cut_back() {
  if (!cut_to_) return {};
  const base::unique_fd file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno != ENOENT) return base::errno_error("open the journal " + path_);
  if (file && (::ftruncate(file.get(), static_cast<off_t>(*cut_to_)) != 0 || ::fsync(file.get()) != 0))
    return base::errno_error("cut a record that was not written off " + path_);
  cut_to_.reset();
  return {};
}

// Positions behind the last whole record: what an earlier process or a failed append left behind is cut off.
base::result<void> journal_file::open_for_append() {
  if (const auto whole = read_all(); !whole) return whole.error();
  base::unique_fd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return base::errno_error("create the journal " + path_);
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) return base::errno_error("look at the journal " + path_);
  size_ = static_cast<std::size_t>(facts.st_size);
  if (::lseek(file.get(), 0, SEEK_END) < 0) return base::errno_error("seek in the journal " + path_);
  file_ = std::move(file);
  return {};
}

base::result<void> journal_file::append(const std::string& record) {
  if (record.size() > longest_record)
    return base::error{"journal record of " + std::to_string(record.size()) + " bytes is too long"};
  if (!file_)
    if (const auto opened = open_for_append(); !opened) return opened.error();
  const bool fresh = size_ == 0;
  const auto text = (fresh ? std::string(journal_header) : std::string{}) + frame(record);
  if (!write_fully(file_.get(), text) || ::fdatasync(file_.get()) != 0) {
    // After a failed sync nobody knows what is on the disk: it is cut back, and begun with a new descriptor.
    return not_appended(base::errno_error("write the journal " + path_));
  }
  if (fresh)
    if (const auto synced = sync_directory_of(path_); !synced) return not_appended(synced.error());
  size_ += text.size();
  return {};
}

// What cannot be cut off now is cut off before the file is read or written again.
base::error journal_file::not_appended(base::error e) {
  file_.reset();
  cut_to_ = size_;
  static_cast<void>(cut_back());
  return e;
}

base::result<void> journal_file::clear() {
  file_.reset();
  size_ = 0;
  cut_to_.reset();
  return remove_durably(path_);
}

base::result<std::string> journal_file::set_aside() {
  file_.reset();
  size_ = 0;
  cut_to_.reset();
  for (unsigned i = 1;; ++i) {
    auto to = path_ + ".damaged" + (i == 1 ? "" : "." + std::to_string(i));
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
      if (const auto synced = sync_directory_of(path_); !synced) return synced.error();
      return base::success(std::move(to));
    }
    if (errno == ENOENT) return base::success({});
    if (errno != EEXIST) return base::errno_error("rename " + path_ + " to " + to);
  }
}

file_journal::file_journal(std::string path, boost::asio::any_io_executor disk, boost::asio::any_io_executor loop)
    : file_(std::make_shared<journal_file>(std::move(path))), disk_(std::move(disk)), loop_(std::move(loop)) {}

void file_journal::read_all(std::function<void(base::result<std::vector<std::string>>)> then) {
  boost::asio::post(disk_, [file = file_, loop = loop_, then = std::move(then)]() mutable {
    auto read = file->read_all();
    boost::asio::post(loop, [read = std::move(read), then = std::move(then)] { then(read); });
  });
}

void file_journal::append(std::string record, std::function<void(base::result<void>)> then) {
  boost::asio::post(disk_,
                    [file = file_, loop = loop_, record = std::move(record), then = std::move(then)]() mutable {
                      auto done = file->append(record);
                      boost::asio::post(loop, [done = std::move(done), then = std::move(then)] { then(done); });
                    });
}

void file_journal::clear(std::function<void(base::result<void>)> then) {
  boost::asio::post(disk_, [file = file_, loop = loop_, then = std::move(then)]() mutable {
    auto done = file->clear();
    boost::asio::post(loop, [done = std::move(done), then = std::move(then)] { then(done); });
  });
}

void file_journal::set_aside(std::function<void(base::result<std::string>)> then) {
  boost::asio::post(disk_, [file = file_, loop = loop_, then = std::move(then)]() mutable {
    auto done = file->set_aside();
    boost::asio::post(loop, [done = std::move(done), then = std::move(then)] { then(done); });
  });
}

}  // namespace hasup::journal
