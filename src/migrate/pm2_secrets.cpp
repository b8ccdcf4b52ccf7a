#include "migrate/pm2_secrets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "migrate/app_environment.hpp"
#include "migrate/env_file.hpp"
#include "migrate/unit_text.hpp"

namespace hasup::migrate {
namespace {

std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

class surface_maker {
 public:
  surface_maker(const std::vector<const pm2_process*>& instances, const unit_command& command,
                const pm2_surroundings& around)
      : instances_(instances), first_(*instances.front()), command_(command), around_(around) {}

  unit_surface make() {
    const auto app = app_environment_of(first_, around_.shell);
    out_.of_login = app.of_login;
    out_.of_shell = app.of_shell;
    for (const auto& [name, value] : app.kept) variable(name, value);
    for (const auto& name : first_.env_without_text)
      out_.remarks.push_back(name +
                             " of its environment is no text (pm2 gives \"[object Object]\") and was left out");
    own_variables();
    if (command_.shell_line)
      shell_line();
    else
      for (std::size_t i = 0; i < command_.argv.size(); ++i) word(i);
    return std::move(out_);
  }

 private:
  void variable(const std::string& name, const std::string& value) {
    if (looks_secret(name, value)) {
      if (differs(name)) say_differs(name);
      if (fits_env_file(name, value))
        out_.env_file.emplace_back(name, value);
      else {
        out_.variables.push_back({name, quoted(value), true});
        out_.remarks.push_back(name +
                               " has line breaks, which an env file cannot carry: it stands in the unit file, "
                               "which only its owner can read");
      }
      return;
    }
    if (const auto sum = per_instance(name, value)) {
      out_.variables.push_back({name, quoted_as_is(*sum), false});
      return;
    }
    if (differs(name)) say_differs(name);
    out_.variables.push_back({name, quoted(value), false});
  }

  bool differs(const std::string& name) const {
    const auto* first = first_.variable(name);
    return std::any_of(instances_.begin(), instances_.end(), [&](const pm2_process* p) {
      const auto* v = p->variable(name);
      return (v == nullptr) != (first == nullptr) || (v != nullptr && *v != *first);
    });
  }

  void say_differs(const std::string& name) {
    out_.remarks.push_back(name + " differs from instance to instance; that of the first one is used");
  }

  // "${21802 + instance}" where pm2 counted up (increment_var), and for the port that a cluster shared.
  std::optional<std::string> per_instance(const std::string& name, const std::string& value) {
    const auto base = whole_number(value);
    if (instances_.size() < 2 || !base) return std::nullopt;
    const auto sum = fmt::format("${{{} + instance}}", *base);
    if (!differs(name)) {
      if (!first_.cluster || name != "PORT") return std::nullopt;
      out_.remarks.push_back(fmt::format(
          "pm2's cluster shared port {} between {} processes; here each instance has a port of its own, {} to {}: "
          "put nginx or another proxy before them, and see that these ports are free",
          *base, instances_.size(), *base, *base + static_cast<std::int64_t>(instances_.size()) - 1));
      shared_port_solved_ = true;
      return sum;
    }
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      const auto* v = instances_[i]->variable(name);
      if (v == nullptr || whole_number(*v) != *base + static_cast<std::int64_t>(i)) return std::nullopt;
    }
    return sum;
  }

  // What the shell or pm2 gave, and the app cannot do without.
  void own_variables() {
    const bool many = instances_.size() > 1;
    const bool is_node = command_.shell_line || (!first_.interpreter.empty() && first_.interpreter != "none");
    if (many || is_node)
      out_.variables.push_back({first_.instance_variable, many ? quoted_as_is("${instance}") : "\"0\"", false});
    if (!command_.path.empty()) out_.variables.push_back({"PATH", quoted(command_.path), false});
    if (many && first_.cluster && !shared_port_solved_)
      out_.remarks.push_back(fmt::format(
          "pm2's cluster shared one port between {} processes; here each instance needs a port of its own: let the "
          "app listen on a port that it works out from {}, or give it a variable such as PORT = \"${{3000 + "
          "instance}}\"",
          instances_.size(), first_.instance_variable));
  }

