"""A unit whose probes say nothing of it: that its restored node was spawned is no proof, so the old state is kept until
it has run for a while."""

import json
import os
import tarfile
import unittest

from hasup_home import HasupTest, alive, tree_digest, wait_until, write_sha256

RECIPE = """
[[classify]]
name = "damaged"
exit_code = 65
action = "recover"
[data]
must_exist = ["state"]
[[plan]]
name = "state"
wipe = ["state"]
[[plan.archive]]
match = "*.tar"
order = "name"
into = "."
{confirm}
"""

# It looks at its state only once it may: until then it runs, whatever it was given.
NODE = """
case $(cat state) in damaged) exit 65;; esac
while [ ! -e {reads} ]; do sleep 0.02; done
case $(cat state) in good) exec sleep 600;; *) echo 'this is no state'; exit 3;; esac
"""

UNIT = """
[run]
command = ["sh", "-c", '''{node}''']
directory = "{data}"
[data]
dir = "{data}"
[recovery]
recipe = "node"
source = "file://{backup}/"
"""


class WithoutProbes(HasupTest):
    def setUp(self):
        super().setUp()
        self.reads = self.home.path / "reads"
        self.data, self.backup = self.home.directory("data"), self.home.directory("backup")
        (self.data / "state").write_text("damaged")
        self.before = tree_digest(self.data)

    def publish(self, name, state):
        path = self.home.path / name
        path.write_text(state)
        with tarfile.open(self.backup / f"{name}.tar", "w") as tar:
            tar.add(path, "state")
        write_sha256(self.backup / f"{name}.tar")

    def begin(self, confirm=""):
        (self.home.directory("etc/recipes") / "node.toml").write_text(RECIPE.format(confirm=confirm))
        self.home.unit("node", UNIT.format(node=NODE.format(reads=self.reads), data=self.data, backup=self.backup))
        self.home.start()

    def wait_kind(self, kind):
        return self.home.wait_event("node", lambda e: e["kind"] == kind, kind)

    def kinds(self):
        return [e["kind"] for e in self.home.events("node")]

    def test_a_node_that_dies_of_its_snapshot_a_while_after_its_spawn_gets_its_old_state_back(self):
        self.publish("1", "bad")
        self.begin()
        self.assertIn("the old state is deleted when the node has run for 2m", self.home.ok("check"))
        self.wait_kind("recovery_loaded")
        self.assertIn("it is confirmed once the node runs for 2m, since no probe says how it is",
                      self.home.ok("why", "node"))
        self.assertIsNotNone(self.home.unit_status("node")["recovery"]["confirms_at"])
        self.reads.touch()
        status = self.home.wait_for("node", state="failed")
        self.assertIn("the old state is back", status["reason"])
        self.assertEqual(tree_digest(self.data), self.before)
        self.assertNotIn("recovery_confirmed", self.kinds())

    def test_why_tells_of_all_three_that_it_died_of_and_the_ways_out(self):
        for day in "123":
            self.publish(day, "bad " + day)
        self.reads.touch()
        self.begin()
        self.home.wait_for("node", state="failed")
        self.assertEqual(tree_digest(self.data), self.before)
        story = json.loads(self.home.ok("why", "node", "--json"))["instances"][0]
        kinds = [e["kind"] for e in story["events"]]
        self.assertEqual(kinds.count("recovery_selected"), 3)
        led_to_it = [kinds.index(k) for k in ("exited", "recovering", "recovery_began", "recovery_selected")]
        self.assertEqual(led_to_it, sorted(led_to_it), kinds)
        ways = "\n".join(story["actions"])
        self.assertIn("hasup recover node    (goes beyond the budget of 3 recoveries within 1d)", ways)
        self.assertIn("hasup reset node    (forgets the recoveries of the budget and which snapshots were bad", ways)

    def test_it_is_confirmed_when_it_has_run_so_long(self):
        self.publish("1", "good")
        self.reads.touch()
        self.begin('[confirm]\nadvancing_for = "500ms"')
        status = self.home.wait_for("node", state="running", recoveries=1)
        self.assertTrue(alive(status["pid"]))
        told = {e["kind"]: e["at"] for e in self.home.events("node")}
        self.assertLess(told["recovery_loaded"], told["recovery_confirmed"])
        wait_until(lambda: not os.path.exists(self.data / ".hasup" / "swap.json"), "the old state is deleted")
        self.assertEqual((self.data / "state").read_text(), "good")


if __name__ == "__main__":
    unittest.main()
