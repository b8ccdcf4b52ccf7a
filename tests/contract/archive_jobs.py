"""A node's state as archives, a host that has them, and the jobs that restore them."""

import hashlib
import io
import json
import os
import random
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

from fault_host import FaultHost
from hasup_home import wait_until
from test_sources import Sources, snapshot_bytes

BIG = 12_000_000  # in one stream; more comes in pieces
CHANGED = 1_700_000_000  # seconds, as the archives say
ENOUGH = 11_000_000  # of it for the first files to come out


def node_files(seed=1, big=BIG):
    """A node's state, as path -> content, kind of link or None for a directory; the smallest first."""
    return {"./": None, "state/": None, "state/first": b"first", "state/link": "first", "state/sub/": None,
            "state/sub/holes": snapshot_bytes(seed, 70_000) + bytes(3_000_000) + b"end", "state/empty": b"",
            "state/big": snapshot_bytes(seed + 1, big), "blocks/": None, "blocks/log": snapshot_bytes(seed + 2, 200_000),
            "keys/": None, "keys/secret": b"of another node"}


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            info.mtime = CHANGED
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o750
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size, info.mode = len(content), 0o640
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def zip_of(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            if isinstance(content, bytes):
                archive.writestr(path, content)
    return out.getvalue()


def packed(data, *command):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def tree(top):
    """Everything below a directory that a node could see."""
    out = {}
    for path in sorted(Path(top).rglob("*")):
        st = path.lstat()
        what = (os.readlink(path) if path.is_symlink() else
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        out[str(path.relative_to(top))] = (stat.filemode(st.st_mode), what, st.st_mtime_ns == CHANGED * 10**9)
    return out


class ArchiveJobs(Sources):
    """Jobs of one plan on a data directory, with a host that has its archives."""

    def setUp(self):
        super().setUp()
        self.host = FaultHost()
        self.addCleanup(self.host.close)
        self.archives = [{"match": "*", "order": "name", "unpack": "archive", "into": ".", "strip": True}]
        self.names = ["a.tar.zst"]
        self.more = {}

    def put(self, data, name="a.tar.zst", announce=True):
        self.host.files[name] = data
        if announce:
            self.host.files[name + ".sha256"] = hashlib.sha256(data).hexdigest().encode()
        return data

    def put_node(self, **options):
        return self.put(packed(tar_of(node_files(**options)), "zstd", "-q", "-1"))

    def plan_job(self, mode, **more):
        snapshots = [{"name": n, "url": self.host.url + n, "source": self.host.url, "size": len(self.host.files[n]),
                      "time_ns": None, "block": None, "sha256": ""} for n in self.names]
        return {"mode": mode, "sources": [{"url": self.host.url}], "chosen": {"plan": 0, "snapshots": snapshots},
                "checksum": "if_present", "data_dir": str(self.data), "keep": ["keys"], "must_exist": [],
                "plan": {"name": "p", "wipe": ["state", "blocks", "note"], "archives": self.archives}, **self.more, **more}

    def own(self, *path):
        return self.data.joinpath(".hasup", *path)

    @property
    def first(self):
        """What comes out of the archive first."""
        return self.own("staging", "ahead", "unpack", "0", "state", "first")

    @property
    def mark(self):
        return self.own("staging", "ahead.json")

    def fetch_ahead(self, **more):
        return self.job(self.plan_job("fetch", unpack_ahead=True, **more))

    def succeed(self, out):
        self.assertEqual(out["failure"], "none", out["error"])
        return out

    def unpack(self, **more):
        return self.job(self.plan_job("unpack", **more))

    def outcome(self):
        """What an unpack job says and leaves, whatever the directory is called."""
        out = self.succeed(self.unpack())
        staged = json.loads(self.own("staging", "staged.json").read_text())
        self.assertEqual(sorted(p.name for p in self.own("staging").iterdir()), ["archives", "new", "staged.json"])
        said = json.loads(json.dumps([out, staged]).replace(str(self.data), "DATA"))
        for measured in ("work_ms", "work_bytes"):  # how fast it went, and what was ahead was no work any more
            said[0].pop(measured)
        return said, tree(self.own("staging"))

    def ordinary(self):
        """What comes out when everything is fetched first, in a directory of its own."""
        own, self.data = self.data, self.home.directory(f"ordinary{random.random()}")
        for name in ("state", "keys"):
            (self.data / name).mkdir()
        self.succeed(self.job(self.plan_job("fetch")))
        self.assertEqual(list(self.own("staging").iterdir()), [])
        said, left = self.outcome()
        self.data = own
        for name in ("state", "keys"):
            (self.data / name).mkdir(exist_ok=True)
        return said, {p: v for p, v in left.items() if p != "staged.json"}

    def same_as(self, expected):
        said, left = self.outcome()
        left.pop("staged.json")
        self.assertEqual(left, expected[1])
        self.assertEqual(said, expected[0])

    def file_ids(self, *below):
        """Which file it is: numbers of inodes are used again."""
        return {p.name: (p.lstat().st_ino, p.lstat().st_ctime_ns)
                for p in self.own("staging", *below).rglob("*") if p.is_file() and not p.is_symlink()}

    def expect_ahead(self, expected):
        """The mark is there; unpacking only moves what lies there."""
        self.assertTrue(self.mark.exists())
        before = self.file_ids("ahead")
        self.same_as(expected)
        after = self.file_ids("new") | self.file_ids("archives")
        self.assertEqual(after, before)
        self.assertFalse(self.mark.exists())

    def nothing_ahead(self):
        self.assertFalse(self.mark.exists())
        self.assertFalse(self.own("staging", "ahead").exists())

    def sibling_of(self, worker):
        """The process that unpacks."""
        def found():
            children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
            return next((int(c) for c in children if b"--ahead" in Path(f"/proc/{c}/cmdline").read_bytes()), None)
        return wait_until(found, "the sibling that unpacks")

    def hold_after(self, sent, until):
        """The host brings no more than that before until() is true."""
        self.host.on_sent = lambda: self.host.sent < sent or wait_until(until, "what the host waits for")

    # ---- what comes out
