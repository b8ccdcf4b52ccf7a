"""Sources on a mount that hangs, so that no signal ends who reads it, or that fails: it costs its patience and no more,
the next source is used, and nothing waits for it ever after."""

import hashlib
import json
import os
import signal
import time
import unittest

from fault_host import FaultHost
from fault_mount import FaultMount, missing, readers_in_the_kernel
from hasup_home import wait_until
from leap import LeapTest
from test_sources import Sources, snapshot_bytes

SIZE = 12_000_000
HANGS, ANSWERS = 1500, 5000  # ms of patience: with what hangs it is waited out, what answers must do so on a loaded machine


@unittest.skipIf(missing(), missing())
class Mounts(Sources):
    def setUp(self):
        super().setUp()
        self.files = self.home.directory("files")
        self.mount = FaultMount(self, self.files, self.home.path / "mount")
        self.bytes = snapshot_bytes(1, SIZE)
        (self.files / "snap-1.bin").write_bytes(self.bytes)
        self.other = self.home.directory("other")
        (self.data / "state").mkdir()
        (self.data / "state" / "db").write_bytes(b"as it was")

    def tearDown(self):
        self.assertEqual((self.data / "state" / "db").read_bytes(), b"as it was")
        self.assertEqual(sorted(p.name for p in self.data.iterdir() if p.name != ".hasup"), ["state"])

    def announce(self, directory):
        (directory / "snap-1.bin.sha256").write_text(hashlib.sha256(self.bytes).hexdigest())

    def source(self, path=None, patience_ms=HANGS):
        return {"url": f"file://{path or self.mount.path}/", "patience_ms": patience_ms}

    def snapshot(self, *places):
        """snap-1.bin of the first place, with the others as mirrors."""
        urls = [place if isinstance(place, str) else f"file://{place}/" for place in places]
        return {"plan": 0, "snapshots": [{
            "name": "snap-1.bin", "url": urls[0] + "snap-1.bin", "source": urls[0], "size": SIZE, "time_ns": None,
            "block": None, "sha256": "",
            "mirrors": [{"url": u + "snap-1.bin", "source": u, "sha256": ""} for u in urls[1:]]}]}

    def fetch_from(self, *places, hangs=()):
        sources = [{"url": p, "patience_ms": ANSWERS} if isinstance(p, str) else
                   self.source(p, HANGS if p in hangs else ANSWERS) for p in places]
        return self.job({"mode": "fetch", "sources": sources, "chosen": self.snapshot(*places), "checksum": "if_present",
                         "data_dir": str(self.data)})

    def expect(self, out):
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(out["sha256"], [hashlib.sha256(self.bytes).hexdigest()])
        self.assertTrue(self.cached("snap-1.bin").read_bytes() == self.bytes)

    def expect_nothing(self, out, *words):
        self.assertEqual(out["failure"], "unreachable", out["error"])
        for word in words:
            self.assertIn(word, out["error"])
        self.assertFalse(self.cached("snap-1.bin").exists())

    def test_a_listing_that_hangs_is_passed_over(self):
        (self.other / "snap-1.bin").write_bytes(self.bytes)
        for operation in ("stat", "readdir"):
            self.mount.fail(f"{operation} hang")
            found = self.select(self.source(), self.source(self.other, ANSWERS))
            self.assertEqual(found["failure"], "none", found["error"])
            self.assertEqual([c["snapshots"][0]["source"] for c in found["candidates"]], [f"file://{self.other}/"])
            self.assertIn("hang", " ".join(found["notes"]))
            # The one of the operation before was let go when that was mended.
            wait_until(lambda: len(readers_in_the_kernel()) == 1, "whoever asked cannot be killed")

    def test_a_file_that_hangs_is_gone_on_with_from_a_mirror(self):
        host = FaultHost()
        self.addCleanup(host.close)
        host.files["snap-1.bin"] = self.bytes
        host.files["snap-1.bin.sha256"] = hashlib.sha256(self.bytes).hexdigest().encode()
        (self.other / "snap-1.bin").write_bytes(self.bytes)
        self.announce(self.other)
        self.announce(self.files)
        for operation in ("open", "read", "read-on"):
            for mirror in (host.url, self.other):
                self.mount.fail(f"{operation} hang snap-1.bin")
                before = len(self.mount.met())
                self.expect(self.fetch_from(self.mount.path, mirror, hangs=[self.mount.path]))
                self.assertGreater(len(self.mount.met()), before)
                self.cached("snap-1.bin").unlink()
                self.mount.fail()  # whoever hung ends by itself
                wait_until(lambda: not readers_in_the_kernel(), "it ends when the mount answers")
        self.assertLess(host.sent, 3 * SIZE)

    def test_a_mount_goes_on_in_the_middle_of_what_a_host_began(self):
        host = FaultHost()
        self.addCleanup(host.close)
        host.files["snap-1.bin"] = self.bytes
        host.files["snap-1.bin.sha256"] = hashlib.sha256(self.bytes).hexdigest().encode()
        self.announce(self.files)
        loads = iter(range(1))
        host.fault = lambda handler, name: name == "snap-1.bin" and handler.command == "GET" and (
            handler.proper(name, limit=7_000_000) is None if next(loads, None) == 0 else handler.status(404) is None)
        self.mount.fail("read EIO snap-1.bin")  # so that what is here can be seen
        self.expect_nothing(self.fetch_from(host.url, self.mount.path), "404", "Input/output error")
        here = sum(e - b for b, e in json.loads(self.cached("snap-1.bin.resume").read_text())["here"])
        self.assertGreater(here, 5_000_000)
        self.mount.fail()
        with open(self.files / "snap-1.bin", "r+b") as f:
            f.write(b"\0" * 1000)  # what is here already is not read again, or the digest would not fit
        self.expect(self.fetch_from(host.url, self.mount.path))

    def test_alone_it_costs_its_patience_and_the_next_job_is_not_kept_waiting(self):
        self.mount.fail("read hang snap-1.bin")
        self.expect_nothing(self.fetch_from(self.mount.path, hangs=[self.mount.path]), "hang")
        self.mount.fail()
        self.expect(self.fetch_from(self.mount.path))

    def test_what_was_read_is_kept_for_when_the_mount_is_back(self):
        self.mount.fail("read-on hang snap-1.bin")
        self.expect_nothing(self.fetch_from(self.mount.path, hangs=[self.mount.path]), "hang")
        self.assertTrue(self.cached("snap-1.bin.resume").exists())
        self.mount.fail()
        self.expect(self.fetch_from(self.mount.path))

    def test_only_so_many_hang_at_one_place(self):
        self.mount.fail("readdir hang")
        for _ in range(3):
            self.assertIn("hang", self.select(self.source(patience_ms=1000))["error"])
        wait_until(lambda: len(readers_in_the_kernel()) == 3, "nobody can end them")
        self.assertIn("no further one is begun", self.select(self.source())["error"])
        wait_until(lambda: len(readers_in_the_kernel()) == 3, "and they are no more")
        (self.other / "snap-1.bin").write_bytes(self.bytes)
        self.assertEqual(self.select(self.source(self.other, ANSWERS))["failure"], "none", "another place is none of that")

    def test_a_cancelled_job_ends_at_once(self):
        self.mount.fail("read hang snap-1.bin")
        worker = self.start_job({"mode": "fetch", "sources": [self.source(patience_ms=600_000)], "data_dir": str(self.data),
                                 "chosen": self.snapshot(self.mount.path), "checksum": "if_present"})
        wait_until(self.mount.met, "it hangs")
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        self.assertEqual(json.loads(self.result.read_text())["error"], "cancelled")

    def test_errors_of_the_mount_are_told(self):
        for operation, word in (("open EIO", "Input/output error"), ("read EIO", "Input/output error"),
                                ("open ESTALE", "Stale file handle"), ("open EACCES", "Permission denied")):
            self.mount.fail(f"{operation} snap-1.bin")
            self.expect_nothing(self.fetch_from(self.mount.path), word)
        self.mount.fail("readdir EIO")
        self.assertIn("Input/output error", self.select(self.source(patience_ms=ANSWERS))["error"])

    def test_an_error_in_the_middle_is_told_and_the_rest_is_read_later(self):
        self.mount.fail("read-on EIO snap-1.bin")
        self.expect_nothing(self.fetch_from(self.mount.path), "read ", "Input/output error")
        self.mount.fail()
        self.expect(self.fetch_from(self.mount.path))


