"""Faults and commands that meet hasup in the middle of something."""

import os
import pwd
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from hasup_home import HasupTest, alive, end_process, get_info, parent_of, wait_until
from leap import BLOCKS, LeapTest

SLEEPER = """
[run]
command = ["sleep", "100000"]

[restart]
backoff = {{ initial = "50ms", max = "100ms" }}
{more}
"""


# The main thread ends, another one goes on.
HEADLESS = """
import ctypes, threading, time
def work():
    n = 0
    while True:
        print("line", n, flush=True)
        n += 1
        time.sleep(0.05)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""


class Processes(HasupTest):
    def test_a_shim_that_dies_with_its_node_is_noticed(self):
        self.home.unit("one", SLEEPER.format(more=""))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        for victim in (parent_of(pid), pid):
            os.kill(victim, signal.SIGKILL)
        status = self.home.wait_for("one", restarts=1, state="running")
        self.assertNotEqual(status["pid"], pid)
        self.assertEqual(status["last_exit"]["class"], "lost")
        self.assertIsNone(status["last_exit"]["code"])
        self.home.ok("stop", "one")
        self.assertFalse(self.home.unit_status("one")["killed"])

    def test_an_exit_that_nobody_saw_is_a_failure_for_every_policy(self):
        for policy in ("never", "on_failure", "always"):
            self.home.unit(policy, SLEEPER.format(more=f'policy = "{policy}"'))
        self.home.start()
        before = {}
        for policy in ("never", "on_failure", "always"):
            before[policy] = self.home.wait_healthy(policy)["pid"]
            for victim in (parent_of(before[policy]), before[policy]):
                os.kill(victim, signal.SIGKILL)
        for policy in ("on_failure", "always"):
            self.assertNotEqual(self.home.wait_for(policy, restarts=1, state="running")["pid"], before[policy])
        self.home.wait_for("never", state="failed", restarts=0)
        for policy in before:
            exit = self.home.unit_status(policy)["last_exit"]
            self.assertEqual((exit["class"], exit["code"], exit["signal"]), ("lost", None, None))

    def test_a_node_of_which_only_the_main_thread_has_ended_lives_on_under_a_new_shim(self):
        script = self.home.path / "headless.py"
        script.write_text(HEADLESS)
        self.home.unit("one", f'[run]\ncommand = ["/usr/bin/env", "python3", "{script}"]\n[restart]\npolicy = "never"\n')
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        stat = Path(f"/proc/{pid}/stat")
        wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "Z", "its main thread ends")
        os.kill(parent_of(pid), signal.SIGKILL)
        self.home.wait_event("one", lambda e: e["kind"] == "shim_lost", "the death of the shim is noticed")
        before = len(self.home.log_lines("one"))
        wait_until(lambda: len(self.home.log_lines("one")) > before + 10, "its lines come to the log again")
        status = self.home.wait_healthy("one")
        self.assertEqual((status["pid"], status["restarts"]), (pid, 0))
        self.home.ok("stop", "one")
        wait_until(lambda: not stat.exists(), "nothing of it is left")

    def test_a_stop_whose_shim_dies_before_it_sent_the_signal_is_sent_by_the_next_one(self):
        self.home.unit("one", SLEEPER.format(more=""))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        shim = parent_of(pid)
        os.kill(shim, signal.SIGSTOP)
        self.home.ok("stop", "one", "--no-wait")
        self.home.wait_for("one", state="stopping")
        os.kill(shim, signal.SIGKILL)
        status = self.home.wait_for("one", state="stopped")
        self.assertFalse(status["killed"])
        self.assertFalse(alive(pid))

    def test_a_shim_that_stands_still_while_hasupd_comes_back_is_waited_for(self):
        self.home.unit("one", SLEEPER.format(more=""))
        self.home.start()
        pid = self.home.wait_healthy("one")["pid"]
        shim = parent_of(pid)
        os.kill(shim, signal.SIGSTOP)
        try:
            self.home.kill_daemon()
            self.home.start()
            self.home.wait_event("one", lambda e: e["kind"] == "shim_busy", "the silence of the shim is told")
            self.home.hasup("start", "one", "--no-wait")
        finally:
            os.kill(shim, signal.SIGCONT)
        status = self.home.wait_healthy("one")
        self.assertEqual((status["pid"], status["restarts"]), (pid, 0))
        self.home.ok("stop", "one")
        self.assertFalse(alive(pid))

    def test_commands_that_meet_a_hasupd_which_has_just_come_up_are_for_what_runs(self):
        for i in range(40):
            self.home.unit(f"u{i}", SLEEPER.format(more=""))
        self.home.start()
        names = [f"u{i}" for i in range(40)]
        pids = {name: self.home.wait_healthy(name)["pid"] for name in names}
        self.home.kill_daemon()
        self.home.start()
        self.home.ok("start", *names[:20])
        self.home.ok("stop", *names[20:])
        for name in names[:20]:
            status = self.home.unit_status(name)
            self.assertEqual((status["state"], status["pid"], status["restarts"]), ("running", pids[name], 0))
        self.assertEqual([name for name in names[20:] if alive(pids[name])], [])

    def test_a_stop_that_meets_a_start_which_cannot_work_ends(self):
        self.home.unit("bad", '[run]\ncommand = ["/no/such/program"]\n')
        self.home.start()
        for _ in range(12):
            self.home.hasup("start", "bad", "--no-wait")
            self.home.ok("stop", "bad", "--timeout", "30s")
            status = self.home.wait_for("bad", state="stopped")
            self.assertFalse(status["killed"])

    def test_no_kill_holds_when_somebody_else_asks_again_without_it(self):
        self.home.unit("deaf", """
