#include "unit/classify.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "base/byte_size.hpp"

namespace hasup::unit {
namespace {

constexpr std::size_t longest_shown = 400;
constexpr std::size_t longest_quoted = 160;
constexpr std::string_view corrupted_state = "corrupted state";

// Without colours and the carriage return; "\x1b[31m" and the like would defeat anchored patterns.
std::string plain(std::string_view line) {
  std::string out;
  out.reserve(line.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      i += 2;
      while (i < line.size() && (line[i] < '@' || line[i] > '~')) ++i;
      continue;
    }
    if (line[i] == '\0' || line[i] == '\r') continue;
    out.push_back(line[i]);
  }
  return out;
}

std::vector<std::string> lines_of(std::string_view evidence) {
  if (evidence.size() > evidence_limit) evidence.remove_prefix(evidence.size() - evidence_limit);
  if (evidence.size() == evidence_limit) {
    const auto end = evidence.find('\n');
    evidence.remove_prefix(end == std::string_view::npos ? evidence.size() : end + 1);
  }
  std::vector<std::string> out;
  while (!evidence.empty()) {
    const auto end = evidence.find('\n');
    auto line = plain(evidence.substr(0, end));
    if (line.find_first_not_of(" \t") != std::string::npos) out.push_back(std::move(line));
    if (end == std::string_view::npos) break;
    evidence.remove_prefix(end + 1);
  }
  return out;
}

std::string shown(std::string_view line, std::size_t longest = longest_shown) {
  if (line.size() <= longest) return std::string(line);
  auto cut = longest;
  while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xc0U) == 0x80) --cut;  // not inside a UTF-8 character
  return std::string(line.substr(0, cut)) + "…";
}

RE2::Options quiet() {
  RE2::Options o(RE2::Quiet);
  o.set_max_mem(4 << 20);
  return o;
}

// The last matching line: it is nearest to the end of the run.
const std::string* last_match(const RE2& re, const std::vector<std::string>& lines) {
  if (!re.ok()) return nullptr;
  const auto it =
      std::find_if(lines.rbegin(), lines.rend(), [&](const std::string& l) { return RE2::PartialMatch(l, re); });
  return it == lines.rend() ? nullptr : &*it;
}

const std::string* last_match(const std::string& pattern, const std::vector<std::string>& lines) {
  return lines.empty() ? nullptr : last_match(RE2(pattern, quiet()), lines);
}

template <class List, class Value>
bool contains(const List& list, const std::optional<Value>& value) {
  return value && std::find(list.begin(), list.end(), *value) != list.end();
}

struct recipe_match {
  const model::exit_class* of = nullptr;
  const std::string* line = nullptr;
  bool log_alone = false;  // no exit code or signal spoke for it
  std::string grounds{};
};

// The conditions of a class that are asked: how many hold.
struct tally {
  unsigned asked = 0;
  unsigned held = 0;
  std::string grounds;  // those that hold and are no line, in words

  void ask(bool holds, std::string_view words = {}) {
    ++asked;
    if (!holds) return;
    ++held;
    if (words.empty()) return;
    grounds += grounds.empty() ? "" : ", ";
    grounds += words;
  }
  [[nodiscard]] bool matches(model::match_mode mode) const {
    return mode == model::match_mode::any ? held > 0 : asked > 0 && held == asked;
  }
};

void ask_circumstances(const model::exit_class& c, const run_facts& facts, tally& out) {
  const bool chosen = facts.asked_to_stop;
  const auto lived = chosen ? std::nullopt : facts.lived;
  const bool early = c.within && lived && *lived < *c.within;
  const bool late = c.after && lived && *lived >= *c.after;
  const auto when = early || late ? base::format_duration_rounded(*lived) + " after its start" : std::string{};
  if (c.within) out.ask(early, when);
  if (c.after) out.ask(late, early ? std::string{} : when);
  if (c.startup) {
    const bool wanted = *c.startup == model::startup_seen::passed;
    out.ask(!chosen && facts.startup == wanted, wanted ? "its startup had passed" : "its startup had not passed");
  }
  if (c.readiness) {
    const bool wanted = *c.readiness == model::readiness_seen::passed;
    out.ask(!chosen && facts.readiness == wanted, wanted ? "its readiness had passed" : "its readiness had failed");
  }
}

