"""What test_storm.py needs: a random graph of units, what their processes recorded, and the invariants over both."""

import bisect
import calendar
import collections
import json
import os
import re
import time
from pathlib import Path

from hasup_home import BIN

NODE = BIN / "storm_node"

UNIT = """
description = "{note}"
[run]
command = ["{node}", "{dir}", "${{unit}}@${{instance}}", "{traits}"]
instances = {instances}
stop_timeout = "2m"
env = {{ NOTE = "{note}" }}

[restart]
policy = "{policy}"
backoff = {{ initial = "{backoff}ms", max = "400ms" }}
start_limit = {{ count = {limit}, within = "1m" }}

[log]
max_size = "32KiB"
max_files = 2000
"""

READINESS = """
[readiness]
kind = "exec"
command = ["test", "-e", "{dir}/ready/{name}"]
interval = "1s"
timeout = "20s"
failures = 1
"""

REQUIRES = """
[[requires]]
unit = "{unit}"
condition = "{condition}"
on_loss = "{on_loss}"
"""


class Unit:
    def __init__(self, name, rng, before):
        self.name = name
        self.one_shot = rng.random() < 0.1
        self.traits = "o" if self.one_shot else "".join(t for t, p in (("c", 0.5), ("t", 0.3)) if rng.random() < p)
        self.traits += rng.choice(["", "", "", "", "f", "e"])
        self.instances = 2 if rng.random() < 0.1 and not self.one_shot else 1
        self.probed = not self.one_shot and rng.random() < 0.1
        self.limit = 4 if rng.random() < 0.1 else 0
        self.policy = "on_failure" if self.one_shot else rng.choice(["always", "always", "on_failure"])
        self.requires = []
        for other in rng.sample(before, min(len(before), rng.choice([0, 1, 1, 2, 3]))):
            condition = "completed" if other.one_shot else rng.choice(["healthy", "healthy", "started"])
            self.requires.append((other.name, condition, rng.choice(["keep", "keep", "keep", "restart", "stop"])))

    def instance_names(self):
        return [f"{self.name}@{i}" for i in range(self.instances)]

    def toml(self, directory, note="as written", backoff=50):
        text = UNIT.format(node=NODE, dir=directory, traits=self.traits or "-", instances=self.instances, note=note,
                           policy=self.policy, backoff=backoff, limit=self.limit)
        if self.probed:
            text += READINESS.format(dir=directory, name=self.name)
        return text + "".join(REQUIRES.format(unit=u, condition=c, on_loss=o) for u, c, o in self.requires)


def make_units(rng, count):
    units = []
    for i in range(count):
        units.append(Unit(f"u{i:03}", rng, units))
    return {u.name: u for u in units}


# What happened

Run = collections.namedtuple("Run", "pid began lines status")


def runs_of(directory, name):
    """What each run of an instance recorded of itself, in order."""
    path = Path(directory) / "runs" / name
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        pid, began, lines, status = line.split(None, 3)
        found.append(Run(int(pid), int(began), int(lines), status.strip()))
    return found


def milliseconds(text):
    whole, _, rest = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int((rest + "000")[:3])


Moment = collections.namedtuple("Moment", "seq at kind state health reason")


class EventReader:
    """All events, also those that were rotated away meanwhile: poll() now and then."""

    def __init__(self, path):
        self.path, self.inode, self.offset, self.rest = path, None, 0, b""
        self.events = []

    def poll(self):
        if self.inode is not None:
            old = Path(str(self.path) + ".1")
            if old.exists() and old.stat().st_ino == self.inode:
                self._read(old)
                self.offset, self.rest = 0, b""
        if self.path.exists():
            self.inode = self.path.stat().st_ino
            self._read(self.path)

    def _read(self, path):
        with open(path, "rb") as f:
            f.seek(self.offset)
            data = self.rest + f.read()
            self.offset = f.tell()
        *lines, self.rest = data.split(b"\n")
        for line in lines:
            if line:  # hasupd ends a line that its predecessor left torn
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    pass

    def by_instance(self):
        found = collections.defaultdict(list)
        for e in self.events:
            if not e.get("unit"):
                continue
            story = found[f"{e['unit']}@{e.get('instance') or 0}"]
            health = story[-1].health if story else "unknown"
            health = {"became_healthy": "healthy", "became_unhealthy": "unhealthy", "health_unknown": "unknown",
                      "started": "unknown", "adopted": "unknown"}.get(e["kind"], health)
            story.append(Moment(e["seq"], milliseconds(e["at"]), e["kind"], e["state"], health, e["reason"]))
        return found


