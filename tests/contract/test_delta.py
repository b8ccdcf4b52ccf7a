"""Of an archive whose host has an index of its chunks only what is not at hand is loaded: counted at the host."""

import hashlib
import json
import os
import random
import shutil
import threading
import time
import unittest
import urllib.request

import source_servers
from fault_host import FaultHost
from hasup_home import accepts, free_port, wait_until
from leap import LeapTest
from test_sources import Sources, snapshot_bytes

PAGE = 4096
NAME = "snap-2.tar.zst"
SMALL = 3_000_000  # of all that is loaded where nearly everything is at hand


class CountingNginx(source_servers.Directory):
    """Says how many bytes it sent of what."""

    def __init__(self, test, files, rate="0"):
        super().__init__(test, files)
        self.run = run = test.home.directory(f"nginx{random.random()}")
        self.log = run / "access.log"
        self.port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        temp = " ".join(f"{kind}_temp_path {run}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (run / "nginx.conf").write_text(f"""
            {user} daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 1; events {{}}
            http {{ log_format sent '$request_method $uri $status $bytes_sent'; access_log {self.log} sent; {temp}
              server {{ listen 127.0.0.1:{self.port}; limit_rate {rate}; location / {{ root {files}; autoindex on; }}
                        location = /end {{ return 204; }} }} }}""")
        nginx = shutil.which("nginx", path=source_servers.SBIN)
        test.start_program([nginx, "-e", run / "error.log", "-c", run / "nginx.conf"], lambda: accepts(self.port))
        self.source = {"url": f"http://127.0.0.1:{self.port}/"}

    def lines(self):
        """All requests until now; its one process writes them down in their order."""
        before = self.log.read_text().count("/end")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/end", timeout=60):
            pass
        wait_until(lambda: self.log.read_text().count("/end") > before, "nginx to write down /end")
        return [line.split() for line in self.log.read_text().splitlines() if " /end " not in line]

    def sent(self, name=None):
        return sum(int(size) for method, uri, _, size in self.lines() if method == "GET" and name in (None, uri[1:]))

    def requests(self, name):
        return [method for method, uri, _, _ in self.lines() if uri[1:] == name]


class DeltaBase(Sources):
    def setUp(self):
        super().setUp()
        self.files = self.home.directory("files")
        self.made = self.home.directory("made")
        self.node = self.home.directory("origin")
        self.random = random.Random(7)
        # Half of each page compresses, as in a database.
        pages = snapshot_bytes(1, 12_000_000 // 2)
        self.db = bytearray(b"".join(pages[i:i + PAGE // 2] + bytes(PAGE // 2) for i in range(0, len(pages), PAGE // 2)))
        self.blocks = snapshot_bytes(2, 12_000_000)
        self.at_hand = []
        self.keep = ["keys"]

    def write_node(self):
        for name, data in (("state/db", self.db), ("blocks/blocks.log", self.blocks), ("note", b"a note")):
            path = self.node / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (1_700_000_000, 1_700_000_000))  # what has not changed is packed to the same bytes

    def create(self, name, *more):
        self.write_node()
        done = self.home.hasup("snapshot", "create", self.node, "--to", self.made, "--name", name, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.made / f"{name}.chunks").exists(), "create writes an index")

    def change(self):
        """A few pages that are near each other, and more blocks."""
        for _ in range(30):
            at = self.random.randrange(100) * PAGE
            self.db[at:at + 100] = self.random.randbytes(100)
        self.blocks += snapshot_bytes(3, 600_000)

    def two_archives(self, *more):
        """An older and a newer one; the newer one is published."""
        self.create("snap-1.tar.zst", *more)
        self.change()
        self.create(NAME, *more)
        self.publish(NAME)

    def published(self, name):
        return [p for p in self.made.iterdir() if p.name.startswith(name)]

    def publish(self, name):
        for path in self.published(name):
            self.host.put(path.name, path.read_bytes())

    def cache_older(self):
        cache = self.data / ".hasup" / "cache"
        cache.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.data.joinpath(".hasup").chmod(0o700)
        shutil.copy(self.made / "snap-1.tar.zst", cache)

    def archive(self):
        return (self.made / NAME).read_bytes()

    def fetch_job(self, source, candidate, **options):
        job = super().fetch_job(source, candidate, **options)
        plan = {"name": "p", "wipe": ["state", "blocks"], "archives": [
            {"match": "*", "order": "block", "unpack": "archive", "into": ".", "at_hand": self.at_hand}]}
        return {**job, "plan": plan, "keep": self.keep}

    def candidate(self):
        return self.newest(self.host.source, match="snap-*.tar.zst")

    def fetched(self, candidate=None):
        out = self.fetch(self.host.source, candidate or self.candidate())
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(hashlib.sha256(self.cached(NAME).read_bytes()).hexdigest(),
                         hashlib.sha256(self.archive()).hexdigest())
        self.assertEqual(out["bytes"], len(self.archive()))
        self.assertFalse(self.cached(NAME + ".part").exists())
        return out


class Delta(DeltaBase):
    def setUp(self):
        super().setUp()
        self.host = CountingNginx(self, self.files)

    def all_of_it_was_loaded(self, out):
        self.assertEqual(out["at_hand"], 0)
        self.assertGreaterEqual(self.host.sent(NAME), len(self.archive()))

    def only_what_is_new_was_loaded(self, out, most=SMALL):
        self.assertLess(self.host.sent(NAME), most)
        self.assertGreater(out["at_hand"], len(self.archive()) - most)
        self.assertGreaterEqual(out["at_hand"] + self.host.sent(NAME), len(self.archive()))
        self.assertEqual(out["notes"], [])

    def test_of_an_older_archive_in_the_cache_only_the_difference_is_loaded(self):
        self.two_archives()
        self.cache_older()
        out = self.fetched()
        self.only_what_is_new_was_loaded(out)
        self.assertTrue(out["verified"])
        self.assertEqual(len(self.host.requests(NAME + ".chunks")), 1)

    def test_what_was_made_without_a_change_is_not_loaded_at_all(self):
        self.create("snap-1.tar.zst")
        self.create(NAME)
        self.publish(NAME)
        self.cache_older()
        out = self.fetched()
        self.assertEqual(out["at_hand"], out["bytes"])
        self.assertEqual(set(self.host.requests(NAME)), {"HEAD"})

    def test_an_unfinished_older_archive_gives_what_it_has(self):
        self.two_archives()
        self.cache_older()
        whole = self.cached("snap-1.tar.zst")
        data = whole.read_bytes()
        whole.unlink()
        with open(self.cached("snap-1.tar.zst.part"), "wb") as f:  # with a hole in front and one in the middle
            third = len(data) // 3
            f.seek(third // 2)
            f.write(data[third // 2:third])
            f.seek(2 * third)
            f.write(data[2 * third:])
        out = self.fetched()
        self.assertGreater(out["at_hand"], len(data) // 3)
        self.assertLess(self.host.sent(NAME), len(data) * 2 // 3)

    def test_the_nodes_append_only_file_needs_not_be_loaded(self):
        for level in (3, 1):
            with self.subTest(level=level):
                self.two_archives("--level", str(level), "--force")
                self.at_hand = ["blocks/*.log"]
                (self.data / "blocks").mkdir(exist_ok=True)
                before, log = self.host.sent(NAME), self.blocks[:-600_000]
                # The last of it is torn, as of a node that died.
                (self.data / "blocks" / "blocks.log").write_bytes(log[:-5000] + bytes(5000))
                out = self.fetched()
                self.assertGreater(out["at_hand"], len(log) * 9 // 10)
                self.assertLess(self.host.sent(NAME) - before, len(self.archive()) - len(log) * 9 // 10 + 200_000)
                shutil.rmtree(self.data / ".hasup")

    def test_with_nothing_at_hand_the_index_is_not_even_asked_for(self):
        self.two_archives()
        self.all_of_it_was_loaded(self.fetched())
        self.assertEqual(self.host.requests(NAME + ".chunks"), [])

    def test_an_archive_that_has_nothing_in_common_is_of_no_use_and_no_harm(self):
        self.two_archives()
        self.cache_older()
        self.cached("snap-1.tar.zst").write_bytes(snapshot_bytes(9, 5_000_000))
        out = self.fetched()
        self.all_of_it_was_loaded(out)
        self.assertEqual(out["notes"], [])

    def test_a_damaged_index_is_as_none_and_is_told(self):
        self.two_archives()
        index = (self.made / f"{NAME}.chunks").read_bytes()
        other = (self.made / "snap-1.tar.zst.chunks").read_bytes()
        middle = len(index) // 2
        for what, data, why in (("changed", index[:middle] + bytes([index[middle] ^ 1]) + index[middle + 1:], "damaged"),
                                ("cut", index[:middle], "cut off"), ("empty", b"", "no detached header"),
                                ("a page", b"<html>", "no detached header"), ("of another archive", other, "another archive"),
                                ("huge", bytes(20_000_000), "longer than")):
            with self.subTest(what):
                shutil.rmtree(self.data / ".hasup", ignore_errors=True)
                self.cache_older()
                self.host.put(NAME + ".chunks", index)
                candidate = self.candidate()
                self.host.put(NAME + ".chunks", data)
                before = self.host.sent(NAME)
                out = self.fetched(candidate)
                self.assertEqual(out["at_hand"], 0)
                self.assertGreaterEqual(self.host.sent(NAME) - before, len(self.archive()))
                self.assertEqual(len(out["notes"]), 1)
                self.assertIn(why, out["notes"][0])

    def test_an_index_that_is_gone_since_the_listing_is_as_none(self):
        self.two_archives()
        self.cache_older()
        candidate = self.candidate()
        (self.files / f"{NAME}.chunks").unlink()
        out = self.fetched(candidate)
        self.all_of_it_was_loaded(out)
        self.assertEqual(out["notes"], [])

    def test_without_any_checksum_the_version_on_the_host_and_the_index_decide(self):
        self.two_archives()
        for path in self.files.iterdir():
            if path.name not in (NAME, NAME + ".chunks"):
                path.unlink()
        (self.files / "manifest.json").unlink(missing_ok=True)
        self.cache_older()
        out = self.fetched()
        self.only_what_is_new_was_loaded(out)
        self.assertFalse(out["verified"])
        before = len(self.host.requests(NAME))
        self.fetched()  # and the next time it is known to be the same
        self.assertEqual(set(self.host.requests(NAME)[before:]), {"HEAD"})

    def test_a_lying_index_without_a_checksum_costs_the_whole_archive_and_no_more(self):
        self.two_archives()
        candidate = self.candidate()
        # The host's archive is another one than its index says, of the same size.
        data = bytearray(self.archive())
        data[100] ^= 1
        (self.made / NAME).write_bytes(data)
        self.publish(NAME)
        for path in self.files.iterdir():
            if path.name not in (NAME, NAME + ".chunks"):
                path.unlink()
        candidate["snapshots"][0]["sha256"] = ""
        self.cache_older()
        out = self.fetched(candidate)
        self.assertEqual(out["at_hand"], 0)

    def test_a_seed_that_changes_while_it_is_read_does_no_harm(self):
        self.two_archives()
        self.cache_older()
        seed, stop = self.cached("snap-1.tar.zst"), threading.Event()

        def change():
            with open(seed, "r+b") as f:
                size = seed.stat().st_size
                while not stop.is_set():
                    f.seek(self.random.randrange(size))
                    f.write(b"changed")
                    f.flush()

        changing = threading.Thread(target=change)
        changing.start()
        try:
            self.fetched()
        finally:
            stop.set()
            changing.join()

    def test_kept_files_are_not_read_even_where_a_recipe_says_so(self):
        self.two_archives()
        self.at_hand = ["keys/*", "*/blocks.log", "link/*", "link"]
        (self.data / "keys").mkdir()
        (self.data / "keys" / "blocks.log").write_bytes(self.blocks)
        (self.data / "link").symlink_to(self.data / "keys")
        self.all_of_it_was_loaded(self.fetched())

    def test_get_uses_the_archives_in_its_directory_and_the_seeds_that_are_named(self):
        self.two_archives()
        target = self.home.directory("target")
        shutil.copy(self.made / "snap-1.tar.zst", target)
        words = ["snapshot", "get", self.host.source["url"], "-o", target, "--match", "snap-*.tar.zst"]
        done = self.home.hasup(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("were at hand", done.stdout)
        self.assertEqual((target / NAME).read_bytes(), self.archive())
        self.assertLess(self.host.sent(NAME), SMALL)

        before, target = self.host.sent(NAME), self.home.directory("elsewhere")
        log = self.node / "blocks" / "blocks.log"
        done = self.home.hasup(*words[:3], "-o", target, *words[5:], "--seed", log, "--seed", self.made / "snap-1.tar.zst",
                               "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(json.loads(done.stdout)["files"][0]["at_hand"], len(self.archive()) - SMALL)
        self.assertEqual((target / NAME).read_bytes(), self.archive())
        self.assertLess(self.host.sent(NAME) - before, SMALL)

        done = self.home.hasup(*words, "--seed", self.home.path / "nothing", "--force")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)

    def test_the_bytes_that_are_loaded_follow_what_has_changed(self):
        """Printed: a database of which 1 % of the pages changed at random places, and 5 % more blocks."""
        self.create("snap-1.tar.zst")
        pages = len(self.db) // PAGE
        for page in self.random.sample(range(pages), pages // 100):
            self.db[page * PAGE:page * PAGE + PAGE // 2] = self.random.randbytes(PAGE // 2)
        self.blocks += snapshot_bytes(4, len(self.blocks) // 20)
        self.create(NAME)
        self.publish(NAME)
        self.cache_older()
        self.fetched()
        changed = pages // 100 * PAGE + len(self.blocks) // 20
        print(f"\nchanged {changed:,} bytes of {len(self.db) + len(self.blocks):,}; loaded {self.host.sent():,} of an archive "
              f"of {len(self.archive()):,}", flush=True)
        self.assertLess(self.host.sent(NAME), len(self.archive()))


class Killed(DeltaBase):
    def setUp(self):
        super().setUp()
        self.host = CountingNginx(self, self.files, rate="300k")

    def test_what_was_at_hand_is_not_looked_for_again(self):
        self.two_archives()
        self.cache_older()
        candidate = self.candidate()
        worker = self.start_job(self.fetch_job(self.host.source, candidate))
        note = self.cached(NAME + ".resume")

        def done():
            try:
                return json.loads(note.read_text())["seeds"]["done"]
            except (OSError, ValueError):
                return False

        wait_until(done, "the seeds to be in place")
        worker.kill()
        worker.wait()
        self.cached("snap-1.tar.zst").unlink()  # now it has to be in what was left
        out = self.fetched(candidate)
        self.assertGreater(out["at_hand"], len(self.archive()) - SMALL)
        self.assertEqual(len(self.host.requests(NAME + ".chunks")), 1)
        self.assertLess(self.host.sent(NAME), 2 * SMALL)

    def test_killed_anywhere_the_next_one_ends_with_the_whole(self):
        self.two_archives()
        candidate = self.candidate()
        for after in (0.0, 0.05, 0.1, 0.2, 0.5, 1.0):
            shutil.rmtree(self.data / ".hasup", ignore_errors=True)
            self.cache_older()
            worker = self.start_job(self.fetch_job(self.host.source, candidate))
            time.sleep(after)  # where that is differs from run to run, and may be anywhere
            worker.kill()
            worker.wait()
            self.fetched(candidate)


class Awkward(DeltaBase):
    """Hosts that nginx cannot be made to be."""

    def setUp(self):
        super().setUp()
        self.fault = FaultHost()
        self.addCleanup(self.fault.close)
        self.host = self
        self.source = {"url": self.fault.url}

    def put(self, name, data):
        self.fault.files[name] = data

    def candidate(self):
        return {"plan": 0, "snapshots": [{
            "name": NAME, "url": self.fault.url + NAME, "source": self.fault.url, "size": len(self.archive()), "time_ns": None,
            "block": None, "sha256": hashlib.sha256(self.archive()).hexdigest(), "chunks": f"{self.fault.url}{NAME}.chunks"}]}

    def test_a_host_without_ranges_sends_all_of_it_and_that_is_said_once(self):
        self.two_archives()
        self.cache_older()
        self.fault.ranges = False
        out = self.fetched()
        self.assertEqual(out["at_hand"], 0)
        self.assertEqual(len(out["notes"]), 1)
        self.assertIn("no parts of a file", out["notes"][0])

    def test_a_host_that_says_it_bears_ranges_and_sends_all_of_it(self):
        self.two_archives()
        self.cache_older()

        def whole(handler, name):
            if name == NAME:
                handler.headers.replace_header("Range", "none") if "Range" in handler.headers else None
            return False

        self.fault.fault = whole
        out = self.fetched()
        self.assertEqual(out["at_hand"], 0)
        self.assertEqual(len(out["notes"]), 1)
        self.assertIn("the host sent all of it", out["notes"][0])

    def test_an_index_that_comes_slowly_costs_one_patience_and_the_archive_is_loaded_without_it(self):
        self.two_archives()
        self.cache_older()
        self.source = {**self.source, "patience_ms": 2000}

        def slow(handler, name):
            if not name.endswith(".chunks"):
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", str(8 << 20))
            handler.end_headers()
            while not self.fault.closing.wait(0.1):
                handler.wfile.write(b"x" * 1000)  # no stall
            return True

        self.fault.fault = slow
        out = self.fetched()
        self.assertEqual(out["at_hand"], 0)
        self.assertEqual(len(out["notes"]), 1)
        self.assertIn("the patience of 2s is used up", out["notes"][0])

    def test_a_host_that_breaks_off_is_gone_on_with(self):
        self.two_archives()
        self.cache_older()
        count = iter(range(1000))

        def breaking(handler, name):
            if name != NAME or handler.command != "GET" or next(count) % 2:
                return False
            handler.proper(name, limit=10_000)
            return True

        self.fault.fault = breaking
        out = self.fetched()
        self.assertGreater(out["at_hand"], len(self.archive()) - SMALL)
        self.assertLess(sum(1 for _ in self.fault.loads(NAME)), 100)

    def test_what_is_unpacked_meanwhile_is_what_the_archive_has(self):
        self.two_archives()
        self.cache_older()
        job = {**self.fetch_job(self.source, self.candidate()), "unpack_ahead": True}
        out = self.job(job)
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertGreater(out["at_hand"], len(self.archive()) - SMALL)
        self.assertTrue((self.data / ".hasup" / "staging" / "ahead.json").exists())
        out = self.job({**job, "mode": "unpack"})
        self.assertEqual(out["failure"], "none", out["error"])
        staged = self.data / ".hasup" / "staging" / "new"
        self.assertEqual((staged / "state" / "db").read_bytes(), self.db)
        self.assertEqual((staged / "blocks" / "blocks.log").read_bytes(), self.blocks)


class Elsewhere(DeltaBase):
    def on(self, kind):
        self.host = kind(self, self.files)
        self.two_archives()
        self.cache_older()
        return self.fetched()

    def test_from_sftp(self):
        self.assertGreater(self.on(source_servers.Sshd)["at_hand"], len(self.archive()) - SMALL)

    def test_from_s3(self):
        self.assertGreater(self.on(source_servers.S3)["at_hand"], len(self.archive()) - SMALL)

    def test_a_file_of_this_machine_is_copied(self):
        out = self.on(source_servers.Directory)
        self.assertEqual((out["at_hand"], out["notes"]), (0, []))


class Recovery(LeapTest):
    state_size = 6_000_000

    def test_it_loads_only_what_the_last_one_has_not_left_in_the_cache(self):
        files, made = self.home.directory("files"), self.home.directory("made")
        host = CountingNginx(self, files)
        older, newer = (snapshot.name + ".zst" for snapshot in self.snapshots[-2:])
        for name in (older, newer):  # a chain where nothing happens: the states of its blocks are the same
            self.home.ok("snapshot", "create", self.snapshots[-2], "--to", made, "--name", name)

        def publish(name):
            for path in sorted(made.iterdir(), reverse=True):
                if path.name.startswith(name):
                    shutil.copy(path, files)

        publish(older)
        self.leap_unit(host.source["url"])
        self.make_dirty()
        self.home.start()
        self.wait_recovered()
        publish(newer)
        self.break_leap()
        status = self.home.wait_for("leap", state="running", health="healthy", recoveries=2)
        self.assertIsNone(status["recovery"])
        self.assertIn("were at hand", self.home.ok("events", "--unit", "leap"))
        self.assertLess(host.sent(newer), (made / newer).stat().st_size // 2)


if __name__ == "__main__":
    unittest.main()
