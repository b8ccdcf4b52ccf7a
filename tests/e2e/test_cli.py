"""Every verb of the command line on a living deployment, with its exit codes."""

import json
import os
import signal
import subprocess
import unittest

from hasup_home import BIN, SOURCE, HasupTest, accepts, alive, free_port, wait_until

WEB = """
description = "a web server of one's own"
groups = ["web"]

[run]
command = ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", "/nonexistent-empty"]
directory = "/"
stop_signal = "INT"

[readiness]
kind = "tcp"
address = "127.0.0.1:{port}"
interval = "100ms"
"""

SLEEPER = """
[run]
command = ["sleep", "1000"]

[[requires]]
unit = "web"
"""

ONCE = """
enabled = false
[run]
command = ["sh", "-c", "echo hello from once; exit 0"]
[restart]
policy = "never"
"""

UNREACHABLE, NO_SUCH_UNIT, USAGE, NOT_HEALTHY, INVALID = 5, 4, 2, 3, 6


class WithoutDaemon(HasupTest):
    def code(self, *words):
        return self.home.hasup(*words).returncode

    def test_verbs_that_need_it_say_5_and_what_to_do(self):
        self.home.unit("web", WEB.format(port=free_port()))
        for words in (["status"], ["start", "web"], ["stop", "--all"], ["why", "web"], ["apply"]):
            done = self.home.hasup(*words)
            self.assertEqual(done.returncode, UNREACHABLE, words)
            self.assertIn("hasupd", done.stderr)

    def test_verbs_that_do_not_need_it_work(self):
        self.home.unit("web", WEB.format(port=free_port()))
        self.home.unit("sleeper", SLEEPER)
        self.assertIn("0.1.0", self.home.ok("version"))
        self.assertEqual(json.loads(self.home.ok("version", "--json"))["version"], "0.1.0")
        self.home.ok("check")
        self.assertIn("web", self.home.ok("graph"))
        self.assertIn("digraph", self.home.ok("graph", "--dot"))
        self.assertIn("http.server", self.home.ok("cat", "web"))
        self.assertIn("http.server", self.home.ok("cat", "web", "--effective"))
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("status", self.home.ok("completion", shell))
        self.assertIn("status", self.home.ok("--help"))

    def test_usage_errors_are_2_and_suggest(self):
        done = self.home.hasup("statsu")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("status", done.stderr + done.stdout)
        self.assertEqual(self.code("start"), USAGE)
        self.assertEqual(self.code("status", "--no-such-option"), USAGE)

    def test_check_of_single_files_and_of_the_shipped_units(self):
        bad = self.home.path / "bad.toml"
        bad.write_text("[run]\ncomand = 1\n")
        self.assertEqual(self.code("check", bad), INVALID)
        self.home.ok("check", *sorted((SOURCE / "units").glob("*.toml")))


    def test_events_without_the_daemon(self):
        self.home.unit("web", WEB.format(port=free_port()))
        (self.home.path / "state/events").mkdir(parents=True)
        (self.home.path / "state/events/events.jsonl").write_text("")
        self.home.ok("events", "--unit", "web")
        done = self.home.hasup("events", "--unit", "wep")
        self.assertEqual(done.returncode, NO_SUCH_UNIT)
        self.assertIn('did you mean "web"?', done.stderr)


