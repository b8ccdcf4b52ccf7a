"""No secret and no environment value in any file, log, event, answer or command line of hasup's."""

import os
import subprocess
import unittest
from pathlib import Path

from hasup_home import HasupTest, end_process, wait_until
from leap import LeapTest

SECRET = "5KsecretOfTheTest9f2c"
PLAIN = "plainEnvironmentValue77ab"


def everything_below(directory):
    for root, _, files in os.walk(directory):
        for name in files:
            path = Path(root) / name
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # a recovery has just cleaned it up
            yield path, content


def command_lines(of):
    """Of hasup's own programs that work on this home."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            line = Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            continue
        if str(of).encode() in line and line.split(b"\0")[0].rsplit(b"/", 1)[-1].startswith(b"hasup") \
                and b"hasup-demo-node" not in line:
            yield line


@unittest.skipUnless(os.geteuid() == 0, "needs root, whose files they are")
class RootsFiles(HasupTest):
    def test_several_env_files_of_roots_are_for_the_unit_and_not_for_its_user(self):
        files = []
        for name, text in (("common", f"SHARED=first\nKEY={SECRET}\n"), ("own", "SHARED=second\nMINE=1\n")):
            file = self.home.path / f"{name}.env"
            file.write_text(text)
            file.chmod(0o600)
            files.append(str(file))
        tried = self.home.directory("tried")
        os.chown(tried, 65534, 65534)
        self.home.unit("node", f"""
[run]
command = ["sh", "-c", "cat {' '.join(files)} > {tried}/read 2> {tried}/refused; exec sleep 100000"]
user = "nobody"
env_file = {[*files, f"-{self.home.path}/none.env"]}
env = {{ TOKEN = "${{secret:KEY}}" }}
""")
        self.home.start()
        environ = self.environ()
        for line in ("SHARED=second", f"KEY={SECRET}", f"TOKEN={SECRET}", "MINE=1", "USER=nobody"):
            self.assertIn(line.encode(), environ)
        self.assertEqual((tried / "read").read_text(), "")
        self.assertEqual((tried / "refused").read_text().count("Permission denied"), 2)
        # They are read at each start, and one that is gone is named.
        Path(files[1]).write_text("SHARED=third\n")
        self.home.ok("restart", "node")
        self.assertIn(b"SHARED=third", self.environ())
        os.unlink(files[0])
        self.assertEqual(self.home.hasup("restart", "node").returncode, 1)
        self.assertIn(files[0], self.home.wait_for("node", state="failed")["reason"])

    def environ(self):
        pid = self.home.wait_healthy("node")["pid"]
        wait_until(lambda: os.readlink(f"/proc/{pid}/exe").endswith("sleep"), "it has tried to read them")
        self.assertEqual(Path(f"/proc/{pid}").stat().st_uid, 65534)
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


class Undefined(HasupTest):
    def test_a_placeholder_without_a_value_is_the_whole_story(self):
        for kind, remedy in (("secret", "set it in one of the unit's env_file"),
                             ("env", "set it in the environment of hasupd")):
            self.home.unit(kind, f"""
