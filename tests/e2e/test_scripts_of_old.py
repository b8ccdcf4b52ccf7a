"""What start_leap.sh and start_evm_node.sh, the scripts that ran such nodes under pm2, did to them: each break by its
name, and that hasup survives it.

The scripts took a node that ended within 60 s (5 s for the EVM node) for one with a broken database, and any other end
for none. hasup knows no such times, so the cases do not wait for a minute.
"""

import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import unittest

from hasup_home import DEMO_NODE, accepts, alive, end_process, free_port, processes_of, rpc, wait_until
from leap_fleet import BLOCKS, FleetTest

MIB = 1 << 20

EVM_NODE = """
[data]
dir = "{data}"

[run]
command = ["{node}", "evm-node", "--leap", "127.0.0.1:{leap}", "--http", "127.0.0.1:{port}", "--chain-data",
           "${{data.dir}}", "--ship-max-retry", "0"]

[startup]
preset = "evm"
url = "http://127.0.0.1:{port}"
interval = "100ms"

[readiness]
preset = "evm"
url = "http://127.0.0.1:{port}"
max_head_age = "30s"
interval = "100ms"
timeout = "5s"

[restart]
backoff = {{ initial = "100ms", max = "500ms" }}
start_limit = {{ count = 100, within = "10m" }}

[recovery]
recipe = "eos-evm-node"
source = "file://{backup}/"

[recovery.params]
advancing_for = "300ms"
"""

EVM_RPC = """
[data]
shared_with = "{name}"

[run]
command = ["{node}", "evm-rpc", "--evm-node", "127.0.0.1:{evm}", "--http", "127.0.0.1:{port}", "--chaindata", "{data}"]

[readiness]
preset = "evm"
url = "http://127.0.0.1:{port}"
max_head_age = "30s"
interval = "100ms"
timeout = "5s"

[restart]
backoff = {{ initial = "100ms", max = "500ms" }}

[[requires]]
unit = "{name}"
condition = "healthy"
"""


