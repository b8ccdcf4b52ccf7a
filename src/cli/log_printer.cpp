// Lines of several logs, told apart by coloured names.
#include "cli/log_printer.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <utility>

#include "base/time_text.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

constexpr std::array colours{style::cyan, style::yellow, style::green, style::magenta, style::blue};

// As it stands in the log; a line without a time has that of the line before it.
std::string time_of(const logs::log_line& line) {
  if (!line.time.empty() || line.time_ns == 0) return line.time;
  return base::format_time(
      base::wall_time(std::chrono::duration_cast<base::wall_time::duration>(std::chrono::nanoseconds(line.time_ns))),
      true);
}

}  // namespace

log_printer::log_printer(const context& c, const std::vector<log_source>& sources) : c_(c) {
  for (const auto& s : sources) {
    names_.push_back(s.name);
    width_ = std::max(width_, display_width(s.name));
  }
}

void log_printer::add(const log_source& from, const logs::log_line& line) {
  pending_ += c_.call.json ? json(from, line) : text(from, line);
  pending_ += '\n';
  if (pending_.size() > 64 * 1024) flush();
}

void log_printer::flush() {
  if (!pending_.empty()) print(std::exchange(pending_, {}));
}

std::string log_printer::json(const log_source& from, const logs::log_line& line) const {
  json::object o;
  const auto time = time_of(line);
  o["time"] = time.empty() ? json::value(nullptr) : json::value(time);
  o["unit"] = from.unit;
  o["instance"] = from.instance;
  o["stream"] = line.stream.empty() ? json::value(nullptr) : json::value(line.stream);
  o["message"] = valid_utf8(line.text);
  o["partial"] = line.partial;
  if (from.form == logs::log_form::plain) o["file"] = valid_utf8(from.path);
  return json::serialize(o);
}

std::string log_printer::text(const log_source& from, const logs::log_line& line) const {
  std::string out;
  if (names_.size() > 1) {
    const auto at = std::find(names_.begin(), names_.end(), from.name) - names_.begin();
    out += paint(pad(from.name, width_), colours[static_cast<std::size_t>(at) % colours.size()], c_.out.colour);
    out += " | ";
  }
  if (c_.call.timestamps)
    if (const auto time = time_of(line); !time.empty()) out += paint(time, style::dim, c_.out.colour) + " ";
  return out + (c_.out.interactive ? printable(line.text, c_.out.colour) : line.text);
}

}  // namespace hasup::cli
