// What a recipe requires of snapshots, in the words that an operator reads.
#include "snapshot/requirement.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using snapshot::block_span;
using snapshot::objection;

namespace {

model::snapshot made(std::optional<std::uint64_t> block, const std::string& chain, const std::string& version) {
  model::snapshot s{"snap.bin", "http://h/snap.bin", "http://h/", 1, std::nullopt, block, ""};
  s.chain_id = chain;
  s.node_version = version;
  return s;
}

const std::string one_chain(64, 'a');
const std::string other_chain = "b" + std::string(63, 'a');

}  // namespace

TEST_CASE("a snapshot of another chain is none; one that does not say is, unless strict", "[require]") {
  model::snapshot_rule rule;
  rule.chain_id = one_chain;
  CHECK(objection(rule, made(1, one_chain, ""), {}).empty());
  CHECK(objection(rule, made(1, std::string(64, 'A'), ""), {}).empty());
  CHECK(objection(rule, made(1, other_chain, ""), {}) == "is of chain baaaaaaaaaaa…, not of aaaaaaaaaaaa…");
  CHECK(objection(rule, made(1, one_chain.substr(1), ""), {}) ==
        "is of chain " + one_chain.substr(1) + ", not of " + one_chain);
  CHECK(objection(rule, made(1, "", ""), {}).empty());
  rule.strict = true;
  CHECK(objection(rule, made(1, "", ""), {}) == "does not say its chain, which is required");
  rule.chain_id = "17777";
  CHECK(objection(rule, made(1, "1", ""), {}) == "is of chain 1, not of 17777");
}

TEST_CASE("a snapshot of a node version out of the range is none", "[require]") {
  model::snapshot_rule rule;
  rule.node_version = ">=5.0 <6";
  CHECK(objection(rule, made(1, "", "v5.0.2"), {}).empty());
  CHECK(objection(rule, made(1, "", "v6.0.0"), {}) == "was made by node version v6.0.0, which is not \">=5.0 <6\"");
  CHECK(objection(rule, made(1, "", ""), {}).empty());
  CHECK(objection(rule, made(1, "", "main"), {}).empty());
  rule.strict = true;
  CHECK(objection(rule, made(1, "", "main"), {}) == "does not say the version of its node, which is required");
}

TEST_CASE("a snapshot's block, or the one after it, has to be in the node's own blocks", "[require]") {
  model::snapshot_rule rule;
  rule.block_within = "blocks/blocks.log";
  const block_span log{100, 1100};
  CHECK(objection(rule, made(1100, "", ""), log).empty());
  CHECK(objection(rule, made(1101, "", ""), log) == "block 1101 is newer than blocks/blocks.log (head 1100)");
  CHECK(objection(rule, made(99, "", ""), log).empty());
  CHECK(objection(rule, made(98, "", ""), log).empty());  // in a retained file of a log that is split, perhaps
  CHECK(objection(rule, made(98, "", ""), block_span{100, 1100, true}) ==
        "block 98 is older than blocks/blocks.log (which begins at 100)");
  auto guess = made(20'261'121, "", "");
  guess.block_is_guess = true;
  CHECK(objection(rule, guess, log).empty());
  CHECK(objection(rule, made(~std::uint64_t{0}, "", ""), log).find("is newer") != std::string::npos);
  CHECK(objection(rule, made(1101, "", ""), std::nullopt).empty());
  CHECK(objection(rule, made(std::nullopt, "", ""), log).empty());
  rule.strict = true;
  CHECK(objection(rule, made(std::nullopt, "", ""), log) == "does not say its block, which is required");
  CHECK(objection({}, made(98, other_chain, "1.0"), log).empty());
}
