// Expectations on JSON answers, without any network.
#include "probe/answer.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/time_text.hpp"
#include "probe/json_values.hpp"

using namespace hasup;
using namespace hasup::probe;
using namespace std::chrono_literals;

namespace {

const base::wall_time wall = *base::parse_time("2026-11-21T01:02:34Z");
const base::mono_time mono{1000h};

model::expectation at(std::string pointer) {
  model::expectation e;
  e.pointer = std::move(pointer);
  return e;
}

check_result ask(const model::expectation& e, const std::string& body) {
  model::check c;
  c.kind = model::check_kind::http;
  c.expect = {e};
  answer_memory memory;
  return judge_answer(c, body, memory, mono, wall);
}

void expect(const model::expectation& e, const std::string& body, outcome out, const std::string& text) {
  const auto r = ask(e, body);
  INFO(body);
  CHECK(outcome_names.text(r.out) == outcome_names.text(out));
  CHECK(r.reason == (out == outcome::passed ? "passed" : text));
  if (!r.conditions.empty()) CHECK(r.conditions[0].text == text);
}

}  // namespace

TEST_CASE("values are found by JSON pointer") {
  const std::string doc = R"({"a":{"b":[10,{"c":"x"},[1,2]],"":1,"m/n":2,"~t":3},"n":null,"t":true,
                              "big":123456789012345678901234567890,"f":1.50,"dup":{"k":1},"dup":7,"two":1,"two":{"k":2}})";
  const std::vector<std::string> pointers{"/a/b/0", "/a/b/1/c", "/a/b/2", "/a/",    "/a/m~1n", "/a/~0t",
                                          "/n",     "/t",       "/big",   "/f",     "/a/b/3",  "/x",
                                          "/a/b/-", "/dup/k",   "/dup",   "/two/k", "/a/b/1"};
  const auto values = read_json_values(doc, pointers);
  REQUIRE(values.has_value());
  const std::vector<std::string> wanted{
      "10",   "x",    "[1,2]", "1",    "2",    "3", "null", "true",        "123456789012345678901234567890",
      "1.50", "none", "none",  "none", "none", "7", "2",    R"({"c":"x"})"};
  for (std::size_t i = 0; i < pointers.size(); ++i) {
    INFO(pointers[i]);
    CHECK(((*values)[i] ? (*values)[i]->text : "none") == wanted[i]);
  }
  const std::string whole[] = {""};
  CHECK((*read_json_values(R"( {"a" : [ 1 , {"b":"q\"\u00e9"} ], "c":{} } )", whole))[0]->text ==
        "{\"a\":[1,{\"b\":\"q\\\"é\"}],\"c\":{}}");
  CHECK((*read_json_values("12", whole))[0]->text == "12");
}

TEST_CASE("what is no JSON and what is no pointer is an error") {
  const std::string whole[] = {""};
  for (const char* text :
       {"", " ", "{", "{]", "nul", "[1,]", "{\"a\"}", "1 2", "\"a", "<html>", "[1e99999999999]", "\xff"}) {
    INFO(text);
    CHECK_FALSE(read_json_values(text, whole).has_value());
  }
  CHECK_FALSE(read_json_values(std::string(200, '[') + std::string(200, ']'), whole).has_value());
  CHECK_FALSE(parse_json_pointer("a/b").has_value());
  CHECK_FALSE(parse_json_pointer("/a~2").has_value());
  CHECK_FALSE(parse_json_pointer("/a~").has_value());
}

