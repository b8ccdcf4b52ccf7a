// How the files of .hasup write which file is meant. For .cpp files alone: it brings Boost.JSON.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <vector>

#include "snapshot/swap_record.hpp"

namespace hasup::snapshot {

boost::json::value identity_json(const std::optional<identity>& id);  // none is null
boost::json::array volumes_json(const std::vector<swap_volume>& all);

// These throw what boost::json throws, and std::invalid_argument.
std::optional<identity> identity_from(const boost::json::value& v);
std::vector<swap_volume> volumes_from(const boost::json::value& v);

}  // namespace hasup::snapshot
