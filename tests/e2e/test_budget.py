"""What a unit's recoveries have cost and taught outlives hasupd: the swaps that count against the budget, and the
snapshots that were bad."""

import signal
import unittest

from hasup_home import wait_until
from leap import LeapTest, tried
from storm import EventReader


class OverTheDeathOfHasupd(LeapTest):
    def start_with(self, budget):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[recovery]\n", f'[recovery]\nbudget = {{ count = {budget}, within = "24h" }}\n'))
        self.reader = EventReader(self.home.path / "state" / "events" / "events.jsonl")
        self.home.start()

    def events(self):
        """All of them; `hasup events` shows the last ones."""
        self.reader.poll()
        return self.reader.events

    def tried(self):
        return tried(self.events())

    def start_again(self, end=signal.SIGKILL):
        self.home.kill_daemon(end)
        self.home.start()

    def swaps(self):
        return sum(e["kind"] == "recovery_swapping" for e in self.events())

    def state(self):
        path = self.data / "state" / "shared_memory.bin"
        return path.stat().st_ino, path.read_bytes()

    def wait_refused(self, times):
        """It has failed so often for want of budget."""
        def refused():
            return sum(e["kind"] == "failed" and self.spent in e["reason"] for e in self.events()) >= times
        wait_until(refused, lambda: f"it fails of its budget: {self.home.report()}")
        self.assertIn(self.spent, self.home.wait_for("leap", state="failed")["reason"])

    def test_a_budget_that_is_spent_is_spent_for_the_next_hasupd_too(self):
        self.spent = "the budget of 1 recoveries within"
        self.start_with(budget=1)
        # Killed after the swap and before the recovery is over, it has counted it.
        self.break_leap()
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_first_start", "the swap is done")
        self.start_again()
        self.wait_recovered()
        self.break_leap()
        self.wait_refused(1)
        before, swaps = self.state(), self.swaps()
        for times, end in ((2, signal.SIGKILL), (3, signal.SIGTERM)):
            self.start_again(end)
            self.assertIn(self.spent, self.home.wait_for("leap", state="failed")["reason"])
            self.home.ok("start", "leap", "--no-wait")
            self.wait_refused(times)
        self.assertEqual((self.state(), self.swaps()), (before, swaps))
        self.assertFalse(list((self.data / ".hasup").glob("aside/*")))

        # By hand it may cost more, and that counts as well.
        self.home.ok("recover", "leap", "--yes")
        self.wait_recovered(recoveries=2)
        self.start_again()
        self.break_leap()
        self.wait_refused(4)
        # Who has found the cause clears it.
        self.home.ok("reset", "leap")
        self.start_again()
        self.home.hasup("start", "leap", "--no-wait")
        self.wait_recovered(recoveries=3)

    def test_a_bad_snapshot_is_remembered_by_the_next_hasupd_until_it_is_reset(self):
        good, bad = self.snapshots[-2].name, self.snapshots[-1].name
        self.truncate(self.snapshots[-1], with_checksum=True)
        self.start_with(budget=10)
        self.break_leap()
        self.wait_recovered()
        tried = [(bad, "state only"), (good, "state only")]
        self.assertEqual(self.tried(), tried)
        for recoveries, end in ((2, signal.SIGKILL), (3, signal.SIGTERM)):
            self.start_again(end)
            self.break_leap()
            self.wait_recovered(recoveries=recoveries)
            tried.append((good, "state only"))
            self.assertEqual(self.tried(), tried)
        self.assertIn(f"{bad} is newer, and is passed over: it is remembered as bad", self.home.ok("why", "leap"))
        self.home.ok("reset", "leap")
        self.start_again()
        self.break_leap()
        self.wait_recovered(recoveries=4)
        self.assertEqual(self.tried(), tried + [(bad, "state only"), (good, "state only")])


if __name__ == "__main__":
    unittest.main()
