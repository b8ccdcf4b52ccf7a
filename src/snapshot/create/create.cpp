#include "snapshot/create/create.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>

#include "base/unique_fd.hpp"
#include "snapshot/create/frame_compressor.hpp"
#include "snapshot/create/secret_key.hpp"
#include "snapshot/create/tar_writer.hpp"
#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/disk.hpp"
#include "snapshot/fetch/digester.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/pack_stream.hpp"
#include "snapshot/publication.hpp"
#include "snapshot/unpack/entry_path.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t read_step = 1U << 20;

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && is_same_time(a.st_mtim, b.st_mtim) && is_same_time(a.st_ctim, b.st_ctim);
}

// Of its hex digits, lower case.
chunk_digest digest_of(std::string_view hex) {
  chunk_digest out{};
  const auto value = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (std::size_t i = 0; i < out.size(); ++i)
    out.at(i) = static_cast<unsigned char>(value(hex.at(2 * i)) * 16 + value(hex.at(2 * i + 1)));
  return out;
}

std::uint64_t bytes_of(const std::vector<data_span>& spans) {
  std::uint64_t sum = 0;
  for (const auto& s : spans) sum += s.size;
  return sum;
}

class creating {
 public:
  creating(const ports::worker_job& job, job_control& control, archive_target& to, ports::worker_result& out)
      : job_(job), order_(job.create), control_(control), to_(to), out_(out), buffer_(read_step, '\0') {
    if (!order_.sign_key.empty()) blake2b_.emplace(digest_kind::blake2b);
  }

  outcome<void> run() {
    if (auto bad = name_problem(order_.name); !bad.empty())
      return refusal("\"" + order_.name + "\" cannot be the name of an archive: " + bad);
    if (auto key = read_key(); !key) return key;
    if (auto packed = job_.file.empty() ? directory() : file(); !packed) return packed;
    out_.name = order_.name;
    out_.sha256 = {sha256_.take()};
    sign();
    auto index = index_text();
    control_.begin("publish", order_.name, without_password(order_.target.url), out_.bytes, out_.bytes);
    return to_.publish(out_, std::move(index));
  }

 private:
  outcome<void> read_key() {
    if (order_.sign_key.empty()) return {};
    auto key = signing_key::read(order_.sign_key, order_.sign_password);
    if (!key) return key.error();
    key_ = std::move(*key);
    return {};
  }

  void sign() {
    if (!key_) return;
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    out_.signature =
        key_->sign(blake2b_->take(), "timestamp:" + std::to_string(now) + "\tfile:" + order_.name + "\thashed");
  }

  [[nodiscard]] std::function<bool()> stop() const {
    return [this] { return control_.cancelled(); };
  }

  // `content` bytes, about, are read.
  outcome<void> start_compressor(bool compress, std::uint64_t content) {
    frame_options options;
    options.level = order_.level;
    options.compress = compress;
    options.chunks = compress && order_.chunks;
    options.doublings = content_chunker::doublings_for(content);
    chunked_ = options.chunks;
    index_.doublings = options.doublings;
    auto started = frame_compressor::start(
        options, [this](std::string_view bytes, const std::vector<chunk>& chunks) -> outcome<void> {
          take_chunks(chunks);
          sha256_.add(bytes.data(), bytes.size());
          if (blake2b_) blake2b_->add(bytes.data(), bytes.size());
          out_.bytes += bytes.size();
          return to_.write(bytes);
        });
    if (!started) return started.error();
    compressor_ = std::move(*started);
    return {};
  }

  // An archive with more of them than an index may have goes without one.
  void take_chunks(const std::vector<chunk>& chunks) {
    if (chunks.empty() || !chunked_) return;
    if (index_.chunks.size() + chunks.size() <= most_chunks) {
      index_.chunks.insert(index_.chunks.end(), chunks.begin(), chunks.end());
      return;
    }
    chunked_ = false;
    index_ = {};
    too_many_ = true;
  }

  std::string index_text() {
    if (!chunked_) {
      if (too_many_) out_.notes.push_back("it has too many chunks for an index of them: it is fetched as a whole");
      return {};
    }
    out_.chunks = order_.name + std::string(chunk_index_suffix);
    index_.archive = digest_of(out_.sha256.at(0));
    return write_chunk_index(index_);
  }

  void begin(std::uint64_t total) {
    control_.begin("create", order_.name, without_password(order_.target.url), total);
  }

  // ---- a directory

