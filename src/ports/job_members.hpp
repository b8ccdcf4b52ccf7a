// What of jobs, results, progress, candidates and recipes travels, and under which names: one list for both
// directions.
#pragma once

#include "ports/worker_job.hpp"

namespace hasup::ports {

// The table of each enum that travels.
constexpr const auto& names_of(worker_mode) {
  return worker_mode_names;
}
constexpr const auto& names_of(worker_failure) {
  return worker_failure_names;
}
constexpr const auto& names_of(model::checksum_policy) {
  return model::checksum_policy_names;
}
constexpr const auto& names_of(model::archive_order) {
  return model::archive_order_names;
}
constexpr const auto& names_of(model::unpack_mode) {
  return model::unpack_mode_names;
}
constexpr const auto& names_of(model::class_action) {
  return model::class_action_names;
}
constexpr const auto& names_of(model::plan_use) {
  return model::plan_use_names;
}
constexpr const auto& names_of(model::match_mode) {
  return model::match_mode_names;
}
constexpr const auto& names_of(model::startup_seen) {
  return model::startup_seen_names;
}
constexpr const auto& names_of(model::readiness_seen) {
  return model::readiness_seen_names;
}
constexpr const auto& names_of(model::bootstrap_mode) {
  return model::bootstrap_mode_names;
}
constexpr const auto& names_of(model::confirm_when) {
  return model::confirm_when_names;
}

// The members of each type. `m(name, member)` is called for each; the archive decides what happens.
template <class M>
void members(M& m, model::snapshot_mirror& s) {
  m("url", s.url);
  m("source", s.source);
  m("sha256", s.sha256);
  m("source_nth", s.source_nth);
  m("beside", s.beside);
  m("sha256_by", s.sha256_by);
  m("digests", s.digests);
  m("digests_by", s.digests_by);
  m("time", s.time);
}

template <class M>
void members(M& m, model::snapshot& s) {
  m("name", s.name);
  m("url", s.url);
  m("source", s.source);
  m("size", s.size);
  m("time_ns", s.time);
  m("block", s.block);
  m("block_is_guess", s.block_is_guess);
  m("sha256", s.sha256);
  m("mirrors", s.mirrors);
  m("chunks", s.chunks);
  m("chain_id", s.chain_id);
  m("node_version", s.node_version);
  m("set", s.set);
  m("unpacked", s.unpacked);
  m("sha256_by", s.sha256_by);
  m("sha256_else", s.sha256_else);
  m("source_nth", s.source_nth);
  m("beside", s.beside);
  m("digests", s.digests);
  m("digests_by", s.digests_by);
}

template <class M>
void members(M& m, model::archive_spec& a) {
  m("match", a.match);
  m("pattern", a.pattern);
  m("order", a.order);
  m("unpack", a.unpack);
  m("as", a.as);
  m("into", a.into);
  m("strip", a.strip);
  m("at_hand", a.at_hand);
}

template <class M>
void members(M& m, model::snapshot_rule& r) {
  m("chain_id", r.chain_id);
  m("node_version", r.node_version);
  m("block_within", r.block_within);
  m("strict", r.strict);
}

template <class M>
void members(M& m, model::recovery_plan& p) {
  m("name", p.name);
  m("wipe", p.wipe);
  m("shared", p.shared);
  m("refused_by", p.refused_by);
  m("same_set", p.same_set);
  m("archives", p.archives);
  m("require", p.require);
  m("use", p.use);
}

template <class M>
void members(M& m, model::exit_class& c) {
  m("name", c.name);
  m("exit_codes", c.exit_codes);
  m("signals", c.signals);
  m("log", c.log);
  m("match", c.match);
  m("action", c.action);
  m("advice", c.advice);
  m("within_ms", c.within);
  m("after_ms", c.after);
  m("startup", c.startup);
  m("readiness", c.readiness);
  m("upstream", c.upstream);
}

template <class M>
void members(M& m, model::recipe& r) {
  m("name", r.name);
  m("description", r.description);
  m("classes", r.classes);
  m("failed_starts", r.failed_starts);
  m("stuck_restarts", r.stuck_restarts);
  m("must_exist", r.must_exist);
  m("bootstrap", r.bootstrap);
  m("locks", r.locks);
  m("keep", r.keep);
  m("plans", r.plans);
  m("first_start_append", r.first_start_append);
  m("import_command", r.import_command);
  m("import_timeout_ms", r.import_timeout);
  m("confirm", r.confirm);
  m("confirm_within_ms", r.confirm_within);
  m("confirm_advancing_for_ms", r.confirm_advancing_for);
  m("confirm_healthy_for_ms", r.confirm_healthy_for);
}

template <class M>
void members(M& m, candidate& c) {
  m("plan", c.plan);
  m("snapshots", c.snapshots);
}

template <class M>
void members(M& m, passed_over& p) {
  m("file", p.file);
  m("why", p.why);
}

template <class M>
void members(M& m, snapshot_proof& p) {
  m("url", p.url);
  m("digest", p.digest);
  m("is_signed", p.is_signed);
  m("unknown", p.unknown);
  m("disagree", p.disagree);
}

template <class M>
void members(M& m, model::source& s) {
  m("url", s.url);
  m("patience_ms", s.patience);
  m("ca_file", s.ca_file);
  m("client_certificate", s.client_certificate);
  m("client_key", s.client_key);
  m("header_file", s.header_file);
  m("proxy", s.proxy);
  m("identity_file", s.identity_file);
  m("known_hosts", s.known_hosts);
  m("endpoint", s.endpoint);
  m("region", s.region);
  m("credentials_file", s.credentials_file);
  m("profile", s.profile);
}

template <class M>
void members(M& m, model::wanted_directory& d) {
  m("path", d.path);
  m("mode", d.mode);
}

template <class M>
void members(M& m, create_order& c) {
  m("name", c.name);
  m("target", c.target);
  m("level", c.level);
  m("chunks", c.chunks);
  m("replace", c.replace);
  m("allow_changes", c.allow_changes);
  m("sign_key", c.sign_key);
  m("sign_password", c.sign_password);
  m("block", c.block);
  m("chain_id", c.chain_id);
  m("node_version", c.node_version);
  m("set", c.set);
}

template <class M>
void members(M& m, warm_set& w) {
  m("recipe", w.recipe);
  m("candidates", w.candidates);
  m("sha256", w.sha256);
  m("verified", w.verified);
  m("verified_by", w.verified_by);
  m("public_key", w.public_key);
  m("unpacked", w.unpacked);
  m("at_ns", w.at);
}

template <class M>
void members(M& m, worker_job& j) {
  m("mode", j.mode);
  m("result_path", j.result_path);
  m("progress_path", j.progress_path);
  m("data_dir", j.data_dir);
  m("also", j.also);
  m("mount", j.mounts);  // an older hasupd has a text here
  m("locks", j.locks);
  m("must_exist", j.must_exist);
  m("tolerated", j.tolerated);
  m("directories", j.directories);
  m("uid", j.uid);
  m("gid", j.gid);
  m("groups", j.groups);
  m("user", j.user);
  m("may_make_data", j.may_make_data);
  m("all_writers", j.all_writers);
  m("seen_free", j.seen_free);
  m("sources", j.sources);
  m("plans", j.plans);
  m("max_age_ms", j.max_age);
  m("only_archives", j.only_archives);
  m("explain", j.explain);
  m("file", j.file);
  m("create", j.create);
  m("checksum", j.checksum);
  m("max_rate", j.max_rate);
  m("seeds", j.seeds);
  m("public_key", j.public_key);
  m("keep_proof", j.keep_proof);
  m("chosen", j.chosen);
  m("plan", j.plan);
  m("keep", j.keep);
  m("must_bring", j.must_bring);
  m("min_free", j.min_free);
  m("max_window", j.max_window);
  m("unpack_ahead", j.unpack_ahead);
  m("settled", j.settled);
  m("settled_by", j.settled_by);
  m("prefetch", j.prefetch);
  m("background", j.background);
  m("look_for_warm", j.look_for_warm);
  m("useless", j.useless);
  m("useless_sha256", j.useless_sha256);
}

template <class M>
void members(M& m, writer_info& w) {
  m("pid", w.pid);
  m("command", w.command);
  m("path", w.path);
  m("start_time", w.start_time);
  m("uid", w.uid);
  m("ancestors", w.ancestors);
  m("tree", w.tree);
}

template <class M>
void members(M& m, cached_file& f) {
  m("name", f.name);
  m("whole", f.whole);
  m("bytes", f.bytes);
}

template <class M>
void members(M& m, volume_room& r) {
  m("path", r.path);
  m("free_bytes", r.free_bytes);
  m("staging", r.staging);
  m("state", r.state);
  m("freed", r.freed);
}

template <class M>
void members(M& m, room_found& r) {
  m("device", r.device);
  m("free_bytes", r.free_bytes);
  m("staging", r.staging);
  m("cached", r.cached);
  m("state", r.state);
  m("freed", r.freed);
  m("not_cloned", r.not_cloned);
  m("not_swappable", r.not_swappable);
  m("volumes", r.volumes);
}

template <class M>
void members(M& m, worker_result& r) {
  m("failure", r.failure);
  m("error", r.error);
  m("snapshot", r.snapshot);
  m("writer", r.writer);
  m("writers", r.writers);
  m("missing", r.missing);
  m("mounted", r.mounted);
  m("unmounted", r.unmounted);
  m("other_volume", r.other_volume);
  m("data_dir_exists", r.data_dir_exists);
  m("data_dir_empty", r.data_dir_empty);
  m("half_swapped", r.half_swapped);
  m("swap_phase", r.swap_phase);
  m("has_own_dir", r.has_own_dir);
  m("wiped", r.wiped);
  m("free_bytes", r.free_bytes);
  m("least_free", r.least_free);
  m("inexact", r.inexact);
  m("device", r.device);
  m("room", r.room);
  m("warm", r.warm);
  m("in_cache", r.in_cache);
  m("made", r.made);
  m("candidates", r.candidates);
  m("notes", r.notes);
  m("passed", r.passed);
  m("proofs", r.proofs);
  m("sha256", r.sha256);
  m("verified", r.verified);
  m("verified_by", r.verified_by);
  m("announced", r.announced);
  m("archive_paths", r.archive_paths);
  m("bytes", r.bytes);
  m("at_hand", r.at_hand);
  m("damaged_at", r.damaged_at);
  m("work_bytes", r.work_bytes);
  m("work_ms", r.work_ms);
  m("unpacked_ahead", r.unpacked_ahead);
  m("is_archive", r.is_archive);
  m("entries", r.entries);
  m("name", r.name);
  m("url", r.url);
  m("content", r.content);
  m("signature", r.signature);
  m("chunks", r.chunks);
}

template <class M>
void members(M& m, worker_progress& p) {
  m("phase", p.phase);
  m("snapshot", p.snapshot);
  m("source", p.source);
  m("bytes_done", p.bytes_done);
  m("bytes_total", p.bytes_total);
  m("bytes_per_s", p.bytes_per_s);
  m("files_done", p.files_done);
  m("files_total", p.files_total);
}

}  // namespace hasup::ports