recipe_match match_recipe(const model::recipe& recipe, const model::exit_status& status,
                          const std::vector<std::string>& lines, const run_facts& facts) {
  for (const auto& c : recipe.classes) {
    tally asked;
    const bool by_status = contains(c.exit_codes, status.code) || contains(c.signals, status.signal);
    if (!c.exit_codes.empty() || !c.signals.empty()) asked.ask(by_status);
    const auto* line = c.log.empty() ? nullptr : last_match(c.log, lines);
    if (!c.log.empty()) asked.ask(line != nullptr);
    ask_circumstances(c, facts, asked);
    if (asked.matches(c.match)) return {&c, line, !by_status, asked.grounds};
  }
  return {};
}

exit_action action_of(model::class_action a) {
  switch (a) {
    case model::class_action::recover:
      return exit_action::recover;
    case model::class_action::restart:
      return exit_action::restart;
    case model::class_action::next_endpoint:
      return exit_action::next_endpoint;
    case model::class_action::hold:
      break;
  }
  return exit_action::hold;
}

std::optional<classification> disk_full(const model::exit_status& status, const std::vector<std::string>& lines,
                                        const run_facts& facts) {
  static const RE2 no_space("No space left on device|Disk quota exceeded|\\bENOSPC\\b", quiet());
  const auto* line = last_match(no_space, lines);
  if (line == nullptr && !facts.disk_full) return std::nullopt;
  classification c{"disk full", exit_action::hold, line ? shown(*line) : std::string{},
                   "free space where the unit's data is, then start it again"};
  c.by_line = line != nullptr;
  if (line == nullptr) c.grounds = "nothing was free where its data is";
  if (status.signal == SIGBUS) c.advice = "a write into a mapped file found no space: " + c.advice;
  return c;
}

classification of_line(std::string name, exit_action action, const std::string& line, std::string advice) {
  classification c{std::move(name), action, shown(line), std::move(advice)};
  c.by_line = true;
  return c;
}

std::optional<classification> port_in_use(const std::vector<std::string>& lines) {
  static const RE2 port("(?i)address already in use|\\bEADDRINUSE\\b", quiet());
  const auto* l = last_match(port, lines);
  if (l == nullptr) return std::nullopt;
  return of_line("port in use", exit_action::restart, *l, "another program listens there: `ss -ltnp` names it");
}

// What a start that had not passed can fail of without any damage to the state.
std::optional<classification> failed_start_cause(const std::vector<std::string>& lines) {
  static const RE2 permission("(?i)permission denied|\\bEACCES\\b", quiet());
  static const RE2 memory("(?i)\\bbad_alloc\\b|cannot allocate memory|\\bout of memory\\b", quiet());
  if (const auto* l = last_match(permission, lines))
    return of_line("permission denied", exit_action::hold, *l,
                   "check owner and mode of the named file against run.user of the unit");
  if (auto c = port_in_use(lines)) return c;
  if (const auto* l = last_match(memory, lines))
    return of_line("out of memory", exit_action::restart, *l, "give the machine or the unit more memory");
  return std::nullopt;
}

// The databases' own words. A peer may have written them, too: so it is a name for what nobody explains, and no more.
std::optional<classification> damaged_database(const std::vector<std::string>& lines) {
  static const RE2 words(
      "\\bCorruption: |\\bMDBX?_(?:CORRUPTED|PAGE_NOTFOUND)\\b|database disk image is malformed|"
      "file is not a database|database dirty flag set|(?i:\\bchecksum mismatch\\b|"
      "\\bcorrupt(?:ed)? (?:block |chain |state )?(?:database|db)\\b|"
      "\\b(?:database|db) (?:is |file is )?corrupt(?:ed)?\\b)",
      quiet());
  const auto* l = last_match(words, lines);
  if (l == nullptr) return std::nullopt;
  return of_line(std::string(corrupted_state), exit_action::unexplained, *l,
                 "what it keeps on the disk is damaged; with [recovery] a snapshot replaces it, else bring a backup");
}

// Signals that come from outside the program: nobody learns anything about its state from them.
bool sent_from_outside(int signal) {
  switch (signal) {
    case SIGKILL:
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
    case SIGQUIT:
    case SIGPIPE:
    case SIGXCPU:
    case SIGXFSZ:
      return true;
    default:
      return false;
  }
}

// Nobody learns anything about the state from it.
std::optional<classification> out_of_memory(const model::exit_status& status, const run_facts& facts) {
  if (facts.oom_kills == 0 || status.signal != SIGKILL) return std::nullopt;
  classification c{"out of memory", exit_action::restart, {}, {}};
  c.advice = facts.memory_max > 0
                 ? "the kernel killed it at memory_max = " + base::format_byte_size(facts.memory_max) +
                       "; raise that, or let memory_restart end it in order before"
                 : "the kernel killed it because the machine was out of memory; give it more, or less to do";
  return c;
}

