"""hasup snapshot create: what is made is what was there, wherever it goes, and nothing has its name before it is whole."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import unittest
import urllib.parse
from pathlib import Path

import source_servers
from hasup_home import BIN, HasupTest, on_a_terminal, unmount, wait_until
from test_snapshot_verb import SnapshotVerb, children_of
from test_sources import snapshot_bytes

MIB = 1 << 20


def slow_text(size):
    """What zstd has to think about at its highest levels, unlike random bytes."""
    return snapshot_bytes(5, size // 2 + 1).hex().encode()[:size]


def chunks_of(said):
    """(digest of the content, its size) of each chunk, as zck_read_header shows them."""
    out = []
    for line in said.splitlines():
        words = line.split()
        if len(words) >= 6 and words[0].isdigit():
            out.append((words[2], int(words[5])))
    return out


def picture(root):
    """path -> what a restore has to bring back."""
    seen, out = {}, {}
    for base, dirs, files in os.walk(root):
        for name in dirs + files:
            path = Path(base, name)
            st, key = path.lstat(), os.path.relpath(path, root)
            if path.is_symlink():
                out[key] = ("link", os.readlink(path))
            elif path.is_dir():
                out[key] = ("dir", stat.S_IMODE(st.st_mode))
            else:
                same = seen.setdefault(st.st_ino, key)
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if st.st_size < 64 * MIB else st.st_blocks * 512 < 4 * MIB
                out[key] = ("file", stat.S_IMODE(st.st_mode), st.st_size, st.st_mtime_ns, digest, min(same, key))
    return out


class Create(SnapshotVerb):
    def setUp(self):
        super().setUp()
        self.tree = self.home.directory("tree")
        self.to = self.home.path / "to"

    def fill(self):
        """A tree with all that a node's data may have."""
        put = self.put
        for i in range(40):
            put(f"state/small/{i:03}", snapshot_bytes(i, 100 + 97 * i))
        put("state/shared_memory.bin", snapshot_bytes(1, 300_000))
        put("state-history/a", b"x")
        put("blocks/blocks.log", snapshot_bytes(2, 20 * MIB))
        put("blocks/empty", b"")
        put("umlaut-ä/ö ü", b"1")
        put("-n", b"2")
        os.mkdir(self.tree / "nothing")
        os.chmod(self.tree / "nothing", 0o750)
        os.symlink("blocks/blocks.log", self.tree / "last")
        os.link(self.tree / "state/small/007", self.tree / "a hard link")
        with open(self.tree / "sparse", "wb") as f:
            f.seek(5 * MIB)
            f.write(snapshot_bytes(3, 70_000))
            f.truncate(64 << 30)
        with open(self.tree / "hole", "wb") as f:
            f.truncate(MIB)
        for base, dirs, files in os.walk(self.tree):
            for name in files + dirs:
                os.utime(Path(base, name), ns=(10**18, 1_700_000_000_123_456_789), follow_symlinks=False)

    def put(self, name, data):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.chmod(path, 0o644)
        return path

    def create(self, *words, to=None, code=0):
        return self.json("create", *words, "--to", to or self.to, code=code)["files"]

    def refused(self, *words, to=None, code=1):
        return self.failing(code, "create", *words, "--to", to or self.to)

    def restored(self, archive, wipe):
        """What a recovery would have in its staging directory, for a plan that replaces all of it."""
        node = self.home.directory("restored")
        shutil.rmtree(node)
        (node / ".hasup" / "cache").mkdir(parents=True)
        source = {"url": f"file://{archive.parent}/"}
        snapshot = {"name": archive.name, "url": f"file://{archive}", "source": source["url"]}
        plan = {"name": "all", "wipe": wipe, "archives": [{"match": "*", "order": "time", "unpack": "archive", "into": "."}]}
        job = {"data_dir": str(node), "sources": [source], "chosen": {"plan": 0, "snapshots": [snapshot]}, "plan": plan,
               "plans": [plan], "checksum": "required"}
        for mode in ("fetch", "unpack"):
            result = self.home.path / "result.json"
            file = self.home.path / "job.json"
            file.write_text(json.dumps({**job, "mode": mode, "result_path": str(result), "progress_path": ""}))
            done = subprocess.run([BIN / "hasup-worker", file], env=self.home.env, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        return node / ".hasup" / "staging" / "new"


class Everywhere:
    """On every kind of place that archives go to."""

    def setUp(self):
        super().setUp()
        self.host = self.make(self, self.home.directory("files"))
        self.access = self.options(self.host.source)[1:]
        self.there = self.host.source["url"]

    def made(self, *words, code=0):
        return self.create(*words, *self.access, to=self.there, code=code)

    def listed(self):
        """Every file of the place."""
        return {r["name"]: r for r in self.json("list", self.there, *self.access, "--all", code=None)["snapshots"]}

    def json(self, *words, code=0):
        done = self.snapshot(*words, "--json")
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_what_was_packed_is_listed_fetched_verified_and_unpacked(self):
        self.fill()
        wanted = picture(self.tree)
        made, = self.made(self.tree, "--name", "leap-100.tar.zst", "--block", "100", "--chain-id", "aca3")
        self.assertEqual((made["name"], made["entries"]), ("leap-100.tar.zst", len(wanted)))
        row = self.listed()["leap-100.tar.zst"]
        self.assertEqual((row["size"], row["digest"]), (made["size"], "sha256:" + made["sha256"]))
        self.assertLess(made["size"], 22 * MIB, "holes take no room")
        got, = self.json("get", self.there, *self.access, "--name", "leap-*", "-o", self.out, "--checksum",
                         "required")["files"]
        archive = Path(got["path"])
        self.assertEqual(hashlib.sha256(archive.read_bytes()).hexdigest(), made["sha256"])
        archive.with_name(archive.name + ".sha256").write_text(f"{made['sha256']}  {archive.name}\n")
        self.assertEqual(self.json("verify", archive)["files"][0]["verified_by"], "sha256")
        self.assertEqual(picture(self.restored(archive, sorted(os.listdir(self.tree)))), wanted)

    def test_a_name_that_is_there_is_left_alone_unless_it_is_to_be_replaced(self):
        self.put("a", b"1")
        first, = self.made(self.tree, "--name", "x.tar.zst")
        self.put("a", b"22")
        done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is there already; --force replaces it", done.stderr)
        self.assertEqual(self.listed()["x.tar.zst"]["digest"], "sha256:" + first["sha256"])
        second, = self.made(self.tree, "--name", "x.tar.zst", "--force")
        self.assertNotEqual(first["sha256"], second["sha256"])
        self.assertEqual(self.json("get", self.there, *self.access, "--name", "x*", "-o", self.out)["files"][0]["sha256"],
                         second["sha256"])

    def test_index_and_archive_together_are_a_zchunk_file(self):
        self.fill()
        for name, words in (("x.tar.zst", []), ("y.tar.zst", ["--level", "9"])):
            made, = self.made(self.tree, "--name", name, *words)
            self.assertEqual(made["chunks"], name + ".chunks")
            row = self.listed()[name]
            self.assertTrue(row["chunks"].endswith(f"/{name}.chunks"), row)
            self.assertEqual(self.manifest()[name]["chunks"], name + ".chunks")
            archive, index = self.kept(name), self.kept(name + ".chunks")
            self.assertEqual(index[:5], b"\0ZHR1")
            self.assertIn(hashlib.sha256(archive).digest(), index)
            both = self.home.path / "both.zck"
            both.write_bytes(b"\0ZCK1" + index[5:] + archive)
            alone = subprocess.run(["zstd", "-dcq"], input=archive, capture_output=True, check=True).stdout
            self.assertEqual(subprocess.run(["unzck", "-c", both], capture_output=True, check=True).stdout, alone)
            said = subprocess.run(["zck_read_header", "-c", both], capture_output=True, text=True, check=True).stdout
            self.assertIn("Has uncompressed checksums", said)
            chunks = chunks_of(said)
            log = (self.tree / "blocks/blocks.log").read_bytes()
            at = 0
            while at < len(log):  # the file has chunks of its own, which are those of the file by itself
                size = next(n for digest, n in chunks if hashlib.sha256(log[at:at + n]).hexdigest() == digest)
                at += size
            self.assertEqual(at, len(log))

    def test_several_that_publish_at_the_same_time_all_have_their_row(self):
        self.put("a", b"1")
        names = [f"x-{n}.tar.zst" for n in range(5)]
        running = [self.begin("create", self.tree, "--to", self.there, *self.access, "--name", name) for name in names]
        for process in running:
            _, said = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 0, said)
        self.assertEqual(sorted(self.manifest()), names)
        self.assertEqual([name for name in self.left() if "lock" in name], [])

    def test_an_index_goes_with_its_archive(self):
        self.put("a", b"1")
        self.made(self.tree, "--name", "x.tar.zst")
        first = self.kept("x.tar.zst.chunks")
        self.put("a", b"22")
        second, = self.made(self.tree, "--name", "x.tar.zst", "--force")
        self.assertNotEqual(self.kept("x.tar.zst.chunks"), first)
        self.assertIn(bytes.fromhex(second["sha256"]), self.kept("x.tar.zst.chunks"))
        third, = self.made(self.tree, "--name", "x.tar.zst", "--force", "--no-chunks")
        self.assertIsNone(third["chunks"])
        with self.assertRaises(OSError):
            self.kept("x.tar.zst.chunks")
        self.assertNotIn("chunks", self.manifest()["x.tar.zst"])
        self.assertIsNone(self.listed()["x.tar.zst"]["chunks"])

    def kept(self, name):
        """The bytes of a file as the server keeps it."""
        return (self.host.files / name).read_bytes()

    def manifest(self):
        return {r["name"]: r for r in json.loads(self.kept("manifest.json"))["snapshots"]}

    def test_a_manifest_that_is_none_is_no_one_s_to_overwrite(self):
        self.host.put("manifest.json", b"<html>")
        self.put("a", b"1")
        done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no list of snapshots", done.stderr)

    def test_a_place_that_is_down(self):
        self.put("a", b"1")
        down = self.host.down()
        if down["url"].startswith("file://"):
            return  # a directory is made where there is none
        done = self.snapshot("create", self.tree, "--to", *self.options(down), "--patience", "2s")
        self.assertEqual(done.returncode, 1, done.stderr)

    def test_a_file_that_changes_while_it_is_read_leaves_nothing(self):
        big = self.put("big", snapshot_bytes(1, 48 * MIB))
        over = threading.Event()

        def write():
            with open(big, "r+b") as f:
                while not over.is_set():
                    f.seek(100)
                    f.write(os.urandom(8))
                    f.flush()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("big changed while it was read", done.stderr)
            self.assertEqual(self.left(), [])
            made, = self.made(self.tree, "--name", "x.tar.zst", "--allow-changes")
            self.assertEqual(made["notes"], ["big changed while it was read"])
        finally:
            over.set()
            writer.join()

    def left(self):
        """Files of the place as the server keeps them."""
        return sorted(os.listdir(self.host.files))

    def in_the_middle(self):
        """A run that has sent or written some of the archive and is far from its end: (hasup, its worker)."""
        self.put("text", slow_text(64 * MIB))
        core = {min(os.sched_getaffinity(0))}  # on many all of it would be there at once
        process = subprocess.Popen([BIN / "hasup", "snapshot", "create", self.tree, "--to", self.there, *self.access,
                                    "--name", "x.tar.zst", "--level", "12"], env=self.home.env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: os.sched_setaffinity(0, core))
        self.addCleanup(lambda: process.poll() is None and process.kill())
        wait_until(lambda: process.poll() is not None or self.some_came(), "something came")
        self.assertIsNone(process.poll())
        worker = [p for p in children_of(process.pid)][0]
        return process, worker

    def some_came(self):
        part = self.host.files / "x.tar.zst.part"
        return part.exists() and part.stat().st_size > 0

    def test_a_killed_worker_leaves_nothing_under_the_name_and_the_next_run_does_it(self):
        process, worker = self.in_the_middle()
        packers = children_of(worker)
        os.kill(worker, signal.SIGKILL)
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        self.assertIn("killed by signal 9", said)
        wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in packers), "the packer ended with it")
        self.assertNotIn("x.tar.zst", self.listed())
        self.assertEqual([n for n in self.left() if not n.endswith(".part")], [])
        self.put("text", b"short")
        self.made(self.tree, "--name", "x.tar.zst")
        self.assertIsNone(self.listed()["x.tar.zst"]["refused"])
        self.assertEqual([n for n in self.left() if n.endswith(".part")], [])

    def test_ctrl_c_leaves_nothing(self):
        process, _ = self.in_the_middle()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("interrupted", said)
        self.assertEqual(self.left(), [])


