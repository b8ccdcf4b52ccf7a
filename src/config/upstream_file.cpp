#include "config/upstream_file.hpp"

#include <algorithm>
#include <utility>

#include "config/probe_section.hpp"
#include "config/schema_check.hpp"
#include "config/section.hpp"
#include "config/variables.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

constexpr std::string_view prefix = "upstream.";
constexpr std::size_t most_combinations = 64;  // each is a whole unit

struct role_variable {
  std::string role, key;
};
role_variable split(const std::string& name) {
  const auto dot = name.rfind('.');
  return {name.substr(prefix.size(), dot - prefix.size()), name.substr(dot + 1)};
}

void fill_endpoint(value& v, const scope& in, report& findings) {
  for (auto& item : v.items) fill_endpoint(item, in, findings);
  for (auto& m : v.members) fill_endpoint(m.content, in, findings);
  if (!v.is(value_type::text)) return;
  auto filled = expand(v.text, in);
  if (filled) {
    v.text = std::move(filled->text);
  } else {
    findings.error(place_of(v, filled.error().token), filled.error().message);
    v.broken = true;
  }
}

constexpr std::string_view not_of_endpoints =
    "the endpoints of an upstream are held against each other, by select = \"best_head\" and switch.behind";

class reader {
 public:
  reader(const std::string& name, value table, const file_context& context, report& findings)
      : name_(name), table_(std::move(table)), context_(context), findings_(findings) {}

  std::optional<model::upstream> read() {
    const auto before = errors();
    if (auto* probe = table_.find("probe"); probe != nullptr && probe->is(value_type::table))
      refuse_reference(*probe, std::string(not_of_endpoints), findings_);
    load_preset();
    auto whole = table_;
    if (auto* probe = whole.find("probe")) strip_references(*probe);
    check_schema(whole, upstream_keys(), options_, findings_);
    const section s(&whole, findings_);
    model::upstream out;
    out.name = name_;
    read_settings(s, out);
    read_endpoints(s, out);
    if (errors() == before) check_together(s, out);
    return errors() == before ? std::optional(out) : std::nullopt;
  }

