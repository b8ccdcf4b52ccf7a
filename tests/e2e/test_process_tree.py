"""The process tree of a unit: every descendant is reached, none is overlooked, limits hold and are reported."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from hasup_home import BIN, HasupTest, alive, processes_of, start_time, wait_until

# Double-forks into a session of its own, as a daemon does; the grandchild writes its pid.
DAEMONIZE = """
import os, signal, sys, time
def daemonize(file, deaf):
    if os.fork() > 0:
        os.wait()
        return
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    if deaf:
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(s, signal.SIG_IGN)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.chdir("/")
    with open(file + ".new", "w") as f:
        f.write(str(os.getpid()))
    os.rename(file + ".new", file)
    while True:
        time.sleep(1)
for i in range(int(sys.argv[2])):
    daemonize(f"{sys.argv[1]}.{i}", len(sys.argv) > 3)
while True:
    time.sleep(1)
"""

UNIT = """
[run]
command = ["/usr/bin/env", "python3", "{script}", {words}]
stop_timeout = "3s"
{more}
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""


class Tree(HasupTest):
    def setUp(self):
        super().setUp()
        self.script = self.home.path / "daemonize.py"
        self.script.write_text(DAEMONIZE)
        self.left = []
        self.addCleanup(self.end_left)

    def end_left(self):
        for pid, since in self.left:
            if alive(pid) and start_time(pid) == since:
                os.kill(pid, signal.SIGKILL)

    def unit(self, count=1, deaf=False, more=""):
        words = [str(self.home.path / "left"), str(count)] + (["deaf"] if deaf else [])
        self.home.unit("node", UNIT.format(script=self.script, words=", ".join(f'"{w}"' for w in words), more=more))

    def strays(self, count=1):
        """(pid, start time) of the daemonized grandchildren of the latest run, once all are there."""
        def read():
            found = []
            for i in range(count):
                try:
                    pid = int((self.home.path / f"left.{i}").read_text())
                    found.append((pid, start_time(pid)))
                except (OSError, ValueError):
                    return None
            return found if all(alive(pid) for pid, _ in found) else None
        found = wait_until(read, "the daemonized children run")
        self.left += found
        return found

    def assert_gone(self, strays):
        wait_until(lambda: not any(alive(pid) for pid, _ in strays), "the strays are gone", 30)

    def copies(self):
        return [c for c in processes_of(self.home.path).values() if "daemonize.py" in c and "hasup-shim" not in c]

    def shim(self):
        return next(pid for pid, c in processes_of(self.home.path).items() if "hasup-shim" in c and "node@0" in c)


class Reached(Tree):
    def test_stop_ends_daemonized_grandchildren_too(self):
        self.unit(count=3)
        self.home.start()
        self.home.wait_healthy("node")
        strays = self.strays(3)
        self.home.ok("stop", "node")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        self.assertTrue(any(e["kind"] == "strays_found" for e in self.home.events("node")))
        self.assertFalse(self.home.unit_status("node")["killed"])

    def test_strays_that_are_deaf_are_killed_and_that_is_said(self):
        self.unit(count=2, deaf=True)
        self.home.start()
        self.home.wait_healthy("node")
        strays = self.strays(2)
        self.home.ok("stop", "node")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        self.assertTrue(self.home.unit_status("node")["killed"])

    def test_what_an_exit_leaves_behind_is_ended_before_the_next_run(self):
        self.unit()
        self.home.start()
        main = self.home.wait_healthy("node")["pid"]
        strays = self.strays()
        (self.home.path / "left.0").unlink()
        os.kill(main, signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("node")["pid"] not in (None, main), "the next run")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        self.strays()


