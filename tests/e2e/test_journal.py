"""A recovery whose journal is damaged, cannot be read, is lost, or cannot be written."""

import os
import re
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

from hasup_home import alive, end_process, parent_of, unmount, wait_until
from leap import BLOCKS, LeapTest


class JournalTest(LeapTest):
    def setUp(self):
        super().setUp()
        self.journal = self.home.path / "state" / "journals" / "leap@0"
        self.unit_file = self.home.path / "etc" / "units" / "leap.toml"

    def confirm_for(self, time):
        text = self.unit_file.read_text()
        self.unit_file.write_text(re.sub('advancing_for = "[^"]*"', f'advancing_for = "{time}"', text))

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

    def hold_old_state(self):
        """It cannot be deleted while this process has it open."""
        old = next(p for p in (self.data / ".hasup" / "aside").rglob("shared_memory.bin"))
        with open(old, "r+b") as state:
            holder = subprocess.Popen(["sleep", "600"], stdin=state)
        self.addCleanup(end_process, holder)
        return holder

    def until_not_deleted(self):
        self.leap_unit(f"file://{self.backup}/")
        self.confirm_for("3s")
        self.make_dirty()
        self.home.start()
        wait_until(lambda: self.phase() == "confirm", "it confirms")
        holder = self.hold_old_state()
        self.home.wait_event("leap", lambda e: "not deleted yet" in e["reason"], "the old state cannot be deleted")
        return holder


