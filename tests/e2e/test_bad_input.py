"""Broken files, missing programs, backup hosts that fail: a clear error, and the old state untouched byte for byte."""

import shutil
import unittest

from hasup_home import HasupTest, free_port, tree_digest, wait_until
from leap import LeapTest

SLEEPER = '[run]\ncommand = ["sleep", "1000"]\n'


class BrokenFiles(HasupTest):
    def test_errors_have_a_place_a_caret_and_a_suggestion_and_stop_no_other_unit(self):
        self.home.unit("good", SLEEPER)
        self.home.unit("typo", SLEEPER + '\n[restart]\npolcy = "always"\n')
        self.home.unit("syntax", '[run]\ncommand = ["sleep", \n')
        self.home.unit("loop-a", SLEEPER + '[[requires]]\nunit = "loop-b"\n')
        self.home.unit("loop-b", SLEEPER + '[[requires]]\nunit = "loop-a"\n')
        self.home.unit("lost", SLEEPER + '[[requires]]\nunit = "goood"\n')
        done = self.home.hasup("check")
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 6)
        self.assertRegex(said, r"typo\.toml:5:1: error: .*polcy.*\n(.*\n)?.*polcy = ")
        self.assertIn('did you mean "policy"', said)
        self.assertIn("^~~~~", said)
        self.assertRegex(said, r"syntax\.toml:\d+:\d+: error: ")
        self.assertRegex(said, r"loop-a -> loop-b -> loop-a|loop-b -> loop-a -> loop-b")
        self.assertRegex(said, r"lost\.toml:\d+:\d+: error: .*goood")

        self.home.start()
        self.home.wait_healthy("good")
        for name in ("typo", "syntax", "loop-a", "loop-b", "lost"):
            self.assertEqual(self.home.unit_status(name)["state"], "failed", name)
            self.assertEqual(self.home.hasup("start", name).returncode, 6, name)
        self.assertTrue(self.home.status()["diagnostics"])

        # Mended, it starts after `apply`.
        self.home.unit("typo", SLEEPER + '\n[restart]\npolicy = "always"\n')
        self.home.hasup("apply")
        self.home.wait_healthy("typo")

    def test_a_file_that_breaks_while_its_unit_runs_does_not_stop_it(self):
        self.home.unit("good", SLEEPER)
        self.home.start()
        pid = self.home.wait_healthy("good")["pid"]
        self.home.unit("good", "[run\n")
        self.assertEqual(self.home.hasup("apply").returncode, 6)
        self.assertEqual(self.home.unit_status("good")["pid"], pid)

    def test_two_units_on_one_data_directory_are_an_error(self):
        for name in ("one", "two"):
            self.home.unit(name, f'[data]\ndir = "{self.home.path}/data"\n' + SLEEPER)
        self.assertEqual(self.home.hasup("check").returncode, 6)


class MissingPrograms(HasupTest):
    def test_a_missing_program_is_named_and_never_a_reason_to_loop(self):
        self.home.unit("ghost", '[run]\ncommand = ["/nonexistent/nodeos", "--x"]\n')
        self.home.start()
        status = self.home.wait_for("ghost", state="failed")
        self.assertIn("/nonexistent/nodeos", status["reason"])
        self.assertEqual(self.home.hasup("start", "ghost").returncode, 1)

    def test_a_program_that_keeps_failing_runs_into_the_start_limit_and_reset_clears_it(self):
        self.home.unit("crash", '[run]\ncommand = ["false"]\n[restart]\nbackoff = { initial = "10ms", max = "20ms" }\n'
                                'start_limit = { count = 3, within = "10m" }\n')
        self.home.start()
        status = self.home.wait_for("crash", state="failed")
        self.assertEqual(status["last_exit"]["code"], 1)
        self.home.ok("reset", "crash")


