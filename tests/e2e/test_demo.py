"""`hasup demo` recovers, cleans up after itself however it ends, and keeps running when asked to."""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from hasup_home import BIN, DEADLINE, processes_of, wait_until


class Demo(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix="hasup-e2e-demo-")
        self.addCleanup(self.tmp.cleanup)
        self.addCleanup(self.assert_nothing_left)
        self.env = dict(os.environ, TMPDIR=self.tmp.name, NO_COLOR="1")

    def assert_nothing_left(self):
        left = {}

        def nothing_left():
            nonlocal left
            left = processes_of(self.tmp.name)
            return not left
        try:
            # What has been ended may need a moment: a shim, the leak checker of a sanitizer.
            wait_until(nothing_left, "nothing of the demonstration is left", 30)
        except AssertionError:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.fail(f"processes left: {left}")

    def demo(self, *words):
        return subprocess.run([BIN / "hasup", "demo", *words], env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=DEADLINE)

    def test_json_says_what_was_refused_and_restored(self):
        done = self.demo("--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        said = json.loads(done.stdout)
        self.assertIs(said["recovered"], True)
        self.assertEqual(len(said["rejected"]), 1)
        self.assertLess(said["snapshot"].rsplit("-", 1)[1], said["rejected"][0].rsplit("-", 1)[1])
        self.assertGreater(said["failed_exit_to_healthy_s"], 0)
        self.assertIsNone(said["home"])
        self.assertEqual(os.listdir(self.tmp.name), [])

    def test_the_story_is_told(self):
        done = self.demo()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for words in ("kill -9", "code 2", "sha256", "refused", "restored", "healthy", "UNIT"):
            self.assertIn(words, done.stdout)

    def test_ctrl_c_leaves_nothing(self):
        running = subprocess.Popen([BIN / "hasup", "demo"], env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(running.stdout.close)
        self.addCleanup(running.stderr.close)
        for line in running.stdout:
            if "leap" in line and "healthy" in line:
                break
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        self.assertNotEqual(running.wait(DEADLINE), 0)
        self.assertEqual(os.listdir(self.tmp.name), [])

    def test_keep_leaves_it_running_and_says_how_to_talk_to_it(self):
        done = self.demo("--keep")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.end_what_runs_on(done.stdout)

    def test_keep_with_json_names_the_home_and_says_how_to_talk_to_it_beside_the_json(self):
        done = self.demo("--keep", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["home"], self.end_what_runs_on(done.stderr))

    def end_what_runs_on(self, said):
        """As it was told to; the home."""
        home = re.search(r"HASUP_HOME=(\S+)", said)[1]
        pids = [int(p) for p in re.search(r"&& kill (\d+) (\d+)", said).groups()]
        env = dict(self.env, HASUP_HOME=home)
        status = subprocess.run([BIN / "hasup", "status"], env=env, capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(status.returncode, 0, status.stdout + status.stderr)
        history = subprocess.run([BIN / "hasup", "recover", "leap", "--history"], env=env, capture_output=True, text=True,
                                 timeout=DEADLINE).stdout.splitlines()
        self.assertEqual(len(history), 1, history)
        self.assertRegex(history[0], r"recovered in .* from snapshot-\S+, 1 refused; why: exited with code 2: dirty database "
                                     r"\(\"error .*database dirty flag set .*\"\)$")
        subprocess.run([BIN / "hasup", "stop", "--all"], env=env, check=True, timeout=DEADLINE, capture_output=True)
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not processes_of(self.tmp.name), "all of the demonstration ended")
        self.assertTrue(Path(home).exists())
        return home


if __name__ == "__main__":
    unittest.main()
