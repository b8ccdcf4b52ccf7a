"""Real redis servers that are restored as one set, each with backups of its own, by day."""

import hashlib

import redis_node
from hasup_home import HasupTest, free_port, tree_digest, wait_until

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
command = ["sh", "-c", "test ! -e {hold} && test \\"$(redis-cli -p {port} ping)\\" = PONG"]

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[recovery]
recipe = "{recipe}"
source = "file://{backup}/"
{group}
mode = "{mode}"
budget = {{ count = 0, within = "1h" }}
"""

NEEDS = """
[[requires]]
unit = "{unit}"
condition = "healthy"
"""

NAME = "redis-2026-11-{day}.tar.zst"


class GroupTest(HasupTest):
    """The members of a group, of whom one may need another that is healthy. What each has is what its key `of` says:
    "start", or the day of a backup."""

    names = ("ledger", "index")
    needs = {"index": "ledger"}

    def setUp(self):
        super().setUp()
        self.port = {}
        self.data = {}
        self.backup = {}
        self.of = {}  # sha256 of a dump.rdb -> of which day it is
        for name in self.names:
            self.port[name] = free_port()
            self.data[name] = self.home.directory(name)
            self.backup[name] = self.home.directory(name + "-backup")
            self.seed(name, "start")

    def cli(self, name, *words):
        return redis_node.cli(self.port[name], *words)

    def dump(self, name):
        return self.data[name] / "dump.rdb"

    def digest(self, name):
        return hashlib.sha256(self.dump(name).read_bytes()).hexdigest()

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
        if broken:
            self.dump(name).write_bytes(b"not a database" + self.dump(name).read_bytes())
        self.of[self.digest(name)] = "broken" if broken else str(day)
        self.home.ok("snapshot", "create", self.data[name], "--to", self.backup[name], "--name",
                     NAME.format(day=day), "--set", f"day-{day}")
        self.dump(name).unlink()
        self.seed(name, "start")

    def hold(self, name):
        """Until it is unlinked, `name` does not get healthy."""
        return self.home.path / f"hold-{name}"

    def write_unit(self, name, mode="auto", group="evm", recipe="redis", data=None):
        text = UNIT.format(data=data or self.data[name], port=self.port[name], backup=self.backup[name], mode=mode,
                           group=f'group = "{group}"' if group else "", recipe=recipe, hold=self.hold(name))
        if name in self.needs:
            text += NEEDS.format(unit=self.needs[name])
        self.home.unit(name, text)

    def start_home(self, **options):
        for name in self.names:
            self.write_unit(name, **options)
        self.home.start()
        for name in self.names:
            self.home.wait_healthy(name)

    def spoil(self, name):
        with open(self.dump(name), "r+b") as f:
            f.write(b"not a database")

    def break_ledger(self):
        self.home.ok("stop", "ledger")
        self.spoil("ledger")
        self.spoiled = self.dump("ledger").read_bytes()
        self.home.hasup("start", *self.names, "--no-wait")

    def newest_event(self):
        return max(e["seq"] for e in self.home.events())

    def statuses(self):
        return [u for u in self.home.status()["units"] if u["unit"] in self.names]

    def is_over(self, recoveries):
        return all(u["recovery"] is None and u["state"] == "running" and u["recoveries"] >= recoveries
                   for u in self.statuses())

    def wait_on(self, day):
        for name in self.names:
            self.home.wait_healthy(name)
            self.assertEqual(self.cli(name, "get", "of"), str(day), name)

    def kinds(self, name):
        return [e["kind"] for e in self.home.events(name)]

    def seqs(self, kind):
        """Of each member's events of that kind."""
        return [e["seq"] for name in self.names for e in self.home.events(name) if e["kind"] == kind]

    def assert_all_were_staged_before_one_was_replaced(self):
        self.assertLess(max(self.seqs("recovery_staged")), min(self.seqs("recovery_swapping")))


class GroupOfThree(GroupTest):
    """`front` needs a healthy `index`, which needs a healthy `ledger`."""

    names = ("ledger", "index", "front")
    needs = {"index": "ledger", "front": "index"}

    def publish_all(self, *days):
        for name in self.names:
            for day in days:
                self.publish(name, day)

    def wait_kind(self, name, kind):
        return self.home.wait_event(name, lambda e: e["kind"] == kind, f"{name}: {kind}")

    def wait_recovered(self, recoveries=1):
        wait_until(lambda: self.is_over(recoveries), lambda: self.home.report())

    def trees(self, *names):
        return {name: tree_digest(self.data[name]) for name in names or self.names}