class BackupHosts(LeapTest):
    """Whatever the backup host does, the dirty state stays as it was until a replacement was verified."""

    def setUp(self):
        super().setUp()
        self.make_dirty()
        self.before = tree_digest(self.data)

    def assert_failed_untouched(self):
        status = self.home.wait_for("leap", state="failed")
        self.assertEqual(tree_digest(self.data), self.before)
        self.assertEqual(status["recoveries"], 0)
        return status

    def test_down(self):
        self.leap_unit(f"http://127.0.0.1:{free_port()}/")
        self.home.start()
        self.assert_failed_untouched()
        self.assertEqual(self.home.hasup("start", "leap", "--no-wait").returncode, 0)
        self.home.ok("stop", "leap")
        self.assertEqual(tree_digest(self.data), self.before)

    def test_back_again(self):
        port = free_port()
        self.leap_unit(f"http://127.0.0.1:{port}/")
        self.home.start()
        self.assert_failed_untouched()
        self.leap_unit(f"http://127.0.0.1:{self.start_backup_host(self.backup)}/")
        self.home.ok("apply")
        self.home.ok("recover", "leap", "--yes")
        self.wait_recovered()

    def test_lists_nothing(self):
        empty = self.home.directory("empty")
        self.leap_unit(f"http://127.0.0.1:{self.start_nginx(empty)}/")
        self.home.start()
        self.assert_failed_untouched()

    def test_serves_only_altered_archives(self):
        for path in self.snapshots:
            self.alter(path)
        self.leap_unit(f"http://127.0.0.1:{self.start_nginx(self.backup)}/", checksum="required")
        self.home.start()
        self.assert_failed_untouched()
        reasons = " ".join(e["reason"] for e in self.home.events("leap"))
        for path in self.snapshots:
            self.assertIn(path.name, reasons)

    def test_has_no_checksums_where_they_are_required(self):
        for path in self.backup.glob("*.sha256"):
            path.unlink()
        self.leap_unit(f"http://127.0.0.1:{self.start_nginx(self.backup)}/", checksum="required")
        self.home.start()
        self.assert_failed_untouched()

    def test_truncated_archives_whose_checksums_fit_are_tried_and_the_old_state_comes_back(self):
        for path in self.snapshots:
            self.truncate(path, with_checksum=True)
        self.leap_unit(f"http://127.0.0.1:{self.start_nginx(self.backup)}/", checksum="required")
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("Binary snapshot validation", self.home.log_text("leap"))
        self.assertEqual(tree_digest(self.data), self.before, status["reason"])

    def test_a_truncated_newest_archive_is_passed_over_for_the_next(self):
        self.truncate(self.snapshots[-1], with_checksum=True)
        self.leap_unit(f"http://127.0.0.1:{self.start_nginx(self.backup)}/", checksum="required")
        self.home.start()
        self.wait_recovered()

    def test_goes_down_in_the_middle_and_the_next_source_is_used(self):
        other = self.home.directory("other")
        for path in self.backup.iterdir():
            shutil.copy2(path, other)
        for path in self.snapshots:
            path.unlink()  # still listed checksums, no archives
        self.leap_unit(f"http://127.0.0.1:{self.start_nginx(self.backup)}/", checksum="required")
        text = (self.home.path / "etc/units/leap.toml").read_text()
        first = next(line for line in text.splitlines() if line.startswith("source = "))
        url = first.split('"')[1]
        (self.home.path / "etc/units/leap.toml").write_text(
            text.replace(first, f'source = ["http://127.0.0.1:{free_port()}/", "{url}", "file://{other}/"]'))
        self.home.start()
        self.wait_recovered()


class StopDuringRecovery(LeapTest):
    state_size = 4_000_000

    def test_stop_before_the_swap_cancels_and_touches_nothing(self):
        self.make_dirty()
        before = tree_digest(self.data)
        port = self.start_backup_host(self.backup, rate=500_000)
        self.leap_unit(f"http://127.0.0.1:{port}/")
        self.home.start()

        def fetching():
            recovery = self.home.unit_status("leap")["recovery"]
            return recovery and recovery["phase"] == "fetch"
        wait_until(fetching, "the fetch began")
        self.home.ok("stop", "leap")
        self.assertEqual(self.home.unit_status("leap")["state"], "stopped")
        self.assertEqual(tree_digest(self.data), before)


if __name__ == "__main__":
    unittest.main()
