"""An archive is unpacked while it comes: the same as ever comes out of it, and nothing does before it is verified."""

import json
import os
import random
import signal
import subprocess
import threading
import unittest

from archive_jobs import ArchiveJobs, BIG, ENOUGH, node_files, packed, tar_of, tree, zip_of
from hasup_home import unmount, wait_until
from test_sources import snapshot_bytes


class Ahead(ArchiveJobs):
    def test_the_same_comes_out_of_every_kind_of_archive(self):
        files = node_files(big=3_000_000)
        tar = tar_of(files)
        lead = tar_of({"snap/" + p.removeprefix("./"): c for p, c in files.items()})
        parts = [packed(tar[i:i + 1_000_000], "zstd", "-q", "-1") for i in range(0, len(tar), 1_000_000)]
        kinds = {"one.tar.zst": packed(tar, "zstd", "-q", "-1"), "many.tar.zst": b"".join(parts),
                 "long.tar.zst": packed(tar, "zstd", "-q", "--long=27"), "a.tar.gz": packed(tar, "gzip", "-1"),
                 "a.tar": tar, "a.tar.xz": packed(tar, "xz", "-0"), "a.zip": zip_of(files),
                 "lead.tar.zst": packed(lead, "zstd", "-q", "-1")}
        for name, data in kinds.items():
            with self.subTest(name):
                self.names = [name]
                self.put(data, name)
                expected = self.ordinary()
                self.succeed(self.fetch_ahead())
                self.expect_ahead(expected)

    def test_the_same_comes_out_of_several_archives_and_single_files(self):
        self.names = ["a.tar.zst", "note.zst", "raw.bin", "raw2.bin"]
        single = {"match": "*", "order": "name"}
        self.archives = [*self.archives, {**single, "unpack": "decompress", "into": "note"},
                         {**single, "unpack": "none", "as": "raw"}, {**single, "unpack": "none", "into": "state/raw2"}]
        self.put_node(big=2_000_000)
        self.put(packed(snapshot_bytes(5, 1_500_000), "zstd", "-q"), "note.zst")
        self.put(snapshot_bytes(6, 2_500_000), "raw.bin")
        self.put(snapshot_bytes(7, 2_500_000), "raw2.bin")
        expected = self.ordinary()
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_without_a_checksum_too(self):
        self.put(self.put_node(), announce=False)
        del self.host.files["a.tar.zst.sha256"]
        expected = self.ordinary()
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_the_beginning_is_unpacked_before_the_end_is_sent(self):
        self.put_node()
        expected = self.ordinary()
        self.host.sent = 0
        seen = []
        self.hold_after(ENOUGH, lambda: seen or (self.first.exists() and not seen.append(self.mark.exists())))
        self.succeed(self.fetch_ahead())
        self.assertEqual(seen, [False])
        self.expect_ahead(expected)

    def test_it_comes_in_pieces_over_several_connections(self):
        self.put_node(big=40_000_000)
        expected = self.ordinary()
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_from_a_directory_of_this_machine(self):
        data = self.put_node()
        expected = self.ordinary()
        files = self.home.directory("files")
        (files / "a.tar.zst").write_bytes(data)
        snapshot = {**self.plan_job("fetch")["chosen"]["snapshots"][0], "url": f"file://{files}/a.tar.zst",
                    "source": f"file://{files}/"}
        self.more = {"sources": [{"url": f"file://{files}/"}], "chosen": {"plan": 0, "snapshots": [snapshot]}}
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_progress_tells_of_the_rest_that_is_unpacked(self):
        self.put_node()
        self.more = {"progress_path": str(self.home.path / "progress.json")}
        worker = self.start_job(self.plan_job("fetch", unpack_ahead=True))
        worker.wait(120)
        self.assertIn(json.loads((self.home.path / "progress.json").read_text())["phase"], ("stage", "verify"))

    # ---- what is not verified is nothing

    def test_another_digest_leaves_nothing(self):
        self.put_node()
        self.host.files["a.tar.zst.sha256"] = b"0" * 64
        out = self.fetch_ahead()
        self.assertEqual((out["failure"], out["snapshot"], out["verified"]), ("bad_snapshot", "a.tar.zst", False), out["error"])
        self.nothing_ahead()
        self.assertFalse(self.cached("a.tar.zst").exists())
        self.assertEqual(self.unpack()["failure"], "internal")
        self.assertFalse(self.own("staging", "staged.json").exists())

    def test_a_host_that_goes_away_leaves_a_part_and_nothing_unpacked(self):
        self.put_node()
        self.host.fault = lambda handler, name: name == "a.tar.zst" and (
            handler.status(404) if self.host.sent > 9_000_000 else handler.proper(name, limit=9_000_001)) is None
        self.more = {"sources": [{"url": self.host.url, "patience_ms": 1000}]}
        self.assertEqual(self.fetch_ahead()["failure"], "unreachable")
        self.nothing_ahead()
        self.host.fault = lambda handler, name: False
        expected = self.ordinary()
        self.host.sent = 0
        self.succeed(self.fetch_ahead())
        self.assertLess(self.host.sent, BIG)
        self.expect_ahead(expected)

    def test_cut_at_random_offsets(self):
        self.put_node()
        expected = self.ordinary()
        chance = random.Random(3)
        cuts = iter(range(20))

        def cut(handler, name):
            if name != "a.tar.zst" or handler.command != "GET" or next(cuts, None) is None:
                return False
            handler.proper(name, limit=chance.randrange(1, 900_000))
            return True
        self.host.fault = cut
        self.succeed(self.fetch_ahead())
        self.assertIsNone(next(cuts, None))
        self.expect_ahead(expected)

    def test_a_file_that_changes_in_the_middle_is_unpacked_anew(self):
        old, new = (packed(tar_of(node_files(seed=s)), "zstd", "-q", "-1") for s in (1, 50))
        self.put(new, announce=False)
        expected = self.ordinary()
        self.put(old, announce=False)
        snapshot = self.plan_job("fetch")["chosen"]["snapshots"][0]
        self.more = {"chosen": {"plan": 0, "snapshots": [{**snapshot, "size": None}]}}
        begun, changed = threading.Event(), threading.Event()

        def cut(handler, name):
            if name != "a.tar.zst" or handler.command != "GET":
                return False
            if begun.is_set():
                changed.wait()
                return False
            begun.set()
            handler.proper(name, limit=ENOUGH)
            wait_until(self.first.exists, "the old one is being unpacked")
            self.host.files["a.tar.zst"] = new
            changed.set()
            return True
        self.host.fault = cut
        self.succeed(self.fetch_ahead())
        self.assertTrue(self.cached("a.tar.zst").read_bytes() == new)
        self.expect_ahead(expected)

    def test_a_part_of_another_version_is_given_up_and_its_digest_tells(self):
        """A part from before, of a file with the same announced digest, that turns out to be damaged."""
        self.put_node()
        expected = self.ordinary()
        self.host.fault = lambda handler, name: name == "a.tar.zst" and (
            handler.status(404) if self.host.sent > 9_000_000 else handler.proper(name, limit=9_000_001)) is None
        self.host.sent = 0
        self.more = {"sources": [{"url": self.host.url, "patience_ms": 1000}]}
        self.assertEqual(self.fetch_ahead()["failure"], "unreachable")
        with open(self.cached("a.tar.zst.part"), "r+b") as part:
            part.seek(5_000_000)
            part.write(b"damaged")
        self.host.fault = lambda handler, name: False
        self.succeed(self.fetch_ahead())
        self.more = {}
        self.assertTrue(self.mark.exists())
        self.more = {"sources": [{"url": self.host.url, "patience_ms": 1000}]}
        self.expect_ahead(expected)

    # ---- whatever dies

    def test_a_worker_killed_at_any_point(self):
        self.put_node()
        expected = self.ordinary()
        chance = random.Random(11)
        marked = 0
        for _ in range(25):
            worker = self.start_job(self.plan_job("fetch", unpack_ahead=True))
            limit = self.host.sent + chance.randrange(0, BIG)

            def kill():
                if self.host.sent >= limit and worker.poll() is None:
                    worker.send_signal(signal.SIGKILL)
            self.host.on_sent = kill
            worker.wait(120)
            self.host.on_sent = lambda: None
            if self.cached("a.tar.zst").exists():
                self.succeed(self.job(self.plan_job("fetch", unpack_ahead=True)))
                marked += self.mark.exists()
                self.same_as(expected)
                for name in ("a.tar.zst", "a.tar.zst.seal"):
                    self.cached(name).unlink(missing_ok=True)
            else:
                self.assertFalse(self.mark.exists())
                self.assertFalse(self.own("staging", "staged.json").exists())
        self.succeed(self.fetch_ahead())
        if not self.mark.exists():  # the last round ended with the whole archive in the cache
            self.cached("a.tar.zst").unlink()
            self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_a_worker_killed_at_any_point_of_unpacking(self):
        """Nothing counts, the node's state is what it was, and the next one makes all of it."""
        self.put_node()
        expected = self.ordinary()
        self.succeed(self.job(self.plan_job("fetch")))
        (self.data / "state" / "db").write_bytes(b"what the node has")
        before = self.visible()
        chance = random.Random(12)
        cut_off = 0
        for _ in range(25):
            limit = chance.randrange(0, BIG)
            worker = self.start_job(self.plan_job("unpack"))
            while worker.poll() is None and self.written() < limit:
                pass
            worker.kill()
            worker.wait(120)
            if not self.own("staging", "staged.json").exists():
                cut_off += 1
                self.assertFalse(self.result.exists())
            self.assertEqual(self.visible(), before)
        self.assertGreater(cut_off, 5)
        self.same_as(expected)

    def visible(self):
        return {p: v for p, v in tree(self.data).items() if not p.startswith(".hasup")}

    def written(self):
        """Bytes that have come out."""
        try:
            return sum(p.lstat().st_blocks * 512 for p in self.own("staging").rglob("*") if p.is_file())
        except OSError:
            return 0

    def test_one_that_is_killed_while_it_unpacks_alone_changes_nothing(self):
        self.put_node()
        expected = self.ordinary()
        for fatal in (signal.SIGKILL, signal.SIGTERM):
            killed = []
            self.host.sent = 0
            worker = None

            def kill():
                if self.host.sent < ENOUGH or worker is None or killed:
                    return
                wait_until(self.first.exists, "something is unpacked")
                killed.append(self.sibling_of(worker))
                os.kill(killed[0], fatal)
            self.host.on_sent = kill
            worker = self.start_job(self.plan_job("fetch", unpack_ahead=True))
            worker.wait(120)
            self.host.on_sent = lambda: None
            self.succeed(json.loads(self.result.read_text()))
            self.assertTrue(killed)
            self.assertFalse(self.mark.exists())
            self.same_as(expected)
            self.cached("a.tar.zst").unlink()

    def test_one_that_is_ended_in_order_leaves_a_part(self):
        self.put_node()
        expected = self.ordinary()
        ended = []
        worker = self.start_job(self.plan_job("fetch", unpack_ahead=True))

        def end():
            if self.host.sent > 8_000_000 and not ended:
                ended.append(worker.terminate())
                worker.wait(120)
        self.host.sent = 0
        self.host.on_sent = end
        worker.wait(120)
        self.host.on_sent = lambda: None
        self.assertEqual(json.loads(self.result.read_text())["error"], "cancelled")
        self.assertFalse(self.mark.exists())
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_what_is_whole_stays_of_use_when_the_fetch_is_asked_for_again(self):
        """As after the death of hasupd between the two jobs."""
        self.put_node()
        expected = self.ordinary()
        self.succeed(self.fetch_ahead())
        before = self.mark.stat().st_mtime_ns
        self.succeed(self.fetch_ahead())
        self.assertEqual(self.mark.stat().st_mtime_ns, before)
        self.expect_ahead(expected)

    def test_an_archive_of_the_cache_is_not_unpacked_ahead(self):
        self.put_node()
        expected = self.ordinary()
        self.succeed(self.job(self.plan_job("fetch")))
        self.succeed(self.fetch_ahead())
        self.nothing_ahead()
        self.same_as(expected)

    def test_the_first_of_two_archives_is_in_the_cache(self):
        self.names = ["a.tar.zst", "b.tar.zst"]
        self.archives = [*self.archives, {"match": "*", "order": "name", "unpack": "archive", "as": "b", "strip": True}]
        self.put_node()
        self.put(packed(tar_of(node_files(seed=9)), "zstd", "-q", "-1"), "b.tar.zst")
        expected = self.ordinary()
        self.succeed(self.fetch_ahead())
        for name in ("b.tar.zst", "b.tar.zst.seal"):
            self.cached(name).unlink()
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    # ---- for which job

    def test_what_is_of_another_job_or_archive_is_not_taken(self):
        self.put_node()
        expected = self.ordinary()
        changes = {
            "keep": lambda: self.more.update(keep=["keys", "state/sub"]),
            "wipe": lambda: self.more.update(plan={**self.plan_job("unpack")["plan"], "wipe": ["state", "blocks"]}),
            "must_exist": lambda: self.more.update(must_exist=["state/x"]),
            "the archive": lambda: self.replace_cached(),
        }
        for what, change in changes.items():
            with self.subTest(what):
                self.more = {}
                self.cached("a.tar.zst").unlink(missing_ok=True)
                self.succeed(self.fetch_ahead())
                self.assertTrue(self.mark.exists())
                file = self.file_ids("ahead")["log"]
                change()
                self.succeed(self.unpack())
                self.assertNotIn(file, self.file_ids("new").values())
                self.nothing_ahead()
        self.more = {}
        self.cached("a.tar.zst").unlink()
        self.succeed(self.fetch_ahead())
        self.expect_ahead(expected)

    def test_what_the_data_directory_decided_is_decided_again_when_it_has_changed(self):
        """Whether a leading directory goes away depends on whether the node has one of that name."""
        self.put(packed(tar_of({"snap/" + p.removeprefix("./"): c for p, c in node_files(big=1_000_000).items()}),
                        "zstd", "-q", "-1"))
        self.succeed(self.fetch_ahead())
        self.assertTrue(self.mark.exists())
        (self.data / "snap").mkdir()
        out = self.unpack()
        self.assertEqual(out["failure"], "bad_snapshot", out["error"])
        self.assertIn("nothing that plan", out["error"])
        self.nothing_ahead()

    def replace_cached(self):
        """The same bytes in another file, sealed as fetch does it."""
        self.cached("a.tar.zst").rename(self.cached("old"))
        self.cached("a.tar.zst").write_bytes(self.cached("old").read_bytes())
        seal = self.cached("a.tar.zst.seal")
        st = self.cached("a.tar.zst").stat()
        seal.write_text(json.dumps({**json.loads(seal.read_text()), "inode": st.st_ino, "modified_ns": st.st_mtime_ns}))
        self.cached("old").unlink()

    # ---- what fails

    def test_a_hostile_archive_is_fetched_and_refused_when_it_is_unpacked(self):
        files = {**node_files(), "../outside": b"x"}
        self.put(packed(tar_of(files), "zstd", "-q", "-1"))
        self.succeed(self.fetch_ahead())
        self.nothing_ahead()
        out = self.unpack()
        self.assertEqual((out["failure"], out["snapshot"]), ("bad_snapshot", "a.tar.zst"), out["error"])
        self.assertIn("../outside", out["error"])
        self.assertFalse(self.own("staging", "staged.json").exists())

    def test_a_damaged_or_cut_archive_and_one_with_a_window_too_large(self):
        good = self.put_node()
        damaged = bytearray(good)
        damaged[len(good) // 2] ^= 1
        for data, failure, word, more in ((bytes(damaged), "bad_snapshot", "a.tar.zst", {}),
                                          (good[:-1000], "bad_snapshot", "a.tar.zst", {}),
                                          (packed(tar_of(node_files()), "zstd", "-q", "--long=27"), "refused", "max_window",
                                           {"max_window": 1 << 20})):
            self.more = more
            self.put(data)
            self.cached("a.tar.zst").unlink(missing_ok=True)
            self.succeed(self.fetch_ahead())
            self.nothing_ahead()
            out = self.unpack()
            self.assertEqual(out["failure"], failure, out["error"])
            self.assertIn(word, out["error"])

    def small_disk(self, size):
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.data]).returncode:
            self.skipTest("no file system may be mounted")
        self.addCleanup(unmount, self.data)

    def test_without_room_for_both_the_download_has_it(self):
        """The archive fits, what is in it does not."""
        self.put(packed(tar_of({"state/": None, "state/first": snapshot_bytes(1, 10_000_000),
                                "state/text": b"0123456789abcdef" * 2_000_000}), "zstd", "-q", "-1"))
        self.small_disk("30m")
        self.succeed(self.fetch_ahead())
        self.nothing_ahead()
        out = self.unpack()
        self.assertEqual(out["failure"], "no_space", out["error"])

    def test_what_a_later_archive_needs_is_left_to_it(self):
        for announced in (True, False):
            with self.subTest(announced=announced):
                self.names = ["a.tar.zst", "b.bin"]
                self.archives = [self.archives[0], {"match": "*", "order": "name", "unpack": "none", "as": "b"}]
                self.put(packed(tar_of({"state/": None, "state/text": b"0123456789abcdef" * 1_200_000}), "zstd", "-q", "-1"))
                self.put(snapshot_bytes(3, 20_000_000), "b.bin")
                chosen = self.plan_job("fetch")["chosen"]
                if not announced:
                    chosen["snapshots"][1]["size"] = None
                self.more = {"chosen": chosen}
                self.small_disk("30m")
                self.succeed(self.fetch_ahead())
                self.assertTrue(self.cached("b.bin").exists())
                self.nothing_ahead()
                self.data = self.home.directory("another")


if __name__ == "__main__":
    unittest.main()
