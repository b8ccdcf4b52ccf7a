"""A recovery whose journal is damaged, cannot be read, is lost, or cannot be written."""

import shutil
import signal
import subprocess
import unittest

from hasup_home import wait_until
from leap import BLOCKS, LeapTest


class JournalTest(LeapTest):
    def setUp(self):
        super().setUp()
        self.journal = self.home.path / "state" / "journals" / "leap@0"
        self.unit_file = self.home.path / "etc" / "units" / "leap.toml"

    def confirm_for(self, time):
        text = self.unit_file.read_text()
        was = "10m" if '"10m"' in text else "500ms"
        self.unit_file.write_text(text.replace(f'advancing_for = "{was}"', f'advancing_for = "{time}"'))

    def phase(self):
        return (self.home.unit_status("leap")["recovery"] or {}).get("phase")

    def until_confirming(self):
        self.leap_unit(f"file://{self.backup}/")
        self.confirm_for("10m")
        self.make_dirty()
        self.home.start()
        wait_until(lambda: self.phase() == "confirm", "it confirms")

    def kinds(self):
        return [e["kind"] for e in self.home.events("leap")]

    def check_recovered(self):
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())
        self.assertFalse(self.journal.exists())


class Damaged(JournalTest):
    def test_a_changed_byte_is_told_and_a_recovery_by_hand_keeps_the_file_and_begins_anew(self):
        self.until_confirming()
        self.home.kill_daemon(signal.SIGKILL)
        text = bytearray(self.journal.read_bytes())
        text[len(text) // 4] ^= 1
        self.journal.write_bytes(text)
        self.confirm_for("500ms")
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("damaged at byte", status["reason"])
        self.assertIn("hasup recover leap", status["reason"])
        self.assertEqual(self.home.hasup("start", "leap").returncode, 1)
        self.home.ok("stop", "leap")
        self.assertEqual(bytes(text), self.journal.read_bytes())
        done = self.home.hasup("recover", "leap", "--rollback")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("begins anew", done.stdout + done.stderr)
        self.home.ok("recover", "leap", "--yes")
        self.check_recovered()
        self.assertEqual(bytes(text), self.journal.with_name("leap@0.damaged").read_bytes())
        self.assertIn("recovery_leftover", self.kinds())

    def test_one_that_cannot_be_read_is_read_again_by_the_next_start(self):
        self.until_confirming()
        self.home.ok("stop", "leap")
        self.home.kill_daemon(signal.SIGKILL)
        away = self.journal.with_name("away")
        shutil.move(self.journal, away)
        self.journal.mkdir()
        self.home.start()
        for _ in range(2):
            self.assertEqual(self.home.hasup("start", "leap").returncode, 1)
            status = self.home.wait_for("leap", state="failed")
            self.assertIn("Is a directory", status["reason"])
            self.assertIn("hasup start leap", status["reason"])
        self.journal.rmdir()
        shutil.move(away, self.journal)
        self.home.ok("start", "leap", "--no-wait")
        wait_until(lambda: self.phase() == "confirm", "it goes on")
        self.assertNotIn("recovery_leftover", self.kinds())
        self.home.ok("stop", "leap")


if __name__ == "__main__":
    unittest.main()
