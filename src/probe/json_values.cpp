#include "probe/json_values.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <charconv>

namespace hasup::probe {
namespace {

namespace json = boost::json;
using pointer_path = std::vector<std::string>;

constexpr std::size_t deepest = 128;

// Where the parser is: one level for each open array or object.
struct level {
  bool array = false;
  std::size_t next = 0;             // array: index of the value to come
  std::string key;                  // object: name of the value to come
  std::vector<std::size_t> wanted;  // pointers that lead into this level
};

// Follows the parser and notes the values that a pointer leads to. While such a value is an array or object itself,
// its text is written again into `captures`.
class picker {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit picker(const std::vector<pointer_path>& paths) : paths_(paths), found_(paths.size()) {}

  std::vector<std::optional<json_value>> take() { return std::move(found_); }

  using text = json::string_view;
  using error = boost::system::error_code;

  bool on_document_begin(error&) { return true; }
  bool on_document_end(error&) { return true; }
  bool on_object_begin(error&) { return open(false); }
  bool on_object_end(std::size_t, error&) { return close(); }
  bool on_array_begin(error&) { return open(true); }
  bool on_array_end(std::size_t, error&) { return close(); }
  bool on_key_part(text part, std::size_t, error&) {
    key_ += std::string_view(part);
    return true;
  }
  bool on_key(text part, std::size_t, error&) {
    key_ += std::string_view(part);
    levels_.back().key = std::move(key_);
    key_.clear();
    return true;
  }
  bool on_string_part(text part, std::size_t, error&) {
    string_ += std::string_view(part);
    return true;
  }
  bool on_string(text part, std::size_t, error&) {
    string_ += std::string_view(part);
    std::string whole = std::move(string_);
    string_.clear();
    return scalar(json_value::kind::string, std::move(whole));
  }
  bool on_number_part(text, error&) { return true; }
  bool on_int64(std::int64_t, text s, error&) { return number(s); }
  bool on_uint64(std::uint64_t, text s, error&) { return number(s); }
  bool on_double(double, text s, error&) { return number(s); }
  bool on_bool(bool b, error&) { return scalar(json_value::kind::boolean, b ? "true" : "false"); }
  bool on_null(error&) { return scalar(json_value::kind::null, "null"); }
  bool on_comment_part(text, error&) { return true; }
  bool on_comment(text, error&) { return true; }

 private:
  struct capture {
    std::size_t depth;
    std::vector<std::size_t> pointers;
    bool array;
    std::string written;
  };

  // The pointers whose path goes through the value to come.
  [[nodiscard]] std::vector<std::size_t> leading_here() const {
    std::vector<std::size_t> out;
    if (levels_.empty()) {
      for (std::size_t i = 0; i < paths_.size(); ++i) out.push_back(i);
      return out;
    }
    const level& here = levels_.back();
    for (const std::size_t p : here.wanted) {
      const std::string& step = paths_[p][levels_.size() - 1];
      if (here.array ? step == std::to_string(here.next) : step == here.key) out.push_back(p);
    }
    return out;
  }

  void write_separator() {
    for (auto& c : captures_) {
      if (levels_.size() <= c.depth) continue;
      if (c.written.back() != '[' && c.written.back() != '{') c.written += ',';
      if (!levels_.back().array) c.written += json_quote(levels_.back().key) + ":";
    }
  }

  void write(std::string_view piece) {
    for (auto& c : captures_) c.written += piece;
  }

  void value_done() {
    if (!levels_.empty() && levels_.back().array) ++levels_.back().next;
  }

  bool scalar(json_value::kind kind, std::string value) {
    write_separator();
    if (!captures_.empty()) write(json_value{kind, value}.to_json());
    for (const std::size_t p : leading_here()) {
      if (paths_[p].size() == levels_.size()) {
        found_[p] = json_value{kind, value};
      } else {
        found_[p].reset();
      }
    }
    value_done();
    return true;
  }

  bool number(text s) { return scalar(json_value::kind::number, std::string(std::string_view(s))); }

  bool open(bool array) {
    write_separator();
    write(array ? "[" : "{");
    auto here = leading_here();
    const auto ends = std::stable_partition(here.begin(), here.end(),
                                            [this](std::size_t p) { return paths_[p].size() > levels_.size(); });
    if (ends != here.end()) {
      captures_.push_back({levels_.size(), {ends, here.end()}, array, array ? "[" : "{"});
      here.erase(ends, here.end());
    }
    // Of equal names in one object the last counts, so what an earlier one held is gone.
    for (const std::size_t p : here) found_[p].reset();
    levels_.push_back({array, 0, {}, std::move(here)});
    return true;
  }

  bool close() {
    write(levels_.back().array ? "]" : "}");
    levels_.pop_back();
    if (!captures_.empty() && captures_.back().depth == levels_.size()) {
      const capture& c = captures_.back();
      for (const std::size_t p : c.pointers)
        found_[p] = json_value{c.array ? json_value::kind::array : json_value::kind::object, c.written};
      captures_.pop_back();
    }
    value_done();
    return true;
  }

  const std::vector<pointer_path>& paths_;
  std::vector<std::optional<json_value>> found_;
  std::vector<level> levels_;
  std::vector<capture> captures_;
  std::string key_, string_;
};

}  // namespace

std::string json_quote(std::string_view text) {
  return json::serialize(json::string(text));
}

std::string json_value::to_json() const {
  return is == kind::string ? json_quote(text) : text;
}

base::result<std::vector<std::string>> parse_json_pointer(std::string_view text) {
  const base::error bad{"\"" + std::string(text) + "\" is no JSON pointer; write for example \"/result/number\""};
  std::vector<std::string> steps;
  if (text.empty()) return steps;
  if (text[0] != '/') return bad;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '/') {
      steps.emplace_back();
    } else if (text[i] != '~') {
      steps.back() += text[i];
    } else {
      if (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1')) return bad;
      steps.back() += text[++i] == '0' ? '~' : '/';
    }
  }
  return steps;
}

base::result<std::vector<std::optional<json_value>>> read_json_values(std::string_view document,
                                                                      std::span<const std::string> pointers) {
  std::vector<pointer_path> paths;
  for (const auto& p : pointers) {
    auto path = parse_json_pointer(p);
    if (!path) return path.error();
    paths.push_back(std::move(*path));
  }
  json::parse_options options;
  options.max_depth = deepest;
  json::basic_parser<picker> parser(options, paths);
  boost::system::error_code ec;
  const std::size_t read = parser.write_some(false, document.data(), document.size(), ec);
  if (!ec && read != document.size()) ec = json::error::extra_data;
  if (ec) return base::error{ec.message()};
  return parser.handler().take();
}

}  // namespace hasup::probe
