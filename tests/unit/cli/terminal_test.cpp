// Widths, cutting and cleaning of text.
#include <catch2/catch.hpp>

#include "cli/terminal.hpp"

using namespace hasup::cli;

TEST_CASE("width counts columns, not bytes") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("größer…") == 7);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(display_width("\xff\xfe") == 2);
}

TEST_CASE("cut text fits and says that it was cut") {
  CHECK(shorten("abcdef", 6) == "abcdef");
  CHECK(shorten("abcdef", 5) == "abcd…");
  CHECK(shorten("ab cdef", 4) == "ab…");
  CHECK(shorten("日本語", 4) == "日…");
  CHECK(shorten("abc", 0).empty());
  CHECK(shorten("abc", 1) == "…");
}

TEST_CASE("padding goes to either side") {
  CHECK(pad("é", 3) == "é  ");
  CHECK(pad("é", 3, true) == "  é");
  CHECK(pad("long", 2) == "long");
}

TEST_CASE("control sequences do not pass; colours do where they are kept") {
  CHECK(printable("a\x1b[2Jb\x1b[31mc\x1b]8;;http://x\x1b\\d\x07") == "abcd");
  CHECK(printable("a\x1b[31mb\x1b[0m\x1b[2J\tc", true) == "a\x1b[31mb\x1b[0m\tc");
  CHECK(printable("a\nb\tc\r") == "a b c");
  CHECK(printable("\xc2\x9b"
                  "31m") == "31m");
  CHECK(printable("bad \xff utf") == "bad \xef\xbf\xbd utf");
  CHECK(printable("\x1b[") == "");
  CHECK(printable("größer") == "größer");
}

TEST_CASE("paint adds colour only when asked") {
  CHECK(paint("x", style::red, false) == "x");
  CHECK(paint("x", style::red, true) == "\x1b[31mx\x1b[0m");
  CHECK(paint("", style::red, true).empty());
}
