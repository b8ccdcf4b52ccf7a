// minisign's texts, as minisign 0.11 wrote them.
#include "model/minisign.hpp"

#include <catch2/catch.hpp>

#include "base/base64.hpp"

using namespace hasup;
using namespace hasup::model;

namespace {

const std::string key_text = "RWQN/LuEHqZLOjBPKgFDPgVM33bqZrk3c99j/UKnnw4yGa7JOkohUYWJ";
const std::string prehashed = R"(untrusted comment: signature from minisign secret key
RUQN/LuEHqZLOmO/Wd111ZgXx1Ozdu4Kk/vY3o2+CTPY0NdLMs01kmA3sbQSZFYlhRd/9LAltwbrHUC1/HSInc1TAO1ylX1z6gs=
trusted comment: a comment
jIH9dMh/iqjWOh4MoAg52OiP1uhw4ElS+IlZw1zxWfDg/iSYGtbzYyCtDKVZkTLYIvjsbGtdfMWuSrpsWTZeCQ==
)";
const std::string legacy = R"(untrusted comment: signature from minisign secret key
RWQN/LuEHqZLOmOJkMfdVoT8JI05nzSImDzKRRvQF+5G+od4mT/sjt6GK7hB5Wza/w6wa9C38fubeaj/1odW7lAllWx58CQPCA8=
trusted comment: timestamp:1795271734	file:f
AQ02mJO4WPh/WAwN7A0SZwXcKq46M/rjfpTDOqu9dSzv06btUmyXEpQOla3byNSR5T7XAwrcRfezdMPfpvIlAA==
)";

}  // namespace

TEST_CASE("a public key and signatures of both kinds are read", "[minisign]") {
  const auto key = parse_minisign_key(key_text);
  REQUIRE(key.has_value());
  CHECK(key->id.size() == 8);
  CHECK(key->key.size() == 32);
  const auto s = parse_minisign_signature(prehashed);
  REQUIRE(s.has_value());
  CHECK(s->prehashed);
  CHECK(s->key_id == key->id);
  CHECK(s->trusted_comment == "a comment");
  CHECK(s->signature.size() == 64);
  CHECK(s->global.size() == 64);
  const auto old = parse_minisign_signature(legacy);
  REQUIRE(old.has_value());
  CHECK_FALSE(old->prehashed);
  CHECK(minisign_key_name(key->id) == "3A4BA61E84BBFC0D");
}

TEST_CASE("what is no key or signature is refused", "[minisign]") {
  for (const std::string& bad : {std::string(), key_text.substr(1), key_text + "AAAA", "XX" + key_text.substr(2),
                                 std::string("untrusted comment: minisign public key\n") + key_text})
    CHECK_FALSE(parse_minisign_key(bad).has_value());
  for (std::size_t n = 0; n + 2 < prehashed.size(); ++n)
    CHECK_FALSE(parse_minisign_signature(prehashed.substr(0, n)).has_value());
  CHECK_FALSE(parse_minisign_signature("<html>").has_value());
}

TEST_CASE("a secret key is read, encrypted or not, and nothing else is one", "[minisign]") {
  const auto text = [](const std::string& derivation) {
    const auto salt = std::string(32, 's');
    const auto numbers = std::string("\0\0\0\2\0\0\0\0\0\0\0\x40\0\0\0\0", 16);
    return "untrusted comment: minisign encrypted secret key\n" +
           base::base64_encode("Ed" + derivation + "B2" + salt + numbers + std::string(104, 'k')) + "\n";
  };
  const auto locked = parse_minisign_secret(text("Sc"));
  REQUIRE(locked.has_value());
  CHECK(locked->encrypted);
  CHECK(locked->operations == 33554432);
  CHECK(locked->memory == 1073741824);
  CHECK(locked->salt == std::string(32, 's'));
  CHECK(locked->sealed == std::string(104, 'k'));
  const auto open = parse_minisign_secret(text(std::string(2, '\0')));
  REQUIRE(open.has_value());
  CHECK_FALSE(open->encrypted);
  CHECK_FALSE(parse_minisign_secret(text("Xx")).has_value());
  CHECK_FALSE(parse_minisign_secret(key_text).has_value());
  const auto whole = text("Sc");
  for (std::size_t n = 0; n + 1 < whole.size(); ++n)
    CHECK_FALSE(parse_minisign_secret(whole.substr(0, n)).has_value());
}

TEST_CASE("an archive goes by the name that it was signed under", "[minisign]") {
  const std::string comment = "timestamp:1795271734\tfile:leap-100.tar.zst\thashed";
  CHECK(minisign_file_name(comment) == "leap-100.tar.zst");
  CHECK(minisign_file_name("file:/srv/out/leap-100.tar.zst") == "leap-100.tar.zst");
  CHECK(minisign_file_name("of the backup host; file:x").empty());
  CHECK(minisign_name_problem(comment, "leap-100.tar.zst").empty());
  CHECK(minisign_name_problem(comment, "leap-200.tar.zst").starts_with("it was made for leap-100.tar.zst, so this"));
  CHECK(minisign_name_problem("of the backup host", "leap-200.tar.zst").empty());
  CHECK(minisign_name_problem(comment, "leap-latest.tar.lz4").empty());  // what it is called says nothing of its age
  CHECK(minisign_name_problem("file:", "leap-200.tar.zst").empty());
}
