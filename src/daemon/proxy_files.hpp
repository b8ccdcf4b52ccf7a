// The files of a [proxy]: the template, what is made of it, and the candidate that is checked before. All blocking.
//
//   template --> OUTPUT.candidate --check_command--> OUTPUT, and the candidate stays until the proxy was told
//
// A candidate with the text of OUTPUT so says to the next hasupd that the proxy may not know of it.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/paths.hpp"
#include "model/unit.hpp"

namespace hasup::daemon {

struct proxy_text {
  std::string text;
  bool differs = false;  // from what is in use; the candidate is there then
};

struct proxy_state {
  bool has_output = false;
  bool untold = false;  // the proxy may not know what is in use
};

std::string candidate_of(const model::proxy_policy& proxy);
proxy_state look_at_output(const model::proxy_policy& proxy);
// Of a hasupd of root's: only where nobody else can write.
base::result<proxy_text> make_candidate(const config::directories& dirs, const model::proxy_policy& proxy,
                                        const std::vector<model::upstream_endpoint>& servers);
base::result<void> put_in_use(const model::proxy_policy& proxy, const std::string& text);
void drop_candidate(const model::proxy_policy& proxy);

}  // namespace hasup::daemon
