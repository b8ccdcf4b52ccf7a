"""A shim is killed: its node is read on by the next one and restarted in order, and nothing of its tree is overlooked."""

import array
import fcntl
import os
import signal
import subprocess
import termios
import unittest
from pathlib import Path

import test_process_tree
from hasup_home import HasupTest, alive, processes_of, start_time, wait_until

# Notices by itself that its shim is gone, and writes far more than a pipe holds; does so again when told to end, and
# its child once more after that.
TALKER = """
import os, signal, sys, time
LINES = 20000
shim = os.getppid()
def talk(who, lines=LINES):
    for i in range(lines):
        sys.stdout.write(f"{i} {who}\\n")
    sys.stdout.flush()
def child(parent):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while os.getppid() == parent:
        time.sleep(0.01)
    talk("child")
    os._exit(0)
noticed = False
def look():
    global noticed
    if noticed or os.getppid() == shim:
        return
    noticed = True
    talk("shim gone")
    sys.stdout.write("all said\\n")
    sys.stdout.flush()
def end(*_):
    look() # the next shim may ask before this process has looked for the first one
    talk("asked to end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
me = os.getpid()
if os.fork() == 0:
    os.setsid()
    child(me)
with open(sys.argv[1], "a") as f:
    f.write(f"{me}\\n")
while os.getppid() == shim:
    time.sleep(0.005)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
look()
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
while True:
    time.sleep(1)
"""

UNIT = """
[run]
command = ["/usr/bin/env", "python3", "{script}", "{runs}"]
stop_timeout = "60s"
{more}
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
{restart}
[log]
max_size = "1GiB"
"""


def share_in_pipe(pid):
    """How full the pipe is that is the standard output of a process; its size depends on what the user has left."""
    fd = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    try:
        count = array.array("i", [0])
        fcntl.ioctl(fd, termios.FIONREAD, count)
        return count[0] / fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
    finally:
        os.close(fd)


class Talker(HasupTest):
    def setUp(self):
        super().setUp()
        self.keep_log_in_memory()
        self.script = self.home.path / "talker.py"
        self.script.write_text(TALKER)
        self.runs = self.home.path / "runs"
        self.unit()

    def keep_log_in_memory(self):
        """A flood onto a real disk may meet one that stalls, for which dropping lines is right. Others than root try it
        there all the same."""
        log = self.home.directory("log")
        if os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", log]).returncode == 0:
            self.addCleanup(subprocess.run, ["umount", "-l", log], check=True)

    def unit(self, more="", restart=""):
        self.home.unit("node", UNIT.format(script=self.script, runs=self.runs, more=more, restart=restart))

    def ready(self):
        pid = self.home.wait_healthy("node")["pid"]
        wait_until(lambda: self.runs.exists() and str(pid) in self.runs.read_text().split(), "the node has begun")
        return pid

    def shim(self):
        return next(pid for pid, c in processes_of(self.home.path).items() if "hasup-shim" in c and "node@0" in c)

    def said(self, who):
        return [int(text.split(" ", 1)[0]) for _, text in self.home.log_lines("node") if text.endswith(" " + who)]

    def assert_whole(self, who):
        self.assertEqual(self.said(who), list(range(20000)), who)

    def await_next_run(self, pid):
        return wait_until(lambda: self.home.unit_status("node")["pid"] not in (None, pid)
                          and self.home.unit_status("node"), "the next run")

    def assert_lost(self):
        exit = self.home.unit_status("node")["last_exit"]
        self.assertEqual((exit["class"], exit["code"], exit["signal"]), ("lost", None, None))


