"""hasup exec: a command as the unit's node would be run, and nothing lent to who has no right to it."""

import grp
import os
import subprocess
import unittest

from hasup_home import BIN, HasupTest, alive, on_a_terminal, wait_until

SECRET = "hunter2-not-to-be-seen"


class Exec(HasupTest):
    def setUp(self):
        super().setUp()
        self.root = os.geteuid() == 0
        work = self.home.directory("work")
        if self.root:
            os.chown(work, 65534, 65534)
        env_file = self.home.path / "leap.env"
        env_file.write_text(f"API_KEY={SECRET}\nPLAIN=from the file\n")
        env_file.chmod(0o600)
        self.home.unit("leap", f"""
[run]
command = ["/bin/sleep", "1000"]
{'user = "nobody"' if self.root else ''}
{'groups = ["daemon"]' if self.root else ''}
directory = "{work}"
umask = "0027"
env_file = ["{env_file}"]
env = {{ TOKEN = "x-${{secret:API_KEY}}", UNIT_SAYS = "yes" }}
[run.limits]
open_files = 333
core = 0
""")

    def run_exec(self, *words, **options):
        env = dict(self.home.env, **options.pop("env", {}))
        return subprocess.run([BIN / "hasup", "exec", *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, **options)

    def test_it_has_all_that_the_node_has_and_its_ends_are_the_callers_own(self):
        script = "pwd; umask; ulimit -n; id -un; id -Gn; env; cat; echo to stderr >&2; exit 37"
        done = self.run_exec("leap", "--", "sh", "-c", script, input="from standard input\n", env={"MINE": "1"})
        self.assertEqual(done.returncode, 37, done.stderr)
        self.assertEqual(done.stderr, "to stderr\n")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:3], [str(self.home.path / "work"), "0027", "333"])
        if self.root:
            self.assertEqual(lines[3], "nobody")
            self.assertEqual(sorted(lines[4].split()), ["daemon", "nogroup"])
            self.assertIn("USER=nobody", lines)
        for wanted in (f"API_KEY={SECRET}", f"TOKEN=x-{SECRET}", "PLAIN=from the file", "UNIT_SAYS=yes",
                       "from standard input", "LANG=C.UTF-8"):
            self.assertIn(wanted, lines)
        self.assertFalse([l for l in lines if l.startswith(("MINE=", "HASUP_HOME=", "HASUP_TREE="))])
        self.assertEqual(self.run_exec("leap", "true").returncode, 0)  # needs no --
        self.assertEqual(self.run_exec("leap", "--", "sh", "-c", "kill -9 $$").returncode, -9)

    def test_what_goes_wrong_has_a_code_and_says_why(self):
        for words, code, said in ((("leap", "--", "no-such-program"), 127, "no-such-program"),
                                  (("leap", "--", "/etc/passwd"), 126, "Permission denied"),
                                  (("laep", "--", "true"), 4, 'did you mean "leap"'),
                                  (("leap@3", "--", "true"), 4, "no instance 3"),
                                  (("leap",), 2, "which command"),
                                  (("leap", "--"), 2, "which command")):
            done = self.run_exec(*words)
            self.assertEqual(done.returncode, code, (words, done.stderr))
            self.assertIn(said, done.stderr)
        self.home.unit("broken", "[run]\ncomand = 1\n")
        self.assertEqual(self.run_exec("broken", "--", "true").returncode, 6)

    def test_it_is_beside_the_unit_and_a_stop_does_not_wait_for_it(self):
        self.home.start()
        self.home.wait_healthy("leap")
        beside = subprocess.Popen([BIN / "hasup", "exec", "leap", "--", "sleep", "500"], env=self.home.env)
        self.addCleanup(beside.wait)
        self.addCleanup(beside.kill)
        # It is not a child of hasup: it is hasup no more.
        wait_until(lambda: os.readlink(f"/proc/{beside.pid}/exe").endswith("sleep"), "it runs")
        self.home.ok("stop", "leap")
        self.assertTrue(alive(beside.pid))
        self.assertFalse(self.home.unit_status("leap")["killed"])

    def test_a_terminal_is_a_terminal(self):
        words = [BIN / "hasup", "exec", "leap", "--", "sh", "-c", "tty; echo term=$TERM"]
        code, said = on_a_terminal(words, dict(self.home.env, TERM="vt100"))
        self.assertEqual(code, 0, said)
        self.assertIn("/dev/pts/", said)
        self.assertIn("term=vt100", said)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_it_has_the_capabilities_of_the_node_and_no_others(self):
        self.home.unit("bind", '[run]\ncommand = ["/bin/sleep", "1"]\nuser = "nobody"\ncapabilities = ["NET_BIND_SERVICE"]\n')
        done = self.run_exec("bind", "--", "grep", "^Cap[EA]", "/proc/self/status")
        self.assertEqual(done.stdout.split(), ["CapEff:", f"{1 << 10:016x}", "CapAmb:", f"{1 << 10:016x}"], done.stderr)
        done = self.run_exec("leap", "--", "grep", "^CapEff", "/proc/self/status")
        self.assertEqual(done.stdout.split(), ["CapEff:", "0" * 16], done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_another_user_gets_neither_the_user_nor_a_secret(self):
        # All files but the secret can be read: only the rights decide.
        other = dict(user=1, group=1, extra_groups=[])
        done = self.run_exec("leap", "--", "env", **other)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("only root and that user", done.stderr)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        # The unit's own user, who may not read the file of secrets.
        done = self.run_exec("leap", "--", "env", user=65534, group=65534, extra_groups=[])
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("leap.env", done.stderr)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        os.chown(self.home.path / "leap.env", 65534, 65534)
        done = self.run_exec("leap", "--", "sh", "-c", "echo $API_KEY; id -un", user=65534, group=65534, extra_groups=[])
        self.assertEqual((done.returncode, done.stdout), (0, f"{SECRET}\nnobody\n"), done.stderr)
        # Without [run] user it is that of the daemon, whoever asks.
        self.home.unit("own", '[run]\ncommand = ["/bin/sleep", "1"]\n')
        self.home.directory("state")
        self.assertEqual(self.run_exec("own", "--", "id", "-un").stdout, "root\n")
        self.assertEqual(self.run_exec("own", "--", "id", "-un", **other).returncode, 7)
        os.chown(self.home.path / "state", 65534, 65534)
        self.assertEqual(self.run_exec("own", "--", "sh", "-c", "id -un; echo $USER").stdout, "nobody\nnobody\n")
        os.chown(self.home.path / "state", 0, 0)


@unittest.skipUnless(os.geteuid() == 0, "needs root to be lured")
class HomeOfAnother(HasupTest):
    """Root in the HASUP_HOME of somebody else: that user's files say what is run, so it is run with his rights."""

    def setUp(self):
        super().setUp()
        self.secret = self.home.path.with_name(self.home.path.name + ".secret")
        self.secret.write_text(f"KEY={SECRET}\n")
        self.secret.chmod(0o600)
        self.addCleanup(self.secret.unlink)
        self.seen = self.home.directory("seen") / "by"
        self.home.unit("own", f"""
[run]
command = ["/bin/sleep", "1000"]
env = {{ GIVEN = "yes" }}
[readiness]
kind = "exec"
command = ["sh", "-c", "id -u > {self.seen}; id -G >> {self.seen}; echo $GIVEN >> {self.seen}"]
""")
        self.home.unit("roots", f"""
[run]
command = ["/bin/sleep", "1000"]
user = "root"
[readiness]
kind = "exec"
command = ["sh", "-c", "id -u > {self.seen}"]
""")
        self.home.unit("leaking", f'''
[run]
command = ["/bin/sleep", "1000"]
env_file = ["{self.secret}"]
''')
        self.home.directory("state")
        self.give_home(65534)

    def give_home(self, uid):
        for root, _, files in os.walk(self.home.path):
            for path in [root, *(os.path.join(root, name) for name in files)]:
                os.chown(path, uid, uid, follow_symlinks=False)

    def run_as(self, words, user=0, **env):
        return subprocess.run([BIN / "hasup", *words], env=dict(self.home.env, **env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, user=user,
                              group=user, extra_groups=[])

    def test_exec_is_done_as_the_owner_and_nothing_of_roots_is_lent(self):
        done = self.run_as(["exec", "own", "--", "sh", "-c", "id -u; id -G; echo $HOME; umask 0; : > $0",
                            self.home.path / "seen" / "made"], MINE=SECRET)
        self.assertEqual((done.returncode, done.stdout.split()[:2]), (0, ["65534", "65534"]), done.stderr)
        self.assertEqual((self.home.path / "seen" / "made").stat().st_uid, 65534)
        done = self.run_as(["exec", "roots", "--", "id", "-u"])
        self.assertEqual((done.returncode, done.stdout), (7, ""), done.stderr)
        self.assertIn(f"{self.home.path} belongs to nobody", done.stderr)
        done = self.run_as(["exec", "leaking", "--", "env"])
        self.assertEqual((done.returncode, done.stdout), (7, ""), done.stderr)
        self.assertNotIn(SECRET, done.stderr)
        # What the owner puts into his files does not come from root's environment.
        self.home.unit("curious", '[run]\ncommand = ["x"]\nenv = { WHAT = "${env:MINE}" }\n')
        done = self.run_as(["exec", "curious", "--", "env"], MINE=SECRET)
        self.assertNotIn(SECRET, done.stdout + done.stderr)

    def test_an_exec_check_is_run_as_the_owner(self):
        done = self.run_as(["probe", "own"])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.seen.read_text().split(), ["65534", "65534", "yes"])
        self.run_as(["probe", "roots"])
        self.assertEqual(self.seen.read_text().split(), ["65534"])

    def test_a_link_to_what_is_roots_makes_nothing_his(self):
        for name in ("state", "etc"):
            (self.home.path / name).rename(self.home.path / f"{name}.was")
            (self.home.path / name).symlink_to("/var/lib" if name == "state" else f"{self.home.path}/etc.was")
            os.chown(self.home.path / name, 65534, 65534, follow_symlinks=False)
        done = self.run_as(["exec", "own", "--", "id", "-u"])
        self.assertEqual((done.returncode, done.stdout), (0, "65534\n"), done.stderr)

    def test_of_two_owners_neither_decides(self):
        os.chown(self.home.path / "etc", 1, 1)
        for words in (["exec", "own", "--", "id"], ["probe", "own"]):
            done = self.run_as(words)
            self.assertEqual((done.returncode, done.stdout), (7, ""), done.stderr)
            self.assertIn("belong to different users", done.stderr)

    def test_a_third_user_runs_neither(self):
        for words in (["exec", "own", "--", "id"], ["probe", "own"]):
            done = self.run_as(words, user=1)
            self.assertEqual((done.returncode, done.stdout), (7, ""), done.stderr)
            self.assertIn("belongs to nobody", done.stderr)
        self.assertFalse(self.seen.exists())

    def test_in_roots_own_home_an_exec_check_has_the_rights_of_the_unit(self):
        self.give_home(0)
        os.chown(self.seen.parent, 65534, 65534)
        path = self.home.path / "etc" / "units" / "own.toml"
        path.write_text(path.read_text().replace("[run]\n", '[run]\nuser = "nobody"\ngroups = ["daemon"]\n'))
        daemon_group = str(grp.getgrnam("daemon").gr_gid)
        expected = ["65534", "65534", daemon_group, "yes"]
        self.assertEqual(self.run_as(["probe", "own"]).returncode, 0)
        self.assertEqual(self.seen.read_text().split(), expected)
        # And so it has when the daemon asks.
        self.seen.unlink()
        (self.home.path / "etc" / "units" / "roots.toml").unlink()
        self.home.start()
        self.home.wait_healthy("own")
        # The next one may just be at it, line by line.
        wait_until(lambda: self.seen.read_text().split() == expected, lambda: f"{expected}: {self.seen.read_text()}")


if __name__ == "__main__":
    unittest.main()
