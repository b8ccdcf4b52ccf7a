"""A real redis-server with a damaged dump.rdb: the start fails, the archive is restored, the keys are back."""

import os
import shutil
import subprocess
import unittest

import redis_node
from hasup_home import HasupTest, free_port, wait_until, write_sha256

UNIT = """
[data]
dir = "{data}"

[run]
command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--dir", "${{data.dir}}", "--save", "",
           "--appendonly", "no", "--loglevel", "notice"]
stop_timeout = "30s"

[readiness]
interval = "200ms"
timeout = "5s"
[[readiness.check]]
kind = "tcp"
address = "127.0.0.1:{port}"
[[readiness.check]]
kind = "exec"
command = ["sh", "-c", "test \\"$(redis-cli -p {port} ping)\\" = PONG"]

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[recovery]
recipe = "redis"
source = "http://127.0.0.1:{source}/"
checksum = "{checksum}"
"""

DEPENDENT = """
[run]
command = ["sh", "-c", "redis-cli -p {port} get key:7; exec sleep 1000"]

[[requires]]
unit = "redis"
condition = "healthy"
on_loss = "restart"
"""


class RedisTest(HasupTest):
    """A redis with 100 keys, and two archives of its dump."""

    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.data = self.home.directory("redis")
        self.backup = self.home.directory("backup")
        self.seed(keys=50)
        self.publish("redis-2026-11-19.tar.gz")
        self.seed(keys=100)
        self.publish("redis-2026-11-20.tar.gz")

    def cli(self, *words):
        return redis_node.cli(self.port, *words)

    def answers(self):
        return redis_node.answers(self.port)

    def seed(self, keys):
        """A redis-server of the test's own writes a dump with so many keys."""
        server = self.start_program(redis_node.server(self.port, self.data), self.answers)
        for n in range(keys):
            self.cli("set", f"key:{n}", f"value {n} of {keys}")
        self.cli("save")
        server.terminate()
        server.wait(60)

    def publish(self, name):
        subprocess.run(["tar", "-czf", self.backup / name, "-C", self.data, "dump.rdb"], check=True)
        write_sha256(self.backup / name)

    def start_home(self, checksum="required"):
        source = self.start_nginx(self.backup)
        self.home.unit("redis", UNIT.format(data=self.data, port=self.port, source=source, checksum=checksum))
        self.home.unit("app", DEPENDENT.format(port=self.port))
        self.home.start()

    def damage(self):
        with open(self.data / "dump.rdb", "r+b") as f:
            f.write(b"not a database")

    def wait_restored(self, keys):
        status = self.home.wait_for("redis", state="running", health="healthy", recoveries=1)
        self.assertEqual(self.cli("dbsize"), str(keys))
        self.assertEqual(self.cli("get", "key:7"), f"value 7 of {keys}")
        self.assertEqual(self.cli("get", f"key:{keys - 1}"), f"value {keys - 1} of {keys}")
        return status


class Redis(RedisTest):
    def test_a_damaged_dump_is_restored_and_the_dependent_unit_follows(self):
        self.start_home()
        self.home.wait_healthy("app")
        self.home.ok("stop", "redis")
        self.damage()
        self.assertEqual(self.home.hasup("start", "app").returncode, 0)

        status = self.wait_restored(100)
        self.assertEqual(status["last_exit"]["code"], 1)
        self.assertIsNotNone(status["last_exit"]["class"])
        self.assertIn("Wrong signature trying to load DB from file", self.home.log_text("redis"))
        self.home.wait_healthy("app")
        wait_until(lambda: "value 7 of 100" in self.home.log_text("app"), "the dependent unit reads a restored key")
        self.assertIn("redis-2026-11-20.tar.gz", " ".join(e["reason"] for e in self.home.events("redis")))

        # What it writes from now on is its own: a clean stop and start keep it.
        self.cli("set", "after", "the restore")
        self.cli("save")
        self.home.ok("restart", "redis")
        self.home.wait_healthy("redis")
        self.assertEqual(self.cli("get", "after"), "the restore")

    def test_a_dump_that_is_gone_is_restored_rather_than_started_empty(self):
        os.unlink(self.data / "dump.rdb")
        self.start_home()
        self.wait_restored(100)

    def test_a_damaged_newest_archive_gives_way_to_the_older_one(self):
        with open(self.backup / "redis-2026-11-20.tar.gz", "r+b") as f:
            f.seek(200)
            f.write(b"altered")
        self.damage()
        self.start_home()
        self.wait_restored(50)

    def test_an_archive_without_the_dump_gives_way_to_the_older_one(self):
        # redis would start with no keys at all on it, and answer PONG.
        os.makedirs(self.data / "appendonlydir")
        name = "redis-2026-11-21.tar.gz"
        subprocess.run(["tar", "-czf", self.backup / name, "-C", self.data, "appendonlydir"], check=True)
        write_sha256(self.backup / name)
        self.damage()
        self.start_home()
        self.wait_restored(100)
        dropped = [e["reason"] for e in self.home.events("redis") if e["kind"] == "recovery_dropped"]
        self.assertEqual(len(dropped), 1)
        self.assertIn(name + " does not bring dump.rdb", dropped[0])

    def test_a_port_in_use_never_leads_to_a_wipe(self):
        beside = self.home.directory("elsewhere")
        shutil.copy(self.data / "dump.rdb", beside)
        stranger = self.start_program(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", beside],
                                      self.answers)
        before = (self.data / "dump.rdb").stat()
        self.start_home()
        wait_until(lambda: sum(e["kind"] == "exited" for e in self.home.events("redis")) >= 4, "four failed starts")
        after = (self.data / "dump.rdb").stat()
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        self.assertEqual(self.home.unit_status("redis")["recoveries"], 0)
        # The stranger answers PONG, but its port is not the unit's: nothing that needs redis starts on it.
        self.assertNotIn("became_healthy", {e["kind"] for e in self.home.events("redis")})
        self.assertEqual(self.home.unit_status("app")["state"], "waiting")
        stranger.terminate()
        stranger.wait(60)
        self.home.ok("start", "redis")
        self.home.wait_healthy("redis")
        self.assertEqual(self.cli("dbsize"), "100")


if __name__ == "__main__":
    unittest.main()
