// The XML of a multipart upload. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hasup::snapshot {

// Of the answer that begins one; "" when it is no such answer.
std::string s3_upload_id(std::string_view xml);
// The body that completes one, of the pieces' ETags in their order.
std::string s3_completion(const std::vector<std::string>& tags);

}  // namespace hasup::snapshot
