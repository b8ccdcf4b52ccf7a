"""[recovery] prefetch: what a recovery needs is at hand before it begins."""

import ctypes
import os
import platform
import shutil
import signal
import unittest
from pathlib import Path

from hasup_home import BIN, DEMO_NODE, accepts, alive, end_process, free_port, processes_of, wait_until, write_sha256
from leap import BLOCKS, LeapTest, SmallVolume

MIB = 1 << 20
IDLE_CLASS, LEAST_NICE = 3, 19


def io_class(task):
    """Of linux/ioprio.h; none: it is gone. No library names the call."""
    number = {"x86_64": 252, "aarch64": 31}[platform.machine()]
    got = ctypes.CDLL(None, use_errno=True).syscall(number, 1, task)
    return None if got < 0 else got >> 13


class PrefetchCalls:
    def prefetching_unit(self, source, every="1s", data=""):
        self.leap_unit(source, checksum="required")
        path = self.home.path / "etc" / "units" / "leap.toml"
        text = path.read_text().replace("[data]\n", f"[data]\n{data}\n")
        path.write_text(text.replace("[recovery.params]", f'prefetch = {{ every = "{every}" }}\n\n[recovery.params]'))

    def at_hand(self, name=None, unpacked=None):
        seen = {}

        def there():
            seen.clear()
            seen.update(self.home.unit_status("leap")["prefetch"] or {})
            return (seen.get("snapshot") and (name is None or seen["snapshot"] == name)
                    and (unpacked is None or seen["unpacked"] == unpacked))

        wait_until(there, lambda: f"{name or 'a snapshot'} is at hand: {seen} {self.home.unit_status('leap')['reason']}")
        return seen

    def host(self, rate=0):
        port = free_port()
        words = [DEMO_NODE, "backup-host", "--dir", self.backup, "--http", f"127.0.0.1:{port}", "--rate", rate]
        self.host_process = self.start_program(words, lambda: accepts(port))
        return f"http://127.0.0.1:{port}/"

    def cached(self):
        return sorted(p.name for p in (self.data / ".hasup" / "cache").iterdir() if p.suffix == ".bin")

    def kinds(self):
        return [e["kind"] for e in self.home.events("leap")]


