"""Three real redis servers that are restored as one set: in a row of requirements, asked for, reconfigured."""

import shutil
import signal
import unittest

from hasup_home import SOURCE, tree_digest, wait_until
from redis_group import GroupOfThree


class RowOfRequirements(GroupOfThree):
    def test_each_is_started_when_the_one_before_it_is_confirmed_by_itself(self):
        self.publish_all(19, 20)
        self.start_home()
        self.break_ledger()
        self.wait_recovered()
        self.wait_on(20)
        self.assert_all_were_staged_before_one_was_replaced()
        own = {n: [e["seq"] for e in self.home.events(n) if e["kind"] == "recovery_confirmed_by_itself"]
               for n in self.names}
        runs = {n: [e["seq"] for e in self.home.events(n) if e["kind"] == "recovery_loaded"] for n in self.names}
        self.assertLess(own["ledger"][0], runs["index"][0])
        self.assertLess(own["index"][0], runs["front"][0])
        self.assertLess(runs["front"][0], min(self.seqs("recovery_confirmed")))
        self.assertEqual([u["recoveries"] for u in self.statuses()], [1, 1, 1])

    def test_the_last_of_the_row_breaks_and_all_go_back(self):
        for name in self.names:
            for day in (19, 20):
                self.publish(name, day, broken=(name, day) == ("front", 20))
        self.start_home()
        self.break_ledger()
        self.wait_recovered()
        self.wait_on(19)
        for name in self.names:
            self.assertEqual(self.kinds(name).count("recovery_rolled_back"), 1, name)
            self.assertEqual(self.kinds(name).count("recovery_confirmed"), 1, name)

    def test_one_that_is_stopped_keeps_all_as_they_are_until_it_is_started_or_leaves(self):
        self.publish_all(20)
        self.start_home()
        self.home.ok("disable", "front")
        self.home.ok("stop", "ledger")  # takes the others down, too
        self.home.ok("stop", "front")
        self.spoil("ledger")
        before = self.trees()
        self.home.hasup("start", "index", "--no-wait")  # and so ledger
        reason = self.home.wait_for("ledger", state="failed")["reason"]
        self.assertIn("front of group evm cannot have backup \"day-20\": it is stopped", reason)
        self.assertIn("hasup start front", reason)
        self.assertIn("take it out of the group", reason)
        self.assertEqual(self.trees(), before)
        self.assertEqual([u["recoveries"] for u in self.statuses()], [0, 0, 0])
        self.assertEqual(self.home.unit_status("front")["state"], "stopped")

        # The one way: it may stay as it is.
        self.write_unit("front", group="")
        self.home.ok("apply")
        self.home.hasup("start", "ledger", "index", "--no-wait")
        self.home.wait_for("ledger", state="running", health="healthy", recoveries=1)
        self.home.wait_for("index", state="running", health="healthy", recoveries=1)
        self.assertEqual([self.cli(n, "get", "of") for n in ("ledger", "index")], ["20", "20"])
        self.assertEqual(self.trees("front")["front"], before["front"])

        # The other one: it is enabled no more, but it runs.
        self.write_unit("front")
        self.home.ok("apply")
        self.home.ok("start", "front")
        self.assertEqual(self.cli("front", "get", "of"), "start")
        self.break_ledger()
        wait_until(lambda: [u["recoveries"] for u in sorted(self.statuses(), key=lambda u: u["unit"])] == [1, 2, 2],
                   "all are recovered")
        self.wait_on(20)


