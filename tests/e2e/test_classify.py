"""What ended a node is told apart by when it ended, by what its probes had said, and by the kernel's own counters."""

import json
import tarfile
import unittest

from hasup_home import HasupTest, wait_until, write_sha256

PLAN = """
[[plan]]
name = "restore"
wipe = ["state"]
[[plan.archive]]
match = "*.tar"
into = "."
"""


class Classified(HasupTest):
    """A node that ends with 1 once a file is there; every class is hold, so that its name stays to be read."""

    def setUp(self):
        super().setUp()
        self.ends, self.started, self.ready = (self.home.path / name for name in ("ends", "started", "ready"))
        (self.home.path / "etc" / "recipes").mkdir()
        (self.home.directory("data") / "state").write_text("")

    def unit(self, classes, more=""):
        (self.home.path / "etc" / "recipes" / "node.toml").write_text(classes + PLAN)
        self.home.unit("node", f"""
[run]
command = ["sh", "-c", "while [ ! -e {self.ends} ]; do sleep 0.02; done; echo the state is gone; exit 1"]
start_timeout = "1h"
[data]
dir = "{self.home.path}/data"
[recovery]
recipe = "node"
mode = "off"
source = "file:///nowhere/"
{more}
""")

    def story(self):
        return json.loads(self.home.ok("why", "node", "--json"))["instances"][0]

    def assert_held_as(self, name, grounds):
        self.home.wait_for("node", state="failed")
        story = self.story()
        self.assertEqual(story["status"]["last_exit"]["class"], name)
        self.assertRegex(story["grounds"], f"^{grounds}$")
        self.assertIn(f"{name} ({story['grounds']})", story["status"]["reason"])
        self.assertIn(f"decided\n  {story['grounds']}\n", self.home.ok("why", "node"))
        return story

    def run_again(self):
        self.ends.unlink()
        self.home.ok("start", "node", "--no-wait")


class ByTime(Classified):
    def test_the_time_since_its_start_decides_and_is_quoted(self):
        self.unit("""
[[classify]]
name = "ended at once"
exit_code = 1
log = "^the state is"
within = "1h"
action = "hold"
""")
        self.home.start()
        self.home.wait_for("node", state="running")
        self.ends.write_text("")
        story = self.assert_held_as("ended at once", r"[0-9.]+m?s after its start")
        self.assertEqual(story["evidence"], ["the state is gone"])
        # It lasts over hasupd, which remembers the exit.
        self.home.kill_daemon()
        self.home.start()
        self.assertEqual(self.story()["grounds"], story["grounds"])

    def test_a_run_that_lived_on_while_no_hasupd_was_there_has_its_time(self):
        self.unit("""
[[classify]]
name = "ended at once"
exit_code = 1
within = "1ms"
action = "hold"
[[classify]]
name = "ended later"
exit_code = 1
after = "1ms"
action = "hold"
""")
        self.home.start()
        self.home.wait_for("node", state="running")
        self.home.kill_daemon()
        self.ends.write_text("")
        self.home.start()
        self.assert_held_as("ended later", r"[0-9.]+m?s after its start")


class ByProbes(Classified):
    CLASSES = """
[[classify]]
name = "never came up"
exit_code = 1
startup = "not_passed"
action = "hold"
[[classify]]
name = "fell behind"
exit_code = 1
readiness = "failed"
action = "hold"
[[classify]]
name = "was well"
exit_code = 1
startup = "passed"
readiness = "passed"
action = "hold"
[[classify]]
name = "nobody knows"
log = "^the state is"
after = "0s"
action = "hold"
"""

    def setUp(self):
        super().setUp()
        self.unit(self.CLASSES, f"""
[startup]
kind = "exec"
command = ["test", "-e", "{self.started}"]
interval = "50ms"
[readiness]
kind = "exec"
command = ["test", "-e", "{self.ready}"]
interval = "50ms"
""")
        self.home.start()
        self.home.wait_for("node", state="starting")

    def test_what_its_probes_had_said_decides(self):
        wait_until(lambda: self.home.unit_status("node")["pid"], "it runs")
        self.ends.write_text("")
        self.assert_held_as("never came up", "its startup had not passed")

        self.started.write_text("")
        self.ready.write_text("")
        self.run_again()
        self.home.wait_healthy("node")
        self.ends.write_text("")
        self.assert_held_as("was well", "its startup had passed, its readiness had passed")

        self.run_again()
        self.home.wait_healthy("node")
        self.ready.unlink()
        self.home.wait_for("node", health="unhealthy")
        self.ends.write_text("")
        self.assert_held_as("fell behind", "its readiness had failed")

    def test_what_nobody_watched_is_not_known(self):
        wait_until(lambda: self.home.unit_status("node")["pid"], "it runs")
        self.home.kill_daemon()
        # For all that the next hasupd knows, it may have passed its startup meanwhile.
        self.ends.write_text("")
        self.home.start()
        self.assert_held_as("nobody knows", r"[0-9.]+m?s after its start")


