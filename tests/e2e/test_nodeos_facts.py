"""Every way in which nodeos was seen to fail: what hasup calls it, what it does about it, and how it ends.

The stand-in node fails with nodeos' words and codes, and each unit has one fault of its own. (l) is
test_leap_demo_node.py, (d) is test_nodeos_deaths.py, (s) is test_shim_death.py, (b) is test_space.py; all else is a
case of this file.

row                                                              case
exit 0  p2p port taken                                           (l) a_taken_p2p_port_restarts_and_never_wipes
        state-history port taken                                 tried_again: history-port
        "missed a block", blocks wiped, history older            full_set: blocks-wiped-too
        snapshot larger than the database, then unusable state   a_snapshot_larger_than_the_database; restored: pre-versioning
        database guard, at a start and while it runs             held: guard-at-start, guard-while-running
        disk over 90 %, at a start and while it runs             a_disk_that_is_nearly_full
exit 1  out of database memory                                   a_database_out_of_memory
exit 2  dirty after a kill -9                                    (l) a_dirty_database_is_restored_…
        dirty beside a live node                                 a_dirty_exit_beside_a_live_node; (l) a_foreign_nodeos_…
254/255 configuration                                            held: unknown-key, bad-syntax, stray-word, bad-value,
                                                                 unknown-plugin, config-missing
        permission, header, cfile; no memory to lock             held: header-cut; permissions_and_limits
254     any other exception                                      (d) any_other_exception_…
255     a plugin failed to initialise                            (d) a_plugin_that_does_not_start_…
        dirty without chain_plugin                               restored: dirty-255
SIGBUS  full disk under the map, dirty afterwards                a_full_disk_under_the_mapped_database
141     the reader of its log is gone                            tried_again: log-pipe
SIGPIPE the same, without a shell around it                      (d) a_node_whose_log_nobody_reads_…
SIGQUIT kills                                                    (d) a_node_that_is_told_to_quit_…
        HTTP port stolen                                         (l) a_taken_http_port_is_not_mistaken_…
254     fork_db.dat or blocks/ removed                           restored: no-fork-database, no-blocks
        state removed, history kept; blocks from a snapshot on   restored: history-kept, blocks-from-snapshot
removed before --snapshot
        nothing (--snapshot left in the command)                 held: snapshot-in-command
        state                                                    restored: all; nothing is lost
        state, blocks end before or begin after the snapshot     (l) blocks_that_do_not_reach_…; full_set: blocks-begin-later
        state, blocks kept, history older                        full_set: history-older
        state, blocks of another chain                           refused_snapshots: another-chain, only-another-chain
        state, blocks                                            full_set: blocks-wiped-too
        state, blocks, state-history                             full_set: all
        nothing, with --delete-all-blocks                        (d) all_blocks_are_deleted_in_the_first_start_alone
refused snapshots, next candidate, next plan                     refused_snapshots; (l) the_newest_snapshot_that_the_blocks_reach_…
state left over by a failed load                                 what_a_failed_load_left_behind
SIGTERM during the start; heap load aborted                      tried_again: term-at-start, heap-load-aborted
SIGSTOP: stops only after SIGCONT                                tried_again: log-pipe, at its end
"""

import os
import pwd
import shutil
import signal
import socket
import unittest

from hasup_home import SOURCE, alive, free_port, wait_until, write_sha256
from leap_fleet import BLOCKS, FleetTest

MIB = 1 << 20
ONLY_ONCE = "Snapshot can only be used"
PLENTY = ("--chain-state-db-guard-size-mb", 0)