[run]
command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
stop_timeout = "300ms"
""")
        self.home.start()
        self.home.wait_healthy("deaf")
        wait_until(lambda: "ready" in self.home.log_text("deaf"), "the trap is set")
        self.assertNotEqual(self.home.hasup("stop", "deaf", "--no-kill", "--timeout", "1s").returncode, 0)
        self.assertEqual(self.home.unit_status("deaf")["state"], "stopping")
        self.assertNotEqual(self.home.hasup("stop", "deaf", "--timeout", "1s").returncode, 0)
        self.assertEqual(self.home.unit_status("deaf")["state"], "stopping")
        self.assertNotIn("killed", [e["kind"] for e in self.home.events("deaf")])
        self.home.ok("signal", "deaf", "KILL")
        self.home.wait_for("deaf", state="stopped")

    def test_a_change_made_while_another_file_was_broken_is_applied_once_that_is_mended(self):
        self.home.unit("one", SLEEPER.format(more=""))
        self.home.start()
        self.home.wait_healthy("one")
        self.home.unit("one", SLEEPER.format(more='[log]\nmax_files = 3\n[[requires]]\nunit = "two"\n'))
        self.home.hasup("apply")  # there is no unit two yet, so its file is invalid
        self.home.unit("two", SLEEPER.format(more=""))
        said = self.home.ok("apply")
        self.assertIn("one", said)
        self.assertIn("two", said)


class Recovery(LeapTest):
    def slow_to_confirm(self, advancing_for="10s", **options):
        self.leap_unit(f"file://{self.backup}/", **options)
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('advancing_for = "500ms"', f'advancing_for = "{advancing_for}"'))
        return path

    def wait_phase(self, phase):
        wait_until(lambda: (self.home.unit_status("leap")["recovery"] or {}).get("phase") == phase, f"phase {phase}")

    def test_apply_does_not_reach_a_recovery_that_runs(self):
        path = self.slow_to_confirm()
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        other = self.home.path / "elsewhere"
        path.write_text(path.read_text().replace(f'dir = "{self.data}"', f'dir = "{other}"'))
        self.assertIn("after its recovery", self.home.ok("apply"))
        self.assertTrue(self.home.unit_status("leap")["config_changed"])
        self.wait_recovered()
        wait_until(lambda: not (self.data / ".hasup" / "swap.json").exists(), "the old state is cleaned up")
        self.assertFalse(any((self.data / ".hasup").glob("aside/*")))
        self.assertFalse(other.exists())

    def test_readers_stay_down_over_a_restart_of_hasupd_while_data_is_half_restored(self):
        self.slow_to_confirm("8s")
        self.home.unit("rpc", SLEEPER.format(more='[data]\nshared_with = "leap"\n'))
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        self.home.ok("stop", "leap")
        self.assertTrue((self.data / ".hasup" / "swap.json").exists(), "this test wants a parked recovery")
        self.home.wait_for("rpc", state="waiting")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.wait_for("rpc", state="waiting")
        self.assertIn("being restored", str(self.home.unit_status("rpc")["waiting_for"]))
        self.home.ok("start", "leap", "--no-wait")
        self.wait_recovered()
        self.home.wait_healthy("rpc")

    def stops_when_told(self):
        """The node takes its time to end: until its pid stands in this file. Where another one does, it is no longer
        waited for."""
        path, go = self.home.path / "etc" / "units" / "leap.toml", self.home.path / "go"
        wait = f"until [ -s {go} ]; do sleep 0.05; done; kill $(cat {go})"
        path.write_text(path.read_text().replace('stop_timeout = "30s"',
                                                 f'stop_timeout = "90s"\nstop_command = ["sh", "-c", "{wait}"]'))
        self.addCleanup(go.write_text, "999999999")
        return go

    def start_while_it_stops(self, go, meanwhile=lambda: None):
        pid = self.home.unit_status("leap")["pid"]
        self.home.ok("stop", "leap", "--no-wait")
        wait_until(lambda: self.home.unit_status("leap")["desired"] == "down", "it is being stopped")
        meanwhile()
        self.assertTrue(alive(pid))
        self.home.ok("start", "leap", "--no-wait")
        go.write_text(str(pid))
        wait_until(lambda: not alive(pid), "it has stopped")

    def test_a_start_while_the_recovery_is_being_stopped_goes_on_with_it(self):
        self.slow_to_confirm("8s")
        go = self.stops_when_told()
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        self.start_while_it_stops(go)
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        kinds = [e["kind"] for e in self.home.events("leap")]
        self.assertIn("recovery_resumed", kinds)
        self.assertNotIn("failed", kinds)
        self.assertEqual(kinds.count("recovery_swapped"), 1)
        self.assertFalse((self.data / ".hasup" / "swap.json").exists())

    def test_a_start_after_a_stop_that_the_recovery_was_complete_for_is_like_any(self):
        self.slow_to_confirm("2s")
        go = self.stops_when_told()
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        old = next(p for p in (self.data / ".hasup" / "aside").rglob("shared_memory.bin"))
        with open(old, "r+b") as state:
            holder = subprocess.Popen(["sleep", "600"], stdin=state)
        self.addCleanup(end_process, holder)
        self.home.wait_event("leap", lambda e: "not deleted yet" in e["reason"], "the old state cannot be deleted")

        def clean_up():
            end_process(holder)
            wait_until(lambda: not (self.data / ".hasup" / "swap.json").exists(), "the old state is deleted")
        self.start_while_it_stops(go, clean_up)
        self.home.wait_for("leap", state="running", health="healthy")
        self.assertNotIn("no recovery was under way", str(self.home.events("leap")))

    def test_a_stop_command_that_does_nothing_gives_way_to_the_signal_in_a_recovery_too(self):
        path = self.slow_to_confirm("1m")
        path.write_text(path.read_text().replace('stop_timeout = "30s"', 'stop_timeout = "3s"\nstop_command = ["true"]'))
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        self.home.ok("stop", "leap", "--force")
        event = self.home.wait_event("leap", lambda e: e["kind"] == "stop_command_failed", "the signal is sent")
        self.assertEqual(event["state"], "recovering")
        self.assertIn("sending TERM", event["reason"])
        self.assertNotIn("killed", [e["kind"] for e in self.home.events("leap")])

    def lose_shim_in_first_start(self, more=lambda: None):
        """The node of a recovery runs on without its shim, is confirmed, and only then restarted in order."""
        self.slow_to_confirm()
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        before = self.home.unit_status("leap")
        os.kill(parent_of(before["pid"]), signal.SIGKILL)
        more()
        after = self.home.wait_for("leap", state="running", health="healthy", recoveries=1,
                                   restarts=before["restarts"] + 1)
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual((after["last_exit"]["class"], after["last_exit"]["code"]), ("lost", None))
        told = [e["kind"] for e in self.home.events("leap")]
        self.assertLess(told.index("recovery_confirmed"), len(told) - 1 - told[::-1].index("stopping"))
        self.assertNotIn("killed", told)

    def test_a_node_that_lost_its_shim_in_its_first_start_is_restarted_once_it_is_confirmed(self):
        self.lose_shim_in_first_start()

    def test_also_when_hasupd_died_with_that_shim(self):
        def die():
            self.home.kill_daemon(signal.SIGKILL)
            self.home.start()
        self.lose_shim_in_first_start(die)

    def test_a_node_that_ends_while_its_recovery_cleans_up_does_not_run_on_in_status_alone(self):
        path = self.slow_to_confirm("8s")
        # What it leaves behind keeps its tree from being empty until the recovery has ended.
        path.write_text(path.read_text().replace(
            'command = [', 'command = ["sh", "-c", "sleep 100000 & exec \\"$0\\" \\"$@\\"", '))
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        old = next(p for p in (self.data / ".hasup" / "aside").rglob("shared_memory.bin"))
        with open(old, "r+b") as state:
            holder = subprocess.Popen(["sleep", "600"], stdin=state)
        self.addCleanup(end_process, holder)
        self.home.wait_event("leap", lambda e: "not deleted yet" in e["reason"], "the old state cannot be deleted")
        os.kill(self.home.unit_status("leap")["pid"], signal.SIGKILL)
        self.home.wait_event("leap", lambda e: "signal 9" in e["reason"], "its end is seen")
        end_process(holder)
        # It is dirty, of course, and restored once more.
        self.home.wait_for("leap", state="running", health="healthy", recoveries=2)
        self.assertEqual([e["reason"] for e in self.home.events("leap") if "signal 9" in e["reason"]
                          and e["kind"] == "exited"], ["exited with signal 9 (KILL): killed by signal 9"])

    def test_a_node_that_lost_its_port_is_not_waited_for_as_if_it_still_loaded(self):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('start_timeout = "60s"', 'start_timeout = "6s"'))
        self.make_dirty()
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", self.port))
        taken.listen()
        self.home.start()
        wait_until(lambda: "closing port" in self.home.log_text("leap"), "nodeos says that its port is taken")
        taken.close()
        told = self.home.wait_event("leap", lambda e: e["kind"] == "start_in_vain", "it is stopped")
        self.assertIn("Address already in use", told["reason"])
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertIn(self.snapshots[-1].name, self.home.ok("recover", "leap", "--history"))

    def test_a_parked_recovery_survives_that_its_unit_file_goes_and_comes_back(self):
        path = self.slow_to_confirm("8s")
        self.make_dirty()
        self.home.start()
        self.wait_phase("confirm")
        self.home.ok("stop", "leap")
        text = path.read_text()
        path.unlink()
        self.home.ok("apply")
        wait_until(lambda: not self.home.status()["units"], "the unit is gone")
        path.write_text(text)
        self.home.ok("apply")
        status, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        reasons = " ".join(e["reason"] for e in self.home.events("leap"))
        self.assertNotIn("its journal is gone", reasons)
        self.assertIn("going on with the recovery", reasons)

    def test_a_node_that_runs_is_not_stopped_for_a_recovery_with_nothing_to_restore(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        for words in (["--snapshot", "nosuch"], ["--plan", "nosuch"]):
            done = self.home.hasup("recover", "leap", "--yes", *words)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("nosuch", done.stdout + done.stderr)
            self.assertEqual(self.home.hasup("recover", "leap", "--dry-run", *words).returncode, 1)
        self.remove_backup()
        done = self.home.hasup("recover", "leap", "--yes")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("runs on", done.stdout + done.stderr)
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)

    def reader_unit(self, script, more="", run=""):
        self.home.unit("rpc", f'[run]\ncommand = ["sh", "-c", "{script}"]\n{run}\n[data]\nshared_with = "leap"\n{more}')
        self.home.ok("apply")
        return self.home.wait_healthy("rpc")["pid"]

    def restart_hasupd(self):
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()

    def test_what_reads_the_data_goes_on_while_a_snapshot_is_fetched_and_stops_for_the_swap(self):
        host = self.start_backup_host(self.backup, rate=60_000)
        self.leap_unit(f"http://127.0.0.1:{host}/")
        held = self.data / "state" / "shared_memory.bin"
        self.home.start()
        self.home.wait_healthy("leap")
        reader = self.reader_unit(f"exec 3<{held}; exec sleep 100000")
        self.break_leap()
        self.wait_phase("fetch")
        self.assertEqual(self.home.unit_status("rpc")["pid"], reader)
        self.restart_hasupd()
        self.wait_phase("fetch")
        self.assertEqual(self.home.wait_healthy("rpc")["pid"], reader)
        self.wait_recovered()
        self.assertNotEqual(self.home.wait_healthy("rpc")["pid"], reader)
        events = self.home.events()
        stopped = [i for i, e in enumerate(events) if "stopped while the data of leap is restored" in e["reason"]
                   and e["kind"] == "stopping"]
        self.assertEqual(len(stopped), 1, [(e["unit"], e["kind"], e["reason"]) for e in events])
        kinds = [e["kind"] for e in events]
        self.assertLess(kinds.index("recovery_staged"), stopped[0])
        self.assertLess(stopped[0], kinds.index("recovery_swapping"))

    def reader_gives_up(self, rate, starts):
        """At its start limit, while a snapshot is fetched; it runs again where the file that is returned is there."""
        host = self.start_backup_host(self.backup, rate=rate)
        self.leap_unit(f"http://127.0.0.1:{host}/")
        good = self.home.path / "good"
        good.touch()
        self.home.start()
        self.home.wait_healthy("leap")
        self.reader_unit(f"while [ -e {good} ]; do sleep 0.1; done; exit 1",
                         '[restart]\nbackoff = { initial = "10ms" }\nstart_limit = { count = %d, within = "10m" }\n' % starts)
        self.break_leap()
        self.wait_phase("fetch")
        good.unlink()
        self.home.wait_for("rpc", state="waiting")
        return good

    def test_what_cannot_read_the_broken_data_is_started_again_once_it_is_restored(self):
        good = self.reader_gives_up(rate=60_000, starts=3)
        self.assertIn("start limit", self.home.unit_status("rpc")["reason"])
        self.restart_hasupd()
        self.home.wait_for("rpc", state="waiting")
        self.assertIn("once the data of leap is restored", self.home.unit_status("rpc")["reason"])
        good.touch()
        self.wait_recovered()
        self.home.wait_healthy("rpc")
        self.assertNotIn("failed", [e["kind"] for e in self.home.events("rpc")])

    def test_what_cannot_read_the_data_that_is_not_restored_fails_after_all(self):
        self.reader_gives_up(rate=20_000, starts=2)
        self.home.ok("recover", "leap", "--cancel")
        self.home.wait_for("rpc", state="failed")
        self.assertIn("`hasup start rpc` tries again", self.home.unit_status("rpc")["reason"])

    def deaf_reader_holds_the_swap_up(self, stop_timeout):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        deaf = self.home.path / "deaf"
        deaf.touch()
        self.addCleanup(deaf.unlink)
        pid = self.reader_unit(f"trap 'test -e {deaf} || exit 0' TERM; while :; do sleep 0.1; done",
                               run=f'stop_timeout = "{stop_timeout}"')
        self.break_leap()
        self.home.wait_for("rpc", state="stopping")
        self.assertIn("units that read it", self.home.ok("why", "leap"))
        self.assertIn("while the data of leap is restored", self.home.ok("why", "rpc"))
        return pid

    def test_a_reader_that_does_not_stop_is_killed_after_its_time_and_the_swap_goes_on(self):
        pid = self.deaf_reader_holds_the_swap_up("3s")
        self.wait_recovered()
        self.assertNotEqual(self.home.wait_healthy("rpc")["pid"], pid)
        events = [e["kind"] for e in self.home.events()]
        self.assertLess(events.index("killed"), events.index("recovery_swapping"))

    def test_a_recovery_that_waits_for_a_reader_to_stop_can_be_cancelled(self):
        pid = self.deaf_reader_holds_the_swap_up("1m")
        self.home.ok("recover", "leap", "--cancel")
        self.home.ok("signal", "rpc", "KILL")
        self.home.wait_for("leap", state="failed")
        self.assertFalse(alive(pid))
        self.assertNotEqual(self.home.wait_healthy("rpc")["pid"], pid)
        self.assertNotIn("recovery_swapping", [e["kind"] for e in self.home.events("leap")])

    def test_a_recovery_by_hand_whose_source_goes_down_in_the_middle_starts_the_node_again(self):
        host = self.start_backup_host(self.backup, rate=20_000)
        self.leap_unit(f"http://127.0.0.1:{host}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.hasup("recover", "leap", "--yes", "--no-wait")
        self.wait_phase("fetch")
        self.home.ok("recover", "leap", "--cancel")
        status = self.home.wait_healthy("leap")
        self.assertEqual(status["recoveries"], 0)
        self.assertTrue(alive(status["pid"]))

    @unittest.skipIf(os.geteuid() != 0, "needs root, to run the node as another user")
    def test_a_writer_of_another_user_that_comes_during_the_fetch_stops_the_swap(self):
        nobody = pwd.getpwnam("nobody")
        host = self.start_backup_host(self.backup, rate=60_000)
        self.leap_unit(f"http://127.0.0.1:{host}/", more=())
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[run]\n", '[run]\nuser = "nobody"\n'))
        self.make_dirty()
        for root, dirs, files in os.walk(self.data):
            for name in [".", *dirs, *files]:
                os.chown(os.path.join(root, name), nobody.pw_uid, nobody.pw_gid)
        self.home.start()
        self.wait_phase("fetch")
        inode = os.stat(self.data / "state" / "shared_memory.bin").st_ino
        # Not this process: hasupd's ancestors do not count as writers.
        with open(self.data / "state" / "shared_memory.bin", "r+b") as held:
            writer = subprocess.Popen(["sleep", "1000"], stdin=held)
        try:
            status = self.home.wait_for("leap", state="failed")
            self.assertIn(f"{writer.pid}", status["reason"])
            self.assertEqual(os.stat(self.data / "state" / "shared_memory.bin").st_ino, inode)
        finally:
            writer.kill()
            writer.wait()
        self.home.ok("start", "leap", "--no-wait")
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)


if __name__ == "__main__":
    unittest.main()
