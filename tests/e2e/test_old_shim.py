"""Shims live for months: one of long ago, and one that does not answer, under a hasupd of today."""

import os
import shutil
import signal
import unittest

from hasup_home import BIN, HasupTest, alive, processes_of, wait_until

NODE = """
[run]
command = ["sh", "-c", "echo up; trap 'exit 0' TERM; while :; do sleep 0.05; done"]
"""


class Shims(HasupTest):
    def shim(self, name="node"):
        return next(pid for pid, c in processes_of(self.home.path).items()
                    if "hasup-shim" in c and c.endswith(f"--name {name}@0"))


class Old(Shims):
    def test_it_keeps_what_it_runs_and_makes_way_between_two_runs(self):
        self.home.unit("plain", NODE)
        self.home.unit("node", NODE + f"""
[data]
dir = "{self.home.directory('data')}"
""")
        old = self.home.directory("bin")
        for program in BIN.iterdir():
            if program.is_file() and not program.name.startswith("test_"):
                shutil.copy2(program, old)
        os.unlink(old / "hasup-shim")
        shutil.copy2(BIN / "hasup-shim-first", old / "hasup-shim")
        # With only that one at hand, nothing is left out without a word.
        self.home.bin = old
        self.home.start()
        plain = self.home.wait_healthy("plain")["pid"]
        failed = self.home.wait_event("node", lambda e: e["kind"] == "start_failed", "it is refused")
        self.assertIn("is older than hasupd", failed["reason"])
        self.home.unit("node", NODE)
        self.home.ok("apply")
        self.home.ok("start", "node")
        pid = self.home.wait_healthy("node")["pid"]
        shims = {name: self.shim(name) for name in ("plain", "node")}

        # A hasupd of today takes over what runs, as it is.
        self.home.kill_daemon(signal.SIGKILL)
        self.home.bin = BIN
        self.home.unit("node", NODE + f"""
[data]
dir = "{self.home.directory('data')}"
""")
        self.home.start()
        self.assertEqual(self.home.wait_healthy("plain")["pid"], plain)
        self.assertEqual(self.home.wait_healthy("node")["pid"], pid)
        self.assertEqual({name: self.shim(name) for name in shims}, shims)

        self.home.ok("restart", "node")
        self.home.wait_event("node", lambda e: e["kind"] == "shim_replaced", "a new shim is told of")
        self.assertNotEqual(self.shim(), shims["node"])
        self.assertFalse(alive(pid))
        self.home.ok("restart", "plain")
        self.assertEqual(self.shim("plain"), shims["plain"], "it does all that this unit needs")


class Silent(Shims):
    def setUp(self):
        super().setUp()
        self.home.unit("node", NODE + f"""
[data]
dir = "{self.home.directory('data')}"
""")
        self.home.start()
        self.pid = self.home.wait_healthy("node")["pid"]
        self.stopped = self.shim()
        self.home.kill_daemon(signal.SIGKILL)
        os.kill(self.stopped, signal.SIGSTOP)
        self.addCleanup(self.go_on)
        self.home.start()

    def go_on(self):
        if alive(self.stopped):
            os.kill(self.stopped, signal.SIGCONT)

    def test_nothing_is_decided_before_it_answers(self):
        event = self.home.wait_event("node", lambda e: e["kind"] == "shim_busy", "it is told that the shim is silent")
        self.assertIn(f"pid {self.stopped},", event["reason"])
        self.home.ok("start", "node", "--no-wait")
        status = self.home.unit_status("node")
        self.assertEqual((status["state"], status["reason"]), ("starting", event["reason"]))
        self.home.ok("stop", "node", "--no-wait")
        self.assertNotIn(self.home.unit_status("node")["state"], ("stopped", "failed"))
        self.assertTrue(alive(self.pid))
        self.go_on()
        self.home.wait_for("node", state="stopped")
        self.assertFalse(alive(self.pid))
        kinds = [e["kind"] for e in self.home.events("node")]
        self.assertEqual(kinds.count("started"), 1, kinds)
        self.assertIn("adopted", kinds)

    def test_one_that_will_not_come_back_is_ended_by_a_person(self):
        self.home.wait_event("node", lambda e: e["kind"] == "shim_busy", "it is told that the shim is silent")
        os.kill(self.stopped, signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("node")["pid"] not in (None, self.pid), "restarted in order")
        self.assertEqual(self.home.unit_status("node")["last_exit"]["class"], "lost")


if __name__ == "__main__":
    unittest.main()
