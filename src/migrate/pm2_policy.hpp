// When pm2 restarts a process, as hasup's [restart].
#pragma once

#include <string>
#include <vector>

#include "migrate/pm2_list.hpp"

namespace hasup::migrate {

// Lines of the section "restart"; empty when hasup's defaults say the same.
std::vector<std::string> restart_lines(const pm2_process& p);

// pm2 reads six fields with seconds first; hasup has five. "" = hasup cannot say it.
std::string five_field_cron(const std::string& cron);

}  // namespace hasup::migrate
