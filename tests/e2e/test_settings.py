"""What a person sets for a unit: scale, enable and disable, maintenance; signals, reloads and rolling restarts."""

import json
import signal
import subprocess
import unittest

from hasup_home import BIN, DEADLINE, HasupTest, end_process, wait_until

SLEEPER = """
[run]
command = ["sh", "-c", "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done"]
instances = {instances}

[restart]
backoff = {{ initial = "50ms", max = "100ms" }}
{more}
"""

# Answers only while its file is there, so that an instance can be kept from becoming healthy.
GUARDED = """
[run]
command = ["sleep", "100000"]
instances = 3

[readiness]
kind = "exec"
command = ["test", "-e", "{dir}/${{instance}}"]
interval = "50ms"
"""


class Settings(HasupTest):
    def pids(self, unit):
        return {u["instance"]: u["pid"] for u in self.home.status()["units"] if u["unit"] == unit}

    def test_scale_starts_and_stops_instances_and_survives_hasupd(self):
        self.home.unit("miner", SLEEPER.format(instances=2, more=""))
        self.home.start()
        self.home.wait_healthy("miner", instance=1)
        before = self.pids("miner")
        self.assertIn("miner@2, miner@3", self.home.ok("scale", "miner", "4"))
        self.assertEqual(sorted(self.pids("miner")), [0, 1, 2, 3])
        self.assertEqual({k: v for k, v in self.pids("miner").items() if k < 2}, before, "the first two were touched")
        self.home.ok("apply")
        self.assertEqual(sorted(self.pids("miner")), [0, 1, 2, 3])
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        wait_until(lambda: sorted(self.pids("miner")) == [0, 1, 2, 3], "four instances")
        self.home.wait_healthy("miner", instance=3)
        said = self.home.ok("scale", "miner", "3")
        self.assertIn("all 3 are healthy, 1 stopped", said)
        said = self.home.ok("scale", "miner", "1")
        self.assertIn("its log is called miner.log now, will be restarted", said)
        for gone in ("miner@1", "miner@2"):
            self.assertRegex(said, rf"(?m)^{gone} +stopp.*it is no longer configured$")
        self.assertIn("miner is healthy, 2 stopped", said)
        wait_until(lambda: sorted(self.pids("miner")) == [0], "one instance is left")
        self.assertEqual(self.home.hasup("scale", "miner", "0").returncode, 2)
        self.assertEqual(self.home.hasup("scale", "nosuch", "2").returncode, 4)

    def test_of_what_was_scaled_away_no_kill_is_announced_once_it_is_gone(self):
        go = self.home.path / "go"
        self.addCleanup(go.touch)
        self.home.unit("slow", f"""
[run]
command = ["sh", "-c", "trap 'while [ ! -e {go} ]; do sleep 0.05; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
stop_timeout = "20m"
instances = 2
""")
        self.home.start()
        self.home.wait_healthy("slow", instance=1)
        wait_until(lambda: "ready" in self.home.log_text("slow@1"), "the trap is set")
        command = subprocess.Popen([BIN / "hasup", "scale", "slow", "1", "--timeout", "100s"], env=self.home.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(end_process, command)
        self.addCleanup(command.stdout.close)
        said = []
        for line in command.stdout:
            if line.startswith("slow@1 "):
                said.append(line)
                if "SIGKILL at" in line:
                    command.send_signal(signal.SIGSTOP)  # so that it sees nothing of what is between
                    go.touch()
                    wait_until(lambda: len(self.pids("slow")) == 1, "it is gone")
                    command.send_signal(signal.SIGCONT)
        self.assertEqual(command.wait(DEADLINE), 0)
        self.assertIn("SIGKILL at", said[0])
        self.assertRegex(said[-1], r"^slow@1 +stopping: it is no longer configured$")

    def test_a_broken_file_is_no_matter_of_another_unit(self):
        self.home.unit("miner", SLEEPER.format(instances=1, more=""))
        self.home.unit("broken", "[run]\ncommand = 5\n")
        self.home.start()
        self.home.wait_healthy("miner")
        self.assertNotIn("broken", self.home.ok("scale", "miner", "2"))
        self.home.wait_healthy("miner", instance=1)

    def test_scale_hides_no_error_of_the_file(self):
        self.home.unit("miner", SLEEPER.format(instances=1, more=""))
        self.home.start()
        self.home.ok("scale", "miner", "2")
        self.home.wait_healthy("miner", instance=1)
        before = self.pids("miner")
        for wrong in (0, '"two"'):
            self.home.unit("miner", SLEEPER.format(instances=wrong, more=""))
            done = self.home.hasup("apply")
            self.assertEqual(done.returncode, 6, done.stdout + done.stderr)
            self.assertIn("miner: its file is invalid; what runs is left as it is", done.stdout + done.stderr)
            self.assertEqual(self.home.hasup("scale", "miner", "3").returncode, 6)
            self.assertEqual(self.pids("miner"), before)
        self.home.unit("miner", SLEEPER.format(instances=1, more=""))
        self.home.ok("apply")
        self.assertEqual(self.pids("miner"), before)

    def test_what_is_set_by_hand_is_shown_and_can_be_taken_back(self):
        self.home.unit("miner", SLEEPER.format(instances=2, more=""))
        self.home.start()
        self.home.wait_healthy("miner", instance=1)
        self.assertEqual(self.home.unit_status("miner")["by_hand"], [])
        self.home.ok("scale", "miner", "3")
        self.home.ok("disable", "miner")
        self.assertEqual(self.home.unit_status("miner", 2)["by_hand"], [
            {"key": "enabled", "value": False, "in_file": True, "by": "hasup disable",
             "undo": "hasup enable miner --reset"},
            {"key": "instances", "value": 3, "in_file": 2, "by": "hasup scale", "undo": "hasup scale miner --reset"}])
        scaled = "instances = 3 by `hasup scale`, the file says 2; back to the file: hasup scale miner --reset"
        disabled = "enabled = false by `hasup disable`, the file says true; back to the file: hasup enable miner --reset"
        for verb in (["apply"], ["apply", "--dry-run"], ["why", "miner@0"], ["status", "miner"]):
            said = self.home.ok(*verb)
            self.assertIn(scaled, said)
            self.assertIn(disabled, said)
        self.assertIn("[set by hand]", self.home.ok("status"))
        effective = self.home.ok("cat", "miner", "--effective")
        self.assertIn("# " + scaled, effective)
        self.assertEqual(json.loads(self.home.ok("cat", "miner", "--effective", "--json"))["run"]["instances"], 3)
        self.assertIs(json.loads(self.home.ok("cat", "miner", "--effective", "--json"))["enabled"], False)

        self.assertIn("miner: instances = 2, as its file says", self.home.ok("scale", "miner", "--reset"))
        wait_until(lambda: sorted(self.pids("miner")) == [0, 1], "two instances are left")
        self.assertIn("miner: enabled = true, as its file says", self.home.ok("enable", "miner", "--reset"))
        self.assertEqual(self.home.unit_status("miner")["by_hand"], [])
        self.assertEqual(self.home.hasup("scale", "miner", "2", "--reset").returncode, 2)
        self.assertNotIn("by `hasup", self.home.ok("apply"))

    def test_a_file_that_says_the_same_as_the_hand_counts_from_then_on(self):
        self.home.unit("miner", SLEEPER.format(instances=2, more=""))
        self.home.start()
        self.home.wait_healthy("miner", instance=1)
        self.home.ok("scale", "miner", "3")
        self.home.unit("miner", SLEEPER.format(instances=3, more=""))
        self.assertIn("would be dropped: the file says the same now", self.home.ok("apply", "--dry-run"))
        self.assertEqual(len(self.home.unit_status("miner")["by_hand"]), 1)
        self.assertIn("is being dropped: the file says the same now", self.home.ok("apply"))
        self.assertEqual(self.home.unit_status("miner")["by_hand"], [])
        self.home.unit("miner", SLEEPER.format(instances=2, more=""))
        self.home.ok("apply")
        wait_until(lambda: sorted(self.pids("miner")) == [0, 1], "the file counts")

    def test_an_instance_stopped_by_hand_is_still_there_after_scaling_down(self):
        self.home.unit("miner", SLEEPER.format(instances=3, more=""))
        self.home.start()
        self.home.wait_healthy("miner", instance=2)
        self.home.ok("stop", "miner@0")
        self.home.ok("scale", "miner", "2")
        wait_until(lambda: sorted(self.pids("miner")) == [0, 1], "two instances are left")
        self.home.ok("start", "miner@0")
        self.home.wait_healthy("miner", instance=0)

    def test_disable_and_enable_decide_what_a_new_unit_and_a_reboot_start(self):
        self.home.unit("one", SLEEPER.format(instances=1, more=""))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        self.home.ok("disable", "one")
        self.assertEqual(self.home.wait_healthy("one")["pid"], pid, "what runs goes on")
        self.assertIn("disabled", self.home.ok("disable", "one"))
        self.home.ok("stop", "one")
        self.home.ok("stop", "--all")
        self.home.kill_daemon(signal.SIGTERM)
        # A reboot: nothing runs, and the boot is another one.
        intent = self.home.path / "state" / "intent.json"
        intent.write_text(intent.read_text().replace('"boot_id":"', '"boot_id":"an older '))
        self.home.start()
        self.assertEqual(self.home.unit_status("one")["state"], "stopped")
        self.home.ok("enable", "one")
        self.home.kill_daemon(signal.SIGTERM)
        intent.write_text(intent.read_text().replace('"boot_id":"', '"boot_id":"an older '))
        self.home.start()
        self.home.wait_healthy("one")

    def test_in_maintenance_a_failing_liveness_probe_restarts_nothing(self):
        self.home.unit("one", SLEEPER.format(instances=1, more=f"""
[liveness]
kind = "exec"
command = ["test", "!", "-e", "{self.home.path}/sick"]
interval = "50ms"
timeout = "20s"
failures = 1
"""))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        self.home.ok("maintenance", "on", "one")
        self.assertTrue(self.home.unit_status("one")["maintenance"])
        (self.home.path / "sick").write_text("")
        self.home.wait_event("one", lambda e: e["kind"] == "liveness_ignored", "the failing probe is told")
        self.assertEqual(self.home.unit_status("one")["pid"], pid)
        (self.home.path / "sick").unlink()
        self.home.ok("maintenance", "off", "one")
        self.assertFalse(self.home.unit_status("one")["maintenance"])

    def held(self, unit):
        """What maintenance holds back, as status says it; "" = nothing."""
        return self.home.unit_status(unit)["reason"].partition("held by maintenance: ")[2]

    def test_in_maintenance_a_start_may_take_longer_than_its_time(self):
        self.home.unit("one", SLEEPER.format(instances=1, more=f"""
start_limit = {{ count = 100000, within = "1h" }}

[startup]
kind = "exec"
command = ["test", "-e", "{self.home.path}/up"]
interval = "50ms"
""").replace("instances = 1", 'start_timeout = "300ms"'))
        self.home.start()
        self.home.ok("maintenance", "on", "one")
        self.home.wait_event("one", lambda e: e["kind"] == "restart_held" and "not started within" in e["reason"],
                             "the time is over")
        self.assertEqual(self.held("one"), "not started within 300ms")
        self.assertIn("then it is restarted in order: not started within 300ms", self.home.ok("why", "one"))
        pid = self.home.unit_status("one")["pid"]
        self.home.ok("maintenance", "off", "one")
        wait_until(lambda: self.home.unit_status("one")["pid"] not in (None, pid), "it is started again")
        self.home.ok("maintenance", "on", "one")
        wait_until(lambda: self.held("one") == "not started within 300ms", "it is held again")
        pid = self.home.unit_status("one")["pid"]
        (self.home.path / "up").write_text("")
        self.home.wait_for("one", state="running")
        self.assertEqual(self.held("one"), "")
        self.home.ok("maintenance", "off", "one")
        self.assertEqual(self.home.wait_healthy("one")["pid"], pid)

    def test_in_maintenance_a_unit_runs_on_without_what_it_requires(self):
        self.home.unit("base", SLEEPER.format(instances=1, more=""))
        for loss in ("restart", "stop"):
            self.home.unit(loss, SLEEPER.format(instances=1, more=f"""
[[requires]]
unit = "base"
on_loss = "{loss}"
"""))
        self.home.start()
        pids = {unit: self.home.wait_healthy(unit)["pid"] for unit in ("base", "restart", "stop")}
        self.home.ok("maintenance", "on", "restart", "stop")
        self.home.unit("base", SLEEPER.format(instances=1, more="").replace('"50ms"', '"1h"').replace('"100ms"', '"1h"'))
        self.home.ok("apply")
        self.assertEqual(self.home.unit_status("base")["pid"], pids["base"])  # a policy: no restart
        self.home.ok("signal", "base", "KILL")
        self.home.wait_for("base", state="backoff")
        for unit in ("restart", "stop"):
            self.home.wait_event(unit, lambda e: e["kind"] == "restart_held", "the loss is held")
            self.assertEqual(self.held(unit), "base is no longer healthy")
            self.assertEqual(self.home.unit_status(unit)["pid"], pids[unit])
        self.assertIn("then it is stopped: base is no longer", self.home.ok("why", "stop"))
        self.assertIn("then it waits until that is back: base is no longer", self.home.ok("why", "restart"))

        # There again: no reason any more.
        self.home.ok("start", "base")
        for unit in ("restart", "stop"):
            wait_until(lambda u=unit: self.held(u) == "", "nothing is held")
        self.home.ok("maintenance", "off", "restart", "stop")
        for unit in ("restart", "stop"):
            self.assertEqual(self.home.wait_healthy(unit)["pid"], pids[unit])

        # Lost still when maintenance ends.
        self.home.ok("maintenance", "on", "restart", "stop")
        self.home.ok("signal", "base", "KILL")
        self.home.wait_for("base", state="backoff")
        for unit in ("restart", "stop"):
            wait_until(lambda u=unit: self.held(u) != "", "it is held")
        self.home.ok("maintenance", "off", "restart", "stop")
        self.home.wait_for("stop", state="stopped")
        self.home.wait_for("restart", state="waiting")
        self.home.ok("start", "base")
        self.assertNotEqual(self.home.wait_healthy("restart")["pid"], pids["restart"])
        self.assertEqual(self.home.unit_status("stop")["state"], "stopped")

    def test_a_signal_reaches_the_main_process(self):
        self.home.unit("one", SLEEPER.format(instances=1, more=""))
        self.home.start()
        self.home.wait_healthy("one")
        wait_until(lambda: "up" in self.home.log_text("one"), "the trap is set")
        self.home.ok("signal", "one", "USR1")
        wait_until(lambda: "usr1" in self.home.log_text("one"), "the signal arrived")
        self.assertEqual(self.home.hasup("signal", "one", "NOSUCH").returncode, 2)
        self.home.ok("stop", "one")
        self.assertEqual(self.home.hasup("signal", "one", "USR1").returncode, 1)


    def test_arguments_for_one_run(self):
        self.home.unit("one", '[run]\ncommand = ["sh", "-c", "echo got $*; exec sleep 100000", "sh", "always"]\n')
        self.home.start()
        self.home.wait_healthy("one")
        done = self.home.hasup("start", "one", "--once", "--", "--replay")
        self.assertEqual(done.returncode, 1, "it runs already")
        self.assertIn("hasup stop one", done.stdout + done.stderr)
        self.home.ok("stop", "one")
        self.home.ok("start", "one", "--once", "--", "--replay", "--from=3")
        wait_until(lambda: "got always --replay --from=3" in self.home.log_text("one"), "the arguments arrived")
        self.home.ok("restart", "one")
        wait_until(lambda: self.home.log_text("one").splitlines()[-1] == "got always", "they were for one run")
        self.assertEqual(self.home.hasup("start", "one", "--", "x").returncode, 2)
        self.assertEqual(self.home.hasup("start", "one", "--once").returncode, 2)


class RollingRestart(HasupTest):
    def setUp(self):
        super().setUp()
        self.gates = self.home.directory("gates")
        for i in range(3):
            (self.gates / str(i)).write_text("")
        self.home.unit("rpc", GUARDED.format(dir=self.gates))
        self.home.start()
        self.before = {i: self.home.wait_healthy("rpc", instance=i)["pid"] for i in range(3)}

    def test_one_after_the_other_each_healthy_before_the_next(self):
        (self.gates / "1").unlink()
        self.home.wait_for("rpc", instance=1, health="unhealthy")
        self.home.ok("restart", "rpc", "--no-wait")
        self.home.wait_healthy("rpc", instance=0)
        wait_until(lambda: self.home.unit_status("rpc", 1)["pid"] not in (None, self.before[1]), "the second is restarted")
        self.assertEqual(self.home.unit_status("rpc", 2)["pid"], self.before[2], "the third waits for the second")
        (self.gates / "1").write_text("")
        wait_until(lambda: self.home.unit_status("rpc", 2)["pid"] not in (None, self.before[2]), "the third is restarted")
        events = [(e["kind"], e.get("instance")) for e in self.home.events("rpc")]
        for earlier, later in ((0, 1), (1, 2)):
            healthy = max(i for i, e in enumerate(events) if e == ("became_healthy", earlier))
            stopping = max(i for i, e in enumerate(events) if e == ("stopping", later))
            self.assertLess(healthy, stopping, events)

    def test_what_does_not_come_up_ends_it_and_the_rest_is_left_as_it_is(self):
        guard = GUARDED.format(dir=self.gates)
        startup = guard[guard.index("[readiness]"):].replace("[readiness]", "[startup]")
        self.home.unit("rpc", guard.replace("instances = 3", 'instances = 3\nstart_timeout = "500ms"')
                       + startup + '\n[restart]\npolicy = "never"\n')
        self.home.ok("apply")
        wait_until(lambda: not self.home.unit_status("rpc", 0)["config_changed"], "the files are applied")
        before = {i: self.home.wait_healthy("rpc", instance=i)["pid"] for i in range(3)}
        (self.gates / "0").unlink()
        done = self.home.hasup("restart", "rpc")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("left as it is", done.stdout + done.stderr)
        self.assertEqual(self.home.unit_status("rpc", 0)["state"], "failed")
        for i in (1, 2):
            self.assertEqual(self.home.wait_healthy("rpc", instance=i)["pid"], before[i])


class Schedule(HasupTest):
    def test_all_that_is_wrong_with_it_is_told_at_once(self):
        self.home.unit("one", SLEEPER.format(instances=1, more='[schedule]\nrestart = { cron = "61 * * * *", '
                                                                'timezone = "Europe/Atlantis", splay = "soon" }\n'))
        done = self.home.hasup("check")
        self.assertEqual(done.returncode, 6)
        for wrong in ('"61" is no minute', 'there is no time zone "Europe/Atlantis"', "splay", "3 errors"):
            self.assertIn(wrong, done.stdout)

    def test_the_next_restart_is_shown(self):
        self.home.unit("one", SLEEPER.format(instances=1, more='[schedule]\nrestart = { cron = "0 0 1 1 *", '
                                                                'timezone = "UTC" }\n'))
        self.home.unit("two", SLEEPER.format(instances=1, more=""))
        self.home.start()
        due = wait_until(lambda: self.home.unit_status("one")["scheduled_at"], "its time zone was read")
        self.assertRegex(due, r"^20\d\d-01-01T00:00:00Z$")
        self.assertIsNone(self.home.unit_status("two")["scheduled_at"])
        self.assertIn(f"restart at {due}, in ", self.home.ok("why", "one"))
        self.assertNotIn("restart at", self.home.ok("why", "two"))

    def test_a_unit_is_restarted_by_the_clock(self):
        self.home.unit("one", SLEEPER.format(instances=1, more='[schedule]\nrestart = "* * * * *"\n'))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        event = self.home.wait_event("one", lambda e: e["reason"] == "scheduled: * * * * *", "the restart, within a minute")
        wait_until(lambda: self.home.unit_status("one")["pid"] not in (None, pid), "another process")
        self.assertEqual(self.home.unit_status("one")["restarts"], 0, "asked for, so no crash")


if __name__ == "__main__":
    unittest.main()
