#include "daemon/proxy_files.hpp"

#include "journal/atomic_file.hpp"
#include "start/trust.hpp"
#include "upstream/server_list.hpp"

namespace hasup::daemon {
namespace {

constexpr unsigned mode = 0644;  // the proxy may run as another user

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string candidate_of(const model::proxy_policy& proxy) {
  return proxy.output + ".candidate";
}

proxy_state look_at_output(const model::proxy_policy& proxy) {
  const auto used = journal::read_whole(proxy.output);
  const auto candidate = journal::read_whole(candidate_of(proxy));
  return {used.has_value(), used && candidate && *used == *candidate};
}

base::result<proxy_text> make_candidate(const config::directories& dirs, const model::proxy_policy& proxy,
                                        const std::vector<model::upstream_endpoint>& servers) {
  for (const auto& path : {proxy.template_file, directory_of(proxy.output)})
    if (auto why = start::why_file_distrusted(dirs, path); !why.empty()) return base::error{std::move(why)};
  const auto written = journal::read_whole(proxy.template_file);
  if (!written) return written.error();
  std::vector<const model::upstream_endpoint*> all;
  for (const auto& s : servers) all.push_back(&s);
  auto text = upstream::fill_template(*written, all);
  if (!text) return base::error{proxy.template_file + ": " + text.error().message};
  const auto used = journal::read_whole(proxy.output);
  proxy_text out{std::move(*text), false};
  out.differs = !used || *used != out.text;
  if (!out.differs) return out;
  if (auto made = journal::write_atomic(candidate_of(proxy), out.text, mode); !made) return made.error();
  return out;
}

base::result<void> put_in_use(const model::proxy_policy& proxy, const std::string& text) {
  return journal::write_atomic(proxy.output, text, mode);
}

void drop_candidate(const model::proxy_policy& proxy) {
  static_cast<void>(journal::remove_durably(candidate_of(proxy)));
}

}  // namespace hasup::daemon
