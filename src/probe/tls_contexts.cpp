#include "probe/tls_contexts.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <sys/stat.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>

#include "base/small_file.hpp"

namespace hasup::probe {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr std::size_t largest_file = 1024 * 1024;

std::string stamp_of(const std::string& path) {
  struct stat info {};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) return "-";
  std::string out;
  for (const auto n : {static_cast<long long>(info.st_dev), static_cast<long long>(info.st_ino),
                       static_cast<long long>(info.st_size), static_cast<long long>(info.st_mtim.tv_sec),
                       static_cast<long long>(info.st_mtim.tv_nsec)})
    out += std::to_string(n) + " ";
  return out;
}

// Nothing when it worked.
base::result<void> read_files(ssl::context& context, const model::check& c) {
  error_code ec;
  if (c.ca_file.empty()) {
    context.set_default_verify_paths(ec);
  } else {
    const auto file = base::read_small_file(c.ca_file, largest_file);
    if (!file) return base::error{"ca_file: " + file.error().message};
    context.add_certificate_authority(asio::buffer(*file), ec);
    if (ec) return base::error{"ca_file " + c.ca_file + " holds no certificate: " + ec.message()};
  }
  if (c.client_certificate.empty()) return {};
  const auto chain = base::read_small_file(c.client_certificate, largest_file);
  if (!chain) return base::error{"client_certificate: " + chain.error().message};
  context.use_certificate_chain(asio::buffer(*chain), ec);
  if (ec) return base::error{"client_certificate " + c.client_certificate + " holds no certificate: " + ec.message()};
  const auto& key_path = c.client_key.empty() ? c.client_certificate : c.client_key;
  const auto key = base::read_small_file(key_path, largest_file);
  if (!key) return base::error{"client_key: " + key.error().message};
  // Whoever asks for a password would ask at a terminal.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, ec);
  context.use_private_key(asio::buffer(*key), ssl::context::pem, ec);
  if (ec.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == X509_R_KEY_VALUES_MISMATCH) {
    return base::error{"client_key " + key_path + " does not belong to client_certificate " + c.client_certificate};
  }
  if (ec) return base::error{"client_key " + key_path + " is no key without a password: " + ec.message()};
  return {};
}

}  // namespace

base::result<ssl::context*> tls_contexts::of(const model::check& c) {
  const std::string name = c.ca_file + '\n' + c.client_certificate + '\n' + c.client_key;
  const std::string stamp = stamp_of(c.ca_file) + stamp_of(c.client_certificate) + stamp_of(c.client_key);
  auto& one = all_[name];
  if (!one.context || one.stamp != stamp) {
    one.context.reset();
    auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
    context->set_verify_mode(ssl::verify_peer);
    SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
    if (const auto read = read_files(*context, c); !read) return read.error();
    one = {stamp, std::move(context)};
  }
  return one.context.get();
}

}  // namespace hasup::probe