class StartLeap(FleetTest):
    def dirty(self, name, **options):
        node = self.node(name)
        node.set_dirty()
        return node.photograph()

    def test_start_leap_a_failed_copy_wiped_the_state(self):
        node = self.dirty("leap")
        port = free_port()
        node.source = f"http://127.0.0.1:{port}/"
        node.unit()
        self.home.start()
        wait_until(lambda: len(node.events("recovery_retry")) >= 2, "the backup host was asked twice")
        node.assert_untouched()
        self.assertFalse(node.events("recovery_swapping"))
        self.start_program([DEMO_NODE, "backup-host", "--dir", self.backup, "--http", f"127.0.0.1:{port}"],
                           lambda: accepts(port))
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        self.assertEqual(set(node.tried()), {(self.snapshots[-1].name, "state only")})
        node.wait_beyond(BLOCKS)
        node.assert_blocks_kept()

    def test_start_leap_a_partial_file_overwrote_the_last_good_one(self):
        # One breaks off on its way, the other was copied to the backup host while its disk became full.
        broken_off, partial = self.dirty("broken-off"), self.dirty("partial")
        port = free_port()
        host = [DEMO_NODE, "backup-host", "--dir", self.backup, "--http", f"127.0.0.1:{port}"]
        slow = self.start_program([*host, "--rate", 50_000], lambda: accepts(port))
        broken_off.source = f"http://127.0.0.1:{port}/"
        broken_off.unit()
        backup = self.private_backup(partial, *self.snapshots)
        os.truncate(backup / self.snapshots[2].name, self.state_size // 2)
        partial.unit()
        self.home.start()
        wait_until(lambda: ((self.home.unit_status(broken_off.name)["recovery"] or {}).get("bytes_done") or 0) > 0,
                   "a part is there")
        end_process(slow)
        broken_off.assert_untouched()
        self.start_program(host, lambda: accepts(port))
        for node, tried in ((broken_off, self.snapshots[2:]), (partial, self.snapshots[:0:-1])):
            with self.subTest(node.name):
                node.wait_recovered()
                self.assertEqual(node.tried(), [(s.name, "state only") for s in tried])
                node.wait_beyond(BLOCKS)
        dropped, = partial.events("recovery_dropped")
        self.assertIn(self.snapshots[2].name, dropped["reason"])
        self.assertEqual(partial.events("recovery_rolling_back"), [], "a part was given to the node")

    def test_start_leap_no_checksum(self):
        altered, unproved = self.dirty("altered"), self.dirty("unproved")
        path = self.private_backup(altered, *self.snapshots) / self.snapshots[2].name
        data = bytearray(path.read_bytes())
        data[self.state_size // 2] ^= 0x20  # nodeos would load it without a word
        path.write_bytes(data)
        altered.unit()
        for snapshot in self.private_backup(unproved, *self.snapshots).glob("*.sha256"):
            snapshot.unlink()
        unproved.unit(checksum="required")
        self.home.start()
        altered.assert_last_exit(altered.wait_recovered(), "dirty database", 2)
        self.assertEqual(altered.tried(), [(s.name, "state only") for s in self.snapshots[:0:-1]])
        self.assertEqual(altered.events("recovery_rolling_back"), [], "it was given to the node")
        status = self.home.wait_for("unproved", state="failed")
        self.assertIn("the old state is untouched", status["reason"])
        unproved.assert_untouched()

    def test_start_leap_a_relative_rm_after_an_unchecked_cd(self):
        # The data directory is not where it should be, and the node's working directory looks just like one.
        bystander = self.node("bystander").photograph()
        gone, unmounted, linked = self.node("gone"), self.node("unmounted"), self.dirty("linked")
        shutil.rmtree(gone.data)
        shutil.rmtree(unmounted.data)
        unmounted.data.mkdir()
        elsewhere = self.home.path / "elsewhere"
        linked.path("state").rename(elsewhere)
        linked.path("state").symlink_to(elsewhere)
        directory = f'directory = "{bystander.data}"'
        gone.unit(run=directory)
        unmounted.unit(run=directory, data=f'mount = "{unmounted.data}"')
        linked.unit(run=directory)
        self.home.start()
        gone.wait_recovered()
        self.assertIn("not mounted", self.home.wait_for("unmounted", state="waiting")["reason"])
        self.assertEqual([p for p in unmounted.data.iterdir()], [])
        status = self.home.wait_for("linked", state="failed")
        self.assertIn("state", status["reason"])
        linked.assert_untouched()
        self.assertTrue(linked.path("state").is_symlink())
        bystander.assert_untouched()

    def test_start_leap_a_port_clash_a_bad_config_or_a_stop_within_60_s_wiped(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = self.node("port-clash").unit("--p2p", f"127.0.0.1:{taken.getsockname()[1]}").photograph()
        config = self.node("bad-config").unit("--no-such-option").photograph()
        stopped = self.node("stopped").unit("--load-time", "2s").photograph()
        nodes = [port, config, stopped]
        self.home.start()
        wait_until(lambda: "Preloading" in stopped.log(), "the node that is stopped loads")
        self.home.ok("stop", "stopped")
        self.assertEqual(self.home.unit_status("stopped")["last_exit"]["class"], "stopped")
        wait_until(lambda: port.exits() >= 3, "the port was taken three times")
        port.assert_last_exit(self.home.unit_status("port-clash"), "address in use", 0)
        config.assert_last_exit(self.home.wait_for("bad-config", state="failed"), "configuration", 254)
        for node in nodes:
            node.assert_kept()
        taken.close()
        config.unit()
        self.home.ok("apply")
        self.home.ok("start", *(n.name for n in nodes))
        self.healthy_again(nodes)

    @unittest.skipIf(os.geteuid() != 0, "only root can mount a small tmpfs")
    def test_start_leap_a_full_disk_within_60_s_wiped(self):
        full = self.on_a_small_disk("full-disk").unit().photograph()
        self.fill(full, 0)
        self.home.start()
        status = self.home.wait_for("full-disk", state="failed")
        self.assertEqual(status["last_exit"]["class"], "disk full", full.log())
        full.assert_kept()
        (full.volume / "other").unlink()
        self.home.ok("start", "full-disk")
        self.healthy_again([full])

    def test_start_leap_a_crash_after_60_s_never_recovered(self):
        node, other = self.node("leap").unit(), self.node("other").unit()
        self.home.start()
        pid = self.home.wait_healthy("other")["pid"]
        self.home.wait_healthy("leap")
        node.wait_beyond(BLOCKS + 5)
        node.photograph()
        head = node.head()
        node.kill()
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        self.assertEqual(node.tried(), [(self.snapshots[-1].name, "state only")])
        node.assert_blocks_kept()
        node.wait_beyond(head)
        # Nor is every nodeos of the machine killed for it.
        self.assertEqual(self.home.wait_healthy("other")["pid"], pid)

    def test_start_leap_a_second_node_beside_one_not_yet_answering(self):
        node = self.node("leap").unit("--load-time", "3s").photograph()
        self.home.start()
        wait_until(lambda: "Preloading" in node.log(), "the node loads")
        pid = self.home.unit_status("leap")["pid"]
        os.kill(pid, signal.SIGSTOP)  # and takes its time for that
        self.home.ok("start", "leap", "--no-wait")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        self.home.ok("start", "leap", "--no-wait")
        os.kill(pid, signal.SIGCONT)
        status = self.home.wait_healthy("leap")
        nodes = [p for p, command in processes_of(node.data).items() if command.startswith(f"{DEMO_NODE} nodeos")]
        self.assertEqual((nodes, status["pid"]), ([pid], pid))
        self.assertEqual(node.log().count("Preloading"), 1)
        self.healthy_again([node])

    def test_start_leap_an_empty_start_without_snapshot(self):
        node = self.node("leap")
        node.run_beside("--ship", f"127.0.0.1:{free_port()}", until=BLOCKS)
        node.path("state", "shared_memory.bin").unlink()
        node.photograph()
        backup = self.private_backup(node)
        node.unit("--ship", f"127.0.0.1:{free_port()}")
        self.home.start()
        for count in (1, 2):  # the second one as the script was run again
            wait_until(lambda: len(node.events("failed")) == count, "it has failed")
            self.assertIn("no snapshot", self.home.wait_for("leap", state="failed")["reason"])
            if count == 1:
                self.home.ok("start", "leap", "--no-wait")
        self.assertFalse(node.events("started"))
        node.assert_untouched()
        for path in (self.snapshots[2], f"{self.snapshots[2]}.sha256"):
            shutil.copy2(path, backup)
        self.home.ok("start", "leap", "--no-wait")
        node.wait_recovered()
        node.wait_beyond(BLOCKS)
        history = "state-history/trace_history.log"
        self.assertEqual(node.picture()[history][0], node.before[history][0])
        self.assertTrue(node.picture()[history][1].startswith(node.before[history][1]))


class StartEvmNode(FleetTest):
    def setUp(self):
        super().setUp()
        self.leap = self.node("leap")
        self.archives = self.home.directory("archives")

    def start_leap(self):
        self.start_program(self.leap.words(self.leap.port), self.leap.head)

    def evm_unit(self, name, head=250):
        """Its data with that head, and its port."""
        data, port = self.home.directory(name), free_port()
        if head is not None:
            self.chain_data(data, head)
        self.home.unit(name, EVM_NODE.format(data=data, node=DEMO_NODE, leap=self.leap.port, port=port, backup=self.archives))
        return data, port

    def chain_data(self, directory, head):
        (directory / "chaindata").mkdir(parents=True)
        (directory / "chaindata" / "mdbx.dat").write_text(f"MDBX {head:>10} {int(time.time() * 1000):>20}\n")

    def archive(self, prefix, head=200):
        made = self.home.path / f"archive-{prefix.replace('/', '_')}"
        self.chain_data(made / prefix, head)
        with tarfile.open(self.archives / "chain-data-0001.tar.gz", "w:gz") as tar:
            for top in sorted(made.iterdir()):
                tar.add(top, ("./" if prefix.startswith("./") else "") + top.name)

    def spoil(self, data):
        """In place: whoever has it open, has it broken."""
        with open(data / "chaindata" / "mdbx.dat", "r+b") as f:
            f.write(b"\0\0\0\0")

    def wait_block(self, port, above):
        def reached():
            try:
                return int(rpc(port, "eth_blockNumber"), 16) > above
            except (OSError, RuntimeError):
                return False
        wait_until(reached, f"the evm node is beyond {above}")

    def events(self, name, kind):
        return [e for e in self.home.events(name) if e["kind"] == kind]

    def test_start_evm_node_a_leap_that_is_down_looked_like_a_broken_database(self):
        data, port = self.evm_unit("evm")
        self.archive("chain-data")
        before = os.stat(data / "chaindata" / "mdbx.dat").st_ino
        self.home.start()
        wait_until(lambda: len(self.events("evm", "exited")) >= 4, "four failed starts")
        end = self.home.unit_status("evm")["last_exit"]
        self.assertEqual((end["code"], end["class"]), (0, "leap not reachable"))
        self.assertFalse(self.events("evm", "recovery_began"))
        self.start_leap()
        self.wait_block(port, BLOCKS)
        self.home.wait_healthy("evm")
        self.assertEqual(os.stat(data / "chaindata" / "mdbx.dat").st_ino, before)

    def test_start_evm_node_failures_after_5_s_never_recovered(self):
        self.start_leap()
        data, port = self.evm_unit("evm")
        self.archive("chain-data")
        self.home.start()
        wait_until(lambda: (self.home.unit_status("evm")["uptime_s"] or 0) > 5, "it has run for more than 5 s")
        self.home.wait_healthy("evm")
        self.spoil(data)
        status = self.home.wait_for("evm", state="running", health="healthy", recoveries=1)
        self.assertEqual((status["last_exit"]["code"], status["last_exit"]["class"]), (0, "broken chain data"))
        self.wait_block(port, BLOCKS)

    def test_start_evm_node_the_rpc_still_had_the_database_open_during_the_move(self):
        self.start_leap()
        data, port = self.evm_unit("evm")
        self.archive("chain-data")
        self.home.unit("rpc", EVM_RPC.format(name="evm", node=DEMO_NODE, evm=port, port=free_port(), data=data))
        self.home.start()
        before = self.home.wait_healthy("rpc")["pid"]
        old = (data / "chaindata" / "mdbx.dat").stat().st_ino
        self.assertIn(old, self.open_files(before))
        self.spoil(data)
        self.home.wait_for("evm", state="running", health="healthy", recoveries=1)
        after = self.home.wait_healthy("rpc")["pid"]
        new = (data / "chaindata" / "mdbx.dat").stat().st_ino
        self.assertNotEqual(new, old)
        self.assertFalse(alive(before) and before != after)
        self.assertIn(new, self.open_files(after))
        self.assertNotIn(old, self.open_files(after))
        told = [(e["unit"], e["kind"]) for e in self.home.events()]
        swap = told.index(("evm", "recovery_swapping"))
        exited = [i for i, e in enumerate(told) if e == ("rpc", "exited")]
        started = [i for i, e in enumerate(told) if e == ("rpc", "started")]
        self.assertTrue(started[0] < exited[-1] < swap < started[-1], told)

    def open_files(self, pid):
        found = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                found.append(os.stat(f"/proc/{pid}/fd/{fd}").st_ino)
            except OSError:
                continue
        return found

    def test_start_evm_node_the_archives_prefix_had_to_match(self):
        self.start_leap()
        shapes = {"of-directory": "chain-data", "of-contents": ".", "with-dot": "./chain-data", "of-another-name": "evm-old"}
        ports = {}
        for name, prefix in shapes.items():
            self.archives = self.home.directory(f"{name}-archives")
            self.archive(prefix)
            ports[name] = self.evm_unit(name, head=None)
        self.home.start()
        for name, (data, port) in ports.items():
            with self.subTest(name):
                self.home.wait_for(name, state="running", health="healthy", recoveries=1)
                self.assertEqual(sorted(p.name for p in data.iterdir() if p.name != ".hasup"), ["chaindata"])
                self.wait_block(port, BLOCKS)

    def test_start_evm_node_the_old_copies_were_never_pruned(self):
        self.start_leap()
        data, _ = self.evm_unit("evm")
        self.archive("chain-data")
        self.home.start()
        self.home.wait_healthy("evm")
        beside = sorted(p.name for p in self.home.path.iterdir())
        for count in (1, 2, 3):
            self.home.ok("recover", "evm", "--yes")
            self.home.wait_for("evm", state="running", health="healthy", recoveries=count)
        self.assertEqual(sorted(p.name for p in data.iterdir()), [".hasup", "chaindata"])
        self.assertEqual(list(data.glob(".hasup/**/mdbx.dat")), [])
        self.assertEqual(sorted(p.name for p in self.home.path.iterdir()), beside)


if __name__ == "__main__":
    unittest.main()
