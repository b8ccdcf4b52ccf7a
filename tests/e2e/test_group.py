"""Two real redis servers that are restored as one set: both on archives of the same backup, or both as they were."""

import random
import unittest

import redis_node
from hasup_home import HasupTest, free_port, wait_until

UNIT = """
[data]
dir = "{data}"

[run]
command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--dir", "${{data.dir}}", "--save", "",
           "--appendonly", "no"]
stop_timeout = "30s"

[readiness]
interval = "100ms"
timeout = "5s"
kind = "exec"
command = ["sh", "-c", "test \\"$(redis-cli -p {port} ping)\\" = PONG"]

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[recovery]
recipe = "redis"
source = "file://{backup}/"
group = "evm"
budget = {{ count = 20, within = "1h" }}
"""

NEEDS = """
[[requires]]
unit = "ledger"
condition = "healthy"
"""

NAME = "redis-2026-11-{day}.tar.zst"


class Group(HasupTest):
    """`ledger`, and `index`, which needs a healthy ledger. Of both there are backups of the 18th, 19th and 20th."""

    def setUp(self):
        super().setUp()
        self.port = {}
        self.data = {}
        self.backup = {}
        for name in ("ledger", "index"):
            self.port[name] = free_port()
            self.data[name] = self.home.directory(name)
            self.backup[name] = self.home.directory(name + "-backup")
            self.seed(name, "start")

    def cli(self, name, *words):
        return redis_node.cli(self.port[name], *words)

    def seed(self, name, of):
        server = self.start_program(redis_node.server(self.port[name], self.data[name]),
                                    lambda: redis_node.answers(self.port[name]))
        self.cli(name, "set", "of", of)
        self.cli(name, "save")
        server.terminate()
        server.wait(60)

    def publish(self, name, day, broken=False):
        """As a backup of that day, of what `name` would have then; broken: redis refuses it."""
        self.seed(name, str(day))
        dump = self.data[name] / "dump.rdb"
        if broken:
            dump.write_bytes(b"not a database" + dump.read_bytes())
        self.home.ok("snapshot", "create", self.data[name], "--to", self.backup[name], "--name",
                     NAME.format(day=day), "--set", f"day-{day}")
        self.seed_anew(name)

    def seed_anew(self, name):
        (self.data[name] / "dump.rdb").unlink()
        self.seed(name, "start")

    def start_home(self, needs=NEEDS):
        for name, more in (("ledger", ""), ("index", needs)):
            text = UNIT.format(data=self.data[name], port=self.port[name], backup=self.backup[name])
            self.home.unit(name, text + more)
        self.home.start()
        self.home.wait_healthy("index")

    def break_ledger(self):
        self.home.ok("stop", "ledger")
        with open(self.data["ledger"] / "dump.rdb", "r+b") as f:
            f.write(b"not a database")
        self.home.hasup("start", "ledger", "index", "--no-wait")

    def newest_event(self):
        return max(e["seq"] for e in self.home.events())

    def is_over(self, recoveries):
        units = [self.home.unit_status(name) for name in ("ledger", "index")]
        return all(u["recovery"] is None and u["state"] == "running" and u["recoveries"] >= recoveries for u in units)

    def wait_on(self, day):
        for name in ("ledger", "index"):
            self.home.wait_for(name, state="running", health="healthy")
            self.assertEqual(self.cli(name, "get", "of"), str(day), name)

    def test_one_that_is_broken_takes_the_other_along_to_the_same_backup(self):
        for name in ("ledger", "index"):
            self.publish(name, 19)
            self.publish(name, 20)
        self.start_home()
        self.break_ledger()
        for name in ("ledger", "index"):
            self.home.wait_for(name, state="running", health="healthy", recoveries=1)
        self.wait_on(20)
        # The one that needs the other was started when that one was confirmed by itself.
        ledger = self.home.events("ledger")
        index = self.home.events("index")
        self.assertLess(next(e["seq"] for e in ledger if e["kind"] == "recovery_confirmed_by_itself"),
                        next(e["seq"] for e in index if e["kind"] == "recovery_confirmed"))
        staged = [e["seq"] for e in ledger + index if e["kind"] == "recovery_staged"]
        swapped = [e["seq"] for e in ledger + index if e["kind"] == "recovery_swapping"]
        self.assertLess(max(staged), min(swapped))

    def test_the_newest_backup_that_all_have_is_taken(self):
        for day in (18, 19, 20):
            self.publish("ledger", day)
        self.publish("index", 18)
        self.publish("index", 19)
        self.start_home()
        self.break_ledger()
        self.home.wait_for("ledger", state="running", recoveries=1)
        self.wait_on(19)
        self.assertTrue(any("cannot have backup \"day-20\"" in e["reason"] for e in self.home.events("ledger")))

    def test_when_one_breaks_on_its_archive_all_go_back_and_on_to_an_older_backup(self):
        for day in (19, 20):
            self.publish("ledger", day)
            self.publish("index", day, broken=day == 20)
        self.start_home()
        self.break_ledger()
        self.home.wait_for("ledger", state="running", recoveries=1)
        self.wait_on(19)
        for name in ("ledger", "index"):
            self.assertTrue([e for e in self.home.events(name) if e["kind"] == "recovery_rolled_back"], name)

    def test_one_that_waits_for_another_which_breaks_goes_back_with_it(self):
        """index is replaced, but not started before ledger is healthy, which it never is on that archive."""
        for day in (19, 20):
            self.publish("ledger", day, broken=day == 20)
            self.publish("index", day)
        self.start_home()
        self.break_ledger()
        self.home.wait_for("ledger", state="running", recoveries=1)
        self.wait_on(19)
        index = [e["kind"] for e in self.home.events("index")]
        self.assertIn("recovery_waits", index)
        self.assertIn("recovery_rolled_back", index)

    def test_a_recovery_by_hand_can_be_taken_back_while_it_waits_for_what_is_required(self):
        self.publish("index", 20)
        self.start_home()
        self.home.unit("index", (self.home.path / "etc" / "units" / "index.toml").read_text().replace(
            'group = "evm"\n', ""))
        self.home.ok("apply")
        self.home.ok("stop", "ledger")  # takes index down, too
        self.home.ok("recover", "index", "--yes", "--no-wait")
        self.home.wait_event("index", lambda e: e["kind"] == "recovery_waits", "the first start waits")
        self.home.ok("recover", "index", "--rollback", "--no-wait")
        self.home.wait_event("index", lambda e: e["kind"] == "recovery_ended", "the recovery has ended")
        self.home.ok("start", "index")
        self.assertEqual(self.cli("index", "get", "of"), "start")

    def test_without_a_common_backup_nothing_is_touched_and_the_healthy_one_runs_on(self):
        self.publish("ledger", 20)
        self.publish("index", 19)
        self.start_home(needs="")
        self.home.wait_healthy("ledger")
        index = self.home.unit_status("index")
        self.home.ok("stop", "ledger")
        with open(self.data["ledger"] / "dump.rdb", "r+b") as f:
            f.write(b"not a database")
        broken = (self.data["ledger"] / "dump.rdb").read_bytes()
        self.home.hasup("start", "ledger", "--no-wait")
        self.home.wait_for("ledger", state="failed")
        self.assertEqual((self.data["ledger"] / "dump.rdb").read_bytes(), broken)
        self.assertIn("index of group evm cannot have backup", self.home.unit_status("ledger")["reason"])
        self.assertEqual(self.home.unit_status("index")["pid"], index["pid"])
        self.assertEqual(self.cli("index", "get", "of"), "start")

    def test_hasupd_may_be_killed_at_any_moment(self):
        for name in ("ledger", "index"):
            self.publish(name, 19)
            self.publish(name, 20, broken=name == "index")
        self.start_home()
        dice = random.Random(7)
        for turn in range(1, 5):
            mark = self.newest_event()
            self.break_ledger()
            more = dice.randint(8, 60)
            wait_until(lambda: self.newest_event() > mark + more or self.is_over(turn),
                       f"{more} events more")
            self.home.kill_daemon()
            self.home.start()
            self.home.wait_for("ledger", state="running", health="healthy")
            wait_until(lambda: self.is_over(turn), "both are as they should be")
            self.wait_on(19)
            self.home.ok("reset", "ledger", "index")


if __name__ == "__main__":
    unittest.main()