class Prefetch(PrefetchCalls, LeapTest):
    def test_a_recovery_from_what_is_at_hand_asks_no_host(self):
        self.prefetching_unit(self.host())
        self.home.start()
        self.at_hand(self.snapshots[-1].name, unpacked=True)
        self.assertEqual(self.cached(), [self.snapshots[-1].name])
        self.assertIn(self.snapshots[-1].name + " is at hand", self.home.ok("status", "leap"))
        end_process(self.host_process)
        self.break_leap()
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        kinds = self.kinds()
        self.assertIn("recovery_warm", kinds)
        self.assertNotIn("recovery_retry", kinds)
        self.assertIn("sha256 verified", [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_fetched"][0])
        # It is still here, and made ready for the next time.
        self.at_hand(self.snapshots[-1].name, unpacked=True)
        self.break_leap()
        self.wait_recovered(recoveries=2)
        told = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_warm"]
        self.assertEqual(["is unpacked" in t for t in told], [True, True], told)

    def test_a_hasupd_that_comes_anew_finds_it(self):
        self.prefetching_unit(self.host())
        self.home.start()
        self.at_hand(self.snapshots[-1].name)
        end_process(self.host_process)
        pid = self.home.wait_healthy("leap")["pid"]
        self.home.kill_daemon()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the node is gone")
        self.home.start()
        self.wait_recovered()
        self.assertIn("recovery_warm", self.kinds())

    def test_a_start_whose_data_nobody_could_look_at_drops_nothing(self):
        self.prefetching_unit(self.host(), data='min_free = "1MiB"')
        self.home.start()
        self.at_hand(self.snapshots[-1].name, unpacked=True)
        self.home.ok("stop", "leap")
        let_go = self.hold_by_kernel(self.data / "state" / "shared_memory.bin")
        self.home.ok("start", "leap", "--no-wait")
        self.kill_worker()
        self.home.wait_event("leap", lambda e: e["kind"] == "waiting" and "could not be inspected" in e["reason"], "it waits")
        let_go()
        self.home.wait_healthy("leap")
        self.assertNotIn("prefetch_dropped", self.kinds())
        self.assertEqual(self.cached(), [self.snapshots[-1].name])

    def test_a_newer_snapshot_takes_its_place(self):
        newest = self.snapshots[-1]
        aside = self.home.directory("aside") / newest.name
        shutil.move(newest, aside)
        checksum = newest.with_name(newest.name + ".sha256")
        self.prefetching_unit(f"file://{self.backup}/")
        for s in self.snapshots[:-1]:
            write_sha256(s)
        checksum.unlink(missing_ok=True)
        self.home.start()
        self.at_hand(self.snapshots[-2].name)
        shutil.move(aside, newest)
        write_sha256(newest)
        self.at_hand(newest.name)
        wait_until(lambda: self.cached() == [newest.name], "the older one is gone")

    def test_a_damaged_one_is_found_out_before_it_is_needed(self):
        for s in self.snapshots:
            write_sha256(s)
        self.alter(self.snapshots[-1])
        self.prefetching_unit(f"file://{self.backup}/")
        self.home.start()
        self.at_hand(self.snapshots[-2].name)
        problem = self.home.wait_event("leap", lambda e: e["kind"] == "prefetch_problem", "it is told")
        self.assertIn(self.snapshots[-1].name + " is not good, and remembered as bad", problem["reason"])
        self.break_leap()
        self.wait_recovered()
        self.assertIn("recovery_warm", self.kinds())

    def test_it_gives_way_to_what_a_person_asks_for_and_is_gone_on_with(self):
        self.prefetching_unit(self.host(rate=25_000))
        self.home.start()
        self.home.wait_event("leap", lambda e: e["kind"] == "prefetch_began", "it begins")
        wait_until(lambda: (self.home.unit_status("leap")["prefetch"] or {}).get("bytes_done"), "it is under way")
        self.assertIn("fetching " + self.snapshots[-1].name, self.home.ok("status", "leap"))
        self.assertIn(self.snapshots[-1].name, self.home.ok("recover", "leap", "--dry-run"))
        self.assertEqual([p.suffix for p in (self.data / ".hasup" / "cache").glob("*.part")], [".part"])
        self.home.ok("restart", "leap")
        self.at_hand(self.snapshots[-1].name)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)

    def test_its_workers_leave_the_disk_and_the_processor_to_others_and_those_of_a_recovery_do_not(self):
        self.prefetching_unit(self.host(rate=25_000))
        self.home.start()
        fetching = self.priorities_while(lambda: (self.home.unit_status("leap")["prefetch"] or {}).get("bytes_done"))
        self.assertEqual(fetching, {(IDLE_CLASS, LEAST_NICE)})
        self.break_leap()
        fetching = self.priorities_while(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == "fetch")
        self.assertTrue(fetching)
        for io, nice in fetching:
            self.assertNotEqual(io, IDLE_CLASS)
            self.assertEqual(nice, os.nice(0))

    def priorities_while(self, under_way):
        """(class, nice) of each thread of each worker that fetches or unpacks, when the status says that they are at it."""
        def seen():
            if not under_way():
                return None
            found = set()
            for pid, command in processes_of(self.home.path).items():
                if not command.startswith((f"{BIN}/hasup-worker-fetch", f"{BIN}/hasup-worker-unpack")):
                    continue
                for task in Path(f"/proc/{pid}/task").iterdir():
                    stat = (task / "stat").read_text().rsplit(")", 1)[1].split()
                    found.add((io_class(int(task.name)), int(stat[16])))
            return found
        return wait_until(seen, "workers are at it")

    def test_a_stop_ends_it(self):
        self.prefetching_unit(self.host(rate=20_000))
        self.home.start()
        wait_until(lambda: (self.home.unit_status("leap")["prefetch"] or {}).get("bytes_done"), "it is under way")
        self.home.ok("stop", "leap")
        self.assertEqual(self.home.unit_status("leap")["prefetch"]["fetching"], None)
        wait_until(lambda: not any("hasup-worker" in c for c in processes_of(self.home.path).values()), "no worker is left")


class RoomForAPrefetch(PrefetchCalls, SmallVolume):
    """It takes what nobody else needs, and is the first to go."""

    state_size = 6_000_000

    def test_it_goes_before_the_node_is_stopped(self):
        self.prefetching_unit(f"file://{self.backup}/", data='min_free = "20MiB"')
        self.home.start()
        self.at_hand(self.snapshots[-1].name)
        pid = self.home.wait_healthy("leap")["pid"]
        self.fill(18 * MIB)
        dropped = self.home.wait_event("leap", lambda e: e["kind"] == "prefetch_dropped", "it is dropped")
        self.assertIn("min_free is 20MiB", dropped["reason"])
        wait_until(lambda: not list((self.data / ".hasup").glob("cache/*")), "the cache is empty")
        self.home.wait_event("leap", lambda e: e["kind"] == "prefetch_problem" and "short" in e["reason"], "it says why")
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)


if __name__ == "__main__":
    unittest.main()
