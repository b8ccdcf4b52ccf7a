"""A class with action = "next_endpoint": the unit leaves the endpoint that it ended because of, and nobody else does."""

import json
import unittest

from hasup_home import free_port, wait_until
from test_upstreams import UpstreamTest

# Runs until a file says that its leap refuses it, as a node whose state history asks for blocks that a leap has not.
NODE = 'while [ ! -e "{refusals}/$NAME $LEAP" ]; do sleep 0.05; done; echo "error: $LEAP refuses"; exit 3'

UNIT = """
[data]
dir = "{data}"
[run]
command = ["/bin/sh", "-c", '{node}']
env = {{ NAME = "${{unit}}", LEAP = "{leap}" }}
[restart]
backoff = {{ initial = "{backoff}", max = "{backoff}", jitter = 0.0 }}
start_limit = {{ count = {count}, within = "1h" }}
[recovery]
recipe = "reader"
source = "{data}"
mode = "off"
"""

RECIPE = """
[data]
bootstrap = "empty"
[[classify]]
name = "refused"
log = '^error: .* refuses$'
action = "next_endpoint"
{upstream}
[[plan]]
name = "all"
wipe = ["state"]
[[plan.archive]]
match = "*.tar"
into = "."
"""


class NextEndpointTest(UpstreamTest):
    def setUp(self):
        super().setUp()
        self.refusals = self.home.directory("refusals")
        self.one, self.two = self.leap(lambda: 100), self.leap(lambda: 90)
        self.upstream(self.one.host, self.two.host)

    def upstream(self, *hosts, leave_for="1h", **more):
        super().upstream(*hosts, **more)
        file = self.home.directory("etc/upstreams") / "leap.toml"
        file.write_text(f'leave_for = "{leave_for}"\n' + file.read_text())

    def unit(self, name="evm", leap="${upstream.leap.host}", upstream="", backoff="100ms", count=10):
        (self.home.directory("etc/recipes") / "reader.toml").write_text(RECIPE.format(upstream=upstream))
        data = self.home.directory(f"data-{name}")
        (data / "state").touch()
        self.home.unit(name, UNIT.format(data=data, leap=leap, backoff=backoff,
                                         count=count, node=NODE.format(refusals=self.refusals)))

    def refuse(self, leap, name="evm"):
        file = self.refusals / f"{name} {leap.host}"
        file.touch()
        return file

    def left(self, name="evm"):
        return self.home.wait_event(name, lambda e: e["kind"] == "endpoint_left", "it leaves its endpoint")

    def all_left(self, name="evm"):
        return [e["reason"].split()[2] for e in self.home.events()
                if e["kind"] == "endpoint_left" and e["unit"] == name]

    def use(self, name="evm"):
        shown = json.loads(self.home.ok("upstream", "leap", "--json"))["upstreams"][0]
        return next(u for u in shown["uses"] if u["unit"] == name)

    def reason_of(self, kind, name="evm"):
        return self.home.wait_event(name, lambda e: e["kind"] == kind, kind)["reason"]


class LeftByOneTest(NextEndpointTest):
    def test_only_the_unit_that_ended_takes_another_one_and_a_new_hasupd_knows_of_it(self):
        self.unit("evm")
        self.unit("other")
        self.home.start()
        self.runs_with(self.one.host, "evm")
        other = self.runs_with(self.one.host, "other")
        self.refuse(self.one)
        mine = self.runs_with(self.two.host)
        left = self.left()
        self.assertIn(f"upstream leap: {self.one.host} is left until ", left["reason"])
        self.assertIn(f'exited with code 3: refused ("error: {self.one.host} refuses")', left["reason"])
        self.assertEqual(left["detail"]["endpoint"], self.one.host)
        self.assertIn(f"; {self.two.host} is the next of upstream leap; next start in", self.reason_of("backing_off"))
        self.assertEqual(mine["last_exit"]["class"], "refused")
        self.assertEqual(self.home.unit_status("other")["pid"], other["pid"])
        self.home.kill_daemon()
        asked = self.one.asked
        self.home.start()
        wait_until(lambda: self.one.asked > asked + 3, "the chosen one is asked again")
        self.assertEqual(self.runs_with(self.two.host)["pid"], mine["pid"])
        self.assertEqual(self.runs_with(self.one.host, "other")["pid"], other["pid"])
        self.home.ok("restart", "evm")  # also the next start leaves it out
        self.assertNotEqual(self.runs_with(self.two.host)["pid"], mine["pid"])
        use = self.use()
        self.assertEqual((use["endpoint"], use["apart"], [left["endpoint"] for left in use["left"]]),
                         (self.two.host, True, [self.one.host]))
        self.assertFalse(self.use("other")["apart"])
        text = self.home.ok("upstream", "leap")
        self.assertIn(f"evm runs with {self.two.host}, which is not the chosen one", text)
        self.assertIn(f"left {self.one.host} until ", text)
        self.assertIn(f"does not take {self.one.host} of upstream leap", self.home.ok("why", "evm"))
        self.assertEqual(self.home.ok("exec", "evm", "--", "sh", "-c", "echo $LEAP").strip(), self.two.host)

    def test_reset_forgets_it_without_a_restart(self):
        self.unit()
        self.home.start()
        self.runs_with(self.one.host)
        file = self.refuse(self.one)
        before = self.runs_with(self.two.host)
        file.unlink()
        self.home.ok("reset", "evm")
        self.assertEqual(self.use()["left"], [])
        self.assertEqual(self.runs_with(self.two.host)["pid"], before["pid"])
        self.home.ok("restart", "evm")
        self.runs_with(self.one.host)
        self.assertEqual(self.all_left(), [self.one.host])

    def test_when_its_time_is_over_the_next_start_may_take_it_and_no_restart_comes_of_that(self):
        self.upstream(self.one.host, self.two.host, leave_for="1s")
        self.unit()
        self.home.start()
        self.runs_with(self.one.host)
        file = self.refuse(self.one)
        before = self.runs_with(self.two.host)
        file.unlink()
        wait_until(lambda: not self.use()["left"], "the time is over")
        asked = self.one.asked
        wait_until(lambda: self.one.asked > asked + 5, "it is asked five times more")
        self.assertEqual(self.runs_with(self.two.host)["pid"], before["pid"])
        self.home.ok("restart", "evm")
        self.runs_with(self.one.host)

    def test_a_unit_apart_is_not_moved_by_a_switch_of_the_role_but_by_the_death_of_its_own(self):
        three = self.leap(lambda: 80)
        self.upstream(self.one.host, self.two.host, three.host)
        self.unit("evm")
        self.unit("other")
        self.home.start()
        self.runs_with(self.one.host)
        self.refuse(self.one)
        before = self.runs_with(self.two.host)
        self.home.ok("upstream", "avoid", "leap", self.one.host)
        self.runs_with(self.two.host, "other")  # the role goes to where evm is: it is a follower again
        self.home.ok("upstream", "avoid", "leap", self.one.host, "--undo")
        self.runs_with(self.one.host, "other")  # it is further; evm has left it
        self.assertEqual(self.runs_with(self.two.host)["pid"], before["pid"])
        wait_until(lambda: self.use("other")["endpoint"] == self.one.host, "the role is back")
        wait_until(lambda: self.use()["apart"], "evm does not follow it")
        self.two.end()
        self.assertNotEqual(self.runs_with(three.host)["pid"], before["pid"])
        self.assertIn(f"upstream leap: {three.host} instead of {self.two.host}", self.reason_of("stopping"))
        self.runs_with(self.one.host, "other")