class Stopping(Tree):
    def setUp(self):
        super().setUp()
        self.go = self.home.path / "go"
        self.addCleanup(self.go.touch)
        self.home.unit("slow", f"""
[run]
command = ["sh", "-c", "trap 'while [ ! -e {self.go} ]; do sleep 0.05; done; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
stop_timeout = "20m"
""")
        self.home.start()
        self.pid = self.home.wait_healthy("slow")["pid"]
        wait_until(lambda: "ready" in self.home.log_text("slow"), "the trap is set")

    def test_its_progress_says_when_it_would_be_killed(self):
        self.home.ok("stop", "slow", "--no-wait")
        kill_at = self.home.wait_for("slow", state="stopping")["kill_at"]
        self.assertIsNotNone(kill_at)
        done = self.home.hasup("stop", "slow", "--timeout", "5s")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"SIGKILL at {kill_at[:19]}Z", done.stdout)
        self.home.hasup("stop", "slow", "--no-kill", "--no-wait")
        wait_until(lambda: self.home.unit_status("slow")["kill_at"] is None, "--no-kill takes it back")
        self.go.touch()
        self.home.wait_for("slow", state="stopped")
        self.assertIsNone(self.home.unit_status("slow")["kill_at"])

    def test_a_second_interrupt_of_the_command_kills_no_node(self):
        command = subprocess.Popen([BIN / "hasup", "stop", "slow"], env=self.home.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(command.kill)
        self.home.wait_for("slow", state="stopping")
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=60)
        again = subprocess.Popen([BIN / "hasup", "stop", "slow"], env=self.home.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(again.kill)
        self.assertIn("stopping", again.stdout.readline())
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=60)
        self.assertTrue(alive(self.pid))
        self.assertEqual(self.home.unit_status("slow")["state"], "stopping")
        self.go.touch()
        self.home.wait_for("slow", state="stopped")
        self.assertIn("saved", self.home.log_text("slow"))
        self.assertFalse(self.home.unit_status("slow")["killed"])
        self.assertEqual(self.home.unit_status("slow")["last_exit"]["code"], 0)


class ShimKilled(Tree):
    def kill_shim_and_main(self):
        main = self.home.wait_healthy("node")["pid"]
        strays = self.strays()
        shim = self.shim()
        (self.home.path / "left.0").unlink()
        # Stopped first, so that it cannot see its child die.
        os.kill(shim, signal.SIGSTOP)
        os.kill(main, signal.SIGKILL)
        os.kill(shim, signal.SIGKILL)
        return main, strays

    def assert_restarted_after_the_strays(self, main, strays):
        seen_two = []

        def next_run():
            running = self.home.unit_status("node")["pid"]
            if running not in (None, main) and any(alive(pid) for pid, _ in strays):
                seen_two.append(running)
            return running not in (None, main)
        wait_until(next_run, "the next run")
        self.assertEqual(seen_two, [], "a second run began while part of the first lived")
        self.assert_gone(strays)
        self.strays()
        wait_until(lambda: len(self.copies()) == 2, lambda: f"the second run alone is left: {self.copies()}")

    def test_with_its_main_process_but_not_the_tree_no_second_run_begins(self):
        self.unit()
        self.home.start()
        main, strays = self.kill_shim_and_main()
        self.assert_restarted_after_the_strays(main, strays)
        kinds = [e["kind"] for e in self.home.events("node")]
        self.assertIn("shim_lost", kinds)
        self.assertEqual(self.home.unit_status("node")["last_exit"]["class"], "lost")

    def test_the_same_while_no_hasupd_runs(self):
        self.unit()
        self.home.start()
        self.home.wait_healthy("node")
        self.strays()
        shim, main = self.shim(), self.home.unit_status("node")["pid"]
        strays = self.strays()
        self.home.kill_daemon(signal.SIGKILL)
        (self.home.path / "left.0").unlink()
        os.kill(shim, signal.SIGSTOP)
        os.kill(main, signal.SIGKILL)
        os.kill(shim, signal.SIGKILL)
        self.home.start()
        self.assert_restarted_after_the_strays(main, strays)

    def test_while_only_strays_are_left_a_stop_still_ends(self):
        self.unit(deaf=True)
        self.home.start()
        main, strays = self.kill_shim_and_main()
        self.home.wait_event("node", lambda e: e["kind"] == "shim_lost", "the shim is missed")
        self.home.ok("stop", "node")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        self.assertEqual(self.copies(), [])