class WithDaemon(HasupTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.home.unit("web", WEB.format(port=self.port))
        self.home.unit("sleeper", SLEEPER)
        self.home.unit("once", ONCE)
        self.home.start()
        self.home.wait_healthy("web")
        self.home.wait_healthy("sleeper")

    def test_status(self):
        status = self.home.status()
        self.assertEqual(status["pid"], self.home.daemon.pid)
        self.assertEqual({u["unit"] for u in status["units"]}, {"web", "sleeper", "once"})
        keys = {"unit", "instance", "state", "desired", "health", "reason", "since", "pid", "uptime_s", "restarts",
                "recoveries", "waiting_for", "next_attempt_at", "last_exit", "head", "upstream", "role", "maintenance",
                "config_changed", "killed", "logs_dropped", "cpu_percent", "memory_bytes", "recovery"}
        for unit in status["units"]:
            self.assertLessEqual(keys, set(unit))
        table = self.home.ok("status", "web", "sleeper")
        self.assertRegex(table, r"web\s")
        for alias in ("ls", "list", "ps"):
            self.assertIn(self.home.hasup(alias).returncode, (0, NOT_HEALTHY))
        self.assertEqual(self.home.hasup("status", "once").returncode, NOT_HEALTHY)
        self.assertEqual(self.home.hasup("status", "nobody").returncode, NO_SUCH_UNIT)

    def test_the_api_answers_curl_on_its_socket(self):
        done = subprocess.run(["curl", "-sS", "--unix-socket", self.home.path / "run" / "hasupd.sock",
                               "http://localhost/v1/status"], capture_output=True, text=True, timeout=60)
        self.assertEqual(json.loads(done.stdout)["pid"], self.home.daemon.pid, done.stderr)

    def test_stop_takes_dependents_down_first_and_start_pulls_in_what_it_requires(self):
        web, sleeper = (self.home.unit_status(n)["pid"] for n in ("web", "sleeper"))
        said = self.home.ok("stop", "web")
        self.assertIn("sleeper", said)
        self.assertFalse(alive(web) or alive(sleeper))
        stops = [e["unit"] for e in self.home.events() if e["kind"] == "stopped"]
        self.assertLess(stops.index("sleeper"), stops.index("web"))
        self.home.ok("start", "sleeper")
        self.home.wait_healthy("web")
        self.home.wait_healthy("sleeper")

    def test_restart_leaves_dependents_alone(self):
        web, sleeper = (self.home.unit_status(n)["pid"] for n in ("web", "sleeper"))
        self.home.ok("restart", "@web")
        self.assertNotEqual(self.home.wait_healthy("web")["pid"], web)
        self.assertEqual(self.home.unit_status("sleeper")["pid"], sleeper)

    def test_start_stop_of_unknown_units_and_groups(self):
        for words in (["start", "nobody"], ["stop", "nobody"], ["restart", "@nobody"], ["why", "nobody"],
                      ["logs", "nobody"], ["reset", "nobody"], ["wait", "nobody", "--for", "healthy"]):
            self.assertEqual(self.home.hasup(*words).returncode, NO_SUCH_UNIT, words)

    def test_groups_are_understood_where_units_are(self):
        self.assertEqual([u["unit"] for u in json.loads(self.home.ok("status", "@web", "--json"))["units"]], ["web"])
        self.assertRegex(self.home.ok("status", "@web"), r"^web\s")
        self.home.ok("wait", "@web", "--timeout", "60s")
        done = self.home.hasup("status", "@webb")
        self.assertEqual(done.returncode, NO_SUCH_UNIT)
        self.assertIn('did you mean "@web"?', done.stderr)

    def test_events_of_a_unit_that_does_not_exist(self):
        for words, better in ((["events", "--unit", "wep"], 'did you mean "web"?'),
                              (["events", "--unit", "web@3"], "no instance 3"),
                              (["events", "-f", "--unit", "wep"], 'did you mean "web"?'),
                              (["cat", "web@3"], "no instance 3"), (["cat", "wep"], 'did you mean "web"?'),
                              (["probe", "web@3"], "no instance 3")):
            done = self.home.hasup(*words)
            self.assertEqual((done.returncode, done.stdout), (NO_SUCH_UNIT, ""), words)
            self.assertIn(better, done.stderr)
        self.home.ok("cat", "web@0")
        self.home.ok("events", "--unit", "web@0")

    def test_events_stand_in_columns_and_name_each_of_several_instances(self):
        self.home.unit("a-unit-with-a-long-name", '[run]\ncommand = ["sleep", "1000"]\ninstances = 2\n')
        self.home.ok("apply")
        self.home.wait_healthy("a-unit-with-a-long-name", instance=1)
        self.home.wait_healthy("a-unit-with-a-long-name")
        lines = self.home.ok("events", "-n", "all").splitlines()
        self.assertTrue(any(" a-unit-with-a-long-name@0 " in line for line in lines))
        self.assertFalse(any(" web@0 " in line for line in lines))
        columns = {line.index(f" {line.split()[2]} ", len(line.split()[0]) + 2 + len(line.split()[1])) for line in lines}
        self.assertEqual(len(columns), 1, lines)

    def test_a_unit_that_runs_once_is_completed(self):
        self.home.ok("start", "once")
        self.home.wait_for("once", state="completed")
        self.home.ok("status", "once")
        self.assertIn("hello from once", self.home.ok("logs", "once"))
        self.assertIn("hello from once", self.home.ok("logs", "-n", "5", "--grep", "hel+o", "once"))
        self.assertNotIn("hello", self.home.ok("logs", "--grep", "nothing-like-it", "once"))
        for words in ([], ["--for", "completed"]):
            self.assertIn("once is completed (", self.home.ok("wait", "once", *words))

    def test_a_crash_is_restarted_and_why_tells_the_story(self):
        pid = self.home.unit_status("web")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("web")["restarts"] >= 1, "web was restarted")
        self.home.ok("wait", "web", "--for", "healthy")
        self.assertNotEqual(self.home.unit_status("web")["pid"], pid)
        why = self.home.ok("why", "web")
        self.assertIn("web", why)
        self.assertIn("KILL", why)
        json.loads(self.home.ok("why", "web", "--json"))
        kinds = [e["kind"] for e in self.home.events("web")]
        self.assertIn("exited", kinds)
        self.assertIn("started", kinds)

    def test_events_follow(self):
        follow = subprocess.Popen([BIN / "hasup", "events", "-f", "--json", "--unit", "once"], env=self.home.env,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(follow.stdout.close)
        self.addCleanup(follow.wait)
        self.addCleanup(follow.terminate)
        self.home.ok("start", "once")
        while json.loads(line := follow.stdout.readline())["state"] != "completed":
            self.assertTrue(line)

    def test_wait_times_out_with_1(self):
        self.assertEqual(self.home.hasup("wait", "once", "--for", "healthy", "--timeout", "200ms").returncode, 1)

    def test_probe(self):
        self.home.ok("probe", "web")
        self.assertEqual(self.home.hasup("probe", "antelope", f"url=http://127.0.0.1:{self.port}").returncode, 1)

    def test_apply_starts_new_units_and_stops_removed_ones(self):
        self.home.unit("late", '[run]\ncommand = ["sleep", "1000"]\n')
        self.assertIn("late: new, would be started", self.home.ok("apply", "--dry-run"))
        self.assertNotIn("late", {u["unit"] for u in self.home.status()["units"] if u["pid"]})
        self.assertIn("late: new, is being started", self.home.ok("apply"))
        pid = self.home.wait_healthy("late")["pid"]
        (self.home.path / "etc/units/late.toml").unlink()
        self.assertIn("would be stopped", self.home.ok("apply", "--dry-run"))
        self.assertIn("is being stopped", self.home.ok("apply"))
        wait_until(lambda: not alive(pid), "late was stopped")

    def test_a_changed_file_is_shown_and_applied(self):
        path = self.home.path / "etc/units/web.toml"
        port = free_port()
        path.write_text(WEB.format(port=port))
        self.home.ok("apply")
        wait_until(lambda: accepts(port), "web listens on its new port")
        self.home.wait_healthy("web")

    def test_recover_needs_a_recipe(self):
        done = self.home.hasup("recover", "web")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("recipe", done.stdout + done.stderr)

    def test_a_stop_right_after_a_start_ends_the_process_at_any_moment_of_its_birth(self):
        for _ in range(40):
            self.home.ok("start", "--no-wait", "sleeper")
            self.home.ok("stop", "sleeper")
            self.assertIsNone(self.home.unit_status("sleeper")["pid"])

    def test_stop_all_leaves_the_daemon(self):
        self.home.ok("stop", "sleeper")  # a dependent that is down already keeps nothing back
        self.home.ok("stop", "--all")
        self.assertTrue(all(u["pid"] is None for u in self.home.status()["units"]))
        self.assertIsNone(self.home.daemon.poll())


if __name__ == "__main__":
    unittest.main()
