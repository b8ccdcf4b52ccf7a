"""Backoff and start limit over the death of hasupd: what was counted stays counted, what is waited for is waited for."""

import json
import signal
import unittest

from hasup_home import HasupTest, wait_until

UNIT = """
[run]
command = ["/bin/sh", "-c", "echo $$ >> {runs}; exit 7"]
[restart]
backoff = {{ initial = "{initial}", max = "1m", factor = {factor}, jitter = 0.0 }}
start_limit = {{ count = {count}, within = "1h" }}
"""


class OverTheDeathOfHasupd(HasupTest):
    def unit(self, count, initial="100ms", factor=2.0):
        self.runs = self.home.path / "runs"
        self.home.unit("node", UNIT.format(runs=self.runs, count=count, initial=initial, factor=factor))

    def run_count(self):
        return len(self.runs.read_text().split()) if self.runs.exists() else 0

    def intent(self):
        return json.loads((self.home.path / "state" / "intent.json").read_text())["instances"]["node@0"]

    def assert_given_up(self, runs):
        status = self.home.wait_for("node", state="failed")
        self.assertIn(f"start limit: {runs} starts", status["reason"])
        self.assertEqual(self.run_count(), runs)
        self.assertEqual(status["restarts"], runs - 1)
        self.assertIn("start limit", self.home.ok("why", "node"))

    def test_a_backoff_goes_on_where_it_was(self):
        self.unit(count=3, initial="40s")
        self.home.start()
        before = self.home.wait_for("node", state="backoff")
        wait_until(lambda: "backoff" in self.intent(), "it is saved")
        for end in (signal.SIGKILL, signal.SIGTERM):
            self.home.kill_daemon(end)
            self.home.start()
            now = self.home.wait_for("node", state="backoff")
            for key in ("next_attempt_at", "reason", "restarts"):
                self.assertEqual(now[key], before[key])
        self.assertEqual(self.run_count(), 1)
        # It is a backoff like any: a person may end it, and one who stops the unit does.
        self.home.ok("stop", "node")
        self.home.kill_daemon()
        self.home.start()
        self.home.wait_for("node", state="stopped")
        self.home.hasup("start", "node", "--no-wait")
        wait_until(lambda: self.run_count() == 2, "it was started by hand")

    def test_killed_in_every_backoff_it_stops_at_the_limit(self):
        self.unit(count=4)
        self.home.start()
        wait_until(lambda: (self.home.path / "state" / "intent.json").exists(), "the first intent")
        seen = 0
        while not self.intent()["failed"]:
            # Far from the end of the backoff or close to it: whichever, the next hasupd takes it up.
            wait_until(lambda s=seen: self.run_count() > s and self.intent().get("backoff") or self.intent()["failed"],
                       "a backoff")
            seen = self.run_count()
            self.home.kill_daemon()
            self.home.start()
        self.assert_given_up(4)
        # Given up is given up, also for the next hasupd; a person clears it.
        self.home.kill_daemon()
        self.home.start()
        self.assert_given_up(4)
        self.home.hasup("start", "node")
        self.home.wait_for("node", state="failed")
        self.assertEqual(self.run_count(), 8)

    def test_killed_at_the_first_instruction_of_every_run_it_stops_at_the_limit(self):
        self.unit(count=8, initial="20ms", factor=1.0)
        self.home.start()
        seen = 0
        while seen < 8:
            # As soon as the run says that it is there: what hasupd knows of it is hardly on the disk.
            seen = wait_until(lambda s=seen: self.run_count() > s and self.run_count(), "the next run", step=0.0005)
            self.home.kill_daemon()
            self.home.start()
        self.assert_given_up(8)


if __name__ == "__main__":
    unittest.main()
