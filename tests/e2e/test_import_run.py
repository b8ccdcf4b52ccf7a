"""[import] of a recipe: a run of its own makes the state of the restored archive, before a real redis-server starts on it."""

import os
import signal
import unittest

from hasup_home import alive, wait_until
from test_redis import UNIT, RedisTest

RECIPE = """
description = "redis, whose dump is imported"
[[classify]]
name = "damaged dump"
log = "Wrong signature trying to load DB from file"
action = "recover"
[data]
must_exist = ["dump.rdb"]
[[plan]]
name = "dump"
wipe = ["dump.rdb"]
[[plan.archive]]
match = "redis-*.tar.gz"
order = "name"
unpack = "archive"
as = "dump"
[import]
command = ["{script}", "${{archive.dump.path}}/dump.rdb"]
timeout = "{timeout}"
[confirm]
when = "healthy"
within = "1m"
"""

SCRIPT = """#!/bin/sh
echo "import as $$"
echo $$ >> {calls}
while [ -e {gate} ]; do sleep 0.05; done
if [ -e {data}/dump.rdb ]; then echo "something is there already"; exit 4; fi
redis-check-rdb "$1" || exit 3
echo half > {data}/dump.rdb
while [ -e {second_gate} ]; do sleep 0.05; done
cp "$1" {data}/dump.rdb
"""


class ImportRun(RedisTest):
    def setUp(self):
        super().setUp()
        self.calls, self.gate, self.second_gate = (self.home.path / n for n in ("calls", "gate", "second-gate"))
        self.script = self.home.path / "import.sh"
        self.script.write_text(SCRIPT.format(calls=self.calls, gate=self.gate, second_gate=self.second_gate, data=self.data))
        self.script.chmod(0o755)

    def begin(self, timeout="1h"):
        recipes = self.home.path / "etc" / "recipes"
        recipes.mkdir()
        (recipes / "redis-import.toml").write_text(RECIPE.format(script=self.script, timeout=timeout))
        source = self.start_nginx(self.backup)
        text = UNIT.format(data=self.data, port=self.port, source=source, checksum="required")
        self.home.unit("redis", text.replace('recipe = "redis"', 'recipe = "redis-import"'))
        self.damage()
        self.home.start()

    def pids(self):
        return [int(p) for p in self.calls.read_text().split()] if self.calls.exists() else []

    def wait_importing(self, calls=1):
        wait_until(lambda: len(self.pids()) >= calls, "the import runs")
        wait_until(lambda: (self.home.unit_status("redis")["recovery"] or {}).get("phase") == "import", "it is seen")

    def kinds(self):
        return [e["kind"] for e in self.home.events("redis")]

    def test_the_node_starts_on_what_was_imported(self):
        self.gate.touch()
        self.begin()
        self.wait_importing()
        self.assertEqual(self.home.unit_status("redis")["state"], "recovering")
        self.assertIn("importing redis-2026-11-20.tar.gz", self.home.ok("why", "redis"))
        self.gate.unlink()
        self.wait_restored(100)
        kinds = self.kinds()
        steps = [kinds.index(f"recovery_{k}") for k in ("swapped", "importing", "imported", "first_start", "confirmed")]
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(len(self.pids()), 1)
        self.assertIn(f"import as {self.pids()[0]}", self.home.log_text("redis"))

    def test_an_import_outlives_hasupd_and_is_waited_for(self):
        self.gate.touch()
        self.begin()
        self.wait_importing()
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.wait_importing()
        self.assertTrue(alive(self.pids()[0]))
        self.gate.unlink()
        self.wait_restored(100)
        self.assertEqual(len(self.pids()), 1)

    def test_an_import_that_died_with_hasupd_begins_anew_on_a_wiped_state(self):
        self.second_gate.touch()
        self.begin()
        self.wait_importing()
        wait_until(lambda: (self.data / "dump.rdb").exists(), "it has written a half")
        self.home.kill_daemon(signal.SIGKILL)
        os.kill(self.pids()[0], signal.SIGKILL)
        wait_until(lambda: not alive(self.pids()[0]), "it is dead")
        self.second_gate.unlink()
        self.home.start()
        self.wait_restored(100)
        self.assertEqual(len(self.pids()), 2)

    def test_an_import_that_ended_well_while_there_was_no_hasupd_is_not_taken_for_done(self):
        """Its shim knows the exit code, but nobody which import that was of."""
        self.gate.touch()
        self.begin()
        self.wait_importing()
        self.home.kill_daemon(signal.SIGKILL)
        self.gate.unlink()
        wait_until(lambda: not alive(self.pids()[0]), "it has ended")
        self.assertGreater((self.data / "dump.rdb").stat().st_size, len("half\n"))
        self.home.start()
        self.wait_restored(100)
        self.assertEqual(len(self.pids()), 2)
        kinds = self.kinds()
        self.assertEqual([kinds.count(f"recovery_{k}") for k in ("importing", "imported", "swapping")], [2, 1, 1])
        self.assertNotIn("completed", kinds)

    def test_an_archive_that_cannot_be_imported_makes_room_for_an_older_one(self):
        os.rename(self.data / "dump.rdb", self.home.path / "good")
        (self.data / "dump.rdb").write_text("REDIS0010 and nothing that follows from it")
        self.publish("redis-2026-11-21.tar.gz")
        os.rename(self.home.path / "good", self.data / "dump.rdb")
        self.begin()
        self.wait_restored(100)
        dropped = [e["reason"] for e in self.home.events("redis") if e["kind"] == "recovery_rolling_back"]
        self.assertIn("the import ended with code 3", " ".join(dropped))
        self.assertEqual(len(self.pids()), 2)

    def test_a_stop_ends_it_and_the_next_start_begins_it_anew(self):
        self.second_gate.touch()
        self.begin()
        self.wait_importing()
        wait_until(lambda: (self.data / "dump.rdb").exists(), "it has written a half")
        self.home.ok("stop", "redis")
        self.assertFalse(alive(self.pids()[0]))
        self.second_gate.unlink()
        self.home.ok("start", "redis")
        self.wait_restored(100)
        self.assertEqual(len(self.pids()), 2)

    def test_one_that_does_not_end_is_ended_and_the_old_state_comes_back(self):
        self.gate.touch()
        self.begin(timeout="1s")
        before = (self.data / "dump.rdb").read_bytes()
        status = self.home.wait_for("redis", state="failed")
        self.assertIn("the import did not end within 1s", status["reason"])
        self.assertEqual((self.data / "dump.rdb").read_bytes(), before)
        self.assertFalse(any(alive(p) for p in self.pids()))


if __name__ == "__main__":
    unittest.main()
