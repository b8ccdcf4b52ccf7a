// The XML of a multipart upload. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"

namespace hasup::snapshot {

// Of the answer that begins one; "" when it is no such answer.
std::string s3_upload_id(std::string_view xml);
// The body that completes one, of the pieces' ETags in their order.
std::string s3_completion(const std::vector<std::string>& tags);

// Whether an answer to a request with If-Match or If-None-Match says that the store has no such thing: then another
// attempt goes without.
bool s3_knows_no_conditions(long status, std::string_view xml);

// The answers to ListMultipartUploads and ListParts: https://docs.aws.amazon.com/AmazonS3/latest/API/
struct s3_upload {
  std::string id;
  base::wall_time begun{};

  friend bool operator==(const s3_upload&, const s3_upload&) = default;
};
// Those of exactly this key whose begin is said.
std::vector<s3_upload> s3_uploads_of(std::string_view xml, std::string_view key);
// When a piece came last; nothing when there is none, or the answer is another one. `more`: the number after which
// the list goes on; "" = it ends here.
struct s3_last_piece {
  std::optional<base::wall_time> time;
  std::string more;
  bool is_list = false;
};
s3_last_piece s3_newest_piece(std::string_view xml);

}  // namespace hasup::snapshot
