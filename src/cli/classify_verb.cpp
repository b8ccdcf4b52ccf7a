// hasup classify: tries a recipe on a log.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/terminal.hpp"
#include "cli/verbs.hpp"
#include "config/load.hpp"
#include "model/unit_name.hpp"
#include "unit/classify.hpp"

namespace hasup::cli {

namespace json = boost::json;

exit_code run_classify(const context& c) {
  const auto recipe = config::resolve_recipe(c.call.recipe, {}, c.dirs);
  if (!recipe) {
    complain(c, recipe.error().message);
    return exit_code::usage;
  }
  std::string evidence;
  if (c.call.log_file == "-") {
    evidence.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else if (!c.call.log_file.empty()) {
    std::ifstream in(c.call.log_file, std::ios::binary);
    if (!in) {
      complain(c, base::errno_error("open " + c.call.log_file).message);
      return exit_code::failed;
    }
    evidence.assign(std::istreambuf_iterator<char>(in), {});
  }
  if (evidence.size() > unit::evidence_limit) evidence.erase(0, evidence.size() - unit::evidence_limit);
  model::exit_status status;
  status.code = c.call.exit_status;
  if (!c.call.signal.empty()) {
    status.signal = model::parse_signal(c.call.signal);
    if (!status.signal) {
      complain(c, "no such signal: " + c.call.signal);
      return exit_code::usage;
    }
  }
  unit::run_facts facts;
  facts.startup_passed = !c.call.before_startup;
  facts.startup = facts.startup_passed;
  if (!c.call.readiness.empty()) facts.readiness = c.call.readiness == "passed";
  facts.lived = c.call.ran_for;
  const auto k = unit::classify(&*recipe, status, evidence, facts);
  if (c.call.json) {
    print(json::serialize(json::object{{"class", k.name},
                                       {"action", unit::exit_action_names.text(k.action)},
                                       {"upstream", k.upstream},
                                       {"evidence", k.evidence},
                                       {"grounds", k.grounds},
                                       {"advice", k.advice}}) +
          "\n");
    return exit_code::done;
  }
  print(fmt::format("class     {}\naction    {}\n", k.name, unit::exit_action_names.text(k.action)));
  if (!k.upstream.empty()) print("upstream  " + printable(k.upstream) + "\n");
  if (!k.evidence.empty()) print("evidence  " + printable(k.evidence) + "\n");
  if (!k.grounds.empty()) print("grounds   " + k.grounds + "\n");
  if (!k.advice.empty()) print("advice    " + k.advice + "\n");
  return exit_code::done;
}

}  // namespace hasup::cli