class RestartedInOrder(Talker):
    def test_no_line_is_missing_and_the_exit_is_lost(self):
        self.home.start()
        pid = self.ready()
        os.kill(self.shim(), signal.SIGKILL)
        status = self.await_next_run(pid)
        self.assertEqual(status["restarts"], 1)
        self.assert_lost()
        self.assertFalse(status["killed"])
        for who in ("shim gone", "asked to end", "child"):
            self.assert_whole(who)
        events = self.home.events("node")
        kinds = [e["kind"] for e in events]
        self.assertLess(kinds.index("shim_lost"), kinds.index("stopping"))
        self.assertIn("its shim died", next(e["reason"] for e in events if e["kind"] == "stopping"))
        self.assertIn("lost", self.home.ok("why", "node"))
        # The next one is a child again, with an exit that is known.
        os.kill(self.ready(), signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("node")["last_exit"]["signal"] == 9, "the exit of the next run")

    def test_also_when_shim_and_hasupd_die_together(self):
        self.home.start()
        pid = self.ready()
        shim = self.shim()
        self.home.kill_daemon(signal.SIGKILL)
        os.kill(shim, signal.SIGKILL)
        # It fills its pipe and waits there: nobody reads.
        wait_until(lambda: share_in_pipe(pid) > 0.5, "it has filled its pipe")
        self.home.start()
        self.await_next_run(pid)
        self.assert_lost()
        for who in ("shim gone", "asked to end", "child"):
            self.assert_whole(who)

    def test_a_hasupd_that_dies_between_the_attachment_and_the_restart_leaves_it_to_the_next(self):
        self.unit(restart='policy = "never"')
        self.home.start()
        pid = self.ready()
        os.kill(self.shim(), signal.SIGKILL)
        wait_until(lambda: "all said" in self.home.log_text("node"), "a new shim reads it")
        self.home.kill_daemon(signal.SIGKILL)
        self.unit()
        self.home.start()
        self.await_next_run(pid)
        self.assert_lost()
        self.assert_whole("asked to end")

    def test_what_is_never_started_again_comes_to_its_end(self):
        self.unit(restart='policy = "never"')
        self.home.start()
        pid = self.ready()
        os.kill(self.shim(), signal.SIGKILL)
        wait_until(lambda: "all said" in self.home.log_text("node"), "a new shim reads it")
        self.assertEqual(self.home.unit_status("node")["pid"], pid)
        os.kill(pid, signal.SIGTERM)
        self.home.wait_for("node", state="failed")
        self.assert_lost()
        for who in ("shim gone", "asked to end", "child"):
            self.assert_whole(who)

    def test_in_maintenance_it_runs_on_until_maintenance_ends_also_over_a_death_of_hasupd(self):
        self.home.start()
        pid = self.ready()
        self.home.ok("maintenance", "on", "node")
        os.kill(self.shim(), signal.SIGKILL)
        self.home.wait_event("node", lambda e: e["kind"] == "restart_held", "the restart is held")
        for _ in range(2):
            status = self.home.wait_healthy("node")
            self.assertEqual(status["pid"], pid)
            self.assertIn("held by maintenance: its shim died", status["reason"])
            story = self.home.ok("why", "node")
            self.assertIn("then it is restarted in order: its shim died", story)
            self.assertIn("hasup maintenance off node", story)
            self.home.kill_daemon(signal.SIGKILL)
            self.home.start()
            wait_until(lambda: "held by maintenance" in self.home.unit_status("node")["reason"], "it is held again")
        self.home.ok("maintenance", "off", "node")
        self.assertEqual(self.await_next_run(pid)["restarts"], 1)
        self.assert_lost()
        for who in ("shim gone", "asked to end", "child"):
            self.assert_whole(who)

    def test_a_stop_that_was_under_way_ends_without_a_kill(self):
        self.home.start()
        pid = self.ready()
        shim = self.shim()
        os.kill(shim, signal.SIGSTOP)  # what it is told now it never passes on
        self.home.ok("stop", "node", "--no-wait")
        self.home.wait_for("node", state="stopping")
        os.kill(shim, signal.SIGKILL)
        self.home.wait_for("node", state="stopped")
        self.assertFalse(self.home.unit_status("node")["killed"])
        self.assertFalse(alive(pid))
        self.assert_whole("asked to end")


# Leaves parent and session only when its shim is gone, and all of its outputs too.
LEAVER = """
import os, signal, sys, time
shim = os.getppid()
print("knows its shim", flush=True)
def leave(clean):
    if os.fork() > 0:
        os.wait()
        return
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid()) + chr(10)); time.sleep(100000)"
    words = [sys.executable, "-c", code, sys.argv[1]]
    os.execve(sys.executable, words, {} if clean else dict(os.environ))
while os.getppid() == shim:
    time.sleep(0.005)
leave(len(sys.argv) > 2)
while True:
    time.sleep(1)
"""


class Leaving:
    def leaver(self, clean=False):
        script = self.home.path / "leaver.py"
        script.write_text(LEAVER)
        self.left_file = self.home.path / "left"
        words = "".join(f', "{w}"' for w in [script, self.left_file] + (["clean"] if clean else []))
        self.home.unit("node", f"""
[run]
command = ["/usr/bin/env", "python3"{words}]
stop_timeout = "5s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
""")
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        shim = next(p for p, c in processes_of(self.home.path).items() if "hasup-shim" in c and "node@0" in c)
        wait_until(lambda: "knows its shim" in self.home.ok("logs", "node"), "it knows its shim")
        self.home.kill_daemon(signal.SIGKILL)
        os.kill(shim, signal.SIGKILL)
        wait_until(lambda: self.left_file.exists() and self.left_file.read_text().endswith("\n"), "it has left")
        stray = int(self.left_file.read_text())
        self.stray = (stray, start_time(stray))
        self.addCleanup(self.end_stray)
        return pid

    def end_stray(self):
        pid, since = self.stray
        if alive(pid) and start_time(pid) == since:
            os.kill(pid, signal.SIGKILL)

    def assert_found(self, main):
        self.home.start()
        seen_two = []

        def next_run():
            pid = self.home.unit_status("node")["pid"]
            if pid not in (None, main) and alive(self.stray[0]):
                seen_two.append(pid)
            return pid not in (None, main)
        wait_until(next_run, "the next run")
        self.assertEqual(seen_two, [], "a second run began while part of the first lived")
        self.assertFalse(alive(self.stray[0]))


class LeftWhileNoShimLived(Leaving, HasupTest):
    def test_it_is_known_by_the_mark_in_its_environment(self):
        main = self.leaver()
        self.assertIn(b"HASUP_TREE=node@0:", Path(f"/proc/{self.stray[0]}/environ").read_bytes())
        self.assert_found(main)

    def test_it_is_known_by_the_mark_when_its_main_process_is_gone_too(self):
        main = self.leaver()
        os.kill(main, signal.SIGKILL)
        self.assert_found(main)


class LeftInItsCgroup(Leaving, test_process_tree.Cgroup):
    def test_it_is_known_without_the_mark(self):
        main = self.leaver(clean=True)
        self.assertNotIn(b"HASUP_TREE", Path(f"/proc/{self.stray[0]}/environ").read_bytes())
        os.kill(main, signal.SIGKILL)
        self.assert_found(main)


if __name__ == "__main__":
    unittest.main()
