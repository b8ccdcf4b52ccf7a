#include "snapshot/requirement.hpp"

#include <algorithm>

#include "model/version_range.hpp"

namespace hasup::snapshot {
namespace {

// Ids of chains are hex, which some write in capitals.
bool same_id(std::string_view a, std::string_view b) {
  const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return low(x) == low(y); });
}

// 64 digits fill a line; the first few tell two apart, or else all do.
std::string short_id(const std::string& id, const std::string& other) {
  constexpr std::size_t enough = 12;
  if (id.size() <= 20 || same_id(id.substr(0, enough), other.substr(0, enough))) return id;
  return id.substr(0, enough) + "…";
}

std::string wrong_chain(const model::snapshot_rule& rule, const model::snapshot& s) {
  if (rule.chain_id.empty()) return {};
  if (s.chain_id.empty()) return rule.strict ? "does not say its chain, which is required" : "";
  if (same_id(s.chain_id, rule.chain_id)) return {};
  return "is of chain " + short_id(s.chain_id, rule.chain_id) + ", not of " + short_id(rule.chain_id, s.chain_id);
}

std::string wrong_version(const model::snapshot_rule& rule, const model::snapshot& s) {
  if (rule.node_version.empty()) return {};
  const auto range = model::version_range::from(rule.node_version);
  if (!range) return {};  // refused where the recipe was read
  const auto version = model::find_version(s.node_version);
  if (!version) return rule.strict ? "does not say the version of its node, which is required" : "";
  if (range->contains(*version)) return {};
  return "was made by node version " + s.node_version + ", which is not \"" + rule.node_version + "\"";
}

std::string wrong_block(const model::snapshot_rule& rule, const model::snapshot& s,
                        const std::optional<block_span>& log) {
  if (rule.block_within.empty() || !log) return {};
  if (!s.block || s.block_is_guess) return rule.strict ? "does not say its block, which is required" : "";
  const auto block = "block " + std::to_string(*s.block);
  if (*s.block > log->last)
    return block + " is newer than " + rule.block_within + " (head " + std::to_string(log->last) + ")";
  if (log->pruned && *s.block + 1 < log->first)
    return block + " is older than " + rule.block_within + " (which begins at " + std::to_string(log->first) + ")";
  return {};
}

}  // namespace

std::string objection(const model::snapshot_rule& rule, const model::snapshot& s,
                      const std::optional<block_span>& log) {
  if (auto why = wrong_chain(rule, s); !why.empty()) return why;
  if (auto why = wrong_version(rule, s); !why.empty()) return why;
  return wrong_block(rule, s, log);
}

}  // namespace hasup::snapshot
