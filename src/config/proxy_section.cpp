#include "config/proxy_section.hpp"

#include <algorithm>

namespace hasup::config {

void read_proxy(const section& root, model::unit& u) {
  const auto s = root.sub("proxy");
  if (!s.present()) return;
  auto& out = u.proxy.emplace();
  for (const std::string_view key : {"upstream", "template", "output", "check_command"})
    if (!s.has(key)) s.error("", "[proxy] needs \"" + std::string(key) + "\"");
  s.read("upstream", out.upstream);
  if (root.has("recovery"))
    s.error("", "a unit with [proxy] cannot have [recovery]: nothing but its list is made before its start");
  for (const auto& r : root.subs("requires"))
    if (const auto* v = r.raw("upstream"); v != nullptr && v->text == out.upstream)
      r.error("upstream", "[proxy] names \"" + out.upstream +
                              "\" already: its first start waits until an endpoint of it can be listed");
  s.read_absolute("template", out.template_file);
  s.read_absolute("output", out.output);
  if (!out.output.empty() && out.output == out.template_file)
    s.error("output", "\"output\" is what is made of \"template\"; it cannot be the same file");
  s.read("check_command", out.check_command);
  if (s.raw("check_command") != nullptr &&
      std::none_of(out.check_command.begin(), out.check_command.end(),
                   [](const std::string& word) { return word.find("${candidate}") != std::string::npos; }))
    s.error("check_command",
            "\"check_command\" names no ${candidate}: it would check what is in use, not what is to be used");
  s.read("reload_command", out.reload_command);
  if (!u.run.reload_signal && !s.has("reload_command") && !root.sub("run").has("reload_signal"))
    s.error("", "[proxy] needs run.reload_signal or \"reload_command\": how a new list is taken up");
  s.read("max_behind", out.max_behind);
  if (s.has("max_blocks_behind")) s.read("max_blocks_behind", 0, 1'000'000, out.max_blocks_behind.emplace());
  s.read("back_after", out.back_after);
  s.read("min_interval", out.min_interval);
}

void check_proxy(const section& root, const model::proxy_policy& proxy, const model::upstream& role) {
  const auto s = root.sub("proxy");
  if (role.endpoints.empty()) return;
  const auto& asked = role.endpoints.front().asked;
  if (asked.tells_head() && proxy.max_behind < asked.interval)
    s.error("max_behind", "\"max_behind\" is shorter than the time between two answers: upstream \"" + role.name +
                              "\" is asked every " + base::format_duration(asked.interval));
  if (proxy.max_blocks_behind && !asked.tells_head())
    s.error("max_blocks_behind",
            "nobody says who is behind: [probe] of upstream \"" + role.name + "\" needs head = { number = \"/…\" }");
}

}  // namespace hasup::config
