// What was set by hand over a unit's file, and when it ends.
#include "daemon/setting.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using daemon::unit_setting;

namespace {

config::unit_entry file(bool enabled, unsigned instances, bool valid = true) {
  config::unit_entry e;
  e.name = "web";
  e.valid = valid;
  e.instances_in_file = instances;
  if (!valid) return e;
  model::unit u;
  u.id = {"web", 0};
  u.enabled = enabled;
  e.instances.assign(instances, u);
  return e;
}

unit_setting set(std::optional<bool> enabled, std::optional<unsigned> instances, bool maintenance = false) {
  return {enabled, instances, maintenance};
}

std::string told(const config::unit_entry& f, const unit_setting& s) {
  return daemon::settings_text({{"web", f}}, {{"web", s}});
}

}  // namespace

TEST_CASE("what was set by hand is told beside what the file says, and how to go back to it") {
  CHECK(told(file(true, 2), set({}, 4)) ==
        "web: instances = 4 by `hasup scale`, the file says 2; back to the file: hasup scale web --reset\n");
  CHECK(told(file(true, 1), set(false, {})) ==
        "web: enabled = false by `hasup disable`, the file says true; back to the file: hasup enable web --reset\n");
  CHECK(told(file(false, 1), set(true, {})) ==
        "web: enabled = true by `hasup enable`, the file says false; back to the file: hasup enable web --reset\n");
  CHECK(told(file(true, 2, false), set({}, 4)) ==
        "web: instances = 4 by `hasup scale`, over its file, which is broken; back to the file: hasup scale web "
        "--reset\n");
  CHECK(told(file(true, 2), set({}, {}, true)).empty());
  CHECK(daemon::settings_text({}, {{"gone", set(true, 4)}}).empty());
}

TEST_CASE("what the file says as well ends when it is read, and that is told") {
  CHECK(told(file(true, 4), set({}, 4)) ==
        "web: instances = 4 by `hasup scale`, will be dropped: the file says the same now\n");
  daemon::unit_settings all{{"web", set(false, 4, true)}, {"gone", set(true, 2)}};
  daemon::settle({{"web", file(true, 4)}}, all);
  CHECK(all.at("web").enabled == false);
  CHECK_FALSE(all.at("web").instances);
  CHECK(all.at("gone").instances == 2U);

  daemon::settle({{"web", file(false, 4)}}, all);
  CHECK_FALSE(all.at("web").enabled);
  CHECK(all.at("web").maintenance);

  all = {{"web", set(true, {})}};
  daemon::settle({{"web", file(true, 1)}}, all);
  CHECK(all.empty());
}

TEST_CASE("a broken file says nothing: what was set by hand holds on") {
  daemon::unit_settings all{{"web", set(true, 4)}};
  daemon::settle({{"web", file(true, 4, false)}}, all);
  CHECK(all.at("web").enabled == true);
  CHECK(all.at("web").instances == 4U);
}
