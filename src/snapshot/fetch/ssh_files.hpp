// What is wrong with the files that get into a host, in words. libssh2 says of all of it that the host refuses,
// OpenSSL that it may be this or that.
#pragma once

#include <string>
#include <string_view>

namespace hasup::snapshot {

// Why the private key at `path` cannot be used by a program that nobody types a passphrase for; "" = nothing is
// wrong.
std::string key_file_problem(const std::string& path);

// Of a private key, or of a file with a certificate and its key; false also when it cannot be read.
bool has_passphrase(const std::string& path);

// Why no host can be looked up in the file; "" = nothing is wrong, or it is not there, which is a list of none.
std::string known_hosts_problem(const std::string& path);

// Whether a line "@revoked HOSTS KIND KEY" has this key, in base64. Of whatever hosts: a key that is in wrong hands
// is good for none.
bool is_revoked(std::string_view known_hosts, std::string_view key);
// Why a key that a host shows is not to be taken, whatever else the known hosts say of it.
std::string revoked_key_problem(const std::string& path, std::string_view key, bool is_base64);

}  // namespace hasup::snapshot
