// What is said about an archive that is only read must be what unpacking it would say.
#include "snapshot/unpack/entry_ledger.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::snapshot;
using kind = checked_entry::kind;

namespace {

// "" = fine
std::string verdict(const std::vector<checked_entry>& entries) {
  entry_ledger ledger("a.tar");
  for (const auto& e : entries)
    if (const auto added = ledger.add(e); !added) return added.error().message;
  const auto links = ledger.check_links();
  return links ? std::string() : links.error().message;
}

checked_entry file(const std::string& path) {
  return {kind::file, path, ""};
}
checked_entry dir(const std::string& path) {
  return {kind::directory, path, ""};
}
checked_entry soft(const std::string& path, const std::string& target) {
  return {kind::link, path, target};
}
checked_entry hard(const std::string& path, const std::string& target) {
  return {kind::hard_link, path, target};
}

}  // namespace

TEST_CASE("an ordinary archive is fine", "[snapshot]") {
  CHECK(verdict({{kind::root, "", ""},
                 dir("d"),
                 file("d/a"),
                 hard("d/b", "d/a"),
                 soft("d/c", "a"),
                 dir("d"),
                 file("e/f/g"),
                 dir("e/f"),
                 soft("up", "d/../e")}) == "");
}

TEST_CASE("entries that are there twice", "[snapshot]") {
  CHECK(verdict({file("a"), file("a")}) == "a.tar: entry \"a\" is there twice");
  CHECK(verdict({dir("a"), file("a")}) == "a.tar: entry \"a\" is there twice");
  CHECK(verdict({file("a"), dir("a")}) == "a.tar: entry \"a\" is there twice");
  CHECK(verdict({file("a"), soft("a", "b")}) == "a.tar: entry \"a\" is there twice");
  CHECK(verdict({file("d/a"), file("d")}) == "a.tar: entry \"d\" is there twice");
}

TEST_CASE("nothing lies below a file or a link", "[snapshot]") {
  CHECK(verdict({file("a"), file("a/b")}) == "a.tar: entry \"a/b\" lies below something that is no directory");
  CHECK(verdict({soft("a", "c"), file("a/b")}) == "a.tar: entry \"a/b\" would be written through a link");
}

TEST_CASE("hard links only to files before them", "[snapshot]") {
  CHECK(verdict({hard("a", "b")}) ==
        "a.tar: entry \"a\" is a hard link to \"b\", which is no file unpacked before it");
  CHECK(verdict({hard("a", "../b")}) ==
        "a.tar: entry \"a\" is a hard link to \"../b\", which leads upwards with \"..\"");
  CHECK(verdict({soft("l", "b"), hard("a", "l")}) ==
        "a.tar: entry \"a\" is a hard link to \"l\", which is no file unpacked before it");
}

TEST_CASE("links that leave, by themselves or through another", "[snapshot]") {
  const auto leaving = [](const std::string& path, const std::string& target) {
    return "a.tar: entry \"" + path + "\" is a link to \"" + target + "\", which leaves the data directory";
  };
  CHECK(verdict({soft("a", "/etc")}) == leaving("a", "/etc"));
  CHECK(verdict({soft("d/a", "../../x")}) == leaving("d/a", "../../x"));
  // As text each stays inside; together they do not.
  CHECK(verdict({soft("x/y/deep", "../../here"), dir("here"), soft("x/y/out", "deep/../../z")}) ==
        leaving("x/y/out", "deep/../../z"));
  CHECK(verdict({soft("a", "b"), soft("b", "a")}) == "");  // a loop leads nowhere
}
