"""Never two processes on one state: not by another name of the directory, not by another home."""

import contextlib
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from hasup_home import HasupHome, HasupTest, alive, parent_of, wait_until

NODE = """
[data]
dir = "{data}"

[run]
command = ["sh", "-c", "exec sleep 100000"]

[restart]
backoff = {{ initial = "50ms", max = "100ms" }}
{policy}
"""


class OneWriter(HasupTest):
    def setUp(self):
        super().setUp()
        self.data = self.home.directory("data")
        (self.data / "state").write_text("1")
        self.other = HasupHome()
        self.addCleanup(self.close_other)

    def close_other(self):
        self.assertEqual(self.other.close(), [])

    def test_a_node_of_another_home_is_refused_until_the_first_has_ended(self):
        link = self.other.path / "link"
        link.symlink_to(self.data)
        # So that the death of its shim does not restart it.
        self.home.unit("node", NODE.format(data=self.data, policy='policy = "never"'))
        self.other.unit("copy", NODE.format(data=link, policy=""))
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        self.other.start()
        status = self.other.wait_for("copy", state="failed")
        self.assertEqual(status["last_exit"]["class"], "data in use")
        self.assertIn("another process runs on its data directory", status["reason"])

        # The shim that held the lock is killed: the next one takes it again.
        os.kill(parent_of(pid), signal.SIGKILL)
        self.home.wait_event("node", lambda e: e["kind"] == "shim_lost", "the shim's death is noticed")
        wait_until(lambda: self.home.unit_status("node")["state"] == "running", "the node is taken over")
        self.assertTrue(alive(pid))
        self.other.hasup("start", "copy", "--timeout", "60s")
        self.assertEqual(self.other.unit_status("copy")["state"], "failed")

        self.home.ok("stop", "node")
        self.other.ok("start", "copy")
        self.other.wait_healthy("copy")
        self.home.hasup("start", "node", "--timeout", "60s")
        self.assertEqual(self.home.unit_status("node")["state"], "failed")

    def look_workers(self):
        """The workers that stay with the hasupd of self.home to look at data."""
        pid = self.home.daemon.pid
        found = []
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[1:2] == [b"--look"]:
                    found.append(int(child))
        return found

    def crash(self, pid):
        os.kill(pid, signal.SIGKILL)
        return wait_until(lambda: next((s["pid"] for s in [self.home.unit_status("node")]
                                        if s["state"] == "running" and s["pid"] not in (0, pid)), None),
                          "the node runs again")

    def test_a_stranger_that_came_while_the_node_ran_keeps_it_from_coming_back(self):
        self.home.unit("node", NODE.format(data=self.data, policy=""))
        self.home.start()
        pid = self.crash(self.home.wait_healthy("node")["pid"])
        looker, = self.look_workers()

        # The worker that waits for the next look is killed: another one looks.
        os.kill(looker, signal.SIGKILL)
        wait_until(lambda: not alive(looker), "the worker has ended")
        pid = self.crash(pid)
        another, = self.look_workers()
        self.assertNotEqual(another, looker)
        pid = self.crash(pid)
        self.assertEqual(self.look_workers(), [another])

        # A map of the state, without a descriptor.
        code = ("import mmap, os, sys, time\nf = os.open(sys.argv[1], os.O_RDWR)\nm = mmap.mmap(f, 1)\nos.close(f)\n"
                "print('ready', flush=True)\ntime.sleep(100000)")
        with subprocess.Popen([sys.executable, "-c", code, self.data / "state"], stdout=subprocess.PIPE) as stranger:
            try:
                self.assertEqual(stranger.stdout.readline(), b"ready\n")
                os.kill(pid, signal.SIGKILL)
                status = self.home.wait_for("node", state="failed")
                self.assertIn(f"is already open by pid {stranger.pid} ", status["reason"])
                self.assertIn(str(self.data / "state"), status["reason"])
            finally:
                stranger.kill()
        self.home.ok("start", "node")
        self.home.wait_healthy("node")

        # It stays only as long as hasupd does.
        another, = self.look_workers()
        self.home.kill_daemon()
        wait_until(lambda: not alive(another), "the worker ends with hasupd")
        self.home.start()

    def waits_to_look_again(self, since=0):
        return next((e for e in self.home.events("node") if e["kind"] == "waiting" and e["seq"] > since), None)

    def test_who_kills_the_worker_that_looks_keeps_no_unit_down(self):
        state = self.data / "state"
        state.write_bytes(b"1" * 4096)
        self.home.unit("node", NODE.format(data=self.data, policy=""))
        let_go = self.hold_by_kernel(state)
        self.home.start()
        for _ in range(2):
            self.kill_worker()
            status = self.home.wait_for("node", state="waiting")
        self.assertRegex(status["reason"], f"^{self.data} could not be inspected: hasup-worker ended with .*KILL.* and "
                                           "without an answer; tried again by itself$")
        self.assertIsNotNone(status["next_attempt_at"])
        self.assertIn("could not be inspected", self.home.ok("why", "node"))
        let_go()
        pid = self.home.wait_healthy("node")["pid"]

        # It comes back from a crash: the workers that look have no shim then.
        let_go = self.hold_by_kernel(state)
        since = self.home.events("node")[-1]["seq"]
        os.kill(pid, signal.SIGKILL)

        def killed():
            for looker in self.look_workers():
                os.kill(looker, signal.SIGKILL)
            return self.waits_to_look_again(since)

        self.assertIn("could not be inspected", wait_until(killed, "it waits")["reason"])
        let_go()
        self.home.wait_healthy("node")
        self.assertNotIn("failed", [e["kind"] for e in self.home.events("node")])

    def test_two_units_on_one_directory_by_two_names_are_an_error(self):
        link = self.home.path / "link"
        link.symlink_to(self.data)
        self.home.unit("node", NODE.format(data=self.data, policy=""))
        self.home.unit("copy", NODE.format(data=link, policy=""))
        done = self.home.hasup("check")
        self.assertEqual(done.returncode, 6)
        self.assertIn("two writers destroy it", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