class TurnsTest(NextEndpointTest):
    def test_all_that_refuse_take_turns_until_the_start_limit_also_over_the_death_of_hasupd(self):
        self.refuse(self.one)
        self.refuse(self.two)
        self.unit(backoff="300ms", count=6)
        self.home.start()
        wait_until(lambda: len(self.all_left()) >= 3, "three of them were left")
        wait_until(lambda: "all endpoints of upstream leap were left: that of longest ago is the next"
                   in self.home.ok("why", "evm"), "why tells of turns")
        self.home.kill_daemon()
        self.home.start()
        status = self.home.wait_for("evm", state="failed")
        self.assertIn("start limit: 6 starts", status["reason"])
        self.assertEqual(status["recoveries"], 0)
        left = self.all_left()
        turns = [self.one.host, self.two.host] * 3
        # What it was about to tell when it was killed may be told again.
        self.assertEqual([h for i, h in enumerate(left) if i == 0 or h != left[i - 1]], turns)
        self.home.ok("reset", "evm")

    def test_one_endpoint_alone_is_started_again_and_the_reason_says_so(self):
        self.upstream(self.one.host)
        self.unit(count=3)
        self.home.start()
        self.runs_with(self.one.host)
        file = self.refuse(self.one)
        self.assertIn(f"upstream leap has no other endpoint than {self.one.host}", self.reason_of("backing_off"))
        file.unlink()
        self.home.hasup("start", "evm")
        self.runs_with(self.one.host)
        self.assertEqual(self.all_left(), [])

    def test_without_an_upstream_it_is_a_restart(self):
        self.unit(leap="nobody")
        self.home.start()
        self.home.wait_for("evm", state="running")
        (self.refusals / "evm nobody").touch()
        self.assertIn("it uses no upstream", self.reason_of("backing_off"))
        (self.refusals / "evm nobody").unlink()
        self.home.wait_for("evm", state="running")

    def test_a_class_may_name_the_upstream_that_it_is_about(self):
        spare = f"127.0.0.1:{free_port()}"
        text = (self.home.path / "etc/upstreams/leap.toml").read_text()
        (self.home.path / "etc/upstreams/mirror.toml").write_text(text.replace("best_head", "sticky").replace(
            'switch = { behind = "5s", for = "100ms", min_dwell = "0s" }\n', "") + f'[[endpoint]]\nhost = "{spare}"\n')
        self.unit(upstream='upstream = "mirror"', leap="${upstream.leap.host}\"\nMIRROR = \"${upstream.mirror.host}"
                  .replace("\n", ", "), backoff="1h")
        self.home.start()
        running = self.home.wait_for("evm", state="running")
        mirror = self.environment(running["pid"])["MIRROR"]
        file = self.refuse(self.one)
        self.left()
        self.assertEqual(self.all_left(), [mirror])
        file.unlink()
        self.home.ok("start", "evm")
        running = self.home.wait_for("evm", state="running")
        environment = self.environment(running["pid"])
        self.assertEqual(environment["LEAP"], self.one.host)
        self.assertNotEqual(environment["MIRROR"], mirror)


if __name__ == "__main__":
    unittest.main()
