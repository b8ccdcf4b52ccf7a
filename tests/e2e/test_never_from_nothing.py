"""A data directory that is empty or gone is no state: a unit with a recipe is not started on it, even where the recipe
lists nothing that must exist."""

import os
import shutil
import signal
import subprocess
import tarfile
import unittest

from hasup_home import HasupTest, alive, wait_until, write_sha256

RECIPE = """
[params]
bootstrap = {{ default = "{bootstrap}", help = "a new machine" }}
[data]
bootstrap = "${{bootstrap}}"
wipe = ["state"]
[snapshot]
match = "*.tar"
order = "name"
into = "."
[confirm]
when = "healthy"
advancing_for = "100ms"
"""

# It writes its state itself where there is none, as most nodes do, and tells then what it runs on.
UNIT = """
[run]
command = ["sh", "-c", "test -e {data}/state || echo nothing > {data}/state; cat {data}/state > {ran}; exec sleep 600"]
[data]
dir = "{data}"
[readiness]
kind = "exec"
command = ["test", "-s", "{ran}"]
interval = "50ms"
[restart]
backoff = {{ initial = "100ms", max = "500ms" }}
[recovery]
recipe = "node"
source = "file://{backup}/"
{more}
"""

GATE = """
[run]
command = ["sleep", "600"]
[readiness]
kind = "exec"
command = ["test", "-e", "{gate}"]
interval = "50ms"
failures = 1
"""


