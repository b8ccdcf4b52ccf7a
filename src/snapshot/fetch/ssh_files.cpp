#include "snapshot/fetch/ssh_files.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "base/small_file.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t key_limit = 64U << 10;
constexpr std::size_t hosts_limit = 16U << 20;

// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key: behind the magic word stands the cipher.
bool is_encrypted_openssh(std::string_view text) {
  constexpr std::string_view begin = "-----BEGIN OPENSSH PRIVATE KEY-----";
  constexpr std::string_view unencrypted("openssh-key-v1\0\0\0\0\4none", 23);
  const auto at = text.find(begin);
  if (at == std::string_view::npos) return false;
  std::string packed;
  for (const char c : text.substr(at + begin.size())) {
    if (c == '-' || packed.size() == 32) break;
    if (c != '\n' && c != '\r') packed += c;
  }
  if (packed.size() < 32) return false;
  unsigned char head[24];
  const auto size = EVP_DecodeBlock(head, reinterpret_cast<const unsigned char*>(packed.data()), 32);
  return size >= 23 && std::string_view(reinterpret_cast<const char*>(head), 23) != unencrypted;
}

bool is_encrypted(std::string_view text) {
  return is_encrypted_openssh(text) || text.find("ENCRYPTED") != std::string_view::npos;
}

}  // namespace

bool has_passphrase(const std::string& path) {
  const auto text = base::read_small_file(path, key_limit);
  return text && is_encrypted(*text);
}

std::string key_file_problem(const std::string& path) {
  const auto text = base::read_small_file(path, key_limit);
  if (!text) return "the key cannot be read: " + text.error().message + "; the unit's user must be able to read it";
  if (text->find("PRIVATE KEY-----") == std::string::npos)
    return path + " is no private key" + (path.ends_with(".pub") ? "; name the file without .pub" : "");
  if (is_encrypted(*text))
    return "the key " + path +
           " has a passphrase, which nobody types here: name a key without one (ssh-keygen -p -f FILE removes it), "
           "or "
           "load it into the agent and leave identity_file out";
  return {};
}

std::string known_hosts_problem(const std::string& path) {
  const auto text = base::read_small_file(path, hosts_limit);
  if (text || text.error().code == ENOENT) return {};
  return "the known hosts cannot be read: " + text.error().message;
}

bool is_revoked(std::string_view known_hosts, std::string_view key) {
  while (!known_hosts.empty()) {
    const auto end = known_hosts.find('\n');
    auto line = known_hosts.substr(0, end);
    known_hosts.remove_prefix(end == std::string_view::npos ? known_hosts.size() : end + 1);
    const auto word = [&line]() {
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t\r")));
      const auto out = line.substr(0, line.find_first_of(" \t\r"));
      line.remove_prefix(out.size());
      return out;
    };
    if (word() != "@revoked") continue;
    (void)word();  // hosts
    (void)word();  // kind of key
    if (word() == key) return true;
  }
  return false;
}

std::string revoked_key_problem(const std::string& path, std::string_view key, bool is_base64) {
  const auto text = base::read_small_file(path, hosts_limit);
  if (!text) return text.error().code == ENOENT ? "" : "the known hosts cannot be read: " + text.error().message;
  std::string coded(key);
  if (!is_base64) {
    coded.resize((key.size() + 2) / 3 * 4 + 1);
    const auto size =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                        reinterpret_cast<const unsigned char*>(key.data()), static_cast<int>(key.size()));
    coded.resize(static_cast<std::size_t>(size));
  }
  if (!is_revoked(*text, coded)) return {};
  return "the host shows a key that is @revoked in " + path +
         ": whoever has it may not be the host; ask who runs the host for its new one";
}

}  // namespace hasup::snapshot
