// Roff of hasup-unit.5. A test compares the file in docs/man with it, so the page cannot lie about a key.
#include "cli/unit_manual.hpp"

#include <fmt/format.h>

#include "config/schema.hpp"

namespace hasup::cli {
namespace {

constexpr std::string_view intro = R"(.\" Made from the table of keys in config/schema; a test compares both.
.TH HASUP-UNIT 5 "" "hasup" "hasup"
.SH NAME
hasup-unit \- unit files of hasup
.SH SYNOPSIS
.I units/NAME.toml
in the configuration directory (as root
.IR /etc/hasup ,
else
.IR $XDG_CONFIG_HOME/hasup ,
with
.B HASUP_HOME
.IR $HASUP_HOME/etc )
.SH DESCRIPTION
.I units/leap.toml
describes the unit
.BR leap :
a program that hasup keeps running. Files are TOML. Unknown keys, wrong types and undefined variables are errors;
.B hasup check
shows all of them at once with their place. A broken file never stops another unit, nor one that already runs.
.PP
In every string
.B ${name}
is a variable of
.BR [vars] ;
.BR ${unit} ", " ${instance} " and " ${data.dir}
are given,
.B ${env:NAME}
and
.B ${secret:NAME}
are filled in at each run, and
.B ${50305 + instance}
is a sum of whole numbers.
.B $$
is a dollar sign.
.SH EXAMPLE
.nf
description = "My node"

[data]
dir = "/var/lib/mynode"

[run]
command = ["/usr/bin/mynode", "--data", "${data.dir}"]
user = "mynode"

[readiness]
preset = "evm"
url = "http://127.0.0.1:8545"
max_head_age = "30s"

[[requires]]
unit = "leap"
condition = "healthy"
.fi
)";

constexpr std::string_view ending = R"(.SH SEE ALSO
.BR hasup (1),
.BR hasupd (8)
)";

std::string_view type_text(config::value_kind k) {
  using enum config::value_kind;
  switch (k) {
    case text:
      return "string";
    case name:
      return "name";
    case integer:
      return "whole number";
    case number:
      return "number";
    case boolean:
      return "true or false";
    case duration:
      return "duration such as \"1m30s\"";
    case size:
      return "size such as \"64KiB\"";
    case limit:
      return "size or \"unlimited\"";
    case texts:
      return "array of strings";
    case text_or_texts:
      return "string or array of strings";
    case commands:
      return "command (array of strings), or array of commands";
    case integer_or_integers:
      return "whole number or array of them";
    case signals:
      return "signal such as \"TERM\", or array of them";
    case word:
      return "one of";
    case anything:
      return "any value";
    case anything_json:
      return "array or table, sent as JSON";
    case text_map:
      return "table of strings";
    case parameters:
      return "table of parameters";
    case sources:
      return "URL, table with url, or array of these";
    case table:
      return "table";
    case tables:
      return "array of tables";
  }
  return "value";
}

std::string roff(std::string_view text) {
  std::string out, ascii(text);
  for (std::size_t at = 0; (at = ascii.find("…", at)) != std::string::npos;)
    ascii.replace(at, std::string_view("…").size(), "...");
  for (const char c : ascii) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (out.empty() && (c == '.' || c == '\''))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

std::string words_text(const config::key& k) {
  std::string text;
  for (const auto& w : k.words) {
    if (w.ends_with('!')) continue;  // not available yet
    text += (text.empty() ? " " : ", ") + w;
  }
  return text;
}

}  // namespace

std::string unit_manual() {
  std::string out(intro);
  out += ".SH KEYS\n";
  for (const auto& k : config::unit_keys()) {
    if (k.when == config::availability::not_yet) continue;
    if (k.kind == config::value_kind::table || k.kind == config::value_kind::tables) {
      out += fmt::format(".SS {}\n{}\n",
                         roff(k.kind == config::value_kind::table ? "[" + k.path + "]" : "[[" + k.path + "]]"),
                         roff(k.help));
      continue;
    }
    out += fmt::format(".TP\n.B {}\n{}{}", roff(k.path), roff(type_text(k.kind)), roff(words_text(k)));
    if (!k.default_text.empty()) out += fmt::format("; default {}", roff(k.default_text));
    out += fmt::format(".\n{}.\n", roff(k.help));
  }
  out += ".SH NOT YET\nThese keys are known and refused until they work:\n";
  std::string later;
  for (const auto& k : config::unit_keys())
    if (k.when == config::availability::not_yet) later += (later.empty() ? "" : ",\n") + roff(k.path);
  out += later + ".\n";
  out += ending;
  return out;
}

}  // namespace hasup::cli
