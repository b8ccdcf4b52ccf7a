"""What a change or a command means for what is on its way: a start, a stop that waits, arguments for one run."""

import json
import os
import re
import resource
import signal
import unittest
from pathlib import Path

from hasup_home import HasupTest, wait_until

SLEEPS = """
[run]
command = ["sleep", "100000"]
"""


def may_raise_limits():
    """Containers often have a root without CAP_SYS_RESOURCE."""
    effective = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.M)[1]
    return int(effective, 16) >> 24 & 1 == 1


class Applied(HasupTest):
    def test_a_unit_that_lost_its_readiness_probe_is_healthy(self):
        probe = '[readiness]\nkind = "exec"\ncommand = ["false"]\ninterval = "100ms"\n'
        self.home.unit("one", SLEEPS + probe)
        self.home.unit("needs", SLEEPS + '[[requires]]\nunit = "one"\ncondition = "healthy"\n')
        self.home.start()
        pid = self.home.wait_for("one", health="unhealthy")["pid"]
        self.home.unit("one", SLEEPS)
        self.home.ok("apply")
        self.assertEqual(self.home.wait_healthy("one")["pid"], pid)
        self.home.wait_healthy("needs")

    def test_a_corrected_startup_probe_is_asked_in_a_start_that_is_under_way(self):
        probe = '[startup]\nkind = "exec"\ncommand = ["{}"]\ninterval = "100ms"\n'
        for mended in (probe.format("true"), ""):
            with self.subTest(mended=mended):
                self.home.unit("one", SLEEPS + probe.format("false"))
                if self.home.daemon is None:
                    self.home.start()
                else:
                    self.home.ok("stop", "one")
                    self.home.ok("apply")
                    self.home.ok("start", "one", "--no-wait")
                pid = self.home.wait_for("one", state="starting", reason="starting: false ended with code 1")["pid"]
                self.home.unit("one", SLEEPS + mended)
                self.home.ok("apply")
                self.assertEqual(self.home.wait_healthy("one")["pid"], pid)

    def test_a_changed_probe_is_asked_from_then_on(self):
        probe = '[readiness]\nkind = "exec"\ncommand = ["{}"]\ninterval = "100ms"\nfailures = 1\n'
        self.home.unit("one", SLEEPS + probe.format("true"))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        self.home.unit("one", SLEEPS + probe.format("false"))
        self.assertIn("applied without a restart", self.home.ok("apply"))
        self.assertEqual(self.home.wait_for("one", health="unhealthy")["pid"], pid)

    LIMITED = SLEEPS + """
[run.limits]
open_files = 321
nice = 6
oom_score_adjust = 77
[log]
max_size = "1MiB"
"""

    def assert_limited(self, pid):
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 6, "its new priority")
        wait_until(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE) == (321, 321), "its new limit")
        wait_until(lambda: Path(f"/proc/{pid}/oom_score_adj").read_text() == "77\n", "its new score")

    def test_limits_and_rotation_apply_to_what_runs_and_go_again(self):
        self.home.unit("one", SLEEPS)
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        nice, files = os.getpriority(os.PRIO_PROCESS, pid), resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.home.unit("one", self.LIMITED)
        self.assertIn("applied without a restart", self.home.ok("apply"))
        self.assert_limited(pid)
        self.home.unit("one", SLEEPS)
        self.home.ok("apply")
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == nice, "its priority as at first")
        if may_raise_limits():
            wait_until(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE) == files, "its limit as at first")
        else:
            told = self.home.wait_event("one", lambda e: e["kind"] == "limits_not_applied", "it is said")
            self.assertIn("its next start will have it", told["reason"])
            self.assertEqual(resource.prlimit(pid, resource.RLIMIT_NOFILE), (321, 321))
        self.assertEqual(self.home.unit_status("one")["pid"], pid)

    def test_limits_that_changed_while_there_was_no_hasupd_apply_to_what_runs(self):
        self.home.unit("one", SLEEPS)
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        self.home.kill_daemon(signal.SIGKILL)
        self.home.unit("one", self.LIMITED)
        self.home.start()
        self.assertEqual(self.home.wait_healthy("one")["pid"], pid)
        self.assert_limited(pid)

    def test_an_instance_that_is_new_in_maintenance_is_in_maintenance(self):
        sick = self.home.path / "sick"
        self.home.unit("many", f"""
[run]
command = ["sleep", "100000"]
instances = 2
[liveness]
kind = "exec"
command = ["test", "!", "-e", "{sick}"]
interval = "100ms"
timeout = "20s"
failures = 1
""")
        self.home.start()
        self.home.wait_healthy("many", instance=1)
        self.home.ok("maintenance", "on", "many@0")
        self.home.ok("scale", "many", "3")
        pids = [self.home.wait_healthy("many", instance=i)["pid"] for i in range(3)]
        sick.touch()
        for i in range(3):
            self.home.wait_event("many", lambda e, i=i: e["kind"] == "liveness_ignored" and e["instance"] == i, "held")
        self.assertEqual([self.home.unit_status("many", i)["pid"] for i in range(3)], pids)


    def instances_known(self):
        return set(json.loads((self.home.path / "state" / "intent.json").read_text())["instances"])

    def left_of(self, name):
        return sorted(str(p.relative_to(self.home.path / "state")) for folder in ("records", "evidence")
                      for p in (self.home.path / "state" / folder).glob(name + "*"))

    def test_what_is_taken_away_leaves_nothing_but_what_its_data_needs(self):
        units = self.home.path / "etc" / "units"
        data = self.home.directory("data")
        self.home.unit("plain", SLEEPS + 'post_start = ["true"]\n')
        self.home.unit("other", SLEEPS)
        self.home.unit("set", SLEEPS)
        self.home.unit("node", SLEEPS + f'[data]\ndir = "{data}"\n')
        self.home.start()
        for unit in ("plain", "other", "set", "node"):
            self.home.wait_healthy(unit)
        self.home.ok("disable", "set")
        wait_until(lambda: "records/plain@0+post_start" in self.left_of("plain@0"), "its hook ran")
        for unit in ("plain", "set", "node"):
            (units / f"{unit}.toml").unlink()
        self.home.ok("apply")
        wait_until(lambda: self.instances_known() == {"other@0", "set@0", "node@0"}, "only one is forgotten")
        wait_until(lambda: self.left_of("plain@0") == [], "its files are gone")
        for unit in ("set", "node"):
            self.assertIn(f"records/{unit}@0", self.left_of(unit))

        # Taken away while no hasupd runs.
        self.home.ok("stop", "other")
        self.home.kill_daemon(signal.SIGTERM)
        (units / "other.toml").unlink()
        self.home.start()
        wait_until(lambda: self.instances_known() == {"set@0", "node@0"}, "it is forgotten")
        wait_until(lambda: self.left_of("other@0") == [], "its files are gone")

        self.home.unit("plain", SLEEPS)
        self.home.ok("apply")
        self.home.wait_healthy("plain")
        self.assertIn("records/plain@0", self.left_of("plain@0"))

    def test_a_broken_file_is_told_as_what_it_means_for_the_unit(self):
        broken = '[run]\ncommand = "not an argv"\n'
        self.home.unit("never", broken)
        self.home.unit("runs", SLEEPS)
        self.home.unit("rests", SLEEPS)
        self.home.start()
        for unit in ("runs", "rests"):
            self.home.wait_healthy(unit)
        self.home.ok("stop", "rests")
        status = self.home.unit_status("never")
        self.assertEqual((status["state"], status["since"]), ("failed", None), "nobody knows since when it is broken")
        self.assertRegex(self.home.hasup("status", "never").stdout, r"(?m)^never +failed$")
        for unit in ("runs", "rests"):
            self.home.unit(unit, broken)
        for words in (("apply", "--dry-run"), ("apply",)):
            said = self.home.hasup(*words)
            self.assertEqual(said.returncode, 6)
            self.assertIn("never: its file is invalid; it cannot be started before that is mended", said.stdout)
            self.assertIn("runs: its file is invalid; what runs is left as it is", said.stdout)
            self.assertIn("rests: its file is invalid; it stays as it was configured before", said.stdout)
            self.assertIn("files with errors changed nothing", said.stderr)


