"""The process tree of a unit: every descendant is reached, none is overlooked, limits hold and are reported."""

import os
import signal
import unittest

from hasup_home import HasupTest, alive, processes_of, start_time, wait_until

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
        self.assertEqual(len(self.copies()), 2)

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


if __name__ == "__main__":
    unittest.main()
