"""Many leap units under one hasupd, each on its own copy of one chain and with a fault of its own.

A fault costs a second or two, most of it waiting; side by side they cost little more than one.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from hasup_home import DEMO_NODE, HasupTest, free_port, get_info, wait_until
from leap import UNIT, tried

BLOCKS = 300
SNAPSHOTS_AT = (100, 200, 300)
STATE_HEADER = 4096  # in it the node counts while it runs; behind it is what only a --state-growth changes

# Runs a script once, right before the node, which hasup has looked after until then; then the node.
ONCE = """#!/bin/sh
once=$1; shift
if [ -e "$once" ]; then mv "$once" "$once.done"; . "$once.done"; fi
exec "$@"
"""


def children(pid):
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from children(child)


class Node:
    """A leap unit: its data, its port, how it is started."""

    def __init__(self, test, name):
        self.test, self.home, self.name = test, test.home, name
        self.data = test.home.path / name
        shutil.copytree(test.chain, self.data)
        self.port = free_port()
        self.source = f"file://{test.backup}/"
        self.before = None
        self.grows = False  # its state, while it runs

    def path(self, *parts):
        return self.data.joinpath(*parts)

    def unit(self, *more, before=(), data="", run="", limits="", recipe="nodeos", mode="auto",
             checksum="if_present"):
        """Writes the unit file. `before`: words before the node's own; data, run: lines of these sections."""
        self.grows = self.grows or "--state-growth" in more
        text = UNIT.format(data=self.data, node=DEMO_NODE, port=self.port, source=self.source, mode=mode,
                           checksum=checksum, more="".join(f', "{w}"' for w in more), params="")
        text = text.replace("command = [", "command = [" + "".join(f'"{w}", ' for w in before))
        text = text.replace('recipe = "nodeos"', f'recipe = "{recipe}"')
        text = text.replace("[data]\n", f"[data]\n{data}\n").replace("[run]\n", f"[run]\n{run}\n")
        self.home.unit(self.name, f"{text}\n{limits}\n")
        return self

    def unit_with_once(self, *more, **options):
        """The same with `self.once`: a script that is run before the next start of the node alone, when there is one."""
        wrapper = self.home.path / "once.sh"
        wrapper.write_text(ONCE)
        self.once = self.home.path / f"{self.name}.once"
        return self.unit(*more, before=("sh", wrapper, self.once), **options)

    def next_starts(self, times, script):
        """So many of them, of a unit_with_once(), are this script instead of the node."""
        seen = self.home.path / f"{self.name}.seen"
        self.once.write_text(f"echo >> '{seen}'; [ $(wc -l < '{seen}') -ge {times} ] || cp \"$once.done\" \"$once\"\n"
                             f"{script}\n")
        return self

    # Faults

    def set_dirty(self):
        """As a kill -9 leaves it."""
        with open(self.path("state", "shared_memory.bin"), "r+b") as f:
            f.seek(8)
            f.write(b"\1")
        self.path("blocks", "reversible", "fork_db.dat").unlink(missing_ok=True)

    def run_beside(self, *more, until):
        """Without hasup, until its head is beyond that block, and an orderly stop."""
        node = subprocess.Popen(self.words(self.port, *more), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: node.poll() is not None or (self.head() or 0) > until, f"{self.name} is beyond {until}")
            node.terminate()
            self.test.assertEqual(node.wait(60), 0)
        finally:
            if node.poll() is None:
                node.kill()
                node.wait()

    def words(self, port, *more):
        return list(map(str, [DEMO_NODE, "nodeos", "--data-dir", self.data, "--http", f"127.0.0.1:{port}",
                              "--block-interval", "50ms", *more]))

    def kill(self):
        pid = self.home.wait_healthy(self.name)["pid"]
        os.kill(pid, signal.SIGKILL)

    def nodeos_pid(self):
        """Of the node itself, also when a shell is the unit's main process."""
        main = self.home.unit_status(self.name)["pid"]
        for pid in [main, *children(main)] if main else []:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2] == [os.fsencode(DEMO_NODE), b"nodeos"]:
                    return pid
        return None

    # What is there

    def head(self):
        try:
            return get_info(self.port)["head_block_num"]
        except (OSError, ValueError):
            return None

    def log(self):
        return self.home.log_text(self.name)

    def events(self, kind=None):
        return [e for e in self.home.events(self.name) if kind in (None, e["kind"])]

    def exits(self):
        return len(self.events("exited"))

    def tried(self):
        return tried(self.events())

    def refusals(self):
        """Why each attempt was taken back."""
        return [e["reason"] for e in self.events("recovery_rolling_back")]

    def photograph(self):
        """Remembers what a wipe or a restore would change."""
        self.before = self.picture()
        return self

    def picture(self):
        """(inode, content) of each file; of the state, which is large, its header and a digest of the rest."""
        seen = {}
        for name in ("state/shared_memory.bin", "blocks/blocks.log", "state-history/trace_history.log"):
            path = self.path(name)
            if not path.is_file():
                continue
            content = path.read_bytes()
            if name.startswith("state/"):
                content = (content[:STATE_HEADER], hashlib.sha256(content[STATE_HEADER:]).hexdigest())
            seen[name] = (path.stat().st_ino, content)
        return seen

    def assert_untouched(self):
        """The same, when no node has run on it since it was photographed."""
        now = self.picture()
        self.test.assertEqual(now.keys(), self.before.keys(), self.name)
        for name in now:
            self.test.assertTrue(now[name] == self.before[name], f"{self.name}: {name} was altered")

    def assert_kept(self):
        """Nothing was wiped, replaced or taken back; a node that ran may have gone on with it."""
        now = self.picture()
        for name, (inode, content) in self.before.items():
            self.test.assertIn(name, now)
            self.test.assertEqual(now[name][0], inode, f"{self.name}: {name} was replaced")
            if name.startswith("state/"):
                self.test.assertTrue(self.grows or now[name][1][1] == content[1], f"{self.name}: {name} was altered")
            else:
                self.test.assertTrue(now[name][1].startswith(content), f"{self.name}: {name} lost something")
        self.assert_never_recovered()

    def assert_never_recovered(self):
        self.test.assertEqual(self.tried(), [], self.name)
        self.test.assertEqual(self.home.unit_status(self.name)["recoveries"], 0)
        self.test.assertFalse(list(self.path(".hasup").glob("aside/*")))

    def assert_last_exit(self, status, class_name, code=None, number=None):
        end = status["last_exit"]
        self.test.assertEqual((end["class"], end["code"], end["signal"]), (class_name, code, number), status["reason"])

    def wait_beyond(self, block):
        wait_until(lambda: (self.head() or 0) > block, f"{self.name} is beyond {block}")

    def wait_recovered(self, recoveries=1):
        return self.home.wait_for(self.name, state="running", health="healthy", recoveries=recoveries)

    def assert_blocks_kept(self):
        """blocks.log still begins with what it had."""
        self.test.assertTrue(self.path("blocks", "blocks.log").read_bytes().startswith(
            self.before["blocks/blocks.log"][1]), f"{self.name} lost blocks")