class Facts(FleetTest):
    def stop_in_start(self, times, *nodes):
        """Stops them, behind hasup's back, while they load their databases."""
        sent = dict.fromkeys(nodes, 0)

        def stopped():
            for node in nodes:
                pid = node.nodeos_pid()
                if pid and sent[node] < times and node.log().count("Preloading") > sent[node]:
                    os.kill(pid, signal.SIGTERM)
                    sent[node] += 1
            # Asked only then: until all are sent, a look at the next start must not come too late.
            return all(n == times for n in sent.values()) and all(node.exits() == times for node in nodes)
        wait_until(stopped, f"{times} starts were stopped")

    def test_what_a_person_must_help_is_held_and_nothing_is_wiped(self):
        rows = (  # name, further words, code, class, what the reason advises
            ("guard-at-start", ("--chain-state-db-size-mb", 100), 0, "database size exhausted", "increase chain-state-db-size-mb"),
            ("guard-while-running", ("--chain-state-db-size-mb", 2, "--chain-state-db-guard-size-mb", 1, "--state-growth", 100_000),
             0, "database size exhausted", "increase chain-state-db-size-mb"),
            ("unknown-key", (), 254, "configuration", "correct config.ini"),
            ("bad-syntax", (), 254, "configuration", "correct config.ini"),
            ("stray-word", ("stray",), 254, "configuration", "run.command"),
            ("bad-value", ("--state-size", "many"), 254, "configuration", "correct config.ini"),
            ("unknown-plugin", ("--plugin", "eosio::nothing_plugin"), 254, "configuration", "correct config.ini"),
            ("config-missing", ("--config", "nothing.ini"), 255, "configuration", "correct config.ini"),
            ("snapshot-in-command", ("--snapshot", self.snapshots[-1]), 254, "--snapshot in the command", "take --snapshot out"),
            ("header-cut", (), 254, "permission denied", "the user of the unit"),
        )
        nodes = {name: self.node(name).unit(*more).photograph() for name, more, *_ in rows}
        for name, line in (("unknown-key", "no-such-key = 1\n"), ("bad-syntax", "http-server-address\n")):
            nodes[name].path("config").mkdir()
            nodes[name].path("config", "config.ini").write_text(line)
        header = nodes["header-cut"].path("state", "shared_memory.bin")
        whole = header.read_bytes()
        os.truncate(header, 8)
        nodes["header-cut"].photograph()
        self.home.start()
        for name, _, code, class_name, advice in rows:
            with self.subTest(name):
                status = self.home.wait_for(name, state="failed")
                nodes[name].assert_last_exit(status, class_name, code)
                self.assertIn(advice, status["reason"])
                self.assertIsNone(status["next_attempt_at"])
                self.assertEqual(nodes[name].exits(), 1)
                nodes[name].assert_kept()
                if not name.startswith("guard-"):  # it ended before it had opened its state
                    nodes[name].assert_untouched()
        for name in ("unknown-key", "bad-syntax"):
            nodes[name].path("config", "config.ini").unlink()
        with open(header, "r+b") as f:
            f.write(whole)
        nodes["header-cut"].photograph()
        for node in nodes.values():
            node.unit()
        self.home.ok("apply")
        self.home.ok("start", *nodes)
        self.healthy_again(nodes.values())

    @unittest.skipIf(os.geteuid() != 0, "needs root, to run the node as another user")
    def test_permissions_and_limits_are_for_a_person(self):
        nobody = pwd.getpwnam("nobody")
        directories, logs, memory = self.node("no-directories"), self.node("no-blocks-log"), self.node("no-memlock")
        for node, more in ((directories, ()), (logs, ()), (memory, ("--database-map-mode", "locked"))):
            limits = '[run.limits]\nmemlock = "64KiB"' if node is memory else ""
            node.unit(*more, run='user = "nobody"', limits=limits).photograph()
            for root, dirs, files in os.walk(node.data):
                for name in [".", *dirs, *files]:
                    os.chown(os.path.join(root, name), nobody.pw_uid, nobody.pw_gid)
        shutil.rmtree(directories.path("blocks", "reversible"))
        os.chown(directories.path("blocks"), 0, 0)
        os.chown(logs.path("blocks", "blocks.log"), 0, 0)
        logs.path("blocks", "blocks.log").chmod(0o600)
        self.home.start()
        for node, words in ((directories, "create_directories: Permission denied"), (logs, "cfile unable to open")):
            with self.subTest(node.name):
                status = self.home.wait_for(node.name, state="failed")
                node.assert_last_exit(status, "permission denied", 254)
                self.assertIn(words, node.log())
                node.assert_kept()
        status = self.home.wait_for(memory.name, state="failed")
        memory.assert_last_exit(status, "memory cannot be locked", 254)
        self.assertIn('memlock = "unlimited"', status["reason"])
        memory.assert_kept()
        memory.unit(run='user = "nobody"')  # a higher limit is not every test machine's to give
        self.home.ok("apply")
        self.home.ok("start", memory.name)
        self.healthy_again([memory])

    def test_what_passes_by_itself_is_tried_again_and_nothing_is_wiped(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = self.node("history-port").unit("--ship", f"127.0.0.1:{taken.getsockname()[1]}").photograph()
            pipe = self.node("log-pipe").unit(
                before=("bash", "-o", "pipefail", "-c", '\\"$@\\" 2>&1 | head -n 3', "leap")).photograph()
            term = self.node("term-at-start").unit("--load-time", "1500ms").photograph()
            heap = self.node("heap-load-aborted").unit("--load-time", "10s", "--database-map-mode", "heap").photograph()
            self.home.start()

            self.home.wait_healthy(pipe.name)
            os.kill(pipe.nodeos_pid(), signal.SIGTERM)
            self.stop_in_start(3, term, heap)  # one more than the unexplained ones that lead to a recovery
            wait_until(lambda: port.exits() >= 4, "four failed starts")
        for node, class_name, code in ((port, "address in use", 0), (pipe, "log pipe lost", 141),
                                       (heap, "stopped while it loaded its database", 254), (term, "clean exit", 0)):
            with self.subTest(node.name):
                node.assert_last_exit(self.home.unit_status(node.name), class_name, code)
        self.assertIn("nodeos successfully exiting", term.log())
        self.healthy_again((port, pipe, term, heap))

        # It stands still: it heeds the stop only once it goes on.
        os.kill(term.nodeos_pid(), signal.SIGSTOP)
        self.home.ok("stop", term.name)
        self.assertEqual(self.home.unit_status(term.name)["last_exit"]["code"], 0)
        self.assertFalse(term.events("killed"))

    def test_an_unusable_state_is_restored_and_nothing_else_is_lost(self):
        rows = (  # name, further words, code of the last end, class
            ("dirty-255", ("--plugin", "eosio::http_plugin"), 255, "dirty database"),
            ("no-fork-database", (), 254, "no fork database"),
            ("pre-versioning", (), 254, "unusable state"),
            ("history-kept", ("--ship", f"127.0.0.1:{free_port()}"), 254, "state missing"),
            ("blocks-from-snapshot", (), 254, "state missing"),
        )
        nodes = {name: self.node(name).unit_with_once(*more) for name, more, *_ in rows}
        nodes["dirty-255"].set_dirty()
        nodes["no-fork-database"].path("blocks", "reversible", "fork_db.dat").unlink()
        nodes["pre-versioning"].path("state", "shared_memory.bin").write_bytes(b"\0" * 4096)
        history = nodes["history-kept"]
        history.run_beside("--ship", f"127.0.0.1:{free_port()}", until=BLOCKS)
        late = nodes["blocks-from-snapshot"]
        for name in ("state", "blocks"):
            shutil.rmtree(late.path(name))
        late.run_beside("--snapshot", self.snapshots[1], until=200)
        for node in (history, late):
            # hasup never starts a node without its state, so it goes when hasup has looked.
            node.once.write_text(f"rm -r '{node.path('state')}'\n")
        for node in nodes.values():
            node.photograph()
        no_blocks = self.node("no-blocks").unit()
        shutil.rmtree(no_blocks.path("blocks"))
        self.home.start()
        for name, _, code, class_name in rows:
            with self.subTest(name):
                node = nodes[name]
                node.assert_last_exit(node.wait_recovered(), class_name, code)
                snapshot = self.snapshots[1 if node is late else 2]
                self.assertEqual(node.tried(), [(snapshot.name, "state only")])
                node.assert_blocks_kept()
                node.wait_beyond(200 if node is late else BLOCKS)
        self.assertTrue(history.path("state-history", "trace_history.log").read_bytes().startswith(
            history.before["state-history/trace_history.log"][1]))
        with self.subTest(no_blocks.name):
            no_blocks.assert_last_exit(no_blocks.wait_recovered(), "no fork database", 254)
            self.assertEqual(no_blocks.tried(), [(self.snapshots[2].name, "state only")])
            no_blocks.wait_beyond(BLOCKS)

    def older_history(self, node):
        """state-history ends far before the newest snapshot."""
        other = self.node(f"{node.name}-other")
        for name in ("state", "blocks"):
            shutil.rmtree(other.path(name))
        other.run_beside("--snapshot", self.snapshots[0], "--ship", f"127.0.0.1:{free_port()}", until=100)
        shutil.copytree(other.path("state-history"), node.path("state-history"), dirs_exist_ok=True)
        node.set_dirty()

    def test_what_does_not_fit_the_snapshot_is_replaced_with_it(self):
        older = self.node("history-older").unit("--ship", f"127.0.0.1:{free_port()}")
        self.older_history(older)

        # As an operator may write it: without its blocks, nodeos calls the same refusal a success.
        text = (SOURCE / "recipes" / "nodeos.toml").read_text()
        text = text.replace('wipe = ["state"]\nshared = ["blocks", "state-history"]',
                            'wipe = ["state", "blocks"]\nshared = ["state-history"]')
        text = text.replace('[plan.require]\nblock_within = "blocks/blocks.log"\n', "")
        (self.home.directory("etc/recipes") / "nodeos-blocks.toml").write_text(text)
        wiped = self.node("blocks-wiped-too").unit("--ship", f"127.0.0.1:{free_port()}", recipe="nodeos-blocks")
        self.older_history(wiped)

        later = self.node("blocks-begin-later")
        for name in ("state", "blocks"):
            shutil.rmtree(later.path(name))
        later.run_beside("--snapshot", self.snapshots[2], until=BLOCKS)
        later.set_dirty()
        self.private_backup(later, *self.snapshots[:2])
        later.unit()

        self.home.start()
        refusal = 'the node refused it with plan "state only": '
        for node, snapshot, words in ((older, self.snapshots[2], "missed a block in trace_history.log"),
                                      (wiped, self.snapshots[2], "missed a block in trace_history.log"),
                                      (later, self.snapshots[1], "does not contain the head block from the snapshot")):
            with self.subTest(node.name):
                node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
                self.assertEqual(node.tried(), [(snapshot.name, "state only"), (snapshot.name, "full set")])
                reason, = node.refusals()
                self.assertIn(refusal, reason)
                self.assertIn(words, reason)
                node.wait_beyond(int(snapshot.stem.split("-")[1]))
                self.assertNotIn(ONLY_ONCE, node.log())
        # What nodeos calls a success is none.
        self.assertRegex(wiped.log(), r"missed a block in trace_history.log\n.* nodeos successfully exiting")

    def test_refused_snapshots_give_way_to_the_next_candidate(self):
        cut = self.node("truncated")
        backup = self.private_backup(cut, *self.snapshots[1:])
        os.truncate(backup / self.snapshots[2].name, self.state_size // 2)
        write_sha256(backup / self.snapshots[2].name)

        other = self.node("another-chain")
        self.make_snapshot(self.private_backup(other, self.snapshots[1]), 290, "--chain-id", "ab" * 32)

        only_other = self.node("only-another-chain")
        self.make_snapshot(self.private_backup(only_other), 290, "--chain-id", "ab" * 32)

        for node in (cut, other, only_other):
            node.unit().set_dirty()
            node.photograph()
        self.home.start()
        for node, first, class_name in ((cut, self.snapshots[2].name, "damaged snapshot"),
                                        (other, "snapshot-0000000290.bin", "snapshot of another chain")):
            with self.subTest(node.name):
                node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
                reason, = node.refusals()
                self.assertIn(f"the node ended with code 254: {class_name}", reason)
                self.assertEqual(node.tried(), [(first, "state only"), (self.snapshots[1].name, "state only")])
                node.assert_blocks_kept()
                node.wait_beyond(BLOCKS)
                self.assertNotIn(ONLY_ONCE, node.log())
        with self.subTest(only_other.name):
            status = self.home.wait_for(only_other.name, state="failed")
            self.assertEqual(only_other.tried(), [("snapshot-0000000290.bin", "state only")])
            self.assertIn("the old state is back", status["reason"])
            self.assertEqual(status["recoveries"], 0)
            only_other.assert_untouched()

    def test_a_snapshot_larger_than_the_database_waits_for_a_person_who_makes_it_larger(self):
        node = self.node("leap").unit("--chain-state-db-size-mb", 1, *PLENTY)
        self.make_snapshot(self.private_backup(node), BLOCKS, "--state-size", 2 * MIB)
        node.unit("--chain-state-db-size-mb", 1, *PLENTY).set_dirty()
        node.photograph()
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        self.assertIn("the node ended with code 0: database size exhausted", status["reason"])
        self.assertIn("not the snapshot's fault", status["reason"])
        self.assertIn("the old state is back", status["reason"])
        self.assertEqual(set(node.tried()), {(f"snapshot-{BLOCKS:010}.bin", "state only")})
        node.assert_untouched()
        self.assertIn("Blockchain started", node.log())
        self.assertNotIn("pre-dates versioning", node.log())
        node.unit("--chain-state-db-size-mb", 1024)
        self.home.ok("apply")
        self.home.ok("start", "leap", "--no-wait")
        node.wait_recovered()
        node.wait_beyond(BLOCKS)
        node.assert_blocks_kept()

    def test_what_a_failed_load_left_behind_is_wiped_before_the_next_one(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            node = self.node("leap").unit("--p2p", f"127.0.0.1:{taken.getsockname()[1]}")
            node.set_dirty()
            node.photograph()
            self.home.start()
            wait_until(lambda: len(node.events("recovery_first_start")) >= 2, "two first starts met the taken port")
            self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        self.assertIn("the node ended with code 0: address in use", node.events("recovery_retry")[0]["reason"])
        self.assertEqual(node.tried(), [(self.snapshots[-1].name, "state only")])
        self.assertGreaterEqual(node.log().count("Finished initialization from snapshot"), 2)
        self.assertNotIn(ONLY_ONCE, node.log())
        node.assert_blocks_kept()
        node.wait_beyond(BLOCKS)

    def test_a_database_out_of_memory_is_held_and_the_dirty_state_restored_when_it_is_larger(self):
        node = self.node("leap").unit("--chain-state-db-size-mb", 1, *PLENTY, "--state-growth", 100_000).photograph()
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        node.assert_last_exit(status, "database size exhausted", 1)
        self.assertIn("increase chain-state-db-size-mb", status["reason"])
        node.assert_kept()
        node.photograph().unit()
        self.home.ok("apply")
        self.home.ok("start", "leap", "--no-wait")
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        self.assertEqual(node.tried(), [(self.snapshots[-1].name, "state only")])
        node.assert_blocks_kept()
        node.wait_beyond(BLOCKS)

    def test_a_dirty_exit_beside_a_live_node_wipes_nothing(self):
        node = self.node("leap").unit_with_once().photograph()
        waits, go = self.home.path / "waits", self.home.path / "go"
        node.once.write_text(f"touch '{waits}'; while [ ! -e '{go}' ]; do sleep 0.05; done\n")
        self.home.start()
        wait_until(waits.exists, "hasup has looked and starts the node")
        other_port = free_port()
        own_port, node.port = node.port, other_port
        other = self.start_program(node.words(other_port), node.head)
        go.touch()
        status = self.home.wait_for("leap", state="failed")
        node.assert_last_exit(status, "dirty database", 2)
        self.assertIn(str(other.pid), status["reason"])
        self.assertTrue(alive(other.pid))
        node.assert_kept()
        other.terminate()
        self.assertEqual(other.wait(30), 0)
        node.port = own_port
        self.home.ok("start", "leap")
        self.healthy_again([node])


class Disk(FleetTest):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can mount a small tmpfs")

    def test_a_disk_that_is_nearly_full_is_for_a_person(self):
        words = ("--resource-monitor-space-threshold", 90)
        at_start = self.on_a_small_disk("at-start").unit(*words).photograph()
        running = self.on_a_small_disk("running").unit(*words).photograph()
        self.fill(at_start, 2 * MIB)
        self.home.start()
        self.home.wait_healthy(running.name)
        self.fill(running, 2 * MIB)
        for node in (at_start, running):
            with self.subTest(node.name):
                status = self.home.wait_for(node.name, state="failed")
                node.assert_last_exit(status, "disk nearly full", 0)
                self.assertIn("free space", status["reason"])
                node.assert_kept()
                (node.volume / "other").unlink()
                self.home.ok("start", node.name)
                self.healthy_again([node])

    def test_a_full_disk_under_the_mapped_database_is_held_and_the_dirty_state_restored_when_there_is_room(self):
        node = self.on_a_small_disk("leap").unit("--chain-state-db-size-mb", 64, *PLENTY, "--state-growth", 100_000)
        node.photograph()
        self.home.start()
        self.home.wait_healthy("leap")
        self.fill(node, MIB)
        status = self.home.wait_for("leap", state="failed")
        node.assert_last_exit(status, "disk full under the mapped database", number=signal.SIGBUS)
        self.assertIn("free space", status["reason"])
        node.assert_kept()
        (node.volume / "other").unlink()
        node.photograph().unit()
        self.home.ok("apply")
        self.home.ok("start", "leap", "--no-wait")
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        self.assertEqual(node.tried(), [(self.snapshots[-1].name, "state only")])
        node.assert_blocks_kept()
        node.wait_beyond(BLOCKS)


if __name__ == "__main__":
    unittest.main()
