// Several hosts that have the same file, or say so: which one is loaded from, and who is blamed for what.
#include "fetching.hpp"

using namespace hasup;
using namespace hasup::test;

namespace {

enum class copy { whole, damaged, truncated, away, cut };

// A host with a side file that announces the digest of the whole archive, whatever its copy is.
class copy_host {
 public:
  explicit copy_host(copy first)
      : has(first), server_([this](const raw_request& r) {
          if (r.path == "/a.zst.sha256") return answer_200(digest(whole));
          if (r.path != "/a.zst") return answer_status(404);
          if (has == copy::away) return answer_status(503);
          if (has == copy::cut && r.range() <= 0) return good_answer(r, whole).substr(0, 500'000);
          if (has == copy::cut) return answer_status(503);
          return good_answer(r, has == copy::whole ? whole : has == copy::damaged ? damaged : truncated);
        }) {}

  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] long loads() const {
    const auto all = server_.requests();
    return std::count_if(all.begin(), all.end(), [](const auto& r) { return r.path == "/a.zst"; });
  }

  const std::string whole = archive_bytes();
  const std::string damaged = [this] {
    auto out = whole;
    out[out.size() / 2] ^= 1;
    return out;
  }();
  const std::string truncated = whole.substr(0, whole.size() - 1000);
  std::atomic<copy> has;

 private:
  raw_server server_;
};

struct mirrored : fetching {
  ports::worker_result from_all(const std::vector<const copy_host*>& hosts, const std::string& sha256 = "") {
    model::snapshot s;
    s.name = "a.zst";
    s.url = hosts.front()->url() + "a.zst";
    s.source = hosts.front()->url();
    s.size = hosts.front()->whole.size();
    s.sha256 = sha256;
    for (std::size_t i = 1; i < hosts.size(); ++i)
      s.mirrors.push_back({hosts[i]->url() + "a.zst", hosts[i]->url(), sha256});
    job.chosen = ports::candidate{0, {s}};
    return snapshot::fetch(job, control, soon, options);
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a damaged copy is told even when the mirror that is left cannot be reached", "[fetch]") {
  copy_host a(copy::damaged);
  copy_host b(copy::away);
  mirrored f;
  const auto out = f.from_all({&a, &b});
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.error.starts_with("a.zst has sha256 " + digest(a.damaged)));
  CHECK(contains(out.error, b.url() + "a.zst: HTTP status 503"));
  REQUIRE(out.notes.size() == 1);  // also of a fetch that fails
  CHECK(contains(out.notes[0], "at " + a.url() + "a.zst a.zst has sha256 " + digest(a.damaged)));
}

TEST_CASE("a mirror that cannot be asked is named beside the damage", "[fetch]") {
  copy_host a(copy::damaged);
  raw_server b([](const raw_request&) { return answer_status(503); });
  mirrored f;
  f.from_all({&a});
  f.job.chosen->snapshots[0].mirrors.push_back({b.url() + "a.zst", b.url(), ""});
  const auto out = snapshot::fetch(f.job, f.control, f.soon, f.options);
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.error.starts_with("a.zst has sha256 "));
  CHECK(contains(out.error, "; " + b.url() + "a.zst: "));
  CHECK(contains(out.error, "503"));
}

TEST_CASE("who sent the damaged bytes is blamed and left, not who was asked first", "[fetch]") {
  copy_host a(copy::away);
  copy_host b(copy::damaged);
  copy_host c(copy::whole);
  mirrored f;
  const auto out = f.from_all({&a, &b, &c});
  CHECK(out.ok());
  CHECK(get(f.cache()) == c.whole);
  CHECK(b.loads() == 1);
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].starts_with("at " + b.url() + "a.zst a.zst has sha256 "));
  CHECK(contains(out.notes[0], "it is fetched from " + c.url()));
}

TEST_CASE("a snapshot whose own host is away is not bad because a mirror's copy is", "[fetch]") {
  copy_host a(copy::away);
  copy_host b(copy::damaged);
  mirrored f;
  const auto out = f.from_all({&a, &b});
  CHECK(out.failure == worker_failure::unreachable);
  CHECK(contains(out.error, a.url() + "a.zst: HTTP status 503"));
  CHECK(contains(out.error, "at " + b.url() + "a.zst a.zst has sha256 "));
  CHECK(b.loads() == 1);
  CHECK(out.snapshot == "a.zst");
  CHECK(out.damaged_at == std::vector{b.url()});
  a.has = copy::damaged;
  const auto both = f.from_all({&a, &b});
  CHECK(both.failure == worker_failure::bad_snapshot);
  CHECK(both.damaged_at == std::vector{a.url(), b.url()});
  a.has = copy::whole;
  CHECK(f.from_all({&a, &b}).damaged_at.empty());
}

TEST_CASE("bytes of two hosts that are wrong together are loaded from one before it is blamed", "[fetch]") {
  copy_host a(copy::cut);
  copy_host b(copy::damaged);
  copy_host c(copy::whole);
  mirrored f;
  const auto out = f.from_all({&a, &b, &c});
  CHECK(out.ok());
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].starts_with("at " + b.url() + "a.zst a.zst has sha256 " + digest(a.damaged)));
}

TEST_CASE("a truncated copy is left for a mirror where a digest tells what is wanted", "[fetch]") {
  copy_host a(copy::truncated);
  copy_host b(copy::whole);
  const bool announced = GENERATE(false, true);
  const auto sha256 = announced ? digest(a.whole) : std::string();
  mirrored f;
  const auto out = f.from_all({&a, &b}, sha256);
  CHECK(out.ok());
  CHECK(get(f.cache()) == b.whole);
  REQUIRE(out.notes.size() == 1);
  CHECK(contains(out.notes[0], "announced with 1000000 bytes, but has 999000"));
  CHECK(contains(out.notes[0], "it is fetched from " + b.url()));
}

TEST_CASE("copies that are all truncated fail as one does", "[fetch]") {
  copy_host a(copy::truncated);
  copy_host b(copy::truncated);
  const bool announced = GENERATE(false, true);
  const auto sha256 = announced ? digest(a.whole) : std::string();
  const auto expected = announced ? worker_failure::bad_snapshot : worker_failure::unreachable;
  for (const auto& hosts : {std::vector<const copy_host*>{&a}, {&a, &b}}) {
    mirrored f;
    const auto out = f.from_all(hosts, sha256);
    CHECK(out.failure == expected);
    CHECK(out.error.starts_with("a.zst was announced with 1000000 bytes, but has 999000"));
    CHECK(contains(out.error, b.url()) == (hosts.size() > 1));
  }
}

TEST_CASE("a fetch that is cancelled while a mirror is asked says so", "[fetch]") {
  std::atomic<bool> stop{false};
  copy_host a(copy::damaged);
  raw_server b([&](const raw_request&) {
    stop = true;
    return answer_status(503);
  });
  mirrored f;
  f.control = snapshot::job_control("", [&] { return stop.load(); });
  model::snapshot s;
  s.name = "a.zst";
  s.url = a.url() + "a.zst";
  s.source = a.url();
  s.mirrors.push_back({b.url() + "a.zst", b.url(), ""});
  f.job.chosen = ports::candidate{0, {s}};
  const auto out = snapshot::fetch(f.job, f.control, f.soon, f.options);
  CHECK(out.failure == worker_failure::internal);
  CHECK(out.error == "cancelled");
}
