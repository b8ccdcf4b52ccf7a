#include "model/unit.hpp"

#include <algorithm>

namespace hasup::model {

std::string shown_name(const unit& u) {
  return u.instances > 1 ? to_text(u.id) : u.id.unit;
}

std::string log_file_name(const unit& u) {
  return shown_name(u) + ".log";
}

bool operator==(const choices_of_unit& a, const choices_of_unit& b) {
  return a.all == b.all || (a.all && b.all && *a.all == *b.all);
}

namespace {

unit made_again(const unit& u, const std::shared_ptr<const address_book>& known,
                const std::map<std::string, std::string>& endpoints) {
  auto all = u.choices.again(*known, endpoints);
  if (!all || all->variants.empty()) return u;
  auto out = all->variants.front();
  out.by_names = u.by_names;
  out.choices = {std::move(all), u.choices.again, known};
  return out;
}

}  // namespace

unit with_endpoints(const unit& u, const std::map<std::string, std::string>& wanted) {
  if (!u.choices.all || u.endpoints.empty()) return u;
  auto endpoints = u.endpoints;
  for (auto& [role, endpoint] : endpoints) {
    const auto it = wanted.find(role);
    const auto& all = u.choices.all->roles.at(role).endpoints;
    if (it != wanted.end() &&
        std::any_of(all.begin(), all.end(), [&](const upstream_endpoint& e) { return e.name == it->second; }))
      endpoint = it->second;
  }
  for (const auto& v : u.choices.all->variants) {
    if (v.endpoints != endpoints) continue;
    auto out = v;
    out.choices = u.choices;
    out.by_names = u.by_names;
    return out;
  }
  return u.choices.with ? made_again(u, u.choices.with, endpoints) : u;
}

unit with_addresses(const unit& u, const address_book& known) {
  if (!u.choices.again) return u;
  return made_again(u, std::make_shared<const address_book>(known), u.endpoints);
}

}  // namespace hasup::model
