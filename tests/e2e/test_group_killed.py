"""Three real redis servers that are restored as one set, while hasupd, workers and nodes are killed and persons change
their minds: all on one backup, or all as they were."""

import collections
import contextlib
import os
import random
import shutil
import signal
import unittest

from hasup_home import wait_until, workers_of
from redis_group import GroupOfThree

MOMENTS = ("recovery_began", "recovery_selected", "recovery_fetched", "recovery_staged", "recovery_gathering",
           "recovery_swapping", "recovery_swapped", "recovery_first_start", "recovery_loaded",
           "recovery_confirmed_by_itself", "recovery_confirmed", "recovery_rolling_back", "recovery_rolled_back")


class Killed(GroupOfThree):
    """Rounds of recoveries in which hasupd, workers and nodes are killed and persons change their minds, at moments
    drawn from HASUP_GROUP_SEED; HASUP_GROUP_ROUNDS says how many."""

    FAULTS = ("hasupd", "hasupd", "hasupd", "worker", "worker", "node", "cancel", "rollback", "stop")

    def setUp(self):
        super().setUp()
        self.seed_of_all = int(os.environ.get("HASUP_GROUP_SEED", "5"))
        self.rounds = int(os.environ.get("HASUP_GROUP_ROUNDS", "8"))
        self.dice = random.Random(self.seed_of_all)
        self.did = collections.Counter()
        self.start = {name: self.dump(name).read_bytes() for name in self.names}
        self.good = dict(self.backup)
        self.publish_all(19)
        # A second host of each, whose newest archive is broken.
        self.bad = {name: self.home.path / f"{name}-backup-bad" for name in self.names}
        for name in self.names:
            shutil.copytree(self.good[name], self.bad[name])
        self.publish_all(20)
        self.backup = self.bad
        for name in self.names:
            self.publish(name, 20, broken=True)

    def is_settled(self):
        """Nothing is under way: all run, or one is left to a person."""
        units = self.statuses()
        if any(u["recovery"] for u in units):
            return False
        if all(u["state"] == "running" and u["health"] == "healthy" for u in units):
            return True
        left = [u for u in units if u["state"] == "failed" or (u["state"], u["desired"]) == ("stopped", "down")]
        return bool(left) and all(u in left or u["state"] in ("waiting", "running") for u in units)

    def wait_settled(self):
        """hasup says so twice, and nothing has happened in between."""
        def settled():
            before = self.newest_event()
            return self.is_settled() and self.is_settled() and self.newest_event() == before
        wait_until(settled, "it is over")

    def wait_moment(self, name, kind, since):
        """That event of that member after `since`; False: the round was over before."""
        def came():
            if any(e["kind"] == kind and e["seq"] > since for e in self.home.events(name)):
                return "came"
            return "over" if self.is_settled() else None
        return wait_until(came, f"{name}: {kind}, or the end", step=0.01) == "came"

    def kill(self, pids):
        pids = sorted(pids)
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.dice.choice(pids), signal.SIGKILL)
            return True
        return False

    def fault(self, kind, broken):
        """Whether it could be done just now."""
        if kind == "hasupd":
            self.home.kill_daemon(signal.SIGKILL)
            self.home.start()
            return True
        if kind == "worker":
            return self.kill(workers_of(self.home.path))
        if kind == "node":
            return self.kill(u["pid"] for u in self.statuses() if u["pid"])
        if kind == "stop":
            name = self.dice.choice(self.names)
            self.home.hasup("stop", name, "--force", "--no-wait")
            self.home.hasup("start", *self.names, "--no-wait")
            return True
        return self.home.hasup("recover", broken, f"--{kind}", "--yes", "--no-wait").returncode == 0

    def begin(self):
        """One is broken; perhaps somebody's newest archive is, too. Who, whose, since which event."""
        broken, bad = self.dice.choice(self.names), self.dice.choice((None, None, *self.names))
        self.home.ok("stop", *self.names)
        for name in self.names:
            self.dump(name).write_bytes(self.start[name])
            self.backup = self.bad if name == bad else self.good
            self.write_unit(name)
        self.spoil(broken)
        self.old = {name: self.digest(name) for name in self.names}
        self.home.ok("apply")
        self.home.ok("reset", *self.names)
        since = self.newest_event()
        self.home.hasup("start", *self.names, "--no-wait")
        self.home.wait_event(broken, lambda e: e["kind"] == "recovery_began" and e["seq"] > since, "its recovery")
        return broken, bad, since

    def end(self):
        """The day of all; "old"."""
        ends = set()
        for name in self.names:
            digest = self.digest(name)
            ends.add("old" if digest == self.old[name] else self.of.get(digest, f"{name}: neither"))
            self.assertFalse((self.data[name] / ".hasup" / "swap.json").exists(), name)
        self.assertEqual(len(ends), 1, ends)
        return ends.pop()

    def test_all_are_on_one_backup_or_as_they_were(self):
        print(f"HASUP_GROUP_SEED={self.seed_of_all}", flush=True)
        self.start_home()
        ends = collections.Counter()
        for number in range(self.rounds):
            broken, bad, since = self.begin()
            drawn = [(self.dice.choice(self.FAULTS), self.dice.choice(self.names), self.dice.choice(MOMENTS))
                     for _ in range(self.dice.randint(1, 3))]
            if number < 2:  # of these there is one, whatever is drawn
                drawn.insert(0, (("hasupd", "worker")[number], broken, "recovery_began"))
            done = []
            for kind, name, moment in drawn:
                if not self.wait_moment(name, moment, since):
                    continue
                if wait_until(lambda kind=kind: "done" if self.fault(kind, broken) else self.is_settled(), kind,
                              step=0.005) == "done":
                    done.append(f"{kind} at {name}'s {moment}")
                    self.did[kind] += 1
            try:
                self.wait_settled()
                ends[self.end()] += 1
            except AssertionError as e:
                raise AssertionError(f"{self.home.report()}\nround {number}, {broken} broken, newest archive of {bad} "
                                     f"bad, {done}: {e}") from None
        print(f"{self.rounds} rounds of recoveries of a group: ended on {dict(ends)}; done meanwhile: {dict(self.did)}")
        self.assertGreater(self.did["hasupd"], 0)
        self.assertGreater(self.did["worker"], 0)


if __name__ == "__main__":
    unittest.main()
