"""The worker that swaps, rolls back, cleans up, or deletes the old state or what a first start has left, killed before and
after each change that it makes: the whole new or the whole old state, or a deletion that goes on.

It stands still at a system call and is killed there; the next time at a later one. A few of the points each time; all of them
with HASUP_EVERY_POINT=1.
"""

import json
import os
import random
import subprocess
import unittest
from pathlib import Path

from archive_jobs import ArchiveJobs
from syscall_points import Gone, Traced
from test_disks import contents

# write, fsync, fdatasync, ftruncate, mkdirat, unlinkat, renameat, linkat, fchmod, syncfs, renameat2, as x86-64 numbers them
CHANGES = {"1", "74", "75", "77", "258", "263", "264", "265", "91", "306", "316"}
EVERY = os.environ.get("HASUP_EVERY_POINT") == "1"


class KilledSwap(ArchiveJobs):
    def setUp(self):
        super().setUp()
        self.top = self.data
        self.put_node(big=100_000)

    def fresh(self, number, done, node=lambda: None):
        """A data directory with a node's state, after these jobs and what the node does then."""
        self.data = self.top / str(number)
        for name, text in (("state/db", "old"), ("state/more/x", "old too"), ("blocks/log", "old log"), ("keys/secret", "mine"),
                           ("other", "not of the plan")):
            path = self.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.old = contents(self.data)
        for mode in ("fetch", *done):
            self.succeed(self.job(self.plan_job(mode, unpack_ahead=False)))
        node()

    def changes_before(self, mode, point):
        """Runs the job up to the `point`-th begin or end of a call that changes something, and kills it there; None: to its
        end. How many there were."""
        # A shell waits for its line and becomes the worker, so that not even its first instruction is missed.
        worker = self.start_job(self.plan_job(mode), lead=["sh", "-c", 'read -r line; exec "$0" "$@"'], stdin=subprocess.PIPE)
        with worker.stdin:
            traced, seen = Traced(worker.pid), 0
            worker.stdin.write(b"\n")
            worker.stdin.flush()
            try:
                while seen != point:
                    traced.run_to(1, lambda: False)
                    seen += Path(f"/proc/{worker.pid}/syscall").read_text().split(" ")[0] in CHANGES
                traced.kill()
            except Gone:
                pass
            finally:
                worker.wait()
        return seen

    def each_point(self, mode, done, node=lambda: None):
        self.fresh("whole", done, node)
        last = self.changes_before(mode, None)
        self.succeed(json.loads(self.result.read_text()))
        points = range(1, last + 1) if EVERY else sorted(random.SystemRandom().sample(range(1, last + 1), min(last, 8)))
        for point in points:
            self.fresh(point, done, node)
            self.assertEqual(self.changes_before(mode, point), point)
            self.result.unlink(missing_ok=True)
            with self.subTest(mode=mode, point=point):
                yield point
            subprocess.run(["rm", "-rf", self.data], check=True)
        print(f"{mode}: {len(points)} of {last} points")
        self.assertGreater(last, 20)

    def then(self, mode):
        self.succeed(self.job(self.plan_job(mode)))

    def expect_new(self):
        self.assertEqual((self.data / "state" / "first").read_bytes(), b"first")
        self.assertEqual(os.readlink(self.data / "state" / "link"), "first")
        self.assertFalse((self.data / "state" / "db").exists())
        self.assertNotEqual((self.data / "blocks" / "log").read_bytes(), b"old log")
        self.expect_kept()

    def expect_old(self):
        self.assertEqual(contents(self.data), self.old)
        self.expect_kept()

    def expect_kept(self):
        self.assertEqual((self.data / "keys" / "secret").read_text(), "mine")
        self.assertEqual((self.data / "other").read_text(), "not of the plan")

    def test_the_swap(self):
        begun = {True: 0, False: 0}
        for number, _ in enumerate(self.each_point("swap", ("unpack",))):
            record = self.own("swap.json").exists()
            begun[record] += 1
            self.expect_kept()
            if not record:
                self.expect_old()
            if record and number % 2:
                self.then("roll_back")
                self.expect_old()
            else:
                self.then("swap")
                self.expect_new()
                self.then("clean_up")
                self.expect_new()
            self.assertFalse(self.own("swap.json").exists())
            self.assertEqual(list(self.own("aside").iterdir()) if self.own("aside").exists() else [], [])
        self.assertTrue(begun[True] and begun[False] if EVERY else begun[True], begun)

    def test_the_way_back(self):
        for _ in self.each_point("roll_back", ("unpack", "swap")):
            self.expect_kept()
            self.then("roll_back")
            self.expect_old()
            self.assertFalse(self.own("swap.json").exists())

    def test_the_end(self):
        for _ in self.each_point("clean_up", ("unpack", "swap")):
            self.expect_new()
            self.then("clean_up")
            self.expect_new()
            self.assertFalse(self.own("swap.json").exists())
            self.assertFalse(self.own("aside").exists() and list(self.own("aside").iterdir()))

    def test_the_deletion_of_the_old_state(self):
        begun = {True: 0, False: 0}
        for _ in self.each_point("wipe", ()):
            record = self.own("swap.json").exists()
            begun[record] += 1
            self.expect_kept()
            if not record:
                self.expect_old()
            # Nothing starts on what may be half deleted, and what is to come in its place is here.
            self.assertEqual(self.job(self.plan_job("inspect"))["wiped"], record)
            self.assertEqual((self.own("cache", "a.tar.zst")).read_bytes(), self.host.files["a.tar.zst"])
            self.then("wipe")
            self.expect_kept()
            for name in ("state", "blocks"):
                self.assertFalse((self.data / name).exists())
            for mode in ("unpack", "swap", "clean_up"):
                self.then(mode)
            self.expect_new()
            self.assertFalse(self.own("swap.json").exists())
            self.assertFalse(self.own("aside").exists() and list(self.own("aside").iterdir()))
        self.assertTrue(begun[True] and begun[False] if EVERY else begun[True], begun)

    def node_left_a_note(self):
        """In its first start, of the kind that the plan wipes and the archive does not bring."""
        (self.data / "note").mkdir()
        for number in range(12):
            (self.data / "note" / str(number)).write_text("half")

    def test_the_deletion_of_what_a_first_start_left(self):
        for number, _ in enumerate(self.each_point("rewipe", ("unpack", "swap"), self.node_left_a_note)):
            self.expect_new()
            if number % 2:
                self.then("roll_back")
                self.expect_old()
            else:
                self.then("rewipe")
                self.assertFalse((self.data / "note").exists())
                self.expect_new()
                self.then("clean_up")
                self.expect_new()
            self.assertFalse(self.own("swap.json").exists())


if __name__ == "__main__":
    unittest.main()
