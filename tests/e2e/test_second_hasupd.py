"""Two daemons on the same directories: the second is refused and the first does not notice."""

import subprocess
import unittest

from hasup_home import BIN, HasupTest


class SecondDaemon(HasupTest):
    def test_it_is_refused_and_says_who_runs(self):
        self.home.unit("sleeper", '[run]\ncommand = ["sleep", "1000"]\n')
        self.home.start()
        pid = self.home.wait_healthy("sleeper")["pid"]
        second = subprocess.run([BIN / "hasupd"], env=self.home.env, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=60)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn(str(self.home.daemon.pid), second.stdout + second.stderr)
        self.assertIsNone(self.home.daemon.poll())
        self.assertEqual(self.home.wait_healthy("sleeper")["pid"], pid)
        self.assertEqual(self.home.status()["pid"], self.home.daemon.pid)


if __name__ == "__main__":
    unittest.main()