class ToADirectory(Everywhere, Create):
    make = source_servers.Directory

    def test_what_cannot_stand_beside_it_leaves_nothing(self):
        self.put("a", b"1")
        for name in ("x.tar.zst.chunks", "x.tar.zst.sha256"):
            os.makedirs(self.host.files / name)
            done = self.snapshot("create", self.tree, "--to", self.there, "--name", "x.tar.zst")
            self.assertEqual(done.returncode, 1)
            self.assertIn(name, done.stderr)
            self.assertEqual(self.left(), [name])
            os.rmdir(self.host.files / name)
        self.made(self.tree, "--name", "x.tar.zst")
        self.assertEqual(self.left(), ["manifest.json", "x.tar.zst", "x.tar.zst.chunks", "x.tar.zst.sha256"])

    def test_the_same_data_is_the_same_chunks_whatever_stands_before_it(self):
        self.fill()
        one, = self.create(self.tree, "--name", "one")
        self.put("a new one", b"x" * 1_000_000)
        with open(self.tree / "blocks/blocks.log", "ab") as log:
            log.write(snapshot_bytes(9, 10_000))
        two, = self.create(self.tree, "--name", "two")
        known, all_of_it = (chunks_of(subprocess.run(["zck_read_header", "-c", self.to / f["chunks"]], capture_output=True,
                                                     text=True, check=True).stdout) for f in (one, two))
        new = sum(n for digest, n in all_of_it if digest not in dict(known))
        self.assertLess(new, 5 * MIB)
        self.assertGreater(sum(n for _, n in all_of_it), 20 * MIB)

    def test_a_file_that_comes_meanwhile_is_not_missed(self):
        process, worker = self.in_the_middle()
        (self.tree / "new").write_bytes(b"1")
        _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("got or lost entries while it was read", said)
        self.assertEqual(self.left(), [])

    def test_two_runs_are_equal_byte_for_byte(self):
        self.fill()
        for level in ("1", "9"):
            one, = self.create(self.tree, "--name", f"one-{level}", "--level", level)
            two, = self.create(self.tree, "--name", f"two-{level}", "--level", level)
            self.assertEqual(one["name"], f"one-{level}.tar.zst")
            self.assertEqual(one["sha256"], two["sha256"])

    def test_others_can_read_it_and_it_is_in_order(self):
        self.fill()
        made, = self.create(self.tree, "--name", "x.tar.zst")
        names = subprocess.run(["sh", "-ec", "zstd -dcq x.tar.zst > x.tar && tar tf x.tar"], cwd=self.to, check=True,
                               capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
        with tarfile.open(self.to / "x.tar") as tar:
            members = tar.getmembers()
            self.assertEqual([m.name.encode() for m in members], sorted(m.name.encode() for m in members))
            self.assertEqual(len(members), len(names.splitlines()))
            mine = tar.getmember("blocks/blocks.log")
            st = (self.tree / "blocks/blocks.log").stat()
            self.assertEqual((mine.uid, mine.gid, mine.mode, int(mine.mtime)), (st.st_uid, st.st_gid, 0o644, 1_700_000_000))
        self.assertEqual(subprocess.run(["sha256sum", "-c", "x.tar.zst.sha256"], cwd=self.to, capture_output=True).returncode, 0)
        out = self.home.directory("by-tar")
        subprocess.run(["tar", "xpf", self.to / "x.tar", "-C", out], check=True)
        self.assertEqual(picture(out), picture(self.tree))
        frames = subprocess.run(["zstd", "-lv", self.to / "x.tar.zst"], capture_output=True, text=True).stdout
        self.assertRegex(frames, r"(?m)^# Zstandard Frames: [6-9]\d$")
        self.assertIn("XXH64", frames)

    def test_a_file_becomes_one_that_is_only_compressed(self):
        name = f"snapshot-{100:08x}{'e' * 56}.bin"
        file = self.put(name, snapshot_bytes(1, 300_000))
        made, = self.create(file)
        self.assertEqual(made["name"], name + ".zst")
        self.assertEqual(subprocess.run(["zstd", "-dcq", self.to / made["name"]], capture_output=True).stdout,
                         file.read_bytes())
        rows = json.loads((self.to / "manifest.json").read_text())["snapshots"]
        self.assertEqual((rows[0]["name"], rows[0]["block"], rows[0]["sha256"]), (made["name"], 100, made["sha256"]))
        again, = self.create(self.to / made["name"], to=self.home.path / "second")
        self.assertEqual((again["name"], again["sha256"]), (made["name"], made["sha256"]), "not compressed twice")
        empty = self.put("empty.bin", b"")
        self.assertIn("is empty", self.refused(empty))

    def test_several_at_once(self):
        one, two = self.put("one.bin", b"1" * 100), self.put("two.bin", b"2" * 100)
        self.assertEqual([f["name"] for f in self.create(one, two)], ["one.bin.zst", "two.bin.zst"])
        self.refused(one, two, "--name", "x", code=2)
        rows = json.loads((self.to / "manifest.json").read_text())["snapshots"]
        self.assertEqual([r["name"] for r in rows], ["one.bin.zst", "two.bin.zst"])

    def test_sockets_and_pipes_stay_behind_and_are_named(self):
        self.put("a", b"1")
        os.mkfifo(self.tree / "pipe")
        made, = self.create(self.tree, "--name", "x")
        self.assertEqual((made["entries"], made["notes"]), (1, ["pipe is a pipe: left out"]))

    def test_a_link_that_leads_out_is_refused(self):
        self.put("a", b"1")
        os.symlink("/mnt/blocks", self.tree / "blocks")
        self.assertIn("blocks is a link to \"/mnt/blocks\", which leaves the directory", self.refused(self.tree))
        self.assertEqual(os.listdir(self.to), [])

    def test_the_target_is_not_in_what_is_packed(self):
        self.put("a", b"1")
        self.assertIn("lies in", self.refused(self.tree, to=self.tree / "below"))
        self.assertEqual(os.listdir(self.tree), ["a"])

    def test_a_name_that_no_listing_would_show(self):
        self.put("a", b"1")
        for name in ("a/b.tar.zst", "x" * 200):
            self.assertIn("cannot be its name", self.refused(self.tree, "--name", name, code=2))

    def test_a_full_disk_is_told_with_its_numbers_and_leaves_nothing(self):
        self.to.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", self.to]).returncode:
            self.skipTest("only root can mount a small tmpfs")
        self.addCleanup(unmount, self.to)
        self.put("big", snapshot_bytes(1, 60 * MIB))
        said = self.refused(self.tree, "--name", "x")
        self.assertRegex(said, r"No space left on device: [0-9.]+MiB were written, .* are left in")
        self.assertEqual(os.listdir(self.to), [])

    def test_one_run_at_a_time_has_a_name(self):
        process, worker = self.in_the_middle()
        done = self.snapshot("create", self.tree, "--to", self.there, "--name", "x.tar.zst")
        self.assertIn("is being written by another run", done.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)

    def test_what_another_has_open_for_writing_is_refused(self):
        file = self.put("db", b"1")
        writer = self.start_program(["sh", "-c", f"exec 3<>'{file}'; touch '{self.home.path}/open'; exec sleep 1000"],
                                    lambda: (self.home.path / "open").exists())
        self.assertIn("has " + str(file) + " open for writing", self.refused(self.tree))
        self.assertEqual(len(self.create(self.tree, "--allow-changes")), 1)

    def test_the_bar_and_the_lines(self):
        self.put("text", slow_text(32 * MIB))  # seconds at the highest level, on one core
        cores = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, {min(cores)})
        code, said = on_a_terminal([BIN / "hasup", "snapshot", "create", self.tree, "--to", self.to, "--name", "x",
                                    "--level", "19"], {**self.home.env, "TERM": "xterm"})
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"create  \[#*-*\] +\d+%  .* of 32MiB")
        self.assertRegex(said, r"x\.tar\.zst: .* in 1 entry, sha256 [0-9a-f]{64}")
        said = self.snapshot("create", self.tree, "--to", self.to, "--name", "y").stderr
        self.assertIn(f"packing y.tar.zst (32MiB) to {self.to}\n", said)

    def test_exit_codes(self):
        self.put("a", b"1")
        self.failing(2, "create", self.tree)
        self.failing(2, "create", "--to", self.to)
        self.refused(self.tree, to="https://host/dir/", code=2)
        self.refused(self.tree, "--level", "99", code=2)
        self.refused("laep", code=4)
        self.refused(self.tree / "nosuch")
        self.failing(2, "list", self.tree, "--to", self.to)

    def test_signed(self):
        self.put("a", b"1" * 1000)
        keys = self.home.directory("keys")
        subprocess.run(["minisign", "-G", "-f", "-W", "-p", "one.pub", "-s", "one.key"], cwd=keys, check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["minisign", "-G", "-f", "-p", "two.pub", "-s", "two.key"], cwd=keys, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, input=b"geheim\ngeheim\n")
        (keys / "password").write_text("geheim\n")
        for name, words in (("one", []), ("two", ["--password-file", keys / "password"])):
            made, = self.create(self.tree, "--name", f"{name}.tar.zst", "--sign", keys / f"{name}.key", *words)
            self.assertTrue(made["signed"])
            archive = self.to / f"{name}.tar.zst"
            subprocess.run(["minisign", "-V", "-q", "-p", keys / f"{name}.pub", "-m", archive], check=True)
            self.assertEqual(self.json("verify", archive, "--public-key", keys / f"{name}.pub")["files"][0]["verified_by"],
                             "its signature and sha256")
        self.assertIn("has a password", self.refused(self.tree, "--sign", keys / "two.key"))
        code, said = on_a_terminal(
            [BIN / "hasup", "snapshot", "create", self.tree, "--to", self.to, "--name", "three", "--sign",
             keys / "two.key"], {**self.home.env, "TERM": "xterm"}, typed={"password of": "geheim\n"})
        self.assertEqual(code, 0, said)
        self.assertNotIn("geheim", said)
        subprocess.run(["minisign", "-V", "-q", "-p", keys / "two.pub", "-m", self.to / "three.tar.zst"], check=True)
        (keys / "password").write_text("falsch\n")
        self.assertIn("password is wrong", self.refused(self.tree, "--sign", keys / "two.key", "--password-file",
                                                        keys / "password"))
        self.create(self.tree, "--name", "one.tar.zst", "--force")
        self.assertFalse((self.to / "one.tar.zst.minisig").exists(), "a signature of another archive")


