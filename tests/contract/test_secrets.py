"""What gets into a source is shown to that host alone, whoever names another one; and https leads to nothing that is not."""

import hashlib
import json
import unittest

import source_servers
from fault_host import FaultHost
from test_sources import Sources, snapshot_bytes

NAME = "snap-7.bin"
SECRETS = ("t0ken-of-a-bearer", "t0ken-of-a-line")


class Secrets(Sources):
    def setUp(self):
        super().setUp()
        self.bytes = snapshot_bytes(1, 40_000_000)  # in several pieces
        self.own, self.other = self.start_host(), self.start_host(name="localhost")
        self.other.files[NAME] = self.bytes
        lines = self.home.path / "lines"
        lines.write_text(f"Authorization: Bearer {SECRETS[0]}\nX-Token: {SECRETS[1]}\n")
        self.lines = str(lines)

    def start_host(self, **options):
        host = FaultHost(**options)
        self.addCleanup(host.close)
        return host

    def tls_keys(self):
        keys = self.home.directory("tls")
        source_servers.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                           "-days", "2", "-keyout", keys / "key", "-out", keys / "crt", "-subj", "/CN=localhost", "-addext",
                           "subjectAltName=IP:127.0.0.1,DNS:localhost")
        return keys / "crt", keys / "key"

    def source(self, path="", host=None, **more):
        return {"url": (host or self.own).url + path, "header_file": self.lines, "patience_ms": 5000, **more}

    def redirects(self, host, name, to):
        before = host.fault
        host.fault = lambda handler, asked: (handler.status(302, Location=to) is None if asked == name
                                             else before(handler, asked))

    def load(self, source):
        out = self.fetch(source, self.newest(source, match=NAME))
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(out["sha256"], [hashlib.sha256(self.bytes).hexdigest()])

    def expect_kept(self):
        """The other host was asked, without any secret; the source's own with all, each time."""
        self.assertTrue(self.other.heads)
        for head in self.other.heads:
            for secret in SECRETS:
                self.assertNotIn(secret, head)
        for head in self.own.heads:
            for secret in SECRETS:
                self.assertIn(secret, head)

    def test_a_redirect_that_is_pinned(self):
        self.redirects(self.own, "latest", self.other.url + NAME)
        self.load(self.source("latest"))
        self.expect_kept()

    def test_each_file_of_a_listing_is_redirected(self):
        self.own.files["manifest.json"] = json.dumps({"snapshots": [{"name": NAME, "size": len(self.bytes)}]}).encode()
        self.redirects(self.own, NAME, self.other.url + NAME)
        self.load(self.source())
        self.expect_kept()

    def test_an_address_in_a_json_index(self):
        self.own.files["index.json"] = json.dumps([{"name": NAME, "url": self.other.url + NAME}]).encode()
        self.load(self.source("index.json"))
        self.expect_kept()

    def test_an_address_in_a_text(self):
        self.own.files["latest"] = (self.other.url + NAME).encode()
        self.load(self.source("latest"))
        self.expect_kept()

    def test_a_redirect_within_the_host_takes_them_along(self):
        self.own.files["there/" + NAME] = self.bytes
        self.other.heads.append("")
        self.redirects(self.own, "latest", "/there/" + NAME)
        self.load(self.source("latest"))
        self.expect_kept()
        self.assertIn("there/" + NAME, [name for _, name, _ in self.own.requests])

    def test_another_port_of_the_same_machine_is_another_host(self):
        self.other.url = self.other.url.replace("localhost", "127.0.0.1")
        self.redirects(self.own, "latest", self.other.url + NAME)
        self.load(self.source("latest"))
        self.expect_kept()

    def test_https_does_not_lead_to_http(self):
        crt, key = self.tls_keys()
        self.own = self.start_host(tls=(crt, key))
        source = self.source("latest", ca_file=str(crt))
        self.redirects(self.own, "latest", self.other.url + NAME)
        found = self.select(source, match=NAME)
        self.assertEqual(found["failure"], "unreachable")
        self.assertIn("the source is https, but leads to " + self.other.url + NAME, found["error"])
        self.own.fault = lambda handler, name: False
        self.own.files["latest"] = (self.other.url + NAME).encode()
        self.assertIn("https, but leads to", self.select(source, match=NAME)["error"])
        self.own.files["index.json"] = json.dumps([{"name": NAME, "url": self.other.url + NAME},
                                                   {"name": "snap-6.bin", "size": 5}]).encode()
        found = self.select({**source, "url": self.own.url + "index.json"}, match="*")
        self.assertEqual([c["snapshots"][0]["name"] for c in found["candidates"]], ["snap-6.bin"])
        self.assertIn(NAME + " is left out: the source is https", " ".join(found["notes"]))
        self.assertEqual(self.other.heads, [])

    def test_a_file_that_https_redirects_to_http_is_not_loaded(self):
        crt, key = self.tls_keys()
        self.own = self.start_host(tls=(crt, key))
        source = self.source(ca_file=str(crt))
        self.own.files["manifest.json"] = json.dumps({"snapshots": [{"name": NAME, "size": len(self.bytes)}]}).encode()
        self.redirects(self.own, NAME, self.other.url + NAME)
        out = self.fetch(source, self.newest(source, match=NAME))
        self.assertEqual(out["failure"], "unreachable")
        self.assertIn("https, but leads to", out["error"])
        self.assertEqual(self.other.heads, [])

    def test_a_host_whose_redirects_never_end(self):
        self.redirects(self.own, "latest", "/latest")
        self.assertIn("redirects in a circle", self.select(self.source("latest"))["error"])


if __name__ == "__main__":
    unittest.main()
