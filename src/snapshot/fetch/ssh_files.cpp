#include "snapshot/fetch/ssh_files.hpp"

#include <openssl/evp.h>

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

}  // namespace hasup::snapshot
