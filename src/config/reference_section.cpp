#include "config/reference_section.hpp"

#include <algorithm>

#include "config/section.hpp"

namespace hasup::config {
namespace {

constexpr base::duration usual_timeout{5'000};  // it is not on this machine

// "https://api.example.com": paths and queries may hold a token, and this stands in events.
std::string shown_place(const std::string& url) {
  if (url.starts_with("unix:")) return url.substr(0, url.find(':', 5));
  const auto host = url.find("//");
  if (host == std::string::npos) return url;
  return url.substr(0, url.find_first_of("/?#", host + 2));
}

std::string place_of_probe(const model::probe& p) {
  for (const auto& c : p.checks)
    if (!(c.head.number.empty() && c.head.time.empty()) && !c.url.empty()) return shown_place(c.url);
  return p.preset;
}

std::map<std::string, std::string> given_parameters(const section& s, const preset_file& preset) {
  std::map<std::string, std::string> out;
  for (const auto& [name, p] : preset.parameters)
    if (const auto* v = s.raw(name))
      if (auto text = scalar_text(*v)) out[name] = std::move(*text);
  return out;
}

class reader {
 public:
  // `numbered`: they must tell the number of their head, by which growth is seen.
  reader(const value& table, const preset_file& preset, bool numbered, report& findings)
      : table_(table), s_(&table, findings), preset_(preset), numbered_(numbered), findings_(findings) {}

  std::optional<model::reference_policy> read() {
    model::reference_policy out;
    s_.read("interval", out.interval);
    s_.read("timeout", timeout_);
    s_.read("chain_id", out.chain_id);
    interval_ = out.interval;
    chain_id_ = out.chain_id;
    if (!s_.has("urls")) return add(out, given_parameters(s_, preset_)) ? std::optional(out) : std::nullopt;
    std::vector<std::string> urls;
    s_.read("urls", urls);
    if (s_.has("url")) s_.error("urls", "\"urls\" stands beside \"url\"; leave one of them out");
    if (!preset_.parameters.contains("url")) {
      s_.error("urls", "preset \"" + name() + "\" has no parameter \"url\" that each of \"urls\" could be");
      return std::nullopt;
    }
    if (urls.empty() && s_.raw("urls") != nullptr) s_.error("urls", "\"urls\" names nobody");
    for (const auto& url : urls) {
      auto given = given_parameters(s_, preset_);
      given["url"] = url;
      if (!add(out, given)) return std::nullopt;  // the others would only say the same
    }
    return out;
  }

 private:
  [[nodiscard]] std::string name() const { return s_.raw("preset")->text; }

  bool add(model::reference_policy& out, const std::map<std::string, std::string>& given) {
    const auto before = findings_.all().size();
    auto probe = apply_preset(name(), preset_, given, &table_, table_.where, findings_);
    if (findings_.all().size() != before) return false;
    if (probe.reference) {
      s_.error("preset",
               "preset \"" + name() + "\" has a reference of its own, and a reference is asked for its head alone");
      return false;
    }
    if (numbered_ && std::none_of(probe.checks.begin(), probe.checks.end(),
                                  [](const auto& c) { return !c.head.number.empty(); })) {
      s_.error("preset",
               "preset \"" + name() + "\" does not say where the head is; it needs head = { number = \"/…\" }");
      return false;
    }
    if (!chain_id_.empty() &&
        std::none_of(probe.checks.begin(), probe.checks.end(), [](const auto& c) { return !c.head.chain.empty(); })) {
      s_.error("chain_id",
               "preset \"" + name() + "\" does not ask for the chain; it needs head = { chain = \"/…\" }");
      return false;
    }
    // They are others, wherever they run.
    for (auto& c : probe.checks) c.owner = model::port_owner::any;
    probe.interval = interval_;
    probe.timeout = timeout_;
    auto shown = place_of_probe(probe);
    out.endpoints.push_back({std::move(shown), std::move(probe)});
    return true;
  }

  const value& table_;
  section s_;
  const preset_file& preset_;
  bool numbered_;
  report& findings_;
  std::string chain_id_;
  base::duration interval_{0};
  base::duration timeout_ = usual_timeout;
};

}  // namespace

std::optional<model::reference_policy> read_reference(const value& table, const std::optional<preset_file>& preset,
                                                      report& findings) {
  const section s(&table, findings);
  if (!s.has("preset")) s.error("", "[recovery.reference] needs \"preset\", such as \"antelope\" or \"evm\"");
  if (!preset || s.raw("preset") == nullptr) return std::nullopt;
  return reader(table, *preset, true, findings).read();
}

std::optional<model::probe_reference> read_probe_reference(const value& table, const preset_file* preset,
                                                           report& findings) {
  const section s(&table, findings);
  const auto before = findings.all().size();
  model::probe_reference out;
  s.read("interval", out.interval);
  s.read("timeout", out.timeout);
  if (s.has("preset")) {
    for (const std::string_view key : {"kind", "check"})
      if (s.has(key)) s.error(key, "\"" + std::string(key) + "\" stands beside \"preset\"; leave one of them out");
    if (preset == nullptr || s.raw("preset") == nullptr || findings.all().size() != before) return std::nullopt;
    auto by_preset = reader(table, *preset, false, findings).read();
    if (!by_preset) return std::nullopt;
    for (auto& e : by_preset->endpoints) out.nodes.push_back({std::move(e.name), std::move(e.asks.checks)});
  } else if (s.has("kind") || s.has("check")) {
    if (s.has("urls")) s.error("urls", "\"urls\" is for a preset; write [[…reference.check]] for each of them");
    for (auto& c : read_probe(table, findings).checks) out.nodes.push_back({shown_place(c.url), {std::move(c)}});
  } else {
    s.error(
        "",
        "a reference needs \"preset\", \"kind\" or [[…reference.check]]; write for example preset = \"antelope\"");
  }
  for (auto& node : out.nodes)
    for (auto& c : node.checks) {
      if (c.kind == model::check_kind::tcp || c.kind == model::check_kind::exec || c.kind == model::check_kind::log ||
          !c.through.empty())
        s.error("preset",
                "a reference is asked itself, over the network: kinds \"tcp\", \"exec\" and \"log\", and "
                "\"through\", are for units");
      c.owner = model::port_owner::any;
    }
  return findings.all().size() == before ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace hasup::config
