"""What a plan shares, nodeos' blocks: as it was after a roll back where the file system has reflinks, and said to be not
where it has none."""

import hashlib
import json
import os
import signal
import subprocess
import unittest

from hasup_home import wait_until
from leap import LeapTest


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class SharedEntries(LeapTest):
    def volume_with_reflinks(self):
        """Moves the data to an xfs of the test's own."""
        image, volume = self.home.path / "image", self.home.directory("volume")
        if os.geteuid() != 0:
            self.skipTest("only root can mount an xfs")
        with open(image, "wb") as f:
            f.truncate(400 << 20)
        for command in (["mkfs.xfs", "-q", "-m", "reflink=1", image], ["mount", "-o", "loop", image, volume]):
            try:
                done = subprocess.run(command, capture_output=True, text=True)
            except FileNotFoundError:
                self.skipTest(f"{command[0]} is not installed (xfsprogs)")
            if done.returncode:
                self.skipTest(f"no xfs can be made here: {done.stderr}")
            if command[0] == "mount":
                self.addCleanup(subprocess.run, ["umount", "-l", volume], check=True)
        subprocess.run(["cp", "-a", self.data, volume / "leap"], check=True)
        self.data = volume / "leap"

    def alter_unit(self, old, new):
        path = self.home.path / "etc" / "units" / "leap.toml"
        if not path.exists():
            self.leap_unit(f"file://{self.backup}/")
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))

    def never_confirmed(self):
        self.alter_unit('advancing_for = "500ms"', 'advancing_for = "10m"')
        self.make_dirty()
        # What no node of the test writes, with a hole and a time of long ago.
        with open(self.data / "blocks" / "old.log", "wb") as f:
            f.seek(1 << 20)
            f.write(b"old blocks")
        os.utime(self.data / "blocks" / "old.log", ns=(1_500_000_000_123_456_789,) * 2)
        self.home.start()

    def blocks(self):
        """Of each file all that a roll back brings back."""
        found = {}
        for path in sorted((self.data / "blocks").rglob("*")):
            st = path.lstat()
            found[path.name] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_blocks, st.st_mtime_ns,
                                digest(path) if path.is_file() else None)
        return found

    def until_blocks_are_written(self):
        def confirming():
            return (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "confirm"
        wait_until(confirming, "it confirms")
        log = self.data / "blocks" / "blocks.log"
        size = log.stat().st_size
        wait_until(lambda: log.stat().st_size > size, "the node writes blocks")

    def rolled_back(self):
        self.home.ok("recover", "leap", "--rollback", "--yes")
        status = self.home.wait_for("leap", state="failed")
        event = self.home.wait_event("leap", lambda e: e["kind"] == "recovery_rolled_back", "it is rolled back")
        return status["reason"], event["reason"]

    def test_with_reflinks_blocks_are_what_they_were_to_the_byte(self):
        self.volume_with_reflinks()
        self.never_confirmed()
        self.until_blocks_are_written()
        clones = self.data / ".hasup" / "clones" / "blocks"
        self.assertTrue((clones / "blocks.log").exists())
        before = {p.name: digest(p) for p in sorted(clones.rglob("*")) if p.is_file()}
        self.assertNotEqual(digest(self.data / "blocks" / "blocks.log"), before["blocks.log"])
        self.home.kill_daemon()  # whoever comes next knows them by the record
        self.home.start()
        reason, said = self.rolled_back()
        self.assertEqual(said, "the old state is back as it was")
        self.assertIn("the old state is back as it was", reason)
        now = self.blocks()
        self.assertEqual({name: entry[6] for name, entry in now.items() if entry[6]}, before)
        self.assertEqual(now["old.log"][5], 1_500_000_000_123_456_789)
        self.assertLess(now["old.log"][4] * 512, 1 << 20)
        self.assertFalse((self.data / ".hasup" / "clones").exists())
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())
        self.assertFalse([e for e in self.home.events("leap") if "roll back will keep" in e["reason"]])

    def test_a_recovery_that_fails_by_itself_leaves_blocks_as_they_were(self):
        self.volume_with_reflinks()
        self.alter_unit('advancing_for = "500ms"', 'advancing_for = "10m"\nwithin = "3s"')
        self.alter_unit('stop_timeout = "30s"', 'stop_timeout = "2s"')
        self.alter_unit("[recovery.params]", "[recovery.budget]\ncount = 1\n\n[recovery.params]")
        self.make_dirty()
        before = self.blocks()
        self.home.start()
        self.until_blocks_are_written()
        os.kill(self.home.unit_status("leap")["pid"], signal.SIGSTOP)  # its head stands still
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("the head did not advance within 3s", status["reason"])
        self.assertIn("the old state is back as it was", status["reason"])
        self.assertEqual(self.blocks(), before)

    def test_without_reflinks_it_is_said_what_a_roll_back_leaves(self):
        self.never_confirmed()
        self.until_blocks_are_written()
        why = "the file system has no reflinks"
        notes = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_note"]
        self.assertIn(f"a roll back will keep what the node writes to blocks, state-history: {why}", notes)
        self.assertIn("a roll back will keep", self.home.ok("why", "leap"))
        reason, said = self.rolled_back()
        wanted = f"the old state is back, but what the node wrote to blocks, state-history meanwhile stays ({why})"
        self.assertEqual(said, wanted)
        self.assertIn(wanted, reason)
        self.assertNotIn("as it was", self.home.ok("why", "leap"))

    def test_a_dry_run_says_which_of_the_two_it_will_be(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.assertIn("the file system has no reflinks: a roll back keeps what the node wrote to blocks, state-history",
                      self.home.ok("recover", "leap", "--dry-run"))
        plans = json.loads(self.home.ok("recover", "leap", "--dry-run", "--json"))["not_cloned"]
        self.assertEqual(plans["state only"], "the file system has no reflinks")

    def test_a_dry_run_on_a_file_system_with_reflinks(self):
        self.volume_with_reflinks()
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.assertIn("cloned aside (reflink), so that a roll back is exact: blocks, state-history",
                      self.home.ok("recover", "leap", "--dry-run"))
        self.assertIsNone(json.loads(self.home.ok("recover", "leap", "--dry-run", "--json"))["not_cloned"]["state only"])


if __name__ == "__main__":
    unittest.main()
