"""What is wanted: over a reboot, over the death of hasupd, in maintenance, and by `start --all`."""

import json
import signal
import unittest

from hasup_home import HasupTest, alive, get_info, wait_until
from leap import BLOCKS, LeapTest

SLEEPER = """
enabled = {enabled}
[run]
command = ["/bin/sh", "-c", "exec sleep 100000"]
"""


class AfterAReboot(HasupTest):
    """A reboot is another boot id; nothing of the old boot runs."""

    def setUp(self):
        super().setUp()
        (self.home.path / "etc" / "hasup.toml").write_text('[boot]\nstart = "as_before"\n')
        for name, enabled in (("enabled", "true"), ("by_hand", "false"), ("stopped", "true"), ("never", "false")):
            self.home.unit(name, SLEEPER.format(enabled=enabled))
        self.home.start()
        self.home.ok("start", "enabled", "by_hand")
        self.home.ok("stop", "stopped")

    def reboot(self):
        self.home.kill_daemon(signal.SIGTERM)
        path = self.home.path / "state" / "intent.json"
        intent = json.loads(path.read_text())
        intent["boot_id"] = "the boot before"
        path.write_text(json.dumps(intent))
        self.home.start()

    def states(self):
        return {u["unit"]: u["state"] for u in self.home.status()["units"]}

    def test_what_was_wanted_up_before_comes_up_and_nothing_else(self):
        self.home.ok("stop", "--all", "--for-shutdown")
        self.assertEqual(set(self.states().values()), {"stopped"})
        self.reboot()
        wanted = {"enabled": "running", "by_hand": "running", "stopped": "stopped", "never": "stopped"}
        wait_until(lambda: self.states() == wanted, wanted)
        # A plain stop --all is a wish, and a power failure asks nobody.
        self.home.ok("stop", "--all")
        self.home.ok("start", "by_hand")
        self.home.ok("stop", "--all", "--for-shutdown")
        self.reboot()
        wanted["enabled"] = "stopped"
        wait_until(lambda: self.states() == wanted, wanted)

    def test_without_it_enabled_decides(self):
        (self.home.path / "etc" / "hasup.toml").unlink()
        self.home.ok("stop", "--all", "--for-shutdown")
        self.reboot()
        wanted = {"enabled": "running", "by_hand": "stopped", "stopped": "running", "never": "stopped"}
        wait_until(lambda: self.states() == wanted, wanted)

    def test_in_the_same_boot_a_stop_for_shutdown_is_a_stop(self):
        self.home.ok("stop", "--all", "--for-shutdown")
        self.home.kill_daemon(signal.SIGTERM)
        self.home.start()
        self.assertEqual(set(self.states().values()), {"stopped"})


class OverTheDeathOfHasupd(HasupTest):
    def test_a_stop_without_a_kill_stays_without_a_kill(self):
        self.home.unit("stubborn", f"""
[run]
command = ["/bin/bash", "-c", "trap 'echo told' TERM; echo ready; while ! [ -e {self.home.path}/go ]; do sleep 0.05; done"]
stop_timeout = "1s"
""")
        self.home.start()
        pid = self.home.wait_healthy("stubborn")["pid"]
        wait_until(lambda: "ready" in self.home.log_text("stubborn"), "the trap is set")
        self.home.ok("stop", "stubborn", "--no-kill", "--no-wait")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_event("stubborn", lambda e: e["kind"] == "still_stopping", "its stop_timeout is over")
        self.assertTrue(alive(pid))
        self.assertEqual(self.home.unit_status("stubborn")["state"], "stopping")
        (self.home.path / "go").touch()
        status = self.home.wait_for("stubborn", state="stopped")
        self.assertFalse(status["killed"])

    def test_a_restart_that_was_under_way_goes_on(self):
        self.home.unit("slow", f"""
[run]
command = ["/bin/bash", "-c", "trap 'while ! [ -e {self.home.path}/go ]; do sleep 0.05; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
[restart]
policy = "on_failure"
""")
        self.home.start()
        pid = self.home.wait_healthy("slow")["pid"]
        wait_until(lambda: "ready" in self.home.log_text("slow"), "the trap is set")
        self.home.ok("restart", "slow", "--no-wait")
        self.home.wait_for("slow", state="stopping")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        (self.home.path / "go").touch()
        wait_until(lambda: self.home.unit_status("slow")["pid"] not in (pid, None), "it is started again")
        self.assertEqual(self.home.unit_status("slow")["restarts"], 0)

    def test_a_start_that_was_under_way_still_ends_in_its_start_timeout(self):
        self.home.unit("never-up", f"""
[run]
command = ["/bin/sleep", "1000"]
start_timeout = "10s"
[startup]
kind = "tcp"
address = "127.0.0.1:1"
[restart]
policy = "never"
""")
        self.home.start()
        self.home.hasup("start", "never-up", "--no-wait")
        self.home.wait_for("never-up", state="starting")
        wait_until(lambda: self.home.unit_status("never-up")["pid"], "it runs")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        status = self.home.wait_for("never-up", state="failed")
        self.assertIn("not started within 10s", status["reason"])