// A SIGKILL that hasup did not send, and the kernel's killer was at work: evidence, no proof. A long run may have
// seen the killing of another process and, much later, a kill by hand.
std::optional<classification> likely_out_of_memory(const model::exit_status& status, const run_facts& facts) {
  const auto kills = facts.machine_oom_kills.value_or(0);
  if (status.signal != SIGKILL || facts.kill_sent || facts.killed_by_hasup || kills == 0) return std::nullopt;
  classification c{"probably out of memory", exit_action::restart, {}, {}};
  c.grounds = (kills == 1 ? std::string("the kernel killed a process of this machine")
                          : "the kernel killed " + std::to_string(kills) + " processes of this machine") +
              " for want of memory while it ran; nothing proves that it was this one";
  c.advice = "`dmesg` or `journalctl -k` names what was killed; give the machine more memory, or less to do";
  return c;
}

// Whatever else can cut a mapped file short, this is what a full disk looks like from inside: no reason to wipe, and
// none to try the next snapshot.
std::optional<classification> likely_disk_full(const model::recipe* recipe, const model::exit_status& status) {
  if (recipe == nullptr || status.signal != SIGBUS) return std::nullopt;
  classification c{"probably a full disk under a mapped file", exit_action::hold, {}, {}};
  c.advice =
      "free space where the unit's data is, then start it again; with space to spare, a file that it maps was cut "
      "short or cannot be read (`dmesg` tells of the disk): `hasup recover` replaces its state";
  return c;
}

std::string who_sends_sigkill(const run_facts& facts) {
  if (facts.kill_sent) return {};
  if (!facts.machine_oom_kills) return "often the kernel's out-of-memory killer: `dmesg` tells";
  return "the kernel did not kill it for want of memory: a person, a program such as systemd-oomd, or a hard limit "
         "did";
}

classification by_status(const model::exit_status& status, const std::vector<std::string>& lines,
                         const run_facts& facts) {
  classification c;
  if (!lines.empty()) c.evidence = shown(lines.back());
  if (status.lost()) {
    c.name = "lost";
    c.action = exit_action::restart;
    c.advice = "nobody saw how it ended";
  } else if (status.signal) {
    c.name = "killed by signal " + std::to_string(*status.signal);
    if (sent_from_outside(*status.signal)) c.action = exit_action::restart;
    if (*status.signal == SIGKILL) c.advice = who_sends_sigkill(facts);
    if (*status.signal == SIGBUS) c.advice = "often a full disk under a mapped file";
  } else if (status.code == 0 && facts.startup_passed) {
    c.name = "clean exit";
    c.action = exit_action::restart;
  }
  return c;
}

}  // namespace

classification classify(const model::recipe* recipe, const model::exit_status& status, std::string_view evidence,
                        const run_facts& facts) {
  if (auto killed = out_of_memory(status, facts)) return *killed;
  const auto lines = lines_of(evidence);
  const auto full = disk_full(status, lines, facts);
  const auto no_memory = likely_out_of_memory(status, facts);
  const auto cause = facts.startup_passed ? std::nullopt : failed_start_cause(lines);

  if (recipe != nullptr) {
    if (const auto m = match_recipe(*recipe, status, lines, facts); m.of != nullptr) {
      classification c{m.of->name,
                       action_of(m.of->action),
                       m.line ? shown(*m.line) : std::string{},
                       m.of->advice,
                       m.grounds,
                       m.line != nullptr,
                       m.of->upstream};
      const bool from_outside = m.log_alone && status.signal && sent_from_outside(*status.signal);
      if (c.action == exit_action::next_endpoint && (facts.asked_to_stop || no_memory || from_outside))
        c.action = exit_action::restart;
      // An orderly end that was asked for has no other reason.
      if (c.action == exit_action::restart && facts.asked_to_stop && status.code == 0)
        return {"stopped", c.action, c.evidence, {}};
      if (c.action != exit_action::recover) return c;
      if (facts.asked_to_stop) {
        c.action = exit_action::restart;
        return c;
      }
      if (full) {
        auto held = *full;
        held.advice += "; the run also showed \"" + m.of->name + "\"";
        return held;
      }
      if (no_memory) {
        auto restarted = *no_memory;
        restarted.advice += "; the run also showed \"" + m.of->name + "\"";
        return restarted;
      }
      if (m.log_alone && cause) return *cause;
      return c;
    }
  }
  if (facts.asked_to_stop) {
    if (no_memory) return *no_memory;
    auto c = by_status(status, lines, facts);
    c.action = exit_action::restart;
    if (facts.killed_by_hasup && status.signal == SIGKILL) {
      c.name = "killed by hasup";
      c.advice = "it did not end within stop_timeout; raise run.stop_timeout when it needs longer to save its state";
    } else if (status.signal != SIGKILL && (!status.signal || sent_from_outside(*status.signal)) && !status.lost()) {
      c.name = "stopped";
    }
    return c;
  }
  if (full) return *full;
  if (no_memory) return *no_memory;
  // A program killed from outside did not end of what its log says.
  if (cause && !(status.signal && sent_from_outside(*status.signal))) return *cause;
  if (auto full_map = likely_disk_full(recipe, status)) return *full_map;
  const auto c = by_status(status, lines, facts);
  if (c.action != exit_action::unexplained) return c;
  return damaged_database(lines).value_or(c);
}

