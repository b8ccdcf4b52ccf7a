"""data.min_free: a node is stopped in order before its disk is full, and comes back when there is room; and whether
there is room for a recovery."""

import json
import os
import shutil
import signal
import subprocess
import unittest

from hasup_home import SOURCE, alive, on_a_terminal, unmount, wait_until, write_sha256
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


    def test_a_further_directory_on_a_disk_of_its_own_is_watched_as_well(self):
        self.data = self.home.path / "leap"  # where there is room
        history = self.volume / "history"
        history.mkdir()
        self.guarded_unit()
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[data]\n", f'[data]\nalso = ["{history}"]\n'))
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.fill(23 * MIB)
        event = self.home.wait_event("leap", lambda e: e["kind"] == "disk_low", "it warns")
        self.assertIn(f"free under {history}, data.min_free is 20MiB: below that it is stopped", event["reason"])
        self.fill(10 * MIB)
        status = self.home.wait_for("leap", state="waiting")
        self.assertIn(f"free under {history}, min_free is 20MiB; waiting for 22MiB", status["reason"])
        self.assertFalse(alive(pid))
        self.assertIn(f"are free under {history} now", self.home.ok("check"))
        (self.volume / "other").unlink()
        self.home.wait_healthy("leap")
        history.rmdir()
        event = self.home.wait_event("leap", lambda e: e["kind"] == "disk_silent", "nobody knows what is free there")
        self.assertIn(f"data.min_free does not hold there: {history}: No such file or directory", event["reason"])


class FullDisk(SmallVolume):
    def own_unit(self, *more):
        self.leap_unit(f"file://{self.backup}/", more=more)
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('"nodeos"\nsource', '"own"\nsource'))

    def test_a_full_disk_is_seen_at_the_exit_where_no_class_and_no_line_tells_of_it(self):
        recipe = (SOURCE / "recipes" / "nodeos.toml").read_text()
        classes = recipe.split("[[classify]]")
        self.home.directory("etc/recipes").joinpath("own.toml").write_text(
            "[[classify]]".join(c for c in classes if "disk full" not in c))
        self.own_unit("--state-growth", 100_000, "--chain-state-db-size-mb", 64, "--chain-state-db-guard-size-mb", 0)
        self.home.start()
        self.home.wait_healthy("leap")
        self.fill(MIB)
        status = self.home.wait_for("leap", state="failed")
        self.assertEqual((status["last_exit"]["class"], status["last_exit"]["signal"]), ("disk full", signal.SIGBUS))
        self.assertIn("nothing was free where its data is", status["reason"])
        # Its database is dirty now, and a full disk is no time to replace it.
        self.home.hasup("start", "leap")
        status = self.home.wait_for("leap", state="failed")
        self.assert_last_exit(status, "disk full", 2)
        self.assertIn('the run also showed "dirty database"', status["reason"])
        self.assertEqual(self.tried(), [])
        (self.volume / "other").unlink()
        self.own_unit()
        self.home.ok("apply")
        self.home.ok("start", "leap", "--no-wait")
        self.wait_recovered()