  outcome<void> directory() {
    auto root = open_directory();
    if (!root) return root.error();
    auto rules = wipe_rules::from(job_.plan.wipe, job_.keep, job_.plan.shared);
    if (!rules) return rules.error();
    const bool all = job_.plan.wipe.empty();
    auto tree = read_source_tree(root->get(), all ? nullptr : &*rules, stop());
    if (!tree) return tree.error();
    if (tree->entries.empty())
      return refusal("there is nothing in " + job_.data_dir +
                     (all ? "" : " that plan \"" + job_.plan.name + "\" would replace") + " to make an archive of");
    out_.notes = std::move(tree->notes);
    begin(tree->on_disk);
    if (auto started = start_compressor(true, tree->on_disk); !started) return started;
    auto tar =
        tar_writer::open([this](std::string_view bytes) { return compressor_->add(bytes.data(), bytes.size()); });
    if (!tar) return tar.error();
    for (const auto& e : tree->entries) {
      if (control_.cancelled()) return cancelled();
      if (auto done = entry(root->get(), **tar, e); !done) return done;
      ++out_.entries;
    }
    if (auto same = nothing_came(root->get(), *tree, all ? nullptr : &*rules); !same) return same;
    if (auto ended = (*tar)->finish(); !ended) return ended;
    return compressor_->finish();
  }

  // What was made, removed or renamed while the tree was read shows in the times of its directory.
  outcome<void> nothing_came(int root, const source_tree& tree, const wipe_rules* rules) {
    for (const auto& e : tree.entries) {
      if (e.is != source_entry::kind::directory) continue;
      if (rules != nullptr && rules->decide(e.path) != fate::replaced) continue;  // it has other entries too
      struct stat now {};
      const auto dir = open_beneath(root, e.path, O_PATH | O_DIRECTORY, mounts::cross);
      if (dir && ::fstat(dir->get(), &now) == 0 && is_same_time(now.st_mtim, e.modified)) continue;
      if (auto told = changed(e.path, "got or lost entries while it was read"); !told) return told;
    }
    struct stat now {};
    if (rules != nullptr || (::fstat(root, &now) == 0 && is_same_time(now.st_mtim, tree.modified))) return {};
    return changed(job_.data_dir, "got or lost entries while it was read");
  }