[run]
command = ["sh", "-c", "exec sleep 100000"]
env = {{ TOKEN = "${{{kind}:HASUP_TEST_NO_SUCH_NAME}}" }}
""")
        self.home.start()
        for kind, remedy in (("secret", "set it in one of the unit's env_file"),
                             ("env", "set it in the environment of hasupd")):
            reason = f"${{{kind}:HASUP_TEST_NO_SUCH_NAME}} is not defined; {remedy}"
            self.home.wait_for(kind, state="failed", reason=reason)
            said = self.home.ok("why", kind)
            self.assertIn("never started: cannot be started", said)
            for wrong in ("Success", "log lines that decided", "status lost"):
                self.assertNotIn(wrong, said)


class Secrets(LeapTest):
    def assert_nowhere(self):
        for directory in ("state", "run", "log"):
            for path, content in everything_below(self.home.path / directory):
                self.assertNotIn(SECRET.encode(), content, path)
                # The spec of a run is its unit file with variables filled in, for the daemon's user alone.
                if path.parent.name == "specs":
                    self.assertEqual(path.parent.stat().st_mode & 0o077, 0)
                else:
                    self.assertNotIn(PLAIN.encode(), content, path)
        self.assertNotIn(SECRET, self.home.daemon_log.read_text())
        self.assertNotIn(PLAIN, self.home.daemon_log.read_text())
        answers = [["status"], ["status", "--json"], ["events", "-n", "all"], ["events", "--json", "-n", "all"], ["check"],
                   ["cat", "leap", "--effective"], ["why", "leap"], ["why", "leap", "--json"], ["logs", "-n", "all"],
                   ["recover", "leap", "--history"], ["graph"]]
        for words in answers:
            done = self.home.hasup(*words)
            self.assertNotIn(SECRET, done.stdout + done.stderr, words)
            if words[0] != "cat":  # the unit file itself holds it
                self.assertNotIn(PLAIN, done.stdout + done.stderr, words)
        for path in ("/v1/status", "/v1/units/leap", "/v1/units/leap/why", "/v1/events", "/v1/logs/leap"):
            answer = subprocess.run(["curl", "-s", "--unix-socket", self.home.path / "run" / "hasupd.sock",
                                     f"http://hasup{path}"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
            self.assertGreater(len(answer), 2, path)
            for word in (SECRET, PLAIN):
                self.assertNotIn(word.encode(), answer, path)
        for line in command_lines(self.home.path):
            for word in (SECRET, PLAIN):
                self.assertNotIn(word.encode(), line)

    def test_they_stay_where_they_belong_over_a_whole_life(self):
        env_file = self.home.path / "etc" / "leap.env"
        env_file.write_text(f"LEAP_KEY={SECRET}\n")
        env_file.chmod(0o600)
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[run]\n", f"""[run]
env_file = ["{env_file}"]
env = {{ KEY = "${{secret:LEAP_KEY}}", OTHER = "{PLAIN}" }}
pre_start = ["sh", "-c", "test \\"$KEY\\" = {SECRET[:4]}${{secret:LEAP_KEY}} || test -n \\"$KEY\\""]
post_stop = [["sh", "-c", "exit 3", "${{secret:LEAP_KEY}}"]]
""", 1))
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        self.assertIn(f"KEY={SECRET}".encode(), environ, "the node has it")
        self.break_leap()
        self.wait_recovered()
        self.home.wait_event("leap", lambda e: e["kind"] == "post_stop_failed", "a failing hook is told")
        self.assert_nowhere()

        # A secret that is gone: named by its name.
        env_file.write_text("OTHER_KEY=1\n")
        self.home.hasup("restart", "leap", "--no-wait")
        wait_until(lambda: "LEAP_KEY" in self.home.unit_status("leap")["reason"], "the missing secret is named")
        self.assert_nowhere()

    def test_nor_do_the_arguments_of_a_stranger_on_the_data(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("stop", "leap")
        state = next(p for p, _ in everything_below(self.data) if ".hasup" not in p.parts)
        program = "import sys, time; f = open(sys.argv[1], 'r+b'); print('open', flush=True); time.sleep(1000)"
        stranger = subprocess.Popen(["python3", "-c", program, state, "--key", SECRET], stdout=subprocess.PIPE)
        self.addCleanup(stranger.stdout.close)
        self.addCleanup(end_process, stranger)
        stranger.stdout.readline()
        self.assertNotEqual(self.home.hasup("start", "leap").returncode, 0)
        self.assertIn(f"pid {stranger.pid} (python3 …,", self.home.unit_status("leap")["reason"])
        self.assert_nowhere()


if __name__ == "__main__":
    unittest.main()
