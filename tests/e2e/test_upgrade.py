"""hasup daemon upgrade: another hasupd in the same process, and nobody else notices."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest

from hasup_home import BIN, DEADLINE, HasupTest, processes_of, start_time, started_by_another, wait_until
from leap import BLOCKS, LeapTest
from hasup_home import get_info

# Writes on without starting a process for each line.
COUNTER = 'exec 3<> <(:); i=0; while :; do i=$((i+1)); echo "line $i"; read -t 0.2 -u 3 _; done'

UNITS = 100


def installed_copy(home, version=None):
    """A copy of the programs in one directory, as a package has it; with `version`, hasupd says that of itself."""
    target = home.directory("installed")
    for name in os.listdir(BIN):
        if name.startswith("hasup"):
            shutil.copy2(BIN / name, target / name)
    if version:
        put_version(target / "hasupd", version)
    return target


def version_of(program):
    return subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]


def put_version(program, version):
    """Replaces the file as a package manager does, by another of the same name, which says another version."""
    old = version_of(program)
    assert len(old) == len(version)
    data = program.read_bytes()
    assert old.encode() + b"\0" in data
    fresh = program.with_name(program.name + ".new")
    fresh.write_bytes(data.replace(old.encode() + b"\0", version.encode() + b"\0"))
    fresh.chmod(0o755)
    os.replace(fresh, program)
    assert version_of(program) == version


class UpgradeTest(HasupTest):
    def setUp(self):
        super().setUp()
        self.installed = installed_copy(self.home)
        self.old_version = version_of(self.installed / "hasupd")
        self.new_version = self.old_version[:-1] + ("9" if self.old_version[-1] != "9" else "8")
        self.program = self.installed / "hasupd"

    def start_installed(self):
        """As HasupHome.start, but the copy."""
        with open(self.home.daemon_log, "ab") as log:
            self.home.daemon = subprocess.Popen([self.program], env=self.home.env, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, start_new_session=True)
        self.home.wait_answering()

    def pids(self):
        return {(u["unit"], u["instance"]): (u["pid"], start_time(u["pid"]))
                for u in self.home.status()["units"] if u["pid"]}

    def zombies(self):
        """Children of hasupd that ended and that nobody has waited for."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == self.home.daemon.pid:
                found.append(entry)
        return found

    def lock_is_free(self):
        """Could another hasupd have begun? Asked without taking the lock."""
        import fcntl
        import struct
        with open(self.home.path / "run" / "hasupd.lock") as f:
            query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            answer = fcntl.fcntl(f, 36, query)  # F_OFD_GETLK
        return struct.unpack("hhqqi4x", answer)[0] == fcntl.F_UNLCK


