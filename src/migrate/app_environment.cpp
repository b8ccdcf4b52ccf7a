#include "migrate/app_environment.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace hasup::migrate {
namespace {

using std::string_view;

// A trailing * = every name that starts so.
constexpr string_view login_names[]{"PATH",
                                    "HOME",
                                    "USER",
                                    "USERNAME",
                                    "LOGNAME",
                                    "SHELL",
                                    "PWD",
                                    "OLDPWD",
                                    "SHLVL",
                                    "_",
                                    "TERM",
                                    "TERM_*",
                                    "COLORTERM",
                                    "LANG",
                                    "LANGUAGE",
                                    "LC_*",
                                    "LS_COLORS",
                                    "LSCOLORS",
                                    "MAIL",
                                    "HOSTNAME",
                                    "HOSTTYPE",
                                    "EDITOR",
                                    "VISUAL",
                                    "PAGER",
                                    "LESS*",
                                    "DISPLAY",
                                    "WAYLAND_*",
                                    "XAUTHORITY",
                                    "XDG_*",
                                    "DBUS_*",
                                    "SSH_*",
                                    "SUDO_*",
                                    "TMUX*",
                                    "STY",
                                    "WINDOWID",
                                    "GPG_*",
                                    "HIST*",
                                    "PS1",
                                    "PS2",
                                    "PROMPT_*",
                                    "BASH*",
                                    "ZSH*",
                                    "MOTD_SHOWN",
                                    "INVOCATION_ID",
                                    "SYSTEMD_*",
                                    "MANAGERPID",
                                    "LISTEN_*",
                                    "NVM_*",
                                    "npm_*",
                                    "VSCODE_*",
                                    "DEBIAN_FRONTEND",
                                    "NOTIFY_SOCKET",
                                    "JOURNAL_STREAM",
                                    "CREDENTIALS_DIRECTORY"};
constexpr string_view pm2_names[]{"PM2_*",   "pm_*",           "unique_id",   "NODE_CHANNEL_*", "NODE_UNIQUE_ID",
                                  "km_link", "vizion_running", "windowsHide", "SILENT"};
// Programs behave otherwise without them, wherever they came from.
constexpr string_view runtime_names[]{"NODE_*",      "TZ",         "PORT",        "HOST",     "LD_LIBRARY_PATH",
                                      "LD_PRELOAD",  "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY",
                                      "HTTPS_PROXY", "NO_PROXY",   "MALLOC_*",    "RUST_LOG"};

template <std::size_t N>
bool is_in(const string_view (&names)[N], string_view name) {
  return std::any_of(std::begin(names), std::end(names), [&](string_view pattern) {
    return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
  });
}

bool can_be_set(string_view name) {
  return !name.empty() && name.find('=') == string_view::npos && name.find('\0') == string_view::npos;
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// An Ethereum or Antelope private key, or any other 32 bytes.
bool is_hex_key(string_view v) {
  if (v.starts_with("0x")) v.remove_prefix(2);
  return v.size() == 64 && std::all_of(v.begin(), v.end(), is_hex);
}

// "5K…": an old EOS or Bitcoin key.
bool is_wif(string_view v) {
  return (v.size() == 51 || v.size() == 52) && (v[0] == '5' || v[0] == 'K' || v[0] == 'L') &&
         std::all_of(v.begin(), v.end(), [](char c) { return is_digit(c) || is_lower(c) || is_upper(c); });
}

// A seed phrase.
bool is_mnemonic(string_view v) {
  if (!std::all_of(v.begin(), v.end(), [](char c) { return is_lower(c) || c == ' '; })) return false;
  std::size_t words = 0;
  char before = ' ';
  for (const char c : v) {
    if (before == ' ' && c != ' ') ++words;
    before = c;
  }
  return words >= 12 && words <= 24 && words % 3 == 0;
}

// scheme://user:password@host
bool is_url_with_password(string_view v) {
  const auto scheme = v.find("://");
  if (scheme == string_view::npos) return false;
  const auto rest = v.substr(scheme + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  const auto at = authority.rfind('@');
  const auto colon = authority.find(':');
  return at != string_view::npos && colon != string_view::npos && colon < at;
}

// An address or a hash ("0xf39F…"), a public key: long, and known to everybody.
bool is_public(string_view v) {
  if (v.starts_with("EOS") || v.starts_with("PUB_")) return true;
  if (v.starts_with("0x")) v.remove_prefix(2);
  return std::all_of(v.begin(), v.end(), is_hex);
}

// 32 or more letters and digits of all kinds: nobody writes that by hand.
bool is_random(string_view v) {
  const auto allowed = [](char c) {
    return is_digit(c) || is_lower(c) || is_upper(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-';
  };
  return v.size() >= 32 && v[0] != '/' && !is_public(v) && std::all_of(v.begin(), v.end(), allowed) &&
         std::any_of(v.begin(), v.end(), is_digit) && std::any_of(v.begin(), v.end(), is_lower) &&
         std::any_of(v.begin(), v.end(), is_upper);
}

}  // namespace

app_environment app_environment_of(const pm2_process& p, const std::map<std::string, std::string>& shell) {
  app_environment out;
  bool behind_pm2 = false;
  for (const auto& [name, value] : p.env) {
    if (name.starts_with("PM2_USAGE") || name.starts_with("PM2_JSON")) behind_pm2 = true;
    if (is_in(pm2_names, name) || name == p.instance_variable || !can_be_set(name)) continue;
    const auto same = shell.find(name);
    const bool inherited = !behind_pm2 && !is_in(runtime_names, name) && same != shell.end() && same->second == value;
    if (is_in(login_names, name))
      out.of_login.push_back(name);
    else if (inherited)
      out.of_shell.push_back(name);
    else
      out.kept.emplace_back(name, value);
  }
  return out;
}

bool is_secret_name(string_view name) {
  std::string upper_name;
  std::transform(name.begin(), name.end(), std::back_inserter(upper_name), upper);
  std::replace(upper_name.begin(), upper_name.end(), '-', '_');
  constexpr string_view parts[]{"SECRET",  "PASSW",    "PASSPHRASE", "TOKEN",   "APIKEY", "CREDENTIAL",
                                "PRIVATE", "MNEMONIC", "SEED",       "WEBHOOK", "COOKIE", "DSN"};
  constexpr string_view ends[]{"KEY", "KEYS", "PASS", "PWD", "AUTH", "SALT", "WIF", "PIN", "SIGNATURE_PROVIDER"};
  const auto has_part = [&](string_view part) { return upper_name.find(part) != std::string::npos; };
  const auto has_end = [&](string_view end) {
    if (!upper_name.ends_with(end)) return false;
    return upper_name.size() == end.size() || upper_name[upper_name.size() - end.size() - 1] == '_';
  };
  return std::any_of(std::begin(parts), std::end(parts), has_part) ||
         std::any_of(std::begin(ends), std::end(ends), has_end);
}

bool is_secret_value(string_view v) {
  constexpr string_view starts[]{"-----BEGIN ", "sk-",    "sk_",   "rk_live_", "ghp_",    "gho_",
                                 "github_pat_", "glpat-", "xoxb-", "xoxp-",    "xapp-",   "AKIA",
                                 "AIza",        "eyJ",    "PVT_",  "npm_",     "Bearer ", "Basic "};
  if (std::any_of(std::begin(starts), std::end(starts),
                  [&](string_view s) { return v.starts_with(s) && v.size() > s.size() + 3; }))
    return true;
  if (v.find("=KEY:") != string_view::npos) return true;  // nodeos's --signature-provider
  return is_hex_key(v) || is_wif(v) || is_mnemonic(v) || is_url_with_password(v) || is_random(v);
}

bool looks_secret(string_view name, string_view value) {
  return !value.empty() && (is_secret_name(name) || is_secret_value(value));
}

}  // namespace hasup::migrate
