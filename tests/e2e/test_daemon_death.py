"""hasupd dies or goes: no node notices, no log line is missing, nothing runs twice, a recovery goes on."""

import contextlib
import json
import os
import signal
import struct
import time
import unittest

from hasup_home import HasupTest, alive, get_info, processes_of, start_time, wait_until
from leap import BLOCKS, LeapTest

COUNTER = """
import sys, time
n = 0
while True:
    sys.stdout.write(f"line {n}\\n")
    sys.stdout.flush()
    n += 1
    time.sleep(0.002)
"""

UNIT = """
[run]
command = ["/usr/bin/env", "python3", "{script}", "{name}"]
stop_timeout = "20s"

[log]
max_size = "1GiB"
"""


class UnitsRunOn(HasupTest):
    def setUp(self):
        super().setUp()
        self.script = self.home.path / "counter.py"
        self.script.write_text(COUNTER)
        self.names = ["one", "two", "three"]
        for name in self.names:
            self.home.unit(name, UNIT.format(script=self.script, name=name))

    def identities(self):
        found = {}
        for name in self.names:
            pid = self.home.wait_healthy(name)["pid"]
            found[name] = (pid, start_time(pid))
        return found

    def copies(self):
        return [command for command in processes_of(self.home.path).values() if "counter.py" in command
                and "hasup-shim" not in command]

    def lines(self, name):
        return [text for _, text in self.home.log_lines(name)]

    def assert_no_line_missing(self, name):
        lines = self.lines(name)
        self.assertGreater(len(lines), 100)
        self.assertEqual(lines, [f"line {n}" for n in range(len(lines))])

    def test_kill_9_leaves_the_same_processes_with_whole_logs_and_no_second_copy(self):
        self.home.start()
        before = self.identities()
        for _ in range(3):
            self.home.kill_daemon(signal.SIGKILL)
            at_death = {name: len(self.lines(name)) for name in self.names}
            # They go on writing while nobody supervises them.
            wait_until(lambda: all(len(self.lines(n)) > at_death[n] + 200 for n in self.names), "logs go on without hasupd")
            self.home.start()
            self.assertEqual(self.identities(), before)
            self.assertEqual(len(self.copies()), len(self.names))
        self.home.ok("stop", "--all")
        for name in self.names:
            self.assert_no_line_missing(name)
            self.assertEqual(self.home.unit_status(name)["logs_dropped"], 0)
        self.assertEqual(self.copies(), [])

    def test_sigterm_lets_go_of_the_units_too(self):
        self.home.start()
        before = self.identities()
        self.assertEqual(self.home.kill_daemon(signal.SIGTERM), 0)
        self.assertTrue(all(alive(pid) for pid, _ in before.values()))
        self.home.start()
        self.assertEqual(self.identities(), before)

    def test_what_was_stopped_by_hand_stays_stopped_and_what_died_meanwhile_is_restarted(self):
        self.home.start()
        before = self.identities()
        self.home.ok("stop", "two")
        self.home.kill_daemon(signal.SIGKILL)
        os.kill(before["three"][0], signal.SIGKILL)
        wait_until(lambda: not alive(before["three"][0]), "three is gone")
        self.home.start()
        status = self.home.wait_healthy("three")
        self.assertNotEqual(status["pid"], before["three"][0])
        self.assertEqual(status["last_exit"]["signal"], 9)
        self.assertEqual(self.home.unit_status("two")["state"], "stopped")
        self.assertEqual(self.home.unit_status("two")["desired"], "down")
        self.assertEqual(self.home.wait_healthy("one")["pid"], before["one"][0])

    def test_a_restart_that_hasupd_died_over_ends_in_a_start_even_if_the_node_ended_well(self):
        slow = self.home.path / "slow.py"
        slow.write_text("import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (time.sleep(2), sys.exit(0)))\n"
                        "print('ready', flush=True)\nwhile True:\n    time.sleep(1)\n")
        self.home.unit("slow", UNIT.format(script=slow, name="slow") + '[restart]\npolicy = "on_failure"\n')
        self.home.start()
        pid = self.home.wait_healthy("slow")["pid"]
        wait_until(lambda: "ready" in self.home.log_text("slow"), "it handles SIGTERM")
        self.home.ok("restart", "slow", "--no-wait")  # answered when the intent is on the disk
        self.home.kill_daemon(signal.SIGKILL)
        wait_until(lambda: not alive(pid), "it ended")
        self.home.start()
        self.assertNotEqual(self.home.wait_healthy("slow")["pid"], pid)
        exits = [e["reason"] for e in self.home.events("slow") if e["kind"] == "exited"]
        self.assertEqual(exits, ["exited with code 0"])

    def as_after_a_reboot(self, name):
        """Alters the boot id in the record, both slots; process/shim_record.hpp has the layout."""
        path = self.home.path / "state" / "records" / f"{name}@0"
        page = bytearray(path.read_bytes())
        for at in (0, 2048):
            _, length, sequence, _ = struct.unpack_from("<IIQQ", page, at)
            page[at + 24 + 24] ^= 1
            checksum = 0xcbf29ce484222325
            for byte in page[at + 4:at + 16] + page[at + 24:at + 24 + length]:
                checksum = (checksum ^ byte) * 0x100000001b3 & 0xffffffffffffffff
            struct.pack_into("<Q", page, at + 16, checksum)
        path.write_bytes(page)

    def test_what_the_files_of_an_earlier_boot_say_is_not_believed(self):
        self.home.unit("two", "enabled = false\n" + UNIT.format(script=self.script, name="two"))
        self.home.start()
        self.home.ok("start", "two")
        before = self.identities()
        self.home.kill_daemon(signal.SIGKILL)
        # The machine ends: shims and nodes with it, but for two whose pids strangers bear now.
        for name, (pid, _) in before.items():
            shim = next(p for p, c in processes_of(self.home.path).items() if f"--name {name}@0" in c)
            for victim in (shim, pid) if name == "one" else (shim,):
                os.kill(victim, signal.SIGKILL)
            self.as_after_a_reboot(name)
        intent = self.home.path / "state" / "intent.json"
        intent.write_text(intent.read_text().replace('"boot_id":"', '"boot_id":"an older '))
        self.home.start()
        try:
            for name in ("one", "three"):
                self.assertNotEqual(self.home.wait_healthy(name)["pid"], before[name][0])
            status = self.home.unit_status("two")
            self.assertEqual((status["state"], status["pid"]), ("stopped", None))
            self.assertNotIn("adopted", {e["kind"] for e in self.home.events()})
            self.home.ok("stop", "--all")
            for name in ("two", "three"):
                self.assertEqual(start_time(before[name][0]), before[name][1])
        finally:
            for name in ("two", "three"):
                os.kill(before[name][0], signal.SIGKILL)

    def test_a_unit_whose_file_is_broken_meanwhile_runs_on_and_can_be_stopped(self):
        self.home.start()
        before = self.identities()
        self.home.kill_daemon(signal.SIGKILL)
        self.home.unit("one", "[run\ncommand = 1")
        self.home.start()
        self.assertTrue(alive(before["one"][0]))
        self.home.ok("stop", "one")
        wait_until(lambda: not alive(before["one"][0]), "one was stopped")
        self.assertEqual(self.home.wait_healthy("two")["pid"], before["two"][0])


    def test_the_end_of_a_unit_whose_file_was_broken_meanwhile_is_told(self):
        self.home.start()
        before = self.identities()
        self.home.kill_daemon(signal.SIGKILL)
        shim = next(p for p, c in processes_of(self.home.path).items() if "--name one@0" in c)
        for victim in (shim, before["one"][0]):
            os.kill(victim, signal.SIGKILL)
        self.home.unit("one", "[run\ncommand = 1")
        self.home.start()
        self.home.wait_event("one", lambda e: e["kind"] == "exited" and "lost" in e["reason"], "its end is told")
        # As with a hasupd that lives when the file breaks: it is kept up as it was.
        self.assertNotEqual(self.home.wait_healthy("one")["pid"], before["one"][0])

    def test_what_ran_on_while_nothing_was_known_of_its_unit_is_taken_over_when_its_file_is_mended(self):
        self.home.start()
        before = self.identities()
        self.home.kill_daemon(signal.SIGKILL)
        text = (self.home.path / "etc" / "units" / "one.toml").read_text()
        self.home.unit("one", "[run\ncommand = 1")
        (self.home.path / "state" / "specs" / "one.toml").unlink()
        self.home.start()
        self.home.unit("one", text)
        self.home.ok("apply")
        self.assertEqual(self.home.wait_healthy("one")["pid"], before["one"][0])
        self.assertEqual(len(self.copies()), len(self.names))

    def test_a_state_that_was_told_but_not_saved_is_told_again_as_it_is(self):
        self.home.start()
        self.identities()
        self.home.ok("stop", "two")
        intent = self.home.path / "state" / "intent.json"
        wait_until(lambda: json.loads(intent.read_text())["instances"]["two@0"]["fingerprint"] == 0, "the end is saved")
        self.home.kill_daemon(signal.SIGKILL)
        # As if it had been asked to start again, and hasupd killed before the intent was on the disk.
        events = self.home.path / "state" / "events" / "events.jsonl"
        last = [json.loads(line) for line in events.read_text().splitlines()][-1]
        with open(events, "a") as f:
            f.write(json.dumps({**last, "seq": last["seq"] + 1, "unit": "two", "kind": "waiting", "state": "waiting"}) + "\n")
        self.home.start()
        self.home.wait_event("two", lambda e: (e["kind"], e["state"]) == ("restored", "stopped"), "it is told")


