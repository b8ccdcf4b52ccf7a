"""Random recoveries of three nodes with random faults: the end is a snapshot's state or the old one, never neither.

A unit is broken for real, and meanwhile things happen as on a real machine: see random_faults.py. When all is calm, it
is looked at by content: a healthy node runs on a snapshot's state or on what it had; of one that is not healthy, the old
state is there untouched, unless its replacement was confirmed. Nothing else in its directory was touched, never were two
nodes on one state, and nothing of a recovery that succeeded is left.

HASUP_RECOVERIES recoveries (12), HASUP_SEED (1): printed at the start and with every failure. HASUP_ROUND=N begins with
the N-th round of that seed. HASUP_STORY=1 tells each round; HASUP_EVIDENCE=DIR keeps all that a failure leaves there.
"""

import collections
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
import unittest
from pathlib import Path

import random_faults
from hasup_home import DEADLINE, SOURCE, HasupTest, started_by_another, wait_until
from recovered_units import Anvil, Leap, Redis
from storm import EventReader

sys.path.append(str(SOURCE / "tests" / "contract"))
from fault_host import FaultHost  # noqa: E402

RECOVERIES = int(os.environ.get("HASUP_RECOVERIES", "12"))
SEED = int(os.environ.get("HASUP_SEED", "1"))
FIRST_ROUND = int(os.environ.get("HASUP_ROUND", "1"))
CALM = ("failed", "stopped", "asking")


class Lost(AssertionError):
    pass


