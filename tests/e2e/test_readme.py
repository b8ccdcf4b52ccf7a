"""The first five minutes of the README, word for word: only the directory, the port and the build are others."""

import os
import re
import subprocess
import unittest

from hasup_home import BIN, DEADLINE, SOURCE, HasupTest, alive, free_port, wait_until


def blocks():
    return re.findall(r"^```\n(.*?)^```$", (SOURCE / "README.md").read_text(), re.S | re.M)


def block(with_words):
    found = [b for b in blocks() if with_words in b]
    assert len(found) == 1, (with_words, found)
    return found[0]


class Readme(HasupTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.tools = self.home.directory("tools")  # outside of my-hasup, which the README itself creates
        self.inner = self.home.path / "my-hasup"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("HASUP_") or k == "HASUP_SHARE"}
        self.env.update(HOME=str(self.home.path), NO_COLOR="1")

    def shell(self, text):
        """Runs lines of the README in one shell, as a file: pgrep -f must not find the words of bash -c."""
        text = text.replace("8000", str(self.port)).replace("$PWD/build/release/bin", str(BIN))
        script = self.tools / "typed.sh"
        script.write_text("set -e\n" + block("export PATH=").replace("$PWD/build/release/bin", str(BIN)) + text)
        done = subprocess.run(["bash", script], env=self.env, cwd=self.tools, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=DEADLINE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def start_daemon(self):
        self.assertIn("HASUP_HOME=$HOME/my-hasup build/release/bin/hasupd", block("bin/hasupd"))
        self.home.env["HASUP_HOME"] = str(self.inner)
        self.home.start()

    def test_the_first_unit(self):
        self.assertIn("no problems", self.shell(block("cat > $HASUP_HOME/etc/units/web.toml")))
        self.start_daemon()
        said = self.shell(block("kill -9 $(pgrep"))
        self.assertIn("web is healthy", said)
        self.assertIn("KILL", said)
        pid = wait_until(lambda: self.home.unit_status("web")["restarts"] == 1
                         and self.home.unit_status("web")["health"] == "healthy"
                         and self.home.unit_status("web")["pid"], "web was restarted once")
        self.home.kill_daemon()
        self.assertTrue(alive(pid))
        self.start_daemon()
        self.assertEqual(self.home.wait_healthy("web")["pid"], pid)
        (self.inner / "etc/units/app.toml").write_text(block("the web server is there"))
        self.shell("hasup apply; hasup wait app; hasup logs app | grep -q 'the web server is there'; hasup stop --all")
        self.assertFalse(alive(pid))

    def test_the_whole_unit_of_a_leap_node_is_valid(self):
        unit = self.tools / "leap.toml"
        unit.write_text(block('recipe = "nodeos"'))
        self.home.ok("check", unit)


if __name__ == "__main__":
    unittest.main()
