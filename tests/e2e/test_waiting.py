"""`hasup wait` and `hasup start` end as soon as what they wait for can no longer happen."""

import unittest

from hasup_home import HasupTest, wait_until

FAILS = """
[run]
command = ["sh", "-c", "echo no such chain; exit 3"]
[restart]
policy = "never"
[readiness]
kind = "exec"
command = ["false"]
"""

NEEDS = """
[run]
command = ["sleep", "1000"]
[[requires]]
unit = "{unit}"
condition = "{condition}"
"""

OK, FAILED = 0, 1
LONG = "100s"  # no command here waits that long: each ends when its end is certain


class Waiting(HasupTest):
    def setUp(self):
        super().setUp()
        self.home.unit("base", FAILS)
        self.home.unit("middle", NEEDS.format(unit="base", condition="healthy"))
        self.home.unit("top", NEEDS.format(unit="middle", condition="started"))
        self.home.start()
        self.home.wait_for("base", state="failed")
        self.home.wait_for("top", state="waiting")

    def ends_early(self, *words):
        done = self.home.hasup(*words)
        self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
        self.assertNotIn("after 1m40s", done.stderr)
        return done.stderr

    def test_wait_ends_when_a_requirement_has_failed(self):
        for targets in (["middle"], ["base", "middle"]):
            said = self.ends_early("wait", *targets, "--timeout", LONG)
            self.assertIn("middle waits for base, which has failed: ", said)
            self.assertIn("`hasup why base`", said)
        self.assertIn("top waits for middle, which waits for base, which has failed: ",
                      self.ends_early("wait", "top", "--timeout", LONG))

    def test_start_ends_when_a_requirement_fails_again(self):
        said = self.ends_early("start", "middle", "--timeout", LONG)
        self.assertIn("base, which has failed: ", said)
        self.assertIn("`hasup why base`", said)

    def test_reset_starts_a_unit_that_is_wanted_up_and_no_other(self):
        def starts():
            return [e["kind"] for e in self.home.events("base")].count("started")
        before = starts()
        self.home.ok("reset", "base")
        wait_until(lambda: starts() > before, "base was started again")
        self.home.wait_for("base", state="failed")
        self.home.ok("stop", "base")
        before = starts()
        self.home.ok("reset", "base")
        self.assertEqual(self.home.unit_status("base")["state"], "stopped")
        self.assertEqual(starts(), before)

    def test_stop_and_wait_for_stopped_do_not_mind(self):
        self.home.ok("stop", "middle", "--timeout", LONG)
        self.home.ok("wait", "middle", "--for", "stopped", "--timeout", LONG)


if __name__ == "__main__":
    unittest.main()