  // As long as it is open no node of hasup's begins on it: its shim wants this lock for itself.
  outcome<base::unique_fd> open_directory() {
    base::unique_fd root(::open(job_.data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) return system_failure("open " + job_.data_dir, errno);
    if (::flock(root.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      return failure{
          ports::worker_failure::writer,
          "a node runs on " + job_.data_dir + "; stop its unit first: its files change while they are read"};
    struct stat st {};
    if (::fstatat(root.get(), ".hasup/swap.json", &st, AT_SYMLINK_NOFOLLOW) == 0)
      return refusal("a recovery is changing " + job_.data_dir + "; wait until it is through");
    lock_.reset(::openat(root.get(), ".hasup/lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (lock_ && ::flock(lock_.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      return refusal("a recovery works on " + job_.data_dir + "; wait until it is through");
    return root;
  }

  outcome<void> entry(int root, tar_writer& tar, const source_entry& e) {
    if (e.is != source_entry::kind::file) {
      if (auto begun = tar.begin(e); !begun) return begun;
      return tar.end();
    }
    auto fd = open_beneath(root, e.path, O_RDONLY | O_NONBLOCK, mounts::cross);
    if (!fd) {
      const auto still = look(root, e.path);
      return still && !*still ? changed(e.path, "went away while the tree was read") : fd.error();
    }
    struct stat before {};
    if (::fstat(fd->get(), &before) != 0) return system_failure("stat " + e.path, errno);
    if (!S_ISREG(before.st_mode)) return changed(e.path, "is no file any more");
    auto now = e;  // it may have grown since the tree was read
    now.size = static_cast<std::uint64_t>(before.st_size);
    now.modified = before.st_mtim;
    auto spans = find_data(fd->get(), now.size);
    if (!spans) return failure{spans.error().kind, e.path + ": " + spans.error().message};
    if (auto begun = tar.begin(now, *spans); !begun) return begun;
    // The data of a large file has its own chunks: whoever has the file has them, wherever it stands in an archive.
    const bool alone = bytes_of(*spans) >= content_chunker::usual << index_.doublings;
    if (alone)
      if (auto cut = compressor_->cut(); !cut) return cut;
    for (const auto& s : *spans) {
      auto read = read_span(fd->get(), e.path, s,
                            [&](std::uint64_t at, std::size_t n) { return tar.data(at, buffer_.data(), n); });
      if (!read) return read;
    }
    if (alone)
      if (auto cut = compressor_->cut(); !cut) return cut;
    if (auto same = unchanged(fd->get(), e.path, before); !same) return same;
    return tar.end();
  }

  // ---- one file

  outcome<void> file() {
    const base::unique_fd fd(::open(job_.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat before {};
    if (!fd || ::fstat(fd.get(), &before) != 0) return system_failure("open " + job_.file, errno);
    if (!S_ISREG(before.st_mode)) return refusal(job_.file + " is no file");
    if (before.st_size == 0) return refusal(job_.file + " is empty");
    const auto size = static_cast<std::uint64_t>(before.st_size);
    begin(size);
    // What is compressed already goes on as it is.
    const bool plain = without_compression_suffix(job_.file) == job_.file;
    if (auto started = start_compressor(plain, size); !started) return started;
    auto read = read_span(fd.get(), job_.file, {0, size},
                          [&](std::uint64_t, std::size_t n) { return compressor_->add(buffer_.data(), n); });
    if (!read) return read;
    if (auto same = unchanged(fd.get(), job_.file, before); !same) return same;
    out_.entries = 1;
    return compressor_->finish();
  }

  // ---- both

  outcome<void> read_span(int fd, const std::string& path, const data_span& s,
                          const std::function<outcome<void>(std::uint64_t, std::size_t)>& take) {
    for (std::uint64_t at = s.offset; at < s.offset + s.size;) {
      if (control_.cancelled()) return cancelled();
      const auto wanted = std::min<std::uint64_t>(buffer_.size(), s.offset + s.size - at);
      auto n = ::pread(fd, buffer_.data(), wanted, static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_failure("read " + path, errno);
      if (n == 0) {
        if (auto told = changed(path, "became shorter while it was read"); !told) return told;
        n = static_cast<ssize_t>(wanted);
        std::fill_n(buffer_.begin(), n, '\0');
      }
      if (auto taken = take(at, static_cast<std::size_t>(n)); !taken) return taken;
      at += static_cast<std::uint64_t>(n);
      out_.content += static_cast<std::uint64_t>(n);
      control_.advance(out_.content);
    }
    return {};
  }

  outcome<void> unchanged(int fd, const std::string& path, const struct stat& before) {
    struct stat after {};
    if (::fstat(fd, &after) != 0) return system_failure("stat " + path, errno);
    return is_same(before, after) ? outcome<void>{} : changed(path, "changed while it was read");
  }

  outcome<void> changed(const std::string& path, const std::string& how) {
    if (order_.allow_changes) {
      const auto note = path + " " + how;
      if (out_.notes.empty() || out_.notes.back() != note) out_.notes.push_back(note);
      return {};
    }
    return failure{
        ports::worker_failure::internal,
        path + " " + how + ": the archive would hold a mixture; stop what writes it, or say --allow-changes"};
  }

  const ports::worker_job& job_;
  const ports::create_order& order_;
  job_control& control_;
  archive_target& to_;
  ports::worker_result& out_;
  std::string buffer_;
  digester sha256_;
  std::optional<digester> blake2b_;
  std::optional<signing_key> key_;
  base::unique_fd lock_;
  bool chunked_ = false;
  bool too_many_ = false;
  chunk_index index_;
  std::unique_ptr<frame_compressor> compressor_;
};

ports::worker_result create_into(archive_target& to, const ports::worker_job& job, job_control& control) {
  ports::worker_result out;
  const auto done = creating(job, control, to, out).run();
  if (done) return out;
  auto bad = failed_result(done.error());
  bad.notes = std::move(out.notes);
  return bad;
}

class piped_target : public archive_target {
 public:
  explicit piped_target(int fd) : fd_(fd) {}
  outcome<void> write(std::string_view bytes) override { return write_packed(fd_, bytes); }
  outcome<void> publish(ports::worker_result&, std::string index) override { return write_packed_index(fd_, index); }

 private:
  int fd_;
};

}  // namespace

ports::worker_result create(const ports::worker_job& job, job_control& control) {
  auto to = open_local_target(job.create, control);
  if (!to) return failed_result(to.error());
  return create_into(**to, job, control);
}

int create_for_sender(const ports::worker_job& job, job_control& control, int fd) {
  piped_target to(fd);
  const auto out = create_into(to, job, control);
  const auto told = write_pack_end(fd, out);
  return told && out.ok() ? 0 : 1;
}

bounds create_bounds(const ports::worker_job& job) {
  bounds b;
  b.write = answer_directories(job);
  auto& read = b.read.emplace();
  for (const auto* path : {&job.file, &job.data_dir, &job.create.sign_key, &job.create.sign_password})
    if (path->starts_with('/')) read.push_back(*path);
  if (const auto place = file_source_path(job.create.target.url)) b.write.push_back(*place);
  return b;
}

}  // namespace hasup::snapshot
