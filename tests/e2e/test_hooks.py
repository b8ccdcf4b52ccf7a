"""The commands around a run: pre_start, post_start, stop_command, post_stop, check_command and reload."""

import os
import signal
import unittest
from datetime import datetime
from pathlib import Path

from hasup_home import HasupTest, alive, processes_of, wait_until

NODE = """
[run]
command = ["sh", "-c", "echo node >> {trace}; trap 'echo reloaded >> {trace}' HUP; while :; do sleep 0.05; done"]
env = {{ TRACE = "{trace}" }}
{hooks}

[restart]
backoff = {{ initial = "50ms", max = "100ms" }}
"""


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Hooks(HasupTest):
    def setUp(self):
        super().setUp()
        self.trace = self.home.path / "trace"
        self.trace.write_text("")

    def node(self, hooks):
        self.home.unit("node", NODE.format(trace=self.trace, hooks=hooks))

    def lines(self):
        return self.trace.read_text().splitlines()

    def hook_log(self):
        return "".join(path.read_text() for path in (self.home.path / "log").glob("node+*.log"))

    def test_they_run_in_order_and_what_they_print_is_logged(self):
        self.node("""
pre_start = [["sh", "-c", "echo one >> $TRACE; echo preparing $HASUP_UNIT"], ["sh", "-c", "echo two >> $TRACE"]]
post_start = ["sh", "-c", "echo up >> $TRACE"]
post_stop = ["sh", "-c", "echo down $HASUP_EXIT_CODE$HASUP_EXIT_SIGNAL >> $TRACE"]
""")
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        wait_until(lambda: "up" in self.lines() and "node" in self.lines(), "post_start ran")
        self.assertEqual(self.lines()[:2], ["one", "two"])
        wait_until(lambda: "stdout F preparing node" in self.hook_log(), "the hook's output is logged")
        self.assertRegex(self.home.ok("logs", "node"), r"node:pre_start +\| preparing node")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.lines().count("node") == 2, "the node runs again")
        lines = self.lines()
        self.assertLess(lines.index("down KILL"), len(lines) - 1 - lines[::-1].index("one"), lines)
        self.home.wait_healthy("node")
        wait_until(lambda: self.lines().count("up") == 2, "post_start ran again")
        self.home.ok("stop", "node")
        wait_until(lambda: self.lines()[-1].startswith("down "), "post_stop ran")
        self.assertEqual(self.lines().count("down TERM"), 1, self.lines())

    def test_a_failing_pre_start_fails_the_start_and_says_why(self):
        self.node("""
pre_start = [["sh", "-c", "echo the volume is read-only; exit 3"], ["sh", "-c", "echo never >> $TRACE"]]
post_stop = ["sh", "-c", "echo down >> $TRACE"]
""")
        self.home.start()
        event = self.home.wait_event("node", lambda e: e["kind"] == "start_failed", "a failed start")
        self.assertIn("pre_start: sh ended with code 3: the volume is read-only", event["reason"])
        self.assertEqual(self.lines(), [])
        status = self.home.unit_status("node")
        self.assertEqual(status["last_exit"]["class"], "pre_start failed")
        self.assertIsNone(status["pid"])
        self.home.ok("stop", "node")

    def test_a_stop_during_pre_start_ends_it_and_starts_nothing(self):
        self.node('pre_start = ["sh", "-c", "echo began >> $TRACE; exec sleep 1000"]')
        self.home.start()
        wait_until(lambda: self.lines() == ["began"], "pre_start runs")
        self.home.ok("stop", "node", "--timeout", "30s")
        self.assertEqual(self.home.unit_status("node")["state"], "stopped")
        self.assertEqual(self.lines(), ["began"])

    def test_a_stop_during_pre_start_lets_it_end_in_order(self):
        # The shell that runs it ends at once; what it runs does not.
        self.node('''pre_start = ["sh", "-c", "sh -c 'trap \\"sleep 0.7; echo flushed >> $TRACE; exit 0\\" TERM; echo began >> $TRACE; while :; do sleep 0.05; done'; echo never >> $TRACE"]''')
        self.home.start()
        wait_until(lambda: self.lines() == ["began"], "pre_start runs")
        self.home.ok("stop", "node", "--timeout", "30s")
        self.assertEqual(self.lines(), ["began", "flushed"])
        self.assertNotIn("killed", [e["kind"] for e in self.home.events("node")])

    def test_a_pre_start_that_ignores_a_stop_is_killed_and_that_is_told(self):
        self.node('''pre_start = ["sh", "-c", "trap '' TERM; echo $$$$ > $TRACE.pid; echo began >> $TRACE; while :; do sleep 0.05; done"]
hook_timeout = "1s"
stop_timeout = "20m"''')
        self.home.start()
        wait_until(lambda: self.lines() == ["began"], "pre_start runs")
        pid = int(Path(f"{self.trace}.pid").read_text())
        self.home.ok("stop", "node", "--timeout", "30s")
        event = self.home.wait_event("node", lambda e: e["kind"] == "killed", "the kill is told")
        self.assertIn("pre_start: SIGKILL after 1s", event["reason"])
        self.assertFalse(alive(pid))

    def flushing(self, stop_command):
        self.home.unit("node", f'''
[run]
command = ["sh", "-c", "trap 'sleep 1; echo flushed >> {self.trace}; exit 0' TERM; echo node >> {self.trace}; while :; do sleep 0.05; done"]
env = {{ TRACE = "{self.trace}" }}
stop_timeout = "3s"
stop_command = {stop_command}
''')
        self.home.start()
        self.home.wait_healthy("node")
        wait_until(lambda: self.lines() == ["node"], "the trap is set")

    def assert_flushed(self):
        event = self.home.wait_event("node", lambda e: e["kind"] == "stop_command_failed", "stop_command failed")
        self.assertIn("no end within 3s of stop_command; sending TERM", event["reason"])
        self.assertEqual(self.lines()[-1], "flushed")
        status = self.home.unit_status("node")
        self.assertFalse(status["killed"], status)

    def test_a_node_gets_its_stop_signal_when_stop_command_does_nothing(self):
        self.flushing('["/bin/true"]')
        self.home.ok("stop", "node", "--no-wait")
        status = self.home.wait_for("node", state="stopping")
        seconds = (moment(status["kill_at"]) - moment(status["since"])).total_seconds()
        self.assertGreater(seconds, 5.9, status)
        self.home.wait_for("node", state="stopped")
        self.assert_flushed()

    def test_a_node_gets_its_stop_signal_when_stop_command_hangs(self):
        self.flushing('["sh", "-c", "echo $$$$ > $TRACE.pid; exec sleep 100"]')
        self.home.ok("stop", "node")
        self.assert_flushed()
        self.assertFalse(alive(int(Path(f"{self.trace}.pid").read_text())))

    def test_a_stop_command_does_not_reach_into_the_next_run(self):
        # It stops the node and goes on; asked to end, it takes a moment.
        self.node('''stop_command = ["sh", "-c", "trap 'sleep 0.7; echo stopper ended >> $TRACE; exit 0' TERM; kill -TERM $(cat $TRACE.pid) || exit 1; while :; do sleep 0.05; done"]
pre_start = ["sh", "-c", "echo next >> $TRACE"]''')
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        Path(f"{self.trace}.pid").write_text(str(pid))
        wait_until(lambda: "node" in self.lines(), "the node runs")
        self.home.ok("restart", "node")
        wait_until(lambda: self.lines().count("node") == 2, "the next run")
        self.assertEqual(self.lines(), ["next", "node", "stopper ended", "next", "node"])

    def test_a_hook_that_hangs_is_killed_after_its_timeout(self):
        self.node('pre_start = ["sleep", "1000"]\nhook_timeout = "200ms"')
        self.home.start()
        event = self.home.wait_event("node", lambda e: e["kind"] == "start_failed", "a failed start")
        self.assertIn("took longer than 200ms", event["reason"])

    def test_a_stop_command_stops_and_one_that_fails_gives_way_to_the_signal(self):
        self.node('stop_command = [["sh", "-c", "echo asked >> $TRACE"], ["sh", "-c", "kill -TERM $(cat $TRACE.pid)"]]')
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        Path(f"{self.trace}.pid").write_text(str(pid))
        self.home.ok("stop", "node")
        self.assertIn("asked", self.lines())
        self.node('stop_command = ["sh", "-c", "echo no such node; exit 4"]')
        self.home.ok("apply")
        self.home.ok("start", "node")
        self.home.ok("stop", "node")
        self.home.wait_event("node", lambda e: "no such node" in e["reason"], "the failing stop_command is told")

    def test_reload_checks_first_then_sends_the_signal(self):
        self.node('reload_signal = "HUP"\ncheck_command = ["sh", "-c", "test ! -e $TRACE.bad || { echo bad config; exit 1; }"]')
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        wait_until(lambda: "node" in self.lines(), "the trap is set")
        self.home.ok("reload", "node")
        wait_until(lambda: "reloaded" in self.lines(), "the signal arrived")
        Path(f"{self.trace}.bad").write_text("")
        done = self.home.hasup("reload", "node")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("bad config", done.stdout + done.stderr)
        self.assertEqual(self.home.wait_healthy("node")["pid"], pid)
        self.assertEqual(self.lines().count("reloaded"), 1)

    def test_hooks_of_a_node_that_runs_are_not_repeated_by_the_next_hasupd(self):
        self.node('pre_start = ["sh", "-c", "echo pre >> $TRACE"]\npost_start = ["sh", "-c", "echo up >> $TRACE"]')
        self.home.start()
        self.home.wait_healthy("node")
        wait_until(lambda: "up" in self.lines(), "post_start ran")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_healthy("node")
        self.home.wait_event("node", lambda e: e["kind"] == "adopted", "the node is adopted")
        self.assertEqual(sorted(self.lines()), ["node", "pre", "up"])

    def killed_in(self, hook, began="began"):
        """hasupd dies while a hook runs that ends when the file is there."""
        self.home.start()
        wait_until(lambda: began in self.lines(), f"{hook} runs")
        self.home.kill_daemon(signal.SIGKILL)

    def waits_for(self, word):
        # What it prints meanwhile must not end it: the pipe is its shim's.
        return ('["sh", "-c", "echo began >> $TRACE; while test ! -e $TRACE.go; do echo busy; sleep 0.05; done; '
                f'echo {word} >> $TRACE"]')

    def go(self):
        Path(f"{self.trace}.go").write_text("")

    def test_a_pre_start_outlives_hasupd_and_does_not_run_beside_itself(self):
        self.node(f"pre_start = {self.waits_for('made')}")
        self.killed_in("pre_start")
        self.home.start()
        self.home.wait_event("node", lambda e: e["kind"] == "waiting_for_hook", "the next hasupd finds it")
        self.assertEqual(self.lines(), ["began"])
        self.go()
        self.home.wait_healthy("node")
        wait_until(lambda: "node" in self.lines(), "the node runs")
        self.assertEqual(self.lines(), ["began", "made", "began", "made", "node"])

    def test_a_pre_start_of_before_is_ended_by_a_stop(self):
        self.node(f"pre_start = {self.waits_for('made')}")
        self.killed_in("pre_start")
        self.home.start()
        self.home.wait_event("node", lambda e: e["kind"] == "waiting_for_hook", "the next hasupd finds it")
        self.home.ok("stop", "node", "--timeout", "30s")
        self.assertEqual(self.shims(), [])
        self.go()
        self.home.ok("start", "node")
        wait_until(lambda: "node" in self.lines(), "the node runs")
        self.assertEqual(self.lines(), ["began", "began", "made", "node"])

    def test_a_pre_start_of_before_has_its_time_too(self):
        self.node(f"pre_start = {self.waits_for('made')}\nhook_timeout = \"3s\"")
        self.killed_in("pre_start")
        self.home.start()
        self.home.wait_event("node", lambda e: e["kind"] == "start_failed", "the second one has begun and failed")
        self.assertGreaterEqual(self.lines().count("began"), 2)
        self.go()
        self.home.wait_healthy("node")

    def test_a_post_stop_of_before_ends_before_the_next_run_begins(self):
        self.node(f"post_stop = {self.waits_for('cleaned')}")
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        wait_until(lambda: "node" in self.lines(), "the node runs")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "began" in self.lines(), "post_stop runs")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_event("node", lambda e: e["kind"] == "waiting_for_hook" or e["kind"] == "adopted", "back")
        self.go()
        wait_until(lambda: self.lines().count("node") == 2, "the next run")
        cleaned = [i for i, line in enumerate(self.lines()) if line == "cleaned"]
        self.assertLess(cleaned[-1], len(self.lines()) - 1)

    def test_a_stop_command_of_before_is_not_run_beside_itself(self):
        self.node(f'stop_command = [{self.waits_for("asked")}, ["sh", "-c", "kill -TERM $(cat $TRACE.pid)"]]')
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        wait_until(lambda: "node" in self.lines(), "the node runs")
        Path(f"{self.trace}.pid").write_text(str(pid))
        self.home.ok("stop", "node", "--no-wait")
        wait_until(lambda: "began" in self.lines(), "stop_command runs")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_for("node", state="stopping")
        self.assertEqual(self.lines().count("began"), 1)
        self.go()
        self.home.wait_for("node", state="stopped")
        lines = self.lines()
        self.assertLess(lines.index("asked"), len(lines) - 1 - lines[::-1].index("began"), lines)
        wait_until(lambda: self.shims() == [], "no shim is left")

    def shims(self):
        return [c for c in processes_of(self.home.path).values() if "hasup-shim" in c]

    def test_what_a_hook_leaves_behind_is_ended_with_it(self):
        self.node('pre_start = ["sh", "-c", "(setsid sh -c \'echo $$$$ > $TRACE.left; exec sleep 1000\' &); '
                  'while test ! -s $TRACE.left; do sleep 0.01; done"]')
        self.home.start()
        self.home.wait_healthy("node")
        self.assertFalse(alive(int(Path(f"{self.trace}.left").read_text())))


if __name__ == "__main__":
    unittest.main()
