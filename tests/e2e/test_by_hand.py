"""`hasup recover` of a node that runs: all is prepared beside it, and it is stopped only when there is something to stop
it for. What a person is told of recoveries that came to nothing, that wait, and that are over."""

import json
import os
import signal
import subprocess
import tarfile
import unittest

from hasup_home import DEMO_NODE, SOURCE, alive, free_port, get_info, on_a_terminal, wait_until, write_sha256
from leap import BLOCKS, LeapTest

FAILED = 1
USAGE = 2
NO_SUCH_UNIT = 4


class ByHand(LeapTest):
    state_size = 4_000_000

    def running(self, rate=0, **options):
        """A healthy node, and a backup host of so many bytes a second; its pid."""
        self.host = self.start_backup_host(self.backup, rate)
        self.leap_unit(f"http://127.0.0.1:{self.host}/", **options)
        self.home.start()
        return self.home.wait_healthy("leap")["pid"]

    def kinds(self):
        return [e["kind"] for e in self.home.events("leap")]

    def recovery(self):
        return self.home.unit_status("leap")["recovery"] or {}

    def until_fetching(self):
        self.home.ok("recover", "leap", "--yes", "--no-wait")
        wait_until(lambda: self.recovery().get("phase") == "fetch", "it fetches")

    def history(self):
        return json.loads(self.home.ok("recover", "leap", "--history", "--json"))

    def test_the_node_runs_until_its_replacement_is_staged(self):
        pid = self.running()
        self.home.ok("recover", "leap", "--yes")
        status = self.home.wait_healthy("leap")
        self.assertEqual(status["recoveries"], 1)
        self.assertFalse(alive(pid))
        kinds = self.kinds()
        for before in ("recovery_began", "recovery_selected", "recovery_fetched", "recovery_staged"):
            self.assertLess(kinds.index(before), kinds.index("stopping"), kinds)
        self.assertLess(kinds.index("stopping"), kinds.index("recovery_swapping"))
        self.assertEqual([(r["result"], r["recovered"]) for r in self.history()], [("recovered", True)])

    def test_snapshots_that_do_not_fit_cost_no_downtime(self):
        for s in self.snapshots:
            write_sha256(s)
            self.alter(s)
        pid = self.running()
        before = self.home.unit_status("leap")["since"]
        done = self.home.hasup("recover", "leap", "--yes")
        self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
        self.assertIn("the node was not stopped and runs on", done.stdout + done.stderr)
        status = self.home.wait_healthy("leap")
        self.assertEqual((status["pid"], status["since"], status["recovery"]), (pid, before, None))
        self.assertNotIn("stopping", self.kinds())
        one = self.history()[0]
        self.assertEqual((one["result"], one["recovered"], one["refused"]), ("failed", False, len(self.snapshots)))
        self.assertIn("failed after", self.home.ok("recover", "leap", "--history"))

    def test_a_node_that_ends_by_itself_meanwhile_is_not_started_again_before_it_is_recovered(self):
        pid = self.running(rate=400_000)
        self.until_fetching()
        os.kill(pid, signal.SIGKILL)
        status, _ = self.wait_recovered()
        kinds = self.kinds()
        self.assertEqual(kinds[kinds.index("exited"):].count("recovery_first_start"), 1)
        self.assertEqual(kinds.count("started"), 1, kinds)
        self.assertEqual(status["restarts"], 0)

    def test_cancel_leaves_the_node_as_it_is(self):
        pid = self.running(rate=500_000)
        self.until_fetching()
        self.assertIn("--cancel", self.home.ok("why", "leap"))
        self.assertIn("ends before anything is touched", self.home.ok("recover", "leap", "--cancel"))
        self.home.wait_for("leap", recovery=None)
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.assertEqual([r["result"] for r in self.history()], ["cancelled"])
        self.assertIn("cancelled after", self.home.ok("recover", "leap", "--history"))

    def test_stop_stops_both(self):
        pid = self.running(rate=500_000)
        self.until_fetching()
        self.home.ok("stop", "leap")
        self.home.wait_for("leap", state="stopped", recovery=None)
        self.assertFalse(alive(pid))
        self.home.ok("start", "leap")
        self.assertEqual(self.home.wait_healthy("leap")["recoveries"], 0)

    def test_a_new_hasupd_goes_on_with_both(self):
        pid = self.running(rate=400_000)
        self.until_fetching()
        self.home.kill_daemon(signal.SIGKILL)
        self.assertTrue(alive(pid))
        self.home.start()
        self.assertEqual(self.home.unit_status("leap")["pid"], pid)
        self.wait_recovered()
        kinds = self.kinds()
        self.assertIn("adopted", kinds)
        self.assertLess(kinds.index("recovery_staged"), kinds.index("stopping"), kinds)
        self.assertLess(kinds.index("adopted"), kinds.index("recovery_staged"), kinds)

    def test_mode_ask_asks_while_the_node_runs(self):
        pid = self.running(mode="ask")
        done = self.home.hasup("recover", "leap")
        self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
        self.assertIn("hasup recover leap --yes", done.stdout + done.stderr)
        status = self.home.wait_healthy("leap")
        self.assertEqual((status["pid"], status["recovery"]["asks"]), (pid, True))
        self.assertRegex(self.home.daemon_log.read_text(), r"(?m) warning leap recovery_asks: .* --yes` does it")
        self.home.kill_daemon(signal.SIGKILL)
        self.home.start()
        wait_until(lambda: self.recovery().get("asks"), "it asks again")
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.home.ok("recover", "leap", "--yes")
        self.assertEqual(self.home.wait_healthy("leap")["recoveries"], 1)

    def test_reset_forgets_bad_snapshots_also_while_a_recovery_asks(self):
        newest = self.snapshots[-1].name
        write_sha256(self.snapshots[-1])
        self.alter(self.snapshots[-1])
        self.running(mode="ask")
        for reset, restart in ((False, False), (True, False), (True, True)):
            with self.subTest(reset=reset, restart=restart):
                self.home.hasup("recover", "leap", "--no-wait")
                wait_until(lambda: self.recovery().get("asks"), "it asks")
                self.assertNotEqual(self.recovery()["snapshot"], newest)
                if reset:
                    self.home.ok("reset", "leap")
                if restart:
                    self.home.kill_daemon(signal.SIGKILL)
                    self.home.start()
                    wait_until(lambda: self.recovery().get("asks"), "it asks again")
                self.home.ok("recover", "leap", "--cancel")
                self.home.wait_for("leap", recovery=None)
                words = ("recover", "leap", "--dry-run", "--json")
                # What it had fetched is cleared away first.
                wait_until(lambda words=words: self.home.hasup(*words).returncode == 0, "its sources are asked")
                plan = json.loads(self.home.ok(*words))
                tried = [archives[0]["name"] for archives in plan["plans"][0]["snapshots"]]
                self.assertEqual(newest in tried, reset, tried)

    def test_where_nobody_can_be_asked_nothing_is_replaced_without_a_yes(self):
        pid = self.running()
        for words, what in (([], "restore its state from a snapshot"), (["--rollback"], "put its old state back"),
                            (["--snapshot", self.snapshots[0].name], "restore its state from a snapshot")):
            done = self.home.hasup("recover", "leap", *words)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
            self.assertIn(f"leap: nobody is there to be asked, on no terminal; say --yes to {what}", done.stderr)
        # Who is no more than looked at, or is not there at all, is told as ever.
        self.home.ok("recover", "leap", "--dry-run")
        self.assertEqual(self.home.hasup("recover", "none").returncode, NO_SUCH_UNIT)
        self.home.ok("stop", "leap")
        self.assertEqual(self.home.hasup("recover", "leap").returncode, USAGE)
        self.assertNotIn("recovery_began", self.kinds())
        self.assertFalse(alive(pid))

    def test_who_sits_at_the_terminal_is_asked_also_when_the_output_goes_elsewhere(self):
        pid = self.running()
        said = self.home.path / "said"
        shell = ["/bin/sh", "-c", f"{self.home.bin}/hasup recover leap > {said}"]
        question = "leap is healthy. Stop it and restore its state from a snapshot? [y/N] "
        code, asked = on_a_terminal(shell, self.home.env, {question: "n\n"})
        self.assertEqual(code, FAILED, asked)
        self.assertIn(question, asked)
        self.assertIn("nothing was done", asked)
        self.assertEqual((said.read_text(), self.home.wait_healthy("leap")["pid"]), ("", pid))
        code, asked = on_a_terminal(shell, self.home.env, {question: "y\n"})
        self.assertEqual(code, 0, asked)
        self.assertEqual(self.home.wait_healthy("leap")["recoveries"], 1)

    def test_cancel_that_comes_too_late_says_what_can_be_done(self):
        self.running()
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('advancing_for = "500ms"', 'advancing_for = "10m"'))
        self.home.ok("apply")
        self.home.ok("recover", "leap", "--yes", "--no-wait")
        wait_until(lambda: self.recovery().get("phase") == "confirm", "it confirms")
        for parked in (False, True):
            if parked:
                self.home.ok("stop", "leap", "--force")
                self.assertIn("stopped half way after", self.home.ok("recover", "leap", "--history"))
                told = self.home.ok("why", "leap")
                self.assertIn("hasup start leap", told)
                self.assertIn("hasup recover leap --rollback", told)
            done = self.home.hasup("recover", "leap", "--cancel")
            self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
            self.assertIn("too late to cancel", done.stderr)
            self.assertIn("hasup recover leap --rollback", done.stderr)
        self.home.ok("recover", "leap", "--rollback", "--yes")
        self.assertEqual(self.history()[-1]["result"], "rolled_back")
        self.assertIn("rolled back after", self.home.ok("recover", "leap", "--history"))

    def test_a_snapshot_that_a_person_names_is_taken_and_no_newer_one(self):
        older = self.snapshots[0].name
        pid = self.running()
        self.home.ok("recover", "leap", "--snapshot", older, "--yes")
        status, info = self.wait_recovered()
        self.assertNotEqual(status["pid"], pid)
        self.assertEqual(self.tried(), [(older, "state only")])
        self.assertIn("Starting initialization from snapshot", self.home.log_text("leap"))
        self.assertGreater(info["head_block_num"], BLOCKS)  # it has its blocks, and replays them
        self.assertEqual([(r["result"], r["recovered"]) for r in self.history()], [("recovered", True)])

    def test_a_plan_that_a_person_names_is_taken_though_the_first_one_would_do(self):
        self.running()
        self.assertEqual(get_info(self.port)["earliest_available_block_num"], 1)
        self.home.ok("recover", "leap", "--plan", "full set", "--yes")
        _, info = self.wait_recovered()
        self.assertEqual(self.tried(), [(self.snapshots[-1].name, "full set")])
        self.assertEqual(info["earliest_available_block_num"], BLOCKS)  # the blocks were replaced with it
        self.assertGreater(info["head_block_num"], BLOCKS)
        self.assertEqual([(r["result"], r["recovered"]) for r in self.history()], [("recovered", True)])

    def test_a_link_in_the_place_of_the_state_is_told_before_anything_is_stopped_or_fetched(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("stop", "leap")
        state = self.data / "state"
        state.rename(self.data.parent / "state-elsewhere")
        state.symlink_to(self.data.parent / "state-elsewhere")
        self.home.ok("start", "leap")
        pid = self.home.wait_healthy("leap")["pid"]
        why = f"{state} is a symbolic link; replace it by the directory it means"
        self.assertIn(why, self.home.ok("check"))
        for words in (["--dry-run"], ["--yes"]):
            told = self.home.hasup("recover", "leap", *words)
            self.assertEqual(told.returncode, 1, told.stdout + told.stderr)
            self.assertIn(why, told.stdout + told.stderr)
        self.assertEqual(self.home.wait_healthy("leap")["pid"], pid)
        self.assertEqual([p for p in self.data.glob(".hasup/cache/*")], [])
        self.assertEqual(self.home.unit_status("leap")["recoveries"], 0)

    def test_a_unit_that_waits_is_left_waiting(self):
        self.leap_unit(f"file://{self.backup}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace("[data]\n", '[data]\nmin_free = "900TiB"\n'))
        checked = self.home.ok("check")
        self.assertIn("min_free is 900TiB, but only", checked)
        self.assertIn(str(path) + ":", checked)
        self.home.start()
        self.home.wait_for("leap", state="waiting")
        # Longer than it takes to look again, so that the looks do not end it.
        for _ in range(3):
            told = self.home.hasup("recover", "leap", "--dry-run")
            self.assertEqual(told.returncode, FAILED, told.stdout + told.stderr)
            self.assertIn(self.snapshots[-1].name, told.stderr)
            self.assertIn("900TiB must stay free (data.min_free)", told.stderr)
            self.assertIn("no room", told.stderr)
        done = self.home.hasup("recover", "leap", "--yes")
        self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
        self.assertIn("min_free is 900TiB", done.stderr)
        self.assertIn("goes on waiting", done.stderr)
        self.assertEqual(self.home.unit_status("leap")["state"], "waiting")
        path.write_text(path.read_text().replace("900TiB", "800TiB"))
        applied = self.home.hasup("apply")
        self.assertIn("min_free is 800TiB, but only", applied.stdout + applied.stderr)

    def test_a_dry_run_is_for_machines_too_and_of_a_file(self):
        self.leap_unit(f"file://{self.backup}/")
        self.home.start()
        self.home.wait_healthy("leap")
        plan = json.loads(self.home.ok("recover", "leap", "--dry-run", "--json"))
        self.assertEqual(plan["unit"], "leap")
        names = [archives[0]["name"] for archives in plan["plans"][0]["snapshots"]]
        self.assertEqual(names, [s.name for s in reversed(self.snapshots)])
        oldest = self.snapshots[0]
        told = self.home.ok("recover", "leap", "--dry-run", "--from", oldest)
        self.assertIn(oldest.name, told)
        self.assertNotIn(self.snapshots[-1].name, told)
        missing = self.home.hasup("recover", "leap", "--dry-run", "--from", self.backup / "none.bin")
        self.assertEqual(missing.returncode, FAILED)
        self.assertIn("No such file", missing.stderr)


class TwoArchives(LeapTest):
    """A plan whose state and blocks come in an archive each, of several days."""

    PLAN = """
[[plan]]
name = "state and blocks"
wipe = ["state", "blocks"]
same_set = {same_set}
[[plan.archive]]
pattern = 'state-(?P<block>[0-9]+)\\.tar'
order = "block"
into = "."
[[plan.archive]]
pattern = 'blocks-(?P<block>[0-9]+)\\.tar'
order = "block"
into = "."

[confirm]
when = "advancing"
within = "30m"
advancing_for = "${{advancing_for}}"
"""

    def unit(self, same_set=False):
        text = (SOURCE / "recipes" / "nodeos.toml").read_text()
        text = text[:text.index("[[plan]]")] + self.PLAN.format(same_set=str(same_set).lower())
        (self.home.directory("etc/recipes") / "pair.toml").write_text(text)
        self.days = self.home.directory("days")
        self.leap_unit(f"file://{self.days}/")
        path = self.home.path / "etc" / "units" / "leap.toml"
        path.write_text(path.read_text().replace('recipe = "nodeos"', 'recipe = "pair"'))

    def day(self, blocks, *names):
        """Publishes these archives of a chain with so many blocks; its directory."""
        chain = self.home.path / f"chain-{blocks}"
        subprocess.run(list(map(str, [DEMO_NODE, "make-chain", "--data-dir", chain, "--blocks", blocks, "--state-size",
                                      self.state_size + blocks])), check=True, timeout=60)
        for name in names:
            with tarfile.open(self.days / f"{name}-{blocks}.tar", "w") as tar:
                tar.add(chain / name, name)
            write_sha256(self.days / f"{name}-{blocks}.tar")
        return chain

    def recover_to(self, blocks, chain):
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.ok("recover", "leap", "--plan", "state and blocks", "--yes")
        self.wait_recovered()
        selected, = [e["reason"] for e in self.home.events("leap") if e["kind"] == "recovery_selected"]
        self.assertIn(f"trying state-{blocks}.tar, blocks-{blocks}.tar from", selected)
        for file, begin in (("state/shared_memory.bin", 4096), ("blocks/blocks.log", 0)):
            made = (chain / file).read_bytes()[begin:]
            self.assertEqual((self.data / file).read_bytes()[begin:begin + len(made)], made, file)
        self.assertFalse(list((self.data / ".hasup").glob("aside/*")))

    def test_the_newest_of_which_both_are_there_are_taken(self):
        self.unit()
        self.day(290, "state")
        chain = self.day(280, "state", "blocks")
        self.day(270, "blocks", "state")
        self.recover_to(280, chain)

    def test_of_same_set_both_are_of_one_backup(self):
        self.unit(same_set=True)
        self.day(290, "state", "blocks")
        chain = self.day(280, "state", "blocks")
        sets = {"state-290.tar": "tuesday", "blocks-290.tar": "wednesday", "state-280.tar": "monday", "blocks-280.tar": "monday"}
        rows = [{"name": name, "set": of} for name, of in sets.items()]
        (self.days / "manifest.json").write_text(json.dumps({"snapshots": rows}))
        self.recover_to(280, chain)
        self.assertIn("state-290.tar has no partner", self.home.ok("why", "leap"))


REDIS = """
[data]
dir = "{data}"
[run]
command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--dir", "${{data.dir}}"]
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
[recovery]
recipe = "redis"
source = "file://{backup}/"
{params}
"""


class FirstStart(LeapTest):
    def test_a_first_redis_says_what_to_do_and_does_it(self):
        data, backup, port = self.home.directory("redis"), self.home.directory("none"), free_port()
        self.home.unit("redis", REDIS.format(data=data, backup=backup, port=port, params=""))
        self.home.start()
        status = self.home.wait_for("redis", state="failed")
        way = "hasup start redis --from-nothing"
        self.assertIn("dump.rdb", status["reason"])
        self.assertIn(way, status["reason"])
        self.assertIn(way, self.home.ok("why", "redis"))
        self.home.ok("start", "redis", "--from-nothing")
        self.home.wait_for("redis", state="running")

    def test_check_says_it_of_a_state_that_nothing_will_bring(self):
        data, backup = self.home.directory("redis"), self.home.directory("none")
        self.home.unit("redis", REDIS.format(data=data, backup=backup, port=free_port(),
                                             params='[recovery.params]\nbootstrap = "hold"'))
        told = self.home.ok("check")
        self.assertIn("never started from nothing", told)
        self.assertIn("hasup start redis --from-nothing", told)

    def test_help_shows_the_recipes(self):
        for words in ([], ["recipe"]):
            told = self.home.ok("help", *words)
            self.assertRegex(told, r"\n  redis +redis-server with a database file that cannot be read\n")
        self.assertIn("[[classify]]", self.home.ok("help", "recipe", "redis"))
        self.assertIn("data.bootstrap", self.home.ok("help", "recipe", "data"))


if __name__ == "__main__":
    unittest.main()
