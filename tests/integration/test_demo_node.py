"""hasup-demo-node fails its starts as the real nodeos was seen to: each row with its exit code and its words."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from hasup_home import DEMO_NODE, free_port, get_info, rpc, wait_until

DIRTY = "database dirty flag set (likely due to unclean shutdown): replay required"
EXITING = "nodeos successfully exiting"


class Nodeos(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="hasup-demo-node-")
        self.addCleanup(tmp.cleanup)
        self.dir = Path(tmp.name)
        self.data = self.dir / "data"
        self.port = free_port()
        self.run_program("make-chain", "--data-dir", self.data, "--blocks", 60, "--state-size", 50_000,
                         "--snapshots", self.dir, "--snapshot-at", 20, "--snapshot-at", 40)
        self.at_20, self.at_40 = sorted(self.dir.glob("snapshot-*.bin"))

    def run_program(self, *words):
        subprocess.run(list(map(str, [DEMO_NODE, *words])), check=True, timeout=60)

    def words(self, *more):
        return list(map(str, [DEMO_NODE, "nodeos", "--data-dir", self.data, "--block-interval", "50ms", *more]))

    def refused(self, *more):
        """A start that ends by itself: its exit code and what it logged."""
        done = subprocess.run(self.words(*more), capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    def running(self, *more):
        log = open(self.dir / "node.log", "w+")
        self.addCleanup(log.close)
        node = subprocess.Popen(self.words("--http", f"127.0.0.1:{self.port}", *more), stderr=log)
        self.addCleanup(lambda: (node.kill(), node.wait()) if node.poll() is None else None)
        wait_until(lambda: node.poll() is not None or self.info(), "the node answers")
        self.assertIsNone(node.poll(), (self.dir / "node.log").read_text())
        return node

    def info(self):
        try:
            return get_info(self.port)
        except OSError:
            return None

    def post(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", b"{}", timeout=30) as answer:
            return answer.status, json.load(answer)

    def stop(self, node):
        node.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait(30), 0)
        self.assertIn(EXITING, (self.dir / "node.log").read_text())

    def run_beyond_60(self, *more):
        node = self.running(*more)
        self.wait_above(60)
        self.stop(node)

    def wipe(self, *names):
        for name in names:
            subprocess.run(["rm", "-rf", str(self.data / name)], check=True)

    def wait_above(self, block):
        return wait_until(lambda: (i := self.info()) and i["head_block_num"] > block and i, f"a head above {block}")

    def assert_refused(self, code, line, *more):
        got, log = self.refused(*more)
        self.assertEqual(got, code, log)
        self.assertIn(line, log)
        return log

    def test_a_clean_stop_exits_0_and_the_next_start_goes_on(self):
        node = self.running()
        head = self.wait_above(60)["head_block_num"]
        self.stop(node)
        self.assert_dirty_flag(0)
        self.running()
        self.wait_above(head)

    def assert_dirty_flag(self, flag):
        header = (self.data / "state/shared_memory.bin").read_bytes()[:9]
        self.assertEqual(header, b"EOSIODB2" + bytes([flag]))

    def test_get_info_has_every_field(self):
        self.running()
        info = self.info()
        for field in ("head_block_num", "head_block_id", "head_block_time", "last_irreversible_block_num",
                      "last_irreversible_block_time", "chain_id", "server_version_string", "earliest_available_block_num"):
            self.assertIn(field, info)
        self.assertEqual(int(info["head_block_id"][:8], 16), info["head_block_num"])

    def test_after_kill_9_every_start_exits_2(self):
        node = self.running()
        node.kill()
        node.wait()
        self.assert_dirty_flag(1)
        for _ in range(2):
            self.assert_refused(2, DIRTY)

    def test_beside_a_live_one_it_exits_2_as_well(self):
        self.running()
        self.assert_refused(2, DIRTY)
        self.assertTrue(self.info())

    def test_a_snapshot_needs_an_empty_state(self):
        self.assert_refused(254, "Snapshot can only be used to initialize an empty database.", "--snapshot", self.at_40)

    def test_state_removed_a_snapshot_within_the_blocks_log_loses_nothing(self):
        self.wipe("state")
        self.running("--snapshot", self.at_20)
        self.wait_above(60)

    def test_a_blocks_log_that_does_not_reach_the_snapshot_refuses_it_and_leaves_a_state_behind(self):
        self.wipe("state")
        self.run_program("make-snapshot", "--out", self.dir / "new.bin", "--block", 5000)
        self.assert_refused(254, "does not contain the head block from the snapshot nor a block right after it",
                            "--snapshot", self.dir / "new.bin")
        self.assert_refused(254, "Snapshot can only be used to initialize an empty database.",
                            "--snapshot", self.dir / "new.bin")

    def test_a_snapshot_of_another_chain(self):
        self.wipe("state")
        self.run_program("make-snapshot", "--out", self.dir / "other.bin", "--block", 30, "--chain-id", "ab" * 32)
        self.assert_refused(254, "does not match the chain ID", "--snapshot", self.dir / "other.bin")

    def test_a_truncated_snapshot_is_refused_and_a_flipped_byte_in_the_data_is_not(self):
        self.wipe("state")
        whole = self.at_40.read_bytes()
        cut = self.dir / "cut.bin"
        cut.write_bytes(whole[:-100])
        self.assert_refused(254, "Binary snapshot validation threw IO exception", "--snapshot", cut)
        flipped = bytearray(whole)
        flipped[-1000] ^= 1
        cut.write_bytes(flipped)
        self.running("--snapshot", cut)
        self.wait_above(60)

    def test_state_history_older_than_the_snapshot(self):
        ship = ("--ship", f"127.0.0.1:{free_port()}")
        self.run_beyond_60(*ship)
        self.run_program("make-snapshot", "--out", self.dir / "new.bin", "--block", 5000)
        self.wipe("state", "blocks")
        log = self.assert_refused(0, "missed a block in trace_history.log", "--snapshot", self.dir / "new.bin", *ship)
        self.assertIn(EXITING, log)
        self.assert_refused(254, "Snapshot can only be used", "--snapshot", self.dir / "new.bin", *ship)
        self.wipe("state", "blocks", "state-history")
        self.running("--snapshot", self.dir / "new.bin", *ship)
        self.wait_above(5000)

    def test_state_removed_and_no_snapshot(self):
        ship = ("--ship", f"127.0.0.1:{free_port()}")
        self.run_beyond_60(*ship)
        self.wipe("state")
        self.assert_refused(254, "when starting from genesis block 2", *ship)
        self.wipe("state", "blocks", "state-history")
        self.stop(self.running("--snapshot", self.at_40))
        self.wipe("state")
        self.assert_refused(254, "Genesis state is necessary to initialize fresh blockchain state")

    def test_state_kept_and_the_fork_database_gone(self):
        (self.data / "blocks/reversible/fork_db.dat").unlink()
        self.assert_refused(254, "No existing fork database despite existing chain state. Replay required.")

    def test_configuration_errors(self):
        config = self.data / "config"
        config.mkdir()
        (config / "config.ini").write_text("foo = 1\n")
        self.assert_refused(254, "Unknown option 'foo' inside the config file")
        self.assert_refused(255, "missing", "--config", "nothing.ini")
        self.assert_refused(254, "unable to find plugin", "--config-dir", self.dir, "--plugin", "eosio::nothing")

    def test_a_snapshot_larger_than_the_database(self):
        self.wipe("state", "blocks")
        self.run_program("make-snapshot", "--out", self.dir / "big.bin", "--block", 9, "--state-size", 2_000_000)
        log = self.assert_refused(0, "db storage not configured to have enough storage", "--snapshot",
                                  self.dir / "big.bin", "--chain-state-db-size-mb", 1)
        self.assertIn("Blockchain started", log)
        self.assert_refused(254, "state database version pre-dates versioning")

    def test_taken_ports(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            for option in ("--p2p", "--ship"):
                log = self.assert_refused(0, "bind: Address already in use", option, where)
                self.assertIn(EXITING, log)
            node = subprocess.Popen(self.words("--http", where), stderr=subprocess.PIPE, text=True)
            self.addCleanup(node.stderr.close)
            seen = ""
            while "Produced block" not in seen:
                seen += node.stderr.readline()
            self.assertIn("bind: Address already in use", seen)
            self.assertIn("closing port", seen)
            node.terminate()
            node.communicate(timeout=30)
            self.assertEqual(node.returncode, 0)

    def test_no_room_in_the_database(self):
        for more in (("--chain-state-db-size-mb", 100),  # less than the guard's 128
                     ("--chain-state-db-size-mb", 2, "--chain-state-db-guard-size-mb", 1, "--state-growth", 200_000)):
            log = self.assert_refused(0, "Database has reached an unsafe level of usage, shutting down", *more)
            self.assertIn(EXITING, log)
        self.assert_refused(1, "database memory exhausted: increase chain-state-db-size-mb", "--state-growth", 200_000,
                            "--chain-state-db-size-mb", 2, "--chain-state-db-guard-size-mb", 0)
        self.assert_refused(2, DIRTY)

    def test_a_file_system_above_its_threshold(self):
        log = self.assert_refused(0, "Gracefully shutting down, exceeded file system configured threshold.",
                                  "--resource-monitor-space-threshold", 0)
        self.assertIn(EXITING, log)

    def test_dirty_without_the_chain_plugin_in_the_config(self):
        node = self.running()
        node.kill()
        node.wait()
        self.assert_refused(255, DIRTY, "--plugin", "eosio::http_plugin")
        self.assert_refused(2, DIRTY, "--plugin", "eosio::http_plugin", "--plugin", "eosio::chain_plugin")

    def told_while_it_loads(self, *more):
        node = subprocess.Popen(self.words("--load-time", "500ms", *more), stderr=subprocess.PIPE, text=True)
        self.addCleanup(node.stderr.close)
        log = ""
        while "Preloading" not in log:
            log += node.stderr.readline()
        node.terminate()
        log += node.communicate(timeout=30)[1]
        return node.returncode, log

    def test_a_signal_while_it_starts(self):
        code, log = self.told_while_it_loads()
        self.assertEqual(code, 0)
        self.assertIn("Blockchain started", log)
        self.assertIn(EXITING, log)
        code, log = self.told_while_it_loads("--database-map-mode", "heap")
        self.assertEqual(code, 254)
        self.assertIn("Database load aborted", log)
        self.assertNotIn("Blockchain started", log)

    def test_without_a_reader_of_its_log_it_runs_on_and_dies_at_its_next_stop(self):
        node = subprocess.Popen(self.words("--http", f"127.0.0.1:{self.port}"), stderr=subprocess.PIPE)
        node.stderr.close()
        self.addCleanup(lambda: (node.kill(), node.wait()))
        wait_until(self.info, "the node answers")
        self.wait_above(61)
        node.terminate()
        self.assertEqual(node.wait(30), -signal.SIGPIPE)

    def test_create_snapshot_and_pause(self):
        self.running()
        status, made = self.post("/v1/producer/create_snapshot")
        self.assertEqual(status, 201)
        self.assertTrue(os.path.isabs(made["snapshot_name"]))
        self.assertEqual(int(Path(made["snapshot_name"]).name.split("-")[1][:8], 16), made["head_block_num"])
        self.post("/v1/producer/pause")
        head = self.info()["head_block_num"]
        with self.assertRaises(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/producer/create_snapshot", b"{}", timeout=1)
        self.assertEqual(self.info()["head_block_num"], head)
        self.post("/v1/producer/resume")
        self.wait_above(head)


class Evm(unittest.TestCase):
    def start(self, *words):
        process = subprocess.Popen(list(map(str, [DEMO_NODE, *words])), stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        return process

    def test_without_leap_the_evm_node_exits_0(self):
        done = subprocess.run([DEMO_NODE, "evm-node", "--leap", f"127.0.0.1:{free_port()}", "--http",
                               f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0)
        self.assertIn("SHiP connection failed", done.stderr)
        self.assertIn("System Error", done.stderr)

    def test_a_damaged_database_is_an_mdbx_exception(self):
        with tempfile.TemporaryDirectory() as tmp:
            os.makedirs(f"{tmp}/chaindata")
            Path(f"{tmp}/chaindata/mdbx.dat").write_text("garbage")
            done = subprocess.run([DEMO_NODE, "evm-node", "--leap", f"127.0.0.1:{free_port()}", "--http",
                                   f"127.0.0.1:{free_port()}", "--chain-data", tmp], capture_output=True, text=True, timeout=60)
        self.assertIn("mdbx::exception", done.stderr)

    def test_the_chain_of_programs_hands_the_head_on(self):
        with tempfile.TemporaryDirectory() as tmp:
            leap, node, gateway, miner = (free_port() for _ in range(4))
            self.start("nodeos", "--data-dir", tmp, "--http", f"127.0.0.1:{leap}", "--block-interval", "50ms")

            def answers(port, method):
                try:
                    return rpc(port, method)
                except (OSError, RuntimeError):
                    return None
            wait_until(lambda: self.get(leap), "leap answers")
            self.start("evm-node", "--leap", f"127.0.0.1:{leap}", "--http", f"127.0.0.1:{node}")
            self.start("evm-rpc", "--evm-node", f"127.0.0.1:{node}", "--http", f"127.0.0.1:{gateway}")
            self.start("miner", "--rpc", f"127.0.0.1:{gateway}", "--http", f"127.0.0.1:{miner}")
            wait_until(lambda: int(answers(gateway, "eth_blockNumber") or "0", 16) > 5, "the rpc sees blocks")
            self.assertIs(rpc(gateway, "eth_syncing"), False)
            wait_until(lambda: answers(miner, "eth_gasPrice"), "the miner knows the gas price")

    def get(self, port):
        try:
            return get_info(port)
        except OSError:
            return None


if __name__ == "__main__":
    unittest.main()
