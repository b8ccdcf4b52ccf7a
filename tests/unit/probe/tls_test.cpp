// https and wss checks: whom they trust, and how they show who they are, against a real server that asks for it.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "asking.hpp"

using namespace hasup;
using namespace hasup::probe_test;
using Catch::Contains;

namespace {

constexpr auto server_text = R"(import base64, hashlib, http.server, ssl, sys
folder = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if key:
            accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            self.wfile.write(b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                             + base64.b64encode(accept) + b"\r\n\r\n\x81\x0b" + b'{"ok":true}')
            self.close_connection = True
            if self.rfile.read(8):
                self.wfile.write(b"\x88\x02\x03\xe8")
            return
        self.send_response(200)
        self.send_header("Content-Length", "11")
        self.end_headers()
        self.wfile.write(b'{"ok":true}')
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    def handle_error(self, *_):
        pass
    def finish_request(self, request, address):  # in the thread of the connection
        super().finish_request(context.wrap_socket(request, server_side=True), address)
server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/server.pem", folder + "/server.key")
context.load_verify_locations(folder + "/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
print(server.server_address[1], flush=True)
server.serve_forever()
)";

// A site of its own: an authority, a server, a client, and somebody whom the authority does not know.
struct site {
  std::string path;
  pid_t pid = -1;
  int port = 0;

  site() {
    char name[] = "/tmp/hasup-probe-XXXXXX";
    path = ::mkdtemp(name);
    authority("ca");
    signed_by_ca("server", "subjectAltName=DNS:localhost,IP:127.0.0.1");
    signed_by_ca("client", "extendedKeyUsage=clientAuth");
    authority("other");
    std::ofstream(path + "/server.py") << server_text;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(ends[1], 1);
      for (int fd = 3; fd < 1024; ++fd) ::close(fd);
      ::execlp("python3", "python3", (path + "/server.py").c_str(), path.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    FILE* output = ::fdopen(ends[0], "r");
    const int read = std::fscanf(output, "%d", &port);
    std::fclose(output);
    REQUIRE(read == 1);
  }
  ~site() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    std::filesystem::remove_all(path);
  }
  site(const site&) = delete;
  site& operator=(const site&) = delete;

  void openssl(const std::string& words) const {
    REQUIRE(std::system(("cd " + path + " && openssl " + words + " >/dev/null 2>&1").c_str()) == 0);
  }
  void authority(const std::string& name) const {
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=" + name + " -keyout " + name + ".key -out " + name +
            ".pem");
  }
  void signed_by_ca(const std::string& name, const std::string& extension) const {
    std::ofstream(path + "/" + name + ".ext") << extension << "\n";
    openssl("req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout " + name + ".key -out " + name + ".csr");
    openssl("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " + name +
            ".ext -out " + name + ".pem");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path + "/" + name; }
  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port); }
  [[nodiscard]] model::check check() const {
    auto c = http("https://" + place() + "/");
    c.expect = {expectation_of("/ok", "true")};
    c.ca_file = file("ca.pem");
    c.client_certificate = file("client.pem");
    c.client_key = file("client.key");
    return c;
  }
};

// The server's word, or what follows it at once: it closes on a request that it has not read.
bool shown_the_door(const std::string& said, const std::string& place) {
  return said.starts_with("failed: " + place + " ended TLS: ") ||
         said.starts_with("failed: connection reset by " + place);
}

}  // namespace

TEST_CASE("a check trusts its ca_file, and shows its certificate to who asks for it") {
  const site s;
  asker a;
  CHECK(told(a.ask(s.check())) == "passed: passed");
  CHECK(told(a.ask(s.check())) == "passed: passed");

  asker stranger;  // no connection is kept from before
  auto c = s.check();
  c.ca_file = s.file("other.pem");
  CHECK_THAT(told(stranger.ask(c)),
             Catch::StartsWith("failed: the certificate of " + s.place() + " is not trusted: "));
  c = s.check();
  c.client_certificate.clear();
  c.client_key.clear();
  CHECK(shown_the_door(told(stranger.ask(c)), s.place()));

  std::ofstream(s.file("both.pem")) << std::ifstream(s.file("client.pem")).rdbuf()
                                    << std::ifstream(s.file("client.key")).rdbuf();
  c.client_certificate = s.file("both.pem");
  CHECK(told(stranger.ask(c)) == "passed: passed");

  c = s.check();
  c.kind = model::check_kind::websocket;
  c.url = "wss://localhost:" + std::to_string(s.port) + "/";
  CHECK(told(stranger.ask(c)) == "passed: passed");
}

TEST_CASE("a certificate that was renewed is used at the next connection") {
  const site s;
  auto c = s.check();
  for (const auto* name : {"shown.pem", "shown.key"})
    std::filesystem::copy_file(s.file("other" + std::string(name).substr(5)), s.file(name));
  c.client_certificate = s.file("shown.pem");
  c.client_key = s.file("shown.key");
  asker a;
  CHECK(shown_the_door(told(a.ask(c)), s.place()));
  for (const auto* name : {"shown.pem", "shown.key"}) {
    std::filesystem::copy_file(s.file("client" + std::string(name).substr(5)), s.file("new"));
    std::filesystem::rename(s.file("new"), s.file(name));
  }
  CHECK(told(a.ask(c)) == "passed: passed");
}

TEST_CASE("files that cannot be used are unknown: nothing was asked") {
  const site s;
  asker a;
  auto c = s.check();
  c.ca_file = s.file("none.pem");
  CHECK_THAT(told(a.ask(c)), Catch::StartsWith("unknown: ca_file: ") && Contains("none.pem"));
  c.ca_file = s.file("ca.key");
  CHECK_THAT(told(a.ask(c)), Catch::StartsWith("unknown: ca_file " + c.ca_file + " holds no certificate: "));
  c = s.check();
  c.client_certificate = s.file("none.pem");
  CHECK_THAT(told(a.ask(c)), Catch::StartsWith("unknown: client_certificate: "));
  c = s.check();
  c.client_key = s.file("other.key");
  CHECK(told(a.ask(c)) ==
        "unknown: client_key " + c.client_key + " does not belong to client_certificate " + c.client_certificate);
  s.openssl("rsa -aes256 -passout pass:secret -in client.key -out locked.key");
  c.client_key = s.file("locked.key");
  CHECK_THAT(told(a.ask(c)),
             Catch::StartsWith("unknown: client_key " + c.client_key + " is no key without a password: "));
  CHECK(told(a.ask(s.check())) == "passed: passed");
}
