#include "snapshot/fetch/seeding.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "snapshot/at_hand.hpp"
#include "snapshot/delta/content_chunker.hpp"
#include "snapshot/delta/frame_walk.hpp"
#include "snapshot/delta/missing_chunks.hpp"
#include "snapshot/delta/repacker.hpp"
#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t most_index = 12U << 20U;  // of most_chunks

constexpr std::uint64_t most_frame = 9U << 20U;  // more than the largest chunk can have

// What a node or an operator does with the disk meanwhile comes first.
class gentle_reading {
 public:
  gentle_reading() : before_(static_cast<int>(::syscall(SYS_ioprio_get, who_thread, 0))) {
    ::syscall(SYS_ioprio_set, who_thread, 0, best_effort | lowest);
  }
  gentle_reading(const gentle_reading&) = delete;
  gentle_reading& operator=(const gentle_reading&) = delete;
  ~gentle_reading() {
    if (before_ >= 0) ::syscall(SYS_ioprio_set, who_thread, 0, before_);
  }

 private:
  static constexpr int who_thread = 1, best_effort = 2 << 13, lowest = 7;
  int before_;
};

// Up to `size` bytes; less at the end of the file only.
outcome<std::size_t> read_at(int fd, std::uint64_t at, char* to, std::size_t size) {
  std::size_t got = 0;
  while (got < size) {
    const auto n = ::pread(fd, to + got, size - got, static_cast<off_t>(at + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read what is at hand", errno);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return got;
}

// Puts what the seeds have into the part file.
class filling {
 public:
  filling(missing_chunks& missing, part_file& part, job_control& control, const resume_note& note)
      : missing_(missing), part_(part), control_(control), note_(note) {}

  outcome<void> from_archive(int fd, std::uint64_t done) {
    frame_walk walk([fd](std::uint64_t at, char* to, std::size_t size) { return read_at(fd, at, to, size); },
                    std::min(missing_.largest_frame(), most_frame),
                    [fd](std::uint64_t at) {
                      const auto data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
                      if (data < 0 && errno == ENXIO) return static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_END));
                      return data < 0 ? at : static_cast<std::uint64_t>(data);
                    });
    while (!missing_.empty()) {
      const auto frame = walk.next();
      if (!frame || !*frame) return {};
      const auto bytes = (*frame)->bytes;
      if (missing_.wants_frame_of(bytes.size()))
        if (auto put = put_all(missing_.with_frame(bytes.size(), sha256_of(bytes)), bytes); !put) return put;
      if (auto on = go_on(done + walk.at()); !on) return on;
    }
    return {};
  }

  outcome<void> from_raw(int fd, std::uint64_t done, unsigned doublings) {
    std::vector<char> window((content_chunker::most << doublings) + read_step);
    content_chunker chunker(doublings);
    std::uint64_t read = 0;
    std::size_t filled = 0;
    unlike_ = 0;
    while (!missing_.empty() && !repacker_.hopeless() && unlike_ < most_unlike) {
      const auto kept = chunker.size();  // the beginning of the present chunk is at the window's
      const auto got = read_at(fd, read, window.data() + filled, window.size() - filled);
      if (!got) return {};
      read += *got;
      filled += *got;
      auto begin = std::size_t{0};
      for (auto at = kept; at < filled;) {
        const auto taken = chunker.take(window.data() + at, filled - at);
        at += taken.bytes;
        if (!taken.ends) continue;
        if (auto put = put_content({window.data() + begin, at - begin}); !put) return put;
        begin = at;
      }
      const bool ended = *got == 0;
      if (ended && begin < filled)
        if (auto put = put_content({window.data() + begin, filled - begin}); !put) return put;
      if (auto on = go_on(done + read); !on) return on;
      if (ended) return {};
      std::copy(window.begin() + static_cast<std::ptrdiff_t>(begin),
                window.begin() + static_cast<std::ptrdiff_t>(filled), window.begin());
      filled -= begin;
    }
    return {};
  }

 private:
  static constexpr std::size_t read_step = 1U << 20U;
  // So much of a file without a single find, and the rest is not read: the node is down meanwhile.
  static constexpr std::uint64_t most_unlike = std::uint64_t{8} << 30U;

  outcome<void> put_content(std::string_view content) {
    unlike_ += content.size();
    if (!missing_.wants_content_of(content.size())) return {};
    const auto wanted = missing_.with_content(content.size(), sha256_of(content));
    if (wanted.empty()) return {};
    unlike_ = 0;
    const auto& first = missing_.at(wanted.front());
    const auto frame = repacker_.frame_of(content, first);
    return frame ? put_all(missing_.with_frame(frame->size(), first.packed_digest), *frame) : outcome<void>();
  }

  outcome<void> put_all(const std::vector<missing_chunks::id>& ids, std::string_view frame) {
    for (const auto id : ids) {
      if (auto put = part_.seed(missing_.place_of(id).first, frame.data(), frame.size()); !put) return put;
      missing_.found(id);
    }
    return {};
  }

  outcome<void> go_on(std::uint64_t done) {
    if (control_.cancelled()) return cancelled();
    control_.advance(done);
    return part_.checkpoint(note_);
  }

  missing_chunks& missing_;
  part_file& part_;
  job_control& control_;
  const resume_note& note_;
  repacker repacker_;
  std::uint64_t unlike_ = 0;  // bytes of the present raw file since its last find
};

std::string hex(const chunk_digest& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const auto byte : digest) {
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

bool begins_as_zstd(const outcome<base::unique_fd>& fd) {
  std::array<char, 4> magic{};
  return fd && ::pread(fd->get(), magic.data(), magic.size(), 0) == 4 && is_frame_magic(magic);
}

bool is_side_note(std::string_view name) {
  return name.ends_with(".seal") || name.ends_with(".resume") || name.ends_with(".tmp");
}

}  // namespace

bool seeding::no_use(std::string why) {
  if (!why.empty()) why_ = "what is at hand of " + snapshot_.name + " is not used: " + why;
  return false;
}

void seeding::add(std::string path, std::function<outcome<base::unique_fd>()> open, bool raw) {
  const auto fd = open();
  struct stat st {};
  if (!fd || ::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (size < (raw ? content_chunker::least : 1)) return;
  seeds_.push_back({std::move(path), std::move(open), size, raw});
}

// Archives first: what they have needs only be copied.
void seeding::collect() {
  constexpr int flags = O_RDONLY | O_NONBLOCK;
  const auto cached = list_names(tree_.own(), "cache");
  if (cached) {
    for (const auto& name : *cached) {
      if (is_side_note(name) || name == snapshot_.name + ".part") continue;
      const auto path = "cache/" + name;
      add(
          path, [own = tree_.own(), path] { return open_beneath(own, path, flags); }, false);
    }
  }
  for (const auto& path : job_.seeds) {
    const auto open = [path]() -> outcome<base::unique_fd> {
      base::unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC));
      if (!fd) return system_failure("open " + path, errno);
      return fd;
    };
    add(path, open, !begins_as_zstd(open()));
  }
  if (archive_ >= job_.plan.archives.size()) return;
  for (const auto& path : files_at_hand(tree_.root(), job_.plan.archives[archive_].at_hand, job_.keep))
    add(
        path, [root = tree_.root(), path] { return open_beneath(root, path, flags, mounts::cross); }, true);
}

