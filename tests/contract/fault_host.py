"""A web server of backups that does what nginx cannot be made to do: breaks off, stalls, lies, changes its files."""

import contextlib
import http.server
import re
import socket
import ssl
import threading


class FaultHost:
    """Serves `files` (name -> bytes) with ranges and ETags; `fault(handler, name)` may answer in its own way: true."""

    def __init__(self, tls=None, name="127.0.0.1"):
        """`tls`: files of certificate and key. `name`: what the URL calls this machine."""
        host = self
        self.files = {}
        self.fault = lambda handler, name: False
        self.on_sent = lambda: None  # after each block
        self.block = 64 << 10
        self.ranges = True
        self.requests = []  # (method, name, range)
        self.heads = []     # the header lines of each, as text
        self.sent = 0       # bytes of all bodies
        self.lock = threading.Lock()
        self.closing = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                name = self.path[1:]
                with host.lock:
                    host.requests.append((self.command, name, self.headers.get("Range")))
                    host.heads.append(str(self.headers))
                with contextlib.suppress(ConnectionError):
                    if not host.fault(self, name):
                        self.proper(name)

            do_HEAD = do_GET

            def status(self, code, **headers):
                self.send_response(code)
                for key, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(key.replace("_", "-"), value)
                self.end_headers()

            def proper(self, name, limit=None, more=0):
                """The whole or the range that is asked for; breaks off after `limit` bytes, announces `more`."""
                data = host.files.get(name)
                if data is None:
                    return self.status(404)
                etag = f'"{hash(data) & 0xffffffff:x}-{len(data)}"'
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if host.ranges else None
                if asked and self.headers.get("If-Range", etag) == etag:
                    first, last = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
                    if first >= len(data):
                        return self.status(416, Content_Range=f"bytes */{len(data)}")
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                    data = data[first:last + 1]
                else:
                    self.send_response(200)
                self.send_header("ETag", etag)
                if host.ranges:
                    self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(data) + more))
                self.end_headers()
                if self.command != "HEAD":
                    self.body(data, limit)
                if more:
                    self.break_off()

            def body(self, data, limit=None):
                whole = limit is None or limit >= len(data)
                for at in range(0, len(data) if whole else limit, host.block):
                    block = data[at:min(at + host.block, len(data) if whole else limit)]
                    self.wfile.write(block)
                    with host.lock:
                        host.sent += len(block)
                    host.on_sent()
                if not whole:
                    self.break_off()

            def break_off(self):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

            def stall(self):
                """Keeps the connection, brings nothing."""
                host.closing.wait()
                self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                pass  # a worker that was ended on purpose

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://{name}:{self.port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def loads(self, name):
        with self.lock:
            return [r for method, n, r in self.requests if n == name and method == "GET"]

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
