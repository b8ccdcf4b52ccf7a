"""A command that was answered is carried out, and what it ended leaves nothing behind: over the death of hasupd, over a
worker that is just looking, over a unit that is just going."""

import os
import signal
import unittest

from hasup_home import HasupTest, alive, parent_of, processes_of, wait_until
from leap import LeapTest

SLOW_TO_END = """
[run]
command = ["/bin/sh", "-c", "trap 'while [ ! -e {may_end} ]; do sleep 0.02; done; exit 0' TERM; echo up; while :; do sleep 0.02; done"]
stop_timeout = "1h"
{more}
"""


class Workers(LeapTest):
    def setUp(self):
        super().setUp()
        self.make_dirty()  # so that a start looks at the data and comes to nothing by itself
        self.leap_unit("file:///nowhere/", mode="off")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text("enabled = false\n" + path.read_text())
        self.home.start()

    def workers(self):
        return [c for c in processes_of(self.home.path).values() if "leap@0+work" in c or "hasup-worker" in c]

    def test_what_looks_at_the_data_ends_with_the_stop(self):
        for _ in range(10):
            self.assertEqual(self.home.hasup("start", "leap", "--no-wait").returncode, 0)
            self.home.ok("stop", "leap")
            # Nobody is there any more who could end it.
            self.assertEqual(self.home.kill_daemon(signal.SIGTERM), 0)
            wait_until(lambda: not self.workers(), "nothing looks at the data any more")
            self.home.start()

    def test_what_a_killed_hasupd_left_is_ended_by_the_next(self):
        for _ in range(10):
            self.assertEqual(self.home.hasup("start", "leap", "--no-wait").returncode, 0)
            self.assertEqual(self.home.hasup("stop", "leap", "--no-wait").returncode, 0)
            self.home.kill_daemon()
            self.home.start()
            self.home.wait_for("leap", state="stopped")
            wait_until(lambda: not self.workers(), "nothing is left of it")


class ForcedStop(LeapTest):
    def test_it_does_not_wait_for_pre_start_of_a_first_start_after_a_restore(self):
        self.make_dirty()
        self.leap_unit(f"file://{self.backup}/")
        began, blocked = self.home.path / "began", self.home.path / "blocked"
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[run]\n", f"""[run]
pre_start = ["sh", "-c", "echo x >> {began}; test $(wc -l < {began}) -lt 2 || while [ -e {blocked} ]; do sleep 0.02; done"]
hook_timeout = "1h"
""", 1))
        for words in (["--force"], []):
            blocked.write_text("")
            # Before the restore the node was started once, which failed.
            before = len(began.read_text().split()) if began.exists() else 1
            self.home.hasup("start", "leap", "--no-wait") if began.exists() else self.home.start()
            wait_until(lambda b=before: began.exists() and len(began.read_text().split()) > b, "pre_start of the first start")
            self.assertEqual(self.home.unit_status("leap")["state"], "recovering")
            self.home.ok("stop", "leap", *words)
            self.assertEqual(self.home.unit_status("leap")["state"], "stopped")
            self.assertEqual([c for c in processes_of(self.home.path).values() if str(began) in c], [])
        blocked.unlink()
        self.home.ok("start", "leap")
        self.wait_recovered()


class ConfiguredAgain(HasupTest):
    def setUp(self):
        super().setUp()
        self.may_end = self.home.path / "may_end"
        self.addCleanup(self.may_end.write_text, "")
        self.text = SLOW_TO_END.format(may_end=self.may_end, more="")
        self.home.unit("one", self.text)
        self.home.start()
        self.pid = self.home.wait_healthy("one")["pid"]
        wait_until(lambda: "up" in self.home.log_text("one"), "the trap is set")

    def remove(self):
        (self.home.path / "etc" / "units" / "one.toml").unlink()
        self.home.ok("apply")
        self.home.wait_for("one", state="stopping")

    def test_a_unit_that_is_just_going_comes_back_and_stays(self):
        self.remove()
        self.home.unit("one", self.text)
        self.assertIn("configured again, would be started", self.home.ok("apply", "--dry-run"))
        self.home.ok("apply")
        self.may_end.write_text("")
        status = wait_until(lambda: self.home.unit_status("one")["pid"] not in (None, self.pid)
                            and self.home.wait_healthy("one"), "its next run")
        self.assertEqual(status["desired"], "up")
        self.home.ok("apply")
        self.assertEqual(self.home.wait_healthy("one")["pid"], status["pid"])

    def test_one_that_is_not_enabled_stays_as_a_stopped_unit(self):
        self.remove()
        self.home.unit("one", "enabled = false\n" + self.text)
        self.home.ok("apply")
        self.may_end.write_text("")
        self.home.wait_for("one", state="stopped")
        self.home.unit("two", "enabled = false\n" + self.text)
        self.home.ok("apply")
        self.assertEqual({u["unit"]: u["state"] for u in self.home.status()["units"]}, {"one": "stopped", "two": "stopped"})
        self.home.ok("start", "one")


class OverTheDeathOfHasupd(HasupTest):
    def test_a_restart_one_by_one_goes_on_with_the_next_hasupd(self):
        may_pass = self.home.path / "may_pass"
        may_pass.write_text("")
        self.home.unit("one", f"""
