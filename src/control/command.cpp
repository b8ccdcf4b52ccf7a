// The codec of commands and their answers.
#include "control/command.hpp"

#include "control/status_json.hpp"

namespace json = boost::json;

namespace hasup::control {
namespace {

std::map<std::string, std::string> options_from_json(const json_fields& f) {
  std::map<std::string, std::string> options;
  const auto* all = f.find("options");
  if (!all) return options;
  if (!all->is_object()) throw json_mismatch("\"options\" must be an object");
  for (const auto& [key, value] : all->get_object()) {
    if (value.is_string())
      options.emplace(key, std::string(value.get_string()));
    else if (value.is_bool() || value.is_number())
      options.emplace(key, json::serialize(value));
    else
      throw json_mismatch("the option \"" + std::string(key) + "\" must be a string, a number, true or false");
    if (options[key] == "false") options.erase(key);
  }
  return options;
}

}  // namespace

std::string encode(const command& c) {
  json::object options;
  for (const auto& [key, value] : c.options) options.emplace(key, value);
  return json::serialize(json::object{{"verb", c.verb},
                                      {"targets", text_array(c.targets)},
                                      {"all", c.all},
                                      {"options", std::move(options)},
                                      {"arguments", text_array(c.arguments)}});
}

base::result<command> decode_command(std::string_view text) {
  return decode_guarded("the command", text, [](const json::value& v) {
    const json_fields f(v);
    command c;
    c.verb = f.text("verb");
    if (c.verb.empty()) throw json_mismatch("\"verb\" is missing");
    c.targets = f.texts("targets");
    c.all = f.flag("all");
    c.options = options_from_json(f);
    c.arguments = f.texts("arguments");
    return c;
  });
}

base::result<std::map<std::string, std::string>> decode_options(std::string_view text) {
  if (text.empty()) return std::map<std::string, std::string>{};
  return decode_guarded("the body", text, [](const json::value& v) { return options_from_json(json_fields(v)); });
}

std::string encode(const command_reply& r) {
  json::value body = nullptr;
  if (!r.body.empty()) {
    boost::system::error_code ec;
    body = json::parse(r.body, ec);
    if (ec) body = r.body;
  }
  return json_text(json::object{{"code", static_cast<int>(r.code)},
                                {"message", r.message},
                                {"affected", text_array(r.affected)},
                                {"body", std::move(body)}});
}

base::result<command_reply> decode_reply(std::string_view text) {
  return decode_guarded("the answer", text, [](const json::value& v) {
    const json_fields f(v);
    command_reply r;
    const auto code = f.number<int>("code");
    if (!code || *code < 0 || *code > static_cast<int>(exit_code::permission_denied))
      throw json_mismatch("\"code\" must be an exit code of hasup");
    r.code = static_cast<exit_code>(*code);
    r.message = f.text("message");
    r.affected = f.texts("affected");
    if (const auto* body = f.find("body")) r.body = json_text(*body);
    return r;
  });
}

std::string encode_error(std::string_view message) {
  return json::serialize(json::object{{"error", json::string(message)}});
}

std::string decode_error(std::string_view text) {
  const auto e = decode_guarded("the error", text, [](const json::value& v) { return json_fields(v).text("error"); });
  return e ? *e : std::string();
}

std::string encode(const std::vector<event>& events) {
  json::array all;
  for (const auto& e : events) all.emplace_back(to_json(e));
  return json::serialize(json::object{{"events", std::move(all)}});
}

base::result<std::vector<event>> decode_events(std::string_view text) {
  return decode_guarded("the events", text, [](const json::value& v) {
    std::vector<event> all;
    for (const auto& e : json_fields(v).array("events")) all.push_back(event_from_json(e));
    return all;
  });
}

}  // namespace hasup::control
