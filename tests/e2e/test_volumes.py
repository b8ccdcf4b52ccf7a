"""A data directory of which one entry is a file system of its own: a redis whose database lies there is recovered
across both, goes back to its very files, and never takes an unmounted volume for an empty state."""

import os
import signal
import subprocess
import unittest

import redis_node
import test_restored_data
from hasup_home import SOURCE, processes_of, unmount, wait_until
from test_restored_data import UNIT


class Volumes(test_restored_data.Restored):
    named = True  # in data.mount

    def setUp(self):
        super().setUp()
        self.volume = self.home.directory("redis/db")
        self.mount()
        self.addCleanup(subprocess.run, ["umount", "-l", self.volume], stderr=subprocess.DEVNULL)

    def mount(self):
        self.image = self.home.path / "volume.ext4"
        if not self.image.exists():
            with open(self.image, "wb") as f:
                f.truncate(64 << 20)
            subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        if os.geteuid() != 0 or subprocess.run(["mount", "-o", "loop", self.image, self.volume]).returncode:
            self.skipTest("only root can mount")

    def server(self, port):
        return redis_node.server(port, self.volume)

    def prepare(self, text, healthy_for="1s"):
        """A backup of what is good, and a database that is not."""
        server = self.start_program(self.server(self.port), lambda: redis_node.answers(self.port))
        self.cli("set", "of", "the backup")
        self.cli("save")
        server.terminate()
        server.wait(60)
        (self.data / "beside").write_text("good")
        self.home.ok("snapshot", "create", self.data, "--to", self.backup, "--name", "redis-2026-11-20.tar.zst")
        self.damaged = self.volume / "dump.rdb"
        self.damaged.write_bytes(b"not a database")
        (self.data / "beside").write_text("old")
        recipe = (SOURCE / "recipes" / "redis.toml").read_text()
        recipe = recipe.replace('wipe = ["${dbfilename}", "appendonlydir"]', 'wipe = ["db", "beside"]')
        recipe = recipe.replace('must_exist = ["${dbfilename}"]', 'must_exist = ["db/${dbfilename}"]')
        (self.home.directory("etc/recipes") / "own.toml").write_text(recipe + f'healthy_for = "{healthy_for}"\n')
        text = text.replace('"${{data.dir}}"', '"${{data.dir}}/db"')
        if self.named:
            text = text.replace('dir = "{data}"', 'dir = "{data}"\nmount = "{data}/db"')
        self.home.unit("redis", text.format(data=self.data, port=self.port, backup=self.backup))

    def check_tidy(self):
        for place in (self.data, self.volume):
            for what in ("aside", "staging", "swap.json"):
                self.assertFalse((place / ".hasup" / what).exists(), f"{place}: {what}")

    def check_restored(self):
        super().check_restored()
        self.assertEqual((self.data / "beside").read_text(), "good")
        self.check_tidy()


