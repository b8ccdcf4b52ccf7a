"""Never two processes on one state: not by another name of the directory, not by another home."""

import os
import signal
import unittest
from pathlib import Path

from hasup_home import HasupHome, HasupTest, alive, wait_until

NODE = """
[data]
dir = "{data}"

[run]
command = ["sh", "-c", "exec sleep 100000"]

[restart]
backoff = {{ initial = "50ms", max = "100ms" }}
{policy}
"""


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


class OneWriter(HasupTest):
    def setUp(self):
        super().setUp()
        self.data = self.home.directory("data")
        (self.data / "state").write_text("1")
        self.other = HasupHome()
        self.addCleanup(self.close_other)

    def close_other(self):
        self.assertEqual(self.other.close(), [])

    def test_a_node_of_another_home_is_refused_until_the_first_has_ended(self):
        link = self.other.path / "link"
        link.symlink_to(self.data)
        # So that the death of its shim does not restart it.
        self.home.unit("node", NODE.format(data=self.data, policy='policy = "never"'))
        self.other.unit("copy", NODE.format(data=link, policy=""))
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        self.other.start()
        status = self.other.wait_for("copy", state="failed")
        self.assertEqual(status["last_exit"]["class"], "data in use")
        self.assertIn("another process runs on its data directory", status["reason"])

        # The shim that held the lock is killed: the next one takes it again.
        os.kill(parent_of(pid), signal.SIGKILL)
        self.home.wait_event("node", lambda e: e["kind"] == "shim_lost", "the shim's death is noticed")
        wait_until(lambda: self.home.unit_status("node")["state"] == "running", "the node is taken over")
        self.assertTrue(alive(pid))
        self.other.hasup("start", "copy", "--timeout", "10s")
        self.assertEqual(self.other.unit_status("copy")["state"], "failed")

        self.home.ok("stop", "node")
        self.other.ok("start", "copy")
        self.other.wait_healthy("copy")
        self.home.hasup("start", "node", "--timeout", "10s")
        self.assertEqual(self.home.unit_status("node")["state"], "failed")

    def test_two_units_on_one_directory_by_two_names_are_an_error(self):
        link = self.home.path / "link"
        link.symlink_to(self.data)
        self.home.unit("node", NODE.format(data=self.data, policy=""))
        self.home.unit("copy", NODE.format(data=link, policy=""))
        done = self.home.hasup("check")
        self.assertEqual(done.returncode, 6)
        self.assertIn("two writers destroy it", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