class NeverFromNothing(HasupTest):
    def setUp(self):
        super().setUp()
        self.ran = self.home.path / "ran"
        self.data, self.backup = self.home.directory("data"), self.home.directory("backup")
        state = self.home.path / "of-the-backup"
        state.write_text("of the backup\n")
        with tarfile.open(self.backup / "1.tar", "w") as tar:
            tar.add(state, "state")
        write_sha256(self.backup / "1.tar")

    def unit(self, bootstrap="hold", more=""):
        (self.home.directory("etc/recipes") / "node.toml").write_text(RECIPE.format(bootstrap=bootstrap))
        self.home.unit("node", UNIT.format(data=self.data, ran=self.ran, backup=self.backup, more=more))

    def run_once(self, **options):
        """On a state of its own; its pid."""
        (self.data / "state").write_text("its own\n")
        self.unit(**options)
        self.home.start()
        pid = self.home.wait_healthy("node")["pid"]
        self.assertEqual(self.ran.read_text(), "its own\n")
        self.ran.unlink()
        return pid

    def assert_restored(self):
        self.home.wait_for("node", state="running", health="healthy", recoveries=1)
        self.assertEqual(self.ran.read_text(), "of the backup\n")

    def assert_held(self, why):
        status = self.home.wait_for("node", state="failed")
        self.assertIn(f"{self.data} {why}: never started from nothing", status["reason"])
        self.assertFalse(self.ran.exists(), "it was started")
        return status["reason"]

    def test_a_first_run_waits_for_a_person_and_goes_on_with_what_that_one_puts_there(self):
        self.unit()
        self.assertIn(f"{self.data} is empty: never started from nothing", self.home.ok("check"))
        self.home.start()
        self.assertIn("hasup start node --from-nothing", self.assert_held("is empty"))
        (self.data / "state").write_text("of a person\n")
        self.home.ok("start", "node")
        self.home.wait_healthy("node")
        self.assertEqual(self.ran.read_text(), "of a person\n")

    def test_a_first_run_takes_the_backup_where_the_recipe_says_so(self):
        self.unit(bootstrap="recover")
        self.home.start()
        self.assert_restored()

    def test_a_first_run_begins_with_nothing_where_the_recipe_says_so_and_never_again(self):
        (self.data / "lost+found").mkdir()  # as on a new volume
        self.unit(more='[recovery.params]\nbootstrap = "empty"')
        self.home.start()
        self.home.wait_healthy("node")
        self.assertEqual(self.ran.read_text(), "nothing\n")
        self.home.ok("stop", "node")
        (self.data / "state").unlink()
        self.ran.unlink()
        self.home.hasup("start", "node", "--no-wait")
        self.assert_restored()

    def test_a_person_has_it_begin_with_nothing_once(self):
        self.run_once()
        self.home.ok("stop", "node")
        (self.data / "state").unlink()
        shutil.rmtree(self.backup)  # a recovery would not get far
        self.home.ok("start", "node", "--from-nothing")
        self.assertEqual(self.ran.read_text(), "nothing\n")
        self.assertEqual(self.home.unit_status("node")["recoveries"], 0)
        # The next start does not.
        (self.data / "state").unlink()
        self.ran.unlink()
        os.kill(self.home.unit_status("node")["pid"], signal.SIGKILL)
        self.assert_held("is empty")

    def test_it_is_for_one_unit(self):
        self.run_once()
        for name in ("node", "other"):
            data = self.home.directory(f"data-of-{name}")
            (data / "state").write_text("its own\n")
            self.home.unit(name, 'groups = ["both"]\n' + UNIT.format(data=data, ran=self.home.path / f"ran-{name}",
                                                                    backup=self.backup, more=""))
        self.home.ok("apply")
        self.home.ok("stop", "--all")
        refused = self.home.hasup("start", "@both", "--from-nothing", "--no-wait")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("one unit", refused.stderr)

    def test_it_is_kept_over_the_death_of_hasupd_until_the_run_has_begun(self):
        gate = self.home.path / "open"
        gate.touch()
        self.home.unit("gate", GATE.format(gate=gate))
        self.run_once(more='[[requires]]\nunit = "gate"\ncondition = "healthy"\n')
        self.home.ok("stop", "node")
        gate.unlink()
        self.home.wait_for("gate", health="unhealthy")
        (self.data / "state").unlink()
        self.home.ok("start", "node", "--from-nothing", "--no-wait")
        self.home.wait_for("node", state="waiting")
        self.home.kill_daemon()
        self.home.start()
        self.home.wait_for("node", state="waiting")
        gate.touch()
        self.home.wait_healthy("node")
        self.assertEqual(self.ran.read_text(), "nothing\n")
        self.assertEqual(self.home.unit_status("node")["recoveries"], 0)

    def test_a_directory_that_was_exchanged_for_an_empty_one_is_restored(self):
        pid = self.run_once()
        self.data.rename(self.home.path / "elsewhere")
        self.data.mkdir()
        os.kill(pid, signal.SIGKILL)
        self.assert_restored()

    def test_a_directory_that_is_gone_when_the_next_hasupd_comes_is_not_made_anew(self):
        pid = self.run_once(more='mode = "off"')
        self.home.kill_daemon()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "it is dead")
        shutil.rmtree(self.data)
        self.home.start()
        self.assert_held("is not there")
        self.assertFalse(self.data.exists())
        self.home.hasup("start", "node")
        self.assert_held("is not there")

    def test_what_is_below_a_volume_that_is_not_mounted_is_nothing(self):
        volume = self.home.directory("volume")
        mount = ["mount", "--bind", volume, self.data]
        if os.geteuid() != 0 or subprocess.run(list(map(str, mount))).returncode:
            self.skipTest("only root can mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.data], stderr=subprocess.DEVNULL)
        self.run_once(more='mode = "off"')
        self.home.ok("stop", "node")
        subprocess.run(["umount", self.data], check=True)
        self.home.hasup("start", "node")
        self.assert_held("is empty")
        self.assertEqual(list(self.data.iterdir()), [])
        subprocess.run(list(map(str, mount)), check=True)
        self.home.ok("start", "node")
        self.home.wait_healthy("node")
        self.assertEqual(self.ran.read_text(), "its own\n")


if __name__ == "__main__":
    unittest.main()
