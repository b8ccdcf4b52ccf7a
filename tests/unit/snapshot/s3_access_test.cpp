// Where a bucket is, and which keys open it.
#include "snapshot/fetch/s3_access.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>

#include "temp_tree.hpp"

using namespace hasup;

namespace {

// Nothing but this is said about keys while it lives.
class said_by_environment {
 public:
  explicit said_by_environment(const std::map<std::string, std::string>& said) {
    for (const auto* name : {"HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                             "AWS_SHARED_CREDENTIALS_FILE"}) {
      const char* before = std::getenv(name);
      if (before != nullptr) before_[name] = before;
      names_.emplace_back(name);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : said) ::setenv(name.c_str(), value.c_str(), 1);
  }
  said_by_environment(const said_by_environment&) = delete;
  said_by_environment& operator=(const said_by_environment&) = delete;
  ~said_by_environment() {
    for (const auto& name : names_) {
      ::unsetenv(name.c_str());
      if (before_.contains(name)) ::setenv(name.c_str(), before_[name].c_str(), 1);
    }
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::string> before_;
};

}  // namespace

TEST_CASE("a bucket's address: Amazon's own, with a dot in its name, and another store's", "[s3]") {
  model::source s("s3://snaps/leap/daily/");
  CHECK(snapshot::place_of(s).base == "https://snaps.s3.us-east-1.amazonaws.com/");
  CHECK(snapshot::place_of(s).prefix == "leap/daily/");
  s.url = "s3://snaps/leap/daily";  // where create puts them too
  CHECK(snapshot::place_of(s).prefix == "leap/daily/");
  s.region = "eu-central-1";
  CHECK(snapshot::place_of(s).base == "https://snaps.s3.eu-central-1.amazonaws.com/");
  s.url = "s3://my.snaps";
  CHECK(snapshot::place_of(s).base == "https://s3.eu-central-1.amazonaws.com/my.snaps/");
  CHECK(snapshot::place_of(s).prefix.empty());
  s.endpoint = "http://minio:9000//";
  s.url = "s3://snaps/a%20b/";
  CHECK(snapshot::place_of(s).base == "http://minio:9000/snaps/");
  CHECK(snapshot::place_of(s).prefix == "a b/");
}

TEST_CASE("a query's keys stand in the order that the signature wants", "[s3]") {
  CHECK(snapshot::s3_list_query("a b/", "") == "delimiter=%2F&list-type=2&max-keys=1000&prefix=a%20b%2F");
  CHECK(snapshot::s3_list_query("", "x+/=") ==
        "continuation-token=x%2B%2F%3D&delimiter=%2F&list-type=2&max-keys=1000&prefix=");
}

TEST_CASE("the environment names a file and a profile, as for the AWS command line", "[s3]") {
  test::temp_tree home;
  const auto section = [](const std::string& name, const std::string& key) {
    return "[" + name + "]\naws_access_key_id=" + key + "\naws_secret_access_key=s\n";
  };
  test::put(home / ".aws/credentials", section("default", "home") + section("other", "home-other"));
  test::put(home / "shared", section("default", "shared") + section("other", "shared-other"));
  const auto key = [](const model::source& source, std::map<std::string, std::string> said) {
    const said_by_environment only(said);
    const auto found = snapshot::find_s3_credentials(source);
    return found ? found->access_key : found.error().message;
  };
  const std::string at = home.path();
  model::source s("s3://snaps/");
  CHECK(key(s, {}).empty());
  CHECK(key(s, {{"HOME", at}}) == "home");
  CHECK(key(s, {{"HOME", at}, {"AWS_PROFILE", "other"}}) == "home-other");
  CHECK(key(s, {{"HOME", at}, {"AWS_SHARED_CREDENTIALS_FILE", at + "/shared"}}) == "shared");
  CHECK(key(s, {{"HOME", at}, {"AWS_SHARED_CREDENTIALS_FILE", "~/shared"}, {"AWS_PROFILE", "other"}}) ==
        "shared-other");
  CHECK(key(s, {{"HOME", at}, {"AWS_PROFILE", "nosuch"}}).find("has no [nosuch]") != std::string::npos);
  CHECK(key(s, {{"AWS_SHARED_CREDENTIALS_FILE", at + "/nosuch"}}).find("/nosuch") != std::string::npos);
  // Keys go before a profile, but half a pair is a mistake.
  CHECK(
      key(s, {{"HOME", at}, {"AWS_PROFILE", "other"}, {"AWS_ACCESS_KEY_ID", "k"}, {"AWS_SECRET_ACCESS_KEY", "s"}}) ==
      "k");
  CHECK(key(s, {{"HOME", at}, {"AWS_ACCESS_KEY_ID", "k"}}) ==
        "s3://snaps/: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set both or none");
  // What the source itself says goes first.
  s.profile = "default";
  CHECK(key(s, {{"HOME", at}, {"AWS_PROFILE", "other"}, {"AWS_ACCESS_KEY_ID", "k"}}) == "home");
  s.profile.clear();
  s.credentials_file = home / ".aws/credentials";
  CHECK(key(s, {{"AWS_PROFILE", "other"}, {"AWS_SHARED_CREDENTIALS_FILE", at + "/shared"}}) == "home");
}

TEST_CASE("one profile of a credentials file", "[s3]") {
  const std::string text =
      "# comment\n[default]\naws_access_key_id = A\naws_secret_access_key=b/c+d=\r\n\n"
      "[ other ]\naws_access_key_id=O\naws_secret_access_key = p\naws_session_token= "
      "t==\n[half]\naws_access_key_id=H\n";
  CHECK(snapshot::parse_s3_credentials(text, "default") == snapshot::s3_credentials{"A", "b/c+d=", ""});
  CHECK(snapshot::parse_s3_credentials(text, "other") == snapshot::s3_credentials{"O", "p", "t=="});
  CHECK_FALSE(snapshot::parse_s3_credentials(text, "half"));
  CHECK_FALSE(snapshot::parse_s3_credentials(text, "nosuch"));
  CHECK_FALSE(snapshot::parse_s3_credentials("", "default"));
}