 private:
  [[nodiscard]] std::size_t errors() const {
    const auto& all = findings_.all();
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [](const base::diagnostic& d) { return d.level == base::severity::error; }));
  }

  void load_preset() {
    const auto* probe = table_.find("probe");
    const auto* name = probe == nullptr ? nullptr : probe->find("preset");
    if (name == nullptr || !name->is(value_type::text) || !model::is_unit_name(name->text)) return;
    preset_ = read_preset(name->text, name->where, context_, findings_);
    if (!preset_) {
      options_.open_paths.insert("probe");
      return;
    }
    for (const auto& [key, p] : preset_->parameters) options_.extras["probe"].insert(key);
  }

  // What depends on the endpoint is looked at with each of them.
  static void strip_references(value& v) {
    for (auto& item : v.items) strip_references(item);
    for (auto& m : v.members) strip_references(m.content);
    if (v.is(value_type::text) && v.text.find("${") != std::string::npos) v.broken = true;
  }

  static void read_settings(const section& s, model::upstream& out) {
    s.read("select", model::upstream_select_names, out.select);
    const auto rule = s.sub("switch");
    rule.read("behind", out.rule.behind);
    rule.read("for", out.rule.held);
    rule.read("min_dwell", out.rule.min_dwell);
    if (rule.has("behind") && out.rule.behind.count() <= 0)
      rule.error("behind", "\"behind\" must be more than 0: two that take turns are no reason to switch");
    if (out.select == model::upstream_select::sticky && rule.present())
      s.findings().error(s.key_place("switch"),
                         "a sticky one is left only when it is unhealthy: \"switch\" does nothing here");
    if (out.select == model::upstream_select::priority && rule.has("behind"))
      s.findings().error(rule.key_place("behind"), "of a priority nobody asks who is behind");
    s.read("leave_for", out.leave_for);
    if (s.has("leave_for") && out.leave_for.count() <= 0)
      s.error("leave_for", "\"leave_for\" must be more than 0: the next start must not take the same endpoint again");
    if (const auto* v = s.raw("on_change")) out.restart_on_change = v->text == "restart";
    s.read("join", out.join);
    s.read("resolve_every", out.resolve_every);
    s.read("keep_address_for", out.keep_address_for);
    if (out.resolve_every < std::chrono::seconds(1))
      s.error("resolve_every", "\"resolve_every\" must be 1s at least");
  }

  static void read_values(const section& s, const value& table, model::upstream_endpoint& out) {
    for (const auto& m : table.members) {
      if (m.content.broken) continue;
      if (!is_variable_name(m.key))
        s.findings().error(m.key_place, "\"" + m.key + "\" is no name; write a letter, then letters, digits, _ or -");
      else if (auto text = m.content.is(value_type::time) ? std::nullopt : scalar_text(m.content))
        out.values[m.key] = std::move(*text);
      else
        s.findings().error(m.content.where, "\"" + m.key + "\" must be a string, a number or a boolean");
    }
    if (out.values.contains("dns")) return;
    for (const std::string_view key : {"name", "host", "url"}) {
      const auto it = out.values.find(std::string(key));
      if (it == out.values.end()) continue;
      out.name = it->second;
      break;
    }
    if (out.name.empty())
      s.error("", "an endpoint is called by its \"name\", \"host\" or \"url\"; write one of them");
    out.values["name"] = out.name;
  }

  void read_endpoints(const section& s, model::upstream& out) {
    const auto* all = table_.find("endpoint");
    if (!s.has("probe")) s.error("", "an upstream needs [probe]: how each endpoint is asked how it is");
    if (!s.has("endpoint")) s.error("", "an upstream needs [[endpoint]] with host = \"…\"");
    if (all == nullptr || !all->is(value_type::array)) return;
    const auto written = written_hosts(*all);
    for (const auto& table : all->items) {
      if (!table.is(value_type::table)) continue;
      const section fields(&table, findings_);
      model::upstream_endpoint e;
      read_values(fields, table, e);
      if (const auto* dns = fields.raw("dns")) read_addresses(fields, dns->text, written, e, out);
      if (e.name.empty()) continue;
      if (uses_names_) e.values.emplace("dns", e.name);
      if (std::any_of(out.endpoints.begin(), out.endpoints.end(), [&](const auto& o) { return o.name == e.name; }))
        fields.error("", "there is an endpoint \"" + e.name + "\" already; give it a \"name\" of its own");
      for (const auto& o : out.endpoints) same_keys(fields, e, o);
      if (auto probe = read_asked(e)) e.asked = std::move(*probe);
      out.endpoints.push_back(std::move(e));
    }
  }

  // By name or host; and whether any is written by its DNS name.
  std::set<std::string> written_hosts(const value& all) {
    std::set<std::string> out;
    for (const auto& table : all.items) {
      uses_names_ = uses_names_ || table.find("dns") != nullptr;
      for (const std::string_view key : {"name", "host"})
        if (const auto* v = table.find(key))
          if (auto text = scalar_text(*v)) out.insert(std::move(*text));
    }
    return out;
  }

  // An endpoint for each address of the name; for one of which nothing is known one that has the name as its host.
  void read_addresses(const section& s, const std::string& dns, const std::set<std::string>& written,
                      const model::upstream_endpoint& common, model::upstream& out) {
    for (const std::string_view key : {"name", "host"})
      if (s.has(key))
        s.error(key, "\"" + std::string(key) + "\" is the address that \"dns\" stands for; leave one of them out");
    if (!is_dns_name(dns))
      return s.error("dns", "\"dns\" must be a name such as \"leaps.internal\", without a port or a scheme");
    if (std::find(out.dns_names.begin(), out.dns_names.end(), dns) != out.dns_names.end())
      return s.error("dns", "\"" + dns + "\" stands in this upstream already");
    out.dns_names.push_back(dns);
    const auto known = context_.addresses.find(dns);
    std::vector<model::known_address> hosts{{dns, false}};
    const bool found = known != context_.addresses.end() && !known->second.empty();
    if (found) hosts = known->second;
    for (const auto& address : hosts) {
      auto e = common;
      e.name = e.values["name"] = e.values["host"] = address.host;
      e.dns = dns;
      e.unresolved = !found;
      e.gone = address.gone;
      if (written.contains(e.name) ||
          std::any_of(out.endpoints.begin(), out.endpoints.end(), [&](const auto& o) { return o.name == e.name; }))
        continue;
      for (const auto& o : out.endpoints) same_keys(s, e, o);
      if (auto probe = read_asked(e)) e.asked = std::move(*probe);
      out.endpoints.push_back(std::move(e));
    }
  }

  static bool is_dns_name(std::string_view text) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return !text.empty() && text.size() < 254 && text.front() != '.' && text.front() != '-' &&
           text.find_first_not_of(letters) == std::string_view::npos;
  }

  // What one of them lacks could not be filled in once it is chosen.
  static void same_keys(const section& s, const model::upstream_endpoint& a, const model::upstream_endpoint& b) {
    for (const auto& [key, text] : b.values)
      if (!a.values.contains(key))
        s.error("", "endpoint \"" + a.name + "\" has no \"" + key + "\", which \"" + b.name + "\" has");
    for (const auto& [key, text] : a.values)
      if (!b.values.contains(key))
        s.error(key, "endpoint \"" + b.name + "\" has no \"" + key + "\", which \"" + a.name + "\" has");
  }

  std::optional<model::probe> read_asked(const model::upstream_endpoint& e) {
    const auto* written = table_.find("probe");
    if (written == nullptr || !written->is(value_type::table)) return std::nullopt;
    scope in;
    in.placeholder_remedy = "; for a token in a header use header_file";
    for (const auto& [key, text] : e.values) in.names["endpoint." + key] = {text, false, false};
    value table;
    table.where = written->where;
    table.set("probe", *written);
    auto& probe = *table.find("probe");
    fill_endpoint(probe, in, findings_);
    check_schema(table, upstream_keys(), options_, findings_);
    const section s = section(&table, findings_).sub("probe");
    auto out = s.has("preset") ? from_preset(s, probe) : inline_probe(s, probe);
    if (!out) return out;
    if (out->reference)
      s.error("preset", "preset \"" + out->preset + "\" does not belong here: " + std::string(not_of_endpoints));
    for (auto& c : out->checks) {
      if (c.kind == model::check_kind::exec)
        s.error("kind", "an endpoint is asked over the network: kind \"exec\" is for the unit itself");
      if (c.kind == model::check_kind::log || !c.through.empty())
        s.error("", "an endpoint is asked itself, over the network: kind \"log\" and \"through\" are for units");
      if (c.owner == model::port_owner::unit)
        s.error("port_owner", "an endpoint belongs to no unit here; leave \"port_owner\" out");
      c.owner = model::port_owner::any;
    }
    return out;
  }

  std::optional<model::probe> inline_probe(const section& s, const value& probe) {
    if (s.has("kind") || s.has("check")) return read_probe(probe, findings_);
    s.error("", "[probe] needs \"preset\", \"kind\" or [[probe.check]]; write for example preset = \"antelope\"");
    return std::nullopt;
  }

  std::optional<model::probe> from_preset(const section& s, const value& probe) {
    if (!preset_ || s.raw("preset") == nullptr) return std::nullopt;
    std::map<std::string, std::string> given;
    for (const auto& [key, p] : preset_->parameters)
      if (const auto* v = s.raw(key))
        if (auto text = scalar_text(*v)) given[key] = std::move(*text);
    return apply_preset(s.raw("preset")->text, *preset_, given, &probe, probe.where, findings_);
  }

  static bool names_endpoint(const value& v) {
    const auto holds = [&](const char* text) { return v.text.find(text) != std::string::npos; };
    return (v.is(value_type::text) && holds("${") && holds("endpoint.")) ||  // also in a sum: ${1 + endpoint.port}
           std::any_of(v.items.begin(), v.items.end(), names_endpoint) ||
           std::any_of(v.members.begin(), v.members.end(), [](const auto& m) { return names_endpoint(m.content); });
  }

  // A single endpoint may stand in [probe] by its own address, but the default of a preset is nobody's in particular.
  [[nodiscard]] bool is_address_of(const model::upstream_endpoint& e) const {
    if (!preset_) return true;
    const auto& values = e.values;
    return std::any_of(e.asked.checks.begin(), e.asked.checks.end(), [&](const model::check& c) {
      return std::any_of(values.begin(), values.end(), [&](const auto& v) {
        return (v.first == "host" || v.first == "url" || v.first == "name") && !v.second.empty() &&
               (c.url + c.address).find(v.second) != std::string::npos;
      });
    });
  }

  // How [probe] would name the endpoint, as far as that can be told.
  [[nodiscard]] std::string remedy(const model::upstream_endpoint& e, const model::check& asked) const {
    const auto offers = [&](const char* key) { return !preset_ || preset_->parameters.contains(key); };
    if (asked.url.empty())
      return offers("address") ? "write for example address = \"${endpoint.host}:8888\""
                               : "write it into a parameter of the preset";
    if (!offers("url")) return "write it into a parameter of the preset";
    const auto host = e.values.find("host");
    const bool has_port = host != e.values.end() && host->second.find(':') != std::string::npos;
    if (e.values.contains("url")) return "write for example url = \"${endpoint.url}\"";
    return std::string("write for example url = \"") + (asked.url.starts_with("ws") ? "ws" : "http") +
           "://${endpoint.host}" + (has_port ? "" : ":8888") + "\"";
  }

  void check_asked_apart(const section& s, const model::upstream& out) {
    const auto* probe = table_.find("probe");
    if (probe == nullptr || names_endpoint(*probe) || out.endpoints.empty()) return;
    const auto& first = out.endpoints.front();
    if (first.asked.checks.empty()) return;
    if (out.endpoints.size() == 1 && out.dns_names.empty() && is_address_of(first)) return;
    const auto& asked = first.asked.checks.front();
    findings_.error(s.key_place("probe"), "[probe] names no ${endpoint.KEY}: it asks " +
                                              (asked.url.empty() ? asked.address : asked.url) +
                                              ", whichever endpoint it is to ask; " + remedy(first, asked));
  }

  void check_together(const section& s, const model::upstream& out) {
    if (out.endpoints.empty()) return s.error("", "an upstream needs [[endpoint]] with host = \"…\"");
    check_asked_apart(s, out);
    if (out.select == model::upstream_select::best_head && !out.endpoints.front().asked.tells_head())
      s.error("select",
              "nobody says which one has the best head: [probe] needs head = { number = \"/…\" }, or write select = "
              "\"sticky\" or \"priority\"");
  }

  const std::string& name_;
  value table_;
  const file_context& context_;
  report& findings_;
  schema_options options_;
  std::optional<preset_file> preset_;
  bool uses_names_ = false;
};

