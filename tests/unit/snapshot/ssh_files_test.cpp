// Which keys of hosts are never taken.
#include "snapshot/fetch/ssh_files.hpp"

#include <catch2/catch.hpp>

#include "temp_tree.hpp"

using namespace hasup;

TEST_CASE("a revoked key is revoked, whatever line stands beside it", "[ssh]") {
  const std::string key = "a2V5";  // base64 of "key"
  const std::string plain = "host ssh-ed25519 " + key + "\n";
  CHECK_FALSE(snapshot::is_revoked(plain, key));
  CHECK(snapshot::is_revoked(plain + "@revoked host ssh-ed25519 " + key + " why\n", key));
  CHECK(snapshot::is_revoked(" @revoked\t* ssh-ed25519  " + key + "\r\n" + plain, key));
  CHECK_FALSE(snapshot::is_revoked("@revoked host ssh-ed25519 other\n#@revoked host ssh-ed25519 " + key + "\n", key));
  CHECK_FALSE(snapshot::is_revoked("@cert-authority host ssh-ed25519 " + key + "\n@revoked", key));

  test::temp_tree files;
  const auto path = files / "known_hosts";
  CHECK(snapshot::revoked_key_problem(path, "key", false).empty());
  test::put(path, plain + "@revoked host ssh-ed25519 " + key + "\n");
  CHECK(snapshot::revoked_key_problem(path, "key", false).find("@revoked in " + path) != std::string::npos);
  CHECK(snapshot::revoked_key_problem(path, key, true).find("@revoked in " + path) != std::string::npos);
  CHECK(snapshot::revoked_key_problem(path, "kez", false).empty());
  CHECK_FALSE(snapshot::revoked_key_problem(files.path(), "key", false).empty());
}
