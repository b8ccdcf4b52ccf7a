#include "cli/recipe_help.hpp"

#include <fmt/format.h>

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
std::map<std::string, std::string> all_recipes(const config::directories& dirs) {
  std::map<std::string, std::string> found;
  auto roots = std::vector<std::string>{dirs.config};
  roots.insert(roots.end(), dirs.share.begin(), dirs.share.end());
  for (const auto& root : roots) {
    std::error_code ec;
    for (fs::directory_iterator i(root + "/recipes", ec), end; !ec && i != end; i.increment(ec))
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

bool is_recipe(const std::string& word) {
  return word == "recipe" || word == "recipes";
}

}  // namespace

std::string recipes_text(const std::vector<std::string>& arguments, const config::directories& dirs) {
  const bool all =
      arguments.empty() || (arguments.size() == 1 && (arguments[0] == "help" || arguments[0] == "--help"));
  if (!all && !(arguments.size() == 2 && arguments[0] == "help" && is_recipe(arguments[1]))) return {};
  std::string text;
  for (const auto& [name, path] : all_recipes(dirs)) text += fmt::format("  {:<14} {}\n", name, about(content(path)));
  return text.empty() ? text : "\nRecipes (`hasup help recipe NAME` shows one):\n" + text;
}

std::optional<std::string> one_recipe(const std::vector<std::string>& arguments, const config::directories& dirs) {
  if (arguments.size() != 3 || arguments[0] != "help" || !is_recipe(arguments[1])) return std::nullopt;
  const auto all = all_recipes(dirs);
  const auto found = all.find(arguments[2]);
  if (found == all.end()) return std::nullopt;
  return "# " + found->second + "\n" + content(found->second);
}

}  // namespace hasup::cli
