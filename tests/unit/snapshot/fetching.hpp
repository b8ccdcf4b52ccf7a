// A fetch job on a directory of its own, and the answers that hosts give to it.
#pragma once

#include <string>

#include "raw_server.hpp"
#include "snapshot/fetch/digester.hpp"
#include "snapshot/fetch/fetch.hpp"
#include "temp_tree.hpp"

namespace hasup::test {

using ports::worker_failure;

inline std::string digest(const std::string& text) {
  snapshot::digester hash;
  hash.add(text.data(), text.size());
  return hash.take();
}

// 1 MB that differs everywhere, so that a wrong join cannot go unseen.
inline std::string archive_bytes(unsigned seed = 1) {
  std::string out;
  std::uint32_t x = seed;
  while (out.size() < 1'000'000) {
    x = x * 1664525 + 1013904223;
    out += static_cast<char>(x >> 24U);
  }
  return out;
}

class fetching {
 public:
  fetching() {
    fs::create_directories(root_ / "node");
    job.data_dir = root_ / "node";
    soon.attempts = 3;
    soon.first_delay = std::chrono::milliseconds(1);
    soon.max_delay = std::chrono::milliseconds(5);
  }
  ports::worker_result from(const std::string& url, const std::string& name = "a.zst", const std::string& sha256 = "",
                            std::optional<std::uint64_t> size = {}) {
    job.chosen = ports::candidate{0, {{name, url + name, url, size, {}, {}, sha256}}};
    return snapshot::fetch(job, control, soon, options);
  }
  std::string cache(const std::string& name = "a.zst") const { return job.data_dir + "/.hasup/cache/" + name; }
  std::string operator/(const std::string& name) const { return root_ / name; }

  ports::worker_job job;
  snapshot::job_control control;
  snapshot::patience soon;
  snapshot::download_options options;

 private:
  temp_tree root_;
};

inline std::string partial(const std::string& whole, std::size_t from,
                           const std::string& headers = "ETag: \"v1\"\r\n") {
  return "HTTP/1.1 206 Partial Content\r\nContent-Length: " + std::to_string(whole.size() - from) +
         "\r\nContent-Range: bytes " + std::to_string(from) + "-" + std::to_string(whole.size() - 1) + "/" +
         std::to_string(whole.size()) + "\r\n" + headers + "Connection: close\r\n\r\n" + whole.substr(from);
}

// What a good host says to a request for the archive, with or without a range.
inline std::string good_answer(const raw_request& r, const std::string& whole) {
  const long from = r.range();
  if (from >= 0 && r.has("If-Range: \"v1\"")) return partial(whole, static_cast<std::size_t>(from));
  return answer_200(whole, "ETag: \"v1\"\r\n", r.method != "HEAD");
}

}  // namespace hasup::test