class Asked(GroupOfThree):
    """One of those that follow has mode ask; nobody needs another."""

    needs = {}

    def asks(self, mode_of="front"):
        self.publish_all(20)
        for name in self.names:
            self.write_unit(name, mode="ask" if name == mode_of else "auto")
        self.home.start()
        for name in self.names:
            self.home.wait_healthy(name)
        self.pids = {u["unit"]: u["pid"] for u in self.statuses()}
        self.before = self.trees("index", "front")
        self.break_ledger()
        self.home.wait_for("ledger", state="asking")

    def assert_as_they_were(self):
        for name in ("index", "front"):
            status = self.home.wait_healthy(name)
            self.assertEqual((status["pid"], status["recoveries"]), (self.pids[name], 0), name)
        self.assertEqual(self.trees("index", "front"), self.before)
        self.assertEqual(self.dump("ledger").read_bytes(), self.spoiled)
        self.assertEqual(self.seqs("recovery_swapping"), [])

    def questions(self):
        return [(e["unit"], e["reason"]) for n in self.names for e in self.home.events(n) if e["kind"] == "asking"]

    def test_it_asks_once_when_all_is_prepared_and_yes_is_for_all(self):
        self.asks()
        self.assertEqual(len(self.seqs("recovery_staged")), 3)
        (who, question), = self.questions()
        self.assertEqual(who, "ledger")
        self.assertIn("hasup recover ledger --yes", question)
        self.assert_as_they_were()
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_for("ledger", state="asking")
        self.assertEqual({who for who, _ in self.questions()}, {"ledger"})
        self.assert_as_they_were()
        self.home.ok("recover", "ledger", "--yes")
        self.wait_recovered()
        self.wait_on(20)
        self.assert_all_were_staged_before_one_was_replaced()

    def test_cancelled_all_are_as_they_were(self):
        self.asks()
        self.home.ok("recover", "ledger", "--cancel")
        wait_until(lambda: all(u["recovery"] is None for u in self.statuses()), "nothing is under way")
        self.assert_as_they_were()
        self.assertIn(self.home.unit_status("ledger")["state"], ("stopped", "failed"))
        # And it can be asked for again.
        self.home.hasup("start", "ledger", "--no-wait")
        self.home.wait_for("ledger", state="asking")
        self.home.ok("recover", "ledger", "--yes")
        self.wait_recovered()
        self.wait_on(20)

    def test_one_that_gives_up_while_it_asks_keeps_all_as_they_are(self):
        self.asks(mode_of="ledger")
        self.home.ok("recover", "index", "--cancel")
        wait_until(lambda: self.home.unit_status("index")["recovery"] is None, "index does not take part")
        self.home.hasup("recover", "ledger", "--yes", "--no-wait")
        reason = self.home.wait_for("ledger", state="failed")["reason"]
        self.assertIn("index of group evm cannot have backup \"day-20\"", reason)
        self.assert_as_they_were()


