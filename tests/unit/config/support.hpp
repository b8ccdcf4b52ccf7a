// A unit read from text, with small files beside it.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "base/diagnostic.hpp"
#include "config/unit_file.hpp"

namespace hasup::test {

struct files {
  std::map<std::string, std::string> units, presets, recipes, upstreams{};
  bool root = false;

  [[nodiscard]] config::file_context context() const {
    config::file_context c;
    const auto in = [](const std::map<std::string, std::string>& all, const std::string& folder) {
      return [all, folder](std::string_view name) {
        const auto it = all.find(std::string(name));
        std::vector<config::source_file> out;
        if (it != all.end()) out.push_back({folder + it->first + ".toml", it->second});
        return out;
      };
    };
    c.units = in(units, "units/");
    c.presets = in(presets, "recipes/probes/");
    c.recipes = in(recipes, "recipes/");
    for (const auto& [name, text] : presets) c.preset_names.push_back(name);
    for (const auto& [name, text] : recipes) c.recipe_names.push_back(name);
    c.upstreams = in(upstreams, "upstreams/");
    for (const auto& [name, text] : upstreams) c.upstream_names.push_back(name);
    c.root = root;
    return c;
  }
};

inline config::unit_entry parse(const std::string& text, const files& beside = {}, const std::string& name = "x") {
  return config::parse_unit_text(name, "units/" + name + ".toml", text, beside.context());
}

inline std::string messages(const base::diagnostics& all) {
  std::string out;
  for (const auto& d : all) out += base::headline(d) + "\n";
  return out;
}

inline std::string rendered(const base::diagnostics& all) {
  std::string out;
  for (const auto& d : all) out += base::render(d, false);
  return out;
}

// The one valid instance; fails the test when there is none.
inline model::unit unit_of(const std::string& text, const files& beside = {}) {
  auto entry = parse(text, beside);
  INFO(rendered(entry.problems));
  REQUIRE(entry.valid);
  REQUIRE(entry.instances.size() == 1);
  return entry.instances[0];
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// A directory of the test's own, gone afterwards.
class temporary_directory {
 public:
  temporary_directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hasup-config-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace hasup::test
