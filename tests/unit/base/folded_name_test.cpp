// Names that a file system which folds them takes for one.
#include "base/folded_name.hpp"

#include <catch2/catch.hpp>

using hasup::base::folded_name;

TEST_CASE("names that such a file system takes for an ASCII one fold to it") {
  const std::string name = GENERATE(".hasup", ".HASUP", ".ha\u017fup", ".ha\u017fUP", ".has\u200dup", ".h\u00adasup",
                                    "\ufeff.hasup", ".hasup\ufe0f", ".ha\u180bsu\U000e0fffp", "\u034f.hasup\u2060");
  CHECK(folded_name(name) == ".hasup");
}

TEST_CASE("what folds into several letters does") {
  CHECK(folded_name("CLA\u1e9e") == "class");
  CHECK(folded_name("cla\u00df") == "class");
  CHECK(folded_name("\ufb01le\u017f") == "files");
  CHECK(folded_name("\ufb00\ufb02\ufb03\ufb04\ufb05\ufb06") == "ffflffifflstst");
  CHECK(folded_name("\u212aeys\u037e\u1fef") == "keys;`");
}

TEST_CASE("other names stay what they are") {
  const std::string name = GENERATE("", "state", ".hasup2", "hasup", "a b", "snapshot-000123.bin.zst", "..", "x\x7f");
  CHECK(folded_name(name) == name);
}

TEST_CASE("bytes that are no text are left out") {
  CHECK(folded_name(".ha\xffsup") == ".hasup");
  CHECK(folded_name("\xc5") == "");
  CHECK(folded_name("\xc5.hasup") == ".hasup");
}
