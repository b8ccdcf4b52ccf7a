"""A hasupd of root's obeys nobody else's files: it refuses to start, and to apply, and says what to do."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from hasup_home import BIN, HasupTest

UNIT = """
[run]
command = ["sleep", "100000"]
"""
NOBODY = 65534


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Trust(HasupTest):
    def setUp(self):
        super().setUp()
        self.home.unit("one", UNIT)
        self.file = self.home.path / "etc" / "units" / "one.toml"

    def refused(self, *options):
        """What hasupd says instead of coming up."""
        done = subprocess.run([BIN / "hasupd", *options], env=self.home.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1 if options else 7, done.stdout + done.stderr)
        self.assertFalse((self.home.path / "run").exists())
        return done.stderr

    def test_files_and_directories_of_others_are_refused_and_named(self):
        for path in (self.home.path, self.file.parent.parent, self.file.parent, self.file):
            os.chown(path, NOBODY, NOBODY)
            for options in ((), ("--self-check",)):
                said = self.refused(*options)
                self.assertIn(f"{path} belongs to nobody", said)
                self.assertIn(f"start hasupd as nobody, or give it to root: chown -R root: {path}", said)
            os.chown(path, 0, 0)
        self.home.start()
        self.home.wait_healthy("one")

    def test_so_is_what_others_can_write_to(self):
        for path, mode in ((self.home.path, 0o1777), (self.file.parent, 0o757), (self.file, 0o646)):
            usual = path.stat().st_mode
            path.chmod(mode)
            self.assertIn(f"anybody can write to {path}", self.refused())
            path.chmod(usual)
        os.chown(self.file, 0, 1)
        self.file.chmod(0o660)
        self.assertIn(f"chmod g-w {self.file}", self.refused())

    def test_a_link_is_only_as_good_as_where_it_leads(self):
        other = Path(tempfile.mkdtemp(prefix="hasup-lent-"))
        self.addCleanup(shutil.rmtree, other)
        (other / "one.toml").write_text(UNIT)
        os.chown(other, NOBODY, NOBODY)
        self.file.unlink()
        self.file.symlink_to(other / "one.toml")
        self.assertIn(f"{other} belongs to nobody, who could put", self.refused())

    def test_a_file_that_becomes_another_users_is_not_applied(self):
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        self.home.unit("two", UNIT)
        os.chown(self.home.path / "etc" / "units" / "two.toml", NOBODY, NOBODY)
        for words in (["apply"], ["apply", "--dry-run"], ["scale", "one", "1"]):
            done = self.home.hasup(*words)
            self.assertEqual(done.returncode, 7, done.stdout + done.stderr)
            self.assertIn("two.toml belongs to nobody", done.stdout + done.stderr)
        self.assertEqual([u["unit"] for u in self.home.status()["units"]], ["one"])
        os.chown(self.home.path / "etc" / "units" / "two.toml", 0, 0)
        self.home.ok("apply")
        self.home.wait_healthy("two")
        self.assertEqual(self.home.unit_status("one")["pid"], pid)

    def test_a_user_is_free_to_share_his_own(self):
        for root, dirs, _ in os.walk(self.home.path):
            for path in [root, *(os.path.join(root, d) for d in dirs)]:
                os.chown(path, NOBODY, NOBODY)
        self.file.chmod(0o666)
        self.home.daemon = subprocess.Popen([BIN / "hasupd"], env=self.home.env, stdin=subprocess.DEVNULL, user=NOBODY,
                                            group=NOBODY, extra_groups=[], stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL, start_new_session=True)
        self.home.wait_answering()
        self.home.wait_healthy("one")


if __name__ == "__main__":
    unittest.main()
