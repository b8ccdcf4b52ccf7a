"""hasupd and a shim killed at every point between the end of a run and the next one: there is one copy, never two.

The one that is killed stands still at a certain system call, the next time at a later one. A few of the points each time;
all of them with HASUP_EVERY_POINT=1.
"""

import os
import random
import signal
import subprocess
import unittest

import storm
from hasup_home import BIN, HasupTest, alive, parent_of, processes_of, wait_until
from syscall_points import Gone, Traced

EVERY = os.environ.get("HASUP_EVERY_POINT") == "1"

UNIT = """
[run]
command = ["{node}", "{dir}", "${{unit}}@${{instance}}", "{traits}"]
stop_timeout = "1m"

[restart]
backoff = {{ initial = "0s", max = "10ms" }}
start_limit = {{ count = 0, within = "1m" }}
"""


class KillPoints(HasupTest):
    name = "one"

    def setUp(self):
        super().setUp()
        self.assertTrue(storm.NODE.exists(), f"{storm.NODE} is not built: cmake --build … --target e2e_programs")
        self.dir = self.home.directory("storm")
        for name in ("lock", "runs"):
            self.home.directory(f"storm/{name}")
        self.home.unit(self.name, UNIT.format(node=storm.NODE, dir=self.dir, traits="-"))
        self.home.start()
        self.tried = 0

    def runs(self):
        return storm.runs_of(self.dir, f"{self.name}@0")

    def settled(self):
        """The pid of the one node that runs, when hasupd, the node's own record and /proc agree on it."""
        def agreed():
            unit = self.home.unit_status(self.name)
            runs = self.runs()
            pid = unit["state"] == "running" and runs and unit["pid"] == runs[-1].pid and unit["pid"]
            # A node that outlived its shim has another parent, and is about to be restarted.
            return pid and alive(pid) and (shim := self.shim()) and self.parent(pid) == shim and pid
        pid = wait_until(agreed, f"{self.name} runs", step=0.02)
        violations = self.dir / "violations"
        self.assertFalse(violations.exists() and violations.read_text())
        nodes = [p for p, command in processes_of(self.dir).items() if command.startswith(str(storm.NODE))]
        self.assertEqual(nodes, [pid])
        return pid

    @staticmethod
    def parent(pid):
        """None: it has just ended."""
        try:
            return parent_of(pid)
        except OSError:
            return None

    def shim(self):
        return next((p for p, command in processes_of(self.home.path).items() if "hasup-shim" in command), None)

    def each_point(self, few):
        """Points, until one lay behind the end of all that is to be done."""
        self.at_end = False
        step = 1 if EVERY else few
        point = random.SystemRandom().randrange(1, step + 1)
        while not self.at_end:
            yield point
            point += step

    def strike(self, traced, point, before, also=lambda: None):
        """Kills it at the point, unless the next run has begun and all is calm before it comes there."""
        try:
            reached = traced.run_to(point, lambda: self.runs()[-1].pid != before)
        except Gone:
            self.fail(f"{traced.pid} ended by itself before point {point}")
        if not reached:
            self.at_end = True
            traced.release()
            return
        self.tried += 1
        traced.kill()
        also()

    def test_a_shim(self):
        for point in self.each_point(3):
            pid = self.settled()
            traced = Traced(self.shim())
            os.kill(pid, signal.SIGKILL)
            self.strike(traced, point, pid)
        self.settled()
        print(f"{self.tried} points")
        self.assertGreater(self.tried, 20)

    def test_a_shim_and_hasupd_with_it(self):
        for point in self.each_point(6):
            pid = self.settled()
            traced = Traced(self.shim())
            os.kill(pid, signal.SIGKILL)
            self.strike(traced, point, pid, also=self.home.kill_daemon)
            if self.home.daemon is None:
                self.home.start()
        self.settled()
        print(f"{self.tried} points")
        self.assertGreater(self.tried, 10)

    def test_hasupd(self):
        for point in self.each_point(3):
            pid = self.settled()
            traced = Traced(self.home.daemon.pid)
            os.kill(pid, signal.SIGKILL)
            self.strike(traced, point, pid)
            if not self.at_end:
                self.home.daemon.wait()
                self.home.daemon = None
                self.home.start()
        self.settled()
        print(f"{self.tried} points")
        self.assertGreater(self.tried, 10)

    def test_a_shim_that_is_just_being_started(self):
        for point in self.each_point(5):
            before = self.settled()
            self.home.ok("stop", self.name)
            traced = Traced(self.home.daemon.pid)
            command = subprocess.Popen([BIN / "hasup", "start", "--no-wait", self.name], env=self.home.env,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.strike(traced.next_child(), point, before)
            command.wait()
        self.settled()
        print(f"{self.tried} points")
        self.assertGreater(self.tried, 10)


if __name__ == "__main__":
    unittest.main()
