"""Node.js apps of the real pm2, in fork and in cluster mode, go over to hasup by the steps that the import prints."""

import json
import os
import re
import shutil
import stat
import subprocess
import unittest
import urllib.request
from pathlib import Path

from hasup_home import BIN, DEADLINE, SOURCE, HasupTest, alive, claim_port, free_port, wait_until

PM2_DIR = Path(os.environ.get("HASUP_PM2_DIR", SOURCE / "build" / "pm2"))

# Answers with what it was given, and keeps a record of the life of each copy: "start" says whether the copy before it
# was still alive, "end" is written after an orderly stop that takes as long as FLUSH_MS.
APP = """
const fs = require('fs'), http = require('http');
const record = process.env.LIFE_RECORD;
const me = process.env.APP + '@' + process.env.NODE_APP_INSTANCE;
const read = () => fs.existsSync(record) ? fs.readFileSync(record, 'utf8').split('\\n').filter(l => l).map(JSON.parse) : [];
const say = (what, more) => fs.appendFileSync(record, JSON.stringify({ me, what, pid: process.pid, ...more }) + '\\n');
const lives = pid => { try { process.kill(pid, 0); return true; } catch (e) { return e.code !== 'ESRCH'; } };
const others = read().filter(r => r.me === me && r.what === 'start' && r.pid !== process.pid && lives(r.pid));
say('start', { beside: others.map(r => r.pid) });
process.on('SIGINT', () => setTimeout(() => { say('end'); process.exit(0); }, Number(process.env.FLUSH_MS || 0)));
http.createServer((request, response) => response.end(JSON.stringify({
  pid: process.pid, cwd: process.cwd(), args: process.argv.slice(2), options: process.execArgv, env: process.env,
}))).listen(Number(process.env.PORT), '127.0.0.1', () => say('listening'));
"""

APP_VARIABLES = ("APP", "LIFE_RECORD", "PORT", "GREETING", "API_KEY", "DATABASE_URL", "NODE_APP_INSTANCE", "FLUSH_MS")
SECRETS = ("sk-live-4242", "hunter2")


