"""hasupd, the worker of a recovery, or both, killed wherever a recovery can be: it always ends whole.

Each unit has a story and somebody who is killed in it: hasupd when each kind of event was told, and hasupd, the worker or
both before each kind of job has begun or when it is done and nobody has heard of it. There a script in the worker's place
stands still, so that no point is missed. All units have one hasupd: each has its part in the deaths that another's story
asks for.
"""

import collections
import contextlib
import os
import shutil
import signal
import time
import unittest

from hasup_home import BIN, SOURCE, processes_of, wait_until
from leap_fleet import BLOCKS, STATE_HEADER, FleetTest
from storm import EventReader

# The file "UNIT@0.MODE.WHEN" is a gate. Who stands at it adds his pid to its name, and goes on when that is gone. What
# is done before there is a journal is no part of a recovery.
WORKER = """#!/bin/sh
case $1 in --*) exec {real} "$@";; esac
of=${{1%/job.json}} of=${{of##*/}}
mode=$(sed -n 's/.*"mode":"\\([a-z_]*\\)".*/\\1/p' "$1")
[ -s "${{1%/jobs/*}}/journals/$of" ] || exec {real} "$@"
stand_still() {{
  gate={gates}/$of.$mode.$1
  mv "$gate" "$gate.$$" 2>/dev/null || return
  while [ -e "$gate.$$" ]; do sleep 0.02; done
}}
stand_still before
{real} "$@"
code=$?
stand_still after
exit $code
"""

STATE = "state/shared_memory.bin"
BEGINS = ("recovering", "recovery_began", "recovery_selected")
GOES_ON = ("recovery_fetched", "recovery_staged", "recovery_swapping", "recovery_swapped", "recovery_first_start")
ENDS = ("recovery_loaded", "recovery_confirmed", "recovery_ended")
GOES_BACK = ("recovery_rolling_back", "recovery_rolled_back")
TAKES = ("select", "measure", "fetch", "unpack", "swap")


class Story:
    """What a unit meets: the snapshots of its host, and how it must end. `state`: of which snapshot, None: the old one."""

    def __init__(self, name, state, kinds, modes, make):
        self.name, self.state, self.kinds, self.modes, self.make = name, state, kinds, modes, make


