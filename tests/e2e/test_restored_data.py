"""A recovery that has replaced the state and is taken up by another hasupd: beside a redis that somebody else has
started there meanwhile, or without its volume, it starts nothing and says for what it waits."""

import os
import signal
import subprocess
import unittest

import redis_node
from hasup_home import SOURCE, HasupTest, alive, end_process, free_port, parent_of, processes_of, unmount, wait_until

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
recipe = "own"
source = "file://{backup}/"
"""


class Restored(HasupTest):
    """redis' recipe, with as long a proving time as a test asks for."""

    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.data = self.home.directory("redis")
        self.backup = self.home.directory("backup")

    def cli(self, *words):
        return redis_node.cli(self.port, *words)

    def restore(self, healthy_for):
        """Its dump is damaged, and so it is restored."""
        server = self.start_program(redis_node.server(self.port, self.data), lambda: redis_node.answers(self.port))
        self.cli("set", "of", "the backup")
        self.cli("save")
        server.terminate()
        server.wait(60)
        self.home.ok("snapshot", "create", self.data, "--to", self.backup, "--name", "redis-2026-11-20.tar.zst")
        (self.data / "dump.rdb").write_bytes(b"not a database")
        recipe = (SOURCE / "recipes" / "redis.toml").read_text()
        self.assertTrue(recipe.rstrip().endswith('when = "healthy"'))
        (self.home.directory("etc/recipes") / "own.toml").write_text(recipe + f'healthy_for = "{healthy_for}"\n')
        self.home.unit("redis", UNIT.format(data=self.data, port=self.port, backup=self.backup))
        self.home.start()

    def wait_kind(self, kind):
        return self.home.wait_event("redis", lambda e: e["kind"] == kind, kind)

    def power_is_cut(self):
        """hasupd, shim and node are gone; the newest event that was told of."""
        last = self.newest_event()
        pid = self.home.unit_status("redis")["pid"]
        shim = parent_of(pid)
        self.home.kill_daemon(signal.SIGKILL)
        for victim in (shim, pid):
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: not alive(victim), "it is gone")
        wait_until(lambda: not processes_of(self.home.path), "nothing runs")
        return last

    def waits_for(self, what, after):
        event = self.home.wait_event("redis", lambda e: e["kind"] == "recovery_waiting" and e["seq"] > after,
                                     "it waits")
        self.assertIn(what, event["reason"])
        self.assertEqual(self.home.unit_status("redis")["state"], "recovering")
        self.assertIn(what, self.home.unit_status("redis")["reason"])
        return event

    def kinds(self):
        return [e["kind"] for e in self.home.events("redis")]

    def newest_event(self):
        return max(e["seq"] for e in self.home.events())

    def check_restored(self):
        self.home.wait_for("redis", state="running", health="healthy", recoveries=1)
        self.assertEqual(self.cli("get", "of"), "the backup")
        kinds = self.kinds()
        self.assertEqual((kinds.count("recovery_swapping"), kinds.count("recovery_rolling_back")), (1, 0), kinds)
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())


class SomebodyElse(Restored):
    def test_has_the_restored_state_open_when_hasupd_is_back(self):
        self.restore(healthy_for="10s")
        self.wait_kind("recovery_loaded")
        last = self.power_is_cut()
        port = free_port()
        # Its append-only file is what it keeps open.
        words = [*redis_node.server(port, self.data), "--appendonly", "yes"]
        stranger = self.start_program(words, lambda: redis_node.answers(port))
        self.home.start()
        event = self.waits_for(f"process {stranger.pid} (redis-server", last)
        self.assertIn(f"{self.data}/appendonlydir", event["reason"])
        self.assertIn("open; stop it", event["reason"])
        self.assertNotIn("recovery_confirmed", self.kinds())
        self.assertFalse(redis_node.answers(self.port))
        # Nor does a person who does not know of it start a second one.
        self.home.hasup("start", "redis", "--no-wait")
        self.home.hasup("recover", "redis", "--yes", "--no-wait")
        end = self.newest_event()
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.waits_for(f"process {stranger.pid} (redis-server", end)
        self.assertFalse(redis_node.answers(self.port))
        self.assertTrue(redis_node.answers(port))
        end_process(stranger)
        self.check_restored()


class Volume(Restored):
    def setUp(self):
        super().setUp()
        self.store = self.home.directory("store")
        self.mount()
        self.addCleanup(subprocess.run, ["umount", "-l", self.data], stderr=subprocess.DEVNULL)

    def mount(self):
        if os.geteuid() != 0 or subprocess.run(["mount", "--bind", self.store, self.data]).returncode:
            self.skipTest("only root can mount")

    def comes_back_late(self, confirmed=False):
        """The machine boots, and the volume is mounted when hasupd is there already."""
        last = self.power_is_cut()
        unmount(self.data)
        self.home.start()
        self.waits_for("is its volume mounted?", last)
        self.assertEqual("recovery_confirmed" in self.kinds(), confirmed)
        self.assertEqual(list(self.data.iterdir()), [])
        self.assertFalse(redis_node.answers(self.port))
        self.mount()
        self.check_restored()

    def test_is_not_there_once_the_node_was_loaded(self):
        self.restore(healthy_for="10s")
        self.wait_kind("recovery_loaded")
        self.comes_back_late()

    def test_is_not_there_while_the_old_state_is_being_deleted(self):
        self.restore(healthy_for="6s")
        self.wait_kind("recovery_loaded")
        old, = (self.data / ".hasup" / "aside").rglob("dump.rdb")
        with open(old, "r+b") as state:
            holder = subprocess.Popen(["sleep", "600"], stdin=state)
        self.addCleanup(end_process, holder)
        self.home.wait_event("redis", lambda e: "not deleted yet" in e["reason"], "the old state cannot be deleted")
        end_process(holder)
        self.comes_back_late(confirmed=True)


if __name__ == "__main__":
    unittest.main()
