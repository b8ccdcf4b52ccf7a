#include "recovery/freeze.hpp"

namespace hasup::recovery {

frozen freeze(const model::unit& unit, const model::recipe& recipe, std::string why, options asked) {
  frozen f;
  f.unit = shown_name(unit);
  f.why = std::move(why);
  f.asked = std::move(asked);
  f.data_dir = unit.data.dir;
  f.also = unit.data.also;
  f.mounts = unit.data.mounts;
  f.sources = unit.recovery.sources;
  f.recipe = recipe;
  f.mode = unit.recovery.mode;
  f.checksum = unit.recovery.checksum;
  f.budget_count = unit.recovery.budget_count;
  f.budget_within = unit.recovery.budget_within;
  f.max_snapshot_age = unit.recovery.max_snapshot_age;
  f.public_key = unit.recovery.public_key;
  f.max_rate = unit.recovery.max_rate;
  f.max_window = unit.recovery.max_window;
  f.min_free = unit.data.min_free;
  f.group = unit.recovery.group;
  // What goes back together needs its old state.
  f.space = f.group.empty() ? unit.recovery.space : model::space_policy::stage;
  f.has_head = unit.tells_head();
  f.tells_health = unit.tells_health();
  return f;
}

ports::worker_job job_of(const frozen& plan, ports::worker_mode mode) {
  ports::worker_job job;
  job.mode = mode;
  job.data_dir = plan.data_dir;
  job.also = plan.also;
  job.mounts = plan.mounts;
  job.sources = plan.sources;
  job.must_exist = plan.recipe.must_exist;
  job.keep = plan.recipe.keep;
  job.locks = plan.recipe.locks;
  job.max_age = plan.max_snapshot_age;
  job.checksum = plan.checksum;
  job.public_key = plan.public_key;
  job.max_rate = plan.max_rate;
  job.max_window = plan.max_window;
  job.min_free = plan.min_free;
  if (mode == ports::worker_mode::select || mode == ports::worker_mode::measure) job.plans = plan.recipe.plans;
  return job;
}

}  // namespace hasup::recovery