def make_cgroup():
    """A directory of cgroup v2 that hasup may use as its own, or why there is none."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind = line.split(" ")[:3]
        if kind != "cgroup2":
            continue
        try:
            path = Path(tempfile.mkdtemp(prefix="hasup-test-", dir=mount))
        except OSError as e:
            return None, f"{mount}: {e.strerror}"
        for controller in ("memory", "cpu", "pids"):
            try:
                (path.parent / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                pass  # the tests that need it ask
        return path, None
    return None, "no cgroup v2 is mounted"


class Cgroup(Tree):
    controllers = ()

    def setUp(self):
        self.root, problem = make_cgroup()
        if problem:
            self.skip(problem)
        self.addCleanup(self.remove_cgroup)
        super().setUp()
        self.home.env["HASUP_CGROUP_ROOT"] = str(self.root)
        offered = (self.root / "cgroup.controllers").read_text().split()
        lacking = [c for c in self.controllers if c not in offered]
        if lacking:
            self.skip(f"cgroup v2 offers no controller {', '.join(lacking)} here")

    def skip(self, why):
        print(f"skipped {self.id()}: {why}", file=sys.stderr)
        self.skipTest(why)

    def remove_cgroup(self):
        for leaf in [p for p in self.root.iterdir() if p.is_dir()] + [self.root]:
            wait_until(lambda: self.removed(leaf), f"{leaf} is empty", 60)

    @staticmethod
    def removed(leaf):
        try:
            leaf.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def members(self, leaf="node@0"):
        try:
            return sorted(int(line) for line in (self.root / leaf / "cgroup.procs").read_text().split())
        except FileNotFoundError:
            return []

    def wait_members(self, wanted):
        """These and no others, once who forked twice has waited for the process between."""
        wait_until(lambda: self.members() == wanted, lambda: f"{wanted} in the leaf: {self.members()}")


class InCgroup(Cgroup):
    def test_each_instance_has_a_leaf_with_its_whole_tree_and_shims_are_apart(self):
        self.unit(count=2)
        self.home.start()
        main = self.home.wait_healthy("node")["pid"]
        strays = self.strays(2)
        self.wait_members(sorted([main] + [pid for pid, _ in strays]))
        self.assertEqual(self.members("shims"), [self.shim()])
        self.home.ok("stop", "node")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        wait_until(lambda: not (self.root / "node@0").exists(), "the leaf is taken away")

    def test_a_second_run_begins_in_the_leaf_after_the_strays_of_the_first_are_gone(self):
        self.unit(count=1, deaf=True)
        self.home.start()
        main = self.home.wait_healthy("node")["pid"]
        strays = self.strays()
        (self.home.path / "left.0").unlink()
        os.kill(main, signal.SIGKILL)
        second = wait_until(lambda: self.home.unit_status("node")["pid"] not in (None, main)
                            and self.home.unit_status("node")["pid"], "the next run")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        again = self.strays()
        self.wait_members(sorted([second] + [pid for pid, _ in again]))

    def test_a_killed_shim_and_main_leave_a_tree_that_the_leaf_still_shows(self):
        # Without the mark, and neither child nor of the session: the leaf alone knows it.
        self.script.write_text(DAEMONIZE.replace("def daemonize", "def noop(): pass\ndef daemonize").replace(
            'with open(file + ".new", "w")',
            'if not os.environ.get("CLEAN"): os.execve(sys.executable, [sys.executable, sys.argv[0], file, "-1", '
            '"deaf"], {"CLEAN": "1"})\n    with open(file + ".new", "w")'
        ).replace("for i in range(int(sys.argv[2]))", """if sys.argv[2] == "-1":
    with open(sys.argv[1] + ".new", "w") as f:
        f.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while True:
        time.sleep(1)
for i in range(int(sys.argv[2]))"""))
        self.unit()
        self.home.start()
        main = self.home.wait_healthy("node")["pid"]
        strays = self.strays()
        self.assertNotIn(b"HASUP_TREE", Path(f"/proc/{strays[0][0]}/environ").read_bytes())
        shim = self.shim()
        (self.home.path / "left.0").unlink()
        os.kill(shim, signal.SIGSTOP)
        os.kill(main, signal.SIGKILL)
        os.kill(shim, signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("node")["pid"] not in (None, main), "the next run")
        self.assertFalse(any(alive(pid) for pid, _ in strays))
        self.strays()

    def test_a_new_hasupd_finds_the_leaf_and_takes_it_away_after_the_stop(self):
        self.unit()
        self.home.start()
        self.home.wait_healthy("node")
        before = self.members()
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.assertEqual(self.members()[:1], before[:1])
        self.home.wait_healthy("node")
        self.strays()
        self.home.ok("stop", "node")
        wait_until(lambda: not (self.root / "node@0").exists(), "the leaf is taken away")

    def test_two_daemons_do_not_share_one_cgroup(self):
        import fcntl
        fd = os.open(self.root, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.unit()
        self.home.start()
        self.home.wait_healthy("node")
        self.assertEqual(self.members(), [])
        self.assertIn("is used by another hasupd", self.home.daemon_log.read_text())


class LimitsMissing(Tree):
    def test_limits_without_a_cgroup_are_said_once_and_the_node_runs(self):
        self.unit(count=0, more='[run.limits]\nmemory_max = "1GiB"\npids = 100')
        self.home.env["HASUP_CGROUP_ROOT"] = "off"
        self.home.start()
        self.home.wait_healthy("node")
        self.home.ok("restart", "node")
        self.home.wait_healthy("node")
        told = [e for e in self.home.events("node") if e["kind"] == "limits_not_applied"]
        self.assertEqual(len(told), 1, told)
        self.assertIn("memory_max", told[0]["reason"])


class PidsLimit(Cgroup):
    controllers = ("pids",)

    def test_a_fork_bomb_stays_within_its_limit_and_is_stopped(self):
        self.home.unit("bomb", """