TEST_CASE("equals compares values, not their spelling") {
  struct row {
    std::string found, wanted;
    bool equal;
  };
  const std::vector<row> rows{{"false", "false", true},
                              {"false", "true", false},
                              {"\"ok\"", "\"ok\"", true},
                              {"\"ok\"", "ok", true},  // a bare word
                              {"\"OK\"", "\"ok\"", false},
                              {"12", "12.0", true},
                              {"\"0x1f\"", "31", true},
                              {"31", "\"0x1f\"", false},
                              {"\"31\"", "31", true},
                              {"null", "null", true},
                              {"0", "false", false},
                              {"[]", "[ ]", true},
                              {"{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true},
                              {"{\"a\":1}", "{\"a\":2}", false},
                              {"123456789012345678901234567890", "123456789012345678901234567891", false}};
  for (const auto& r : rows) {
    INFO(r.found << " " << r.wanted);
    CHECK(equal_json(r.found, r.wanted) == r.equal);
  }
}

TEST_CASE("each condition says what is and what should be") {
  auto e = at("/data/is_syncing");
  e.equals = "false";
  expect(e, R"({"data":{"is_syncing":false}})", outcome::passed, "data/is_syncing is false");
  expect(e, R"({"data":{"is_syncing":true}})", outcome::failed, "data/is_syncing is true (false expected)");
  expect(e, R"({"data":{}})", outcome::failed, "the answer has no /data/is_syncing");

  e = at("/connected");
  e.min = "10";
  expect(e, R"({"connected":"59"})", outcome::passed, "connected is 59 (at least 10 expected)");
  expect(e, R"({"connected":"0x9"})", outcome::failed, "connected is 0x9 (at least 10 expected)");
  expect(e, R"({"connected":"many"})", outcome::failed, "connected is \"many\", not a number");
  expect(e, R"({"connected":null})", outcome::failed, "connected is null, not a number");
  e.max = "20";
  expect(e, R"({"connected":59})", outcome::failed, "connected is 59 (at most 20 expected)");
  e.max = "lots";
  expect(e, R"({"connected":59})", outcome::unknown, "the bound lots for connected is no number");

  e = at("/weight");
  e.min = "340282366920938463463374607431768211456";
  expect(e, R"({"weight":"340282366920938463463374607431768211455"})", outcome::failed,
         "weight is 340282366920938463463374607431768211455 (at least 340282366920938463463374607431768211456 "
         "expected)");
  CHECK(ask(e, R"({"weight":340282366920938463463374607431768211457})").out == outcome::passed);

  e = at("/status");
  e.matches = "^(ok|up)$";
  expect(e, R"({"status":"up"})", outcome::passed, "status is \"up\"");
  expect(e, R"({"status":"down\n"})", outcome::failed, "status is \"down\\n\" (expected to match ^(ok|up)$)");
  e.matches = "(";
  expect(e, R"({"status":"up"})", outcome::unknown, "bad pattern (: missing ): (");

  expect(at("/x"), R"({"x":1})", outcome::passed, "x is there");
  expect(at(""), "7", outcome::passed, "the answer is there");
}

TEST_CASE("body_matches looks at the whole answer, JSON or not, and comes before expect") {
  model::check c;
  c.body_matches = "(?i)ready: \\d+";
  answer_memory memory;
  const auto ask = [&](const std::string& body) { return judge_answer(c, body, memory, mono, wall); };
  auto r = ask("# state\nREADY: 12\n");
  CHECK(r.out == outcome::passed);
  REQUIRE(r.conditions.size() == 1);
  CHECK(r.conditions[0].text == "the answer matches (?i)ready: \\d+");
  CHECK(ask("ready: none\n").reason == "the answer is ready: none  (expected to match (?i)ready: \\d+)");
  CHECK(ask("").reason == "the answer is empty (expected to match (?i)ready: \\d+)");
  CHECK(ask("\xff\xfe ready: 1").out == outcome::passed);  // not UTF-8
  c.expect = {at("/n")};
  c.expect[0].max_age = 1s;
  r = ask(R"({"n":"2026-11-20T00:00:00","text":"ready: x"})");
  REQUIRE(r.conditions.size() == 2);
  CHECK(r.out == outcome::failed);
  CHECK(r.reason == r.conditions[0].text);
  CHECK_FALSE(r.answered);
  r = ask(R"({"n":"2026-11-20T00:00:00","text":"ready: 1"})");
  CHECK(r.reason == r.conditions[1].text);
  CHECK(r.answered);  // only old
  c.body_matches = "(";
  CHECK(ask("x").out == outcome::failed);  // what is no JSON fails, whatever the pattern
  c.expect.clear();
  CHECK(ask("x").out == outcome::unknown);
}

TEST_CASE("ages are read in every format") {
  auto e = at("/t");
  e.max_age = 10s;
  expect(e, R"({"t":"2026-11-21T01:02:30.5"})", outcome::passed, "t is 3s old (limit 10s)");
  expect(e, R"({"t":"2026-11-21T01:02:00Z"})", outcome::failed, "t is 34s old (limit 10s)");
  expect(e, R"({"t":"2026-11-21T03:02:30+02:00"})", outcome::passed, "t is 4s old (limit 10s)");
  expect(e, R"({"t":"2026-11-21T01:02:50Z"})", outcome::passed, "t is 0s old (limit 10s)");
  expect(e, R"({"t":"2026-11-21T05:02:34Z"})", outcome::unknown,
         "t is 4h ahead of this machine's clock; check its time synchronisation");
  expect(e, R"({"t":"yesterday"})", outcome::failed, "t is \"yesterday\", not a time (rfc3339)");
  expect(e, R"({"t":1795222954})", outcome::failed, "t is 1795222954, not a time (rfc3339)");
  expect(e, R"({"t":"9999-12-31T00:00:00Z"})", outcome::failed,
         "t is \"9999-12-31T00:00:00Z\", not a time (rfc3339)");
  const auto unix_now = std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count();
  e.time = model::time_format::unix;
  expect(e, "{\"t\":" + std::to_string(unix_now - 5) + "}", outcome::passed, "t is 5s old (limit 10s)");
  expect(e, "{\"t\":\"" + std::to_string(unix_now - 50) + "\"}", outcome::failed, "t is 50s old (limit 10s)");
  char hex[32];
  std::snprintf(hex, sizeof hex, "0x%llx", static_cast<unsigned long long>(unix_now - 5));
  expect(e, "{\"t\":\"" + std::string(hex) + "\"}", outcome::passed, "t is 5s old (limit 10s)");
  expect(e, R"({"t":1e300})", outcome::failed, "t is 1e300, not a time (unix)");
  expect(e, R"({"t":true})", outcome::failed, "t is true, not a time (unix)");
  e.time = model::time_format::unix_ms;
  expect(e, "{\"t\":" + std::to_string((unix_now - 5) * 1000) + "}", outcome::passed, "t is 5s old (limit 10s)");
  expect(e, R"({"t":0})", outcome::failed, "t is 20778d1h old (limit 10s)");
}

TEST_CASE("a number must grow within its window, whatever its length") {
  model::check c;
  c.expect = {at("/n")};
  c.expect[0].advances_within = 3s;
  answer_memory memory;
  const auto see = [&](const std::string& n, std::chrono::seconds when) {
    return judge_answer(c, "{\"n\":\"" + n + "\"}", memory, mono + when, wall);
  };
  CHECK(see("0x10", 0s).reason == "n is 0x10 and has not been seen to advance yet");
  CHECK(see("0x10", 1s).out == outcome::unknown);
  CHECK(see("18446744073709551616", 2s).out == outcome::passed);
  CHECK(see("18446744073709551616", 5s).out == outcome::passed);
  CHECK(see("18446744073709551616", 6s).reason == "n is 18446744073709551616 and has not advanced for 4s (limit 3s)");
  CHECK(see("5", 7s).out == outcome::failed);
  CHECK(see("6", 8s).out == outcome::failed);  // from here on, after half the window without the higher one
  CHECK(see("7", 9s).out == outcome::passed);
}

TEST_CASE("the first failed condition is the reason, all are judged") {
  model::check c;
  c.expect = {at("/a"), at("/b"), at("/c")};
  c.expect[0].matches = "(";
  c.expect[1].equals = "1";
  c.expect[2].equals = "2";
  answer_memory memory;
  const auto r = judge_answer(c, R"({"a":"x","b":9,"c":9})", memory, mono, wall);
  CHECK(r.out == outcome::failed);
  CHECK(r.reason == "b is 9 (1 expected)");
  CHECK(r.conditions.size() == 3);
}

TEST_CASE("a head is read where the check says, and its absence fails") {
  model::check c;
  c.head = {"/head_block_num", "/head_block_time", "", model::time_format::rfc3339};
  answer_memory memory;
  auto r = judge_answer(c, R"({"head_block_num":387721720,"head_block_time":"2026-11-21T01:02:02.500"})", memory,
                        mono, wall);
  CHECK(r.out == outcome::passed);
  REQUIRE(r.head);
  CHECK(r.head->number == 387721720U);
  CHECK(r.head->time == *base::parse_time("2026-11-21T01:02:02.500Z"));
  r = judge_answer(c, R"({"head_block_num":5})", memory, mono, wall);
  CHECK(r.out == outcome::failed);
  CHECK(r.reason == "the answer has no /head_block_time");
  REQUIRE(r.head);
  CHECK(r.head->number == 5U);
  r = judge_answer(c, R"({"head_block_num":"x","head_block_time":"y"})", memory, mono, wall);
  CHECK(r.reason == "head_block_num is \"x\", not a block number");
  CHECK_FALSE(r.head);
  c.head = {"/result/Height", "/result/Blocks/0/Timestamp", "/result/Blocks/0/ParentWeight",
            model::time_format::unix};
  r = judge_answer(
      c, R"({"result":{"Height":"0x1f","Blocks":[{"Timestamp":1795222954,"ParentWeight":"123456789012345678901"}]}})",
      memory, mono, wall);
  CHECK(r.out == outcome::passed);
  CHECK(r.head->number == 31U);
  CHECK(r.head->weight == "123456789012345678901");
}

TEST_CASE("the name of the chain is read with the head; a node that does not say it is none the worse") {
  model::check c;
  c.head.number = "/head_block_num";
  c.head.chain = "/chain_id";
  answer_memory memory;
  auto r = judge_answer(c, R"({"chain_id":"aca3","head_block_num":5})", memory, mono, wall);
  REQUIRE(r.head);
  CHECK(r.head->chain == "aca3");
  r = judge_answer(c, R"({"head_block_num":5})", memory, mono, wall);
  CHECK(r.out == outcome::passed);
  CHECK(r.head->chain.empty());
  c.head.number.clear();  // a check for that alone
  r = judge_answer(c, R"({"chain_id":17777})", memory, mono, wall);
  REQUIRE(r.head);
  CHECK(r.head->chain == "17777");
  CHECK_FALSE(r.head->number);
}

TEST_CASE("how many peers a node has is read with the head, in decimal or hex") {
  model::check c;
  c.kind = model::check_kind::jsonrpc;
  c.head.peers = "/result";
  answer_memory memory;
  auto r = judge_jsonrpc(c, R"({"jsonrpc":"2.0","id":1,"result":"0x1f"})", memory, mono, wall);
  REQUIRE(r.head);
  CHECK(r.head->peers == 31U);
  CHECK_FALSE(r.head->number);
  r = judge_jsonrpc(c, R"({"jsonrpc":"2.0","id":1,"result":{}})", memory, mono, wall);
  CHECK(r.out == outcome::passed);
  CHECK_FALSE(r.head);
}

TEST_CASE("an answer that is no JSON is quoted on one line") {
  const auto r = ask(at("/x"), "<html>\n<body>" + std::string(200, 'x'));
  CHECK(r.out == outcome::failed);
  CHECK(r.reason == "the answer is not JSON (syntax error): <html> <body>" + std::string(67, 'x') + "…");
  CHECK(ask(at("/x"), "").reason == "the answer is empty, not JSON");
  CHECK(ask(at("x"), "{}").out == outcome::unknown);
  CHECK(excerpt("aé", 2) == "a…");
}

TEST_CASE("a JSON-RPC error is failed with what it says") {
  model::check c;
  c.kind = model::check_kind::jsonrpc;
  c.method = "getHealth";
  answer_memory memory;
  const auto ask_rpc = [&](const std::string& body) { return judge_jsonrpc(c, body, memory, mono, wall).reason; };
  CHECK(ask_rpc(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"Node is behind by 42 slots"}})") ==
        "getHealth: error -32005: Node is behind by 42 slots");
  CHECK(ask_rpc(R"({"error":"nope"})") == "getHealth: error nope");
  CHECK(ask_rpc(R"({"error":{"data":1}})") == "getHealth: error {\"data\":1}");
  CHECK(ask_rpc(R"({"id":1})") == "getHealth: the answer has neither result nor error");
  CHECK(ask_rpc("[]") == "getHealth: the answer has neither result nor error");
  CHECK(ask_rpc(R"({"error":null,"result":"ok"})") == "passed");
  CHECK(ask_rpc(R"({"result":null})") == "passed");
  c.head.number = "/result/number";
  CHECK(ask_rpc(R"({"result":null})") == "getHealth answered null");
  CHECK(
      error_in_answer(
          R"({"code":500,"message":"Internal Service Error","error":{"code":3,"what":"w","details":[{"message":"unspecified"}]}})") ==
      "error 3: unspecified");
}

