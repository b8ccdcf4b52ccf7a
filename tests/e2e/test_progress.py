"""How far a recovery is: in the status, the events, the logs, and what waits for it."""

import json
import signal
import subprocess
import unittest

from hasup_home import BIN, end_process, free_port, on_a_terminal, wait_until, write_sha256
from leap import BLOCKS, UNIT, DEMO_NODE, LeapTest
from test_prefetch import PrefetchCalls

PHASES = ["quiesce", "select", "fetch", "stage", "swap", "first_start", "confirm", "clean_up"]


class Progress(LeapTest):
    def follow(self, *words):
        """A `hasup` that goes on until the test ends; what it has said so far."""
        path = self.home.path / ("followed-" + "-".join(w.strip("-") for w in words))
        out = open(path, "wb")
        self.addCleanup(out.close)
        process = subprocess.Popen([BIN / "hasup", *words], env=self.home.env, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT)
        self.addCleanup(end_process, process)
        return lambda: path.read_text()

    def throttle(self, rate):
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[recovery]\n", f'[recovery]\nmax_rate = "{rate}"\n'))

    def progress_events(self):
        return [e for e in self.home.events("leap") if e["kind"] == "recovery_progress"]

    def test_every_surface_tells_how_far_it_is(self):
        for s in self.snapshots:
            write_sha256(s)
        self.leap_unit(f"http://127.0.0.1:{self.start_backup_host(self.backup)}/")
        self.throttle("100KiB/s")
        self.home.start()
        self.home.wait_healthy("leap")
        followed = {name: self.follow(*words) for name, words in {
            "watch": ["status", "--watch"], "events": ["events", "-f"], "json": ["events", "-f", "--json"],
            "logs": ["logs", "-f", "leap"]}.items()}
        wait_until(lambda: "leap" in followed["watch"]() and "running" in followed["events"]()
                   and followed["logs"](), "they follow")
        self.break_leap()

        seen = {}

        def fetching():
            seen.update(self.home.unit_status("leap")["recovery"] or {})
            return seen.get("phase") == "fetch" and seen["bytes_done"] and seen["bytes_per_s"] and seen["eta_s"] is not None

        wait_until(fetching, lambda: f"it is being fetched: {seen}")
        self.assertEqual(seen["snapshot"], self.snapshots[-1].name)
        self.assertLess(seen["bytes_done"], seen["bytes_total"])
        self.assertLessEqual(seen["began_at"], seen["phase_since"])
        text = self.home.hasup("status", "leap").stdout
        self.assertRegex(text, r"recovery +fetch  \[#*-+\] +\d+%  \S+ of \S+, \S+/s, \d+s left, \d+s so far")
        self.wait_recovered()

        told = self.progress_events()
        self.assertEqual(sorted({e["recovery"]["phase"] for e in told} & set(PHASES), key=PHASES.index), PHASES)
        self.assertLessEqual(len(told), 20, [e["reason"] for e in told])
        confirm = next(e for e in told if e["recovery"]["phase"] == "confirm")
        self.assertGreater(confirm["recovery"]["head"], BLOCKS)
        self.assertIn("without an advance", confirm["reason"])
        clean_up = next(e for e in told if e["recovery"]["phase"] == "clean_up")
        self.assertEqual(set(clean_up["recovery"]) >= {"bytes_done", "bytes_total", "files_done", "files_total"}, True)
        story = self.home.ok("why", "leap")
        self.assertNotIn("recovery_progress", story[story.index("What was tried"):story.index("What happened")])

        wait_until(lambda: "clean_up" in followed["logs"](), lambda: "the logs end: " + followed["logs"]())
        self.assertRegex(followed["watch"](), r"  > fetch  \[#*-+\]")
        self.assertRegex(followed["events"](), r"recovery_progress +fetch  ")
        self.assertIn('"kind":"recovery_progress"', followed["json"]())
        self.assertIn("hasup: leap recovery_progress: fetch  ", followed["logs"]())
        self.assertIn("leap recovery_progress: fetch  ", self.home.daemon_log.read_text())

    def test_who_asks_for_it_sees_it(self):
        self.leap_unit(f"file://{self.backup}/")
        self.throttle("200KiB/s")
        self.home.start()
        self.home.wait_healthy("leap")
        code, said = on_a_terminal([BIN / "hasup", "recover", "leap", "--yes"], {**self.home.env, "TERM": "xterm"})
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"fetch  \[#+-+\] +\d+%  \S+ of ")
        plain = self.home.ok("recover", "leap", "--yes")
        self.assertRegex(plain, r"\[fetch\] .*\d+s so far")
        self.assertRegex(plain, r"\[confirm\] ")

    def test_archives_of_what_was_tried_in_vain_go(self):
        for s in self.snapshots:
            self.truncate(s, with_checksum=True)
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.break_leap()
        self.home.wait_for("leap", state="failed")
        cache = self.data / ".hasup" / "cache"
        kinds = [e["kind"] for e in self.home.events("leap")]
        self.assertIn("recovery_fetched", kinds)
        wait_until(lambda: not list(cache.glob("*")), lambda: f"the cache is empty: {list(cache.glob('*'))}")
        listed = json.loads(self.home.hasup("snapshot", "list", "leap", "--json").stdout)["snapshots"]
        self.assertEqual({s["name"] for s in listed}, {s.name for s in self.snapshots})
        self.assertEqual({(s["bad"], s["at_hand"]) for s in listed}, {(True, None)})