[run]
command = ["/bin/sh", "-c", "bomb() { bomb | bomb & sleep 600; }; bomb; while :; do sleep 1; done"]
stop_timeout = "2s"
[run.limits]
pids = 40
[restart]
policy = "never"
""")
        self.home.start()
        self.home.wait_for("bomb", state="running")
        events = self.root / "bomb@0" / "pids.events"
        wait_until(lambda: events.exists() and "max 0" not in events.read_text(), "the limit is met")
        self.assertLessEqual(len(self.members("bomb@0")), 40)
        self.home.hasup("stop", "bomb")
        wait_until(lambda: not (self.root / "bomb@0").exists(), "nothing is left")

    def test_a_changed_limit_holds_at_once_without_a_restart(self):
        self.unit(count=0, more="[run.limits]\npids = 40")
        self.home.start()
        main = self.home.wait_healthy("node")["pid"]
        self.assertEqual((self.root / "node@0" / "pids.max").read_text().strip(), "40")
        self.unit(count=0, more="[run.limits]\npids = 50")
        self.home.ok("apply")
        wait_until(lambda: (self.root / "node@0" / "pids.max").read_text().strip() == "50", "the new limit")
        self.assertEqual(self.home.unit_status("node")["pid"], main)


class MemoryLimit(Cgroup):
    controllers = ("memory",)

    def test_a_node_above_memory_max_is_reported_as_out_of_memory(self):
        self.home.unit("hungry", """
[run]
command = ["/usr/bin/env", "python3", "-c", "import time; x = bytearray(400 << 20); time.sleep(600)"]
[run.limits]
memory_max = "48MiB"
[restart]
policy = "never"
""")
        Path(self.root / "cgroup.subtree_control").write_text("+memory")
        self.home.start()
        status = self.home.wait_for("hungry", state="failed")
        self.assertEqual(status["last_exit"]["class"], "out of memory")
        self.assertEqual(status["last_exit"]["signal"], 9)
        self.assertIn("memory_max = 48MiB", self.home.ok("why", "hungry"))
        self.assertFalse([e for e in self.home.events("hungry") if e["kind"] == "limits_not_applied"])


class CpuWeight(Cgroup):
    controllers = ("cpu",)

    def test_the_weight_is_set(self):
        self.unit(count=0, more="[run.limits]\ncpu_weight = 321")
        self.home.start()
        self.home.wait_healthy("node")
        self.assertEqual((self.root / "node@0" / "cpu.weight").read_text().strip(), "321")


class MemoryRestart(Tree):
    def test_memory_that_stays_above_restarts_the_node_in_order_and_mapped_files_do_not_count(self):
        for name in ("leaky", "mapped"):
            self.home.unit(name, f"""
[run]
command = ["/usr/bin/env", "python3", "{self.home.path}/{name}.py"]
[run.limits]
memory_restart = "100MiB"
""")
        # The first run leaks, the second does not.
        (self.home.path / "leaky.py").write_text(f"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
first = "{self.home.path}/first"
x = None
if not os.path.exists(first):
    open(first, "w").close()
    x = bytearray(150 << 20)
while True:
    time.sleep(1)
""")
        big = self.home.path / "big"
        with open(big, "wb") as f:
            f.truncate(200 << 20)
        (self.home.path / "mapped.py").write_text(f"""
import mmap, time
with open("{big}", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
for at in range(0, len(m), 4096):
    m[at] = 1
while True:
    time.sleep(1)
""")
        self.home.start()
        leaky = self.home.wait_healthy("leaky")["pid"]
        mapped = self.home.wait_healthy("mapped")["pid"]
        event = self.home.wait_event("leaky", lambda e: e["kind"] == "stopping", "the restart")
        self.assertRegex(event["reason"], r"^uses 1\d\d(\.\d+)?MiB of anonymous and shared memory, "
                                          r"memory_restart is 100MiB$")
        status = wait_until(lambda: self.home.unit_status("leaky")["pid"] not in (None, leaky)
                            and self.home.unit_status("leaky"), "the next run")
        wait_until(lambda: self.home.unit_status("leaky")["restarts"] == 1, "one restart")
        self.assertEqual(status["last_exit"]["code"], 0)
        self.assertEqual(self.home.unit_status("mapped")["pid"], mapped)


if __name__ == "__main__":
    unittest.main()
