// Completion scripts for three shells: verbs, their options, and the names of units (asked from the daemon).
#include "cli/completion.hpp"

#include <fmt/format.h>

#include "cli/invocation.hpp"
#include "cli/verbs.hpp"

namespace hasup::cli {
namespace {

// Prints the names of the units, one a line; quiet when the daemon is down.
constexpr std::string_view unit_names = "hasup status 2>/dev/null | awk 'NR > 1 && !/^ / && NF > 2 {print $1}'";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& w : words) text += (text.empty() ? "" : " ") + w;
  return text;
}

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
  return {};
}

std::string bash(const std::vector<verb_shape>& verbs) {
  std::string text =
      "# bash completion for hasup\n"
      "_hasup() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} words units=0\n";
  text +=
      fmt::format("  if (( COMP_CWORD == 1 )) || [[ ${{COMP_WORDS[1]}} == help ]]; then\n    words=\"{}\"\n  else\n",
                  all_verbs(verbs));
  text += "    case ${COMP_WORDS[1]} in\n";
  for (const auto& v : verbs)
    text += fmt::format("      {}) words=\"{}{}\"; units={} ;;\n", pattern(v), joined(v.options), own_words(v),
                        v.takes_units ? 1 : 0);
  text += "    esac\n  fi\n";
  text += fmt::format("  (( units )) && [[ $word != -* ]] && words+=\" $({})\"\n", unit_names);
  text +=
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "  (( ${#COMPREPLY[@]} )) || COMPREPLY=($(compgen -f -- \"$word\"))\n"
      "}\n"
      "complete -F _hasup hasup\n";
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
    text += fmt::format("    {})\n      compadd -- {}{}\n", pattern(v), joined(v.options), own_words(v));
    if (v.takes_units) text += fmt::format("      units=(${{(f)\"$({})\"}})\n      compadd -- $units\n", unit_names);
    if (v.name == "check") text += "      _files\n";
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
                                  v.name + (v.aliases.empty() ? "" : " " + joined(v.aliases)));
    for (const auto& o : v.options)
      text += fmt::format("complete -c hasup {} {} {}\n", seen, o.starts_with("--") ? "-l" : "-s",
                          o.substr(o.find_first_not_of('-')));
    if (v.takes_units)
      text += fmt::format("complete -c hasup {} -a \"({})\"\n", seen,
                          "hasup status 2>/dev/null | awk 'NR > 1 && !/^ / && NF > 2 {print \\$1}'");
    if (!own_words(v).empty()) text += fmt::format("complete -c hasup {} -a '{}'\n", seen, own_words(v).substr(1));
    if (v.name == "check") text += fmt::format("complete -c hasup {} -F\n", seen);
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

exit_code run_completion(const context& c) {
  print(completion_script(c.call.targets[0]));
  return exit_code::done;
}

}  // namespace hasup::cli