class ToSftp(Everywhere, Create):
    make = source_servers.Sshd

    def test_what_is_replaced_steps_aside_and_is_gone_afterwards(self):
        self.put("a", b"1")
        self.made(self.tree, "--name", "x.tar.zst")
        self.host.put("x.tar.zst.replaced.part", b"a killed run left this")
        self.put("a", b"22")
        made, = self.made(self.tree, "--name", "x.tar.zst", "--force")
        self.assertEqual(self.left(), ["manifest.json", "x.tar.zst", "x.tar.zst.chunks", "x.tar.zst.sha256"])
        self.assertEqual(hashlib.sha256((self.host.files / "x.tar.zst").read_bytes()).hexdigest(), made["sha256"])
        self.assertIn(made["sha256"], (self.host.files / "x.tar.zst.sha256").read_text())

    LOCK = "manifest.json.lock"

    def test_a_lock_that_a_killed_run_left_is_waited_for_and_taken_away(self):
        self.put("a", b"1")
        token = "0123456789abcdef"
        for n, inside in enumerate((None, f"{token}/held")):
            (self.host.files / self.LOCK / (inside or "")).mkdir(parents=True)
            if inside:
                self.host.put(f"manifest.json.{token}.part", b"{")
            name = f"x-{n}.tar.zst"
            done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", name, "--patience", "1s")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stderr, f"(?m)^waiting for another run to let go of sftp://.*/{self.LOCK}$")
            self.assertIn(name, self.manifest())
            self.assertEqual([f for f in self.left() if "lock" in f or "part" in f], [])
        self.assertEqual(len(self.manifest()), 2)

    def test_a_lock_that_cannot_be_removed_is_named(self):
        self.put("a", b"1")
        (self.host.files / self.LOCK).mkdir()
        self.host.put(self.LOCK + "/x", b"")
        done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst", "--patience", "1s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("x.tar.zst is there; only its row in manifest.json is missing", done.stderr)
        self.assertIn(f"/files/{self.LOCK} is the lock", done.stderr)
        self.assertIn("remove that directory", done.stderr)
        self.assertEqual(self.left(), [self.LOCK, "x.tar.zst", "x.tar.zst.chunks", "x.tar.zst.sha256"])

    def test_a_file_in_the_place_of_the_lock_is_told_of_before_anything_is_packed(self):
        self.put("a", b"1")
        for make in (lambda path: path.write_text("x"), lambda path: path.symlink_to("nowhere")):
            make(self.host.files / self.LOCK)
            done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{self.LOCK} is the lock", done.stderr)
            self.assertIn("is a file or a link; remove it", done.stderr)
            self.assertEqual(self.left(), [self.LOCK])
            (self.host.files / self.LOCK).unlink()

    def test_a_connection_that_breaks_is_followed_by_one_that_goes_on(self):
        process, _ = self.in_the_middle()
        sessions = children_of(self.host.program.pid)
        self.assertTrue(sessions)
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, said)
        self.assertEqual(self.json("get", self.there, *self.access, "--name", "x*", "-o", self.out, "--checksum",
                                   "required")["files"][0]["verified_by"], "sha256")
        self.assertEqual([n for n in self.left() if n.endswith(".part")], [])

    def test_a_host_that_is_gone_costs_its_patience(self):
        self.access += ["--patience", "3s"]
        process, _ = self.in_the_middle()
        self.drop()
        _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("onnect", said)

    def test_a_run_that_waits_for_its_host_ends_when_it_is_told_to(self):
        self.access += ["--patience", "1h"]
        process, worker = self.in_the_middle()
        self.drop()
        wait_until(lambda: not children_of(self.host.program.pid), "no connection any more")
        process.terminate()
        process.communicate(timeout=120)
        self.assertNotEqual(process.returncode, 0)

    def drop(self):
        """Nobody answers at the host's port any more."""
        sessions = children_of(self.host.program.pid)
        self.host.program.terminate()
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        self.host.program.wait(60)

    def test_a_host_that_is_not_known_gets_nothing(self):
        self.put("a", b"1")
        self.host.know("other")
        done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst")
        self.assertEqual(done.returncode, 1)
        self.assertIn("shows another key", done.stderr)
        self.assertEqual(self.left(), [])