class FirstStart(HasupTest):
    """The first start after a restore is watched by the recovery; what its probes had said counts there too."""

    def setUp(self):
        super().setUp()
        self.ends, self.started, self.passed, self.asked = (
            self.home.path / name for name in ("ends", "started", "passed", "asked"))
        self.asked.write_text("")
        data, backup = self.home.directory("data"), self.home.directory("backup")
        (data / "state").write_text("damaged")
        good = self.home.path / "good"
        good.write_text("good")
        with tarfile.open(backup / "one.tar", "w") as tar:
            tar.add(good, "state")
        write_sha256(backup / "one.tar")
        (self.home.path / "etc" / "recipes").mkdir()
        (self.home.path / "etc" / "recipes" / "node.toml").write_text("""
[[classify]]
name = "damaged"
exit_code = 65
action = "recover"
[[classify]]
name = "never came up"
exit_code = 1
startup = "not_passed"
action = "hold"
[[classify]]
name = "came up"
exit_code = 1
startup = "passed"
action = "hold"
""" + PLAN)
        self.home.unit("node", f"""
[run]
command = ["sh", "-c", "grep -q good state || exit 65; while [ ! -e {self.ends} ]; do sleep 0.02; done; exit 1"]
directory = "{data}"
start_timeout = "1h"
[data]
dir = "{data}"
[startup]
kind = "exec"
command = ["sh", "-c", "test -e {self.started} && : > {self.passed}"]
interval = "50ms"
[readiness]
kind = "exec"
command = ["sh", "-c", "echo x >> {self.asked}; false"]
interval = "50ms"
[recovery]
recipe = "node"
source = "file://{backup}/"
""")
        self.home.start()
        wait_until(lambda: len(self.asked.read_text()) > 0, "the restored node is asked")
        self.assertEqual(self.home.unit_status("node")["state"], "recovering")

    def assert_told(self, text):
        self.ends.write_text("")
        self.home.wait_event("node", lambda e: e["kind"] == "exited" and e["reason"].endswith(text), text)
        self.home.ok("stop", "node")

    def test_before_its_startup_had_passed(self):
        self.assert_told(": never came up (its startup had not passed)")

    def test_after_its_startup_had_passed(self):
        self.started.write_text("")
        wait_until(self.passed.exists, "its startup probe passed")
        told = len(self.asked.read_text())
        wait_until(lambda: len(self.asked.read_text()) > told + 6, "hasupd has gone on asking")
        self.assert_told(": came up (its startup had passed)")


class ByHand(Classified):
    def test_a_recipe_is_tried_with_a_time_and_what_the_probes_had_said(self):
        self.unit("""
[[classify]]
name = "ended at once"
exit_code = 1
log = "^the state is"
within = "3s"
startup = "not_passed"
action = "recover"
[[classify]]
name = "fell behind"
exit_code = 1
readiness = "failed"
action = "restart"
""")
        log = self.home.path / "log.txt"
        log.write_text("the state is gone\n")

        def classify(*words):
            return json.loads(self.home.ok("classify", "node", "--exit", 1, "--log", log, *words, "--json"))

        early = classify("--ran-for", "2s500ms", "--before-startup")
        self.assertEqual([early["class"], early["action"], early["evidence"], early["grounds"]],
                         ["ended at once", "recover", "the state is gone",
                          "2.5s after its start, its startup had not passed"])
        self.assertEqual(classify("--ran-for", "3s", "--before-startup")["class"], "unexplained")
        self.assertEqual(classify("--ran-for", "1s")["class"], "unexplained")
        self.assertEqual(classify("--before-startup")["class"], "unexplained")
        behind = self.home.ok("classify", "node", "--exit", 1, "--readiness", "failed")
        self.assertIn("class     fell behind\n", behind)
        self.assertIn("grounds   its readiness had failed\n", behind)

    def test_a_class_that_can_never_match_is_found_by_check(self):
        self.unit("""
[[classify]]
name = "never"
exit_code = 1
within = "3s"
after = "3s"
action = "hold"
""")
        done = self.home.hasup("check")
        self.assertEqual(done.returncode, 6)
        self.assertIn('node.toml:5:10: error: "within" must be longer than "after"', done.stdout + done.stderr)
        self.unit("""
[[classify]]
name = "no probe"
exit_code = 1
readiness = "failed"
action = "hold"
""")
        done = self.home.hasup("check")
        self.assertEqual(done.returncode, 0)
        self.assertIn("this unit has no [readiness], so that this never holds", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