// True when it is about the archive that is wanted.
bool seeding::read_index(remote_client& host, const std::string& url, const std::string& digest) {
  const auto place = url == snapshot_.url ? snapshot_.chunks
                                          : url.substr(0, url.find_first_of("?#")) + std::string(chunk_index_suffix);
  std::string text;
  text.reserve(most_index + 1);  // in one go: growing it would need twice as much for a moment
  const auto answer = host.get(place, text, most_index);
  if (!answer) return no_use(answer.error().message);
  if (answer->status == 404 || answer->status == 410) return no_use();
  if (answer->status != 200)
    return no_use(without_password(place) + ": HTTP status " + std::to_string(answer->status));
  auto index = read_chunk_index(text);
  if (!index) return no_use(without_password(place) + ": " + index.error().message);
  std::uint64_t total = 0;
  for (const auto& c : index->chunks) total += c.packed;
  const bool other_digest = digest.starts_with("sha256:") && digest != "sha256:" + hex(index->archive);
  if (other_digest || (snapshot_.size && *snapshot_.size != total))
    return no_use(without_password(place) + " is about another archive; make it anew, or remove it");
  total_ = total;
  index_ = std::move(*index);
  return true;
}

outcome<std::optional<seeding::version>> seeding::prepare(remote_client& host, const std::string& url,
                                                          const std::string& digest) {
  const std::optional<version> none;
  if (snapshot_.chunks.empty() || file_source_path(url)) return none;  // what is on this machine is only copied
  collect();
  if (seeds_.empty()) return none;
  const asked_together one_patience(host);  // an index that comes too slowly is done without
  if (!read_index(host, url, digest)) return control_.cancelled() ? outcome<decltype(none)>(cancelled()) : none;
  const auto answer = host.look_at(url);
  if (control_.cancelled()) return cancelled();
  version out{total_, ""};
  if (answer && answer->status == 200) {
    out.validator = validator_of(*answer);
    if (answer->length && *answer->length > 0 && *answer->length != total_) {  // some hosts say 0 to any HEAD
      no_use("the index of its chunks is about another archive");
      return none;
    }
    if (!answer->accepts_ranges && !url.starts_with("sftp://")) {
      no_use("the host gives no parts of a file (it does not answer with Accept-Ranges: bytes)");
      return none;
    }
  }
  if (digest.empty() && out.validator.empty()) {
    const auto why = !answer                 ? answer.error().message
                     : answer->status != 200 ? status_text(*answer)
                                             : "the host tells neither ETag nor Last-Modified";
    no_use("there is no checksum of it, and " + why);
    return none;
  }
  return std::optional<version>(std::move(out));
}

outcome<void> seeding::fill(part_file& part, const resume_note& note) {
  const gentle_reading gently;
  part.seeds_are_of(hex(index_.archive));
  const auto doublings = index_.doublings;
  missing_chunks missing(std::move(index_), part.have());
  filling fill(missing, part, control_, note);
  std::uint64_t total = 0;
  for (const auto& s : seeds_) total += s.size;
  control_.begin("seed", snapshot_.name, "", total);
  std::uint64_t done = 0;
  for (const auto& s : seeds_) {
    if (missing.empty()) break;
    const auto fd = s.open();
    if (!fd) continue;
    ::posix_fadvise(fd->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    auto filled = s.raw ? fill.from_raw(fd->get(), done, doublings) : fill.from_archive(fd->get(), done);
    if (!filled) return filled;
    done += s.size;
  }
  part.seeds_are_done();
  seeds_.clear();
  return {};
}

}  // namespace hasup::snapshot