TEST_CASE("no bytes of an answer do harm") {
  std::mt19937 random(7);  // NOLINT: the same every time
  model::check c;
  c.kind = model::check_kind::jsonrpc;
  c.method = "m";
  c.expect = {at("/result/a"), at("/result/b/0"), at("")};
  c.expect[0].min = "1";
  c.expect[0].advances_within = 1s;
  c.expect[1].max_age = 1s;
  c.expect[1].time = model::time_format::unix_ms;
  c.expect[2].equals = "{\"x\":[1,2,{\"y\":null}]}";
  c.head = {"/result/a", "/result/t", "/result/w", model::time_format::rfc3339};
  const std::string good =
      R"({"jsonrpc":"2.0","result":{"a":12345678901234567890123,"b":["0x1f",-1.5e300],"t":"2026-11-21T01:02:03Z","w":"0xffff"},"x":[[],{},"é\u0000\ud83d\ude00"]})";
  answer_memory memory;
  for (int round = 0; round < 4000; ++round) {
    std::string body;
    if (round % 4 == 0) {
      body.resize(random() % 200);
      for (char& ch : body) ch = static_cast<char>(random());
    } else {
      body = good;
      for (unsigned n = 1 + random() % 4; n > 0; --n) {
        const std::size_t where = random() % body.size();
        if (random() % 3 == 0) {
          body.insert(where, 1, "{}[]\",:\\0e-"[random() % 11]);
        } else {
          body[where] = static_cast<char>(random());
        }
      }
    }
    const auto r = judge_jsonrpc(c, body, memory, mono, wall);
    CHECK_FALSE(r.reason.empty());
    CHECK(r.reason.size() < 1000);
  }
  for (std::size_t n = 0; n <= good.size(); ++n) judge_jsonrpc(c, good.substr(0, n), memory, mono, wall);
}