class RandomRecoveries(HasupTest):
    def setUp(self):
        super().setUp()
        self.counts, self.ends = collections.Counter(), collections.Counter()
        self.faults = []
        self.counted_clean = 0
        self.began = time.monotonic()
        self.units = [kind(self.home, self.volume(kind.name), self.host()) for kind in (Leap, Redis, Anvil)]
        for unit in self.units:
            unit.host.block = 16 << 10
        self.reader = EventReader(self.home.path / "state" / "events" / "events.jsonl")
        self.home.start()
        self.addCleanup(self.end_faults)

    def volume(self, name):
        path = self.home.directory(f"volume-{name}")
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", path]).returncode:
            self.skipTest("only root can mount a small tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)
        return path

    def host(self):
        host = FaultHost()
        self.addCleanup(host.close)
        return host

    def end_faults(self):
        for fault in self.faults:
            fault.finish()

    # What is seen

    def events_of(self, unit, since):
        return [e for e in self.reader.events[since:] if e.get("unit") == unit.name]

    def started_again(self):
        """After a kill of hasupd: a unit is calm only when it has said something again."""
        self.reader.poll()
        seen = len(self.reader.events)
        self.home.start()
        self.awaited = {unit.name: seen for unit in self.units}

    def look_for_two(self):
        for unit in self.units:
            nodes = unit.nodes()
            if len(nodes) > 1:
                again = {p: c for p, c in unit.nodes().items() if p in nodes and started_by_another(p, nodes)}
                if len(again) > 1:
                    raise Lost(f"two processes of {unit.name} on one state: {again}")

    def calm(self, unit, how, since, status):
        s = status[unit.name]
        events = self.events_of(unit, since)
        at_rest = s["state"] == "failed" or s["state"] == "stopped" and s["desired"] == "down"
        if not at_rest and unit.name in self.awaited and not self.events_of(unit, self.awaited[unit.name]):
            return False
        if s["recovery"] is not None or s["state"] in ("recovering", "starting", "stopping", "backoff"):
            return False
        if s["state"] in CALM:
            return bool(events) or how == "by hand"
        return s["state"] == "running" and s["health"] == "healthy" and (how == "by hand" or bool(events))

    def statuses(self):
        return {u["unit"]: u for u in self.home.ask("status")["units"]}

    # A round

    def until_calm(self, broken, since):
        deadline = time.monotonic() + 2 * DEADLINE
        looked = 0
        calm_since = None
        while True:
            self.reader.poll()
            for fault in self.faults:
                fault.look(self.events_of(fault.unit, since))
            if time.monotonic() - looked > 0.1:
                self.look_for_two()
                status = self.statuses()
                looked = time.monotonic()
                if all(self.calm(unit, how, since, status) for unit, how in broken):
                    # hasup's word on all of them twice, with no event in between: nothing is under way.
                    if calm_since == len(self.reader.events):
                        return status
                    self.reader.poll()
                    calm_since = len(self.reader.events)
                else:
                    calm_since = None
                if looked > deadline:
                    raise Lost(f"no calm within {2 * DEADLINE:.0f} s: { {n: (s['state'], s['reason']) for n, s in status.items()} }")
            time.sleep(0.003)

    def confirmed(self, unit, since):
        """A snapshot has taken the place of what it had. hasupd may be killed before it has told that."""
        self.reader.poll()
        return (any(e["kind"] == "recovery_confirmed" for e in self.events_of(unit, since))
                or self.statuses()[unit.name]["recoveries"] > unit.recoveries_before)

    def must_be_as_it_was(self, unit, how, since):
        """It was well when a person asked for its recovery, nothing took that from it, and nothing replaced it."""
        harmed = any(f.begun and f.unit is unit and f.harms_state for f in self.faults)
        return how == "by hand" and not harmed and not self.confirmed(unit, since)

    def check(self, unit, how, picture, accepted, since, status):
        """Lost, when the state is neither. How it ended."""
        s = status[unit.name]
        events = self.events_of(unit, since)
        kinds = [e["kind"] for e in events]
        for name, proof in unit.kept.items():
            if unit.proof_of(unit.data / name) != proof:
                raise Lost(f"{unit.name}: {name} was touched")
        as_it_was = self.must_be_as_it_was(unit, how, since)
        if s["state"] == "running":
            self.check_identity(unit, accepted, as_it_was)
            return "healthy again" + (", as it was" if as_it_was else "")
        if "recovery_confirmed" in kinds or picture is None:
            return f"{s['state']} on a state that is checked once it runs"
        lost = unit.lost_of(picture)
        if lost:
            raise Lost(f"{unit.name} is {s['state']} ({s['reason']}) and of its old state is gone: {lost}; "
                       f"there is {unit.picture()}")
        parked = (unit.data / ".hasup" / "swap.json").exists()
        return f"{s['state']}{', parked' if parked else ''}, old state untouched"

    def check_identity(self, unit, accepted, as_it_was=False):
        found = "nothing"

        def told():
            nonlocal found
            try:
                found = unit.identity()
                return True
            except (OSError, RuntimeError, ValueError) as e:
                found = repr(e)
        with contextlib.suppress(AssertionError):
            wait_until(told, "its content", 90)
        if as_it_was and found != ("mark", unit.marks):
            raise Lost(f"{unit.name} is healthy, and nothing took its state away, but it is not mark {unit.marks}: {found}")
        if found not in accepted | {("snapshot", name) for name in unit.archives}:
            raise Lost(f"{unit.name} is healthy, but on neither a snapshot nor what it had ({accepted}): {found}")

    def put_right(self, unit, as_it_was=False):
        """The faults are over: hasup brings it back by itself or with what it advises. One that must be as it was is
        only started."""
        unit.publish()
        self.home.ok("reset", unit.name)
        tries = 0

        def healthy():
            nonlocal tries
            s = self.statuses()[unit.name]
            if s["state"] in CALM and s["recovery"] is None:
                # What is held is for a person, who knows that the state is broken.
                words = ["start"] if tries < 2 or as_it_was else ["recover", "--yes"]
                tries += 1
                self.home.hasup(words[0], unit.name, *words[1:], "--no-wait")
            self.look_for_two()
            return s["state"] == "running" and s["health"] == "healthy" and s["recovery"] is None
        try:
            wait_until(healthy, f"{unit.name} is healthy again once all is right")
        except AssertionError as e:
            raise Lost(str(e)) from None

    def recoveries_of(self, unit, since):
        return [e for e in self.events_of(unit, since) if e["kind"] in ("recovery_began", "recovery_resumed")]

    def nothing_left(self, unit, since):
        ends = [e for e in self.events_of(unit, since) if e["kind"] in ("recovery_ended", "recovery_began")]
        if not ends or ends[-1].get("detail", {}).get("outcome") != "recovered":
            return
        self.counted_clean += 1
        own = unit.data / ".hasup"
        left = {str(p.relative_to(own)) for p in own.rglob("*") if p.is_file()} - {"lock"}
        # The archive of the confirmed snapshot stays, for the next time.
        if not any(left <= {f"cache/{name}", f"cache/{name}.seal"} for name in unit.archives):
            raise Lost(f"{unit.name}: left after clean_up: {sorted(left)}")

    def one_round(self, rng):
        for unit in self.units:
            self.put_right(unit)
            unit.mark()
        chosen = rng.sample(self.units, rng.choice((1, 1, 1, 2)))
        broken = [(unit, rng.choice(unit.breaks())) for unit in chosen]
        accepted = {unit: unit.accepted_old() for unit in chosen}
        self.awaited = {}
        self.faults = [f for unit in chosen for f in random_faults.draw(rng, unit, self)]
        self.story = "; ".join([f"{unit.name} {how}" for unit, how in broken] + [str(f) for f in self.faults])
        self.reader.poll()
        since = len(self.reader.events)
        for unit in chosen:
            unit.sent_before = unit.host.sent
            unit.recoveries_before = self.statuses()[unit.name]["recoveries"]
            if rng.random() < 0.7:  # else the last archive is at hand
                shutil.rmtree(unit.data / ".hasup" / "cache", ignore_errors=True)
        for fault in self.faults:
            if fault.moment is None:
                fault.looks = 0
                fault.look([])
        pictures = {unit: unit.break_it(how) for unit, how in broken}
        status = self.until_calm(broken, since)
        for unit, how in broken:
            end = self.check(unit, how, pictures[unit], accepted[unit], since, status)
            self.ends[end] += 1
            self.story += f"; {unit.name} {end}"
            if how == "by hand" and not unit.refused and not self.recoveries_of(unit, since):
                self.ends["asked for by hand, and forgotten"] += 1
                self.story += " (asked for by hand, and forgotten)"
        self.end_faults()
        for unit, how in broken:
            self.put_right(unit, self.must_be_as_it_was(unit, how, since))
            # What it was stopped in the middle of may have gone on.
            self.check_identity(unit, accepted[unit], self.must_be_as_it_was(unit, how, since))
            self.reader.poll()
            self.nothing_left(unit, since)
            for wrong in unit.also_wrong(self.events_of(unit, since)):
                raise Lost(f"{unit.name}: {wrong}")
        return len(broken)

    def test_no_state_is_ever_lost(self):
        print(f"\nseed {SEED}, {RECOVERIES} recoveries", flush=True)
        for unit in self.units:
            self.home.wait_healthy(unit.name)
        done, rounds = 0, FIRST_ROUND - 1
        while done < RECOVERIES:
            rounds += 1
            self.story = ""
            at = time.monotonic()
            try:
                done += self.one_round(random.Random(f"{SEED} {rounds}"))
            except Exception as e:
                with contextlib.suppress(Exception):
                    self.keep_evidence(rounds)
                self.fail(f"seed {SEED}, round {rounds}: {self.story}\n{type(e).__name__}: {e}\n{self.home.report()}")
            if os.environ.get("HASUP_STORY"):
                print(f"{rounds} ({time.monotonic() - at:.1f} s): {self.story}", flush=True)
        faults = ", ".join(f"{kind} {n}" for kind, n in sorted(self.counts.items()))
        print(f"{done} recoveries, {sum(self.counts.values())} faults ({faults}), 0 lost states, "
              f"{time.monotonic() - self.began:.0f} s, seed {SEED}")
        print("; ".join(f"{end}: {n}" for end, n in sorted(self.ends.items())) +
              f"; nothing left after clean_up: {self.counted_clean}", flush=True)

    def keep_evidence(self, number):
        directory = os.environ.get("HASUP_EVIDENCE")
        if directory:
            shutil.copytree(self.home.path, Path(directory) / f"seed-{SEED}-round-{number}", symlinks=True,
                            ignore=lambda d, names: [n for n in names if n.endswith(".sock")])


if __name__ == "__main__":
    unittest.main()