class FleetTest(HasupTest):
    state_size = 400_000

    @classmethod
    def setUpClass(cls):
        cls.made = Path(tempfile.mkdtemp(prefix="hasup-fleet-"))
        cls.addClassCleanup(shutil.rmtree, cls.made, ignore_errors=True)
        cls.made.chmod(0o755)
        cls.chain, cls.backup = cls.made / "chain", cls.made / "backup"
        cls.backup.mkdir()
        words = [DEMO_NODE, "make-chain", "--data-dir", cls.chain, "--blocks", BLOCKS, "--state-size", cls.state_size,
                 "--snapshots", cls.backup]
        for block in SNAPSHOTS_AT:
            words += ["--snapshot-at", block]
        subprocess.run(list(map(str, words)), check=True, timeout=60)
        cls.snapshots = [cls.backup / f"snapshot-{block:010}.bin" for block in SNAPSHOTS_AT]

    def setUp(self):
        super().setUp()
        self.nodes = []

    def node(self, name):
        self.nodes.append(Node(self, name))
        return self.nodes[-1]

    def healthy_again(self, nodes):
        """On what they had, without a recovery."""
        for node in nodes:
            with self.subTest(node.name, end="healthy"):
                self.home.wait_healthy(node.name)
                node.wait_beyond(BLOCKS)
                node.assert_kept()

    def on_a_small_disk(self, name):
        """A node with a small file system of its own; only root can make one."""
        volume = self.home.directory(f"{name}-volume")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", volume], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", volume], check=True)
        node = self.node(name)
        shutil.move(node.data, volume)
        node.data, node.volume = volume / name, volume
        return node

    def fill(self, node, leave):
        """Leaves so many bytes free."""
        free = os.statvfs(node.volume)
        with open(node.volume / "other", "ab") as f:
            f.write(b"\0" * (free.f_bavail * free.f_frsize - leave))

    def private_backup(self, node, *snapshots):
        """A backup host's directory of the node's own, with these of the snapshots."""
        directory = self.home.directory(f"{node.name}-backup")
        for snapshot in snapshots:
            shutil.copy2(snapshot, directory)
            shutil.copy2(f"{snapshot}.sha256", directory)
        node.source = f"file://{directory}/"
        return directory

    def make_snapshot(self, directory, block, *more):
        path = directory / f"snapshot-{block:010}.bin"
        subprocess.run(list(map(str, [DEMO_NODE, "make-snapshot", "--out", path, "--block", block, "--state-size",
                                      self.state_size, *more])), check=True, timeout=60)
        return path
