#include "snapshot/s3_listing.hpp"

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

#include "base/time_text.hpp"

namespace hasup::snapshot {
namespace {

namespace pt = boost::property_tree;

std::optional<pt::ptree> parse(std::string_view xml) {
  pt::ptree tree;
  std::istringstream in{std::string(xml)};
  try {
    pt::read_xml(in, tree, pt::xml_parser::trim_whitespace);
  } catch (const pt::xml_parser_error&) {
    return std::nullopt;
  }
  return tree;
}

// The keys may be long paths; each part is encoded by itself.
std::string encoded_key(std::string_view key) {
  std::string out;
  while (true) {
    const auto slash = key.find('/');
    out += percent_encode(key.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    out += '/';
    key.remove_prefix(slash + 1);
  }
}

}  // namespace

base::result<s3_page> parse_s3_page(std::string_view xml, const std::string& base, const std::string& prefix,
                                    listed wanted) {
  const auto tree = parse(xml);
  const auto list = tree ? tree->get_child_optional("ListBucketResult") : boost::none;
  if (!list) return base::error{"the answer is no S3 listing; is \"endpoint\" the address of an S3 store?"};
  s3_page out;
  for (const auto& [tag, entry] : *list) {
    if (tag != "Contents") continue;
    const auto key = entry.get<std::string>("Key", "");
    if (!key.starts_with(prefix)) continue;
    listed_file file;
    file.name = key.substr(prefix.size());
    if (file.name.find('/') != std::string::npos) continue;
    if (!is_wanted(file.name, wanted)) continue;
    file.url = base + encoded_key(key);
    if (const auto size = entry.get_optional<std::uint64_t>("Size")) file.size = *size;
    if (file.size == 0U && wanted == listed::snapshots) continue;
    if (const auto time = base::parse_time(entry.get<std::string>("LastModified", ""))) {
      file.time = *time;
      file.time_exact = true;
    }
    out.files.push_back(std::move(file));
  }
  if (list->get<std::string>("IsTruncated", "false") == "true") {
    out.continuation = list->get<std::string>("NextContinuationToken", "");
    if (out.continuation.empty()) return base::error{"the S3 listing goes on, but does not say how"};
  }
  return out;
}

std::string s3_error_text(std::string_view xml) {
  const auto tree = parse(xml);
  const auto error = tree ? tree->get_child_optional("Error") : boost::none;
  if (!error) return {};
  return error->get<std::string>("Code", "") + ": " + error->get<std::string>("Message", "");
}

}  // namespace hasup::snapshot
