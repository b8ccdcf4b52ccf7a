// A shipped unit file as a template: what a site fills in stands in its [vars], and the made-up addresses of the
// endpoints of its upstreams. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::config {

struct template_variable {
  std::string name;                       // of an endpoint NAME-KEY: "vm11-host", "leap2-url"
  std::string value;                      // that of the file, without quotes
  std::string about;                      // the comment behind it; "" = none
  bool is_text = true;                    // else a number or a boolean, written without quotes
  bool is_example = false;                // of a host or key that is nobody's: a site has to say its own
  unsigned line = 0;                      // from 1
  std::string_view::size_type begin = 0;  // of the value in that line, with its quotes
  std::string_view::size_type end = 0;

  friend bool operator==(const template_variable&, const template_variable&) = default;
};

struct unit_template {
  std::string description;
  std::string about;                         // the comment that the file begins with, in one line
  std::vector<template_variable> variables;  // in the order of the file, those of endpoints last
  std::vector<std::string> needs;            // the units of its [[requires]]
};

// An error when the text is no TOML, or a value of [vars] is not one scalar on one line.
base::result<unit_template> read_template(const std::string& file, std::string_view text);

// The text with these values, and nothing else changed: comments stay. A value for a number must be one, and no value
// may have a control character. An unknown name is an error.
base::result<std::string> fill_template(const unit_template& from, std::string_view text,
                                        const std::map<std::string, std::string>& values);

}  // namespace hasup::config
