"""leap's database breaks and comes back from the newest good snapshot; what must not wipe it does not."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import unittest

from hasup_home import DEMO_NODE, alive, end_process, get_info, rpc, tree_digest, wait_until, write_sha256
from leap import BLOCKS, LeapTest


class LeapRecovers(LeapTest):
    def cut_blocks(self, last, torn=0):
        """blocks.log ends after that block, or so many bytes into the next one."""
        path = self.data / "blocks" / "blocks.log"
        at = struct.unpack("<Q", path.read_bytes()[-8:])[0]  # where the last of BLOCKS equal blocks begins
        size = path.stat().st_size - at
        os.truncate(path, path.stat().st_size - (BLOCKS - last) * size + torn)

    def test_a_dirty_database_is_restored_from_the_newest_good_snapshot_and_dependents_follow(self):
        self.alter(self.snapshots[-1])
        source = f"http://127.0.0.1:{self.start_backup_host(self.backup)}/"
        self.leap_unit(source, checksum="required")
        evm_port = self.follower_unit()
        self.home.start()
        self.home.wait_healthy("evm-node")
        old_pid = self.break_leap()

        status, info = self.wait_recovered()
        self.assertNotEqual(status["pid"], old_pid)
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assert_last_exit(status, "dirty database", 2)
        # The altered one was never given to the node.
        self.assertEqual(self.tried(), [(s.name, "state only") for s in self.snapshots[:0:-1]])
        log = self.home.log_text("leap")
        self.assertIn("database dirty flag set", log)
        self.assertIn("Starting initialization from snapshot", log)
        reasons = " ".join(e["reason"] for e in self.home.events("leap"))
        self.assertIn(self.snapshots[-1].name, reasons)
        self.assertIn(self.snapshots[-2].name, reasons)
        self.home.wait_healthy("evm-node")
        wait_until(lambda: int(rpc(evm_port, "eth_blockNumber"), 16) > BLOCKS, "the evm node follows the restored leap")
        self.assertFalse(any((self.data / ".hasup").glob("aside/*")), "the old state was not deleted after the confirmation")

        # --snapshot was for one start only: the next ordinary start goes without it.
        self.home.ok("restart", "leap")
        self.home.wait_healthy("leap")
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 1)
        self.assertNotIn("Snapshot can only be used", self.home.log_text("leap"))

    def test_dependents_do_not_wait_for_the_deletion_of_the_old_state(self):
        held = self.data / "state" / "held"
        held.write_text("x")
        if subprocess.run(["chattr", "+i", held], capture_output=True).returncode:
            self.skipTest("nothing here can be kept from being deleted")
        aside = self.data / ".hasup" / "aside" / "state" / "held"
        self.addCleanup(lambda: [subprocess.run(["chattr", "-i", f]) for f in (held, aside) if f.exists()])
        self.make_dirty()
        self.leap_unit(f"file://{self.backup}/")
        self.follower_unit()
        self.home.start()
        self.home.wait_healthy("evm-node")
        status = self.home.unit_status("leap")
        self.assertEqual((status["state"], status["recovery"]["phase"]), ("recovering", "clean_up"))
        pid = self.home.unit_status("evm-node")["pid"]
        subprocess.run(["chattr", "-i", aside], check=True)
        self.wait_recovered()
        self.assertEqual(self.home.wait_healthy("evm-node")["pid"], pid)

    def test_a_head_that_only_liveness_tells_confirms(self):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        text = path.read_text()
        probes = text[text.index("[startup]"):text.index("[restart]")]
        port = f'kind = "tcp"\naddress = "127.0.0.1:{self.port}"\ninterval = "100ms"\n'
        head = f'preset = "antelope"\nurl = "http://127.0.0.1:{self.port}"\ninterval = "100ms"\ntimeout = "5s"\n'
        path.write_text(text.replace(probes, f"[startup]\n{port}[readiness]\n{port}[liveness]\n{head}\n"))
        self.make_dirty()
        self.home.start()
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        said = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_confirmed"]
        self.assertEqual(len(said), 1)
        self.assertIn("the head advances, now", said[0])

    def test_a_missing_database_is_restored_rather_than_started_empty(self):
        source = f"file://{self.backup}/"
        self.leap_unit(source)
        (self.data / "state" / "shared_memory.bin").unlink()
        self.home.start()
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertEqual(self.tried(), [(self.snapshots[-1].name, "state only")])
        self.assertFalse([e for e in self.home.events("leap") if e["kind"] == "started"])

    def test_blocks_that_do_not_reach_the_snapshot_make_the_full_set_be_replaced(self):
        source = f"file://{self.backup}/"
        self.leap_unit(source)
        self.cut_blocks(20)
        self.make_dirty()
        listed = self.home.ok("snapshot", "list", "leap")
        self.assertIn("block 300 is newer than blocks/blocks.log (head 20); so it is not for plan \"state only\"", listed)
        self.home.start()
        status, info = self.wait_recovered()
        self.assert_last_exit(status, "dirty database", 2)
        self.assertEqual(self.tried(), [(self.snapshots[-1].name, "full set")])
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertNotIn("does not contain the head block from the snapshot", self.home.log_text("leap"))
        self.assertIn(f"{self.snapshots[-1].name}: block 300 is newer than blocks/blocks.log (head 20)",
                      self.home.ok("why", "leap"))

    def without_giving_up_blocks(self, source):
        """As the recipe is by itself."""
        self.leap_unit(source)
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('full_set = "always"\n', ""))
        self.cut_blocks(20)
        self.make_dirty()

    def test_blocks_that_no_archive_brings_are_given_up_by_a_person_alone(self):
        self.without_giving_up_blocks(f"file://{self.backup}/")
        before = tree_digest(self.data)
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn('`hasup recover leap --plan "full set"`', status["reason"])
        self.assertEqual(self.tried(), [])
        self.assertEqual(tree_digest(self.data), before)
        self.assertIn('only with --plan "full set"', self.home.hasup("recover", "leap", "--dry-run").stderr)
        self.home.ok("recover", "leap", "--plan", "full set", "--yes")
        self.wait_recovered()
        self.assertEqual(self.tried(), [(self.snapshots[-1].name, "full set")])

    def test_blocks_and_state_history_come_from_the_backup_that_the_snapshot_is_of(self):
        sets = self.home.directory("sets")
        history = self.data / "state-history" / "of-that-day"
        blocks = (self.data / "blocks" / "blocks.log").read_bytes()
        for day, snapshot in zip(("day-1", "day-2", "day-3"), self.snapshots):
            history.write_text(day)
            self.home.ok("snapshot", "create", snapshot, "--to", sets, "--set", day)
            for part in ("blocks", "state-history") if day != "day-3" else ():
                self.home.ok("snapshot", "create", self.data / part, "--to", sets, "--set", day, "--name",
                             f"{part}-{day}.tar.zst")
        self.without_giving_up_blocks(f"file://{sets}/")
        self.home.start()
        self.wait_recovered()
        used = f"{self.snapshots[1].name}.zst"
        reason, = [e["reason"] for e in self.home.events("leap") if e["reason"].startswith("trying ")]
        self.assertIn(f"trying {used}, blocks-day-2.tar.zst, state-history-day-2.tar.zst from ", reason)
        self.assertIn('(plan "backup set")', reason)
        self.assertTrue((self.data / "blocks" / "blocks.log").read_bytes().startswith(blocks))
        self.assertEqual(history.read_text(), "day-2")

    def test_the_newest_snapshot_that_the_blocks_reach_keeps_them(self):
        self.leap_unit(f"file://{self.backup}/")
        self.cut_blocks(250)
        self.make_dirty()
        before = (self.data / "blocks" / "blocks.log").read_bytes()
        self.home.start()
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], 250)
        self.assertEqual(self.tried(), [(self.snapshots[1].name, "state only")])
        self.assertEqual((self.data / "blocks" / "blocks.log").read_bytes()[:len(before)], before)

    def test_blocks_of_which_the_head_is_not_known_are_for_the_node_to_judge(self):
        self.leap_unit(f"file://{self.backup}/")
        self.cut_blocks(20, torn=100)
        self.make_dirty()
        self.home.start()
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertEqual(self.tried(), [(self.snapshots[-1].name, "state only"), (self.snapshots[-1].name, "full set")])
        self.assertIn("does not contain the head block from the snapshot", self.home.log_text("leap"))
        notes = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_note"]
        self.assertTrue(any("blocks.log does not end with a whole block" in n for n in notes), notes)

    def test_a_snapshot_of_another_chain_is_passed_over(self):
        self.leap_unit(f"file://{self.backup}/", params='chain_id = "ours"')
        rows = [{"name": p.name, "chain_id": chain} for p, chain in zip(self.snapshots, ("ours", "ours", "other"))]
        (self.backup / "manifest.json").write_text(json.dumps({"snapshots": rows}))
        self.make_dirty()
        self.home.start()
        self.wait_recovered()
        self.assertIn(f"{self.snapshots[2].name}: is of chain other, not of ours", self.home.ok("why", "leap"))
        self.assertEqual(self.tried(), [(self.snapshots[1].name, "state only")])

    def test_an_archive_that_a_person_names_may_lie_anywhere(self):
        elsewhere = self.home.directory("elsewhere") / self.snapshots[0].name
        shutil.copy(self.snapshots[0], elsewhere)
        write_sha256(elsewhere)
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        self.home.ok("recover", "leap", "--yes", "--from", str(elsewhere))
        status, info = self.wait_recovered()
        self.assertNotEqual(status["pid"], pid)
        self.assertIn(elsewhere.name, " ".join(e["reason"] for e in self.home.events("leap")))
        # One that is damaged leads back to where it was, and that is no success.
        self.truncate(elsewhere, with_checksum=True)
        done = self.home.hasup("recover", "leap", "--yes", "--from", str(elsewhere))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(self.home.wait_healthy("leap")["recoveries"], 1)

    def test_mode_ask_prepares_everything_and_waits_for_a_person(self):
        self.leap_unit(f"file://{self.backup}/", mode="ask")
        self.make_dirty()
        before = tree_digest(self.data)
        self.home.start()
        self.home.wait_for("leap", state="asking")
        self.assertEqual(before["blocks/blocks.log"], tree_digest(self.data)["blocks/blocks.log"])
        self.assertEqual(before["state/shared_memory.bin"], tree_digest(self.data)["state/shared_memory.bin"])
        self.home.ok("recover", "leap", "--yes")
        self.wait_recovered()

    def test_mode_off_never_recovers(self):
        self.leap_unit(f"file://{self.backup}/", mode="off")
        self.make_dirty()
        before = tree_digest(self.data)
        self.home.start()
        self.home.wait_event("leap", lambda e: "code 2" in e["reason"], "a failed start")
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)
        self.home.ok("stop", "leap")
        after = tree_digest(self.data)
        self.assertEqual(before["state/shared_memory.bin"], after["state/shared_memory.bin"])


class NothingIsWiped(LeapTest):
    def inode(self):
        return os.stat(self.data / "state" / "shared_memory.bin").st_ino

    def occupied_port(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        return taken

    def assert_untouched(self, inode):
        self.assertEqual(self.inode(), inode)
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)
        self.assertFalse((self.data / ".hasup" / "aside").exists() and any((self.data / ".hasup" / "aside").iterdir()))

    def test_a_taken_p2p_port_restarts_and_never_wipes(self):
        taken = self.occupied_port()
        self.leap_unit(f"file://{self.backup}/", more=("--p2p", f"127.0.0.1:{taken.getsockname()[1]}"))
        inode = self.inode()
        self.home.start()
        # Exit 0 before startup passed is a failed start; several of them in a row must not lead to a recovery.
        wait_until(lambda: sum(e["kind"] == "exited" for e in self.home.events("leap")) >= 4, "four failed starts")
        self.assert_last_exit(self.home.unit_status("leap"), "address in use", 0)
        self.assert_untouched(inode)
        taken.close()
        self.home.ok("start", "leap")
        self.home.wait_healthy("leap")
        self.assert_untouched(inode)

    def test_a_taken_http_port_is_not_mistaken_for_the_node_and_never_wipes(self):
        stranger = self.start_other_node_on_the_port()
        self.leap_unit(f"file://{self.backup}/")
        inode = self.inode()
        self.home.start()
        wait_until(lambda: "closing port" in self.home.log_text("leap"), "nodeos says that its port is taken")
        # The stranger answers all that is asked of leap, and its head advances.
        whose = f"port {self.port} belongs to"
        wait_until(lambda: whose in self.home.unit_status("leap")["reason"], "it is probed")
        self.assertIn(str(stranger.pid), self.home.unit_status("leap")["reason"])
        before = get_info(self.port)["head_block_num"]
        wait_until(lambda: get_info(self.port)["head_block_num"] > before + 10, "several probes went by")
        status = self.home.unit_status("leap")
        self.assertEqual((status["state"], status["health"], status["head"]), ("starting", "unknown", None), status["reason"])
        self.assert_untouched(inode)
        end_process(stranger)
        self.home.ok("restart", "leap")  # nodeos does not try the port again
        self.home.wait_healthy("leap")
        self.assert_untouched(inode)

    def test_a_stranger_on_the_http_port_confirms_no_recovery(self):
        stranger = self.start_other_node_on_the_port()
        self.make_dirty()
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('start_timeout = "60s"', 'start_timeout = "2s"'))
        inode = self.inode()
        self.home.start()
        # Four times as long as a head beyond the snapshot must advance.
        said = self.home.wait_event("leap", lambda e: e["kind"] == "start_in_vain", "the first start is given up")
        self.assertIn("address in use", said["reason"])
        kinds = [e["kind"] for e in self.home.events("leap")]
        self.assertNotIn("recovery_loaded", kinds)
        self.assertEqual((self.data / ".hasup" / "aside" / "state" / "shared_memory.bin").stat().st_ino, inode)
        end_process(stranger)
        _, info = self.wait_recovered()
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertEqual(set(self.tried()), {(self.snapshots[-1].name, "state only")})

    def test_a_foreign_nodeos_on_the_data_directory_is_named_and_left_alone(self):
        foreign = self.start_program([DEMO_NODE, "nodeos", "--data-dir", self.data, "--http", f"127.0.0.1:{self.port}"],
                                     self.answers)
        self.leap_unit(f"file://{self.backup}/")
        inode = self.inode()
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn(str(foreign.pid), status["reason"])
        self.assertTrue(alive(foreign.pid))
        self.assert_untouched(inode)
        foreign.terminate()
        foreign.wait(30)
        self.home.ok("start", "leap")
        self.home.wait_healthy("leap")
        self.assert_untouched(inode)

    def test_a_bad_configuration_is_held_for_a_person(self):
        self.leap_unit(f"file://{self.backup}/", more=("--no-such-option", "1"))
        inode = self.inode()
        self.home.start()
        self.assert_last_exit(self.home.wait_for("leap", state="failed"), "configuration", 254)
        self.assert_untouched(inode)
        self.leap_unit(f"file://{self.backup}/")
        self.home.ok("apply")
        self.home.ok("start", "leap")
        self.home.wait_healthy("leap")
        self.assert_untouched(inode)

    def test_a_chain_that_stands_still_is_not_wiped(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        status = self.home.wait_healthy("leap")
        inode = self.inode()
        os.kill(status["pid"], signal.SIGSTOP)
        self.home.wait_for("leap", health="unhealthy")
        self.assert_untouched(inode)
        os.kill(status["pid"], signal.SIGCONT)
        self.home.wait_healthy("leap")
        self.assertEqual(self.home.unit_status("leap")["pid"], status["pid"])


if __name__ == "__main__":
    unittest.main()
