"""What a source may cost: one patience while it is asked, and for a file one that is used up by waiting for too few bytes."""

import hashlib
import json
import unittest

from fault_host import FaultHost
from test_sources import Sources, snapshot_bytes

SIZE = 40_000_000  # several pieces
NAME = "snap-7.bin"


class Patience(Sources):
    def setUp(self):
        super().setUp()
        self.bytes = snapshot_bytes(1, SIZE)
        self.host = self.start_host()
        self.other = self.start_host()
        self.source = {"url": self.host.url, "patience_ms": 2000}

    def start_host(self):
        host = FaultHost()
        self.addCleanup(host.close)
        host.files[NAME] = self.bytes
        host.files[NAME + ".sha256"] = hashlib.sha256(self.bytes).hexdigest().encode()
        return host

    def trickle(self, handler, bytes_per_s):
        """Keeps the connection, and brings a little, for ever."""
        step = b"<!-- -->" * (bytes_per_s // 80)
        while not self.host.closing.wait(0.1):
            handler.wfile.write(step)
        return True

    def slowly(self, handler, bytes_per_s):
        """The range that is asked for."""
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{(16 << 20) - 1}/{SIZE}")
        handler.send_header("ETag", '"slow"')
        handler.send_header("Content-Length", str(16 << 20))
        handler.end_headers()
        return self.trickle(handler, bytes_per_s)

    def asked(self, *methods):
        return {name for method, name, _ in self.host.requests if method in methods and NAME not in name and "snap" in name}

    def candidate(self, *mirrors):
        return {"plan": 0, "snapshots": [{"name": NAME, "url": self.host.url + NAME, "source": self.host.url, "size": SIZE,
                                          "time_ns": None, "block": None, "sha256": "", "mirrors": [
                                              {"url": m.url + NAME, "source": m.url, "sha256": ""} for m in mirrors]}]}

    def test_a_listing_that_comes_slowly(self):
        def slow(handler, name):
            handler.send_response(200)
            handler.send_header("Content-Type", "text/html")
            handler.send_header("Content-Length", str(8 << 20))
            handler.end_headers()
            return self.trickle(handler, 4000)
        self.host.fault = slow
        self.other.files[""] = f'<a href="{NAME}">{NAME}</a>'.encode()
        found = self.select(self.source, {"url": self.other.url})
        self.assertEqual([c["snapshots"][0]["source"] for c in found["candidates"]], [self.other.url])
        self.assertIn("the patience of 2s is used up", " ".join(found["notes"]))

    def test_what_is_asked_about_many_files_costs_one_patience(self):
        names = [f"snap-{n}.bin" for n in range(10, 30)]
        self.host.files[""] = "".join(f'<a href="{name}">{name}</a> ' for name in names).encode()
        self.host.fault = lambda handler, name: name != "" and handler.stall() is None
        found = self.select(self.source, match="snap-??.bin", explain=True)
        self.assertEqual(len(found["candidates"]), len(names))
        self.assertEqual(len(self.asked("HEAD", "GET")), 1)
        self.assertIn("asked no further when its patience of 2s", " ".join(found["notes"]))

    def test_checksums_that_never_come_cost_one_patience(self):
        self.host.fault = lambda handler, name: name != NAME and handler.stall() is None
        out = self.fetch(self.source, self.candidate())
        self.assertEqual(out["failure"], "unreachable")
        self.assertIn("the patience of 2s is used up", out["error"])
        self.assertEqual(len({name for _, name, _ in self.host.requests}), 1)

    def test_a_file_that_comes_slowly_is_fetched_from_another_source(self):
        self.host.fault = lambda handler, name: name == NAME and handler.command == "GET" and self.slowly(handler, 500)
        job = self.fetch_job(self.source, self.candidate(self.other))
        out = self.job({**job, "sources": [*job["sources"], {"url": self.other.url}]})
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertTrue(self.cached(NAME).read_bytes() == self.bytes)

    def test_a_file_that_comes_slowly_from_its_only_source_is_left_and_that_is_said(self):
        self.host.fault = lambda handler, name: name == NAME and handler.command == "GET" and self.slowly(handler, 500)
        out = self.fetch(self.source, self.candidate())
        self.assertEqual(out["failure"], "unreachable")
        self.assertIn("it brings less than 4.0KiB a second, longer than its patience of 2s", out["error"])

    def test_a_limit_of_the_rate_is_no_slow_host(self):
        self.host.files[NAME] = data = self.bytes[:10_000]
        self.host.files[NAME + ".sha256"] = hashlib.sha256(data).hexdigest().encode()
        candidate = self.candidate()
        candidate["snapshots"][0]["size"] = len(data)
        out = self.job({**self.fetch_job(self.source, candidate), "max_rate": 2000})
        self.assertEqual(out["failure"], "none", out["error"])


if __name__ == "__main__":
    unittest.main()