class SshdThatHangs(source_servers.Sshd):
    before = (sys.executable, Path(__file__).with_name("sftp_without_rename.py"))


class ToSftpThatHangs(Create):
    def test_a_host_that_lets_in_and_answers_no_more_costs_its_patience(self):
        self.put("a", b"1")
        host = SshdThatHangs(self, self.home.directory("files"))
        done = self.snapshot("create", self.tree, "--to", host.source["url"], *self.options(host.source)[1:], "--name",
                             "x.tar.zst", "--patience", "2s")
        self.assertEqual(done.returncode, 1)
        self.assertIn("timed out", done.stderr)
        self.assertFalse((host.files / "x.tar.zst").exists())


class SshdFarAway(source_servers.Sshd):
    before = (sys.executable, Path(__file__).with_name("slow_sftp.py"))


class ToSftpFarAway(Create):
    def setUp(self):
        super().setUp()
        self.put("a", b"1")
        self.host = SshdFarAway(self, self.home.directory("files"))
        self.words = ["--to", self.host.source["url"], *self.options(self.host.source)[1:]]
        self.old = [f"old-{n:02}.tar.zst" for n in range(20)]
        self.host.put("manifest.json", json.dumps({"snapshots": [{"name": n} for n in self.old]}).encode())

    def manifest(self):
        return sorted(r["name"] for r in json.loads((self.host.files / "manifest.json").read_text())["snapshots"])

    def extra(self):
        return sorted(f for f in os.listdir(self.host.files) if "lock" in f or "part" in f)

    def test_several_that_publish_at_the_same_time_all_have_their_row(self):
        # Together longer than the patience, which is for a host that does not answer, not for others' rows.
        names = [f"x-{n}.tar.zst" for n in range(9)]
        running = [self.begin("create", self.tree, *self.words, "--name", name, "--patience", "10s") for name in names]
        for process in running:
            _, said = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 0, said)
        self.assertEqual(self.manifest(), self.old + names)
        self.assertEqual(self.extra(), [])

    def test_a_run_that_is_interrupted_while_it_writes_its_row_lets_go_and_says_what_is_there(self):
        lock = self.host.files / "manifest.json.lock"
        process = self.begin("create", self.tree, *self.words, "--name", "x.tar.zst")
        wait_until(lambda: process.poll() is not None or (lock.exists() and os.listdir(lock)), "it holds the lock")
        process.terminate()
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("interrupted; ", said)
        self.assertIn("x.tar.zst is there; only its row in manifest.json is missing; with --force", said)
        self.assertTrue((self.host.files / "x.tar.zst").exists())
        self.assertEqual(self.extra(), [])
        self.assertEqual(self.manifest(), self.old)


    def test_a_file_that_comes_in_the_place_of_the_lock_is_not_waited_for_and_nothing_is_edited(self):
        before = (self.host.files / "manifest.json").read_bytes()
        process = self.begin("create", self.tree, *self.words, "--name", "x.tar.zst", "--patience", "1h")
        part = self.host.files / "x.tar.zst.part"
        wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_size > 0), "something came")
        self.host.put("manifest.json.lock", b"")
        _, said = process.communicate(timeout=120)
        self.assertIn("x.tar.zst is there; only its row in manifest.json is missing (", said)
        self.assertIn("is a file or a link; remove it)", said)
        self.assertEqual((self.host.files / "manifest.json").read_bytes(), before)

    def replaced(self, *words):
        """A run that replaces an archive, at the moment when the checksum of the new one is there; and the old one's."""
        self.assertEqual(self.snapshot("create", self.tree, *self.words, "--name", "x.tar.zst").returncode, 0)
        checksum = self.host.files / "x.tar.zst.sha256"
        old, row = checksum.read_text(), self.row()
        self.put("b", b"2")
        process = self.begin("create", self.tree, *self.words, "--name", "x.tar.zst", "--force", *words)
        wait_until(lambda: process.poll() is not None or (checksum.exists() and checksum.read_text() != old),
                   "the new checksum is there")
        self.assertIsNone(process.poll())
        return process, old, row

    def row(self):
        return next((r for r in json.loads((self.host.files / "manifest.json").read_text())["snapshots"]
                     if r["name"] == "x.tar.zst"), None)

    def test_an_archive_that_is_not_replaced_because_the_run_is_interrupted_is_restored_from_as_before(self):
        process, old, row = self.replaced()
        process.terminate()
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("interrupted; nothing is left of it", said)
        self.assertEqual((self.host.files / "x.tar.zst.sha256").read_text(), old)
        self.assertEqual(hashlib.sha256((self.host.files / "x.tar.zst").read_bytes()).hexdigest(), old[:64])
        self.assertEqual(self.row(), row)
        self.assertEqual(self.extra(), [])
        got, = self.json("get", *self.words[1:], "--name", "x.*", "-o", self.out, "--checksum", "required")["files"]
        self.assertEqual(got["sha256"], old[:64])

    def test_that_it_cannot_be_as_before_is_said(self):
        process, old, _ = self.replaced("--patience", "2s")
        sessions = children_of(self.host.program.pid)
        self.host.program.terminate()
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("; what was there cannot be restored from until it is run again", said)