bool asks_for_free_space(const classification& c, const model::exit_status& status) {
  return c.action == exit_action::recover || c.action == exit_action::unexplained || status.signal == SIGBUS;
}

std::string exit_text(const model::exit_status& status, const classification& c) {
  auto text = "exited with " + to_text(status);
  if (c.action == exit_action::unexplained && c.name != corrupted_state) return text;
  text += ": " + c.name;
  return c.grounds.empty() ? text : text + " (" + c.grounds + ")";
}

std::string quoted_line(const classification& c) {
  if (!c.by_line || c.evidence.empty()) return {};
  std::string line;  // nodes line up their logs with blanks
  for (const char one : c.evidence)
    if (one != ' ' || !line.ends_with(' ')) line += one;
  return " (\"" + shown(line, longest_quoted) + "\")";
}

std::optional<classification> why_never_started(const model::recipe* recipe, std::string_view evidence) {
  const auto lines = lines_of(evidence);
  if (recipe != nullptr) {
    run_facts so_far;  // it has not ended
    so_far.startup = false;
    if (const auto m = match_recipe(*recipe, {}, lines, so_far); m.of != nullptr) {
      const bool starts_again =
          m.of->action == model::class_action::restart || m.of->action == model::class_action::next_endpoint;
      if (!starts_again || m.line == nullptr) return std::nullopt;
      return classification{m.of->name, exit_action::restart, shown(*m.line), m.of->advice, m.grounds, true};
    }
  }
  return port_in_use(lines);
}

std::string why_left_alone(const model::recipe& recipe, std::string_view evidence) {
  const auto lines = lines_of(evidence);
  model::recipe holds;
  for (const auto& c : recipe.classes)
    if (c.action == model::class_action::hold && !c.log.empty()) holds.classes.push_back(c);
  if (const auto m = match_recipe(holds, {}, lines, {}); m.of != nullptr && m.line != nullptr)
    return m.of->name + ": " + shown(*m.line);
  const auto full = disk_full({}, lines, {});
  return full ? full->name + ": " + full->evidence : std::string{};
}

classification classify_exec_error(int error, std::string_view program) {
  const std::string what = std::string(program) + ": " + std::strerror(error);
  switch (error) {
    case 0:  // it never came to an exec: why is told beside, with its remedy
      return {"cannot be started", exit_action::hold, {}, {}};
    case ENOENT:
    case ENOTDIR:
      return {"missing program", exit_action::hold, what, "install it or correct run.command in the unit file"};
    case EACCES:
    case EPERM:
      return {"permission denied", exit_action::hold, what, "run.user of the unit must be allowed to execute it"};
    case ENOEXEC:
    case ELIBBAD:
      return {"not a program", exit_action::hold, what, "run.command must name a program of this machine's kind"};
    case EBUSY:
      return {"data in use", exit_action::hold, "another process holds the lock of the data directory",
              "find what else runs on the data directory, stop it, then start this unit"};
    case ENOMEM:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
      return {"out of resources", exit_action::restart, what,
              "the machine has no memory, processes or files to spare"};
    default:
      return {"cannot be started", exit_action::hold, what, "correct the [run] section of the unit file"};
  }
}

std::string matching_line(const std::vector<std::string>& patterns, std::string_view evidence) {
  const auto lines = lines_of(evidence);
  for (const auto& p : patterns)
    if (const auto* l = last_match(p, lines)) return shown(*l);
  return {};
}

}  // namespace hasup::unit
