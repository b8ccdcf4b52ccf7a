"""An HTTP gate before s3rver that checks Signature Version 4, which s3rver itself does not, with Amazon's rules.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import contextlib
import hashlib
import hmac
import http.client
import http.server
import re
import threading
import urllib.parse


def signature(secret, method, path, query, headers, signed, scope):
    """What the request ought to be signed with; `path` and `query` as they were sent, `headers` lower-case names."""
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    quote = lambda text: urllib.parse.quote(text, safe="-._~")
    request = "\n".join([
        method, urllib.parse.quote(urllib.parse.unquote(path), safe="/-._~"),
        "&".join(f"{quote(k)}={quote(v)}" for k, v in pairs),
        "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed), ";".join(signed),
        headers["x-amz-content-sha256"]])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope),
                      hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Gate:
    """Listens on loopback; requests that are signed with `secret` by `key` reach the store, others get S3's answer."""

    def __init__(self, store_port, secret, key="S3RVER"):
        gate = self
        self.refused = 0
        self.requests = []  # (method, path with query), of those that were signed
        self.one_write = threading.Lock()
        self.fault = lambda handler, body: False  # true: it has answered in the store's place

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def is_signed(self, body):
                headers = {k.lower(): v for k, v in self.headers.items()}
                if headers.get("x-amz-content-sha256") not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
                    return False
                found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)",
                                     headers.get("authorization", ""))
                if not found or found[1] != key:
                    return False
                path, _, query = self.path.partition("?")
                return found[4] == signature(secret, self.command, path, query, headers, found[3].split(";"),
                                             found[2].split("/"))

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not self.is_signed(body):
                    gate.refused += 1
                    body = (b"<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The request "
                            b"signature we calculated does not match</Message></Error>")
                    self.answer(403, {"Content-Type": "application/xml"}, body)
                    return
                gate.requests.append((self.command, self.path))
                if gate.fault(self, body):
                    return
                with gate.one_write if self.command == "PUT" else contextlib.nullcontext():
                    if status := self.refused_by_condition():
                        self.answer(status, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
                    else:
                        self.answer(*self.ask_store(self.command, body))

            def refused_by_condition(self):
                """Amazon's conditional writes, of which s3rver knows nothing."""
                only = self.headers.get("If-Match")
                if only is None and self.headers.get("If-None-Match") is None:
                    return None
                status, headers, _ = self.ask_store("HEAD")
                if only is None:
                    return 412 if status == 200 else None
                there = {k.lower(): v for k, v in headers.items()}.get("etag")
                return 404 if status == 404 else None if there == only else 412

            def ask_store(self, method, body=b""):
                store = http.client.HTTPConnection("127.0.0.1", store_port, timeout=60)
                names = ("range", "if-range", "authorization", "x-amz-date", "x-amz-content-sha256", "content-type")
                # The store knows one key, and does not look at what was signed with it.
                store.request(method, self.path, body=body or None,
                              headers={k: v.replace(f"Credential={key}/", "Credential=S3RVER/")
                                       for k, v in self.headers.items() if k.lower() in names})
                found = store.getresponse()
                data = found.read()
                kept = {k: v for k, v in found.getheaders() if k.lower() not in ("connection", "keep-alive", "date")}
                store.close()
                return found.status, kept, data

            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

            def answer(self, status, headers, body):
                self.send_response(status)
                if self.command != "HEAD":
                    headers = {k: v for k, v in headers.items() if k.lower() not in ("content-length", "transfer-encoding")}
                    if status != 204:
                        headers["Content-Length"] = str(len(body))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    with contextlib.suppress(ConnectionError):  # a worker that is killed on purpose
                        self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