class Commanded(HasupTest):
    def test_no_kill_holds_while_the_stop_waits_for_dependents(self):
        go = self.home.path / "go"
        self.home.unit("base", """
[run]
command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
stop_timeout = "300ms"
""")
        self.home.unit("top", f"""
[run]
command = ["sh", "-c", "trap 'while [ ! -e {go} ]; do sleep 0.05; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
[[requires]]
unit = "base"
""")
        self.home.start()
        for name in ("base", "top"):
            wait_until(lambda name=name: "ready" in self.home.log_text(name), f"{name} has set its trap")
        self.home.ok("stop", "base", "--no-kill", "--no-wait")
        self.home.wait_for("top", state="stopping")
        self.home.ok("stop", "base", "--no-wait")
        go.touch()
        self.home.wait_event("base", lambda e: e["kind"] == "still_stopping", "it is not killed")
        self.assertNotIn("killed", [e["kind"] for e in self.home.events("base")])
        self.home.ok("signal", "base", "KILL")
        self.home.wait_for("base", state="stopped")

    READINESS = '[readiness]\nkind = "exec"\ncommand = ["{}"]\ninterval = "100ms"\n'

    def start_waits_with_arguments(self):
        self.home.unit("base", SLEEPS + self.READINESS.format("false"))
        self.home.unit("top", """
enabled = false
[run]
command = ["sh", "-c", "echo with: $*; exec sleep 100000", "sh"]
[restart.backoff]
initial = "10ms"
[[requires]]
unit = "base"
condition = "healthy"
""")
        self.home.start()
        self.home.wait_for("base", state="running")
        self.home.ok("start", "top", "--no-wait", "--once", "--", "--hard-replay")
        self.home.wait_for("top", state="waiting")

    def test_arguments_for_one_run_are_gone_with_the_start_that_they_were_for(self):
        self.start_waits_with_arguments()
        self.home.ok("stop", "top")
        self.home.unit("base", SLEEPS + self.READINESS.format("true"))
        self.home.ok("apply")
        self.home.ok("start", "top")
        wait_until(lambda: "with:" in self.home.log_text("top"), "it says its arguments")
        self.assertNotIn("--hard-replay", self.home.log_text("top"))

    def test_arguments_for_one_run_survive_hasupd_and_are_for_that_run_alone(self):
        self.start_waits_with_arguments()
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_for("top", state="waiting")
        self.home.unit("base", SLEEPS + self.READINESS.format("true"))
        self.home.ok("apply")
        pid = self.home.wait_healthy("top")["pid"]

        def said():
            return [line.strip() for line in self.home.log_text("top").splitlines()]

        wait_until(lambda: "with: --hard-replay" in said(), "it has them")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.assertEqual(self.home.wait_healthy("top")["pid"], pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: said()[-1] == "with:", "the next run has none")


if __name__ == "__main__":
    unittest.main()
