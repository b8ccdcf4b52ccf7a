#include "snapshot/send/s3_texts.hpp"

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

#include "base/time_text.hpp"

namespace hasup::snapshot {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

namespace pt = boost::property_tree;

// Empty when it is no XML.
pt::ptree parse(std::string_view xml) {
  pt::ptree tree;
  std::istringstream in{std::string(xml)};
  try {
    pt::read_xml(in, tree, pt::xml_parser::trim_whitespace);
  } catch (const pt::xml_parser_error&) {
    return {};
  }
  return tree;
}

}  // namespace

std::string s3_upload_id(std::string_view xml) {
  return parse(xml).get<std::string>("InitiateMultipartUploadResult.UploadId", "");
}

std::string s3_completion(const std::vector<std::string>& tags) {
  std::string out = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < tags.size(); ++i)
    out += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + escaped(tags[i]) + "</ETag></Part>";
  return out + "</CompleteMultipartUpload>";
}

bool s3_knows_no_conditions(long status, std::string_view xml) {
  if (status == 501) return true;
  if (status != 400) return false;
  const auto code = parse(xml).get<std::string>("Error.Code", "");
  return code == "NotImplemented" || code == "InvalidArgument" || code == "InvalidRequest";
}

std::vector<s3_upload> s3_uploads_of(std::string_view xml, std::string_view key) {
  std::vector<s3_upload> out;
  const auto tree = parse(xml);
  const auto list = tree.get_child_optional("ListMultipartUploadsResult");
  if (!list) return out;
  for (const auto& [tag, entry] : *list) {
    if (tag != "Upload" || entry.get<std::string>("Key", "") != key) continue;
    auto id = entry.get<std::string>("UploadId", "");
    const auto begun = base::parse_time(entry.get<std::string>("Initiated", ""));
    if (!id.empty() && begun) out.push_back({std::move(id), *begun});
  }
  return out;
}

s3_last_piece s3_newest_piece(std::string_view xml) {
  s3_last_piece out;
  const auto tree = parse(xml);
  const auto list = tree.get_child_optional("ListPartsResult");
  if (!list) return out;
  out.is_list = true;
  for (const auto& [tag, entry] : *list) {
    if (tag != "Part") continue;
    const auto time = base::parse_time(entry.get<std::string>("LastModified", ""));
    if (time && (!out.time || *time > *out.time)) out.time = *time;
  }
  if (list->get<std::string>("IsTruncated", "") == "true")
    out.more = list->get<std::string>("NextPartNumberMarker", "");
  return out;
}

}  // namespace hasup::snapshot
