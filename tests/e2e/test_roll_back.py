"""`hasup recover --rollback`: a person takes a recovery back, as long as the old state is there."""

import hashlib
import os
import shutil
import signal
import subprocess
import unittest

from hasup_home import alive, unmount, wait_until
from leap import LeapTest


class RollBack(LeapTest):
    def slow_to_confirm(self, advancing_for="10m", **options):
        self.leap_unit(f"file://{self.backup}/", **options)
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('advancing_for = "500ms"', f'advancing_for = "{advancing_for}"'))

    def content(self):
        return {p.relative_to(self.data).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in self.data.rglob("*") if p.is_file() and ".hasup" not in p.parts}

    def until_confirming(self):
        """The state before, once the node runs on what replaced it."""
        self.slow_to_confirm()
        self.make_dirty()
        before = self.content()
        self.home.start()
        wait_until(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "confirm", "it confirms")
        self.assertTrue((self.data / ".hasup" / "swap.json").exists())
        return before

    def check_is_back(self, before, state="failed"):
        status = self.home.wait_for("leap", state=state)
        self.assertIn("rolled back by hand", status["reason"])
        self.assertIsNone(status["next_attempt_at"])
        now = self.content()
        self.assertEqual({k: v for k, v in now.items() if k.startswith("state/")},
                         {k: v for k, v in before.items() if k.startswith("state/")})
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())
        self.assertFalse(any((self.data / ".hasup").glob("aside/*")))

    def test_while_the_node_runs_on_the_new_state(self):
        before = self.until_confirming()
        pid = self.home.unit_status("leap")["pid"]
        self.assertIn("hasup recover leap --rollback", self.home.ok("why", "leap"))
        said = self.home.ok("recover", "leap", "--rollback", "--yes")
        self.assertIn("its old state is in place", said)
        self.check_is_back(before)
        self.assertFalse(alive(pid))
        # The snapshot is not to blame: by hand it comes in again.
        self.home.ok("recover", "leap", "--yes", "--no-wait")
        wait_until(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "confirm", "it confirms")
        self.assertEqual(self.home.unit_status("leap")["recovery"]["snapshot"], self.snapshots[-1].name)

    def test_of_a_recovery_that_was_stopped_also_after_a_kill_of_hasupd(self):
        before = self.until_confirming()
        self.home.ok("stop", "leap", "--force")
        self.assertTrue((self.data / ".hasup" / "swap.json").exists(), "this test wants a parked recovery")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_for("leap", state="stopped")
        self.home.ok("recover", "leap", "--rollback", "--yes")
        self.check_is_back(before, state="stopped")
        self.assertEqual(self.home.unit_status("leap")["desired"], "down")

    def test_hasupd_that_dies_meanwhile_goes_on_with_it(self):
        before = self.until_confirming()
        os.kill(self.home.unit_status("leap")["pid"], signal.SIGSTOP)  # it takes its time to end
        self.home.ok("recover", "leap", "--rollback", "--yes", "--no-wait")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_rolling_back", "it goes back")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.check_is_back(before)

    def test_a_recovery_that_was_stopped_waits_for_its_volume(self):
        store, volume = self.home.directory("store"), self.home.directory("volume")
        shutil.copytree(self.data, store / "leap")

        def mount():
            if os.geteuid() != 0 or subprocess.run(["mount", "--bind", store, volume]).returncode:
                self.skipTest("only root can mount")
        mount()
        self.addCleanup(subprocess.run, ["umount", "-l", volume], stderr=subprocess.DEVNULL)
        self.data = volume / "leap"
        self.slow_to_confirm()
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[data]\n", f'[data]\nmount = "{volume}"\n'))
        self.make_dirty()
        self.home.start()
        wait_until(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "confirm", "it confirms")
        self.home.ok("stop", "leap", "--force")
        unmount(volume)
        self.home.ok("start", "leap", "--no-wait")
        waits = self.home.wait_event("leap", lambda e: e["kind"] == "recovery_waiting", "it waits")
        self.assertIn(f"{volume} is not mounted", waits["reason"])
        self.assertEqual(list(volume.iterdir()), [])
        self.home.ok("stop", "leap")
        self.home.ok("start", "leap", "--no-wait")
        self.home.wait_for("leap", state="recovering")
        mount()
        wait_until(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "confirm", "it goes on")
        self.home.ok("stop", "leap", "--force")

    def test_a_healthy_node_that_was_recovered_by_hand_runs_again_on_what_it_had(self):
        self.slow_to_confirm()
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("recover", "leap", "--yes", "--no-wait")
        wait_until(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "confirm", "it confirms")
        self.home.ok("recover", "leap", "--rollback", "--yes")
        status = self.home.wait_healthy("leap")
        self.assertEqual(status["recoveries"], 0)
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())

    def test_a_parked_recovery_is_not_mistaken_for_another_one(self):
        self.until_confirming()
        self.home.ok("stop", "leap", "--force")
        for words in (["--snapshot", self.snapshots[0].name], ["--dry-run"], ["--from", str(self.snapshots[0])]):
            done = self.home.hasup("recover", "leap", "--yes", *words)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("--rollback", done.stdout + done.stderr)
        self.assertEqual(self.home.unit_status("leap")["state"], "stopped")

    def test_is_refused_where_no_old_state_is_kept(self):
        self.slow_to_confirm()
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        done = self.home.hasup("recover", "leap", "--rollback", "--yes")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("no old state put aside", done.stdout + done.stderr)
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.assertEqual(self.home.hasup("recover", "leap", "--rollback", "--cancel").returncode, 2)


if __name__ == "__main__":
    unittest.main()
