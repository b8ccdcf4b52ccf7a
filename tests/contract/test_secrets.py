"""What gets into a source is shown to that host alone, whoever names another one; https leads to nothing that is not;
and the keys of a store are seen nowhere while something is loaded from it."""

import hashlib
import json
import os
import threading
import unittest
from pathlib import Path

import source_servers
from fault_host import FaultHost
from hasup_home import processes_of, wait_until
from leap import LeapTest
from nowhere import Nowhere
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

    def test_a_query_that_lets_in_is_in_no_message(self):
        lets_in = "s1gnature-of-a-query"
        self.other.files[NAME + "?sig=" + lets_in] = self.bytes
        self.redirects(self.own, "latest?token=" + lets_in, self.other.url + NAME + "?sig=" + lets_in)
        source = self.source("latest?token=" + lets_in, patience_ms=1000)
        chosen = self.newest(source, match=NAME)
        self.other.fault = lambda handler, _: handler.command == "GET" and handler.status(503) is None
        progress = self.home.path / "progress.json"
        out = self.job({**self.fetch_job(source, chosen), "progress_path": str(progress)})
        self.assertEqual(out["failure"], "unreachable")
        self.assertIn(self.other.url + NAME + "?…: ", out["error"])
        self.own.fault = lambda handler, _: handler.status(404) is None
        found = self.select(source)
        self.assertIn(self.own.url + "latest?…: ", found["error"])
        for said in (json.dumps(out), json.dumps(found), progress.read_text()):
            self.assertNotIn(lets_in, said)

    def test_a_host_whose_redirects_never_end(self):
        self.redirects(self.own, "latest", "/latest")
        self.assertIn("redirects in a circle", self.select(self.source("latest"))["error"])


class KeysOfAStore(Nowhere, LeapTest):
    """Over a whole recovery from S3, in the middle of its fetch and at its end."""

    KEY, SECRET = "AKIA0OF0THE0TEST0OF0HASUP", "s3cr3t+of/the+store+9f2c"
    secrets = (KEY, SECRET)

    def setUp(self):
        super().setUp()
        self.host = source_servers.S3(self, self.home.directory("unused"), self.KEY, self.SECRET)
        for file in self.backup.iterdir():
            self.host.put(file.name, file.read_bytes())
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.addCleanup(self.go_on.set)
        self.host.gate.fault = self.hold
        self.home.env["TMPDIR"] = str(self.home.directory("tmp"))

    def hold(self, handler, _body):
        """The store waits with the first snapshot that it is to send."""
        if handler.command == "GET" and handler.path.endswith(".bin"):
            self.asked.set()
            self.go_on.wait(120)
        return False

    def files_of_hasup(self):
        for directory in ("state", "run", "log", "tmp", "leap"):
            for root, _, names in os.walk(self.home.path / directory):
                for name in names:
                    path = Path(root) / name
                    try:
                        if path.is_file():
                            yield path, path.read_bytes()
                    except FileNotFoundError:
                        pass  # a temporary one

    def environments(self):
        """Of hasup's processes and what runs under them: name -> its environment."""
        found = {}
        for pid, command in processes_of(self.home.path).items():
            try:
                found[command] = Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                pass  # it has just ended
        return found

    def recover(self, seen_by=(), **options):
        """`seen_by`: parts of the command lines of those who may have them in their environment."""
        self.leap_unit("file:///nowhere/", checksum="required")
        path = self.home.path / "etc" / "units" / "leap.toml"
        words = {"url": "s3://snaps/leap/", "endpoint": self.host.source["endpoint"], **options}
        text = path.read_text().replace('source = "file:///nowhere/"', "source = { %s }" % ", ".join(
            f'{key} = "{word}"' for key, word in words.items()))
        path.write_text(text)
        self.home.start()
        self.break_leap()
        wait_until(self.asked.is_set, "the fetch is under way")
        workers = [c for c in self.environments() if "hasup-worker" in c]
        self.assertTrue(workers)
        self.expect_nowhere(seen_by)
        self.go_on.set()
        self.wait_recovered()
        self.assertTrue([path for _, path in self.host.gate.requests if path.endswith(".bin")])
        self.expect_nowhere(seen_by)

    def expect_nowhere(self, seen_by):
        self.assert_nowhere()
        for path, content in self.files_of_hasup():
            for word in self.secrets:
                self.assertNotIn(word.encode(), content, path)
        for command, environment in self.environments().items():
            if any(part in command for part in seen_by):
                continue
            for word in self.secrets:
                self.assertNotIn(word.encode(), environment, command)

    def test_of_a_file(self):
        self.recover(credentials_file=self.host.credentials)

    def test_of_a_profile(self):
        self.host.credentials.write_text(self.host.credentials.read_text().replace("[default]", "[backups]"))
        self.recover(credentials_file=self.host.credentials, profile="backups")

    def test_of_the_environment(self):
        self.home.env.update(AWS_ACCESS_KEY_ID=self.KEY, AWS_SECRET_ACCESS_KEY=self.SECRET)
        self.recover(seen_by=("hasupd", "hasup-worker"))


if __name__ == "__main__":
    unittest.main()
