// SFTP: the archive grows as NAME.part, piece after piece, and is renamed when it is whole.
#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "snapshot/fetch/curl_transfer.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/publication.hpp"
#include "snapshot/send/place_lock.hpp"
#include "snapshot/send/remote_place.hpp"
#include "snapshot/send/sftp_commands.hpp"
#include "snapshot/sftp_listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t text_limit = 64U << 20;
constexpr const char* aside_suffix = ".replaced.part";
constexpr unsigned most_lost_locks = 3;  // by one that took so long that others thought it dead

// Of one holder of a lock.
std::string new_token() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::random_device random;
  std::string out;
  while (out.size() < lock_token_size) out += digits[random() % digits.size()];
  return out;
}

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
  sftp_place(const ports::create_order& order, job_control& control, patience p)
      : remote_place(control),
        order_(order),
        told_(control),
        client_(this->control(), p, order.target),
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
    // What was killed between its two renames has left the old one aside; what is not there either may have come back
    // meanwhile, as another's two renames are over.
    for (const auto& at : {name, name + aside_suffix, name}) {
      std::string body;
      auto answer = client_.get(dir_ + percent_encode(at), body, text_limit);
      if (!answer) return answer.error();
      if (answer->status == 200) return std::optional<std::string>(std::move(body));
      if (answer->status != 404) return refused(at, "may not be read");
    }
    return std::optional<std::string>{};
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
    for (unsigned again = 0;; ++again) {
      const held_lock lock{lock_of(name), new_token()};
      if (auto taken = take(lock); !taken) {
        if (control().cancelled())  // whatever it was about to make
          clean_up({"*rmdir " + quoted(probe_of(lock.name)), "*rmdir " + quoted(lock.inside()),
                    "rmdir " + quoted(lock.name)});
        return taken;
      }
      auto edited = edit_under(lock, name, how);
      const bool lost = !edited && !control().cancelled() && !is_held(lock);
      let_go(lock);
      if (edited || !lost || again == most_lost_locks) return edited;
    }
  }

  outcome<void> remove(const std::string& name) override { return commands({"*rm " + quoted(name)}); }

  // Before hours of packing it is known whether the manifest can be locked.
  outcome<void> begin() override {
    if (auto sent = send(part(), 0, {}); !sent) return sent;
    const auto lock = lock_of(manifest_name);
    if (auto can = directories_can_be_made(lock); !can) return can;
    if (is_a_file(lock)) return file_in_the_way(lock);
    return {};
  }

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
    clean_up({"*rm " + quoted(part()), "*rmdir " + quoted(probe_of(lock_of(manifest_name)))});
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

  static std::string lock_of(const std::string& name) { return name + ".lock"; }

  struct held_lock {
    std::string name, token;
    [[nodiscard]] std::string inside() const { return name + "/" + token; }
    // There for a moment while the holder makes sure of it.
    [[nodiscard]] std::string proof() const { return inside() + "/held"; }
    // Of what is written under it: each writer has his own.
    [[nodiscard]] std::string part_of(const std::string& file) const { return file + "." + token + ".part"; }
  };

  // Nothing: there is no lock.
  outcome<std::optional<lock_holders>> holders_of(const std::string& lock) {
    const asked_together one_patience(client_);
    std::string inside;
    auto there = client_.get(dir_ + percent_encode(lock) + "/", inside);
    if (!there) return there.error();
    if (there->status == 404) return std::optional<lock_holders>{};
    if (there->status != 200) return std::optional(lock_holders{"?"});  // somebody else's, who shows it to nobody
    return std::optional(holders_in(inside));
  }

  bool is_held(const held_lock& lock) {
    const auto by = holders_of(lock.name);
    return by && *by && std::find((*by)->begin(), (*by)->end(), lock.token) != (*by)->end();
  }

  // For the head of a list of commands, of which the first that fails ends all: who has lost the lock does no more.
  [[nodiscard]] std::vector<std::string> proof_of(const held_lock& lock) const {
    const auto proof = quoted(lock.proof());
    return {"*rmdir " + proof, "mkdir " + proof, "rmdir " + proof};
  }

  void let_go(const held_lock& lock) {
    clean_up({"*rmdir " + quoted(lock.proof()), "rmdir " + quoted(lock.inside()), "rmdir " + quoted(lock.name)});
  }

  // Of a run that is cancelled too.
  void clean_up(const std::vector<std::string>& all) {
    const time_to_clean_up goes_on(*this);
    (void)commands(all);
  }

  // Waits until it is this run's.
  outcome<void> take(const held_lock& lock) {
    using verdict = lock_watch::verdict;
    constexpr unsigned enough = 3, most_in_vain = 4;
    lock_watch watch(attempts::clock::now(), client_.limits().longest);
    bool told = false;
    for (unsigned nowhere = 0, in_vain = 0;;) {
      const auto made = commands({"mkdir " + quoted(lock.name)});
      if (made && claim(lock)) return {};
      if (control().cancelled()) return cancelled();
      const auto by = holders_of(lock.name);
      if (!by) return by.error();
      const auto now = attempts::clock::now();
      const auto next = *by ? watch.seen(**by, now) : watch.gone(now);
      if (next == verdict::late)
        return not_taken(lock.name, "others hold it all the time; run it again when they are done");
      if (next == verdict::stuck)
        return not_taken(lock.name,
                         "nobody lets go of it, and it cannot be removed; when no other run is at work, remove "
                         "that directory");
      if (next == verdict::break_it) {
        break_open(lock.name, **by);
        if (control().cancelled()) return cancelled();
      }
      if (*by) {
        nowhere = in_vain = 0;
        if (!std::exchange(told, true)) told_.begin("wait", lock.name, without_password(dir_), std::nullopt);
      } else if (++nowhere < enough) {
        continue;  // who held it has just let go
      } else {
        nowhere = 0;
        if (auto can = directories_can_be_made(lock.name); !can) return can;
        if (is_a_file(lock.name)) return file_in_the_way(lock.name);
        if (!made && ++in_vain == most_in_vain)
          return not_taken(lock.name, "it is a directory, and it cannot be made (" + made.error().message + ")");
      }
      if (!client_.pause(client_.pause_before(1))) return cancelled();
    }
  }

  // LOCK was made by this run, which is not enough: while it was empty another may have taken it for a dead one's,
  // and a third have made it anew. Who finds his token alone there has it.
  bool claim(const held_lock& lock) {
    if (commands({"mkdir " + quoted(lock.inside())})) {
      const auto by = holders_of(lock.name);
      if (by && *by == lock_holders{lock.token}) return true;
    }
    if (!control().cancelled()) (void)commands({"*rmdir " + quoted(lock.inside()), "rmdir " + quoted(lock.name)});
    return false;
  }

  // Of those who see that it is a dead one's, one alone gets past each of the commands.
  void break_open(const std::string& lock, const lock_holders& by) {
    std::vector<std::string> all;
    const auto file = lock.substr(0, lock.rfind('.'));
    for (const auto& token : by) {
      if (!is_lock_token(token)) continue;
      const held_lock dead{lock, token};
      all.push_back("*rmdir " + quoted(dead.proof()));
      all.push_back("rmdir " + quoted(dead.inside()));
      all.push_back("*rm " + quoted(dead.part_of(file)));
    }
    all.push_back("rmdir " + quoted(lock));
    (void)commands(all);
  }

  // One name for all, so that what a killed run left of it is taken away by the next one.
  static std::string probe_of(const std::string& lock) { return lock + ".probe"; }

  // Two runs that try it at the same time are in each other's way: what is refused again and again in the same manner
  // is not another's doing.
  outcome<void> directories_can_be_made(const std::string& lock) {
    constexpr unsigned enough = 4;
    const auto probe = quoted(probe_of(lock));
    const std::vector<std::string> all{"*rmdir " + probe, "mkdir " + probe, "rmdir " + probe};
    failure last;
    bool was_there = false;
    unsigned refused = 0;
    for (attempts tries(client_); refused < enough && tries.next();) {
      const auto end = carry_out(all);
      if (control().cancelled()) return cancelled();
      if (is_done(end)) return {};
      last = failure_of(end, all);
      if (end.permanent) return last;
      if (!end.refused) {
        refused = 0;
        continue;
      }
      const auto by = holders_of(probe_of(lock));
      if (!by) return by.error();
      const bool is_there = by->has_value();
      if (!is_there && failed_command(all, end.error) == all.back()) return {};  // another has removed it
      refused = is_there == was_there ? refused + 1 : 1;
      was_there = is_there;
    }
    if (control().cancelled()) return cancelled();
    if (refused == 0) return last;
    if (was_there)
      return not_taken(lock, "it is a directory, and " + probe_of(lock) +
                                 ", which was made to try that, cannot be removed again (" + last.message +
                                 "); let the host's user remove directories, and remove that one");
    return not_taken(
        lock, "it is a directory, and none can be made there (" + last.message + "); let the host's user make some");
  }

  // One look tells it: size and kind asked one after the other may be those of a lock that came and went meanwhile.
  bool is_a_file(const std::string& name) {
    const asked_together one_patience(client_);
    std::string lines;
    const auto answer = client_.get(dir_, lines, text_limit);
    if (!answer || answer->status != 200) return false;
    const auto files = parse_sftp_listing(lines, dir_, std::chrono::system_clock::now(), listed::everything);
    return files && std::any_of(files->begin(), files->end(), [&](const auto& f) { return f.name == name; });
  }

  [[nodiscard]] failure file_in_the_way(const std::string& lock) const {
    return not_taken(lock, "it is a directory, and what has that name there is a file or a link; remove it");
  }

  [[nodiscard]] failure not_taken(const std::string& lock, const std::string& why) const {
    return refused(lock, "is the lock of the file that hosts write together: " + why);
  }

  outcome<void> edit_under(const held_lock& lock, const std::string& name, const change& how) {
    const auto now = changed(name, how);
    if (!now) return now.error();
    if (!*now) return {};
    const auto part = lock.part_of(name);
    auto edited = send(part, 0, **now);
    if (edited) edited = rename(part, name, true, &lock);
    if (!edited) {
      clean_up({"*rm " + quoted(part)});
    }
    return edited;
  }

  outcome<std::optional<std::uint64_t>> size_of(const std::string& name) {
    const asked_together one_patience(client_);
    auto answer = client_.head(dir_ + percent_encode(name));
    if (!answer) return answer.error();
    if (answer->status == 404) return std::optional<std::uint64_t>{};
    if (answer->status != 200 || !answer->length) return refused(name, "may not be looked at on the host");
    return answer->length;
  }

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
      const auto begun = attempts::clock::now();
      const auto end = send_once(name, first, bytes.substr(first - offset), until);
      if (control().cancelled()) return cancelled();
      if (end.error.empty() && end.whole && end.answer.status < 300) return {};
      last = end.error.empty() ? "the host's user may not write there" : end.error;
      if (end.permanent || end.error.empty()) break;
      if (end.uploaded > 0) tries.not_counted(attempts::clock::now() - begun);
    }
    if (control().cancelled()) return cancelled();
    return failure{ports::worker_failure::unreachable, without_password(dir_) + name + ": " + last};
  }

  // libcurl has no posix-rename@openssh.com, and SFTP's rename never replaces: the old file steps aside for the
  // moment between two renames, which deleting a large one would make long, and comes back when the new one cannot
  // have its name. `under`: only while that lock is held, which who breaks it and who makes sure of it cannot both
  // do.
  outcome<void> rename(const std::string& from, const std::string& to, bool replace,
                       const held_lock* under = nullptr) {
    const auto move = "rename " + quoted(from) + " " + quoted(to);
    if (!replace) {
      auto moved = commands({move});
      return moved || !is_gone(from) ? moved : outcome<void>{};
    }
    const auto aside = quoted(to + aside_suffix);
    auto all = under != nullptr ? proof_of(*under) : std::vector<std::string>();
    auto back = all;
    // What a killed run left aside is in the way only while the name itself is there too.
    auto there = size_of(to);
    if (there && *there) all.push_back("*rm " + aside);
    all.push_back("*rename " + quoted(to) + " " + aside);
    all.push_back(move);
    auto moved = commands(all);
    if (!moved) {
      back.push_back("*rename " + aside + " " + quoted(to));
      clean_up(back);
      // Of an edit nothing says whose it is: who breaks a lock removes `from` as well.
      if (under != nullptr || !is_gone(from)) return moved;
    }
    if (control().cancelled())
      clean_up({"*rm " + aside});
    else
      (void)commands({"*rm " + aside});
    return {};
  }

  // The connection may break, and the job be cancelled, when the host has renamed it and did not say so yet.
  bool is_gone(const std::string& from) {
    const time_to_clean_up goes_on(*this);
    const auto size = size_of(from);
    return size && !*size;
  }

  remote_client::download_end carry_out(const std::vector<std::string>& all) {
    auto t = transfer(dir_, 0, attempts::clock::now() + client_.limits().longest);
    header_lines lines;
    for (const auto& one : all) add_line(lines, one);
    curl_easy_setopt(t->curl(), CURLOPT_QUOTE, lines.get());
    curl_easy_setopt(t->curl(), CURLOPT_NOBODY, 1L);
    auto end = t->run();
    curl_easy_setopt(t->curl(), CURLOPT_QUOTE, nullptr);
    return end;
  }

  static bool is_done(const remote_client::download_end& end) { return end.error.empty() && end.answer.status < 300; }

  [[nodiscard]] failure failure_of(const remote_client::download_end& end,
                                   const std::vector<std::string>& all) const {
    const auto why = end.error.empty() ? "the host refuses" : end.error;
    const auto command = failed_command(all, why);
    return {ports::worker_failure::unreachable,
            without_password(dir_) + ": " + why + (command.empty() ? "" : " (" + command + ")")};
  }

  outcome<void> commands(const std::vector<std::string>& all) {
    const auto end = carry_out(all);
    if (control().cancelled()) return cancelled();
    if (is_done(end)) return {};
    return failure_of(end, all);
  }

  const ports::create_order& order_;
  job_control& told_;  // how far it is
  remote_client client_;
  std::shared_ptr<CURL> curl_;
  std::string dir_;
};

}  // namespace

outcome<std::unique_ptr<remote_place>> open_sftp_place(const ports::create_order& order, job_control& control,
                                                       patience p) {
  return std::unique_ptr<remote_place>(std::make_unique<sftp_place>(order, control, p));
}

}  // namespace hasup::snapshot