// Everything that a unit says of upstreams.
struct references {
  struct one {
    std::string role;
    place where;
  };
  std::vector<one> roles;           // in the order of the file
  std::set<std::string> variables;  // "upstream.leap.host"
  std::set<std::string> required;   // by [[requires]] and [proxy]
};

void collect(const value& v, references& out) {
  for (const auto& item : v.items) collect(item, out);
  for (const auto& m : v.members) collect(m.content, out);
  if (!v.is(value_type::text)) return;
  for (const auto& name : upstream_variables_in(v.text)) {
    out.variables.insert(name);
    out.roles.push_back({split(name).role, place_of(v, name)});
  }
}

references references_of(const value& root) {
  references out;
  for (const auto& m : root.members)
    if (m.key != "upstream") collect(m.content, out);
  const auto require = [&](const value* v) {
    if (v != nullptr && v->is(value_type::text) && model::is_unit_name(v->text))
      out.roles.push_back({v->text, v->where}), out.required.insert(v->text);
  };
  if (const auto* proxy = root.find("proxy")) require(proxy->find("upstream"));
  const auto* all = root.find("requires");
  if (all == nullptr) return out;
  for (const auto& r : all->items) require(r.find("upstream"));
  return out;
}

class collector {
 public:
  collector(std::string unit, const file_context& context, report& findings)
      : unit_(std::move(unit)), context_(context), findings_(findings) {}

