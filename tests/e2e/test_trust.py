"""A hasupd of root's obeys nobody else's files: it refuses to start, or to run that unit, and says what to do."""

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
        main = self.file.parent.parent / "hasup.toml"
        main.write_text("")
        for path in (self.home.path, self.file.parent.parent, self.file.parent, main):
            os.chown(path, NOBODY, NOBODY)
            for options in ((), ("--self-check",)):
                said = self.refused(*options)
                self.assertIn(f"{path} belongs to nobody", said)
                self.assertIn(f"start hasupd as nobody, or give it to root: chown root: {path}", said)
            os.chown(path, 0, 0)
        self.home.start()
        self.home.wait_healthy("one")

    def test_so_is_what_others_can_write_to(self):
        main = self.file.parent.parent / "hasup.toml"
        main.write_text("")
        for path, mode in ((self.home.path, 0o1777), (self.file.parent, 0o757), (main, 0o646)):
            usual = path.stat().st_mode
            path.chmod(mode)
            self.assertIn(f"anybody can write to {path}", self.refused())
            path.chmod(usual)
        os.chown(main, 0, 1)
        main.chmod(0o660)
        self.assertIn(f"chmod g-w {main}", self.refused())

    def test_a_link_is_only_as_good_as_where_it_leads(self):
        other = Path(tempfile.mkdtemp(prefix="hasup-lent-"))
        self.addCleanup(shutil.rmtree, other)
        (other / "one.toml").write_text(UNIT)
        os.chown(other, NOBODY, NOBODY)
        self.file.unlink()
        self.file.symlink_to(other / "one.toml")
        self.home.unit("two", UNIT)
        self.home.start()
        self.home.wait_healthy("two")
        self.assertIn(f"{other} belongs to nobody, who could put", self.home.hasup("apply").stdout)
        self.assertEqual([u["unit"] for u in self.home.status()["units"] if u["pid"]], ["two"])

    def test_a_unit_file_of_another_user_costs_that_unit_alone(self):
        base = self.home.path / "etc" / "units" / "base.toml"
        self.home.unit("base", UNIT)
        self.home.unit("derived", 'extends = "base"\n')
        self.home.start()
        pids = {name: self.home.wait_healthy(name)["pid"] for name in ("one", "base", "derived")}
        self.home.unit("two", UNIT)
        os.chown(self.home.path / "etc" / "units" / "two.toml", NOBODY, NOBODY)
        for words in (["apply", "--dry-run"], ["apply"]):
            done = self.home.hasup(*words)
            self.assertEqual(done.returncode, 6, done.stdout + done.stderr)
            self.assertIn("two.toml belongs to nobody", done.stdout)
        # What runs is left as it is, also when the next hasupd comes up; and what extends it is not run anew.
        os.chown(base, NOBODY, NOBODY)
        for again in (lambda: self.home.hasup("apply"), self.home.kill_daemon):
            again()
        self.home.start()
        for name, pid in pids.items():
            self.assertEqual(self.home.wait_healthy(name)["pid"], pid)
        self.assertIn("base.toml belongs to nobody", self.home.hasup("apply").stdout)
        for path in (base, self.home.path / "etc" / "units" / "two.toml"):
            os.chown(path, 0, 0)
        self.home.ok("apply")
        self.home.wait_healthy("two")
        self.assertEqual({name: self.home.unit_status(name)["pid"] for name in pids}, pids)

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
