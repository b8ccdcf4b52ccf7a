// One page of an S3 listing (ListObjectsV2) and its error answers. Pure.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

struct s3_page {
  std::vector<listed_file> files;  // directly below the prefix, manifest.json among them
  std::string continuation;        // "" = this was the last page
};

// `base` is the address of the bucket, ending in "/"; `prefix` as it was asked for, decoded.
base::result<s3_page> parse_s3_page(std::string_view xml, const std::string& base, const std::string& prefix,
                                    listed wanted = listed::snapshots);

// "AccessDenied: Access Denied"; "" when it is no such answer.
std::string s3_error_text(std::string_view xml);

}  // namespace hasup::snapshot
