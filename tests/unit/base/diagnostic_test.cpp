// Findings, rendered as compilers do.
#include "base/diagnostic.hpp"

#include <catch2/catch.hpp>

#include "base/enum_names.hpp"
#include "base/result.hpp"

using namespace hasup::base;

namespace {

diagnostic finding() {
  diagnostic d;
  d.file = "units/geth.toml";
  d.line = 14;
  d.column = 3;
  d.length = 7;
  d.message = "unknown key \"restrat\"; did you mean \"restart\"?";
  d.source_line = "  restrat = \"always\"";
  return d;
}

}  // namespace

TEST_CASE("a finding shows place, message, source line and caret") {
  CHECK(render(finding(), false) ==
        "units/geth.toml:14:3: error: unknown key \"restrat\"; did you mean \"restart\"?\n"
        "  14 |   restrat = \"always\"\n"
        "     |   ^~~~~~~\n");
  CHECK(headline(finding()) == "units/geth.toml:14:3: error: unknown key \"restrat\"; did you mean \"restart\"?");
}

TEST_CASE("the caret stands right after tabs and multi-byte characters") {
  auto d = finding();
  d.source_line = "\té = 1";
  d.column = 5;  // the '=', after a tab, two bytes of é and a blank
  d.length = 1;
  CHECK(render(d, false) ==
        "units/geth.toml:14:5: error: unknown key \"restrat\"; did you mean \"restart\"?\n"
        "  14 | \té = 1\n"
        "     | \t  ^\n");
}

TEST_CASE("a finding without a line or a file is still readable") {
  diagnostic d;
  d.message = "no home directory";
  CHECK(render(d, false) == "error: no home directory\n");
  d.file = "x.toml";
  d.level = severity::warning;
  CHECK(render(d, false) == "x.toml: warning: no home directory\n");
}

TEST_CASE("a column beyond the line does not read past it") {
  auto d = finding();
  d.column = 5000;
  CHECK(render(d, false).find('^') != std::string::npos);
}

TEST_CASE("colour only on request") {
  CHECK(render(finding(), false).find('\x1b') == std::string::npos);
  CHECK(render(finding(), true).find("\x1b[1;31merror: \x1b[0m") != std::string::npos);
}

TEST_CASE("warnings alone are no errors") {
  auto d = finding();
  d.level = severity::warning;
  CHECK_FALSE(has_errors({d}));
  CHECK(has_errors({d, finding()}));
  CHECK_FALSE(has_errors({}));
}

TEST_CASE("enum names go both ways") {
  enum class fruit { apple, pear };
  constexpr enum_names<fruit, 2> names{{{{fruit::apple, "apple"}, {fruit::pear, "pear"}}}};
  CHECK(names.text(fruit::pear) == "pear");
  CHECK(names.parse("apple") == fruit::apple);
  CHECK_FALSE(names.parse("plum"));
}

TEST_CASE("an errno error says what and why") {
  const auto e = errno_error("open /x", ENOENT);
  CHECK(e.message == "open /x: No such file or directory");
  CHECK(e.code == ENOENT);
  const result<int> bad = e;
  CHECK_THROWS(bad.value());
}
