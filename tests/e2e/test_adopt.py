"""start --adopt: a node that somebody else started becomes the unit's own, and what must not be taken is left alone."""

import os
import signal
import subprocess
import unittest

from hasup_home import DEMO_NODE, HasupHome, HasupTest, alive, end_process, get_info, start_time, wait_until
from leap import BLOCKS, LeapTest

HOLDER = 'exec 9>>"$0/held"; trap "echo bye; exit 0" TERM; echo begun; while :; do sleep 0.1 9>&-; done'

UNIT = """
enabled = false
[data]
dir = "{data}"
[run]
command = ["/bin/bash", "-c", '''{holder}''', "{data}"]
stop_timeout = "20s"
{more}
[restart]
backoff = {{ initial = "50ms", max = "100ms" }}
"""


class Adopt(HasupTest):
    def setUp(self):
        super().setUp()
        self.data = self.home.directory("data")
        self.unit()
        self.home.start()

    def unit(self, more=""):
        self.home.unit("node", UNIT.format(data=self.data, holder=HOLDER, more=more))

    def start_outside(self, **options):
        """As a person starts it in a shell; its Popen."""
        log = self.home.path / "outside.log"
        out = open(log, "ab")
        self.addCleanup(out.close)
        before = log.read_text().count("begun")
        process = subprocess.Popen(["/bin/bash", "-c", HOLDER, self.data], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=out, cwd="/", **options)
        self.addCleanup(end_process, process)
        wait_until(lambda: log.read_text().count("begun") > before, "it has begun")
        return process

    def refused(self, unit="node"):
        done = self.home.hasup("start", unit, "--adopt")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(self.home.unit_status(unit)["state"], "stopped")
        return done.stderr

    def test_it_runs_on_as_the_units_own_is_stopped_in_order_and_starts_again_under_hasup(self):
        outside = self.start_outside()
        done = self.home.hasup("start", "node", "--timeout", "30s")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"pid {outside.pid}", done.stderr)
        self.home.ok("start", "node", "--adopt")
        status = self.home.wait_healthy("node")
        self.assertEqual(status["pid"], outside.pid)
        self.assertIsNone(outside.poll())
        # It survives hasupd, and what took it over.
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.assertEqual(self.home.wait_healthy("node")["pid"], outside.pid)
        self.home.ok("stop", "node")
        self.assertEqual(outside.wait(20), 0)
        self.assertIn("bye", (self.home.path / "outside.log").read_text())  # the stop signal, not SIGKILL
        status = self.home.unit_status("node")
        self.assertEqual((status["state"], status["killed"]), ("stopped", False))
        self.assertEqual(status["last_exit"], dict(status["last_exit"], code=None, signal=None, **{"class": "lost"}))
        self.home.ok("start", "node")
        self.assertNotEqual(self.home.wait_healthy("node")["pid"], outside.pid)
        wait_until(lambda: "begun" in self.home.log_text("node"), "its output is in the log")

    def test_when_it_dies_hasup_starts_it_again(self):
        outside = self.start_outside()
        self.home.ok("start", "node", "--adopt")
        outside.kill()
        outside.wait()
        status = self.home.wait_for("node", state="running", restarts=1)
        self.assertNotEqual(status["pid"], outside.pid)
        self.assertEqual(status["last_exit"]["class"], "lost")

    def test_the_top_of_a_tree_is_taken_and_all_of_it_is_stopped(self):
        script = f'exec 9>>"{self.data}/held"; sleep 500 & echo $! > {self.home.path}/child; wait'
        outside = subprocess.Popen(["/bin/bash", "-c", script], stdin=subprocess.DEVNULL)
        self.addCleanup(end_process, outside)
        wait_until((self.home.path / "child").exists, "it has a child")
        child = int(wait_until((self.home.path / "child").read_text, "its pid").strip())
        self.home.ok("start", "node", "--adopt")
        self.assertEqual(self.home.unit_status("node")["pid"], outside.pid)
        self.home.ok("stop", "node")
        outside.wait(20)
        wait_until(lambda: not alive(child), "the child was ended too")

    def test_its_pipes_are_read_when_nobody_else_reads_them(self):
        reads, writes = os.pipe()
        script = f'exec 9>>"{self.data}/held"; trap "" PIPE; while ! [ -e {self.home.path}/go ]; do sleep 0.05; done; echo "said to hasup"; sleep 500'
        outside = subprocess.Popen(["/bin/bash", "-c", script], stdin=subprocess.DEVNULL, stdout=writes)
        self.addCleanup(end_process, outside)
        os.close(writes)
        os.close(reads)
        wait_until((self.data / "held").exists, "it has its file open")
        self.home.ok("start", "node", "--adopt")
        (self.home.path / "go").touch()
        wait_until(lambda: "said to hasup" in self.home.log_text("node"), "its output is in the unit's log")

    def test_what_must_not_be_taken_is_refused_and_left_alone(self):
        self.assertIn("no process has", self.refused())
        self.home.unit("plain", 'enabled = false\n[run]\ncommand = ["/bin/sleep", "1"]\n')
        self.home.ok("apply")
        self.assertIn("has no [data] dir", self.refused("plain"))

        one = self.start_outside()
        two = self.start_outside()
        said = self.refused()
        self.assertIn("not one tree", said)
        self.assertIn(f"pid {one.pid}", said)
        self.assertIn(f"pid {two.pid}", said)
        end_process(two)
        self.assertIsNone(one.poll())
        self.home.ok("start", "node", "--adopt")
        done = self.home.hasup("start", "node", "--adopt")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not at rest", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_a_process_of_another_user_is_refused(self):
        os.chmod(self.data, 0o777)
        outside = self.start_outside(user=65534, group=65534, extra_groups=[])
        self.assertIn("runs as user 65534", self.refused())
        self.unit('user = "nobody"')
        self.home.ok("apply")
        self.home.ok("start", "node", "--adopt")
        self.assertEqual(self.home.unit_status("node")["pid"], outside.pid)

    def test_a_node_of_another_hasup_is_refused(self):
        other = HasupHome()
        self.addCleanup(lambda: self.assertEqual(other.close(), []))
        link = other.path / "link"
        link.symlink_to(self.data)
        other.unit("copy", UNIT.format(data=link, holder=HOLDER, more=""))
        other.start()
        other.ok("start", "copy")
        pid = other.wait_healthy("copy")["pid"]
        wait_until((self.data / "held").exists, "it has its file open")
        self.assertIn("runs under a hasup already", self.refused())
        self.assertTrue(alive(pid))
        self.assertEqual(other.unit_status("copy")["state"], "running")


class AdoptNodeos(LeapTest):
    def test_a_nodeos_that_was_started_by_hand_is_probed_and_goes_on_with_its_blocks(self):
        self.leap_unit("file:///nowhere")
        text = (self.home.path / "etc" / "units" / "leap.toml").read_text()
        self.home.unit("leap", "enabled = false\n" + text)
        outside = subprocess.Popen([DEMO_NODE, "nodeos", "--data-dir", self.data, "--http", f"127.0.0.1:{self.port}",
                                    "--block-interval", "100ms"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(end_process, outside)

        def head():
            try:
                return get_info(self.port)["head_block_num"]
            except OSError:
                return None
        wait_until(head, "it answers")
        identity = start_time(outside.pid)
        self.home.start()
        self.home.ok("start", "leap", "--adopt")
        status = self.home.wait_healthy("leap")
        self.assertEqual((status["pid"], start_time(status["pid"])), (outside.pid, identity))
        self.assertGreaterEqual(status["head"]["number"], BLOCKS)
        self.home.ok("restart", "leap")
        self.assertNotEqual(self.home.wait_healthy("leap")["pid"], outside.pid)
        self.assertGreaterEqual(head(), status["head"]["number"])


if __name__ == "__main__":
    unittest.main()
