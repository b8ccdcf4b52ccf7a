#include "config/variables.hpp"

#include <algorithm>
#include <charconv>

#include "base/suggestion.hpp"
#include "base/trimmed.hpp"

namespace hasup::config {
namespace {

constexpr std::size_t longest_text = 64 * 1024;  // variables that name each other can grow without bound

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_environment_name(std::string_view text) {
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

enum class piece_kind { literal, reference, unfinished };
struct piece {
  piece_kind kind;
  std::string_view text;  // a reference with its ${ and }
};

// Splits at $$ (which gives the literal "$") and ${…}.
std::vector<piece> split(std::string_view text) {
  std::vector<piece> out;
  while (!text.empty()) {
    const auto dollar = text.find('$');
    if (dollar == std::string_view::npos || dollar + 1 == text.size()) {
      out.push_back({piece_kind::literal, text});
      break;
    }
    const char next = text[dollar + 1];
    if (next == '$') {
      out.push_back({piece_kind::literal, text.substr(0, dollar + 1)});
      text.remove_prefix(dollar + 2);
    } else if (next == '{') {
      if (dollar > 0) out.push_back({piece_kind::literal, text.substr(0, dollar)});
      const auto close = text.find('}', dollar);
      if (close == std::string_view::npos) {
        out.push_back({piece_kind::unfinished, text.substr(dollar)});
        break;
      }
      out.push_back({piece_kind::reference, text.substr(dollar, close - dollar + 1)});
      text.remove_prefix(close + 1);
    } else {
      out.push_back({piece_kind::literal, text.substr(0, dollar + 1)});
      text.remove_prefix(dollar + 1);
    }
  }
  return out;
}

std::string_view inside(std::string_view reference) {
  return base::trimmed(reference.substr(2, reference.size() - 3));
}

// Builds a text in the unit file's own spelling: a run of literal dollars is doubled where it would be read
// otherwise.
class spelling {
 public:
  void literal(std::string_view text) {
    for (const char c : text) {
      if (c == '$') {
        ++dollars_;
      } else {
        flush(c == '{');
        out_ += c;
      }
    }
  }
  void reference(std::string_view text) {
    flush(true);
    out_ += text;
  }
  std::string take() {
    flush(false);
    return std::move(out_);
  }

 private:
  void flush(bool always_doubled) {
    out_.append(dollars_ > 1 || (dollars_ == 1 && always_doubled) ? 2 * dollars_ : dollars_, '$');
    dollars_ = 0;
  }
  std::string out_;
  std::size_t dollars_ = 0;
};

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

struct term {
  bool minus = false;
  std::string_view text;
};

// "50305 + instance" -> terms. A name may hold '-' too: whoever calls has looked for the whole text as a name before.
std::vector<term> split_sum(std::string_view text) {
  std::vector<term> terms;
  std::size_t start = 0;
  bool minus = false;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool sign = i < text.size() && (text[i] == '+' || text[i] == '-');
    if (i < text.size() && !sign) continue;
    const auto part = base::trimmed(text.substr(start, i - start));
    if (sign && part.empty() && terms.empty() && start == 0) {  // a leading sign
      minus = text[i] == '-';
      start = i + 1;
      continue;
    }
    terms.push_back({minus, part});
    if (sign) minus = text[i] == '-';
    start = i + 1;
  }
  return terms;
}

bool is_name(std::string_view text) {
  return !text.empty() && is_letter(text[0]) && std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '-';
  });
}

struct evaluated {
  std::string text;
  bool per_instance = false;
  bool per_choice = false;
  std::string symbolic;  // of what depends on the instance: "${50305 + instance}", all other names filled in
};

class evaluator {
 public:
  evaluator(const scope& in, std::string_view token) : in_(in), token_(token) {}

  boost::system::result<evaluated, expansion_error> evaluate(std::string_view what) const {
    if (what.empty()) return fail("an empty ${} names no variable; a literal ${ is written $${");
    if (const auto it = in_.names.find(what); it != in_.names.end())
      return evaluated{it->second.value, it->second.per_instance, it->second.per_choice, std::string(token_)};
    const auto terms = split_sum(what);
    if (terms.size() < 2 && !whole_number(what)) return undefined(what);
    return sum(what, terms);
  }

 private:
  expansion_error fail(std::string message) const { return {std::move(message), std::string(token_)}; }

  expansion_error undefined(std::string_view name) const {
    if (!is_name(name))
      return fail("cannot read " + std::string(token_) + "; write ${name} or a sum such as ${50305 + instance}");
    if (name == "data.dir") return fail("${data.dir} needs [data] dir");
    std::vector<std::string_view> known;
    for (const auto& [n, v] : in_.names) known.push_back(n);
    std::string message = "undefined variable \"" + std::string(name) + "\"";
    if (const auto near = base::nearest(name, known); !near.empty())
      message += "; did you mean \"" + std::string(near) + "\"?";
    else if (is_environment_name(name))
      message += "; define it in [vars], or write ${env:" + std::string(name) + "} for the environment's";
    return fail(message);
  }