  void add(const std::string& role, const std::string& name, const value& table) {
    out_.tables[role] = table;
    if (auto read = read_upstream(name, table, context_, findings_)) out_.roles[role] = std::move(*read);
  }

  void add_own(const value& root) {
    const auto* own = root.find("upstream");
    if (own == nullptr) return;
    if (!own->is(value_type::table))
      return findings_.error(own->where, "\"upstream\" must be a table; write [upstream.NAME]");
    for (const auto& m : own->members) {
      if (!model::is_unit_name(m.key) || !m.content.is(value_type::table))
        findings_.error(m.key_place, "[upstream.NAME] is a table, and NAME [a-z0-9][a-z0-9._-]*");
      else
        own_.emplace(m.key, m.key_place), add(m.key, unit_ + "/" + m.key, m.content);
    }
  }

  void add_shared(const references::one& r) {
    if (out_.tables.contains(r.role) || tried_.contains(r.role)) return;
    tried_.insert(r.role);
    const auto files = context_.upstreams ? context_.upstreams(r.role) : std::vector<source_file>{};
    if (files.empty())
      return findings_.error(r.where, no_such_file("upstream", r.role, "upstreams/", context_.upstream_directories,
                                                   context_.upstream_names));
    if (const auto root = parse_document(files[0].path, files[0].text, findings_)) add(r.role, r.role, *root);
  }