class Upgrade(UpgradeTest):
    def test_a_hundred_units_run_on_over_it_and_the_socket_refuses_nobody(self):
        for n in range(UNITS):
            self.home.unit(f"u{n:03}", f"""
groups = ["{'even' if n % 2 == 0 else 'odd'}"]
[run]
command = ["/bin/bash", "-c", '''{COUNTER}''']
stop_timeout = "20s"
""")
        self.start_installed()
        self.home.ok("wait", *[f"u{n:03}" for n in range(UNITS)], "--for", "healthy")
        before = self.pids()
        self.assertEqual(len(before), UNITS)
        pid, inode = self.home.daemon.pid, os.stat(self.home.path / "run" / "hasupd.sock").st_ino

        refused, locks, answers, over = [], [], [], threading.Event()

        def knock():
            while not over.is_set():
                with socket.socket(socket.AF_UNIX) as s:
                    try:
                        s.connect(str(self.home.path / "run" / "hasupd.sock"))
                    except OSError as e:
                        refused.append(e)
                        continue
                    answers.append(1)
                if self.lock_is_free():
                    locks.append("free")
        knocking = threading.Thread(target=knock)
        knocking.start()
        try:
            for version in (self.new_version, self.old_version, self.new_version):
                was = self.home.status()["version"]
                put_version(self.program, version)
                said = json.loads(self.home.ok("daemon", "upgrade", "--json"))
                self.assertEqual((said["from"], said["to"], said["pid"], said["running"], said["changed_meanwhile"]),
                                 (was, version, pid, UNITS, []))
                self.assertEqual(self.home.status()["version"], version)
                self.assertEqual(os.stat(f"/proc/{pid}/exe").st_ino, self.program.stat().st_ino)
        finally:
            over.set()
            knocking.join()
        self.assertEqual(refused, [])
        self.assertEqual(locks, [])
        self.assertGreater(len(answers), 10)
        self.assertIsNone(self.home.daemon.poll())
        self.assertEqual(os.stat(self.home.path / "run" / "hasupd.sock").st_ino, inode)
        self.assertEqual(self.pids(), before)
        copies = [c for c in processes_of(self.home.path).values() if "hasup-shim" in c and "--name" in c]
        self.assertEqual(len(copies), UNITS, copies)
        events = [json.loads(line) for line in self.home.ok("events", "--json", "-n", "all").splitlines()]
        self.assertEqual([e["detail"]["to"] for e in events if e["kind"] == "upgraded"],
                         [self.new_version, self.old_version, self.new_version])

        # The new one is not deaf, and waits for the children that it got from the old one.
        self.home.ok("stop", "@even")
        wait_until(lambda: not self.zombies(), "no zombie is left of the shims that ended")
        self.home.ok("restart", "u001")
        self.assertNotEqual(self.home.unit_status("u001")["pid"], before["u001", 0][0])
        self.home.ok("stop", "--all")
        for n in range(2, UNITS):
            lines = [text for _, text in self.home.log_lines(f"u{n:03}")]
            self.assertEqual(lines, [f"line {i + 1}" for i in range(len(lines))])
        wait_until(lambda: not self.zombies(), "no zombie is left")
        descriptors = os.listdir(f"/proc/{pid}/fd")
        self.assertLess(len(descriptors), 40, descriptors)

    def test_a_program_that_is_not_fit_is_refused_and_the_old_one_goes_on(self):
        self.home.unit("one", '[run]\ncommand = ["/bin/sleep", "1000"]\n')
        self.start_installed()
        self.home.wait_healthy("one")
        before = self.pids()

        def refused(*words):
            done = self.home.hasup("daemon", "upgrade", *words)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("goes on", done.stderr)
            self.assertEqual(self.pids(), before)
            self.assertEqual(self.home.status()["version"], self.old_version)
            return done.stderr

        alone = self.home.directory("alone") / "hasupd"
        shutil.copy2(self.program, alone)
        self.assertIn("hasup-shim", refused("--binary", alone))
        self.assertIn("No such file", refused("--binary", self.home.path / "none"))
        text = self.home.path / "text"
        text.write_text("this is no program\n")
        text.chmod(0o755)
        self.assertIn("text", refused("--binary", text))
        self.assertIn("code 1", refused("--binary", "/bin/false"))
        self.assertIn("no hasupd that could take over", refused("--binary", "/bin/true"))
        (self.home.path / "etc" / "hasup.toml").write_text("[boot]\nstart = 7\n")
        self.assertIn("hasup.toml:2", refused())
        (self.home.path / "etc" / "hasup.toml").unlink()
        self.assertEqual(len([e for e in self.home.events() if e["kind"] == "upgrade_refused"]), 6)
        self.home.ok("daemon", "upgrade")
        self.assertEqual(self.pids(), before)

    def test_a_program_that_passes_its_check_but_cannot_be_run_leaves_the_old_one_as_it_was(self):
        # It says that it is fit, and is gone when its time has come.
        self.home.unit("one", '[run]\ncommand = ["/bin/sleep", "1000"]\n')
        self.start_installed()
        self.home.wait_healthy("one")
        before, pid = self.pids(), self.home.daemon.pid
        vanishing = self.home.path / "vanishing"
        vanishing.write_text('#!/bin/sh\necho fit, hand-over 1\nrm "$0"\n')
        vanishing.chmod(0o755)
        done = self.home.hasup("daemon", "upgrade", "--binary", vanishing)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("No such file", done.stderr)
        self.assertEqual(self.home.status()["pid"], pid)
        self.home.wait_healthy("one")
        self.assertEqual(self.pids(), before)
        self.home.ok("restart", "one")
        self.home.ok("daemon", "upgrade")

    def test_a_hook_that_runs_is_waited_for(self):
        self.home.unit("one", f"""
[run]
command = ["/bin/sleep", "1000"]
pre_start = [["/bin/sh", "-c", "touch {self.home.path}/begun; while ! [ -e {self.home.path}/go ]; do sleep 0.05; done; echo x >> {self.home.path}/ended"]]
""")
        self.start_installed()
        wait_until((self.home.path / "begun").exists, "the hook runs")
        upgrading = subprocess.Popen([BIN / "hasup", "daemon", "upgrade"], env=self.home.env, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
        # It is still answered meanwhile, by the old one.
        for _ in range(10):
            self.assertEqual(self.home.unit_status("one")["state"], "starting")
        self.assertIsNone(upgrading.poll())
        (self.home.path / "go").touch()
        out, err = upgrading.communicate(timeout=DEADLINE)
        self.assertEqual(upgrading.returncode, 0, err)
        self.home.wait_healthy("one")
        self.assertEqual((self.home.path / "ended").read_text(), "x\n")

    def test_what_a_stop_had_begun_goes_on(self):
        self.home.unit("stubborn", f"""
[run]
command = ["/bin/bash", "-c", "trap 'echo told; while ! [ -e {self.home.path}/go ]; do sleep 0.05; done; exit 0' TERM; while :; do sleep 0.05; done"]
stop_timeout = "1h"
""")
        self.start_installed()
        self.home.wait_healthy("stubborn")
        self.home.ok("restart", "stubborn", "--no-wait")
        self.home.wait_for("stubborn", state="stopping")
        wait_until(lambda: "told" in self.home.log_text("stubborn"), "it has the signal")
        self.home.ok("daemon", "upgrade")
        self.home.wait_for("stubborn", state="stopping")
        first = self.home.unit_status("stubborn")["pid"]
        (self.home.path / "go").touch()
        wait_until(lambda: self.home.unit_status("stubborn")["pid"] not in (first, None), "it was started again")
        self.assertEqual(self.home.unit_status("stubborn")["restarts"], 0)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_only_root_and_the_owner_name_the_program(self):
        self.home.unit("one", '[run]\ncommand = ["/bin/sleep", "1000"]\n')
        self.start_installed()
        os.chmod(self.home.path / "run" / "hasupd.sock", 0o666)
        done = subprocess.run([BIN / "hasup", "daemon", "upgrade", "--binary", "/bin/true"], env=self.home.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, user=65534, group=65534,
                              extra_groups=[])
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertFalse([e for e in self.home.events() if e["kind"].startswith("upgrade")])


class RecoveryGoesOn(LeapTest):
    state_size = 6_000_000

    def test_a_recovery_that_fetches_goes_on_with_the_same_worker(self):
        port = self.start_backup_host(self.backup, rate=400_000)
        self.leap_unit(f"http://127.0.0.1:{port}/", checksum="required")
        self.home.start()
        self.break_leap()

        def in_phase():
            recovery = self.home.unit_status("leap")["recovery"]
            return recovery if recovery and recovery["phase"] == "fetch" and recovery["bytes_done"] else None
        wait_until(in_phase, "phase fetch", step=0.01)
        workers = {p for p, c in processes_of(self.home.path).items() if "hasup-worker" in c and "hasup-shim" not in c}
        self.assertTrue(workers)
        self.home.ok("daemon", "upgrade")
        # Nobody ends it: it fetches on, or has done its work by now, for which nobody was asked a second time. Its own
        # child is no other one.
        now = {p for p, c in processes_of(self.home.path).items() if "hasup-worker-fetch" in c and "hasup-shim" not in c}
        self.assertEqual([p for p in now - workers if started_by_another(p, workers)], [])
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 1)


if __name__ == "__main__":
    unittest.main()