class RecoveryGoesOn(LeapTest):
    state_size = 6_000_000

    def die_in_phase(self, phase, rate, advancing_for="500ms"):
        port = self.start_backup_host(self.backup, rate=rate)
        self.leap_unit(f"http://127.0.0.1:{port}/", checksum="required")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('advancing_for = "500ms"', f'advancing_for = "{advancing_for}"'))
        self.home.start()
        self.break_leap()

        def in_phase():
            recovery = self.home.unit_status("leap")["recovery"]
            return recovery if recovery and recovery["phase"] == phase else None
        recovery = wait_until(in_phase, f"phase {phase}", step=0.01)
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 1)
        nodes = [c for c in processes_of(self.home.path).values() if " nodeos " in c and "hasup-shim" not in c]
        self.assertEqual(len(nodes), 1)
        return recovery

    def test_killed_while_the_snapshot_is_fetched(self):
        self.die_in_phase("fetch", rate=1_000_000)

    def fetching(self):
        """(pid, start time) of each process that fetches, or is about to, for this home."""
        found = set()
        for pid, command in processes_of(self.home.path).items():
            if command.split(" ")[0].endswith("/hasup-worker-fetch"):
                with contextlib.suppress(OSError):  # it has just ended
                    found.add((pid, start_time(pid)))
        return found

    def die_while_it_fetches(self):
        """What fetching() says then: the one worker, which goes on."""
        port = self.start_backup_host(self.backup, rate=1_000_000)
        self.leap_unit(f"http://127.0.0.1:{port}/", checksum="required")
        self.home.start()
        self.break_leap()
        self.cache = self.data / ".hasup" / "cache"
        # Those that only list are gone when the first part of an archive is here.
        before = wait_until(lambda: any(self.cache.glob("*.part")) and self.fetching(), "an archive comes", step=0.01)
        self.assertEqual(len(before), 1)
        self.home.kill_daemon(signal.SIGKILL)
        self.assertEqual(self.fetching(), before)
        return before

    def wait_taken_up(self):
        """What the worker of the earlier hasupd has done by now is seen by this one."""
        def seen():
            recovery = self.home.unit_status("leap")["recovery"]
            return recovery and recovery["phase"] == "fetch" and recovery["bytes_done"]
        wait_until(seen, "its progress", step=0.02)

    def test_the_next_hasupd_goes_on_with_the_worker_that_fetches(self):
        before = self.die_while_it_fetches()
        part, = self.cache.glob("*.part")
        inode = part.stat().st_ino
        self.home.start()
        self.wait_taken_up()
        while (now := self.fetching()) == before:
            time.sleep(0.02)
        # Its job was done when it went: nobody else writes to the archive.
        self.assertFalse(list(self.cache.glob("*.part")), now)
        self.wait_recovered()
        archive, = self.cache.glob("*.bin")
        self.assertEqual(archive.stat().st_ino, inode)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 1)

    def test_what_was_taken_up_is_ended_by_a_stop(self):
        before = self.die_while_it_fetches()
        self.home.start()
        self.wait_taken_up()
        self.assertEqual(self.fetching(), before)
        self.home.ok("stop", "leap")
        self.assertFalse(self.fetching())
        self.assertEqual(self.home.unit_status("leap")["state"], "stopped")
        self.home.ok("start", "leap")
        self.wait_recovered()

    def test_the_worker_that_fetches_ends_its_job_without_hasupd_and_nothing_is_loaded_twice(self):
        before = self.die_while_it_fetches()
        cache = self.cache
        wait_until(lambda: not self.fetching(), "it ends")
        archive, = cache.glob("*.bin")
        whole = archive.stat()
        self.assertEqual(whole.st_size, self.snapshots[-1].stat().st_size)
        self.home.start()
        self.wait_recovered()
        used = archive.stat()
        self.assertEqual((used.st_ino, used.st_mtime_ns), (whole.st_ino, whole.st_mtime_ns))
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 1)

    def test_killed_while_the_restored_node_is_being_confirmed(self):
        self.die_in_phase("confirm", rate=0, advancing_for="4s")

    def test_a_recovery_counts_once_whenever_hasupd_is_killed_at_its_end(self):
        self.leap_unit(f"http://127.0.0.1:{self.start_backup_host(self.backup)}/", checksum="required")
        self.home.start()
        journal, intent = (self.home.path / "state" / name for name in ("journals/leap@0", "intent.json"))

        def saved(times):
            return json.loads(intent.read_text())["instances"]["leap@0"]["recoveries"] == times

        # The one is saved before the other goes.
        for times, moment in enumerate((lambda: saved(1), lambda: not journal.exists()), 1):
            self.break_leap()
            wait_until(journal.exists, "its recovery began", step=0.001)
            wait_until(moment, "its recovery is about to end", step=0)
            self.home.kill_daemon(signal.SIGKILL)
            self.assertTrue(saved(times))
            self.home.start()
            self.wait_recovered(recoveries=times)
            wait_until(lambda: not journal.exists(), "it has ended")
            self.assertEqual(self.home.unit_status("leap")["recoveries"], times)

    def test_killed_again_and_again_at_any_moment(self):
        port = self.start_backup_host(self.backup, rate=6_000_000)
        self.leap_unit(f"http://127.0.0.1:{port}/", checksum="required")
        self.home.start()
        self.break_leap()
        for delay in (0.05, 0.1, 0.2, 0.4, 0.3, 0.15, 0.6):
            time.sleep(delay)  # any moment will do: it only spreads the kills over the phases
            self.home.kill_daemon(signal.SIGKILL)
            self.home.start()
        self.wait_recovered()
        self.assertGreater(get_info(self.port)["head_block_num"], BLOCKS)


if __name__ == "__main__":
    unittest.main()