class Reconfigured(GroupOfThree):
    """A unit file changes while the group is being restored."""

    def hold_front(self):
        """All are replaced, and front is held before it is confirmed."""
        self.hold("front").touch()
        self.break_ledger()
        self.wait_kind("front", "recovery_first_start")
        wait_until(lambda: self.home.unit_status("front")["pid"], "front runs")

    def let_go(self):
        self.hold("front").unlink()

    def apply(self, name):
        self.assertIn(f"{name}: changed; applies after its recovery, which is not altered", self.home.ok("apply"))

    def kill_hasupd(self):
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()

    def recoveries(self):
        return {u["unit"]: u["recoveries"] for u in self.statuses()}

    def test_one_that_gets_another_group_goes_on_with_the_old_one(self):
        self.publish_all(20)
        self.start_home()
        self.hold_front()
        self.write_unit("index", group="other")
        self.apply("index")
        self.kill_hasupd()
        self.let_go()
        self.wait_recovered()
        self.wait_on(20)
        # From now on it has nothing to do with them.
        before = self.trees("index")
        self.break_ledger()
        wait_until(lambda: self.recoveries() == {"ledger": 2, "index": 1, "front": 2}, "the two are recovered")
        self.wait_on(20)
        self.assertEqual(self.trees("index"), before)

    def hold_with_another_directory(self):
        """The group recovers, and the file of one says by now that its data is elsewhere; where, and what is there."""
        self.publish_all(20)
        elsewhere = self.home.path / "elsewhere"
        shutil.copytree(self.data["index"], elsewhere)
        before = tree_digest(elsewhere)
        self.start_home()
        self.hold_front()
        self.write_unit("index", data=elsewhere)
        return elsewhere, before

    def test_another_data_directory_is_for_after_the_recovery(self):
        elsewhere, before = self.hold_with_another_directory()
        self.apply("index")
        self.let_go()
        self.wait_recovered()
        self.wait_on(20)
        self.assertEqual(self.of[self.digest("index")], "20")
        self.assertEqual(tree_digest(elsewhere), before)

    def test_another_data_directory_after_a_crash_of_hasupd_keeps_all_old_states_until_it_is_put_back(self):
        elsewhere, before = self.hold_with_another_directory()
        self.kill_hasupd()
        reason = self.home.wait_for("index", state="failed")["reason"]
        self.assertIn(f"under way in {self.data['index']}, but its unit file now says {elsewhere}", reason)
        self.assertIn("put data.dir back", reason)
        self.let_go()
        self.wait_kind("front", "recovery_confirmed_by_itself")
        self.assertEqual(self.seqs("recovery_confirmed"), [])
        for name in self.names:
            self.assertTrue(any((self.data[name] / ".hasup" / "aside").iterdir()), name)
        self.assertEqual(tree_digest(elsewhere), before)
        self.write_unit("index")
        self.home.ok("apply")
        self.home.ok("start", "index", "--no-wait")
        self.wait_recovered()
        self.wait_on(20)
        self.assertEqual(tree_digest(elsewhere), before)

    def test_a_longer_wipe_list_is_for_the_next_recovery(self):
        """front's newest archive is broken, so ledger is replaced twice after the change."""
        for name in self.names:
            for day in (19, 20):
                self.publish(name, day, broken=(name, day) == ("front", 20))
        recipe = (SOURCE / "recipes" / "redis.toml").read_text()
        own = self.home.directory("etc/recipes") / "own.toml"
        own.write_text(recipe)
        notes = self.data["ledger"] / "notes"
        notes.write_text("of a person")
        inode = notes.stat().st_ino
        for name in self.names:
            self.write_unit(name, mode="ask" if name == "index" else "auto",
                            recipe="own" if name == "ledger" else "redis")
        self.home.start()
        for name in self.names:
            self.home.wait_healthy(name)
        self.break_ledger()
        self.home.wait_for("ledger", state="asking")
        wipe = 'wipe = ["${dbfilename}", "appendonlydir"'
        self.assertIn(wipe, recipe)
        own.write_text(recipe.replace(wipe, wipe + ', "notes"'))
        self.apply("ledger")
        self.kill_hasupd()
        self.home.wait_for("ledger", state="asking")
        self.home.ok("recover", "ledger", "--yes", "--no-wait")
        self.wait_recovered()
        self.wait_on(19)
        self.assertIn("recovery_rolled_back", self.kinds("ledger"))
        self.assertEqual((notes.read_text(), notes.stat().st_ino), ("of a person", inode))
        self.break_ledger()
        self.home.wait_for("ledger", state="asking")
        self.home.ok("recover", "ledger", "--yes")
        self.wait_recovered(2)
        self.assertFalse(notes.exists())

    def test_without_its_unit_file_all_go_back(self):
        self.publish_all(20)
        self.start_home()
        self.hold_front()
        path = self.home.path / "etc" / "units" / "front.toml"
        text = path.read_text()
        path.unlink()
        self.assertIn("front: no longer configured, is being stopped", self.home.ok("apply"))
        reason = self.home.wait_for("ledger", state="failed")["reason"]
        self.assertIn("front is not in group evm any more", reason)
        wait_until(lambda: self.home.unit_status("index")["recovery"] is None, "index is back, too")
        self.assertEqual(self.dump("ledger").read_bytes(), self.spoiled)
        self.assertNotIn(self.digest("index"), self.of)
        path.write_text(text)
        self.home.ok("apply")
        self.wait_kind("front", "recovery_rolled_back")
        wait_until(lambda: self.home.unit_status("front")["recovery"] is None, "front is back, too")
        self.assertNotIn(self.digest("front"), self.of)


if __name__ == "__main__":
    unittest.main()
