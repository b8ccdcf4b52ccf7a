// SFTP: the archive grows as NAME.part, piece after piece, and is renamed when it is whole.
#include <array>
#include <chrono>
#include <thread>

#include "snapshot/fetch/curl_transfer.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/send/remote_place.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t text_limit = 64U << 20;
constexpr const char* aside_suffix = ".replaced.part";

// What libcurl reads from while it uploads.
struct upload {
  std::string_view left;
};

std::size_t on_read(char* into, std::size_t size, std::size_t count, void* user) {
  auto& from = *static_cast<upload*>(user);
  const auto n = from.left.copy(into, size * count);
  from.left.remove_prefix(n);
  return n;
}

// It begins with the bytes that are still to be sent: there is nothing to skip.
int on_seek(void*, curl_off_t, int) {
  return CURL_SEEKFUNC_OK;
}

class sftp_place : public remote_place {
 public:
  sftp_place(const ports::create_order& order, const job_control& control, patience p)
      : order_(order),
        control_(control),
        client_(control, p, order.target),
        curl_(curl_easy_init(), &curl_easy_cleanup) {
    dir_ = order.target.url;
    if (!dir_.ends_with('/')) dir_ += '/';
  }

  outcome<bool> has(const std::string& name) override {
    auto size = size_of(name);
    if (!size) return size.error();
    return size->has_value();
  }

  outcome<std::optional<std::string>> text_of(const std::string& name) override {
    const asked_together one_patience(client_);
    std::string body;
    auto answer = client_.get(dir_ + percent_encode(name), body, text_limit);
    if (!answer) return answer.error();
    if (answer->status == 404) {
      // What was killed between its two renames has left the old one aside.
      body.clear();
      answer = client_.get(dir_ + percent_encode(name + aside_suffix), body, text_limit);
      if (!answer) return answer.error();
      if (answer->status == 404) return std::optional<std::string>{};
    }
    if (answer->status != 200) return refused(name, "may not be read");
    return std::optional<std::string>(std::move(body));
  }

  outcome<void> put(const std::string& name, std::string_view text) override {
    const auto part = name + ".part";
    if (auto sent = send(part, 0, text); !sent) return sent;
    return rename(part, name, true);
  }

  outcome<void> edit(const std::string& name, const change& how) override {
    const auto before = changed(name, how);
    if (!before) return before.error();
    if (!*before) return {};
    const auto lock = name + ".lock";
    auto locked = take(lock);
    if (!locked) return locked.error();
    const auto now = changed(name, how);
    auto edited = !now ? outcome<void>(now.error()) : *now ? put(name, **now) : outcome<void>();
    if (*locked) (void)commands({"*rmdir " + quoted(lock)});
    return edited;
  }

  outcome<void> remove(const std::string& name) override { return commands({"*rm " + quoted(name)}); }

  outcome<void> begin() override { return send(part(), 0, {}); }

  outcome<void> piece(unsigned, std::uint64_t offset, std::string_view bytes) override {
    return send(part(), offset, bytes);
  }

  outcome<void> publish(std::uint64_t size) override {
    // Servers append, so what a lost connection brought twice makes it longer.
    auto there = size_of(part());
    if (!there) return there.error();
    if (*there != size)
      return failure{ports::worker_failure::unreachable,
                     url() + ".part has " + (*there ? std::to_string(**there) : std::string("no")) +
                         " bytes on the host, and " + std::to_string(size) +
                         " were sent: the connection broke at a bad moment; run it again"};
    return rename(part(), order_.name, order_.replace);
  }

  void abandon() override {
    const auto goes_on = time_to_clean_up();
    abandoning_ = &goes_on;
    (void)commands({"*rm " + quoted(part())});
    abandoning_ = nullptr;
  }

  [[nodiscard]] std::string url() const override { return without_password(dir_) + percent_encode(order_.name); }

 private:
  [[nodiscard]] std::string part() const { return order_.name + ".part"; }

  // A path for a command: as the host sees it, what is below "/~/" from the home directory on.
  [[nodiscard]] std::string quoted(const std::string& name) const {
    const auto from = dir_.find('/', dir_.find("://") + 3);
    auto path = percent_decode(dir_.substr(from)) + name;
    if (path.starts_with("/~/")) path.erase(0, 3);
    std::string out = "\"";
    for (const char c : path) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  }

  [[nodiscard]] failure refused(const std::string& name, const std::string& why) const {
    return {ports::worker_failure::unreachable, without_password(dir_) + name + " " + why};
  }

  outcome<std::optional<std::string>> changed(const std::string& name, const change& how) {
    auto text = text_of(name);
    if (!text) return text.error();
    return how(text->value_or(""));
  }