  boost::system::result<evaluated, expansion_error> sum(std::string_view what, const std::vector<term>& terms) const {
    evaluated out;
    std::int64_t total = 0;
    std::int64_t fixed = 0;  // the part that is the same for all instances
    for (const auto& t : terms) {
      auto n = whole_number(t.text);
      bool varies = false;
      if (!n) {
        if (t.text.empty()) return fail("a + or - with nothing beside it in " + std::string(token_));
        const auto it = in_.names.find(t.text);
        if (it == in_.names.end()) return undefined(is_name(what) ? what : t.text);
        n = whole_number(it->second.value);
        if (!n) return fail("\"" + std::string(t.text) + "\" is no whole number, so it cannot stand in a sum");
        varies = it->second.per_instance || it->second.per_choice;
        out.per_instance = out.per_instance || it->second.per_instance;
        out.per_choice = out.per_choice || it->second.per_choice;
      }
      if (!add(total, t.minus, *n)) return fail("the sum in " + std::string(token_) + " does not fit 64 bits");
      if (varies)
        out.symbolic += (t.minus ? " - " : " + ") + std::string(t.text);
      else if (!add(fixed, t.minus, *n))
        return fail("the sum in " + std::string(token_) + " does not fit 64 bits");
    }
    out.text = std::to_string(total);
    out.symbolic = "${" + std::to_string(fixed) + out.symbolic + "}";
    return out;
  }

  static bool add(std::int64_t& total, bool minus, std::int64_t n) {
    return !(minus ? __builtin_sub_overflow(total, n, &total) : __builtin_add_overflow(total, n, &total));
  }

  const scope& in_;
  std::string_view token_;
};

std::optional<std::pair<std::string_view, std::string_view>> placeholder(std::string_view what) {
  const auto colon = what.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return std::pair{what.substr(0, colon), what.substr(colon + 1)};
}

std::optional<expansion_error> bad_placeholder(std::string_view token, std::string_view kind, std::string_view name,
                                               const scope& in) {
  const std::string t(token);
  if (kind != "env" && kind != "secret")
    return expansion_error{"cannot read " + t + "; there are ${env:NAME} and ${secret:NAME}", t};
  if (!is_environment_name(name))
    return expansion_error{"\"" + std::string(name) + "\" in " + t + " is no name of an environment variable", t};
  if (!in.placeholders) {
    return expansion_error{
        t + " can stand only in run.command, run.env and the commands of [run]" + in.placeholder_remedy, t};
  }
  return std::nullopt;
}

}  // namespace

boost::system::result<expansion, expansion_error> expand(std::string_view text, const scope& in) {
  const bool keep_spelling = in.placeholders || in.symbolic;
  spelling spelled;
  std::string plain;
  expansion out;
  const auto literal = [&](std::string_view part) { keep_spelling ? spelled.literal(part) : void(plain += part); };
  const auto as_written = [&](std::string_view part) {
    keep_spelling ? spelled.reference(part) : void(plain += part);
  };
  std::size_t size = 0;
  for (const auto& p : split(text)) {
    if (p.kind == piece_kind::literal) {
      literal(p.text);
      continue;
    }
    if (p.kind == piece_kind::unfinished) {
      return expansion_error{"\"${\" without \"}\"; a literal ${ is written $${", std::string(p.text.substr(0, 2))};
    }
    const auto what = inside(p.text);
    if (const auto found = placeholder(what)) {
      if (auto bad = bad_placeholder(p.text, found->first, found->second, in)) return std::move(*bad);
      as_written("${" + std::string(what) + "}");
      continue;
    }
    if (!in.kept_prefix.empty() && what.starts_with(in.kept_prefix)) {
      as_written("${" + std::string(what) + "}");
      continue;
    }
    auto value = evaluator(in, p.text).evaluate(what);
    if (!value) return value.error();
    out.per_instance = out.per_instance || value->per_instance;
    out.per_choice = out.per_choice || value->per_choice;
    if (in.symbolic && (value->per_instance || value->per_choice)) {
      as_written(value->symbolic);
    } else {
      literal(value->text);
    }
    size += value->text.size();
    if (size > longest_text)
      return expansion_error{"the text grows beyond 64 KiB when its variables are filled in", std::string(p.text)};
  }
  out.text = keep_spelling ? spelled.take() : std::move(plain);
  return out;
}

std::set<std::string> variables_in(std::string_view text, const std::function<bool(const std::string&)>& known) {
  std::set<std::string> out;
  for (const auto& p : split(text)) {
    if (p.kind != piece_kind::reference) continue;
    const std::string what(inside(p.text));
    if (known(what)) {
      out.insert(what);
      continue;
    }
    for (const auto& t : split_sum(what))
      if (std::string name(t.text); known(name)) out.insert(std::move(name));
  }
  return out;
}

std::set<std::string> upstream_variables_in(std::string_view text) {
  return variables_in(text, [](const std::string& name) {
    return name.starts_with("upstream.") && is_name(name) && name.rfind('.') > 9;
  });
}

bool is_variable_name(std::string_view text) {
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
}

base::result<std::string> fill_secrets(std::string_view text, const placeholder_lookup& lookup) {
  std::string out;
  for (const auto& p : split(text)) {
    if (p.kind == piece_kind::literal) {
      out += p.text;
      continue;
    }
    const auto what = p.kind == piece_kind::reference ? inside(p.text) : std::string_view{};
    const auto found = placeholder(what);
    if (!found)
      return base::error{"\"" + std::string(p.text) + "\" is no placeholder; write ${env:NAME} or ${secret:NAME}"};
    auto value = lookup(found->first, found->second);
    if (!value) {
      const auto* const remedy =
          found->first == "secret" ? "set it in one of the unit's env_file" : "set it in the environment of hasupd";
      return base::error{std::string(p.text) + " is not defined; " + remedy};
    }
    out += *value;
  }
  return {boost::system::in_place_value, std::move(out)};
}

bool has_placeholders(std::string_view text) {
  const auto pieces = split(text);
  return std::any_of(pieces.begin(), pieces.end(), [](const piece& p) {
    return p.kind == piece_kind::reference && placeholder(inside(p.text)).has_value();
  });
}

}  // namespace hasup::config
