"""Two real redis servers that are restored as one set: both on archives of the same backup, or both as they were."""

import random
import unittest

from hasup_home import wait_until
from redis_group import GroupTest


class Group(GroupTest):
    """`ledger`, and `index`, which needs a healthy ledger. Of both there are backups of the 18th, 19th and 20th."""

    def test_one_that_is_broken_takes_the_other_along_to_the_same_backup(self):
        for name in ("ledger", "index"):
            self.publish(name, 19)
            self.publish(name, 20)
        self.start_home()
        self.break_ledger()
        for name in ("ledger", "index"):
            self.home.wait_for(name, state="running", health="healthy", recoveries=1)
        self.wait_on(20)
        # The one that needs the other was started when that one was confirmed by itself.
        ledger = self.home.events("ledger")
        index = self.home.events("index")
        self.assertLess(next(e["seq"] for e in ledger if e["kind"] == "recovery_confirmed_by_itself"),
                        next(e["seq"] for e in index if e["kind"] == "recovery_confirmed"))
        self.assert_all_were_staged_before_one_was_replaced()

    def test_the_newest_backup_that_all_have_is_taken(self):
        for day in (18, 19, 20):
            self.publish("ledger", day)
        self.publish("index", 18)
        self.publish("index", 19)
        self.start_home()
        self.break_ledger()
        self.home.wait_for("ledger", state="running", recoveries=1)
        self.wait_on(19)
        self.assertTrue(any("cannot have backup \"day-20\"" in e["reason"] for e in self.home.events("ledger")))

    def test_when_one_breaks_on_its_archive_all_go_back_and_on_to_an_older_backup(self):
        for day in (19, 20):
            self.publish("ledger", day)
            self.publish("index", day, broken=day == 20)
        self.start_home()
        self.break_ledger()
        self.home.wait_for("ledger", state="running", recoveries=1)
        self.wait_on(19)
        for name in ("ledger", "index"):
            self.assertTrue([e for e in self.home.events(name) if e["kind"] == "recovery_rolled_back"], name)

    def test_one_that_waits_for_another_which_breaks_goes_back_with_it(self):
        """index is replaced, but not started before ledger is healthy, which it never is on that archive."""
        for day in (19, 20):
            self.publish("ledger", day, broken=day == 20)
            self.publish("index", day)
        self.start_home()
        self.break_ledger()
        self.home.wait_for("ledger", state="running", recoveries=1)
        self.wait_on(19)
        index = [e["kind"] for e in self.home.events("index")]
        self.assertIn("recovery_waits", index)
        self.assertIn("recovery_rolled_back", index)

    def test_a_recovery_by_hand_can_be_taken_back_while_it_waits_for_what_is_required(self):
        self.publish("index", 20)
        self.start_home()
        self.write_unit("index", group="")
        self.home.ok("apply")
        self.home.ok("stop", "ledger")  # takes index down, too
        self.home.ok("recover", "index", "--yes", "--no-wait")
        self.home.wait_event("index", lambda e: e["kind"] == "recovery_waits", "the first start waits")
        self.home.ok("recover", "index", "--rollback", "--yes", "--no-wait")
        self.home.wait_event("index", lambda e: e["kind"] == "recovery_ended", "the recovery has ended")
        self.home.ok("start", "index")
        self.assertEqual(self.cli("index", "get", "of"), "start")

    def test_without_a_common_backup_nothing_is_touched_and_the_healthy_one_runs_on(self):
        self.publish("ledger", 20)
        self.publish("index", 19)
        self.needs = {}
        self.start_home()
        index = self.home.unit_status("index")
        self.home.ok("stop", "ledger")
        self.spoil("ledger")
        broken = self.dump("ledger").read_bytes()
        self.home.hasup("start", "ledger", "--no-wait")
        self.home.wait_for("ledger", state="failed")
        self.assertEqual(self.dump("ledger").read_bytes(), broken)
        self.assertIn("index of group evm cannot have backup", self.home.unit_status("ledger")["reason"])
        self.assertEqual(self.home.unit_status("index")["pid"], index["pid"])
        self.assertEqual(self.cli("index", "get", "of"), "start")

    def test_hasupd_may_be_killed_at_any_moment(self):
        for name in ("ledger", "index"):
            self.publish(name, 19)
            self.publish(name, 20, broken=name == "index")
        self.start_home()
        dice = random.Random(7)
        for turn in range(1, 5):
            mark = self.newest_event()
            self.break_ledger()
            more = dice.randint(8, 60)
            wait_until(lambda: self.newest_event() > mark + more or self.is_over(turn),
                       f"{more} events more")
            self.home.kill_daemon()
            self.home.start()
            self.home.wait_for("ledger", state="running", health="healthy")
            wait_until(lambda: self.is_over(turn), "both are as they should be")
            self.wait_on(19)
            self.home.ok("reset", "ledger", "index")


if __name__ == "__main__":
    unittest.main()
