// How an archive is cut for a store, and what is said to S3 about the pieces.
#include <catch2/catch.hpp>

#include "snapshot/send/part_plan.hpp"
#include "snapshot/send/s3_texts.hpp"

using namespace hasup::snapshot;

TEST_CASE("pieces grow with the archive, so that 10,000 of them hold more than a terabyte") {
  CHECK(piece_size(1) == 16U << 20U);
  CHECK(piece_size(1000) == 16U << 20U);
  CHECK(piece_size(1001) == 32U << 20U);
  CHECK(piece_size(most_pieces) == 512U << 20U);
  std::uint64_t all = 0;
  for (unsigned n = 1; n <= most_pieces; ++n) {
    all += piece_size(n);
    if (n > 1) CHECK(piece_size(n) >= piece_size(n - 1));
  }
  CHECK(all > std::uint64_t{1} << 40U);
  CHECK(all < std::uint64_t{5} << 40U);
}

TEST_CASE("the id of an upload is read, and the end names each piece") {
  CHECK(s3_upload_id("<?xml version=\"1.0\"?><InitiateMultipartUploadResult xmlns=\"x\"><Bucket>b</Bucket>"
                     "<UploadId> a+/= </UploadId></InitiateMultipartUploadResult>") == "a+/=");
  CHECK(s3_upload_id("<Error><Code>AccessDenied</Code></Error>").empty());
  CHECK(s3_upload_id("nonsense").empty());
  CHECK(s3_completion({"\"a\"", "b"}) ==
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>b</ETag></Part></CompleteMultipartUpload>");
}
