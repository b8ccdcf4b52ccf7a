// The table of schema.hpp: keys of recipes.
#include "config/schema.hpp"

namespace hasup::config {
namespace {

using k = value_kind;

void add_archive_keys(std::vector<key>& out, const std::string& at) {
  out.push_back({at + "match", k::text, "", "glob of the file name"});
  out.push_back(
      {at + "pattern", k::text, "",
       "regular expression of the whole file name, with (?P<block>…) or (?P<time>…) in it where the name says them"});
  out.push_back(
      {at + "order", k::word, "\"time\"", "which is the newest", availability::now, {"block", "time", "name"}});
  out.push_back({at + "unpack",
                 k::word,
                 "\"archive\"",
                 "what is done with it",
                 availability::now,
                 {"archive", "decompress", "none"}});
  out.push_back({at + "as", k::text, "", "stays in the staging directory: ${archive.NAME.path}"});
  out.push_back(
      {at + "into", k::text, "", "\".\": each top entry replaces its namesake; NAME: becomes NAME as a whole"});
  out.push_back({at + "strip", k::anything, "\"auto\"", "drop a single leading directory: \"auto\", true or false"});
  out.push_back({at + "at_hand", k::texts, "[]",
                 "globs of the node's own files, relative to the data directory: what the archive has in common with "
                 "them is not fetched, where the host has an index of it (NAME.chunks)"});
}

void add_require_keys(std::vector<key>& out, const std::string& at, bool of_plan) {
  out.push_back({at, k::table, "", of_plan ? "the same for this plan alone" : "of each snapshot, for every plan"});
  out.push_back({at + ".chain_id", k::text, "\"\"", "another one in manifest.json is passed over; \"\": not asked"});
  out.push_back({at + ".node_version", k::text, "\"\"",
                 "versions of the node that made it: \">=5.0 <6\", \"^1.2\", \"4.0 || 5.0\""});
  out.push_back({at + ".block_within", k::text, "\"\"",
                 "a nodeos's blocks.log in the data directory: the snapshot's block, or the next one, is in it"});
  out.push_back({at + ".strict", k::boolean, "false", "pass over also what does not say it"});
}

std::vector<key> make_recipe_keys() {
  std::vector<key> out{
      {"description", k::text, "\"\"", "one line for people"},
      {"params", k::parameters, "", "name = default, or a table with default, required, help"},
      {"classify", k::tables, "", "classes of exits; the first match wins"},
      {"classify[].name", k::text, "", "what people read"},
      {"classify[].exit_code", k::integer_or_integers, "", "one of these exit codes"},
      {"classify[].signal", k::signals, "", "one of these signals"},
      {"classify[].log", k::text, "", "a line of the last output matches this regular expression"},
      {"classify[].within", k::duration, "", "it ended earlier than this after its start"},
      {"classify[].after", k::duration, "", "it ended not earlier than this after its start"},
      {"classify[].startup",
       k::word,
       "",
       "whether its startup had passed when it ended",
       availability::now,
       {"passed", "not_passed"}},
      {"classify[].readiness",
       k::word,
       "",
       "the last verdict of its readiness probe",
       availability::now,
       {"passed", "failed"}},
      {"classify[].match", k::word, "\"all\"", "all or any of the conditions", availability::now, {"all", "any"}},
      {"classify[].action",
       k::word,
       "",
       "recover; restart; next_endpoint: restart with another endpoint of its upstream; or hold: a person must act",
       availability::now,
       {"recover", "restart", "next_endpoint", "hold"}},
      {"classify[].upstream", k::name, "",
       "next_endpoint: whose endpoint is left, as in ${upstream.NAME.KEY} of the unit; without it those of all "
       "upstreams that the run used"},
      {"classify[].advice", k::text, "\"\"", "what a person can do"},
      {"caution", k::tables, "", "words of run.command that hasup check warns of"},
      {"caution[].word", k::text, "", "the word, alone or before a ="},
      {"caution[].why", k::text, "", "what it does, and what to do instead"},
      {"trigger", k::table, "", "recovery without a class"},
      {"trigger.failed_starts", k::integer, "2", "unexplained failed starts in a row; 0 = never"},
      {"trigger.stuck_restarts", k::integer, "0",
       "restarts for a head that stands still (liveness.advances_within) before the state is replaced, if others "
       "advance (recovery.reference of the unit) and by a snapshot beyond the own head alone; 0 = never"},
      {"data", k::table, "", "what the node keeps in its data directory"},
      {"data.must_exist", k::texts, "[]",
       "missing = never started as it is, and nor is a data directory that is missing or empty"},
      {"data.bootstrap",
       k::word,
       "\"hold\"",
       "a unit that never ran, whose data directory is missing or empty: recover restores it first, empty starts it "
       "as it "
       "is, hold waits for a person; once it has run, it is restored",
       availability::now,
       {"recover", "empty", "hold"}},
      {"data.locks", k::texts, "[]", "files on which the node holds a lock"},
      {"data.keep", k::texts, "[]", "identity files: never wiped, never rolled back"},
      {"data.wipe", k::texts, "", "with one plan: its wipe"},
      {"snapshot", k::table, "", "with one plan: its archive"},
      {"plan", k::tables, "", "ways to restore, tried in order"},
      {"plan[].name", k::text, "", "what people read"},
      {"plan[].wipe", k::texts, "", "entries of the data directory that are replaced; \"*\" = all"},
      {"plan[].shared", k::texts, "[]",
       "entries that stay in place; cloned aside where the file system has reflinks"},
      {"plan[].refused_by", k::texts, "[]", "the node's words for: this snapshot does not fit"},
      {"plan[].same_set", k::boolean, "false",
       "only archives of the same backup together: those with the same \"set\" in manifest.json"},
      {"plan[].use",
       k::word,
       "\"always\"",
       "by_hand: it loses for good what the archives do not bring, so it is tried only when a person names it "
       "(hasup recover --plan)",
       availability::now,
       {"always", "by_hand"}},
      {"plan[].archive", k::tables, "", "what is fetched"},
      {"first_start", k::table, "", "the starts after a swap, until the head is beyond the snapshot"},
      {"first_start.append", k::texts, "[]", "further arguments"},
      {"import", k::table, "", "a run of its own that makes the state of a restored archive, before the node starts"},
      {"import.command", k::texts, "",
       "program and arguments, run as the node is, in its place; it must end with 0. One whose end no hasupd saw "
       "begins anew. ${archive.NAME.path} as above"},
      {"import.timeout", k::duration, "\"24h\"", "ended after this long; the next snapshot is tried then"},
      {"confirm", k::table, "", "when the recovery is done"},
      {"confirm.when",
       k::word,
       "\"healthy\"",
       "advancing: the head moves; healthy: readiness passed, for nodes that tell no head",
       availability::now,
       {"advancing", "healthy"}},
      {"confirm.within", k::duration, "\"30m\"", "without an advance this long it has failed"},
      {"confirm.advancing_for", k::duration, "\"2m\"",
       "the head must move this long; where no probe of the unit tells the head: so long after it was healthy first "
       "it must be healthy still"},
      {"confirm.healthy_for", k::duration, "\"0s\"",
       "with when = \"healthy\": likewise; for a unit with neither [startup] nor [readiness] it is at least as long "
       "as "
       "advancing_for"},
  };
  add_archive_keys(out, "snapshot.");
  add_archive_keys(out, "plan[].archive[].");
  add_require_keys(out, "require", false);
  add_require_keys(out, "plan[].require", true);
  return out;
}

}  // namespace

std::span<const key> recipe_keys() {
  static const auto keys = make_recipe_keys();
  return keys;
}

}  // namespace hasup::config
