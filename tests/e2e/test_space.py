"""data.min_free: a node is stopped in order before its disk is full, and comes back when there is room."""

import os
import subprocess
import unittest

from hasup_home import alive
from leap import LeapTest

MIB = 1 << 20


class Space(LeapTest):
    def setUp(self):
        super().setUp()
        self.volume = self.home.directory("volume")
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", self.volume]).returncode:
            self.skipTest("only root can mount a small tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", self.volume], check=True)
        subprocess.run(["cp", "-a", self.data, self.volume / "leap"], check=True)
        self.data = self.volume / "leap"

    def guarded_unit(self, min_free="20MiB"):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[data]\n", f'[data]\nmin_free = "{min_free}"\n'))

    def fill(self, leave):
        """Writes until so many bytes are free."""
        free = os.statvfs(self.volume)
        with open(self.volume / "other", "ab") as f:
            f.write(b"\0" * (free.f_bavail * free.f_frsize - leave))

    def test_a_node_is_stopped_in_order_before_its_disk_is_full_and_comes_back_by_itself(self):
        self.guarded_unit()
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.fill(23 * MIB)
        event = self.home.wait_event("leap", lambda e: e["kind"] == "disk_low", "it warns")
        self.assertIn("below that it is stopped", event["reason"])
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.fill(10 * MIB)
        status = self.home.wait_for("leap", state="waiting")
        self.assertIn("min_free is 20MiB; waiting for 22MiB", status["reason"])
        self.assertFalse(alive(pid))
        self.assertEqual((status["last_exit"]["code"], status["last_exit"]["signal"]), (0, None))
        kinds = [e["kind"] for e in self.home.events("leap")]
        self.assertNotIn("killed", kinds)
        self.assertIn("min_free", self.home.ok("why", "leap"))
        (self.volume / "other").unlink()
        status = self.home.wait_healthy("leap")
        self.assertEqual(status["recoveries"], 0)

    def test_a_node_in_maintenance_is_left_alone_until_that_ends(self):
        self.guarded_unit()
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.home.ok("maintenance", "on", "leap")
        self.fill(23 * MIB)
        self.home.wait_event("leap", lambda e: e["kind"] == "disk_low", "it warns")
        self.fill(10 * MIB)
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.home.ok("maintenance", "off", "leap")
        self.home.wait_for("leap", state="waiting")

    def test_min_free_is_asked_of_what_runs_when_it_comes_with_apply(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.guarded_unit(min_free="1GiB")
        self.home.ok("apply")
        self.home.wait_for("leap", state="waiting")
        self.assertFalse(alive(pid))


if __name__ == "__main__":
    unittest.main()
