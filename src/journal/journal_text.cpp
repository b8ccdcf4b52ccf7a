#include "journal/journal_text.hpp"

#include <array>
#include <boost/crc.hpp>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>

namespace hasup::journal {
namespace {

constexpr std::size_t longest_frame_header = 20;  // "16777216 deadbeef\n" and some

std::uint32_t checksum(std::string_view length, std::string_view payload) {
  boost::crc_32_type crc;
  crc.process_bytes(length.data(), length.size());
  crc.process_byte(' ');
  crc.process_bytes(payload.data(), payload.size());
  return crc.checksum();
}

std::string hex8(std::uint32_t value) {
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", static_cast<unsigned>(value));
  return text.data();
}

struct framed {
  std::string_view payload;
  std::size_t size = 0;  // with header and newline
};

// The record that begins exactly here, if a whole one does.
std::optional<framed> frame_at(std::string_view text) {
  const auto line_end = text.substr(0, longest_frame_header).find('\n');
  if (line_end == std::string_view::npos) return std::nullopt;
  const auto line = text.substr(0, line_end);
  const auto space = line.find(' ');
  if (space == std::string_view::npos || line.size() - space - 1 != 8) return std::nullopt;
  const auto length_text = line.substr(0, space);
  std::size_t length = 0;
  const auto [end, failed] = std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  if (failed != std::errc{} || end != length_text.data() + length_text.size() || length > longest_record)
    return std::nullopt;
  const auto begin = line_end + 1;
  if (text.size() < begin + length + 1 || text[begin + length] != '\n') return std::nullopt;
  const auto payload = text.substr(begin, length);
  if (line.substr(space + 1) != hex8(checksum(length_text, payload))) return std::nullopt;
  return framed{payload, begin + length + 1};
}

// Is there a whole record anywhere behind? At every byte: the newline before it may be the damage.
bool whole_record_in(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at)
    if (text[at] >= '0' && text[at] <= '9' && frame_at(text.substr(at))) return true;
  return false;
}

}  // namespace

std::string frame(std::string_view payload) {
  const auto length = std::to_string(payload.size());
  std::string out = length + ' ' + hex8(checksum(length, payload)) + '\n';
  out.append(payload);
  out.push_back('\n');
  return out;
}

base::result<journal_contents> parse_journal(std::string_view text) {
  journal_contents out;
  if (text.substr(0, journal_header.size()) != journal_header) {
    if (journal_header.substr(0, text.size()) == text) return out;  // torn while it was created
    const auto line = text.substr(0, text.find('\n'));
    if (line.size() < 64 && line.substr(0, 14) == "hasup journal ")
      return base::error{"the journal has version \"" + std::string(line.substr(14)) +
                         "\", this hasup reads version 1; install the hasup that wrote it"};
    if (whole_record_in(text)) return base::error{"the journal's first line is damaged"};
    return base::error{"not a hasup journal"};
  }
  auto at = journal_header.size();
  while (const auto found = frame_at(text.substr(at))) {
    out.records.emplace_back(found->payload);
    at += found->size;
  }
  if (whole_record_in(text.substr(at)))
    return base::error{"the journal is damaged at byte " + std::to_string(at) + ", whole records follow"};
  out.good_size = at;
  return out;
}

}  // namespace hasup::journal