class Volume(SmallVolume):
    def mount_again(self):
        subprocess.run(["mount", "--bind", self.kept, self.volume], check=True)

    def setUp(self):
        super().setUp()
        self.kept = self.home.directory("kept")  # holds the file system while it is not mounted where it should be
        subprocess.run(["mount", "--bind", self.volume, self.kept], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.kept], check=True)

    @unittest.skipIf(os.major(os.stat("/tmp").st_dev) == 0, "/tmp is on no disk either")
    def test_a_volume_that_is_not_mounted_is_waited_for_though_data_mount_does_not_name_it(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("stop", "leap")
        self.home.kill_daemon()
        unmount(self.volume)
        self.home.start()
        self.home.ok("start", "leap", "--no-wait")
        status = self.home.wait_for("leap", state="waiting")
        self.assertIn("waiting for its volume to be mounted", status["reason"])
        self.assertIn("`hasup reset leap` lets it be restored here", self.home.ok("why", "leap"))
        self.assertRegex(self.home.daemon_log.read_text(), r" warn(ing)? leap data_missing: ")
        self.assertEqual([list(self.volume.iterdir()), self.tried()], [[], []])
        self.mount_again()
        self.assertEqual(self.home.wait_healthy("leap")["recoveries"], 0)
        # Gone for good, as a person says.
        self.home.ok("stop", "leap")
        unmount(self.volume)
        self.data.mkdir()
        self.home.ok("start", "leap", "--no-wait")
        self.home.wait_for("leap", state="waiting")
        self.home.ok("reset", "leap")
        self.wait_recovered()
        self.home.ok("restart", "leap")
        self.home.wait_healthy("leap")
        self.home.ok("stop", "leap")
        shutil.rmtree(self.data)
        self.mount_again()

    def test_check_tells_of_a_volume_that_data_mount_does_not_name(self):
        path = self.home.path / "etc" / "units" / "leap.toml"
        self.data = self.volume
        self.leap_unit(f"file://{self.backup}/")
        told = f"{self.volume} is a mount point that data.mount does not name"
        self.assertIn(told, self.home.ok("check"))
        path.write_text(path.read_text().replace("[data]\n", f'[data]\nmount = "{self.volume}"\n'))
        self.assertNotIn(told, self.home.ok("check"))


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

    def test_a_file_that_a_person_names_needs_room_too_while_the_node_is_down(self):
        mine = self.home.path / "mine.bin"
        shutil.copy(self.snapshots[-1], mine)
        self.dirty_node_that_is_not_started(lambda: self.fill(6 * MIB))
        self.home.wait_for("leap", state="failed")
        before = self.picture()
        done = self.home.hasup("recover", "leap", "--yes", "--from", mine)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"mine.bin needs [0-9.]+MiB \([0-9.]+MiB to fetch.* short. Make room there")
        self.assertEqual(self.picture(), before)
        self.assertEqual([p for p in self.data.glob(".hasup/cache/*")], [])
        missing = self.home.hasup("recover", "leap", "--yes", "--from", self.home.path / "none.bin")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("none.bin: No such file or directory", missing.stderr)
        (self.volume / "other").unlink()
        self.home.ok("recover", "leap", "--yes", "--from", mine)
        self.wait_recovered()

    def test_a_dry_run_says_how_long_it_takes_once_that_was_measured(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        words = ["recover", "leap", "--dry-run", "--snapshot", self.snapshots[0].name]
        self.assertIn("unknown, not measured yet", self.home.ok(*words))
        self.home.ok("recover", "leap", "--yes")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_ended", "it has ended")
        shown = self.home.ok(*words)
        self.assertRegex(shown, r"about [0-9.]+m?s to fetch, unpacked meanwhile, as measured 20")
        self.assertIn("the node runs on until then, and is down for a rename and its own start", shown)
        self.home.kill_daemon()
        self.home.start()
        self.home.wait_healthy("leap")
        time = next(iter(json.loads(self.home.ok(*words, "--json"))["time"].values()))
        self.assertGreater(time["total_s"], 0)
        self.assertTrue(time["node_runs_meanwhile"])

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
        for words in (["--dry-run"], ["--yes"], ["--dry-run", "--from", self.snapshots[-1]],
                      ["--yes", "--from", self.snapshots[-1]]):
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
        self.set_space("stage")
        text = (units / "leap.toml").read_text()
        (units / "second.toml").write_text("enabled = false\n" + text.replace(str(self.data), str(other)))
        # Enough for what the first one fetches and its node makes of it, or for the second one's, not for both.
        self.fill(40 * MIB)
        self.home.start()
        wait_until(lambda: list(self.data.glob(".hasup/cache/*.part")), "the first one fetches")
        why = self.home.ok("why", "leap")
        self.assertIn(f"now: {self.snapshots[-1].name} is fetched and verified; then: it is unpacked, it takes", why)
        self.assertIn("hasup recover leap --cancel", why)
        self.home.hasup("start", "second", "--no-wait")
        status = self.home.wait_for("second", state="failed")
        self.assertRegex(status["reason"], r"[0-9.]+MiB are for the recovery of leap: [0-9.]+MiB short")
        self.assertEqual(list(other.glob(".hasup/cache/*")), [])
        self.home.ok("recover", "leap", "--cancel")

    def test_one_that_would_fit_in_the_place_of_the_old_state_is_refused_where_that_must_stay(self):
        self.dirty_node_that_is_not_started(lambda: (self.fill(16 * MIB), self.set_space("stage")))
        before = self.picture()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("short. Make room there", status["reason"])
        self.assertEqual(self.picture(), before)


class InPlace(SmallVolume):
    """There is room for the archive, or for the new state, beside the old one, but not for both."""

    state_size = 12_000_000

    def setUp(self):
        super().setUp()
        for old in self.snapshots[:-1]:
            old.unlink()
        self.newest = self.snapshots[-1]

    def dirty_unit(self, space=None, leave=16):
        self.leap_unit(f"file://{self.backup}/")
        if space:
            self.set_space(space)
        self.make_dirty()
        self.fill(leave * MIB)
        self.home.start()

    def kinds(self):
        return [e["kind"] for e in self.home.events("leap") if e["kind"].startswith("recovery_")]

    def inodes(self, *names):
        return {name: os.stat(self.data / name).st_ino for name in names}

    def test_the_old_state_is_deleted_once_the_archive_is_verified_and_the_node_comes_back(self):
        (self.data / "protocol_features").mkdir(exist_ok=True)
        (self.data / "protocol_features" / "kept").write_text("as it is now")
        before = self.inodes("protocol_features/kept", "blocks")
        self.dirty_unit()
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        kinds = self.kinds()
        order = ["recovery_fetched", "recovery_wiping", "recovery_wiped", "recovery_staged", "recovery_swapped",
                 "recovery_confirmed"]
        self.assertEqual([k for k in kinds if k in order], order)
        told = next(e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_wiping")
        self.assertIn("is here and verified; deleting the old state to make room for it: there is no way back", told)
        self.assertEqual(self.inodes("protocol_features/kept", "blocks"), before)
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())
        self.assertTrue((self.data / ".hasup" / "cache" / self.newest.name).exists())
        self.assertIn("recovered in", self.home.ok("recover", "leap", "--history"))

    def test_without_a_checksum_the_old_state_stays(self):
        for sidecar in self.backup.glob("*.sha256"):
            sidecar.unlink()
        before = os.stat(self.data / "state" / "shared_memory.bin").st_ino
        self.dirty_unit(space="in_place")
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("it has neither a checksum nor a signature", status["reason"])
        self.assertIn("the old state is untouched", status["reason"])
        self.assertEqual(os.stat(self.data / "state" / "shared_memory.bin").st_ino, before)
        self.assertNotIn("recovery_wiping", self.kinds())

    def test_when_the_snapshot_breaks_the_node_nothing_is_started_and_a_person_is_told_what_can_be_done(self):
        good = self.home.path / "good.bin"
        os.rename(self.newest, good)
        with open(good, "rb") as whole, open(self.newest, "wb") as half:
            half.write(whole.read(good.stat().st_size // 2))
        write_sha256(self.newest)
        self.home.unit("rpc", '[run]\ncommand = ["sleep", "600"]\n[data]\nshared_with = "leap"\n')
        self.dirty_unit(leave=9)
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("the old state was deleted to make room and cannot be put back, so nothing is started: `hasup "
                      "recover leap` tries again", status["reason"])
        self.assertIn("the recovery is tried again in", status["reason"])
        self.assertFalse((self.data / "state").exists())
        self.assertTrue((self.data / ".hasup" / "cache" / self.newest.name).exists())
        why = self.home.ok("why", "leap")
        self.assertIn("hasup recover leap --from FILE", why)
        self.assertIn("there is no way back", why)
        back = self.home.hasup("recover", "leap", "--rollback", "--yes")
        self.assertEqual(back.returncode, 1)
        self.assertIn("there is no way back for leap: its old state was deleted", back.stderr)
        self.assertIn("failed with the old state deleted", self.home.ok("recover", "leap", "--history"))
        # There is nothing that its readers could read; the next hasupd knows it too.
        self.home.kill_daemon()
        self.home.start()
        self.assertIn("being restored", str(self.home.wait_for("rpc", state="waiting")["waiting_for"]))
        # The marker beside the data says it, also to a hasup that has lost all it knew.
        self.home.kill_daemon()
        shutil.rmtree(self.home.path / "state")
        self.home.start()
        self.home.hasup("start", "leap", "--no-wait")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_wiped", "it finds the marker")
        self.home.wait_for("leap", state="failed")
        self.assertFalse((self.data / "state").exists())
        # Another archive helps.
        (self.volume / "other").unlink()
        os.rename(good, self.newest)
        write_sha256(self.newest)
        self.home.ok("recover", "leap", "--yes")
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())
        self.home.wait_healthy("rpc")

    def test_by_hand_it_asks_before_anything_is_deleted(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.fill(16 * MIB)
        to_restore = ([self.home.bin / "hasup", "recover", "leap", "--no-wait"], self.home.env,
                      {"Stop it and restore its state from a snapshot? [y/N] ": "y\n"})
        shown = self.home.ok("recover", "leap", "--dry-run")
        self.assertIn("is deleted once the archive is here and verified: from then on there is no way back; that is "
                      "asked first (--yes)", shown)
        on_a_terminal(*to_restore)
        asks = self.home.wait_event("leap", lambda e: e["kind"] == "recovery_asks", "it asks")
        self.assertIn("the old state would be deleted before it is unpacked, with no way back", asks["reason"])
        self.assertEqual(self.home.unit_status("leap")["pid"], pid)
        self.home.ok("recover", "leap", "--cancel")
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        on_a_terminal(*to_restore)
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_asks" and e["seq"] > asks["seq"], "it asks again")
        self.home.ok("recover", "leap", "--yes")
        self.wait_recovered()
        self.assertIn("recovery_wiped", self.kinds())

    def test_on_a_terminal_the_question_says_what_is_deleted(self):
        self.leap_unit(f"file://{self.backup}/")
        self.set_space("in_place")
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        words = [self.home.bin / "hasup", "recover", "leap"]
        question = "delete its state, with no way back, once a snapshot is here and verified, and restore it from that"
        code, said = on_a_terminal(words, self.home.env, {f"{question}? [y/N] ": "n\n"})
        self.assertEqual((code, self.home.wait_healthy("leap")["pid"]), (1, pid), said)
        self.assertIn("leap is healthy. Stop it and " + question, said)
        code, said = on_a_terminal(words, self.home.env, {f"{question}? [y/N] ": "y\n"})
        self.assertEqual(code, 0, said)
        self.wait_recovered()
        self.assertIn("recovery_wiped", self.kinds())

    def test_hasupd_killed_while_it_deletes_goes_on(self):
        self.dirty_unit(space="in_place")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_wiping", "it deletes")
        self.home.kill_daemon()
        self.home.start()
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)

    def test_where_there_is_no_old_state_any_more_min_free_stops_the_restored_node_and_room_lets_it_go_on(self):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[data]\n", '[data]\nmin_free = "2MiB"\n')
                        .replace('advancing_for = "500ms"', 'advancing_for = "15s"'))
        self.set_space("in_place")
        self.make_dirty()
        self.home.start()
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_loaded", "the node runs")
        pid = self.home.unit_status("leap")["pid"]
        self.fill(1 * MIB)
        low = self.home.wait_event("leap", lambda e: e["kind"] == "disk_low" and "stopped before" in e["reason"],
                                   "it is stopped")
        self.assertEqual(low["state"], "recovering")
        waits = self.home.wait_event("leap", lambda e: e["kind"] == "recovery_waiting", "it waits for room")
        self.assertIn("and the start waits for 2.2MiB (data.min_free)", waits["reason"])
        self.assertFalse(alive(pid))
        self.assertNotIn("killed", [e["kind"] for e in self.home.events("leap")])
        (self.volume / "other").unlink()
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertNotEqual(status["pid"], pid)
        kinds = self.kinds()
        self.assertEqual([kinds.count(k) for k in ("recovery_wiped", "recovery_swapping", "recovery_rolling_back")],
                         [1, 1, 0])
        self.assertEqual([r["result"] for r in json.loads(self.home.ok("recover", "leap", "--history", "--json"))],
                         ["recovered"])


if __name__ == "__main__":
    unittest.main()