class Damaged(JournalTest):
    def damage(self):
        """Of the journal, while no hasupd runs; what it holds now, and the pid of the node."""
        pid = self.home.unit_status("leap")["pid"]
        self.home.kill_daemon(signal.SIGKILL)
        text = bytearray(self.journal.read_bytes())
        text[len(text) // 4] ^= 1
        self.journal.write_bytes(text)
        return bytes(text), pid

    def runs_on(self, pid):
        self.home.start()
        status = self.home.wait_healthy("leap")
        self.assertEqual(status["pid"], pid)
        self.assertRegex(status["reason"], "the journal of its last recovery cannot be read .*damaged at byte .*: it runs on")
        self.assertIn("hasup recover leap", status["reason"])
        self.assertIn("journal_damaged", self.kinds())

    def test_a_node_that_runs_is_left_running_and_nobody_but_a_person_starts_it_again(self):
        self.until_confirming()
        text, pid = self.damage()
        self.runs_on(pid)
        self.assertIn("neither started again nor recovered", self.home.ok("why", "leap"))
        self.home.ok("start", "leap")
        refused = self.home.hasup("restart", "leap")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("hasup recover leap", refused.stdout + refused.stderr)
        # Its shim dies: for that, a node is restarted in order.
        os.kill(parent_of(pid), signal.SIGKILL)
        self.home.wait_event("leap", lambda e: e["kind"] == "restart_held", "it is not restarted")
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.assertEqual(text, self.journal.read_bytes())
        os.kill(pid, signal.SIGKILL)
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("damaged at byte", status["reason"])
        self.assertEqual(text, self.journal.read_bytes())

    def test_one_whose_replacement_was_being_prepared_is_left_running(self):
        self.leap_unit(f"http://127.0.0.1:{self.start_backup_host(self.backup, rate=40_000)}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("recover", "leap", "--yes", "--no-wait")
        wait_until(lambda: self.phase() == "fetch", "it fetches")
        _, pid = self.damage()
        self.runs_on(pid)
        self.home.ok("stop", "leap")

    def with_reader(self):
        """Its replacement is fetched, a reader runs on its data, the journal is damaged; the node's pid."""
        self.leap_unit(f"http://127.0.0.1:{self.start_backup_host(self.backup, rate=40_000)}/")
        self.home.unit("rpc", '[data]\nshared_with = "leap"\n\n[run]\ncommand = ["sleep", "600"]\n')
        self.home.start()
        self.home.wait_healthy("leap")
        self.reader = self.home.wait_healthy("rpc")["pid"]
        self.home.ok("recover", "leap", "--yes", "--no-wait")
        wait_until(lambda: self.phase() == "fetch", "it fetches")
        return self.damage()[1]

    def test_readers_of_one_that_is_left_running_run_on_until_it_ends(self):
        pid = self.with_reader()
        self.runs_on(pid)
        self.assertEqual(self.home.wait_healthy("rpc")["pid"], self.reader)
        self.assertNotIn("stopping", [e["kind"] for e in self.home.events("rpc")])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(self.reader), "the reader is gone")
        self.home.wait_for("rpc", state="waiting")

    def test_readers_of_one_that_is_found_dead_are_stopped(self):
        pid = self.with_reader()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the node is gone")
        self.assertTrue(alive(self.reader))
        self.home.start()
        wait_until(lambda: not alive(self.reader), "the reader is gone")
        self.home.wait_for("rpc", state="waiting")
        self.assertIsNone(self.home.wait_for("leap", state="failed")["pid"])

    def test_readers_wait_until_the_shim_has_told_whether_the_node_runs(self):
        self.home.unit("rpc", '[data]\nshared_with = "leap"\n\n[run]\ncommand = ["sleep", "600"]\n')
        self.until_confirming()
        self.home.wait_for("rpc", state="waiting")
        seen = self.home.events("rpc")[-1]["seq"]
        _, pid = self.damage()
        shim = parent_of(pid)
        os.kill(shim, signal.SIGSTOP)
        self.addCleanup(lambda: alive(shim) and os.kill(shim, signal.SIGCONT))
        self.home.start()
        self.home.wait_for("rpc", state="waiting")
        self.assertFalse([e["kind"] for e in self.home.events("rpc") if e["seq"] > seen and e["state"] == "starting"])
        os.kill(shim, signal.SIGCONT)
        self.home.wait_healthy("rpc")
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)

    def test_a_recovery_by_hand_of_one_that_runs_keeps_the_file_and_begins_anew(self):
        self.until_confirming()
        text, pid = self.damage()
        self.confirm_for("500ms")
        self.runs_on(pid)
        self.home.ok("recover", "leap", "--yes")
        self.check_recovered()
        self.assertEqual(text, self.journal.with_name("leap@0.damaged").read_bytes())
        self.assertIn("recovery_leftover", self.kinds())

    def test_a_changed_byte_is_told_and_a_recovery_by_hand_keeps_the_file_and_begins_anew(self):
        self.until_confirming()
        text, pid = self.damage()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the node is gone")
        self.confirm_for("500ms")
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("damaged at byte", status["reason"])
        self.assertIn("hasup recover leap", status["reason"])
        self.assertEqual(self.home.hasup("start", "leap").returncode, 1)
        self.home.ok("stop", "leap")
        self.assertEqual(bytes(text), self.journal.read_bytes())
        done = self.home.hasup("recover", "leap", "--rollback", "--yes")
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


class Stops(JournalTest):
    """A stop, on which a shutdown of the machine may wait, ends."""

    def test_that_old_state_cannot_be_deleted_keeps_no_node_from_being_stopped(self):
        holder = self.until_not_deleted()
        self.home.ok("stop", "leap")
        self.assertIn("not deleted yet", self.home.wait_for("leap", state="stopped")["reason"])
        self.assertTrue((self.data / ".hasup" / "swap.json").exists())
        self.home.ok("start", "leap", "--no-wait")
        end_process(holder)
        self.check_recovered()
        self.assertEqual(self.kinds().count("recovery_swapped"), 1)

    def test_a_shutdown_does_not_wait_for_the_first_block(self):
        self.leap_unit(f"file://{self.backup}/", more=("--stuck-at", BLOCKS))
        self.make_dirty()
        self.home.start()
        wait_until(lambda: self.phase() == "first_start" and self.home.unit_status("leap")["pid"], "its first start")
        self.home.ok("stop", "leap", "--no-wait")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_stop_waits", "the stop waits")
        self.home.ok("stop", "--all", "--for-shutdown")
        self.home.wait_for("leap", state="stopped")
        self.unit_file.write_text(self.unit_file.read_text().replace(f', "--stuck-at", "{BLOCKS}"', ""))
        self.home.ok("apply")
        self.home.ok("start", "leap", "--no-wait")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_resumed", "it goes on")
        self.home.ok("stop", "leap", "--force")


