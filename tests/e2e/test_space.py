"""data.min_free: a node is stopped in order before its disk is full, and comes back when there is room; and whether
there is room for a recovery."""

import os
import subprocess
import unittest

from hasup_home import alive, wait_until
from leap import BLOCKS, SmallVolume

MIB = 1 << 20


class Space(SmallVolume):
    def guarded_unit(self, min_free="20MiB"):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[data]\n", f'[data]\nmin_free = "{min_free}"\n'))

    def test_a_node_is_stopped_in_order_before_its_disk_is_full_and_comes_back_by_itself(self):
        self.guarded_unit()
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.fill(23 * MIB)
        event = self.home.wait_event("leap", lambda e: e["kind"] == "disk_low", "it warns")
        self.assertIn("below that it is stopped", event["reason"])
        self.assertRegex(self.home.daemon_log.read_text(), r" warn(ing)? leap disk_low: ")
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


class RoomForARecovery(SmallVolume):
    """What a recovery needs is known before it fetches anything."""

    state_size = 12_000_000

    def picture(self):
        return {p.relative_to(self.data): p.read_bytes() for p in sorted(self.data.rglob("*"))
                if p.is_file() and ".hasup" not in p.parts}

    def dirty_node_that_is_not_started(self, before=lambda: None):
        self.leap_unit(f"file://{self.backup}/")
        self.make_dirty()
        before()
        self.home.start()

    def test_a_recovery_without_room_is_refused_with_the_numbers_and_done_once_there_is_room(self):
        self.dirty_node_that_is_not_started(lambda: self.fill(6 * MIB))
        before = self.picture()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("for the state that the node makes of it, as now)", status["reason"])
        self.assertRegex(status["reason"], r"has [0-9.]+MiB free: [0-9.]+MiB short. Make room there")
        self.assertIn("the old state is untouched", status["reason"])
        self.assertIn("the recovery is tried again in", status["reason"])
        self.assertEqual(self.picture(), before)
        self.assertEqual([p for p in self.data.glob(".hasup/cache/*")], [])
        self.assertIn("short", self.home.ok("why", "leap"))
        (self.volume / "other").unlink()
        self.home.ok("start", "leap")
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)

    def test_a_smaller_snapshot_that_fits_is_taken_in_the_place_of_a_newer_one(self):
        newest = self.snapshots[-1]
        with open(newest, "ab") as f:
            f.truncate(100 * MIB)
        newest.with_name(newest.name + ".sha256").unlink(missing_ok=True)
        self.dirty_node_that_is_not_started()
        self.wait_recovered()
        dropped = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_dropped"]
        self.assertEqual(len(dropped), 1)
        self.assertIn(f"{newest.name} is not used: {newest.name} needs 1", dropped[0])
        self.assertIn("MiB (100MiB to fetch, 0B unpacked, ", dropped[0])

    def test_a_healthy_node_is_not_stopped_for_what_there_is_no_room_for(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        shown = self.home.ok("recover", "leap", "--dry-run")
        self.assertRegex(shown, r'room for plan "[a-z ]+": snapshot-.* needs [0-9.]+MiB \([0-9.]+MiB to fetch')
        self.assertRegex(shown, r"the old state, [0-9.]+MiB, stays until the node is confirmed")
        self.fill(6 * MIB)
        for words in (["--dry-run"], ["--yes"]):
            done = self.home.hasup("recover", "leap", *words)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("There is no room for any of the snapshots.", done.stdout + done.stderr)
            self.assertIn("short", done.stdout + done.stderr)
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)

    def test_what_one_recovery_will_still_take_is_not_there_for_another_one(self):
        host = self.start_backup_host(self.backup, rate=100_000)
        self.leap_unit(f"http://127.0.0.1:{host}/")
        self.make_dirty()
        other = self.volume / "other-leap"
        subprocess.run(["cp", "-a", self.data, other], check=True)
        units = self.home.path / "etc" / "units"
        text = (units / "leap.toml").read_text()
        (units / "second.toml").write_text("enabled = false\n" + text.replace(str(self.data), str(other)))
        # Enough for what the first one fetches and its node makes of it, or for the second one's, not for both.
        self.fill(40 * MIB)
        self.home.start()
        wait_until(lambda: list(self.data.glob(".hasup/cache/*.part")), "the first one fetches")
        self.home.hasup("start", "second", "--no-wait")
        status = self.home.wait_for("second", state="failed")
        self.assertRegex(status["reason"], r"[0-9.]+MiB are for the recovery of leap: [0-9.]+MiB short")
        self.assertEqual(list(other.glob(".hasup/cache/*")), [])
        self.home.ok("recover", "leap", "--cancel")


if __name__ == "__main__":
    unittest.main()