class Recovery(Volumes):
    def test_replaces_what_is_in_the_volume(self):
        self.prepare(UNIT)
        root = self.volume.stat().st_ino
        old = self.damaged.stat().st_ino
        self.home.start()
        self.check_restored()
        self.assertEqual(self.volume.stat().st_ino, root)
        self.assertNotEqual(self.damaged.stat().st_ino, old)
        self.assertTrue((self.volume / "lost+found").is_dir())

    def test_goes_back_to_the_very_files(self):
        self.prepare(UNIT)
        old = {p: p.stat().st_ino for p in (self.damaged, self.data / "beside")}
        for archive in self.backup.iterdir():  # the one that there is holds a database that is damaged, too
            archive.unlink()
        self.home.ok("snapshot", "create", self.data, "--to", self.backup, "--name", "redis-2026-11-20.tar.zst")
        self.home.start()
        self.home.wait_for("redis", timeout=60, state="failed")
        self.assertIn("recovery_rolled_back", self.kinds())
        self.assertEqual({p: p.stat().st_ino for p in old}, old)
        self.assertEqual(self.damaged.read_bytes(), b"not a database")
        self.check_tidy()

    def test_in_place_deletes_what_is_in_the_volume(self):
        self.prepare(UNIT + 'space = "in_place"\nchecksum = "if_present"\n')
        self.home.start()
        self.check_restored()

    def ends_after(self, kind):
        """The machine, after that event: its number."""
        self.home.start()
        last = self.wait_kind(kind)["seq"]
        self.home.kill_daemon(signal.SIGKILL)
        for pid in processes_of(self.home.path):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes_of(self.home.path), "nothing runs")
        unmount(self.volume)
        return last

    def boots_late(self, kind, another=False):
        """The machine ends after that event and boots without the volume, or with an empty one in its place."""
        last = self.ends_after(kind)
        if another:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.volume], check=True)
        self.home.start()
        known = ", as its recovery knows it," if another else ""
        self.waits_for(f"{self.volume}{known} is not mounted", last)
        self.assertEqual(list(self.volume.iterdir()), [])
        self.assertFalse(redis_node.answers(self.port))
        if another:
            unmount(self.volume)
        self.mount()
        self.home.wait_for("redis", state="running", health="healthy", recoveries=1)
        self.assertEqual(self.cli("get", "of"), "the backup")
        self.check_tidy()

    def test_waits_for_its_volume_after_the_fetch(self):
        self.prepare(UNIT)
        self.boots_late("recovery_fetched")

    def test_waits_for_its_volume_after_the_swap(self):
        self.prepare(UNIT, healthy_for="10s")
        self.boots_late("recovery_loaded")


    def test_waits_for_the_volume_that_it_knows(self):
        self.prepare(UNIT, healthy_for="10s")
        self.boots_late("recovery_loaded", another=True)

    def test_is_gone_for_good(self):
        self.prepare(UNIT, healthy_for="15s")
        last = self.ends_after("recovery_loaded")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.volume], check=True)
        self.home.start()
        self.waits_for("another file system is there", last)
        record = self.home.path / "redis/.hasup/swap.json"
        self.assertIn(f"remove {record}", self.home.ok("why", "redis"))
        # What is not there cannot be put back, and nobody says so.
        told = self.home.hasup("recover", "redis", "--rollback", "--yes")
        self.assertEqual(told.returncode, 1)
        self.assertIn("cannot be rolled back now: ", told.stderr)
        self.assertIn("another file system is there", told.stderr)
        self.home.ok("stop", "redis")
        record.unlink()
        (record.parent / "aside").rename(self.home.path / "aside")
        self.home.hasup("recover", "redis", "--rollback", "--yes")
        self.home.wait_event("redis", lambda e: "was removed, so that nothing is put back" in e["reason"], "it ends")
        self.assertNotIn("recovery_rolled_back", self.kinds())
        self.assertFalse(redis_node.answers(self.port))
        self.home.ok("recover", "redis", "--yes")
        self.home.wait_for("redis", state="running", health="healthy")
        self.assertEqual(self.cli("get", "of"), "the backup")


class Boot(Volumes):
    def test_without_the_volume_is_no_lost_state(self):
        self.prepare(UNIT)
        self.home.start()
        self.check_restored()
        self.home.ok("stop", "redis")
        unmount(self.volume)
        self.home.hasup("start", "redis", "--no-wait")
        self.home.wait_event("redis", lambda e: f"{self.volume} is not mounted" in e["reason"], "it waits")
        self.assertEqual(self.kinds().count("recovery_began"), 1)
        self.mount()
        self.home.wait_for("redis", state="running", health="healthy")
        self.assertEqual(self.cli("get", "of"), "the backup")


class Unnamed(Volumes):
    named = False

    def test_volume_is_refused_with_what_to_do(self):
        self.prepare(UNIT)
        self.home.start()
        self.home.wait_for("redis", timeout=60, state="failed")
        self.assertIn("data.mount", self.home.ok("why", "redis"))
        self.assertEqual(self.damaged.read_bytes(), b"not a database")
        self.assertEqual((self.data / "beside").read_text(), "old")


if __name__ == "__main__":
    unittest.main()