# Invariants; each returns what is wrong, as texts

def satisfied(moment, condition):
    if condition == "completed":
        return moment.state == "completed"
    return moment.state == "running" and (condition == "started" or moment.health == "healthy")


def started_too_early(units, stories, window_ms=15_000):
    """A start without its requirement met at any moment between the decision for it and the start.

    Between them a requirement may be lost, which is no mistake: the decision lies after the instance's event before,
    and not longer ago than window_ms, generous for a loaded machine."""
    wrong = []
    checked = 0
    for name, story in stories.items():
        unit = units.get(name.split("@")[0])
        for i, moment in enumerate(story):
            if moment.kind != "started" or unit is None:
                continue
            since = story[i - 1].seq if i else 0
            for other, condition, _ in unit.requires:
                checked += 1
                if not any(was_met(stories.get(f"{other}@{k}", []), condition, since, moment, window_ms)
                           for k in range(units[other].instances)):
                    wrong.append(f"{name} started at {moment.seq} without {other} {condition}")
    return wrong, checked


def was_met(story, condition, since_seq, started, window_ms):
    last = bisect.bisect_left(story, (started.seq,)) - 1
    while last >= 0:
        moment = story[last]
        if satisfied(moment, condition):
            return True
        if moment.seq < since_seq or moment.at < started.at - window_ms:
            return False  # it held from then on
        last -= 1
    return False


def lost_exits(name, runs, story, shim_kills):
    """Each run has an `exited` of its own status between its begin and the next run's; with a killed shim it is lost."""
    wrong = []
    exits = [m for m in story if m.kind == "exited"]
    for i, run in enumerate(runs):
        until = runs[i + 1].began if i + 1 < len(runs) else float("inf")
        told = [m.reason for m in exits if run.began <= m.at <= until]
        expected = "signal 9" if run.status == "running" else run.status
        if any(re.search(rf"\b{expected}\b", text) for text in told):
            continue
        if any("lost" in text for text in told) and any(run.began - 2000 <= at <= until for at in shim_kills):
            continue
        wrong.append(f"{name}: run {run.pid} of {run.began} ended with {expected}, but between it and the next run "
                     f"hasup told {told}")
    return wrong


def log_pieces(log_dir, file_name):
    """Whole lines over all rotated files, oldest first; pieces of one long line are put together."""
    files = sorted((f for f in os.listdir(log_dir) if re.fullmatch(re.escape(file_name) + r"\.\d+", f)),
                   key=lambda f: -int(f.rsplit(".", 1)[1]))
    for file in [*files, file_name]:
        path = Path(log_dir) / file
        if path.exists():
            for raw in path.read_text(errors="replace").splitlines():
                yield (raw.split(" ", 3) + ["", "", "", ""])[3], raw


def broken_logs(name, runs, pieces, shim_kills):
    """Every line once and in order; a killed shim may have taken along what it held."""
    wrong = []
    wanted = {(r.pid, r.began): (i, r) for i, r in enumerate(runs)}
    seen = collections.defaultdict(list)
    order = []

    def excused(i):
        until = runs[i + 1].began if i + 1 < len(runs) else float("inf")
        return any(runs[i].began - 2000 <= at <= until for at in shim_kills)

    for text, raw in pieces:
        found = re.match(re.escape(name) + r" (\d+) (\d+) (\d+) \.{48}$", text)
        key = (int(found[1]), int(found[2])) if found else None
        if key not in wanted:
            if not shim_kills:
                wrong.append(f"{name}: a line nobody wrote: {raw[:200]!r}")
            continue
        if key not in seen:
            order.append(wanted[key][0])
        elif order[-1] != wanted[key][0]:
            wrong.append(f"{name}: lines of run {key} after those of a later run")
        seen[key].append(int(found[3]))
    if order != sorted(order):
        wrong.append(f"{name}: the runs are not in order")
    for key, (i, run) in wanted.items():
        numbers = seen[key]
        if excused(i):
            if any(b <= a for a, b in zip(numbers, numbers[1:])):
                wrong.append(f"{name}: run {key} (its shim was killed): lines twice or out of order")
        elif numbers != list(range(len(numbers))) or len(numbers) not in (run.lines, run.lines + 1):
            odd = next((k for k, n in enumerate(numbers) if n != k), len(numbers))
            wrong.append(f"{name}: run {key} wrote {run.lines} lines, the log has {len(numbers)}; first odd at {odd}: "
                         f"{numbers[max(0, odd - 2):odd + 3]}")
    return wrong
