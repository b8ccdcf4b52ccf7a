"""A head that stands still: restarts, and a recovery only while others advance and from what is beyond the own head."""

import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import unittest
import urllib.request

from hasup_home import DEMO_NODE, accepts, alive, free_port, get_info, parent_of, wait_until
from leap import LeapTest

STUCK_AT = 150

LIVENESS = """
[liveness]
preset = "antelope"
url = "http://127.0.0.1:{port}"
advances_within = "3s"
interval = "100ms"
timeout = "5s"

[recovery.reference]
preset = "antelope"
urls = [{urls}]
interval = "200ms"
"""


class StuckHeadTest(LeapTest):
    def setUp(self):
        super().setUp()
        self.elsewhere = self.data.rename(self.home.path / "elsewhere")  # with 300 blocks, as the backup has them
        self.make_chain(self.data, STUCK_AT)

    def make_chain(self, data, blocks):
        command = [DEMO_NODE, "make-chain", "--data-dir", data, "--blocks", blocks, "--state-size", self.state_size]
        subprocess.run(list(map(str, command)), check=True, timeout=60)

    def unit_with(self, *urls, more=("--stuck-at", STUCK_AT), stuck_restarts=1, source=None, **options):
        self.leap_unit(source or f"file://{self.backup}/", more=more, params=f'stuck_restarts = {stuck_restarts}\n',
                       **options)
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text() +
                        LIVENESS.format(port=self.port, urls=", ".join(f'"{url}"' for url in urls)))

    def reference(self, data, *more, port=None):
        """Somebody else's node of the same chain; its URL."""
        port = port or free_port()
        self.start_program([DEMO_NODE, "nodeos", "--data-dir", data, "--http", f"127.0.0.1:{port}",
                            "--block-interval", "100ms", *more], lambda: accepts(port))
        return f"http://127.0.0.1:{port}"

    def nobody(self):
        return f"http://127.0.0.1:{free_port()}"

    def state_file(self):
        return os.stat(self.data / "state" / "shared_memory.bin").st_ino

    def kinds(self):
        return [e["kind"] for e in self.home.events("leap")]

    def recovery(self):
        return self.home.unit_status("leap")["recovery"] or {}

    def wait_recovery(self, said, what):
        try:
            wait_until(lambda: said(self.recovery()), what, 120, 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.home.report()}") from None

    def prepares(self, *urls, change=lambda: None, **options):
        """Its snapshot is on its way, slowly; the pid of the node."""
        host = self.start_backup_host(self.backup, rate=40_000)
        self.unit_with(*urls, source=f"http://127.0.0.1:{host}/", **options)
        change()
        self.home.start()
        self.wait_recovery(lambda r: r.get("phase") == "fetch" and r["bytes_done"] > 0, "it fetches")
        status = self.home.unit_status("leap")
        self.assertEqual(status["state"], "running")
        self.assertEqual(get_info(self.port)["head_block_num"], STUCK_AT)
        return status["pid"]

    def advance(self):
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/producer/resume", b"", timeout=60).close()

    def ended(self, n=1):
        told = [e for e in self.home.events("leap") if e["kind"] == "recovery_ended"]
        return told[n - 1] if len(told) >= n else None

    def check_called_off(self, pid, inode, why):
        ended = wait_until(self.ended, "it is over", 60)
        self.assertEqual(ended["detail"]["outcome"], "cancelled")
        self.assertIn("recovery called off before anything was touched: " + why, ended["reason"])
        self.assertIn("the node was not stopped and runs on", ended["reason"])
        status = self.home.unit_status("leap")
        self.assertEqual((status["state"], status["pid"], status["recovery"]), ("running", pid, None))
        self.assertFalse((self.home.path / "state" / "journals" / "leap@0").exists())
        self.check_untouched(inode)

    def wait_alerts(self, n):
        """The last of them."""
        def alerts():
            told = [e for e in self.home.events("leap") if e["kind"] == "head_stuck"]
            return told[-1] if len(told) >= n else None
        try:
            return wait_until(alerts, f"{n} alerts", 120, 0.1)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.home.report()}") from None

    def check_untouched(self, inode):
        self.assertEqual(self.state_file(), inode)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)
        self.assertNotIn("recovery_swapping", self.kinds())
        self.assertFalse((self.data / ".hasup" / "aside").exists())


