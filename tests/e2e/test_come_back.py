"""What comes back is known: a unit that was removed, an instance that was scaled away, one whose hasupd was gone."""

import unittest

from hasup_home import HasupTest, alive, wait_until

ENDS_BADLY = """
[run]
command = ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"]
instances = {instances}
[restart]
policy = "{policy}"
"""

ANSWERS = """
[run]
command = ["sleep", "1000"]
[readiness]
kind = "exec"
command = ["true"]
interval = "200ms"
"""

NEEDS = """
[run]
command = ["sleep", "1000"]
[[requires]]
unit = "base"
condition = "healthy"
on_loss = "{loss}"
"""

# Fails its first four questions, and counts them.
SLOW_TO_LIVE = """
[run]
command = ["sleep", "1000"]
[liveness]
kind = "exec"
command = ["sh", "-c", "echo x >> {asked}; test $(wc -l < {asked}) -gt 4"]
interval = "3s"
timeout = "20s"
failures = 3
"""


class Removed(HasupTest):
    def test_a_unit_configured_again_starts_anew_and_its_last_end_is_not_told_twice(self):
        for policy in ("never", "on_failure", "always"):
            with self.subTest(policy=policy):
                name = f"unit-{policy.replace('_', '-')}"
                text = ENDS_BADLY.format(instances=1, policy=policy)
                self.home.unit(name, text)
                if self.home.daemon is None:
                    self.home.start()
                else:
                    self.home.ok("apply")
                first = self.home.wait_for(name, state="running")["pid"]
                wait_until(lambda: self.home.log_lines(name), "it can be told to end")
                self.remove(name)
                self.assertFalse(alive(first))
                for again in (lambda: None, self.new_daemon):
                    again()
                    self.home.unit(name, text)
                    before = len(self.home.events(name))
                    self.home.ok("apply")
                    now = self.home.wait_for(name, state="running")
                    self.assertTrue(alive(now["pid"]))
                    self.assertEqual(now["restarts"], 0)
                    kinds = [e["kind"] for e in self.home.events(name)[before:]]
                    self.assertEqual([k for k in kinds if k in ("adopted", "exited", "failed", "recovering",
                                                                "backing_off", "start_failed")], [], kinds)
                    wait_until(lambda: len(self.home.log_lines(name)) > 0, "it can be told to end")
                    self.remove(name)

    def remove(self, name):
        (self.home.path / "etc" / "units" / f"{name}.toml").unlink()
        self.home.ok("apply")
        wait_until(lambda: name not in [u["unit"] for u in self.home.status()["units"]], f"{name} is gone")

    def new_daemon(self):
        self.home.kill_daemon()
        self.home.start()

    def test_an_instance_that_was_scaled_away_starts_anew(self):
        self.home.unit("many", ENDS_BADLY.format(instances=3, policy="on_failure"))
        self.home.start()
        for i in range(3):
            self.home.wait_for("many", instance=i, state="running")
        wait_until(lambda: self.home.log_lines("many@2"), "it can be told to end")
        self.home.ok("scale", "many", "2")
        wait_until(lambda: len(self.home.status()["units"]) == 2, "the third is gone")
        before = len(self.home.events("many"))
        self.home.ok("scale", "many", "3")
        self.assertTrue(alive(self.home.wait_for("many", instance=2, state="running")["pid"]))
        kinds = [e["kind"] for e in self.home.events("many")[before:] if e["instance"] == 2]
        self.assertNotIn("adopted", kinds)
        self.assertNotIn("exited", kinds)


class NewDaemon(HasupTest):
    def test_a_new_hasupd_takes_no_requirement_for_lost_that_it_has_not_looked_at(self):
        self.home.unit("base", ANSWERS)
        for loss in ("restart", "stop"):
            self.home.unit(loss, NEEDS.format(loss=loss))
        self.home.start()
        names = ("base", "restart", "stop")
        pids = {name: self.home.wait_healthy(name)["pid"] for name in names}
        for _ in range(5):
            before = len(self.home.events())
            self.home.kill_daemon()
            self.home.start()
            for name in names:
                self.home.wait_event(name, lambda e: e["kind"] == "adopted" and e not in self.home.events()[:before],
                                     "adopted")
                self.home.wait_healthy(name)
            wait_until(lambda: "became_healthy" in [e["kind"] for e in self.home.events("base")[-3:]], "base is asked")
            kinds = [(e["unit"], e["kind"]) for e in self.home.events()[before:]]
            self.assertEqual([k for k in kinds if k[1] in ("stopping", "exited", "stopped")], [], kinds)
            self.assertEqual({name: self.home.unit_status(name)["pid"] for name in names}, pids)


class QuickQuestions(HasupTest):
    def test_questions_asked_sooner_than_the_interval_are_no_failures(self):
        asked = self.home.path / "asked"
        self.home.unit("slow", SLOW_TO_LIVE.format(asked=asked))
        self.home.start()
        pid = self.home.wait_for("slow", state="running")["pid"]
        wait_until(lambda: asked.exists() and len(asked.read_text()) // 2 > 4, "it is asked five times")
        self.home.ok("wait", "slow")
        self.assertEqual(self.home.unit_status("slow")["pid"], pid)
        self.assertNotIn("stopping", [e["kind"] for e in self.home.events("slow")])


if __name__ == "__main__":
    unittest.main()
