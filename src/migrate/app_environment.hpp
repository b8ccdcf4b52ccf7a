// Which variables an app was given, out of all that pm2 wrote down with it, and which of them are secret.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "migrate/pm2_list.hpp"

namespace hasup::migrate {

struct app_environment {
  std::vector<std::pair<std::string, std::string>> kept;
  // Names, for a comment.
  std::vector<std::string> of_login;  // PATH, HOME, SSH_…
  std::vector<std::string> of_shell;  // this shell has the same
};

// pm2 keeps the whole environment of the shell that ran `pm2 start`, with the app's own variables among it. Left out:
// what belongs to a login (PATH, HOME, SSH_…), what is pm2's own, and what `shell` (the environment of the importing
// program) has with the same value, unless it stands behind pm2's own variables, where the app's are added, or is
// read by the run time itself (NODE_ENV, TZ …).
app_environment app_environment_of(const pm2_process& p, const std::map<std::string, std::string>& shell);

// By its name ("API_KEY", "DB_PASSWORD") or its value (a private key, a token, a URL with a password). When in doubt:
// a secret in an env file does no harm.
bool looks_secret(std::string_view name, std::string_view value);
bool is_secret_name(std::string_view name);
bool is_secret_value(std::string_view value);

}  // namespace hasup::migrate