class SshdWithoutDirectories(source_servers.Sshd):
    before = (source_servers.sftp_server(), "-P", "mkdir")  # the rest is not for it


class ToSftpWithoutDirectories(Create):
    def test_a_host_where_nothing_can_be_locked_is_told_from_before_anything_is_packed(self):
        self.put("text", slow_text(64 * MIB))
        host = SshdWithoutDirectories(self, self.home.directory("files"))
        done = self.snapshot("create", self.tree, "--to", host.source["url"], *self.options(host.source)[1:], "--name",
                             "x.tar.zst", "--level", "12")
        self.assertEqual(done.returncode, 1)
        self.assertIn("let the host's user make some", done.stderr)
        self.assertEqual(os.listdir(host.files), [])


MKDIR, RMDIR, RENAME = 14, 15, 18


class ToSftpWithFaults(Create):
    PROBE = "manifest.json.lock.probe"

    def setUp(self):
        super().setUp()
        self.put("a", b"1")

    def host(self, *fault):
        """fault_sftp.py's words."""
        kind = type("SshdWithFault", (source_servers.Sshd,),
                    {"before": (sys.executable, Path(__file__).with_name("fault_sftp.py"), *fault)})
        host = kind(self, self.home.directory("files"))
        self.words = ["create", self.tree, "--to", host.source["url"], *self.options(host.source)[1:], "--name", "x.tar.zst"]
        return host

    def goes_on_after_a_cut_at(self, request):
        once = self.home.path / "once"
        host = self.host("cut", request, self.PROBE, once)
        done = self.snapshot(*self.words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(once.exists())
        self.assertEqual(sorted(os.listdir(host.files)),
                         ["manifest.json", "x.tar.zst", "x.tar.zst.chunks", "x.tar.zst.sha256"])

    def test_a_connection_that_breaks_as_a_directory_is_made_to_try_it_is_followed_by_one_that_goes_on(self):
        self.goes_on_after_a_cut_at(MKDIR)

    def test_a_connection_that_breaks_as_it_is_removed_again_is_followed_by_one_that_goes_on(self):
        self.goes_on_after_a_cut_at(RMDIR)

    def test_what_the_host_renamed_before_the_connection_broke_is_not_called_missing(self):
        for n, name in enumerate(("/x.tar.zst.sha256", "/x.tar.zst", "/manifest.json")):
            once = self.home.path / f"once-{n}"
            with self.subTest(name):
                host = self.host("mute", RENAME, name, once)
                for words in ([], ["--force"]) if name != "/manifest.json" else ([],):  # where the old row goes first
                    self.put("a", os.urandom(100))
                    once.unlink(missing_ok=True)
                    done = self.snapshot(*self.words, *words)
                    self.assertTrue(once.exists())
                    self.assertEqual(done.returncode, 0, done.stderr)
                    row, = json.loads((host.files / "manifest.json").read_text())["snapshots"]
                    digest = hashlib.sha256((host.files / "x.tar.zst").read_bytes()).hexdigest()
                    self.assertEqual((row["name"], row["sha256"]), ("x.tar.zst", digest))
                    self.assertIn(digest, (host.files / "x.tar.zst.sha256").read_text())
                host.program.terminate()
                host.program.wait(60)
                shutil.rmtree(host.keys)
                shutil.rmtree(host.files)

    def test_a_host_that_goes_away_meanwhile_is_not_one_that_makes_no_directories(self):
        host = self.host("cut", MKDIR, self.PROBE, "-")
        process = self.begin(*self.words, "--patience", "3s")
        wait_until(lambda: process.poll() is not None or (host.files / "x.tar.zst.part").exists(), "it has begun")
        sessions = children_of(host.program.pid)
        host.program.terminate()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        self.assertIn("onnect", said)
        self.assertNotIn("let the host's user", said)

    def test_a_host_where_no_directory_can_be_removed_is_told_from(self):
        host = self.host("refuse", RMDIR, self.PROBE, "-")
        for _ in range(2):
            done = self.snapshot(*self.words)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{self.PROBE}, which was made to try that, cannot be removed again (", done.stderr)
            self.assertEqual(os.listdir(host.files), [self.PROBE])
        self.assertIn('command failed: ', done.stderr)

    def test_which_command_was_refused_is_said(self):
        self.host("refuse", MKDIR, self.PROBE, "-")
        done = self.snapshot(*self.words)
        self.assertIn(f'mkdir command failed: Permission denied (mkdir "{self.home.path}/files/{self.PROBE}")', done.stderr)

    def test_a_lock_alone_that_cannot_be_made_is_told_of_in_the_hosts_words(self):
        host = self.host("refuse", MKDIR, "manifest.json.lock", "-")
        done = self.snapshot(*self.words, "--patience", "1h")
        self.assertEqual(done.returncode, 1)
        self.assertIn("only its row in manifest.json is missing (", done.stderr)
        self.assertIn("it cannot be made (", done.stderr)
        self.assertIn("mkdir command failed: Permission denied (mkdir ", done.stderr)
        self.assertEqual(sorted(os.listdir(host.files)), ["x.tar.zst", "x.tar.zst.chunks", "x.tar.zst.sha256"])

    def test_what_a_killed_run_left_of_it_is_taken_away(self):
        host = self.host("refuse", MKDIR, "nothing", "-")
        (host.files / self.PROBE).mkdir()
        self.assertEqual(self.snapshot(*self.words).returncode, 0)
        self.assertNotIn(self.PROBE, os.listdir(host.files))


class ToS3(Everywhere, Create):
    make = source_servers.S3

    def pieces(self):
        """Which pieces were sent, in their order."""
        return [int(found[1]) for method, path in list(self.host.gate.requests)
                if method == "PUT" and (found := re.search(r"partNumber=(\d+)", path))]

    def busy(self, *methods):
        """A store that has always too much to do; says when it was asked."""
        asked = {method: threading.Event() for method in methods}

        def fault(handler, body):
            if handler.command not in methods or "uploadId" not in handler.path:
                return False
            asked[handler.command].set()
            handler.answer(503, {}, b"<Error><Code>SlowDown</Code><Message>slow down</Message></Error>")
            return True
        self.host.gate.fault = fault
        return asked

    def test_a_row_that_comes_between_reading_the_manifest_and_writing_it_stays(self):
        self.put("a", b"1")
        rows = []

        def fault(handler, body):
            if handler.command == "PUT" and handler.path.endswith("/manifest.json") and len(rows) < 2:
                rows.append({"name": f"other-{len(rows)}.tar.zst", "block": 7})
                before = self.manifest().values() if len(rows) > 1 else ()
                self.host.put("manifest.json", json.dumps({"snapshots": [*before, rows[-1]]}).encode())
            return False
        self.host.gate.fault = fault
        self.made(self.tree, "--name", "x.tar.zst")
        self.assertEqual(sorted(self.manifest()), ["other-0.tar.zst", "other-1.tar.zst", "x.tar.zst"])

    def test_a_store_without_conditional_writes_has_the_row_too(self):
        self.put("a", b"1")
        refused = []

        def fault(handler, body):
            if "If-Match" not in handler.headers and "If-None-Match" not in handler.headers:
                return False
            refused.append(handler.path)
            handler.answer(501, {}, b"<Error><Code>NotImplemented</Code><Message>A header is not known</Message></Error>")
            return True
        self.host.gate.fault = fault
        for name in ("x.tar.zst", "y.tar.zst"):
            self.made(self.tree, "--name", name)
        self.assertEqual(sorted(self.manifest()), ["x.tar.zst", "y.tar.zst"])
        self.assertEqual(len(refused), 2)

    def test_a_store_that_only_fails_costs_its_patience(self):
        self.put("a", snapshot_bytes(1, MIB))
        asked = self.busy("PUT", "DELETE")
        process = self.begin("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst", "--patience", "2s")
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        self.assertIn("SlowDown", said)
        self.assertTrue(asked["DELETE"].is_set(), "it tried to leave nothing")

    def test_a_run_that_a_store_keeps_waiting_ends_when_it_is_told_to(self):
        self.put("a", snapshot_bytes(1, MIB))
        asked = self.busy("PUT", "DELETE")
        process = self.begin("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst", "--patience", "1h")
        self.assertTrue(asked["PUT"].wait(120))
        process.terminate()
        process.communicate(timeout=120)
        self.assertNotEqual(process.returncode, 0)

    def test_a_run_that_is_interrupted_while_it_replaces_leaves_an_archive_with_its_own_checksum(self):
        self.put("a", b"1")
        old, = self.made(self.tree, "--name", "x.tar.zst")
        row = self.manifest()["x.tar.zst"]
        self.put("b", b"2")
        for did in (False, True):
            with self.subTest(the_store_did_what_it_was_asked_for=did):
                asked, over = threading.Event(), threading.Event()

                def fault(handler, body):
                    if handler.command != "POST" or "uploadId=" not in handler.path or asked.is_set():
                        return False
                    if did:
                        handler.ask_store("POST", body)
                    asked.set()
                    over.wait(120)
                    handler.close_connection = True
                    return True
                self.host.gate.fault = fault
                process = self.begin("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst", "--force")
                self.assertTrue(asked.wait(120))
                process.terminate()
                _, said = process.communicate(timeout=120)
                over.set()
                self.assertEqual(process.returncode, 1, said)
                self.assertIn("only its row in manifest.json is missing" if did else "nothing is left of it", said)
                digest = hashlib.sha256(self.kept("x.tar.zst")).hexdigest()
                self.assertEqual(digest == old["sha256"], not did)
                self.assertIn(digest, self.kept("x.tar.zst.sha256").decode())
                self.assertEqual(self.manifest().get("x.tar.zst"), None if did else row)

    def test_a_piece_that_fails_is_sent_again(self):
        self.put("big", snapshot_bytes(1, 40 * MIB))
        failures = iter(("503", "cut"))

        def fault(handler, body):
            if handler.command != "PUT" or "partNumber=2" not in handler.path or (how := next(failures, None)) is None:
                return False
            if how == "cut":
                handler.connection.close()
            else:
                handler.answer(503, {}, b"<Error><Code>SlowDown</Code><Message>slow down</Message></Error>")
            handler.close_connection = True
            return True
        self.host.gate.fault = fault
        made, = self.made(self.tree, "--name", "x.tar.zst")
        self.assertEqual(self.pieces(), [1, 2, 2, 2, 3])
        self.assertEqual(self.json("get", self.there, *self.access, "--name", "x*", "-o", self.out)["files"][0]["sha256"],
                         made["sha256"])

    def test_a_piece_that_never_goes_through_aborts_the_upload(self):
        self.put("big", snapshot_bytes(1, 40 * MIB))

        def fault(handler, body):
            if handler.command != "PUT" or "partNumber=2" not in handler.path:
                return False
            handler.answer(403, {}, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
            return True
        self.host.gate.fault = fault
        done = self.snapshot("create", self.tree, "--to", self.there, *self.access, "--name", "x.tar.zst")
        self.assertEqual(done.returncode, 1)
        self.assertIn("AccessDenied: Access Denied", done.stderr)
        self.assertEqual(self.left(), [])
        self.assertEqual([m for m, path in self.host.gate.requests if "uploadId=" in path][-1], "DELETE")

    def test_an_upload_that_a_killed_run_left_long_ago_is_aborted_and_no_other(self):
        """s3rver keeps no list of uploads, so the gate answers in its place with what Amazon's documents show."""
        self.put("a", b"1")
        key, day = f"{self.prefix()}x.tar.zst", 86_400
        when = {"dead": 2 * day, "young": 60, "alive": 2 * day, "other": 2 * day}
        text = lambda age: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - age))
        asked, aborted = [], []

        def fault(handler, body):
            query = urllib.parse.parse_qs(handler.path.partition("?")[2], keep_blank_values=True)
            upload = query.get("uploadId", [""])[0]
            if handler.command == "GET" and "uploads" in query:
                asked.append(query["prefix"][0])
                rows = "".join(f"<Upload><Key>{key}{'.old' if n == 'other' else ''}</Key><UploadId>{n}</UploadId>"
                               f"<Initiated>{text(age)}</Initiated></Upload>" for n, age in when.items())
                xml = f"<ListMultipartUploadsResult>{rows}</ListMultipartUploadsResult>"
            elif handler.command == "GET" and upload in when:
                came = text(3600 if upload == "alive" else 2 * day)
                xml = f"<ListPartsResult><Part><LastModified>{came}</LastModified></Part></ListPartsResult>"
            elif handler.command == "DELETE" and upload in when:
                aborted.append(upload)
                handler.answer(204, {}, b"")
                return True
            else:
                return False
            handler.answer(200, {"Content-Type": "application/xml"}, xml.encode())
            return True
        self.host.gate.fault = fault
        self.made(self.tree, "--name", "x.tar.zst")
        self.assertEqual((asked, aborted), ([key], ["dead"]))
        self.assertIn("x.tar.zst", self.listed())

    def prefix(self):
        """Of the keys, within the bucket."""
        rest = self.there.split("://", 1)[1].partition("/")[2]
        return rest if not rest or rest.endswith("/") else rest + "/"

    def left(self):
        return sorted(self.listed())

    def kept(self, name):
        return self.host.request("GET", "/snaps/leap/" + name)

    def test_killed_before_each_of_its_requests_the_next_run_does_it(self):
        self.put("a", b"1" * 100_000)
        steps = ["x.tar.zst?uploads", "partNumber", "x.tar.zst.chunks", "x.tar.zst.sha256", "uploadId=", "manifest.json"]
        for n, step in enumerate(steps):
            with self.subTest(step):
                reached = threading.Event()

                def fault(handler, body):
                    if handler.command not in ("PUT", "POST") or step not in handler.path or reached.is_set():
                        return False
                    if step == "uploadId=" and "partNumber" in handler.path:
                        return False
                    reached.set()
                    over.wait(120)
                    handler.close_connection = True
                    handler.connection.close()
                    return True
                over = threading.Event()
                self.host.gate.fault = fault
                process = subprocess.Popen([BIN / "hasup", "snapshot", "create", self.tree, "--to", self.there, *self.access,
                                            "--name", "x.tar.zst"], env=self.home.env, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertTrue(reached.wait(120), step)
                self.host.gate.fault = lambda handler, body: False
                for pid in children_of(process.pid):
                    os.kill(pid, signal.SIGKILL)
                over.set()
                process.communicate(timeout=120)
                self.assertEqual(process.returncode, 1)
                self.assertEqual("x.tar.zst" in self.listed(), step == "manifest.json")
                made, = self.made(self.tree, "--name", "x.tar.zst", *(["--force"] if step == "manifest.json" else []))
                self.assertIn(bytes.fromhex(made["sha256"]), self.kept("x.tar.zst.chunks"))
                got, = self.json("get", self.there, *self.access, "--name", "x*", "-o", self.home.directory(f"out-{n}"),
                                 "--checksum", "required")["files"]
                self.assertEqual(got["sha256"], made["sha256"])
                for name in ("x.tar.zst", "x.tar.zst.chunks", "x.tar.zst.sha256", "manifest.json"):
                    self.host.request("DELETE", "/snaps/leap/" + name)

    def some_came(self):
        return any(r[0] == "PUT" and "partNumber" in r[1] for r in list(self.host.gate.requests))


class OfAUnit(Create):
    UNIT = """
    [data]
    dir = "{data}"
    [run]
    command = ["sh", "-c", "exec 3<>{data}/chaindata/mdbx.dat; exec sleep 1000"]
    [recovery]
    recipe = "eos-evm-node"
    source = "file://{to}"
    """

    def setUp(self):
        super().setUp()
        self.home.unit("evm", self.UNIT.format(data=self.tree, to=self.to))
        self.put("chaindata/mdbx.dat", snapshot_bytes(1, MIB))
        self.put("etl-temp/x", b"1")
        self.put("wallet", b"secret")
        self.put(".hasup/lock", b"")

    def test_what_its_recipe_replaces_and_nothing_else(self):
        made, = self.create("evm")
        with subprocess.Popen(["zstd", "-dcq", self.to / made["name"]], stdout=subprocess.PIPE) as zstd:
            with tarfile.open(fileobj=zstd.stdout, mode="r|") as tar:
                self.assertEqual(tar.getnames(), ["chaindata", "chaindata/mdbx.dat", "etl-temp", "etl-temp/x"])
        self.assertEqual(self.json("list", "evm")["taken"], [made["name"]])

    def test_not_while_it_runs(self):
        self.home.start()
        self.home.ok("start", "evm")
        self.assertIn("stop it first: hasup stop evm", self.refused("evm"))
        self.assertIn("open for writing", self.refused(self.tree))
        self.home.ok("stop", "evm")
        self.create("evm")

    def hold(self, process):
        """It and all that it started stand still from now on; what lets them go on."""
        stopped = []

        def go_on():
            while stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stopped.pop(), signal.SIGCONT)
        self.addCleanup(go_on)

        def stop(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
            for child in children_of(pid):
                stop(child)
        stop(process.pid)
        return go_on

    def test_who_holds_the_data_of_a_unit_that_is_to_start_is_named(self):
        self.put("chaindata/more", slow_text(64 * MIB))
        process = self.begin("create", "evm", "--to", self.to, "--name", "x.tar.zst", "--level", "12")
        wait_until(lambda: process.poll() is not None or
                   ((part := self.to / "x.tar.zst.part").exists() and part.stat().st_size > 0), "it is being packed")
        self.assertIsNone(process.poll())
        go_on = self.hold(process)
        self.home.start()
        said = self.home.hasup("start", "evm", "--timeout", "60s").stderr
        held = f"(pid {process.pid}): wait for it, or end it with `kill {process.pid}`; then `hasup start evm`"
        self.assertIn(held, said)
        self.assertIn(f"{self.tree} is held by `{BIN / 'hasup'} snapshot create evm ", said)
        self.assertIn(held, self.home.ok("why", "evm"))
        self.assertIsNone(process.poll())
        go_on()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        self.assertNotIn("is held by", self.home.ok("why", "evm"))
        self.home.ok("start", "evm")


class OfNodeos(Create):
    UNIT = """
    [data]
    dir = "{data}"
    [run]
    command = ["sleep", "1000"]
    [recovery]
    recipe = "nodeos"
    source = "file://{to}"
    """

    def test_without_a_plan_that_restores_from_one_an_archive_has_all_that_any_replaces(self):
        self.home.unit("leap", self.UNIT.format(data=self.tree, to=self.to))
        for name in ("state/shared_memory.bin", "blocks/blocks.log", "state-history/x", "protocol_features/y", "other"):
            self.put(name, b"1")
        made, = self.create("leap")
        self.assertIn("for you to unpack by hand", made["notes"][0])
        with subprocess.Popen(["zstd", "-dcq", self.to / made["name"]], stdout=subprocess.PIPE) as zstd:
            with tarfile.open(fileobj=zstd.stdout, mode="r|") as tar:
                self.assertEqual([n for n in tar.getnames() if "/" in n],
                                 ["blocks/blocks.log", "state-history/x", "state/shared_memory.bin"])
        self.assertIn("hasup snapshot create leap --plan \"state only\" (state)",
                      self.refused("leap", "--plan", "nosuch", code=2))


if __name__ == "__main__":
    unittest.main()
