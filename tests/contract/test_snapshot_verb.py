"""hasup snapshot list, get and verify, without a daemon, on the real servers: what a person sees, and what is left
behind when something dies in the middle."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import unittest
from pathlib import Path

import source_servers
from fault_host import FaultHost
from hasup_home import BIN, HasupTest, on_a_terminal, parent_of, wait_until
from test_sources import snapshot_bytes

BIG = 12_000_000


def children_of(pid):
    out = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if parent_of(stat.parent.name) == pid:
                out.append(int(stat.parent.name))
        except (OSError, IndexError):
            pass  # it has just ended
    return out


class SnapshotVerb(HasupTest):
    def setUp(self):
        super().setUp()
        self.files = self.home.directory("files")
        self.out = self.home.path / "out"
        self.home.env["TMPDIR"] = str(self.home.directory("tmp"))

    def tearDown(self):
        self.assertEqual(list((self.home.path / "tmp").iterdir()), [], "nothing temporary is left")

    def snapshot(self, *words):
        return self.home.hasup("snapshot", *words)

    def failing(self, code, *words):
        done = self.snapshot(*words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr

    def json(self, *words, code=0):
        done = self.snapshot(*words, "--json")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def begin(self, *words):
        process = subprocess.Popen([BIN / "hasup", "snapshot", *map(str, words)], env=self.home.env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def options(self, source):
        words = [source["url"]]
        for key, text in source.items():
            if key != "url":
                words += ["--" + key.replace("_", "-"), text]
        return words


class Everywhere:
    """On every kind of source."""

    def setUp(self):
        super().setUp()
        self.host = self.make(self, self.files)
        self.where = [*self.options(self.host.source), "--pattern", r"snap-(?P<block>[0-9]+)\.bin"]

    def test_list_says_what_would_be_taken_and_why_the_rest_is_not(self):
        data = snapshot_bytes(1)
        for block in (9, 100, 20):
            self.host.put(f"snap-{block}.bin", data)
        self.host.put("snap-20.bin.sha256", f"{hashlib.sha256(data).hexdigest()}  snap-20.bin\n".encode())
        self.host.put("snap-300.bin.part", b"x" * 100)
        self.host.put("snap-500.bin", b"")
        self.host.put("other.txt", b"x")
        found = self.json("list", *self.where)
        rows = {r["name"]: r for r in found["snapshots"]}
        self.assertEqual(found["taken"], ["snap-100.bin"])
        self.assertEqual([r["name"] for r in found["snapshots"] if not r["refused"]],
                         ["snap-100.bin", "snap-20.bin", "snap-9.bin"])
        self.assertEqual((rows["snap-100.bin"]["block"], rows["snap-100.bin"]["size"]), (100, len(data)))
        self.assertEqual(rows["snap-20.bin"]["digest"], "sha256:" + hashlib.sha256(data).hexdigest())
        self.assertIsNone(rows["snap-9.bin"]["digest"])
        self.assertIn("still being written", rows["snap-300.bin.part"]["refused"])
        self.assertIn("does not match", rows["other.txt"]["refused"])
        self.assertIn("empty", rows["snap-500.bin"]["refused"])
        self.assertEqual(self.json("list", *self.where, "--checksum", "required")["taken"], ["snap-20.bin"])
        text = self.snapshot("list", *self.where).stdout
        self.assertRegex(text, r"(?m)^> snap-100\.bin +100 ")
        self.assertNotIn("other.txt", text)
        self.assertIn("other.txt", self.snapshot("list", *self.where, "--all").stdout)

    def test_get_puts_the_newest_verified_one_under_its_name_and_nothing_else(self):
        data = snapshot_bytes(2, 3_000_000)
        self.host.put("snap-1.bin", snapshot_bytes(1))
        self.host.put("snap-2.bin", data)
        self.host.put("snap-2.bin.sha256", f"{hashlib.sha256(data).hexdigest()}  snap-2.bin\n".encode())
        got = self.json("get", *self.where, "-o", self.out)["files"]
        self.assertEqual((got[0]["path"], got[0]["verified_by"]), (str(self.out / "snap-2.bin"), "sha256"))
        self.assertEqual((self.out / "snap-2.bin").read_bytes(), data)
        self.assertEqual(sorted(os.listdir(self.out)), ["snap-2.bin", "snap-2.bin.sha256"])
        self.assertEqual(self.json("verify", self.out / "snap-2.bin")["files"][0]["verified_by"], "sha256")
        (self.out / "snap-2.bin.sha256").unlink()
        again = self.json("get", *self.where, "-o", self.out)["files"][0]
        self.assertEqual((again["was_there"], again["proofs"]), (True, [str(self.out / "snap-2.bin.sha256")]))
        self.assertEqual(self.json("verify", self.out / "snap-2.bin")["files"][0]["verified_by"], "sha256")
        self.assertEqual(self.snapshot("get", *self.where, "snap-1*", str(self.out) + "/").returncode, 0)
        self.assertEqual((self.out / "snap-1.bin").read_bytes(), snapshot_bytes(1))

    def test_what_is_not_what_its_host_says_is_refused_and_leaves_nothing(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        self.host.put("snap-1.bin.sha256", f"{hashlib.sha256(b'other').hexdigest()}  snap-1.bin\n".encode())
        said = self.failing(1, "get", *self.where, "-o", self.out)
        self.assertIn("damaged or was replaced", said)
        self.assertEqual(os.listdir(self.out), [])

    def test_without_a_pattern_only_what_may_be_a_snapshot_is_taken(self):
        for name in ("README", "notes.txt", "sha256.txt"):
            self.host.put(name, b"x" * 100)
        self.host.put("snap-1.bin.sha256", b"0" * 64)
        source = self.options(self.host.source)
        said = self.failing(1, "get", *source, "-o", self.out)
        self.assertIn("nothing here is a snapshot by its name; there is ", said)
        for part in ("README", "notes.txt", "sha256.txt", "hasup snapshot get SOURCE ", "--match GLOB"):
            self.assertIn(part, said)
        self.assertNotIn("snap-1.bin", said)
        self.assertEqual(os.listdir(self.out), [])
        self.assertEqual(self.json("list", *source, code=1)["taken"], [])
        self.assertEqual(self.json("get", *source, "notes.txt", f"{self.out}/")["files"][0]["name"], "notes.txt")
        self.assertEqual(self.json("get", *source, "--match", "READ*", "-o", self.out)["files"][0]["name"], "README")
        self.host.put("a.TAR.ZST", b"x" * 100)
        self.assertEqual(self.json("get", *source, "-o", self.out)["files"][0]["name"], "a.TAR.ZST")

    def test_a_newer_one_that_is_passed_over_is_named(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        self.host.put("snap-1.bin.sha256", hashlib.sha256(snapshot_bytes(1)).hexdigest().encode())
        self.host.put("snap-2.bin", snapshot_bytes(2))
        for verb in ("list", "get"):
            more = ["-o", self.out] if verb == "get" else []
            wanted = "snap-2.bin is newer, and is passed over: has no checksum, and one is required"
            done = self.snapshot(verb, *self.where, "--checksum", "required", *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(wanted, done.stderr)
            self.assertIn(wanted, self.json(verb, *self.where, "--checksum", "required", *more)["notes"])

    def test_an_empty_place_and_one_that_is_down(self):
        self.assertIn("nothing here", self.failing(1, "list", *self.where))
        self.failing(1, "get", *self.where, "-o", self.out)
        self.failing(1, "list", *self.options(self.host.down()))


class FromADirectory(Everywhere, SnapshotVerb):
    make = source_servers.Directory

    def test_one_file_is_a_source_with_what_is_beside_it(self):
        data = snapshot_bytes(1)
        self.host.put("snap-1.bin", data)
        subprocess.run(["sh", "-c", "sha256sum snap-1.bin > SHA256SUMS"], cwd=self.files, check=True)
        file = self.files / "snap-1.bin"
        self.assertEqual(self.json("list", file)["snapshots"][0]["digest"], "sha256:" + hashlib.sha256(data).hexdigest())
        self.assertEqual(self.json("get", file, "--checksum", "required", "-o", self.out)["files"][0]["verified_by"],
                         "sha256")

    def test_what_proves_a_file_comes_with_it_and_goes_with_it(self):
        def shell(line):
            subprocess.run(["sh", "-ec", line], cwd=self.files, check=True, stdout=subprocess.DEVNULL)
        self.host.put("snap-1.bin", snapshot_bytes(1))
        shell("minisign -G -f -W -p ../one.pub -s ../one.key; minisign -S -s ../one.key -m snap-1.bin; "
              "md5sum snap-1.bin > MD5SUMS")
        got = self.json("get", *self.where, "-o", self.out)["files"][0]
        self.assertEqual(got["proofs"], [f"{self.out}/snap-1.bin.md5", f"{self.out}/snap-1.bin.minisig"])
        file = self.out / "snap-1.bin"
        self.assertEqual(self.json("verify", file)["files"][0]["verified_by"], "md5")
        key = ["--public-key", self.home.path / "one.pub"]
        self.assertEqual(self.json("verify", file, *key)["files"][0]["verified_by"], "its signature and md5")
        # Another file of that name, with other proof.
        self.host.put("snap-1.bin", snapshot_bytes(2))
        shell("rm MD5SUMS snap-1.bin.minisig; sha512sum snap-1.bin > snap-1.bin.sha512")
        self.assertIn("left alone", self.failing(1, "get", *self.where, "-o", self.out))
        self.assertEqual(self.json("verify", file, *key)["files"][0]["verified_by"], "its signature and md5")
        self.json("get", *self.where, "-o", self.out, "--force")
        self.assertEqual(sorted(os.listdir(self.out)), ["snap-1.bin", "snap-1.bin.sha512"])
        self.assertEqual(self.json("verify", file)["files"][0]["verified_by"], "sha512")

    def test_a_rate_is_written_as_in_a_unit_s_file(self):
        self.host.put("snap-1.bin", snapshot_bytes(1))
        self.json("get", *self.where, "-o", self.out, "--max-rate", "20MiB/s")
        self.assertIn("--max-rate", self.failing(2, "get", *self.where, "-o", self.out, "--max-rate", "20MiB/m"))

    def test_a_copy_that_is_broken_off_goes_on(self):
        self.host.put("snap-1.bin", snapshot_bytes(1, BIG))
        process = self.begin("get", *self.where, "-o", self.out, "--max-rate", "1MiB")
        part = self.out / "snap-1.bin.part" / ".hasup" / "cache" / "snap-1.bin.part"
        wait_until(lambda: process.poll() is not None or (part.exists() and part.read_bytes()[:9] == snapshot_bytes(1, 9)),
                   "the first bytes came")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        self.assertIn("the same command goes on from there", said)
        self.assertEqual(self.snapshot("get", *self.where, "-o", self.out).returncode, 0)
        self.assertEqual((self.out / "snap-1.bin").read_bytes(), snapshot_bytes(1, BIG))


class FromNginx(Everywhere, SnapshotVerb):
    make = source_servers.Nginx


class FromNginxWithTls(Everywhere, SnapshotVerb):
    make = source_servers.NginxTls

    def test_nobody_is_asked_for_the_passphrase_of_a_client_key(self):
        locked = self.host.keys / "locked.key"
        source_servers.run("openssl", "pkey", "-in", self.host.keys / "client.key", "-aes256", "-passout", "pass:word",
                           "-out", locked)
        words = self.options({**self.host.source, "client_key": str(locked)})
        code, said = on_a_terminal([BIN / "hasup", "snapshot", "list", *words], self.home.env)
        self.assertEqual(code, 1, said)
        self.assertIn("a key with a passphrase is of no use", said)


class FromSftp(Everywhere, SnapshotVerb):
    make = source_servers.Sshd


class FromS3(Everywhere, SnapshotVerb):
    make = source_servers.S3


class Interrupted(SnapshotVerb):
    """A host that waits in the middle until it is told to go on, so that the middle is hit each time."""

    def setUp(self):
        super().setUp()
        self.host = FaultHost()
        self.addCleanup(self.host.close)
        self.data = snapshot_bytes(3, BIG)
        digest = hashlib.sha256(self.data).hexdigest()
        self.host.files = {"snap-3.bin": self.data, "snap-3.bin.sha256": f"{digest}  snap-3.bin\n".encode()}
        self.url = self.host.url + "snap-3.bin"
        self.part = self.out / "snap-3.bin.part"

    def stall_in_the_middle(self):
        def fault(handler, name):
            if name != "snap-3.bin" or handler.command != "GET":
                return False
            first = int(re.fullmatch(r"bytes=(\d+)-\d*", handler.headers.get("Range", "bytes=0-"))[1])
            handler.send_response(206 if first else 200)
            if first:
                handler.send_header("Content-Range", f"bytes {first}-{BIG - 1}/{BIG}")
            handler.send_header("ETag", f'"{hash(self.data) & 0xffffffff:x}-{BIG}"')
            handler.send_header("Accept-Ranges", "bytes")
            handler.send_header("Content-Length", str(BIG - first))
            handler.end_headers()
            handler.wfile.write(self.data[first:max(first, BIG // 2)])
            handler.stall()
            return True
        self.host.fault = fault

    def loaded(self):
        """Bytes of the part that its note says are there for good."""
        try:
            note = json.loads((self.part / ".hasup" / "cache" / "snap-3.bin.resume").read_text())
        except (OSError, ValueError):
            return 0
        return sum(end - first for first, end in note["here"])

    def get_until_the_middle(self):
        self.stall_in_the_middle()
        process = self.begin("get", self.url, "-o", self.out)
        wait_until(lambda: self.file_size() >= BIG // 2 or process.poll() is not None, "half of it came")
        self.assertIsNone(process.poll())
        return process

    def file_size(self):
        with_bytes = self.part / ".hasup" / "cache" / "snap-3.bin.part"
        if not with_bytes.exists():
            return 0
        # Room is reserved, so the size says nothing: the bytes themselves do.
        with open(with_bytes, "rb") as f:
            f.seek(BIG // 2 - 64)
            return BIG // 2 if f.read(64) == self.data[BIG // 2 - 64:BIG // 2] else 0

    def goes_on(self):
        self.host.fault = lambda handler, name: False
        before = len(self.host.loads("snap-3.bin"))
        self.assertEqual(self.json("get", self.url, "-o", self.out)["files"][0]["verified_by"], "sha256")
        self.assertEqual((self.out / "snap-3.bin").read_bytes(), self.data)
        self.assertEqual(sorted(os.listdir(self.out)), ["snap-3.bin", "snap-3.bin.sha256"])
        return [r for r in self.host.loads("snap-3.bin")[before:]]

    def test_ctrl_c_keeps_what_came_and_says_so(self):
        process = self.get_until_the_middle()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn(f"kept in {self.part}: the same command goes on from there", said)
        self.assertGreaterEqual(self.loaded(), BIG // 2)
        self.assertEqual(self.goes_on(), [f"bytes={BIG // 2}-{BIG - 1}"])

    def test_another_call_for_the_same_file_says_so_and_leaves_the_first_one_alone(self):
        first = self.get_until_the_middle()
        said = self.failing(1, "get", self.url, "-o", self.out)
        self.assertIn(f"another `hasup snapshot get` fetches {self.out}/snap-3.bin at this moment", said)
        self.assertIsNone(first.poll())
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=60)
        self.assertIn(f"kept in {self.part}: the same command goes on from there", said)
        self.assertEqual(self.goes_on(), [f"bytes={BIG // 2}-{BIG - 1}"])

    def test_many_calls_for_the_same_file_at_a_time(self):
        calls = [self.begin("get", self.url, "-o", self.out) for _ in range(6)]
        ends = [(call.communicate(timeout=120)[1], call.returncode) for call in calls]
        for said, code in ends:
            if code != 0:
                self.assertEqual(code, 1)
                self.assertRegex(said, "another `hasup snapshot get` fetches .*snap-3.bin at this moment")
        self.assertIn(0, [code for _, code in ends])
        self.assertEqual((self.out / "snap-3.bin").read_bytes(), self.data)
        self.assertEqual(sorted(os.listdir(self.out)), ["snap-3.bin", "snap-3.bin.sha256"])

    def test_a_killed_worker_is_told_of_and_the_next_call_goes_on(self):
        process = self.get_until_the_middle()
        worker, = children_of(process.pid)
        os.kill(worker, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("killed by signal 9", said)
        self.goes_on()

    def test_a_killed_hasup_takes_its_worker_along_and_the_next_call_goes_on(self):
        process = self.get_until_the_middle()
        worker, = children_of(process.pid)
        process.kill()
        process.communicate(timeout=60)
        wait_until(lambda: not os.path.exists(f"/proc/{worker}"), "the worker ended with it")
        self.assertGreaterEqual(self.loaded(), BIG // 2)
        self.assertEqual(self.goes_on(), [f"bytes={BIG // 2}-{BIG - 1}"])
        for left in (self.home.path / "tmp").iterdir():  # what a kill leaves: the worker's job
            for file in left.iterdir():
                file.unlink()
            left.rmdir()

    def test_a_second_ctrl_c_does_not_wait_for_a_worker_that_hangs(self):
        process = self.get_until_the_middle()
        worker, = children_of(process.pid)
        os.kill(worker, signal.SIGSTOP)
        status = Path(f"/proc/{worker}/status")
        # Or it takes the request to end first, and is stopped behind it.
        wait_until(lambda: re.search(r"State:\s*T", status.read_text()), "the worker stands still")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: int(re.search(r"ShdPnd:\s*(\w+)", status.read_text())[1], 16)
                   & 1 << (signal.SIGTERM - 1), "the worker was asked to end")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertFalse(os.path.exists(f"/proc/{worker}"))

    def test_a_host_that_breaks_off_again_and_again(self):
        breaks = iter(range(1, 4))

        def fault(handler, name):
            if name != "snap-3.bin" or handler.command != "GET" or next(breaks, None) is None:
                return False
            handler.proper(name, limit=1_000_000)
            return True
        self.host.fault = fault
        self.goes_on_after_breaks()

    def goes_on_after_breaks(self):
        self.assertEqual(self.snapshot("get", self.url, "-o", self.out).returncode, 0)
        self.assertEqual((self.out / "snap-3.bin").read_bytes(), self.data)

    def test_the_bar_is_for_terminals_and_a_log_gets_lines(self):
        code, said = on_a_terminal([BIN / "hasup", "snapshot", "get", self.url, "-o", self.out, "--max-rate", "4MiB"],
                                   {**self.home.env, "TERM": "xterm"})
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"fetch  \[#*-*\] +\d+%  .* of 11MiB")
        self.assertRegex(said, r"MiB/s, \d+s left")
        (self.out / "snap-3.bin").unlink()
        said = self.snapshot("get", self.url, "-o", self.out, "--max-rate", "8MiB").stderr
        self.assertIn(f"fetching snap-3.bin (11MiB) from {self.url}\n", said)
        self.assertNotIn("\r", said)
        (self.out / "snap-3.bin").unlink()
        self.assertEqual(self.snapshot("get", self.url, "-o", self.out, "--json").stderr, "")


class OfAUnit(SnapshotVerb):
    UNIT = """
    [data]
    dir = "{data}"
    [run]
    command = ["sleep", "1000"]
    [recovery]
    recipe = "nodeos"
    source = "{source}"
    max_snapshot_age = "14d"
    checksum = "required"
    """

    def setUp(self):
        super().setUp()
        self.data = self.home.directory("data")
        self.home.unit("leap", self.UNIT.format(data=self.data, source=f"file://{self.files}"))
        for block in (100, 200, 300, 400):
            self.put(block)

    def put(self, block, checksum=True):
        file = self.files / f"snapshot-{block:08x}{'e' * 56}.bin"
        file.write_bytes(snapshot_bytes(block))
        if checksum:
            Path(f"{file}.sha256").write_text(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
        return file

    def rows(self):
        return {r["block"]: r for r in self.json("list", "leap", "--plan", "state only")["snapshots"]}

    def test_the_unit_s_own_policy_decides(self):
        old = self.put(500)
        os.utime(old, (1_700_000_000, 1_700_000_000))
        self.put(600, checksum=False)
        bad = hashlib.sha256(snapshot_bytes(400)).hexdigest()
        state = self.home.directory("state")
        (state / "intent.json").write_text(json.dumps({"instances": {"leap@0": {"bad_snapshots": [f"sha256:{bad}"]}}}))
        rows = self.rows()
        self.assertTrue(rows[300]["taken"], rows)
        self.assertIn("remembered as bad; `hasup reset leap`", rows[400]["refused"])
        self.assertIn("older than 14d", rows[500]["refused"])
        self.assertIn("no checksum", rows[600]["refused"])
        got = self.json("get", "leap", "--plan", "state only", "-o", self.out)["files"]
        self.assertEqual(got[0]["name"], rows[300]["name"])
        named = self.json("get", "leap", rows[500]["name"], "--plan", "state only", "-o", self.out)["files"]
        self.assertEqual(named[0]["name"], rows[500]["name"], "who names one means it")

    def test_never_into_a_data_directory(self):
        for place in (self.data, self.data / "below"):
            self.assertIn("is the data of unit leap", self.failing(1, "get", "leap", "-o", place))
        (self.out / ".hasup").mkdir(parents=True)
        self.assertIn("data directory", self.failing(1, "get", self.files, "-o", self.out / "below"))
        self.assertEqual(os.listdir(self.data), [])

    def test_exit_codes(self):
        self.failing(4, "list", "laep")
        self.failing(4, "get", "leap@3")
        self.failing(2, "list")
        self.failing(2, "list", "leap", "--match", "x")
        self.failing(2, "list", "ftp://host/x/")
        self.failing(2, "list", "https://user:secret@host/x/")
        self.failing(2, "verify", "x", "--public-key", "nonsense")
        self.home.unit("broken", "[run]\ncommand = 3\n")
        self.failing(6, "list", "broken")
        self.home.unit("plain", "[run]\ncommand = ['sleep', '1000']\n")
        self.assertIn("no recovery", self.failing(1, "list", "plain"))

    def test_a_file_that_is_there_is_left_alone(self):
        self.out.mkdir()
        name = self.put(400).name
        (self.out / name).write_bytes(b"mine")
        self.assertIn("is left alone", self.failing(1, "get", "leap", "-o", self.out))
        self.assertEqual((self.out / name).read_bytes(), b"mine")
        self.assertEqual(self.snapshot("get", "leap", "-o", self.out, "--force").returncode, 0)
        self.assertEqual((self.out / name).read_bytes(), snapshot_bytes(400))


class Verify(SnapshotVerb):
    def tar(self, name, entries, mode="w:gz"):
        with tarfile.open(self.files / name, mode, format=tarfile.PAX_FORMAT) as tar:
            for entry in entries:
                info = tarfile.TarInfo(entry["name"])
                data = entry.get("data", b"")
                info.size, info.type = len(data), entry.get("type", tarfile.REGTYPE)
                info.linkname, info.mode = entry.get("link", ""), entry.get("mode", 0o644)
                tar.addfile(info, io.BytesIO(data))
        return self.files / name

    def verify(self, *words, code):
        out = self.json("verify", *words, code=code)
        return out["files"]

    def error(self, file):
        return self.verify(file, code=1)[0]["error"]

    def test_a_good_archive_with_and_without_a_checksum(self):
        good = self.tar("good.tar.gz", [{"name": "state/a", "data": b"x" * 5000}, {"name": "state/b"}])
        row, = self.verify(good, code=0)
        self.assertEqual((row["verified"], row["archive"], row["entries"], row["unpacked_size"]), (False, True, 2, 5000))
        self.assertIn("no checksum", self.verify(good, "--checksum", "required", code=1)[0]["error"])
        subprocess.run(["sh", "-c", "sha256sum *.gz > SHA256SUMS"], cwd=self.files, check=True)
        self.assertEqual(self.verify(good, code=0)[0]["verified_by"], "sha256")
        data = bytearray(good.read_bytes())
        data[len(data) // 2] ^= 1
        good.write_bytes(data)
        self.assertIn("damaged or was replaced", self.error(good))
        self.assertEqual(sorted(os.listdir(self.files)), ["SHA256SUMS", "good.tar.gz"], "nothing was written")

    def slow_reading(self):
        """An archive that takes a while to read; `hasup` and its worker reading it."""
        big = self.files / "big.bin.xz"
        if not big.exists():
            zeros = subprocess.run("head -c 400000000 /dev/zero | xz -0", shell=True, check=True, stdout=subprocess.PIPE)
            big.write_bytes(zeros.stdout * 100)  # one stream after the other, far more than is waited for
        process = self.begin("verify", big)
        wait_until(lambda: process.poll() is not None or any((self.home.path / "tmp").glob("*/job.json")), "its job")
        return process

    def test_a_call_that_is_ended_leaves_nothing_in_tmpdir(self):
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(sent=sent):
                process = self.slow_reading()
                process.send_signal(sent)
                process.communicate(timeout=120)
                self.assertEqual(process.returncode, 1)
                self.assertEqual(list((self.home.path / "tmp").iterdir()), [])

    def test_what_a_killed_call_left_in_tmpdir_goes_with_the_next_one(self):
        process = self.slow_reading()
        workers = children_of(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in workers), "its worker ended")
        left, = (self.home.path / "tmp").iterdir()
        (self.home.path / "tmp" / "hasup-other").mkdir()
        os.utime(left, (1, 1))
        self.failing(1, "verify", self.files / "nosuch")
        self.assertEqual([p.name for p in (self.home.path / "tmp").iterdir()], ["hasup-other"])
        (self.home.path / "tmp" / "hasup-other").rmdir()

    def test_the_memory_of_a_recovery_or_what_is_granted(self):
        data = self.files / "data"
        data.write_bytes(snapshot_bytes(7, 3 << 20) * 3)
        subprocess.run(["zstd", "-q", "--long=27", data, "-o", self.files / "w.bin.zst"], check=True)
        self.assertTrue(self.json("verify", self.files / "w.bin.zst")["ok"])
        out = self.json("verify", self.files / "w.bin.zst", "--max-window", "1MiB", code=1)
        self.assertIn("max_window", out["files"][0]["error"])
        self.failing(2, "verify", self.files / "w.bin.zst", "--max-window", "much")
        self.failing(2, "list", self.files, "--max-window", "1MiB")

    def test_the_memory_of_what_says_its_window_nowhere(self):
        if b"__asan_init" in (BIN / "hasup-worker-unpack").read_bytes():
            self.skipTest("the address sanitizer takes terabytes of addresses for itself")
        data = self.files / "data"
        data.write_bytes(snapshot_bytes(7, 3 << 20))
        for dictionary in ("64MiB", "512MiB"):
            subprocess.run(f"xz -k --stdout --lzma2=preset=0,dict={dictionary} {data} > {data}-{dictionary}.xz", shell=True,
                           check=True)
        self.assertTrue(self.json("verify", f"{data}-64MiB.xz", "--max-window", "64MiB")["ok"])
        self.assertTrue(self.json("verify", f"{data}-512MiB.xz")["ok"])
        out = self.json("verify", f"{data}-512MiB.xz", "--max-window", "64MiB", code=1)
        self.assertIn("data-512MiB.xz needs more memory to be decompressed than max_window allows", out["files"][0]["error"])

    def test_a_signature(self):
        good = self.tar("good.tar.gz", [{"name": "a"}])
        keys = self.home.directory("keys")
        for key in ("one", "two"):
            subprocess.run(["minisign", "-G", "-f", "-W", "-p", f"{key}.pub", "-s", f"{key}.key"], cwd=keys, check=True,
                           stdout=subprocess.DEVNULL)
        self.assertIn("is not signed", self.verify(good, "--public-key", keys / "one.pub", code=1)[0]["error"])
        subprocess.run(["minisign", "-S", "-s", keys / "one.key", "-m", good], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        key = (keys / "one.pub").read_text().splitlines()[1]
        for said in (keys / "one.pub", key):
            self.assertEqual(self.verify(good, "--public-key", said, code=0)[0]["verified_by"], "its signature")
        wrong = self.verify(good, "--public-key", keys / "two.pub", code=1)
        self.assertIn("signed with the key", wrong[0]["error"])

    def test_cut_off_at_every_place(self):
        whole = self.tar("whole.tar.gz", [{"name": f"f{i}", "data": snapshot_bytes(i, 20_000)} for i in range(5)])
        data = whole.read_bytes()
        cut = self.files / "cut.tar.gz"
        for size in (1, 10, 100, len(data) // 2, len(data) - 9, len(data) - 1):
            cut.write_bytes(data[:size])
            with self.subTest(size=size):
                self.assertIn("cannot be read", self.error(cut))
        plain = self.tar("plain.tar", [{"name": "a", "data": b"x" * 1000}], "w")
        plain.write_bytes(plain.read_bytes()[:1536])
        self.assertIn("cut off", self.error(plain))

    def test_one_file_that_is_only_compressed(self):
        file = self.files / "snapshot-1.bin"
        file.write_bytes(snapshot_bytes(1))
        subprocess.run(["zstd", "-q", file], check=True)
        row, = self.verify(f"{file}.zst", code=0)
        self.assertEqual((row["archive"], row["unpacked_size"]), (False, 100_000))
        packed = Path(f"{file}.zst").read_bytes()
        Path(f"{file}.zst").write_bytes(packed[:-5])
        self.assertIn("cut off", self.error(f"{file}.zst"))

    def test_hostile_entries_are_named(self):
        for number, (entries, why) in enumerate((
                ([{"name": "/etc/passwd"}], "is an absolute path"),
                ([{"name": "a/../../b"}], "leads upwards"),
                ([{"name": "dev", "type": tarfile.CHRTYPE}], "is a device"),
                ([{"name": "pipe", "type": tarfile.FIFOTYPE}], "is a device, a pipe"),
                ([{"name": "su", "mode": 0o4755}], "setuid"),
                ([{"name": "a"}, {"name": "a"}], "is there twice"),
                ([{"name": "l", "type": tarfile.SYMTYPE, "link": "/etc"}], "leaves the data directory"),
                ([{"name": "l", "type": tarfile.SYMTYPE, "link": "d"}, {"name": "l/x"}], "through a link"),
                ([{"name": "h", "type": tarfile.LNKTYPE, "link": "../x"}], "hard link"),
                ([{"name": ".hasup/x"}], ".hasup"))):
            with self.subTest(why=why):
                file = self.tar(f"hostile-{number}.tar.gz", entries)
                said = self.error(file)
                self.assertIn(why, said)
                self.assertIn("entry \"", said)

    def test_several_files_and_the_worst_decides(self):
        good, bad = self.tar("good.tar.gz", [{"name": "a"}]), self.files / "bad.tar.gz"
        bad.write_bytes(b"nonsense")
        rows = self.verify(good, bad, self.files / "nosuch", code=1)
        self.assertEqual([r["ok"] for r in rows], [True, False, False])
        done = self.snapshot("verify", good, bad)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 2)


if __name__ == "__main__":
    unittest.main()
