// Completion scripts for three shells: verbs, their options, and the names of units (asked from the daemon).
#include "cli/completion.hpp"

#include <fmt/format.h>

#include "base/joined.hpp"
#include "cli/invocation.hpp"
#include "cli/selection.hpp"
#include "cli/verbs.hpp"
#include "config/unit_dir.hpp"

namespace hasup::cli {
namespace {

// Prints the names, one a line: from the daemon, or from the unit files when it is down. The scripts take them as
// data: no shell ever expands them.
constexpr std::string_view names_command = "hasup completion units 2>/dev/null";

std::string pattern(const verb_shape& v) {
  std::string text = v.name;
  for (const auto& a : v.aliases) text += "|" + a;
  return text;
}

std::string all_verbs(const std::vector<verb_shape>& verbs) {
  std::string text = "help";
  for (const auto& v : verbs) text += " " + v.name;
  return text;
}

std::string own_words(const verb_shape& v) {
  if (v.name == "completion") return " bash zsh fish";
  if (v.name == "snapshot") return " list get verify create";
  if (v.name == "upstream") return " avoid";
  return {};
}

bool takes_files(const verb_shape& v) {
  return v.name == "check" || v.name == "snapshot";
}

std::string bash(const std::vector<verb_shape>& verbs) {
  std::string text = R"(# bash completion for hasup
_hasup() {
  local word=${COMP_WORDS[COMP_CWORD]} before= words= one units=0 files=0 cut=
  (( COMP_CWORD )) && before=${COMP_WORDS[COMP_CWORD-1]}
  # bash breaks "miner@1" at the @: the whole word counts, and what stands before the last @ is there already.
  if [[ ${COMP_WORDBREAKS-} == *@* && ${COMP_LINE-} == *@* ]]; then
    one=${COMP_LINE:0:COMP_POINT}
    one=${one##*[[:space:]]}
    [[ $one == *@* ]] && word=$one cut=${one%@*}@
  fi
  COMPREPLY=()
)";
  text +=
      fmt::format("  if (( COMP_CWORD == 1 )) || [[ ${{COMP_WORDS[1]}} == help ]]; then\n    words=\"{}\"\n  else\n",
                  all_verbs(verbs));
  text += "    case ${COMP_WORDS[1]} in\n";
  for (const auto& v : verbs)
    text += fmt::format("      {}) words=\"{}{}\"; units={} files={} ;;\n", pattern(v), base::joined(v.options, " "),
                        own_words(v), v.takes_units ? 1 : 0, takes_files(v) ? 1 : 0);
  text += R"(    esac
    case $before in
      --from|--log|--output|-o|--*-file|--known-hosts|--client-*|--public-key|--sign|--to) words= units=0 files=1 ;;
      --unit) words= units=1 ;;
      --for) [[ ${COMP_WORDS[1]} == wait ]] && words="healthy running stopped completed"; units=0 ;;
    esac
  fi
  for one in $words; do
    [[ $one == "$word"* ]] && COMPREPLY+=("$one")
  done
  if (( units )) && [[ $word != -* ]]; then
    while IFS= read -r one; do
      [[ $one =~ ^@?[a-z0-9][a-z0-9._@-]*$ && $one == "$word"* ]] || continue
      [[ $one == @* && $word != @* ]] || COMPREPLY+=("${one#"$cut"}")
    done < <()";
  text += names_command;
  text += R"()
  fi
  if (( files && ${#COMPREPLY[@]} == 0 )); then
    compopt -o filenames 2>/dev/null
    while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "$word")
  fi
  return 0
}
complete -F _hasup hasup
)";
  return text;
}

std::string zsh_quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) text.replace(at, 1, "'\\''");
  return text;
}

std::string zsh(const std::vector<verb_shape>& verbs) {
  std::string text =
      "#compdef hasup\n# zsh completion for hasup\n_hasup() {\n  local -a verbs units\n  verbs=(\n    'help:Explain "
      "a verb'\n";
  for (const auto& v : verbs) text += fmt::format("    '{}:{}'\n", v.name, zsh_quoted(v.summary));
  text +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n    _describe verb verbs\n    return\n  fi\n"
      "  case $words[2] in\n    help) _describe verb verbs ;;\n";
  for (const auto& v : verbs) {
    text += fmt::format("    {})\n      compadd -- {}{}\n", pattern(v), base::joined(v.options, " "), own_words(v));
    if (v.takes_units)
      text += fmt::format(
          "      units=(${{(f)\"$({})\"}})\n      [[ $PREFIX == @* ]] || units=(${{units:#@*}})\n      compadd -- "
          "$units\n",
          names_command);
    if (takes_files(v)) text += "      _files\n";
    text += "      ;;\n";
  }
  return text + "  esac\n}\nif [[ $funcstack[1] == _hasup ]]; then _hasup; else compdef _hasup hasup; fi\n";
}

std::string fish(const std::vector<verb_shape>& verbs) {
  std::string text = "# fish completion for hasup\ncomplete -c hasup -f\n";
  const auto quoted = [](const std::string& s) {
    std::string out;
    for (const char c : s) out += c == '\'' ? std::string("\\'") : std::string(1, c);
    return out;
  };
  text += "complete -c hasup -n __fish_use_subcommand -a help -d 'Explain a verb'\n";
  for (const auto& v : verbs) {
    text += fmt::format("complete -c hasup -n __fish_use_subcommand -a {} -d '{}'\n", v.name, quoted(v.summary));
    const auto seen = fmt::format("-n '__fish_seen_subcommand_from {}'",
                                  v.name + (v.aliases.empty() ? "" : " " + base::joined(v.aliases, " ")));
    for (const auto& o : v.options)
      text += fmt::format("complete -c hasup {} {} {}\n", seen, o.starts_with("--") ? "-l" : "-s",
                          o.substr(o.find_first_not_of('-')));
    if (v.takes_units) text += fmt::format("complete -c hasup {} -a \"({})\"\n", seen, names_command);
    if (!own_words(v).empty()) text += fmt::format("complete -c hasup {} -a '{}'\n", seen, own_words(v).substr(1));
    if (takes_files(v)) text += fmt::format("complete -c hasup {} -F\n", seen);
  }
  return text;
}

}  // namespace

std::string completion_script(std::string_view shell) {
  const auto verbs = verb_shapes();
  if (shell == "bash") return bash(verbs);
  if (shell == "zsh") return zsh(verbs);
  if (shell == "fish") return fish(verbs);
  return {};
}

namespace {

// Units, instances where there are several, and groups.
std::string names_to_complete(const context& c) {
  std::string text;
  const control::client quick(c.dirs.run, base::duration{2'000});  // somebody holds the Tab key
  if (const auto s = quick.status()) {
    for (const auto& name : unit_names(s->units)) text += name + "\n";
    for (const auto& u : s->units)
      if (u.instances > 1) text += control::display_name(u) + "\n";
  } else {
    for (const auto& [name, entry] : config::load(c.dirs).units) text += name + "\n";
  }
  for (const auto& [group, units] : read_groups(c.dirs)) text += group + "\n";
  return text;
}

}  // namespace

exit_code run_completion(const context& c) {
  if (c.call.targets[0] == "units") {
    print(names_to_complete(c));
    return exit_code::done;
  }
  print(completion_script(c.call.targets[0]));
  return exit_code::done;
}

}  // namespace hasup::cli
