// What is wrong with the files that get into a host, in words. libssh2 says of all of it that the host refuses,
// OpenSSL that it may be this or that.
#pragma once

#include <string>

namespace hasup::snapshot {

// Why the private key at `path` cannot be used by a program that nobody types a passphrase for; "" = nothing is
// wrong.
std::string key_file_problem(const std::string& path);

// Of a private key, or of a file with a certificate and its key; false also when it cannot be read.
bool has_passphrase(const std::string& path);

// Why no host can be looked up in the file; "" = nothing is wrong, or it is not there, which is a list of none.
std::string known_hosts_problem(const std::string& path);

}  // namespace hasup::snapshot
