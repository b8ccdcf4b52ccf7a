"""Ends of nodeos that say nothing of its state, and the one start that may delete all blocks; see test_nodeos_facts.py."""

import os
import signal
import unittest

from hasup_home import SOURCE, wait_until
from leap_fleet import BLOCKS, FleetTest

AT = "error 2026-11-23T01:02:03.123 nodeos    main.cpp:153                  main                 ] "


class Deaths(FleetTest):
    def test_any_other_exception_leads_to_a_recovery_only_when_it_comes_twice_in_a_row(self):
        dies = f"echo '{AT}unordered_map::at' >&2; exit 254"
        once = self.node("once").unit_with_once().next_starts(1, dies)
        twice = self.node("twice").unit_with_once().next_starts(2, dies)
        # What a class explains is none of them, however often: here the port, and then the exception once.
        taken = self.node("taken").unit_with_once()
        taken.next_starts(3, f"if [ -e \"$once\" ]; then echo '{AT}bind: Address already in use' >&2; exit 0; fi; {dies}")
        for node in (once, twice, taken):
            node.photograph()
        self.home.start()
        twice.assert_last_exit(twice.wait_recovered(), "unexplained", 254)
        why, = twice.events("recovering")
        self.assertIn("exited with code 254; 2 failed starts in a row", why["reason"])
        self.assertEqual(twice.tried(), [(self.snapshots[-1].name, "state only")])
        twice.assert_blocks_kept()
        twice.wait_beyond(BLOCKS)
        self.healthy_again((once, taken))
        self.assertEqual((once.exits(), taken.exits(), twice.exits()), (1, 3, 2))
        for node in (once, taken):
            node.assert_last_exit(self.home.unit_status(node.name), "unexplained", 254)

    def test_a_plugin_that_does_not_start_is_for_a_person(self):
        node = self.node("leap").unit_with_once().next_starts(1, "exit 255").photograph()
        self.home.start()
        status = self.home.wait_for("leap", state="failed")
        node.assert_last_exit(status, "config file missing or a plugin refused to start", 255)
        self.assertIn("hasup logs shows the reason", status["reason"])
        self.assertIsNone(status["next_attempt_at"])
        self.assertEqual(node.exits(), 1)
        node.assert_untouched()
        self.home.ok("start", "leap")
        self.healthy_again([node])

    def test_a_node_whose_log_nobody_reads_dies_of_its_stop_and_is_started_again(self):
        node = self.node("leap").unit(before=("bash", "-c", 'exec \\"$@\\" > >(exec head -n 3) 2>&1', "leap")).photograph()
        self.home.start()
        self.home.wait_healthy("leap")
        pid = node.nodeos_pid()
        self.assertEqual(pid, self.home.unit_status("leap")["pid"], "a shell would make a 141 of it")
        wait_until(lambda: not list(self.readers(pid)), "its reader is gone")
        os.kill(pid, signal.SIGTERM)
        self.home.wait_event("leap", lambda e: e["kind"] == "exited", "it ends")
        node.assert_last_exit(self.home.unit_status("leap"), "log pipe lost", number=signal.SIGPIPE)
        self.healthy_again([node])
        # Asked by hasup it dies in the same way, and is not failed for that.
        wait_until(lambda: not list(self.readers(node.nodeos_pid())), "its reader is gone")
        self.home.ok("stop", "leap")
        status = self.home.unit_status("leap")
        self.assertEqual((status["state"], status["killed"]), ("stopped", False))
        node.assert_last_exit(status, "log pipe lost", number=signal.SIGPIPE)
        self.home.ok("start", "leap")
        self.healthy_again([node])

    @staticmethod
    def readers(pid):
        """Processes at the other end of its output."""
        pipe = os.readlink(f"/proc/{pid}/fd/1")
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if int(entry) != pid and os.readlink(f"/proc/{entry}/fd/0") == pipe:
                    yield int(entry)
            except OSError:
                continue

    def test_a_node_that_is_told_to_quit_leaves_a_dirty_database_which_is_restored(self):
        node = self.node("leap").unit()
        self.home.start()
        pid = self.home.wait_healthy("leap")["pid"]
        node.wait_beyond(BLOCKS + 5)
        node.photograph()
        head = node.head()
        os.kill(pid, signal.SIGQUIT)
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        first, second = node.events("exited")[:2]
        self.assertIn("killed by signal 3", first["reason"])
        self.assertIn("code 2: dirty database", second["reason"])
        self.assertEqual(node.tried(), [(self.snapshots[-1].name, "state only")])
        node.assert_blocks_kept()
        node.wait_beyond(head)

    def test_all_blocks_are_deleted_in_the_first_start_alone(self):
        # As an operator may write it: nodeos makes room for the snapshot itself.
        text = (SOURCE / "recipes" / "nodeos.toml").read_text()
        first = 'append = ["--snapshot"'
        self.assertIn(first, text)
        (self.home.directory("etc/recipes") / "nodeos-itself.toml").write_text(
            text.replace(first, 'append = ["--delete-all-blocks", "--snapshot"'))
        node = self.node("leap").unit(recipe="nodeos-itself")
        node.set_dirty()
        self.home.start()
        node.assert_last_exit(node.wait_recovered(), "dirty database", 2)
        self.assertEqual(node.tried(), [(self.snapshots[-1].name, "state only")])
        node.wait_beyond(BLOCKS + 5)
        node.photograph()
        head = node.head()
        # Kept in the command it would roll the chain back at every restart.
        self.home.ok("restart", "leap")
        self.home.wait_healthy("leap")
        node.wait_beyond(head)
        node.assert_blocks_kept()
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 1)


if __name__ == "__main__":
    unittest.main()
