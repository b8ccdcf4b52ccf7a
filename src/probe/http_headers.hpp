// The extra header lines of an HTTP check: from the unit, and from a file so that tokens stay out of unit files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "model/probe.hpp"

namespace hasup::probe {

using header_lines = std::vector<std::pair<std::string, std::string>>;

// Those of the file come last and win. The file is small and regular, or it is an error; so are bad names and values.
base::result<header_lines> read_headers(const model::check& c);

}  // namespace hasup::probe