class StartAll(HasupTest):
    def test_what_has_completed_is_left_alone_and_runs_again_when_it_is_named(self):
        self.home.unit("migrate", f"""
[run]
command = ["/bin/sh", "-c", "echo once >> {self.home.path}/runs"]
[restart]
policy = "on_failure"
""")
        self.home.unit("node", SLEEPER.format(enabled="true"))
        runs = self.home.path / "runs"
        self.home.start()
        self.home.wait_for("migrate", state="completed")
        self.home.ok("stop", "node")
        self.home.ok("start", "--all")
        self.home.wait_for("node", state="running")
        self.assertEqual(self.home.unit_status("migrate")["state"], "completed")
        self.assertEqual(runs.read_text(), "once\n")
        self.home.ok("start", "migrate")
        self.home.ok("wait", "migrate", "--for", "completed")
        self.assertEqual(runs.read_text(), "once\nonce\n")
        self.home.ok("stop", "--all")
        self.home.ok("start", "--all")
        wait_until(lambda: runs.read_text() == "once\n" * 3, "what was stopped is started")

    def test_what_is_not_enabled_is_left_out_unless_it_is_named_or_required(self):
        self.home.unit("spare", SLEEPER.format(enabled="false"))
        self.home.unit("base", SLEEPER.format(enabled="false"))
        self.home.unit("node", SLEEPER.format(enabled="true") + '[[requires]]\nunit = "base"\n')
        self.home.unit("off", SLEEPER.format(enabled="true"))
        self.home.start()
        self.home.ok("disable", "off")
        self.home.ok("stop", "off")
        said = self.home.ok("start", "--all")
        self.assertIn("not enabled, so left out: off, spare; by name it is started: hasup start off", said)
        self.home.wait_healthy("base")
        self.home.wait_healthy("node")
        for unit in ("off", "spare"):
            self.assertEqual(self.home.unit_status(unit)["state"], "stopped")
        self.assertNotIn("left out", self.home.ok("start", "off", "spare"))
        for unit in ("off", "spare"):
            self.home.wait_healthy(unit)
        self.assertNotIn("left out", self.home.ok("start", "--all"))


class Maintenance(LeapTest):
    def test_a_recovery_is_held_back_and_begins_when_it_ends(self):
        port = self.start_backup_host(self.backup)
        self.leap_unit(f"http://127.0.0.1:{port}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("maintenance", "on", "leap")
        self.break_leap()
        status = self.home.wait_for("leap", state="failed")
        self.assertTrue(status["maintenance"])
        self.assertIn("maintenance holds the recovery back", status["reason"])
        story = self.home.ok("why", "leap")
        self.assertIn("hasup maintenance off leap", story)
        self.assertIn("then its recovery begins", story)
        # A restart of hasupd does not let it go.
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("maintenance holds the recovery back", status["reason"])
        self.assertEqual(status["recoveries"], 0)
        self.home.ok("maintenance", "off", "leap")
        self.wait_recovered()
        self.assertGreater(get_info(self.port)["head_block_num"], BLOCKS)


if __name__ == "__main__":
    unittest.main()
