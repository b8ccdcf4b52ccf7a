"""What networks and backup hosts do to a download: in the end the whole verified file, or a part that is gone on with.
The node's own state stays as it is, whatever happens."""

import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import threading
import unittest

from fault_host import FaultHost
from hasup_home import BIN, unmount, wait_until
from test_sources import Sources, snapshot_bytes

SIZE = 40_000_000  # several pieces


class Faults(Sources):
    def setUp(self):
        super().setUp()
        self.put_state()
        self.host = self.start_host()
        self.data_bytes = snapshot_bytes(1, SIZE)
        self.host.files["a.bin"] = self.data_bytes

    def put_state(self):
        """What the node has."""
        for name, content in (("state/db", snapshot_bytes(8)), ("state/sub/journal", b""), ("keys/wallet", b"secret"),
                              ("a.bin", b"of the node"), ("config.toml", b"port = 1\n")):
            path = self.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (self.data / "state" / "link").symlink_to("db")
        self.state = self.state_now()
        self.assertEqual(len(self.state), 9)

    def state_now(self):
        """Names, which file each is, whose, size, time of change, content."""
        found = {}
        for path in sorted(self.data.rglob("*")):
            name = str(path.relative_to(self.data))
            if name.split("/")[0] == ".hasup":
                continue
            st = path.lstat()
            content = (os.readlink(path) if path.is_symlink() else
                       hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
            found[name] = (st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_size, st.st_mtime_ns,
                           st.st_ctime_ns, content)
        return found

    def state_is_untouched(self):
        self.assertEqual(self.state_now(), self.state)

    def tearDown(self):
        self.state_is_untouched()
        super().tearDown()

    def start_host(self):
        host = FaultHost()
        self.addCleanup(host.close)
        return host

    def announce(self, host=None):
        host = host or self.host
        host.files["a.bin.sha256"] = hashlib.sha256(host.files["a.bin"]).hexdigest().encode()

    def candidate(self, size=SIZE, host=None, **more):
        host = host or self.host
        return {"plan": 0, "snapshots": [{"name": "a.bin", "url": host.url + "a.bin", "source": host.url, "size": size,
                                          "time_ns": None, "block": None, "sha256": "", **more}]}

    def source(self, **options):
        return {"url": self.host.url, **options}

    def load(self, size=SIZE, **options):
        return self.fetch(self.source(**options), self.candidate(size))

    def expect(self, data, out):
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(out["sha256"], [hashlib.sha256(data).hexdigest()])
        self.assertTrue(self.cached("a.bin").read_bytes() == data)
        self.assertFalse(self.cached("a.bin.part").exists())
        self.state_is_untouched()

    def expect_nothing(self, out, failure, *words):
        self.assertEqual(out["failure"], failure, out["error"])
        for word in words:
            self.assertIn(word, out["error"])
        self.assertFalse(self.cached("a.bin").exists())
        self.state_is_untouched()

    def only(self, name, do):
        """A fault of requests for the content of one file."""
        self.host.fault = lambda handler, asked: asked == name and handler.command == "GET" and do(handler) is not False

    def test_cut_at_random_offsets_fifty_times(self):
        self.announce()
        chance = random.Random(5)
        cuts = iter(range(50))

        def cut(handler):
            if next(cuts, None) is None:
                return False
            return handler.proper("a.bin", limit=chance.randrange(1, 700_000))
        self.only("a.bin", cut)
        for size in (SIZE, None):
            cuts = iter(range(50))
            out = self.load(size)
            self.expect(self.data_bytes, out)
            self.assertTrue(out["verified"])
            self.assertIsNone(next(cuts, None), "fifty cuts")
            self.cached("a.bin").unlink()

    def test_a_host_that_stalls_is_asked_again(self):
        stalls = iter(range(3))

        def stall(handler):
            if next(stalls, None) is None:
                return False
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes 0-{(16 << 20) - 1}/{SIZE}")
            handler.send_header("Content-Length", str(16 << 20))
            handler.end_headers()
            handler.wfile.write(b"")
            return handler.stall()
        self.only("a.bin", stall)
        self.expect(self.data_bytes, self.load(patience_ms=20_000))

    def test_a_host_that_only_stalls_costs_its_patience(self):
        self.only("a.bin", lambda handler: handler.stall())
        self.expect_nothing(self.load(patience_ms=1500), "unreachable")

    def test_a_length_that_is_too_great(self):
        self.only("a.bin", lambda handler: handler.proper("a.bin", more=1000))
        self.expect_nothing(self.load(None), "unreachable")
        self.host.ranges = False
        self.expect_nothing(self.load(), "unreachable", "announced", "40001000")

    def test_a_file_longer_or_shorter_than_was_listed(self):
        for size in (SIZE - 1, SIZE + 1):
            self.expect_nothing(self.load(size), "unreachable", "announced", str(SIZE))

    def test_no_length_at_all(self):
        def endless(handler):
            handler.send_response(200)
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.body(self.data_bytes)
            handler.break_off()
        self.only("a.bin", endless)
        self.expect(self.data_bytes, self.load())
        self.cached("a.bin").unlink()
        self.expect(self.data_bytes, self.load(None))

    def test_a_file_without_length_that_never_ends_is_left(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            while not self.host.closing.is_set():
                handler.wfile.write(b"x" * 1_000_000)
        self.only("a.bin", endless)
        self.expect_nothing(self.load(), "unreachable", "announced")

    def test_the_file_changes_in_the_middle(self):
        other = snapshot_bytes(2, SIZE)
        for after in (1, 2, 3):
            self.host.files["a.bin"] = self.data_bytes
            begin = len(self.host.loads("a.bin"))

            def change(_):
                if len(self.host.loads("a.bin")) - begin > after:
                    self.host.files["a.bin"] = other
                return False
            self.only("a.bin", change)
            out = self.load()
            self.assertIn(out["sha256"], ([hashlib.sha256(d).hexdigest()] for d in (self.data_bytes, other)))
            self.expect(other if out["sha256"] == [hashlib.sha256(other).hexdigest()] else self.data_bytes, out)
            self.cached("a.bin").unlink()

    def test_a_host_that_says_nothing_comes_after_any_head(self):
        """Its file is there all the same, whether a listing says how large it is or not."""
        self.host.fault = lambda handler, _: handler.command == "HEAD" and handler.status(200) is None
        self.host.files["empty.bin"] = b""
        for listing in ('<a href="a.bin">a.bin</a> <a href="empty.bin">empty.bin</a>',
                        json.dumps([{"name": "a.bin", "size": SIZE}])):
            self.host.files[""] = listing.encode()
            found = self.newest(self.source(), match="*.bin")
            self.assertEqual([(s["name"], s["size"]) for s in found["snapshots"]], [("a.bin", SIZE)])
            self.assertEqual(len(self.select(self.source(), match="*.bin")["candidates"]), 1, "what is empty is none")
            self.expect(self.data_bytes, self.fetch(self.source(), found))
            self.cached("a.bin").unlink()

    def test_two_hundred_to_a_request_for_a_range(self):
        self.host.ranges = False
        self.expect(self.data_bytes, self.load())

    def test_statuses_and_redirects_in_a_circle(self):
        for status, words in ((403, "may read the file"), (404, "not there"), (410, "not there"), (500, "error of its own")):
            self.host.fault = lambda handler, name: name == "a.bin" and handler.status(status) is None
            self.expect_nothing(self.load(patience_ms=5000), "unreachable", str(status), words)
        self.host.fault = lambda handler, name: name == "a.bin" and handler.status(302, Location="/a.bin") is None
        self.expect_nothing(self.load(patience_ms=5000), "unreachable", "redirects in a circle")

    def test_no_host_is_there_any_more(self):
        out = self.fetch({"url": "http://127.0.0.1:9/", "patience_ms": 1000}, {"plan": 0, "snapshots": [
            {**self.candidate()["snapshots"][0], "url": "http://127.0.0.1:9/a.bin", "source": "http://127.0.0.1:9/"}]})
        self.expect_nothing(out, "unreachable", "onnect")

    def test_a_wrong_checksum_and_none_where_one_is_wanted(self):
        self.host.files["a.bin.sha256"] = b"0" * 64
        self.expect_nothing(self.load(), "bad_snapshot", "0" * 64, hashlib.sha256(self.data_bytes).hexdigest())
        self.assertFalse(self.cached("a.bin.part").exists())
        del self.host.files["a.bin.sha256"]
        loads = len(self.host.loads("a.bin"))
        self.expect_nothing(self.fetch(self.source(), self.candidate(), checksum="required"), "refused", "checksum")
        self.assertEqual(len(self.host.loads("a.bin")), loads)

    def mirrored(self, other, **more):
        """The job of a file that both hosts list."""
        job = self.fetch_job(self.source(patience_ms=5000), self.candidate(
            mirrors=[{"url": other.url + "a.bin", "source": other.url, "sha256": ""}], **more))
        return {**job, "sources": [*job["sources"], {"url": other.url}]}

    def test_a_mirror_goes_on_in_the_middle_of_the_file(self):
        other = self.start_host()
        other.files["a.bin"] = self.data_bytes
        self.announce()
        self.announce(other)
        for status in (500, 404):
            much, begin = threading.Event(), len(self.host.loads("a.bin"))

            def fail(handler):
                if len(self.host.loads("a.bin")) == begin + 1:
                    return False
                much.wait()
                return handler.status(status)
            self.only("a.bin", fail)
            self.host.sent = other.sent = 0
            self.host.on_sent = lambda: self.host.sent > 15_000_000 and much.set()
            out = self.job(self.mirrored(other))
            self.expect(self.data_bytes, out)
            self.assertTrue(out["verified"])
            self.assertLess(other.sent, SIZE)
            self.cached("a.bin").unlink()

    def test_a_mirror_serves_alone_when_the_first_host_is_down(self):
        other = self.start_host()
        other.files["a.bin"] = self.data_bytes
        self.announce(other)
        self.host.fault = lambda handler, name: handler.status(503) is None
        self.expect(self.data_bytes, self.job(self.mirrored(other)))

    def test_a_copy_that_is_damaged_is_fetched_from_a_mirror_that_announces_the_same(self):
        other, third = self.start_host(), self.start_host()
        bad = bytearray(self.data_bytes)
        bad[SIZE // 2] ^= 1
        self.host.files["a.bin"] = third.files["a.bin"] = bytes(bad)
        other.files["a.bin"] = self.data_bytes
        self.announce(other)
        self.host.files["a.bin.sha256"] = third.files["a.bin.sha256"] = other.files["a.bin.sha256"]
        out = self.job(self.mirrored(other))
        self.expect(self.data_bytes, out)
        self.assertTrue(out["verified"])
        self.assertIn("at " + self.host.url + "a.bin a.bin has sha256 ", out["notes"][0])
        self.assertIn("it is fetched from " + other.url + "a.bin", out["notes"][0])
        self.cached("a.bin").unlink()
        self.expect_nothing(self.job(self.mirrored(third)), "bad_snapshot", "the archive is damaged or was replaced")

    def test_a_mirror_with_another_file_or_without_checksum_is_not_joined(self):
        self.announce()
        self.host.fault = lambda handler, name: name == "a.bin" and self.host.sent > 1000 and handler.status(404) is None
        for data, announced in ((snapshot_bytes(2, SIZE), True), (self.data_bytes, False)):
            other = self.start_host()
            other.files["a.bin"] = data
            if announced:
                self.announce(other)
            self.host.sent = 0
            self.expect_nothing(self.job(self.mirrored(other)), "unreachable", "another checksum", "404")
            self.assertEqual(other.loads("a.bin"), [])

    def test_max_rate_holds_for_all_connections(self):
        self.host.files["a.bin"] = data = self.data_bytes[:20_000_000]
        before = os.times().elapsed
        out = self.job({**self.fetch_job(self.source(), self.candidate(len(data))), "max_rate": 10_000_000})
        self.expect(data, out)
        self.assertGreater(os.times().elapsed - before, 1.5)

    def test_a_limit_of_file_sizes_is_no_space_and_nothing_is_loaded(self):
        self.start_job({**self.fetch_job(self.source(), self.candidate())}).wait(60)  # the job's file
        self.cached("a.bin").unlink()
        self.result.unlink()
        before = self.host.sent
        small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
        subprocess.run([BIN / "hasup-worker", self.home.path / "job.json"], env=self.environment(), preexec_fn=small)
        out = json.loads(self.result.read_text())
        self.expect_nothing(out, "no_space", "File too large")
        self.assertLess(self.host.sent - before, SIZE / 2)

    def test_a_full_disk_is_found_before_the_first_byte_and_what_came_is_kept_when_it_fills_later(self):
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "none", self.data]).returncode:
            self.skipTest("no file system may be mounted")
        self.addCleanup(unmount, self.data)
        self.put_state()
        self.expect_nothing(self.load(), "no_space", "a.bin needs", "free")
        self.assertEqual(self.host.sent, 0)
        self.expect_nothing(self.load(None), "no_space", "a.bin needs")  # the answer tells the size

        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.body(self.data_bytes)
            handler.break_off()
        self.only("a.bin", endless)  # nobody tells it
        self.expect_nothing(self.load(None), "no_space", "No space left")

    def hang_after(self, sent):
        self.host.on_sent = lambda: self.host.sent < sent or self.host.closing.wait()

    def go_on(self):
        """Those that hang hang on; what is asked for from here on is counted."""
        self.host.on_sent = lambda: None
        self.before = len(self.host.loads("a.bin"))

    def asked_since(self):
        ends = [tuple(map(int, r.removeprefix("bytes=").split("-"))) for r in self.host.loads("a.bin")[self.before:]]
        return sum(last - first + 1 for first, last in ends)

    def test_a_worker_killed_at_any_point(self):
        self.announce()
        chance = random.Random(7)
        job = self.fetch_job(self.source(), self.candidate())
        for _ in range(20):
            worker = self.start_job(job)
            limit = self.host.sent + chance.randrange(0, SIZE + 1_000_000)

            def kill():
                if self.host.sent >= limit:
                    with contextlib.suppress(ProcessLookupError):
                        worker.send_signal(signal.SIGKILL)
            self.host.on_sent = kill
            worker.wait(120)
            self.host.on_sent = lambda: None
            self.state_is_untouched()
            file = self.cached("a.bin")
            if file.exists():
                self.assertTrue(file.read_bytes() == self.data_bytes)
                file.unlink()
        self.expect(self.data_bytes, self.job(job))

    def test_a_killed_worker_is_followed_by_one_that_asks_only_for_the_rest(self):
        self.hang_after(20_000_000)
        worker = self.start_job(self.fetch_job(self.source(), self.candidate()))
        note = self.cached("a.bin.resume")
        try:
            wait_until(lambda: worker.poll() is not None or note.exists(), "what is durable is noted")
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        here = sum(end - begin for begin, end in json.loads(note.read_text())["here"])
        self.assertGreater(here, 0)
        self.go_on()
        self.expect(self.data_bytes, self.load())
        self.assertEqual(self.asked_since(), SIZE - here)

    def test_a_worker_that_is_ended_in_order_keeps_all_that_came(self):
        self.hang_after(30_000_000)
        worker = self.start_job(self.fetch_job(self.source(), self.candidate()))
        wait_until(lambda: worker.poll() is not None or self.host.sent >= 30_000_000, "most of the file")
        worker.terminate()
        worker.wait(60)
        here = sum(e - b for b, e in json.loads(self.cached("a.bin.resume").read_text())["here"])
        self.assertGreater(here, 0)
        self.go_on()
        self.expect(self.data_bytes, self.load())
        self.assertEqual(self.asked_since(), SIZE - here)


if __name__ == "__main__":
    unittest.main()
