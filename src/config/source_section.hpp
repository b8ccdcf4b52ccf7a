// recovery.source -> model::source: which kinds of places there are, and which keys each of them takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"
#include "model/source.hpp"

namespace hasup::config {

// A string, a table with "url", or an array of these; checked against the schema. Whatever is wrong is reported and
// left out.
void read_sources(const value& at, report& findings, std::vector<model::source>& out);

// Why `url` is no source, with what to write instead; nothing when it is one. "/DIR" is short for "file:///DIR".
std::optional<std::string> source_problem(std::string_view url);

}  // namespace hasup::config
