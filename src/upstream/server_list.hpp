// Which servers of a role a proxy spreads its requests over, and the text of its list. Pure: time is an argument.
//
//   not listed --fit for `back_after`, and the last change is `min_interval` ago--> listed
//   listed --unhealthy, avoided, or behind by more than is allowed--> not listed, at once
//   listed --none of all is fit--> it stays: a list without servers serves nobody
//
// The chosen one of the role stands first, the others in the order of its file; so the order changes when the choice
// does, and not with each block.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/unit.hpp"
#include "upstream/choice.hpp"

namespace hasup::upstream {

// What is known of one server now.
struct server_view {
  std::string name;
  standing is = standing::undecided;  // also one that has just failed to answer
  std::string reason;                 // of that standing
  bool avoided = false;
  std::optional<base::duration> behind;          // the furthest one
  bool ever_level = true;                        // it was seen where the furthest one was; else `behind` may be more
  std::optional<std::uint64_t> blocks_behind{};  // by the last answers
};

struct list_memory {
  std::vector<std::string> listed;                   // in the order of the list; empty = none yet
  std::map<std::string, base::mono_time> fit_since;  // of those that are fit
  std::optional<base::mono_time> waits_since;        // for the first list: since when somebody is fit
  base::mono_time changed{};                         // the list
  bool none_fit = false;                             // it stays although nobody in it is fit
};

struct server_list {
  std::vector<std::string> servers;  // empty = there is no list yet
  bool changed = false;              // by this look
  std::string left_out;  // who is not in it, or is in it only because nobody is fit, and why; for a person
};

// Takes a look; `all` in the order of the file. `patience` is how long the first list waits for those of whom nothing
// is known yet.
server_list list_servers(const model::proxy_policy& policy, const std::vector<server_view>& all,
                         const std::string& chosen, list_memory& memory, base::duration patience,
                         base::mono_time now);

// The text of the list: a line of the template that names ${endpoint.KEY} stands once for each server, one that names
// ${other.KEY} once for each but the first; ${first.KEY} is of the first. All else stays as it is, other dollars too.
base::result<std::string> fill_template(std::string_view text,
                                        const std::vector<const model::upstream_endpoint*>& servers);

}  // namespace hasup::upstream