  // A directory can be made by one alone, so it is a lock. What a killed run has left of it is taken away when it was
  // there all the time of a patience, by this clock: who edits needs a moment. False: none can be made there.
  outcome<bool> take(const std::string& lock) {
    constexpr unsigned refusals = 3;
    using clock = attempts::clock;
    auto abandoned = clock::now() + client_.limits().longest;
    for (unsigned refused = 0;;) {
      if (commands({"mkdir " + quoted(lock)})) return true;
      const asked_together one_patience(client_);
      std::string inside;
      auto there = client_.get(dir_ + percent_encode(lock) + "/", inside);
      if (!there) return there.error();
      if (there->status != 200 && ++refused == refusals) return false;
      if (there->status == 200 && clock::now() >= abandoned) {
        (void)commands({"*rmdir " + quoted(lock)});
        abandoned = clock::now() + client_.limits().longest;
        continue;
      }
      for (const auto until = clock::now() + client_.pause_before(1); clock::now() < until;) {
        if (control().cancelled()) return cancelled();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  outcome<std::optional<std::uint64_t>> size_of(const std::string& name) {
    const asked_together one_patience(client_);
    auto answer = client_.head(dir_ + percent_encode(name));
    if (!answer) return answer.error();
    if (answer->status == 404) return std::optional<std::uint64_t>{};
    if (answer->status != 200 || !answer->length) return refused(name, "may not be looked at on the host");
    return answer->length;
  }

  const job_control& control() const { return abandoning_ != nullptr ? *abandoning_ : control_; }

  using time = attempts::clock::time_point;

  // A host that has let in and answers nothing any more is no stall to libcurl, so each transfer has an end.
  std::unique_ptr<curl_transfer> transfer(const std::string& url, std::uint64_t first, time until) {
    remote_client::download to;
    to.data = [](const char*, std::size_t) { return true; };
    auto t = std::make_unique<curl_transfer>(curl_, control(), std::move(to));
    t->prepare(url, client_.limits());
    t->prepare_sftp(order_.target, first);
    t->end_at(until);
    return t;
  }

  // One attempt.
  remote_client::download_end send_once(const std::string& name, std::uint64_t first, std::string_view bytes,
                                        time until) {
    auto t = transfer(dir_ + percent_encode(name), first, until);
    upload from{bytes};
    curl_easy_setopt(t->curl(), CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(t->curl(), CURLOPT_FTP_CREATE_MISSING_DIRS, 1L);
    curl_easy_setopt(t->curl(), CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(t->curl(), CURLOPT_READFUNCTION, &on_read);
    curl_easy_setopt(t->curl(), CURLOPT_READDATA, &from);
    curl_easy_setopt(t->curl(), CURLOPT_SEEKFUNCTION, &on_seek);
    return t->run();
  }

  // The bytes from `offset` on; what a broken attempt brought is not sent again.
  outcome<void> send(const std::string& name, std::uint64_t offset, std::string_view bytes) {
    const auto until = client_.end_of_sending(bytes.size());
    std::string last;
    std::uint64_t first = offset;
    bool again = false;
    for (attempts tries(client_); attempts::clock::now() < until && tries.next(); again = true) {
      if (again && offset > 0) {
        auto there = size_of(name);
        if (!there) return there.error();
        if (!*there || **there < offset || **there > offset + bytes.size())
          return refused(name, "is not what was sent so far: somebody else writes it");
        if (**there > first) tries.progressed();
        first = **there;
      }
      const auto end = send_once(name, first, bytes.substr(first - offset), until);
      if (control().cancelled()) return cancelled();
      if (end.error.empty() && end.whole && end.answer.status < 300) return {};
      last = end.error.empty() ? "the host's user may not write there" : end.error;
      if (end.permanent || end.error.empty()) break;
    }
    if (control().cancelled()) return cancelled();
    return failure{ports::worker_failure::unreachable, without_password(dir_) + name + ": " + last};
  }

  // libcurl has no posix-rename@openssh.com, and SFTP's rename never replaces: the old file steps aside for the
  // moment between two renames, which deleting a large one would make long, and comes back when the new one cannot
  // have its name.
  outcome<void> rename(const std::string& from, const std::string& to, bool replace) {
    const auto move = "rename " + quoted(from) + " " + quoted(to);
    if (!replace) return commands({move});
    const auto aside = quoted(to + aside_suffix);
    // What a killed run left aside is in the way only while the name itself is there too.
    auto there = size_of(to);
    if (there && *there) (void)commands({"*rm " + aside});
    auto moved = commands({"*rename " + quoted(to) + " " + aside, move});
    if (!moved) {
      (void)commands({"*rename " + aside + " " + quoted(to)});
      return moved;
    }
    (void)commands({"*rm " + aside});
    return {};
  }

  outcome<void> commands(const std::vector<std::string>& all) {
    auto t = transfer(dir_, 0, attempts::clock::now() + client_.limits().longest);
    header_lines lines;
    for (const auto& one : all) add_line(lines, one);
    curl_easy_setopt(t->curl(), CURLOPT_QUOTE, lines.get());
    curl_easy_setopt(t->curl(), CURLOPT_NOBODY, 1L);
    const auto end = t->run();
    curl_easy_setopt(t->curl(), CURLOPT_QUOTE, nullptr);
    if (control().cancelled()) return cancelled();
    if (end.error.empty() && end.answer.status < 300) return {};
    return failure{ports::worker_failure::unreachable, without_password(dir_) + ": " +
                                                           (end.error.empty() ? "the host refuses" : end.error) +
                                                           " (" + all.back() + ")"};
  }

  const ports::create_order& order_;
  const job_control& control_;
  const job_control* abandoning_ = nullptr;
  remote_client client_;
  std::shared_ptr<CURL> curl_;
  std::string dir_;
};

}  // namespace

outcome<std::unique_ptr<remote_place>> open_sftp_place(const ports::create_order& order, const job_control& control,
                                                       patience p) {
  return std::unique_ptr<remote_place>(std::make_unique<sftp_place>(order, control, p));
}

}  // namespace hasup::snapshot
