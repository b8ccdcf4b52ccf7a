#include "config/daemon_file.hpp"

#include <algorithm>
#include <set>

#include "base/suggestion.hpp"
#include "config/schema_check.hpp"
#include "config/section.hpp"

namespace hasup::config {
namespace {

class health_reader {
 public:
  health_reader(const known_units& units, daemon_settings& out) : units_(units), out_(out) {}

  void read_listener(const section& http) {
    if (!http.present()) return;
    out_.http = endpoint(http, "listen");
    if (!http.has("listen")) http.findings().error(http.where(), "[http] has no \"listen\"");
  }

  void read_group(const section& s) {
    model::health_group g;
    s.read("name", g.name);
    if (!s.has("name")) s.findings().error(s.where(), "a [[health]] group needs a \"name\"");
    if (s.raw("name") != nullptr && !model::is_unit_name(g.name))
      s.error("name", "\"" + g.name + "\" is no name of a group; write a-z, 0-9, \".\", \"_\", \"-\"");
    else if (!g.name.empty() && units_.contains(g.name))
      s.error("name", "\"" + g.name + "\" is the name of a unit already");
    else if (!g.name.empty() && !names_.insert(g.name).second)
      s.error("name", "there are two [[health]] groups \"" + g.name + "\"");
    for (const auto& m : s.subs("units")) read_member(m, g);
    const auto* units = s.raw("units");
    if (!s.has("units") || (units != nullptr && units->items.empty()))
      s.findings().error(s.where("units"), "a [[health]] group needs \"units\", such as [{ unit = \"leap\" }]");
    g.agent_check = endpoint(s, "agent_check");
    if (!g.name.empty()) out_.health.push_back(std::move(g));
  }

 private:
  void read_member(const section& s, model::health_group& g) {
    std::string name;
    s.read("unit", name);
    model::health_member m;
    s.read("min", 1, 1000, m.min);
    if (!s.has("unit")) return s.findings().error(s.where(), "which unit? write { unit = \"leap\" }");
    if (s.raw("unit") == nullptr) return;
    const auto ref = model::parse_unit_reference(name);
    if (!ref) return s.error("unit", "\"" + name + "\" is no name of a unit");
    m.unit = *ref;
    check_member(s, m);
    g.units.push_back(std::move(m));
  }

  void check_member(const section& s, const model::health_member& m) const {
    const auto unit = units_.find(m.unit.unit);
    if (unit == units_.end()) {
      std::vector<std::string_view> names;
      for (const auto& [name, count] : units_) names.push_back(name);
      const auto near = base::nearest(m.unit.unit, names);
      return s.error("unit", "there is no unit \"" + m.unit.unit + "\"" +
                                 (near.empty() ? "" : "; did you mean \"" + std::string(near) + "\"?"));
    }
    if (!unit->second) return;
    const auto count = m.unit.index ? 1U : *unit->second;
    if (m.unit.index && *m.unit.index >= *unit->second)
      s.findings().warning(s.where("unit"), "unit \"" + m.unit.unit + "\" has no instance " +
                                                std::to_string(*m.unit.index) + ", so the group is never healthy");
    else if (m.min > count)
      s.findings().warning(s.where("min"), "it has " + std::to_string(count) +
                                               (count == 1 ? " instance" : " instances") +
                                               ", so the group is never healthy");
  }

  std::optional<model::tcp_endpoint> endpoint(const section& s, std::string_view key) {
    std::string text;
    s.read(key, text);
    if (s.raw(key) == nullptr) return std::nullopt;
    auto e = model::parse_tcp_endpoint(text);
    if (!e)
      s.error(key, "\"" + text +
                       "\" is no address to listen on; write a numeric one with its port: \"127.0.0.1:9770\", "
                       "\"0.0.0.0:9770\" or \"[::]:9770\"");
    else if (!endpoints_.insert(*e).second) {
      s.error(key, "\"" + text + "\" is used twice in this file");
      e.reset();
    }
    return e;
  }

  const known_units& units_;
  daemon_settings& out_;
  std::set<std::string> names_;
  std::set<model::tcp_endpoint> endpoints_;
};

}  // namespace

daemon_settings parse_daemon_text(const std::string& file, std::string_view text, const known_units& units,
                                  report& findings) {
  daemon_settings out;
  auto root = parse_document(file, text, findings);
  if (!root) return out;
  check_schema(*root, daemon_keys(), {}, findings);
  const section all(&*root, findings);
  all.sub("log").read("level", out.log_level);
  all.sub("boot").read("start", boot_start_names, out.start_at_boot);
  all.sub("cgroup").read("root", out.cgroup_root);
  health_reader health(units, out);
  health.read_listener(all.sub("http"));
  for (const auto& group : all.subs("health")) health.read_group(group);
  return out;
}

}  // namespace hasup::config
