// The journal's bytes: every truncation, every flipped byte, every version.
#include "journal/journal_text.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using journal::frame;
using journal::journal_header;
using journal::parse_journal;

namespace {

const std::vector<std::string> records = {"{\"a\":1}", "", "two\nlines\n", std::string("nul\0inside", 10), "last"};

std::string whole() {
  std::string out(journal_header);
  for (const auto& r : records) out += frame(r);
  return out;
}

}  // namespace

TEST_CASE("what was framed is read again") {
  const auto text = whole();
  const auto read = parse_journal(text);
  REQUIRE(read.has_value());
  CHECK(read->records == records);
  CHECK(read->good_size == text.size());
}

TEST_CASE("a journal cut at any byte keeps its whole records") {
  const auto text = whole();
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const auto read = parse_journal(std::string_view(text).substr(0, size));
    REQUIRE(read.has_value());
    REQUIRE(read->good_size <= size);
    // The kept part ends at a record's end, and nothing whole was lost.
    std::size_t expected = 0;
    std::size_t end = journal_header.size();
    while (expected < records.size() && end + frame(records[expected]).size() <= size)
      end += frame(records[expected++]).size();
    REQUIRE(read->records.size() == expected);
    REQUIRE(read->good_size == (size < journal_header.size() ? 0 : end));
  }
}

TEST_CASE("a flipped bit is never read as a record") {
  const auto text = whole();
  const auto last = text.size() - frame(records.back()).size();
  unsigned errors = 0;
  for (std::size_t at = 0; at < text.size(); ++at)
    for (const unsigned mask : {0x01U, 0x10U, 0x80U}) {
      auto damaged = text;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ mask);
      const auto read = parse_journal(damaged);
      if (!read) {
        ++errors;
        continue;
      }
      // No error: only a record at the very end is gone, as if torn.
      REQUIRE(at >= last);
      REQUIRE(read->records.size() == records.size() - 1);
    }
  CHECK(errors > 0);
}

TEST_CASE("the journal of a newer hasup is refused by name") {
  auto text = whole();
  text.replace(0, journal_header.size(), "hasup journal 2\n");
  const auto read = parse_journal(text);
  REQUIRE(!read);
  CHECK(read.error().message.find("version \"2\"") != std::string::npos);
  CHECK(!parse_journal("something else entirely\n"));
}

TEST_CASE("an impossible length is no record") {
  for (const auto* line :
       {"99999999999999999999 00000000\n", "-1 00000000\n", "16777217 00000000\n", " 00000000\n"}) {
    const auto read = parse_journal(std::string(journal_header) + line);
    REQUIRE(read.has_value());
    CHECK(read->records.empty());
  }
}