@unittest.skipIf(missing(), missing())
class Daemon(LeapTest):
    """A recovery whose first source hangs."""

    def setUp(self):
        super().setUp()
        self.hanging = self.home.directory("hanging")
        self.mount = FaultMount(self, self.hanging, self.home.path / "mount")

    def unit(self, *sources, patience="2s"):
        self.leap_unit("SOURCE")
        file = self.home.path / "etc" / "units" / "leap.toml"
        tables = "".join(f'\n[[recovery.source]]\nurl = "{s}"\npatience = "{patience}"\n' for s in sources)
        file.write_text(file.read_text().replace('source = "SOURCE"\n', "") + tables)

    def test_the_next_source_is_used_and_status_answers_all_the_time(self):
        self.mount.fail("readdir hang")
        self.unit(f"file://{self.mount.path}/", f"file://{self.backup}/")
        self.home.start()
        self.break_leap()
        wait_until(self.mount.met, "the first source hangs")
        for _ in range(20):
            self.assertEqual(self.home.unit_status("leap")["unit"], "leap")
        self.wait_recovered()
        self.assertTrue(readers_in_the_kernel(), "what hung still hangs")
        # Once more, while that one still hangs.
        self.break_leap()
        self.home.wait_for("leap", state="running", health="healthy", recoveries=2)

    def test_a_recovery_is_cancelled_and_a_unit_stopped_while_its_only_source_hangs(self):
        self.mount.fail("readdir hang")
        self.unit(f"file://{self.mount.path}/", patience="10m")
        self.home.start()
        self.break_leap()
        wait_until(self.mount.met, "the source hangs")
        self.home.ok("recover", "leap", "--cancel")
        self.home.ok("stop", "leap")
        self.assertEqual(self.home.unit_status("leap")["state"], "stopped")
        # It is no longer in the way of the next recovery.
        self.mount.fail()
        for file in self.backup.iterdir():
            os.link(file, self.hanging / file.name)
        self.home.ok("start", "leap", "--no-wait")
        self.wait_recovered()

    def test_hasupd_that_dies_meanwhile_goes_on(self):
        self.mount.fail("readdir hang")
        self.unit(f"file://{self.mount.path}/", f"file://{self.backup}/", patience="5s")
        self.home.start()
        self.break_leap()
        wait_until(self.mount.met, "the first source hangs")
        self.home.kill_daemon()
        self.home.start()
        self.wait_recovered()

    def test_a_file_that_another_process_has_open_there_keeps_nobody_waiting(self):
        (self.hanging / "open").write_text("by a stranger")
        held = open(self.mount.path / "open", "r+")
        self.addCleanup(held.close)
        self.mount.fail("stat hang", "open hang")
        self.unit(f"file://{self.backup}/")
        self.home.start()
        self.break_leap()
        self.wait_recovered()

    def test_the_command_line_alone_ends_too(self):
        self.mount.fail("readdir hang")
        self.unit(f"file://{self.mount.path}/")
        done = self.home.hasup("snapshot", "list", "leap")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("hang", done.stderr)
        self.mount.fail("read hang")
        for file in self.backup.iterdir():
            os.link(file, self.hanging / file.name)
        done = self.home.hasup("snapshot", "get", "leap", "--output", self.home.path / "here")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("hang", done.stderr)


if __name__ == "__main__":
    unittest.main()
