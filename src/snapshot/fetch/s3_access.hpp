// S3: which address a bucket has, and with which keys requests are signed (Signature Version 4; libcurl signs); and
// which files of this machine access to a host of any kind needs.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/source.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

struct s3_credentials {
  std::string access_key;  // "" = requests are not signed: a public bucket
  std::string secret_key;
  std::string session_token;

  friend bool operator==(const s3_credentials&, const s3_credentials&) = default;
};

// credentials_file and profile of the source; else AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN;
// else AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, of which AWS_PROFILE; else none. A file or profile that is
// named but not there is `unreachable`, as is half a pair of keys.
outcome<s3_credentials> find_s3_credentials(const model::source& access);

// The file that AWS_SHARED_CREDENTIALS_FILE names, "~/" being HOME; "" = it names none.
std::string named_s3_credentials();

// What of this machine access to a source or target needs: the files that it names, and those at their default
// places, some below `home` ("": of no one). Not all of them need be there.
std::vector<std::string> files_of_access(const model::source& access, const std::string& home);

// One [profile] of an AWS credentials file; nothing when it is not there or has no key.
std::optional<s3_credentials> parse_s3_credentials(std::string_view text, std::string_view profile);

std::string region_of(const model::source& access);

// s3://BUCKET/PREFIX -> where its objects are and the prefix, both ending in "/" (no prefix: ""). With an endpoint
// ENDPOINT/BUCKET/; Amazon's https://BUCKET.s3.REGION.amazonaws.com/, where the bucket's name has no dot (its
// certificate).
struct s3_place {
  std::string base;
  std::string prefix;
};
s3_place place_of(const model::source& access);

// The query of one page of a listing, its keys in the order that a signature wants: "delimiter=%2F&…".
std::string s3_list_query(const std::string& prefix, const std::string& continuation);

}  // namespace hasup::snapshot