class ImportPm2(HasupTest):
    def setUp(self):
        super().setUp()
        self.program = PM2_DIR / "node_modules" / ".bin" / "pm2"
        if not self.program.exists():
            self.fail(f"pm2 is not installed in {PM2_DIR}; packaging/test.sh installs it there")
        self.node = shutil.which("node")
        self.assertIsNotNone(self.node, "node is not installed; packaging/test.sh installs it")
        self.app = self.home.directory("app")
        (self.app / "app.js").write_text(APP)
        self.record = self.app / "life.jsonl"
        self.pm2_home = self.home.directory("pm2")
        self.env = dict(self.home.env, PM2_HOME=str(self.pm2_home), SHELL_NOISE="of the login",
                        PM2_DISABLE_VERSION_CHECK="true",
                        PATH=f"{self.program.parent}:{BIN}:{os.environ['PATH']}")
        self.home.env = self.env  # who imports sits in the same shell
        self.addCleanup(self.pm2, "kill", check=False)

    def pm2(self, *words, check=True):
        done = subprocess.run([self.program, *map(str, words)], env=self.env, cwd=self.app, timeout=DEADLINE, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            raise AssertionError(f"pm2 {' '.join(map(str, words))} exited {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start_under_pm2(self, save=True):
        self.web_port, self.api_port, self.slow_port = free_port(), self.two_free_ports(), free_port()
        common = {"LIFE_RECORD": str(self.record)}
        apps = [
            {"name": "Web Shop", "script": "./app.js", "args": ["one", "two three"],
             "node_args": "--max-old-space-size=200", "namespace": "shop", "stop_exit_codes": [3],
             "exp_backoff_restart_delay": 100,
             "env": {**common, "APP": "web", "PORT": self.web_port, "GREETING": "héllo ${HOME} $$ \"x\"",
                     "API_KEY": SECRETS[0], "DATABASE_URL": f" postgres://shop:{SECRETS[1]}@db/shop "}},
            {"name": "api", "script": "./app.js", "exec_mode": "cluster", "instances": 2,
             "env": {**common, "APP": "api", "PORT": self.api_port}},
            {"name": "slow", "script": "./app.js",
             "env": {**common, "APP": "slow", "PORT": self.slow_port, "FLUSH_MS": 4000}},
        ]
        (self.app / "ecosystem.config.js").write_text(f"module.exports = {json.dumps({'apps': apps})}")
        self.pm2("start", "ecosystem.config.js")
        for copy in ("web@0", "api@0", "api@1", "slow@0"):
            self.wait_listening(copy, 1)
        if save:
            self.pm2("save")

    def two_free_ports(self):
        """A port with a free one behind it: instances count up from it."""
        while True:
            port = free_port()
            if claim_port(port + 1):
                return port

    def life(self, copy=None):
        if not self.record.exists():
            return []
        all_lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [r for r in all_lines if copy in (None, r["me"])]

    def wait_listening(self, copy, times):
        wait_until(lambda: sum(r["what"] == "listening" for r in self.life(copy)) >= times, f"{copy} listens")

    def answer(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            return json.load(answer)

    def copies_alive(self):
        return [r["pid"] for r in self.life() if r["what"] == "start" and alive(r["pid"])]

    def unit_dir(self):
        return self.home.path / "etc" / "units"

    def commands_of(self, said):
        """The lines to copy, in order: indented by five, remarks left out."""
        lines = [line[5:] for line in said.splitlines() if re.match(r" {5}[^ #]", line)]
        return [line for line in lines if "unstartup" not in line]  # the machine's own pm2 is not ours

    def run_line(self, line):
        done = subprocess.run(["bash", "-c", line], env=self.env, cwd="/", timeout=DEADLINE, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}\n{self.home.report()}")

    def test_the_printed_steps_lead_over_with_the_same_environment_and_never_two_copies(self):
        self.start_under_pm2()
        before = {port: self.answer(port) for port in (self.web_port, self.api_port, self.slow_port)}
        self.home.start()
        said = self.home.ok("import", "pm2")
        self.assertIn("3 units checked: no errors", said)
        self.home.ok("check")
        self.assertEqual(self.home.status()["units"], [], "the import itself must start nothing")

        commands = self.commands_of(said)
        self.assertTrue(all("pm2" in c for c in commands[:3]), commands)
        apply = commands.index("hasup apply")
        for line in commands[:apply]:
            self.run_line(line)
        self.assertEqual(self.copies_alive(), [], "pm2 has let go of everything before hasup starts anything")
        self.assertEqual(json.loads((self.pm2_home / "dump.pm2").read_text()), [], "a reboot brings nothing back")
        for line in commands[apply:]:
            self.run_line(line)

        for copy in ("web@0", "api@0", "api@1", "slow@0"):
            self.wait_listening(copy, 2)
        after = {port: self.answer(port) for port in before}
        for port, was in before.items():
            now = after[port]
            self.assertNotEqual(now["pid"], was["pid"])
            self.assertEqual(now["cwd"], was["cwd"])
            self.assertEqual(now["args"], was["args"])
            self.assertEqual(now["options"], was["options"])
            if port != self.api_port:  # either copy of the cluster may have answered
                self.assertEqual({k: now["env"].get(k) for k in APP_VARIABLES},
                                 {k: was["env"].get(k) for k in APP_VARIABLES})
            self.assertEqual([k for k in now["env"] if k.startswith(("PM2_", "pm_", "SHELL_NOISE", "SSH_"))], [])
        second = self.answer(self.api_port + 1)
        self.assertEqual([after[self.api_port]["env"]["NODE_APP_INSTANCE"], second["env"]["NODE_APP_INSTANCE"]],
                         ["0", "1"])
        self.assertEqual([r for r in self.life() if r.get("beside")], [], "two copies of one app at a time")
        running = {(u["unit"], u["instance"]) for u in self.home.status()["units"] if u["state"] == "running"}
        self.assertEqual(running, {("web-shop", 0), ("api", 0), ("api", 1), ("slow", 0)})
        self.home.ok("restart", "@shop")  # pm2's namespace is a group
        self.wait_listening("web@0", 3)

        # pm2 killed the slow one at its stop; hasup waits until it has written its state.
        self.assertEqual([r["what"] for r in self.life("slow@0")], ["start", "listening"] * 2)
        self.home.ok("stop", "slow")
        self.assertEqual([r["what"] for r in self.life("slow@0")][-1], "end")

    def test_secrets_are_in_a_file_of_their_own_and_shown_nowhere(self):
        self.start_under_pm2()
        shown = self.home.ok("import", "pm2", "--dry-run")
        self.assertIn("API_KEY=<redacted>", shown)
        self.assertEqual(list(self.unit_dir().iterdir()), [], "--dry-run writes nothing")
        shown += self.home.ok("import", "pm2")
        shown += "".join(f.read_text() for f in self.unit_dir().glob("*.toml"))
        for secret in SECRETS:
            self.assertNotIn(secret, shown)
        env_file = self.unit_dir() / "web-shop.env"
        self.assertEqual(stat.S_IMODE(env_file.stat().st_mode), 0o600)
        self.assertIn(f"API_KEY={SECRETS[0]}\n", env_file.read_text())
        self.assertEqual(sorted(f.name for f in self.unit_dir().iterdir()),
                         ["api.toml", "slow.toml", "web-shop.env", "web-shop.toml"])

    def test_what_is_there_is_not_overwritten(self):
        self.start_under_pm2()
        own = "# my own\n[run]\ncommand = [\"sleep\", \"1\"]\n"
        self.home.unit("api", own)
        done = self.home.hasup("import", "pm2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("api.toml exists and was left as it is; --force overwrites it", done.stderr)
        self.assertEqual((self.unit_dir() / "api.toml").read_text(), own)
        self.assertTrue((self.unit_dir() / "slow.toml").exists())
        self.assertNotIn("pm2 kill", "\n".join(self.commands_of(done.stdout)), "pm2 still has api to run")
        self.home.ok("import", "pm2", "--force")
        self.assertNotEqual((self.unit_dir() / "api.toml").read_text(), own)

    def test_the_running_pm2_and_both_kinds_of_files_say_the_same(self):
        self.start_under_pm2(save=False)
        listed = self.home.path / "list.json"
        listed.write_text(self.pm2("jlist"))
        out = {name: self.home.path / name for name in ("no-dump", "list", "dump", "running")}
        self.assertIn("read the running pm2", self.home.ok("import", "pm2", "--output", out["no-dump"]))
        self.home.ok("import", "pm2", listed, "--output", out["list"])
        self.pm2("save")
        self.assertIn("dump.pm2", self.home.ok("import", "pm2", "--output", out["dump"]))
        self.home.ok("import", "pm2", "--running", "--output", out["running"])
        texts = [{f.name: f.read_text().replace(str(d), "DIR") for f in d.iterdir()} for d in out.values()]
        self.assertEqual(sorted(texts[0]), ["api.toml", "slow.toml", "web-shop.env", "web-shop.toml"])
        for other in texts[1:]:
            self.assertEqual(other, texts[0])


class WithoutPm2(HasupTest):
    def test_what_cannot_be_read_is_said_with_the_remedy(self):
        self.home.env["PM2_HOME"] = str(self.home.path / "nothing")
        done = self.home.hasup("import", "pm2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no pm2 runs for", done.stderr)
        self.assertFalse((self.home.path / "nothing").exists(), "no pm2 was started by asking")
        broken = self.home.path / "broken.json"
        broken.write_text('[{"name": "a", "pm_exec_path": "/a"')
        done = self.home.hasup("import", "pm2", broken)
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected pm2's dump.pm2", done.stderr)
        broken.write_text("[]")
        self.assertIn("nothing to import", self.home.ok("import", "pm2", broken))
        self.assertEqual(self.home.hasup("import").returncode, 2)
        self.assertEqual(self.home.hasup("import", "supervisord").returncode, 2)

    def test_a_dry_run_says_what_would_become_of_files_that_are_there(self):
        dump = self.home.path / "dump.pm2"
        dump.write_text(json.dumps([
            {"name": name, "pm_exec_path": "/bin/sleep", "args": ["100"], "exec_interpreter": "none", "pm_cwd": "/",
             "exec_mode": "fork_mode", "env": {"API_KEY": "dfa8af7ad3"}} for name in ("fresh", "half", "mine")]))
        units = self.home.path / "etc" / "units"
        self.home.unit("mine", "# my own\n")
        (units / "half.env").write_text("A=1\n")
        said = self.home.ok("import", "pm2", dump, "--dry-run")
        for file, fate in (("fresh.toml", "would be written"), ("fresh.env", "would be written"),
                           ("half.toml", "would not be written, since half.env is there; --force writes both"),
                           ("half.env", "is there and would be left as it is; --force overwrites it"),
                           ("mine.toml", "is there and would be left as it is; --force overwrites it"),
                           ("mine.env", "would not be written, since mine.toml is there; --force writes both")):
            self.assertRegex(said, rf"(?m)^{re.escape(str(units / file))}: .*; {re.escape(fate)}$")
        said = self.home.ok("import", "pm2", dump, "--dry-run", "--force")
        self.assertRegex(said, r"(?m)/mine\.toml: .*; is there and would be overwritten$")
        self.assertRegex(said, r"(?m)/mine\.env: .*; would be written$")
        self.assertEqual(sorted(f.name for f in units.iterdir()), ["half.env", "mine.toml"])


if __name__ == "__main__":
    unittest.main()