  void shell_line() {
    for (const auto& text : command_.argv) {
      const bool secret = line_holds_secret(text);
      out_.command.push_back({"", quoted(text), secret});
      if (secret)
        out_.remarks.push_back(
            "its shell line seems to hold a secret, so only its owner can read the unit file; better: move the "
            "secret to the env file and write $NAME in the line");
    }
  }

  static bool line_holds_secret(const std::string& line) {
    std::string word, before;
    const auto check = [&] {
      const auto equals = word.find('=');
      const bool found =
          is_secret_value(word) || (before.starts_with('-') && is_secret_name(before) && !word.empty()) ||
          (equals != std::string::npos && looks_secret(word.substr(0, equals), word.substr(equals + 1)));
      if (!word.empty()) before = std::exchange(word, "");
      return found;
    };
    for (const char c : line) {
      if (c != ' ' && c != '\'' && c != '"' && c != ';' && c != '\n')
        word += c;
      else if (check())
        return true;
    }
    return check();
  }

  // --api-key VALUE, --api-key=VALUE, or a value that looks so by itself: ${secret:ARG_API_KEY}.
  void word(std::size_t i) {
    const auto& text = command_.argv[i];
    const auto equals = text.find('=');
    const auto& before = i > 0 ? command_.argv[i - 1] : std::string();
    std::string flag, value, lead;
    if (text.starts_with('-') && equals != std::string::npos) {
      flag = text.substr(0, equals);
      lead = text.substr(0, equals + 1);
      value = text.substr(equals + 1);
    } else if (!text.starts_with('-')) {
      flag = before.starts_with('-') && before.find('=') == std::string::npos ? before : "";
      value = text;
    }
    const bool is_path = value.starts_with('/') || value.starts_with("./");  // --private-key FILE
    if (i == 0 || is_path || !looks_secret(flag, value)) {
      out_.command.push_back({"", quoted(text), false});
    } else if (const auto name = argument_name(flag, i); fits_env_file(name, value)) {
      out_.env_file.emplace_back(name, value);
      out_.command.push_back({"", quoted_as_is(with_literal_dollars(lead) + "${secret:" + name + "}"), false});
      out_.remarks.push_back("argument " + (flag.empty() ? std::to_string(i) : flag) +
                             " seems to be a secret and was moved to the env file; `ps` shows it all the same");
    } else {
      out_.command.push_back({"", quoted(text), true});
    }
  }

  std::string argument_name(const std::string& flag, std::size_t i) const {
    std::string name = "ARG";
    if (flag.find_first_not_of('-') == std::string::npos) name += "_" + std::to_string(i);
    for (const char c : flag) {
      const bool keeps = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
      const bool letter = c >= 'a' && c <= 'z';
      if (letter)
        name += static_cast<char>(c - 'a' + 'A');
      else if (keeps)
        name += c;
      else if (name.back() != '_')
        name += '_';
    }
    const auto taken = [&](const std::string& n) {
      return std::any_of(out_.env_file.begin(), out_.env_file.end(), [&](const auto& e) { return e.first == n; });
    };
    return taken(name) ? name + "_" + std::to_string(i) : name;
  }

  const std::vector<const pm2_process*>& instances_;
  const pm2_process& first_;
  const unit_command& command_;
  const pm2_surroundings& around_;
  unit_surface out_;
  bool shared_port_solved_ = false;
};

}  // namespace

unit_surface surface_of(const std::vector<const pm2_process*>& instances, const unit_command& command,
                        const pm2_surroundings& around) {
  return surface_maker(instances, command, around).make();
}

}  // namespace hasup::migrate
