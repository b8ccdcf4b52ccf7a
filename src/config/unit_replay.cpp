#include "config/unit_replay.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace hasup::config {
namespace {

file_context::lookup remembered(const file_context::lookup& find) {
  if (!find) return find;
  return [find, read = std::make_shared<std::map<std::string, std::vector<source_file>, std::less<>>>()](
             std::string_view name) {
    const auto known = read->find(name);
    return known != read->end() ? known->second : read->emplace(name, find(name)).first->second;
  };
}

class replay {
 public:
  replay(const parsed_unit& unit, std::string_view text, file_context context, unit_parser parse,
         std::set<std::string> names)
      : name_(unit.entry.name),
        file_(unit.entry.file),
        text_(text),
        context_(std::move(context)),
        parse_(std::move(parse)),
        names_(std::move(names)) {}

  std::shared_ptr<const model::unit_choices> one(const one_variant& wanted, const model::address_book& known) {
    model::address_book own;
    for (const auto& name : names_)
      if (const auto it = known.find(name); it != known.end()) own.insert(*it);
    if (context_.addresses != own) {
      context_.addresses = std::move(own);
      made_.clear();
    }
    const auto [at, fresh] = made_.try_emplace({wanted.instance, wanted.endpoints});
    if (!fresh) return at->second;
    context_.only = wanted;
    const auto unit = parse_(name_, file_, text_, context_);
    if (!unit.findings.failed() && !unit.entry.instances.empty())
      at->second = unit.entry.instances.front().choices.all;
    return at->second;
  }

 private:
  std::string name_, file_, text_;
  file_context context_;
  unit_parser parse_;
  std::set<std::string> names_;
  // With context_.addresses.
  std::map<std::pair<unsigned, std::map<std::string, std::string>>, std::shared_ptr<const model::unit_choices>> made_;
};

}  // namespace

file_context remembered(file_context context) {
  for (auto* find : {&context.units, &context.presets, &context.recipes, &context.upstreams})
    *find = remembered(*find);
  return context;
}

void add_replay(parsed_unit& unit, std::string_view text, file_context context, unit_parser parse) {
  std::set<std::string> names;
  auto& all = unit.entry.instances;
  for (const auto& one : all)
    if (one.choices.all)
      for (const auto& [word, role] : one.choices.all->roles)
        names.insert(role.dns_names.begin(), role.dns_names.end());
  if (names.empty()) return;
  const auto source = std::make_shared<replay>(unit, text, std::move(context), std::move(parse), std::move(names));
  for (auto& one : all) {
    one.by_names = one.fingerprint;
    one.choices.again = [source, i = one.id.index](const auto& known, const auto& endpoints) {
      return source->one({i, endpoints}, known);
    };
  }
}

}  // namespace hasup::config