class Killed(FleetTest):
    def setUp(self):
        super().setUp()
        self.installed = self.home.directory("installed")
        self.gates = self.home.directory("gates")
        for program in BIN.iterdir():
            if program.name == "hasupd":
                shutil.copy2(program, self.installed)  # it looks beside its own file for the others
            elif program.name != "hasup-worker":
                (self.installed / program.name).symlink_to(program)
        worker = self.installed / "hasup-worker"
        worker.write_text(WORKER.format(real=BIN / "hasup-worker", gates=self.gates))
        worker.chmod(0o755)
        self.home.bin = self.installed
        self.home.env["HASUP_SHARE"] = str(SOURCE)
        self.reader = EventReader(self.home.path / "state" / "events" / "events.jsonl")
        self.read = 0
        self.counts = collections.Counter()

    # Stories

    def good(self, node):
        node.unit()

    def other_chain(self, node, *good):
        self.make_snapshot(self.private_backup(node, *good), 290, "--chain-id", "ab" * 32)
        node.unit()

    def in_place(self, node):
        node.unit(checksum="required")
        path = self.home.path / "etc" / "units" / f"{node.name}.toml"
        path.write_text(path.read_text().replace("[recovery]\n", '[recovery]\nspace = "in_place"\n'))

    def damaged(self, node):
        backup = self.private_backup(node, *self.snapshots[1:])
        os.truncate(backup / self.snapshots[2].name, self.state_size // 2)
        node.unit()

    def stories(self):
        newest, older = self.snapshots[2], self.snapshots[1]
        clean = (*TAKES, "inspect", "clean_up")
        return (
            Story("good", newest, (*BEGINS, *GOES_ON, *ENDS), clean, self.good),
            Story("damaged", older, (*BEGINS, "recovery_dropped", *GOES_ON, *ENDS), clean, self.damaged),
            Story("refused", older, (*BEGINS, *GOES_ON, *GOES_BACK, *ENDS), (*clean, "roll_back"),
                  lambda node: self.other_chain(node, older)),
            Story("none-fits", None, (*BEGINS, *GOES_ON, *GOES_BACK, "recovery_ended"), (*TAKES, "inspect", "roll_back"),
                  self.other_chain),
            Story("killed-node", newest, (*BEGINS, *GOES_ON, "recovery_retry", *ENDS), (*clean, "rewipe"),
                  lambda node: node.unit_with_once()),
            Story("in-place", newest, (*BEGINS, "recovery_wiping", "recovery_wiped", *GOES_ON, *ENDS), (*clean, "wipe"),
                  self.in_place),
            Story("by-hand", newest, ("recovery_began", "recovery_selected", *GOES_ON, *ENDS), clean, self.good),
        )

    def cast(self, victims):
        """A unit for each story and victim, with its gates."""
        self.parts = {}
        for story in self.stories():
            for victim in victims:
                node = self.node(f"{story.name}.{victim}")
                story.make(node)
                if story.name != "by-hand":
                    node.set_dirty()
                node.photograph()
                node.story, node.victim, node.told = story, victim, []
                self.parts[node.name] = node
                for mode in story.modes:
                    for when in ("before",) if victim == "both" else ("before", "after"):
                        self.gate(node, mode, when).touch()

    def gate(self, node, mode, when):
        return self.gates / f"{node.name}@0.{mode}.{when}"

    # Deaths

    def hear(self):
        """Whether an event came at which hasupd is to die."""
        self.reader.poll()
        dies = False
        for e in self.reader.events[self.read:]:
            node = self.parts.get(e.get("unit"))
            if node is None or not e["kind"].startswith("recover") or e["kind"] in node.told:
                continue
            node.told.append(e["kind"])
            if node.victim == "hasupd" and e["kind"] in node.story.kinds:
                dies = True
                self.counts["of hasupd when it had told something"] += 1
        self.read = len(self.reader.events)
        return dies

    def standing(self):
        """[(gate with the pid of who stands there, node, pid)]"""
        found = []
        for gate in self.gates.iterdir():
            name, end = gate.name.rsplit(".", 1)
            if end.isdigit():
                node = self.parts[name.split("@")[0]]
                if node.story.name == "killed-node" and name.endswith(".swap.before"):
                    node.once.write_text("kill -9 $$\n")  # in its first start
                found.append((gate, node, int(end)))
        return found

    def strike(self, told):
        """Kills who is to be killed now, if anybody is."""
        standing = self.standing()
        for gate, node, pid in standing:
            if node.victim == "worker":
                self.kill(pid)
                gate.unlink()
                self.counts["of a worker"] += 1
        of_hasupd = [s for s in standing if s[1].victim != "worker"]
        # At a gate one death serves all that come to theirs about now.
        if of_hasupd and not told and len(of_hasupd) < self.waits_for and time.monotonic() < self.patient_until:
            return
        if not told and not of_hasupd:
            self.patient_until = time.monotonic() + 0.3
            return
        self.home.kill_daemon(signal.SIGKILL)
        later = []
        for number, (gate, node, pid) in enumerate(of_hasupd):
            self.counts[f"of hasupd {'and its worker' if node.victim == 'both' else 'beside its worker'}"] += 1
            if node.victim == "both":
                self.kill(pid)
            # The worker ends while nobody is there, or is found at work.
            if node.victim == "hasupd" and number % 2:
                later.append(gate)
            else:
                gate.unlink()
        self.home.start()
        self.counts["restarts of hasupd"] += 1
        for gate in later:
            gate.unlink()
        self.patient_until = time.monotonic() + 0.3

    @staticmethod
    def kill(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    # Ends

    def is_over(self, node, status):
        if status["recovery"] is not None or list(self.gates.glob(f"{node.name}@0.*")):
            return False
        if node.story.state is None:
            return status["state"] == "failed"
        replaced = node.picture().get(STATE, node.before[STATE])[0] != node.before[STATE][0]
        return replaced and status["state"] == "running" and status["health"] == "healthy"

    def until_all_are_over(self):
        self.patient_until = 0
        looked = 0

        def over():
            nonlocal looked
            told = self.hear()
            self.strike(told)
            if told or time.monotonic() - looked < 0.3:
                return False
            status = {u["unit"]: u for u in self.home.status()["units"]}
            looked = time.monotonic()
            self.left = [n for n, node in self.parts.items() if not self.is_over(node, status[n])]
            self.waits_for = min(4, len(self.left))
            return not self.left
        self.left, self.waits_for = list(self.parts), 4
        wait_until(over, lambda: f"{self.left} are over; {os.listdir(self.gates)}\n{self.home.report()}", timeout=240, step=0.002)

    def check_end(self, node):
        self.assertFalse(node.path(".hasup", "swap.json").exists())
        self.assertEqual(list(node.path(".hasup").glob("aside/*")) + list(node.path(".hasup").glob("staging/*")), [])
        nodes = [pid for pid, command in processes_of(node.data).items() if " nodeos " in command and "hasup-shim" not in command]
        if node.story.state is None:
            self.assertEqual(nodes, [])
            node.assert_untouched()
            return
        self.assertEqual(nodes, [self.home.unit_status(node.name)["pid"]])
        node.wait_beyond(BLOCKS)
        # By content: what the snapshot holds is what it runs on.
        held = node.path(STATE).read_bytes()[STATE_HEADER:STATE_HEADER + self.state_size]
        self.assertTrue(held in node.story.state.read_bytes(), "it is not on the snapshot's state")
        node.assert_blocks_kept()

    def play(self, *victims):
        self.cast(victims)
        self.home.start()
        for node in self.parts.values():
            if node.story.name == "by-hand":
                self.home.wait_healthy(node.name)
                self.home.ok("recover", node.name, "--yes", "--no-wait")
                # Until then it is only asked for, and who dies may forget it.
                self.home.wait_event(node.name, lambda e: e["kind"] == "recovery_began", "its journal is begun")
        self.until_all_are_over()
        for node in self.parts.values():
            with self.subTest(node.name):
                self.check_end(node)
        if "hasupd" in victims:
            # A death may come before what was done is told, and then that is never told.
            wanted = {(node.name, kind) for node in self.parts.values() for kind in node.story.kinds}
            untold = sorted(wanted - {(node.name, kind) for node in self.parts.values() for kind in node.told})
            print(f"of {len(wanted)} events untold: {untold}")
            self.assertLess(len(untold), len(wanted) / 4)
        print("deaths " + ", ".join(f"{what}: {n}" for what, n in sorted(self.counts.items())), flush=True)

    def test_hasupd(self):
        self.play("hasupd")

    def test_its_workers_and_both(self):
        self.play("worker", "both")


if __name__ == "__main__":
    unittest.main()