class OneDisk(PrefetchCalls, LeapTest):
    def test_what_others_fetch_beforehand_waits_for_a_recovery_on_their_disk(self):
        for s in self.snapshots:
            write_sha256(s)
        slow = self.host(rate=60_000)
        self.prefetching_unit(slow)
        other = self.home.directory("other")
        subprocess.run([DEMO_NODE, "make-chain", "--data-dir", other, "--blocks", str(BLOCKS), "--state-size",
                        str(self.state_size), "--snapshots", self.home.directory("unused")], check=True, timeout=60)
        self.home.unit("second", UNIT.format(data=other, node=DEMO_NODE, port=free_port(), source=slow, mode="auto",
                                             checksum="required", more="", params=""))
        self.home.start()
        self.home.wait_healthy("second")
        wait_until(lambda: (self.home.unit_status("leap")["prefetch"] or {}).get("bytes_done"), "it is under way")
        self.home.ok("recover", "second", "--yes", "--no-wait")
        paused = self.home.wait_event("leap", lambda e: e["kind"] == "prefetch_paused", "it is paused")
        self.assertIn("the recovery of second", paused["reason"])
        during = self.home.unit_status("leap")["prefetch"]
        if self.home.unit_status("second")["recovery"]:
            self.assertIsNone(during["fetching"])
            self.assertIn("paused during the recovery of second", during["problem"])
        self.home.wait_event("second", lambda e: e["kind"] == "recovery_ended", "it is over")
        self.at_hand(self.snapshots[-1].name, unpacked=True)
        began = [e["seq"] for e in self.home.events("leap") if e["kind"] == "prefetch_began"]
        ended = next(e["seq"] for e in self.home.events("second") if e["kind"] == "recovery_ended")
        self.assertFalse([s for s in began if paused["seq"] < s < ended], "nothing was begun in between")
        self.assertGreater(began[-1], ended)
        listed = json.loads(self.home.ok("snapshot", "list", "leap", "--json"))["snapshots"]
        self.assertEqual([s["at_hand"] for s in listed[:2]], ["unpacked", None])
        self.assertIn("unpacked", self.home.ok("snapshot", "list", "leap"))

    def paused(self):
        prefetch = self.home.unit_status("leap")["prefetch"] or {}
        return "paused during the recovery of second" in (prefetch.get("problem") or "")

    def test_they_wait_for_one_that_goes_on_beyond_its_swap(self):
        for s in self.snapshots:
            write_sha256(s)
        self.prefetching_unit(self.host(rate=200_000))
        other = self.home.directory("other")
        subprocess.run([DEMO_NODE, "make-chain", "--data-dir", other, "--blocks", str(BLOCKS), "--state-size",
                        str(self.state_size), "--snapshots", self.home.directory("unused")], check=True, timeout=60)
        self.home.unit("second", UNIT.format(data=other, node=DEMO_NODE, port=free_port(), mode="auto", more="",
                                             source=f"file://{self.backup}/", checksum="required", params="")
                       .replace('advancing_for = "500ms"', 'advancing_for = "1h"'))
        self.home.start()
        self.home.wait_healthy("second")
        self.home.ok("recover", "second", "--yes", "--no-wait")
        wait_until(lambda: (self.home.unit_status("second")["recovery"] or {}).get("phase") == "confirm", "it confirms")
        before = self.home.events("leap")[-1]["seq"]
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        wait_until(self.paused, lambda: f"it is paused: {self.home.report()}")
        self.assertFalse([e for e in self.home.events("leap") if e["seq"] > before and e["kind"] == "prefetch_began"])
        # Parked, it leaves the disk to others, until it is gone on with.
        self.home.ok("stop", "second", "--force")
        self.at_hand(self.snapshots[-1].name, unpacked=True)
        self.home.ok("start", "second", "--no-wait")
        wait_until(self.paused, "it is paused again")


if __name__ == "__main__":
    unittest.main()
