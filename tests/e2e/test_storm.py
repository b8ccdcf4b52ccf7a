"""Two hundred units in a random graph, struck by kills and commands; then calm, and every invariant must hold.

HASUP_STORM_SECONDS (60) says how long, HASUP_STORM_UNITS (200) how many, HASUP_STORM_SEED repeats a graph and choices.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
import unittest
from pathlib import Path

import storm
from hasup_home import BIN, HasupTest, processes_of, wait_until

SECONDS = float(os.environ.get("HASUP_STORM_SECONDS", "60"))
UNITS = int(os.environ.get("HASUP_STORM_UNITS", "200"))
CALM_DEADLINE = 400


class Storm(HasupTest):
    def setUp(self):
        self.assertTrue(storm.NODE.exists(), f"{storm.NODE} is not built: cmake --build … --target e2e_programs")
        super().setUp()
        seed = int(os.environ.get("HASUP_STORM_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"\nHASUP_STORM_SEED={seed}", flush=True)
        self.rng = random.Random(seed)
        self.dir = self.home.directory("storm")
        for name in ("lock", "runs", "ready"):
            self.home.directory(f"storm/{name}")
        self.units = storm.make_units(self.rng, UNITS)
        for unit in self.units.values():
            self.write(unit)
            (self.dir / "ready" / unit.name).touch()
        self.events = storm.EventReader(self.home.path / "state" / "events" / "events.jsonl")
        self.shim_kills = {name: [] for u in self.units.values() for name in u.instance_names()}
        self.commands = []
        self.done = {}
        if "HASUP_STORM_KEEP" in os.environ:  # a directory, for who looks into a failure; before the home is closed
            self.addCleanup(subprocess.run, ["cp", "-a", self.home.path, os.environ["HASUP_STORM_KEEP"]], check=False)

    def write(self, unit, **options):
        self.home.unit(unit.name, unit.toml(self.dir, **options))

    # Blows

    def counted(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def command(self, *words):
        """A command that nobody waits for; never more than a few at once."""
        self.commands = [c for c in self.commands if c.poll() is None]
        if len(self.commands) >= 6:
            wait_until(lambda: any(c.poll() is not None for c in self.commands), "a command ends")
        self.commands.append(subprocess.Popen([BIN / "hasup", *words], env=self.home.env, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.counted(words[0])

    def node_of(self, name):
        """The newest process of an instance, if it is one of ours and alive."""
        runs = storm.runs_of(self.dir, name)
        if not runs:
            return None
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{runs[-1].pid}/cmdline").read_bytes().split(b"\0")
            if command[:3] == [os.fsencode(storm.NODE), os.fsencode(self.dir), name.encode()]:
                return runs[-1].pid
        return None

    def shim_of(self, pid):
        with contextlib.suppress(OSError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            command = Path(f"/proc/{parent}/cmdline").read_bytes()
            if b"hasup-shim" in command and os.fsencode(self.home.path) in command:
                return parent
        return None

    def kill(self, shim=False, node=True):
        unit = self.rng.choice(list(self.units.values()))
        name = self.rng.choice(unit.instance_names())
        pid = self.node_of(name)
        if pid is None or not (shim or node):
            return
        victims = []
        if shim:
            victims.append(self.shim_of(pid))
            if victims[0] is None:
                return
            self.shim_kills[name].append(int(time.time() * 1000))
        if node:
            victims.append(pid)
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        self.counted("kill " + ("shim " if shim else "") + ("node" if node else ""))

    def change_files(self):
        for unit in self.rng.sample(list(self.units.values()), 4):
            kind = self.rng.randrange(4)
            if kind == 0:
                self.write(unit, note=f"changed {self.rng.random()}")  # another environment: a restart
            elif kind == 1:
                self.write(unit, backoff=self.rng.randrange(10, 300))
            elif kind == 2:
                self.write(unit)
            else:
                self.home.unit(unit.name, "[run\nbroken")
        self.command("apply")

    def blow(self):
        names = self.rng.sample(list(self.units), self.rng.choice([1, 1, 2, 5]))
        roll = self.rng.random()
        if roll < 0.40:
            self.kill()
        elif roll < 0.45:
            self.kill(shim=True, node=False)
        elif roll < 0.47:
            self.kill(shim=True)
        elif roll < 0.62:
            self.command("start", "--no-wait", *names)
        elif roll < 0.70:
            self.command("stop", "--no-wait", *names[:2])
        elif roll < 0.82:
            self.command("restart", "--no-wait", *names)
        elif roll < 0.86:
            self.command("start", "--all", "--no-wait")
        elif roll < 0.88:
            self.command("reset", *names)
        elif roll < 0.94:
            ready = self.dir / "ready" / self.rng.choice([u.name for u in self.units.values() if u.probed] or names)
            ready.unlink() if ready.exists() else ready.touch()
            self.counted("readiness")
        else:
            self.change_files()

    # The storm and what must be true of it

    def rage(self, between=lambda: None):
        self.home.start()
        wait_until(lambda: sum(u["state"] == "running" for u in self.home.status()["units"]) > UNITS / 3, "units run")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            self.blow()
            between()
            self.events.poll()
            self.assertFalse((self.dir / "violations").exists() and (self.dir / "violations").read_text())
            time.sleep(0.03)  # the pace of the storm; nothing is waited for

    def settle(self):
        (self.dir / "calm").touch()
        for command in self.commands:
            command.wait()
        for unit in self.units.values():
            self.write(unit)
            (self.dir / "ready" / unit.name).touch()
        self.home.ok("apply")
        late = []

        def calm():
            self.events.poll()
            late[:] = [u for u in self.home.status()["units"]
                       if not (u["state"] == "running" and u["health"] == "healthy") and
                       not (u["state"] == "completed" and self.units[u["unit"]].one_shot)]
            # Those that on_loss, a person, the start limit or an exit 0 stopped; all others must come up by themselves.
            down = {u["unit"] for u in late if u["state"] in ("stopped", "failed", "completed")}
            if down:
                self.home.ok("start", "--no-wait", *down)
            return not late
        try:
            wait_until(calm, "every unit runs healthily or is completed", CALM_DEADLINE, 0.5)
        except AssertionError as e:
            told = [(u["unit"], u["instance"], u["state"], u["desired"], u["health"], u["reason"], u["waiting_for"])
                    for u in late[:20]]
            stories = self.events.by_instance()
            for u in late[:5]:
                name = f"{u['unit']}@{u['instance']}"
                print(name, *(f"  {m.at} {m.kind} {m.state}: {m.reason}" for m in stories.get(name, [])[-40:]), sep="\n")
            raise AssertionError(f"{e}; not: {told}") from None

    def check(self):
        instances = [name for u in self.units.values() for name in u.instance_names()]
        runs = {name: storm.runs_of(self.dir, name) for name in instances}
        status = {f"{u['unit']}@{u['instance']}": u for u in self.home.status()["units"]}
        wrong = [f"{name}: killed" for name, u in status.items() if u["killed"]]
        wrong += [f"{name}: {u['logs_dropped']} lines dropped" for name, u in status.items() if u["logs_dropped"]]
        for name in instances:
            if status[name]["state"] == "running" and status[name]["pid"] != runs[name][-1].pid:
                wrong.append(f"{name}: hasup says pid {status[name]['pid']}, the newest run is {runs[name][-1]}")
        self.home.ok("stop", "--all", timeout=CALM_DEADLINE)
        runs = {name: storm.runs_of(self.dir, name) for name in instances}
        left = {p: c for p, c in processes_of(self.home.path).items() if p != self.home.daemon.pid}
        wrong += [f"left after stop --all: {pid} {command}" for pid, command in left.items() if "storm_node" in command]
        self.events.poll()
        stories = self.events.by_instance()
        early, starts = storm.started_too_early(self.units, stories)
        wrong += early
        lines = 0
        for unit in self.units.values():
            for name in unit.instance_names():
                file = f"{name if unit.instances > 1 else unit.name}.log"
                wrong += storm.lost_exits(name, runs[name], stories.get(name, []), self.shim_kills[name])
                wrong += storm.broken_logs(name, runs[name], storm.log_pieces(self.home.path / "log", file),
                                           self.shim_kills[name])
                lines += sum(r.lines for r in runs[name])
        wrong += [f"{m.at} {name}: {m.reason}" for name, story in stories.items() for m in story if m.kind == "killed"]
        violations = self.dir / "violations"
        if violations.exists():
            wrong += violations.read_text().splitlines()
        print(f"{sum(map(len, runs.values()))} runs, {starts} requirements of starts, {lines} lines, "
              f"{len(self.events.events)} events; {self.done}", flush=True)
        self.assertEqual(wrong, [], f"{len(wrong)} things are wrong:\n" + "\n".join(wrong[:60]))

    def test_kills_and_commands_break_no_invariant(self):
        self.rage()
        self.settle()
        self.check()

    def test_nor_does_kill_9_of_hasupd_every_few_seconds(self):
        at = time.monotonic() + 4

        def kill_hasupd():
            nonlocal at
            if time.monotonic() < at:
                return
            self.home.kill_daemon()
            self.counted("kill hasupd")
            if self.rng.random() < 0.5:
                for _ in range(6):
                    self.kill(shim=self.rng.random() < 0.4, node=self.rng.random() < 0.7)
            self.home.start()
            at = time.monotonic() + self.rng.uniform(0.5, 4)
        self.rage(kill_hasupd)
        self.settle()
        self.check()


if __name__ == "__main__":
    unittest.main()