[run]
command = ["sleep", "100000"]
instances = 3
[readiness]
kind = "exec"
command = ["test", "-e", "{may_pass}"]
interval = "50ms"
""")
        self.home.start()
        before = [self.home.wait_healthy("one", instance=i)["pid"] for i in range(3)]
        may_pass.unlink()
        self.home.ok("restart", "one", "--no-wait")
        # The first one is up again and waits for its health, the others for it.
        wait_until(lambda: self.home.unit_status("one", 0)["pid"] not in (None, before[0]), "the first is restarted")
        self.home.kill_daemon()
        self.home.start()
        first = self.home.wait_for("one", state="running")["pid"]
        self.assertEqual([self.home.unit_status("one", i)["pid"] for i in (1, 2)], before[1:])
        may_pass.write_text("")
        for i in range(3):
            wait_until(lambda i=i: self.home.unit_status("one", i)["pid"] not in (None, before[i]), f"one@{i} is restarted")
            self.home.wait_healthy("one", instance=i)
        self.assertEqual(self.home.unit_status("one", 0)["pid"], first, "only once")

    def test_a_stop_waits_for_those_that_require_it_says_so_and_is_not_forgotten(self):
        may_end = self.home.path / "may_end"
        self.addCleanup(may_end.write_text, "")
        requires = '[[requires]]\nunit = "base"'
        self.home.unit("base", '[run]\ncommand = ["sleep", "100000"]\n')
        self.home.unit("slow", SLOW_TO_END.format(may_end=may_end, more=requires))
        self.home.start()
        pid = self.home.wait_healthy("base")["pid"]
        self.home.wait_healthy("slow")
        wait_until(lambda: "up" in self.home.log_text("slow"), "the trap is set")
        self.home.ok("stop", "base", "--no-wait")
        for _ in range(2):
            self.home.wait_for("slow", state="stopping")
            status = self.home.wait_for("base", state="running", desired="down", waiting_for=["slow (stopped)"])
            self.assertEqual(status["reason"], "stopped by hand; waits until slow has stopped")
            self.home.kill_daemon()
            self.home.start()
        self.home.wait_for("slow", state="stopping")
        self.assertTrue(alive(pid), "first those that require it")
        may_end.write_text("")
        self.home.wait_for("base", state="stopped")
        self.home.wait_for("slow", state="stopped")
        self.home.ok("start", "base")
        self.home.wait_healthy("slow")  # what went down with it comes back with it

    def unknown(self):
        """A unit of which a new hasupd does not know yet whether it runs: its shim does not answer."""
        self.home.unit("one", '[run]\ncommand = ["sleep", "100000"]\n')
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        shim = parent_of(pid)
        os.kill(shim, signal.SIGSTOP)
        self.addCleanup(lambda: alive(shim) and os.kill(shim, signal.SIGCONT))
        self.home.kill_daemon()
        self.home.start()
        self.assertEqual(self.home.unit_status("one")["state"], "starting")
        return pid, shim

    def test_a_restart_of_what_nobody_knows_yet_is_not_forgotten(self):
        pid, shim = self.unknown()
        self.home.ok("restart", "one", "--no-wait")
        self.home.kill_daemon()
        os.kill(shim, signal.SIGCONT)
        self.home.start()
        wait_until(lambda: self.home.unit_status("one")["pid"] not in (None, pid), "it is restarted")

    def test_nor_is_a_stop(self):
        pid, shim = self.unknown()
        self.home.ok("stop", "one", "--no-wait")
        self.home.kill_daemon()
        os.kill(shim, signal.SIGCONT)
        self.home.start()
        self.home.wait_for("one", state="stopped")
        self.assertFalse(alive(pid))


if __name__ == "__main__":
    unittest.main()
