"""After thousands of restarts hasupd and its shims hold as many descriptors and as much memory as before, and their files
stay within their bounds.

HASUP_RESTARTS (2000) says how many, over all units; 100000 is the long run. The first half is the warm-up.
"""

import contextlib
import math
import os
import time
import unittest
from pathlib import Path

from hasup_home import BIN, HasupTest, wait_until

RESTARTS = int(os.environ.get("HASUP_RESTARTS", "2000"))
UNITS = 25
LOG_SIZE, LOG_FILES = 4 << 10, 2
EVENT_FILE = 16 << 20  # where event_log.cpp rotates
MEMORY_MAY_GROW = 1 << 20

UNIT = f"""
[run]
command = ["/bin/echo", "{'a line of a hundred characters or so; ' * 3}"]

[restart]
policy = "always"
backoff = {{ initial = "0s", max = "10ms" }}
start_limit = {{ count = 0, within = "1m" }}

[log]
max_size = "{LOG_SIZE}"
max_files = {LOG_FILES}
"""


def is_sanitized(program):
    return b"__asan_init" in Path(program).read_bytes()


def own_memory(pid):
    """Its anonymous pages. The pages of programs and libraries do not count: the share of a process in them grows when
    another one that has them mapped, such as the hasupd of a test beside this one, ends."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no Pss_Anon of {pid}")


def children(pid):
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):  # the thread has just ended
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                with contextlib.suppress(OSError):
                    found[int(child)] = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return found


def is_shim(pid):
    try:
        return b"hasup-shim" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False  # another child, which has just ended


class Restarts(HasupTest):
    def setUp(self):
        super().setUp()
        self.names = [f"u{i:02}" for i in range(UNITS)]
        for name in self.names:
            self.home.unit(name, UNIT)

    def restarts(self):
        return sum(u["restarts"] for u in self.home.status()["units"])

    def wait_restarts(self, number):
        wait_until(lambda: self.restarts() >= number, f"{number} restarts", 120 + number * 0.1, 0.5)

    def look(self):
        """Descriptors and memory of hasupd and of all shims, in between two runs of each unit or in the middle."""
        hasupd = self.home.daemon.pid
        shims = [p for p in children(hasupd) if is_shim(p)]
        self.assertEqual(len(shims), UNITS)
        open_files = {p: len(os.listdir(f"/proc/{p}/fd")) for p in [hasupd, *shims]}
        return shims, open_files, own_memory(hasupd), sum(map(own_memory, shims))

    def least(self, looks=20):
        """The least of several looks: what a run that is just under way holds does not count."""
        seen = []
        for _ in range(looks):
            seen.append(self.look())
            time.sleep(0.02)  # looks at different moments of the runs
        hasupd, shims = self.home.daemon.pid, seen[-1][0]
        # Each for itself: hardly ever are all of them at rest in the same look.
        open_files = {p: min(s[1].get(p, math.inf) for s in seen) for p in [hasupd, *shims]}
        return [shims, open_files[hasupd], max(open_files[p] for p in shims), *(min(s[i] for s in seen) for i in (2, 3))]

    def test_nothing_grows(self):
        self.home.start()
        began = time.monotonic()
        self.wait_restarts(RESTARTS // 2)
        before = self.least()
        self.wait_restarts(RESTARTS)
        after = self.least()
        # Hardly ever is a shim seen at rest on a loaded machine; what has leaked is seen each time.
        for _ in range(20):
            if after[1] <= before[1] and after[2] <= before[2]:
                break
            after = self.least()
        seconds = time.monotonic() - began
        print(f"\n{self.restarts()} restarts in {seconds:.0f} s; descriptors of hasupd {before[1]} -> {after[1]}, of a shim "
              f"{before[2]} -> {after[2]}; memory of hasupd {before[3] >> 10} -> {after[3] >> 10} KiB, of {UNITS} shims "
              f"{before[4] >> 10} -> {after[4] >> 10} KiB", flush=True)
        self.assertEqual(before[0], after[0], "the shims are the same ones")
        self.assertLessEqual(after[1], before[1] + 2)
        self.assertLessEqual(after[2], before[2])
        if not is_sanitized(BIN / "hasupd"):  # there, what is freed is kept for a while
            self.assertLess(after[3], before[3] + MEMORY_MAY_GROW)
            self.assertLess(after[4], before[4] + MEMORY_MAY_GROW)

        # A zombie is there only for as long as its parent needs to come to it.
        for pid in (self.home.daemon.pid, *after[0]):
            seen = {p for p, state in children(pid).items() if state == "Z"}
            wait_until(lambda p=pid, s=seen: not s & set(children(p)), f"the zombies of {pid} are gone")

        self.home.ok("stop", "--all")
        logs = self.home.path / "log"
        for name in self.names:
            files = list(logs.glob(f"{name}.log*"))
            self.assertLessEqual(len(files), LOG_FILES + 1)
            for file in files:
                self.assertLessEqual(file.stat().st_size, LOG_SIZE)
        if RESTARTS * 150 > UNITS * LOG_SIZE * 2:
            self.assertTrue(all((logs / f"{name}.log.1").exists() for name in self.names), "none was rotated")
        state = self.home.path / "state"
        events = state / "events"
        self.assertEqual({f.name for f in events.iterdir()} - {"events.jsonl", "events.jsonl.1"}, set())
        for file in events.iterdir():
            self.assertLess(file.stat().st_size, EVENT_FILE + 4096)
        self.assertLess((state / "intent.json").stat().st_size, UNITS * 2048)
        self.assertEqual(list((state / "journals").iterdir()), [])
        for folder in ("claims", "records", "evidence"):
            self.assertEqual(len(list((state / folder).iterdir())), UNITS)
        self.assertEqual(list((state / "jobs").iterdir()), [])
        self.assertEqual(list((state / "work").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