class Unwritable(JournalTest):
    def setUp(self):
        super().setUp()
        image, self.volume = self.home.path / "journals.img", self.journal.parent
        self.volume.mkdir(parents=True)
        with open(image, "wb") as f:
            f.truncate(8 << 20)
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        for words in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop,errors=remount-ro", image, self.volume]):
            if os.geteuid() != 0 or not shutil.which(words[0]) or subprocess.run(list(map(str, words))).returncode:
                self.skipTest("only root can mount a small ext4")
        self.addCleanup(subprocess.run, ["umount", "-l", self.volume], stderr=subprocess.DEVNULL)

    def break_disk(self):
        """As after an error of the disk below: what was written can be read, and nothing can be written."""
        device = os.stat(self.volume).st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def until_it_fails(self):
        told = self.home.wait_event("leap", lambda e: e["kind"] == "journal_failed", "the journal cannot be written")
        # What is under way when ext4 gives up is an error of its own.
        self.assertRegex(told["reason"], "Read-only file system|Input/output error")

    def test_a_recovery_that_cannot_even_begin_is_stopped_and_cancelled(self):
        self.leap_unit(f"file://{self.backup}/")
        self.make_dirty()
        self.break_disk()
        self.home.start()
        self.until_it_fails()
        self.home.ok("stop", "leap")
        self.assertIn("before anything was touched", self.home.wait_for("leap", state="stopped")["reason"])
        self.home.ok("start", "leap", "--no-wait")
        self.home.wait_for("leap", state="recovering")
        self.home.ok("recover", "leap", "--cancel")
        self.home.wait_for("leap", state="failed")
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())

    def test_one_beyond_its_swap_is_stopped_and_goes_on_when_the_journal_can_be_written_again(self):
        self.leap_unit(f"file://{self.backup}/")
        self.confirm_for("4s")
        self.make_dirty()
        self.home.start()
        wait_until(lambda: self.phase() == "confirm", "it confirms")
        self.break_disk()
        self.until_it_fails()
        pid = self.home.unit_status("leap")["pid"]
        self.assertTrue(alive(pid))
        self.home.ok("stop", "leap")
        status = self.home.wait_for("leap", state="stopped")
        self.assertIn("could not be written", status["reason"])
        self.assertFalse(alive(pid))
        self.assertNotIn("killed", self.kinds())
        self.home.kill_daemon(signal.SIGKILL)
        text = self.journal.read_bytes()
        unmount(self.volume)
        self.journal.write_bytes(text)
        self.home.start()
        self.home.ok("start", "leap", "--no-wait")
        self.check_recovered()
        self.assertEqual(self.kinds().count("recovery_swapped"), 1)


class Lost(JournalTest):
    """When what it had confirmed was not cleaned up yet."""

    def setUp(self):
        super().setUp()
        holder = self.until_not_deleted()
        self.home.ok("stop", "leap")
        self.home.kill_daemon(signal.SIGKILL)
        end_process(holder)
        self.journal.unlink()
        record = self.data / ".hasup" / "swap.json"  # as it is in the middle of the deletion
        text = record.read_text()
        self.assertEqual(text.count('"swapped"'), 1, text)
        record.write_text(text.replace('"swapped"', '"confirmed"'))
        self.home.start()

    def test_a_start_cleans_up_and_starts(self):
        self.home.ok("start", "leap")
        self.home.wait_healthy("leap")
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())
        self.assertFalse(any((self.data / ".hasup").glob("aside/*")))
        self.assertIn("recovery_leftover", self.kinds())
        self.assertEqual(self.kinds().count("recovery_began"), 1)

    def test_a_recovery_by_hand_cleans_up_and_goes_on(self):
        self.confirm_for("500ms")
        self.home.ok("recover", "leap", "--yes")
        self.check_recovered()
        self.assertIn("recovery_leftover", self.kinds())
        self.assertNotIn("recovery_rolled_back", self.kinds())


if __name__ == "__main__":
    unittest.main()
