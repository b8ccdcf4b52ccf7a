#include "daemon/node_logs.hpp"

#include <algorithm>
#include <sstream>

#include "unit/classify.hpp"

namespace hasup::daemon {
namespace {

constexpr std::size_t files_limit = 16 << 10;  // of all files together
constexpr std::chrono::seconds patience{2};

// At most `limit` bytes, from a whole line on.
std::string last_lines(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  const auto end = text.find('\n', text.size() - limit - 1);
  return end == std::string::npos ? std::string() : text.substr(end + 1);
}

}  // namespace

std::string join_evidence(const std::string& node_files, const std::string& ring) {
  if (node_files.empty()) return ring;
  auto text = last_lines(node_files, files_limit);
  if (!text.empty() && text.back() != '\n') text += '\n';
  // Below the limit: at the limit the first line would be taken for a torn one.
  return text + last_lines(ring, unit::evidence_limit - 1 - text.size());
}

void node_logs::run(std::vector<std::string> words, std::function<void(const process::program_result&)> then) {
  words.insert(words.begin(), program_);
  process::program_options options;
  options.timeout = patience;
  if (!as_.own) {
    options.uid = as_.uid;
    options.gid = as_.gid;
    options.groups = as_.groups;
  }
  process::async_run(loop_, words, {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}}, options, std::move(then));
}

void node_logs::mark(const std::vector<std::string>& files, const process::account& as, std::function<void()> then) {
  marks_.clear();
  as_ = as;
  std::vector<std::string> words{"mark"};
  words.insert(words.end(), files.begin(), files.end());
  run(std::move(words), [self = shared_from_this(), files, then = std::move(then)](const process::program_result& r) {
    std::istringstream lines(r.output);
    std::vector<std::string> marks;
    for (const auto& file : files) {
      std::string device, inode, size;
      if (!(lines >> device >> inode >> size)) break;
      marks.insert(marks.end(), {file, device, inode, size});
    }
    if (r.succeeded() && marks.size() == 4 * files.size()) self->marks_ = std::move(marks);
    then();
  });
}

void node_logs::read(std::function<void(std::string)> then) {
  std::vector<std::string> words{"since", std::to_string(files_limit / std::max<std::size_t>(1, marks_.size() / 4))};
  words.insert(words.end(), marks_.begin(), marks_.end());
  run(std::move(words),
      [then = std::move(then)](const process::program_result& r) { then(r.succeeded() ? r.output : std::string()); });
}

}  // namespace hasup::daemon
