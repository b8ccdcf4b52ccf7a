// [startup], [readiness], [liveness] and presets -> model::probe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/unit_file.hpp"
#include "model/probe.hpp"

namespace hasup::config {

struct preset_file;

// Reads a whole probe table without a preset, all variables filled in and checked against the schema.
// `reference_preset`: the one that its [reference] names; null when it names none, or that cannot be read.
model::probe read_probe(const value& table, report& findings, const preset_file* reference_preset = nullptr);

// What a file with [params] offers.
struct parameter {
  std::string name;
  std::optional<std::string> default_value;  // nothing: it must be given
  std::string help;
};

// Reads [params] of a preset or recipe.
std::map<std::string, parameter> read_parameters(const value& root, report& findings);

// Fills the parameters into all strings of the file; a missing one is reported at `at`. What starts with
// `kept_prefix` stays. `kind_and_name` is for the message: "preset \"antelope\"".
void fill_parameters(value& root, const std::map<std::string, parameter>& offered,
                     const std::map<std::string, std::string>& given, const std::string& kept_prefix, const place& at,
                     const std::string& kind_and_name, report& findings);

// "no recipe "mysrv": there is no mysrv.toml in /etc/hasup/recipes or …", with the nearest of `names`, or all of
// them. `folder` is for a context that knows no directories.
std::string no_such_file(const std::string& what, const std::string& name, const std::string& folder,
                         const std::vector<std::string>& directories, const std::vector<std::string>& names);

// A preset file, before its parameters are filled in.
struct preset_file {
  value root;
  std::map<std::string, parameter> parameters;
};
std::optional<preset_file> read_preset(const std::string& name, const place& at, const file_context& context,
                                       report& findings);

// The preset with these parameters, and with those settings of `table` (may be null) that a unit may override.
model::probe apply_preset(const std::string& name, preset_file preset,
                          const std::map<std::string, std::string>& given, const value* table, const place& at,
                          report& findings, const preset_file* reference_preset = nullptr);

// For probes that are held against nobody: reports what is about others, and takes it away. True when there was any.
bool refuse_reference(value& probe_table, const std::string& why, report& findings);

}  // namespace hasup::config
