#include "cli/recipe_help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// name -> path; a file in the config directory wins.
std::map<std::string, std::string> all_in(const std::string& folder, const config::directories& dirs) {
  std::map<std::string, std::string> found;
  auto roots = std::vector<std::string>{dirs.config};
  roots.insert(roots.end(), dirs.share.begin(), dirs.share.end());
  for (const auto& root : roots) {
    std::error_code ec;
    for (fs::directory_iterator i(root + folder, ec), end; !ec && i != end; i.increment(ec))
      if (i->path().extension() == ".toml") found.try_emplace(i->path().stem().string(), i->path().string());
  }
  return found;
}

// The first sentence of the comment that it begins with.
std::string about(const std::string& text) {
  std::string comment;
  for (std::size_t at = 0; at < text.size() && text[at] == '#';) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at + 1, end - at - 1);
    if (line.empty()) break;
    comment += line;
    at = end + 1;
  }
  const auto first = comment.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  comment.erase(0, first);
  comment = comment.substr(0, comment.find(". "));
  if (comment.ends_with('.')) comment.pop_back();
  return comment;
}

// "" when the word is another topic.
std::string folder_of(const std::string& word) {
  if (word == "recipe" || word == "recipes") return "/recipes";
  return word == "preset" || word == "presets" ? "/recipes/probes" : "";
}

std::string list_of(const std::string& folder, std::string_view heading, const config::directories& dirs) {
  std::string text;
  const auto all = all_in(folder, dirs);
  std::size_t width = 14;
  for (const auto& [name, path] : all) width = std::max(width, name.size());
  for (const auto& [name, path] : all) text += fmt::format("  {:<{}} {}\n", name, width, about(content(path)));
  return text.empty() ? text : "\n" + std::string(heading) + "\n" + text;
}

}  // namespace

std::string recipes_text(const std::vector<std::string>& arguments, const config::directories& dirs) {
  const bool all =
      arguments.empty() || (arguments.size() == 1 && (arguments[0] == "help" || arguments[0] == "--help"));
  const auto topic = arguments.size() == 2 && arguments[0] == "help" ? folder_of(arguments[1]) : "";
  if (topic == "/recipes/probes")
    return list_of(topic, "Presets (`hasup help preset NAME` shows one, `hasup probe NAME URL` asks a node):", dirs);
  return all || !topic.empty() ? list_of("/recipes", "Recipes (`hasup help recipe NAME` shows one):", dirs) : "";
}

std::optional<std::string> one_recipe(const std::vector<std::string>& arguments, const config::directories& dirs) {
  if (arguments.size() != 3 || arguments[0] != "help") return std::nullopt;
  const auto folder = folder_of(arguments[1]);
  if (folder.empty()) return std::nullopt;
  const auto all = all_in(folder, dirs);
  const auto found = all.find(arguments[2]);
  if (found == all.end()) return std::nullopt;
  return "# " + found->second + "\n" + content(found->second);
}

}  // namespace hasup::cli