  used_upstreams finish(const references& used) {
    for (const auto& [role, up] : out_.roles) plurals(role, up);
    for (const auto& name : used.variables) {
      const auto v = split(name);
      const auto role = out_.roles.find(v.role);
      if (role == out_.roles.end())
        broken(v.role, name);
      else if (role->second.endpoints.front().values.contains(v.key))
        out_.chosen_from.insert(v.role);
      else if (!role->second.dns_names.empty())
        out_.listed.insert(v.role);
    }
    for (const auto& [role, where] : own_)
      if (std::none_of(used.roles.begin(), used.roles.end(), [&](const auto& r) { return r.role == role; }))
        findings_.warning(where, "nothing in this unit names it: write ${upstream." + role +
                                     ".KEY}, [[requires]] upstream = \"" + role + "\" or [proxy]");
    for (const auto& r : used.roles)
      if (!out_.roles.contains(r.role)) out_.broken.insert(r.role);
    for (const auto& [role, table] : out_.tables)
      if (!out_.roles.contains(role)) out_.broken.insert(role);
    std::erase_if(out_.roles, [&](const auto& role) {
      return !out_.chosen_from.contains(role.first) && !out_.listed.contains(role.first) &&
             !used.required.contains(role.first);
    });
    return std::move(out_);
  }

 private:
  // What is wrong with the upstream has been said: of its variables only those are told that it could never have.
  void broken(const std::string& role, const std::string& name) {
    auto& failed = out_.values.failed;
    const auto table = out_.tables.find(role);
    const auto* all = table == out_.tables.end() ? nullptr : table->second.find("endpoint");
    if (all == nullptr || all->items.empty()) {
      failed.insert(name);
      return;
    }
    const auto known = [&](const std::string& key) {
      for (const auto* ending : {"", "s"}) failed.insert(std::string(prefix) + role + "." + key + ending);
    };
    known("name");
    for (const auto& e : all->items)
      for (const auto& m : e.members) {
        known(m.key);
        if (m.key == "dns") known("host");
      }
  }

  // ${upstream.leap.hosts}: those of all endpoints.
  void plurals(const std::string& role, const model::upstream& up) {
    const auto& first = up.endpoints.front().values;
    const bool all_gone = std::all_of(up.endpoints.begin(), up.endpoints.end(), [](const auto& e) { return e.gone; });
    for (const auto& [key, text] : first) {
      if (first.contains(key + "s")) continue;
      const auto name = std::string(prefix) + role + "." + key + "s";
      auto& joined = out_.values.of_all[name];
      bool begun = false;
      for (const auto& e : up.endpoints)
        if (!e.gone || all_gone) joined += (std::exchange(begun, true) ? up.join : "") + e.values.at(key);
      if (!up.dns_names.empty()) out_.values.of_addresses.insert(name);
    }
  }

  std::string unit_;
  const file_context& context_;
  report& findings_;
  used_upstreams out_;
  std::set<std::string> tried_;
  std::map<std::string, place> own_;
};

}  // namespace

std::optional<model::upstream> read_upstream(const std::string& name, value table, const file_context& context,
                                             report& findings) {
  return reader(name, std::move(table), context, findings).read();
}

used_upstreams read_upstreams(const std::string& unit, const value& root, const file_context& context,
                              report& findings) {
  const auto used = references_of(root);
  collector all(unit, context, findings);
  all.add_own(root);
  for (const auto& r : used.roles) all.add_shared(r);
  return all.finish(used);
}

upstream_values values_of(const used_upstreams& upstreams, const std::map<std::string, std::string>& endpoints) {
  auto out = upstreams.values;
  for (const auto& [role, name] : endpoints)
    for (const auto& e : upstreams.roles.at(role).endpoints)
      if (e.name == name)
        for (const auto& [key, text] : e.values) out.chosen[std::string(prefix) + role + "." + key] = text;
  return out;
}

std::optional<std::vector<std::map<std::string, std::string>>> combinations(const used_upstreams& upstreams) {
  std::vector<std::map<std::string, std::string>> out{{}};
  // However many addresses a name has now: a unit that is valid stays so.
  std::size_t most = 1;
  for (const auto& role : upstreams.chosen_from) {
    const auto& up = upstreams.roles.at(role);
    const auto written = static_cast<std::size_t>(
        std::count_if(up.endpoints.begin(), up.endpoints.end(), [](const auto& e) { return e.dns.empty(); }));
    most *= written + up.dns_names.size() * model::most_addresses;
    if (most > most_combinations) return std::nullopt;
  }
  for (const auto& role : upstreams.chosen_from) {
    std::vector<std::map<std::string, std::string>> longer;
    for (const auto& so_far : out)
      for (const auto& e : upstreams.roles.at(role).endpoints) {
        longer.push_back(so_far);
        longer.back()[role] = e.name;
      }
    out = std::move(longer);
  }
  return out;
}

}  // namespace hasup::config
