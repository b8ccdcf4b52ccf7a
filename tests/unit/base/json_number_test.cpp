// Numbers in JSON without exponents.
#include "base/json_number.hpp"

#include <catch2/catch.hpp>

using hasup::base::plain_numbers;

TEST_CASE("numbers with an exponent become plain decimals of the same value") {
  CHECK(plain_numbers("4.046790475E0") == "4.046790475");
  CHECK(plain_numbers(R"({"a":8.64005E4,"b":[5.12E2,-1.5E-3,0E0]})") == R"({"a":86400.5,"b":[512.0,-0.0015,0.0]})");
  CHECK(plain_numbers("1E20") == "100000000000000000000.0");
}

TEST_CASE("whole numbers, strings and what would get too long stay as they are") {
  for (const auto* same : {R"({"1E5":"4.0E0 \"2E1\\"})", R"({"a":387721720,"b":-3,"c":true,"d":null,"e":"\\"})",
                           "[1E21,1E-8,1.5E308]", "340282366920938463463374607431768211456", "", "\"", "[]", "1E999"})
    CHECK(plain_numbers(same) == same);
}