class StuckHead(StuckHeadTest):
    def test_while_others_advance_it_is_restarted_and_then_recovered_from_what_is_beyond(self):
        inode = self.state_file()
        self.unit_with(self.nobody(), self.reference(self.elsewhere), stuck_restarts=2)
        self.home.start()
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], 300)
        self.assertNotEqual(self.state_file(), inode)
        kinds = self.kinds()
        before = kinds[:kinds.index("recovery_began")]
        self.assertEqual(before.count("backing_off"), 2, before)
        self.assertNotIn("head_stuck", kinds)
        began = next(e for e in self.home.events("leap") if e["kind"] == "recovery_began")
        self.assertIn(f"head {STUCK_AT} stands still after 2 restarts, and others advance (http://127.0.0.1:",
                      began["reason"])
        after = kinds[kinds.index("recovery_began"):]
        self.assertLess(after.index("recovery_staged"), after.index("stopping"), after)
        self.assertLess(after.index("stopping"), after.index("recovery_swapping"), after)
        tried = next(e for e in self.home.events("leap") if e["kind"] == "recovery_selected")
        self.assertIn(self.snapshots[-1].name, tried["reason"])
        # It goes on as any node.
        head = info["head_block_num"]
        wait_until(lambda: get_info(self.port)["head_block_num"] > head + 10, "it advances")

    def test_a_whole_chain_that_stands_still_has_nobody_wiped(self):
        inode = self.state_file()
        other = self.home.path / "other"
        shutil.copytree(self.data, other)
        self.unit_with(self.reference(other, "--stuck-at", STUCK_AT))
        self.home.start()
        alert = self.wait_alerts(2)
        self.assertIn(f"its head {STUCK_AT} is not beyond the own head {STUCK_AT}", alert["reason"])
        self.check_untouched(inode)
        self.assertNotIn("recovery_began", self.kinds())
        self.home.wait_for("leap", state="running")
        why = self.home.ok("why", "leap")
        self.assertIn(f"head {STUCK_AT} stands still: ", why)
        self.assertIn("nothing shows that others advance: http://127.0.0.1:", why)

    def test_a_dead_node_with_a_high_head_is_no_evidence(self):
        inode = self.state_file()
        self.unit_with(self.reference(self.elsewhere, "--stuck-at", 300))
        self.home.start()
        self.assertIn("its head 300 has not been seen to grow for", self.wait_alerts(2)["reason"])
        self.check_untouched(inode)

    def test_a_node_of_another_chain_is_no_evidence(self):
        inode = self.state_file()
        other = self.reference(self.home.path / "other", "--chain-id", "ab" * 32, "--block-interval", "10ms")
        wait_until(lambda: get_info(int(other.rsplit(":", 1)[1]))["head_block_num"] > STUCK_AT, "it is beyond")
        self.unit_with(other)
        self.home.start()
        self.assertIn("it is of another chain: " + "ab" * 32, self.wait_alerts(2)["reason"])
        self.check_untouched(inode)

    def test_a_full_disk_in_its_own_output_explains_it(self):
        inode = self.state_file()
        self.unit_with(self.reference(self.elsewhere))
        path = self.home.path / "etc" / "units" / "leap.toml"
        full = "echo write: No space left on device >&2; exec \\\"$0\\\" \\\"$@\\\""
        path.write_text(path.read_text().replace('command = [', f'command = ["sh", "-c", "{full}", '))
        self.home.start()
        self.assertIn("its own output explains it (disk full: write: No space left on device)",
                      self.wait_alerts(2)["reason"])
        self.check_untouched(inode)

    def follow_file(self, words="true"):
        """A log file of the node's own, to which it writes what `words` print before it starts."""
        log = self.home.path / "node.log"
        path = self.home.path / "etc" / "units" / "leap.toml"
        shell = f'command = ["sh", "-c", "{words} >> {log}; exec \\"$0\\" \\"$@\\"", '
        path.write_text(path.read_text().replace("command = [", shell) + f'\n[log]\nfollow = ["{log}"]\n')
        return log

    def test_a_full_disk_in_its_own_log_file_explains_it(self):
        inode = self.state_file()
        self.unit_with(self.reference(self.elsewhere))
        self.follow_file("echo write: No space left on device")
        self.home.start()
        self.assertIn("its own output explains it (disk full: write: No space left on device)",
                      self.wait_alerts(2)["reason"])
        self.check_untouched(inode)

    def test_what_the_node_writes_while_its_replacement_is_fetched_counts_too(self):
        inode = self.state_file()
        files = []
        pid = self.prepares(self.reference(self.elsewhere), change=lambda: files.append(self.follow_file()))
        with open(files[0], "a") as log:
            log.write("write: No space left on device\n")
        self.check_called_off(pid, inode,
                              "the node's own output explains it (disk full: write: No space left on device)")

    def test_what_it_writes_takes_no_yes_of_a_person_back(self):
        self.unit_with(self.reference(self.elsewhere), mode="ask")
        log = self.follow_file()
        self.home.start()
        self.wait_recovery(lambda r: r.get("asks"), "it asks")
        log.write_text("write: No space left on device\n")
        self.home.ok("recover", "leap", "--yes")
        self.wait_recovered()

    def test_snapshots_behind_the_own_head_are_of_no_use(self):
        inode = self.state_file()
        for path in self.snapshots[1:]:
            path.unlink()
            path.with_name(path.name + ".sha256").unlink()
        self.unit_with(self.reference(self.elsewhere))
        self.home.start()
        alert = self.wait_alerts(2)
        self.assertIn("and others advance, but no snapshot to recover from that is beyond the own head "
                      f"{STUCK_AT}; the newest is of block 100", alert["reason"])
        self.assertNotIn("recovering", self.kinds())
        self.home.wait_for("leap", state="running")
        self.assertEqual(get_info(self.port)["head_block_num"], STUCK_AT)
        self.check_untouched(inode)

    def test_the_node_runs_while_its_replacement_is_fetched(self):
        inode = self.state_file()
        pid = self.prepares(self.reference(self.elsewhere))
        self.assertEqual(self.state_file(), inode)
        self.assertIn(f"when its head gets beyond {STUCK_AT} by itself, the recovery is called off",
                      self.home.ok("why", "leap"))
        self.wait_recovery(lambda r: r.get("phase") != "fetch", "it has fetched")
        self.wait_recovered()
        events = [e for e in self.home.events("leap") if e["kind"] in ("recovery_staged", "exited", "stopping")]
        self.assertEqual([e["kind"] for e in events][-3:], ["recovery_staged", "stopping", "exited"])
        self.assertFalse(alive(pid))
        self.assertEqual(json.loads(self.home.ok("recover", "leap", "--history", "--json"))[0]["result"], "recovered")

    def test_a_head_that_advances_meanwhile_calls_it_off(self):
        inode = self.state_file()
        pid = self.prepares(self.reference(self.elsewhere))
        self.advance()
        self.check_called_off(pid, inode, f"head {STUCK_AT + 1} is beyond {STUCK_AT}, where it stood still")
        self.assertIn("head_advances", self.kinds())
        self.assertEqual(json.loads(self.home.ok("recover", "leap", "--history", "--json"))[0]["result"], "cancelled")

    def test_a_head_that_advances_while_there_is_no_hasupd_calls_it_off(self):
        inode = self.state_file()
        pid = self.prepares(self.reference(self.elsewhere))
        self.home.kill_daemon(signal.SIGKILL)
        self.advance()
        wait_until(lambda: get_info(self.port)["head_block_num"] > STUCK_AT, "it advances")
        self.home.start()
        self.check_called_off(pid, inode, "head 1")

    def test_maintenance_calls_it_off_and_its_end_lets_it_begin_anew(self):
        inode = self.state_file()
        pid = self.prepares(self.reference(self.elsewhere))
        self.home.ok("maintenance", "on", "leap")
        self.check_called_off(pid, inode, "it is in maintenance")
        self.home.ok("maintenance", "off", "leap")
        self.wait_recovered()

    def slow_to_stop(self, go):
        """It stops once `go` is there; for the restarts that come first it is. A log file of its own."""
        self.addCleanup(go.touch)
        go.touch()
        log = self.follow_file(f"echo $$$$ > {go}.pid; true")
        path = self.home.path / "etc" / "units" / "leap.toml"
        stop = f"while [ ! -e {go} ]; do sleep 0.05; done; kill $(cat {go}.pid)"
        path.write_text(path.read_text().replace(
            'stop_timeout = "30s"', f'stop_command = ["sh", "-c", "{stop}"]\nstop_timeout = "10m"'))
        return log

    def test_maintenance_of_another_hasupd_while_its_node_stops_for_it_leaves_its_state(self):
        self.called_off_while_its_node_stops(["maintenance", "on"], "it is in maintenance")

    def test_one_that_is_cancelled_under_another_hasupd_while_its_node_stops_for_it_leaves_its_state(self):
        self.called_off_while_its_node_stops(["recover", "--cancel"], "cancelled")

    def called_off_while_its_node_stops(self, words, why):
        inode = self.state_file()
        go = self.home.path / "go"
        self.prepares(self.reference(self.elsewhere), change=lambda: self.slow_to_stop(go))
        go.unlink()
        self.home.wait_for("leap", state="stopping")
        for path in self.snapshots[1:]:  # what is left is not beyond its head
            path.unlink()
            path.with_name(path.name + ".sha256").unlink()
        if words[0] == "maintenance":
            self.home.ok(*words, "leap")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        if words[0] == "recover":
            self.home.ok(*words, "leap")
        ended = wait_until(self.ended, "it is over", 60)
        self.assertIn(why, ended["reason"])
        go.touch()
        self.home.wait_event("leap", lambda e: e["kind"] == "started" and e["seq"] > ended["seq"], "it is started")
        self.check_untouched(inode)
        self.assertEqual(get_info(self.port)["head_block_num"], STUCK_AT)
        self.assertNotIn("recovery_swapping", self.kinds())

    def test_maintenance_that_calls_it_off_holds_when_hasupd_dies_before_that_is_written(self):
        inode = self.state_file()
        pid = self.prepares(self.reference(self.elsewhere))
        journals = self.home.path / "state" / "journals"
        for words in (["mount", "--bind", journals, journals], ["mount", "-o", "remount,ro,bind", journals]):
            if os.geteuid() != 0 or subprocess.run(list(map(str, words))).returncode:
                self.skipTest("only root can make a directory read-only for hasupd")
            self.addCleanup(subprocess.run, ["umount", "-l", journals], stderr=subprocess.DEVNULL)
        self.home.ok("maintenance", "on", "leap")
        wait_until(self.ended, "it is called off")
        self.home.kill_daemon(signal.SIGKILL)
        subprocess.run(["umount", "-l", journals], check=True)
        self.assertTrue((journals / "leap@0").exists())
        self.home.start()
        wait_until(lambda: self.ended(2), "it is called off once more", 60)
        self.check_called_off(pid, inode, "it is in maintenance")
        self.assertIn("it is in maintenance", self.ended(2)["reason"])

    def test_what_it_writes_while_it_is_being_stopped_for_something_else_counts_too(self):
        inode = self.state_file()
        go = self.home.path / "go"
        log = []
        pid = self.prepares(self.reference(self.elsewhere), change=lambda: log.append(self.slow_to_stop(go)))
        go.unlink()
        os.kill(parent_of(pid), signal.SIGKILL)  # for that it is restarted in order
        self.home.wait_for("leap", state="stopping")
        fetched = self.recovery()["bytes_done"]
        self.wait_recovery(lambda r: r.get("bytes_done", 0) > fetched, "it goes on")  # and the new shim has settled
        with open(log[0], "a") as text:
            text.write("write: No space left on device\n")
        ended = self.home.wait_event("leap", lambda e: e["kind"] == "recovery_ended", "it is over", 120)
        self.assertEqual(ended["detail"]["outcome"], "cancelled")
        self.assertIn("the node's own output explains it (disk full", ended["reason"])
        self.assertEqual(self.home.unit_status("leap")["state"], "stopping")
        self.assertTrue(alive(pid))
        go.touch()
        self.home.wait_event("leap", lambda e: e["kind"] == "started" and e["seq"] > ended["seq"], "it is started")
        self.check_untouched(inode)

    def test_a_node_that_ends_meanwhile_is_not_started_before_it_is_recovered(self):
        pid = self.prepares(self.reference(self.elsewhere))
        before = self.kinds().count("started")
        os.kill(pid, signal.SIGKILL)
        self.wait_recovered()
        self.assertEqual(self.kinds().count("started"), before)
        self.assertEqual(self.kinds().count("recovery_first_start"), 1)

    def test_a_new_hasupd_goes_on_beside_the_node(self):
        pid = self.prepares(self.reference(self.elsewhere))
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.wait_recovery(lambda r: r.get("phase") == "fetch", "it fetches")
        self.assertEqual(self.home.unit_status("leap")["pid"], pid)
        self.wait_recovered()
        self.assertEqual(self.kinds().count("recovery_began"), 1)

    def test_a_node_that_went_down_with_hasupd_is_started_on_what_it_has_first(self):
        """It may have been called off right before."""
        inode = self.state_file()
        pid = self.prepares(self.reference(self.elsewhere))
        shim = parent_of(pid)
        self.home.kill_daemon(signal.SIGKILL)
        for victim, how in ((shim, signal.SIGKILL), (pid, signal.SIGTERM)):  # so that its state is good
            os.kill(victim, how)
            wait_until(lambda victim=victim: not alive(victim), "it is gone")
        self.home.start()
        ended = wait_until(self.ended, "it is over", 60)
        self.assertEqual(ended["detail"]["outcome"], "cancelled")
        self.assertIn("whether it still does is not known; the old state is untouched", ended["reason"])
        self.home.wait_event("leap", lambda e: e["kind"] == "started" and e["seq"] > ended["seq"], "it is started")
        self.check_untouched(inode)
        # It still stands, as is seen now.
        self.wait_recovered()
        self.assertEqual(self.kinds().count("recovery_began"), 2)

    def test_what_was_prefetched_is_looked_at_and_is_of_no_use_behind_the_own_head(self):
        host_port = self.start_backup_host(self.backup)
        reference_port = free_port()
        self.unit_with(f"http://127.0.0.1:{reference_port}", source=f"http://127.0.0.1:{host_port}/", stuck_restarts=1)
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[recovery.params]",
                                                 'prefetch = { every = "1s" }\n\n[recovery.params]'))
        self.home.start()
        wait_until(lambda: "prefetched" in self.kinds(), "a snapshot is at hand", 60)
        self.assertNotIn("recovery_began", self.kinds())
        self.reference(self.elsewhere, port=reference_port)
        self.wait_recovered()
        notes = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_note"]
        self.assertIn("what was fetched beforehand is not used: it is none of the candidates", notes)

    def test_a_person_who_is_asked_and_says_no_has_the_node_as_it_was(self):
        inode = self.state_file()
        self.unit_with(self.reference(self.elsewhere), mode="ask")
        self.home.start()
        self.wait_recovery(lambda r: r.get("asks"), "it asks")
        status = self.home.unit_status("leap")
        self.assertEqual(status["state"], "running")
        self.assertIn(f"{self.snapshots[-1].name} is ready to replace the state", status["reason"])
        self.assertEqual(get_info(self.port)["head_block_num"], STUCK_AT)
        self.home.ok("recover", "leap", "--cancel")
        wait_until(lambda: self.ended(), "it is over", 60)
        self.assertEqual(self.home.unit_status("leap")["pid"], status["pid"])
        self.check_untouched(inode)
        # It stands still, so it is asked again; this time it goes on before there is an answer.
        self.wait_recovery(lambda r: r.get("asks"), "it asks again")
        self.assertEqual(self.home.unit_status("leap")["pid"], status["pid"])
        self.advance()
        self.assertIn("is beyond", wait_until(lambda: self.ended(2), "it is over", 60)["reason"])
        self.check_untouched(inode)

    def test_a_person_who_says_yes_has_it_replaced(self):
        inode = self.state_file()
        self.unit_with(self.reference(self.elsewhere), mode="ask")
        self.home.start()
        self.wait_recovery(lambda r: r.get("asks"), "it asks")
        self.home.ok("recover", "leap", "--yes")
        self.wait_recovered()
        self.assertNotEqual(self.state_file(), inode)

    def test_while_nobody_answers_nothing_is_wiped(self):
        inode = self.state_file()
        self.unit_with(self.nobody())
        self.home.start()
        alert = self.wait_alerts(2)
        self.assertIn("nothing shows that others advance", alert["reason"])
        self.assertIn("refused", alert["reason"])
        self.check_untouched(inode)

    def test_a_hasupd_that_dies_meanwhile_has_counted(self):
        self.unit_with(self.reference(self.elsewhere), stuck_restarts=1)
        self.home.start()
        self.home.wait_event("leap", lambda e: e["kind"] == "backing_off" and "restart 1 of 1" in e["reason"],
                             "its restart", 120)
        wait_until(lambda: json.loads((self.home.path / "state" / "intent.json").read_text())
                   ["instances"]["leap@0"].get("stuck_restarts") == 1, "it is saved")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.wait_recovered()
        self.assertEqual([e for e in self.home.events("leap") if "restart 2" in e["reason"]], [])
        began = next(e for e in self.home.events("leap") if e["kind"] == "recovery_began")
        self.assertIn("after 1 restart, and others advance", began["reason"])

    def test_others_are_asked_only_while_the_own_head_stands_still(self):
        asked = []

        class Reference(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = json.dumps({"head_block_num": 1, "head_block_time": "2026-11-22T00:00:00.000"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reference)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.unit_with(f"http://127.0.0.1:{server.server_port}", more=(), stuck_restarts=9)
        self.home.start()
        self.home.wait_healthy("leap")
        wait_until(lambda: get_info(self.port)["head_block_num"] > STUCK_AT + 50, "it advances")
        self.assertEqual(asked, [])
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/producer/pause", b"", timeout=60).close()
        wait_until(lambda: asked, "somebody else is asked", 120)
        self.home.wait_event("leap", lambda e: e["kind"] == "head_advances", "its restart helped", 120)
        told = []
        for _ in range(2):  # a question that was on its way may still come, during the first blocks
            head = get_info(self.port)["head_block_num"]
            wait_until(lambda: get_info(self.port)["head_block_num"] > head + 30, "it advances")
            told.append(len(asked))
        self.assertEqual(told[0], told[1])



class RestoredHead(StuckHeadTest):
    """The head of a node that a recovery has restored stands still before it is confirmed."""

    def restored(self, *urls):
        self.leap_unit(f"file://{self.backup}/", more=("--stuck-at", 305), params='within = "2s"')
        path = self.home.path / "etc" / "units" / "leap.toml"
        reference = f'[recovery.reference]\npreset = "antelope"\nurls = ["{urls[0]}"]\ninterval = "200ms"\n' if urls else ""
        path.write_text(path.read_text().replace('advancing_for = "500ms"', 'advancing_for = "1h"') + reference)
        self.make_dirty()
        self.home.start()
        return self.home.wait_event("leap", lambda e: e["kind"] == "recovery_stands", "it is told")["reason"]

    def test_it_is_waited_for_while_nothing_shows_that_others_advance(self):
        inode = self.state_file()
        self.assertRegex(self.restored(), r"^the head did not advance within 2s on snapshot-\d+\.bin, and nothing shows "
                                          r"that others advance \(there is no \[recovery\.reference\] to ask\)")
        status = self.home.unit_status("leap")
        self.assertEqual((status["state"], status["recovery"]["phase"]), ("recovering", "confirm"))
        self.assertIsNotNone(status["pid"])
        self.assertIn("is confirmed when its head advances", self.home.ok("why", "leap"))
        self.assertNotIn("recovery_rolling_back", self.kinds())
        self.home.ok("recover", "leap", "--rollback", "--yes")
        self.home.wait_for("leap", state="failed")
        self.assertEqual(self.state_file(), inode)

    def test_it_makes_room_for_the_next_older_snapshot_while_others_advance(self):
        self.restored(self.reference(self.elsewhere))
        back = self.home.wait_event("leap", lambda e: e["kind"] == "recovery_rolling_back", "it is rolled back")
        self.assertRegex(back["reason"], r"^the head did not advance within 2s on snapshot-\d+\.bin, and others advance: "
                                         r"http://127\.0\.0\.1:\d+ advances: ")
        self.home.wait_event("leap", lambda e: e["kind"] == "recovery_selected" and e["seq"] > back["seq"],
                             "the next is tried")


if __name__ == "__main__":
    unittest.main()
