"""A leap unit on the stand-in nodeos, its chain and its backup host: what several tests begin with."""

import os
import shutil
import signal
import subprocess

from hasup_home import DEMO_NODE, HasupTest, free_port, get_info, write_sha256

BLOCKS = 300
SNAPSHOTS_AT = (100, 200, 300)

UNIT = """
[data]
dir = "{data}"

[run]
command = ["{node}", "nodeos", "--data-dir", "${{data.dir}}", "--http", "127.0.0.1:{port}",
           "--block-interval", "100ms"{more}]
stop_timeout = "30s"
start_timeout = "60s"

[startup]
preset = "antelope"
url = "http://127.0.0.1:{port}"
interval = "100ms"

[readiness]
preset = "antelope"
url = "http://127.0.0.1:{port}"
max_head_age = "30s"
interval = "100ms"
timeout = "5s"

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[recovery]
recipe = "nodeos"
source = "{source}"
checksum = "{checksum}"
mode = "{mode}"

[recovery.params]
full_set = "always"
advancing_for = "500ms"
{params}
"""

FOLLOWER = """
[run]
command = ["{node}", "evm-node", "--leap", "127.0.0.1:{leap}", "--http", "127.0.0.1:{port}", "--ship-max-retry", "9999"]

[readiness]
preset = "evm"
url = "http://127.0.0.1:{port}"
interval = "100ms"
timeout = "5s"

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[[requires]]
unit = "leap"
condition = "healthy"
on_loss = "restart"
"""


def tried(events):
    """(snapshot, plan) of each attempt, in order."""
    return [(e["reason"].split()[1], e["reason"].split('(plan "')[1].split('"')[0])
            for e in events if e["reason"].startswith("trying ")]


class LeapTest(HasupTest):
    state_size = 400_000

    def setUp(self):
        super().setUp()
        self.data = self.home.path / "leap"
        self.backup = self.home.directory("backup")
        self.port = free_port()
        command = [DEMO_NODE, "make-chain", "--data-dir", self.data, "--blocks", BLOCKS, "--state-size",
                   self.state_size, "--snapshots", self.backup]
        for block in SNAPSHOTS_AT:
            command += ["--snapshot-at", block]
        subprocess.run(list(map(str, command)), check=True, timeout=60)
        self.snapshots = sorted(p for p in self.backup.iterdir() if p.suffix == ".bin")

    def leap_unit(self, source, mode="auto", checksum="if_present", more=(), params=""):
        words = "".join(f', "{w}"' for w in more)
        self.home.unit("leap", UNIT.format(data=self.data, node=DEMO_NODE, port=self.port, source=source, mode=mode,
                                           checksum=checksum, more=words, params=params))

    def follower_unit(self):
        port = free_port()
        self.home.unit("evm-node", FOLLOWER.format(node=DEMO_NODE, leap=self.port, port=port))
        return port

    def break_leap(self):
        """kill -9 of the running node: its database is dirty afterwards. The pid that was."""
        pid = self.home.wait_healthy("leap")["pid"]
        os.kill(pid, signal.SIGKILL)
        return pid

    def answers(self):
        try:
            return get_info(self.port)
        except OSError:
            return None

    def start_other_node_on_the_port(self):
        """Somebody else's nodeos in the best of health, on the port of leap's API, with data of its own."""
        other = self.home.path / "other"
        shutil.copytree(self.data, other)
        return self.start_program([DEMO_NODE, "nodeos", "--data-dir", other, "--http", f"127.0.0.1:{self.port}",
                                   "--block-interval", "100ms"], self.answers)

    def make_dirty(self):
        """The same without hasup: sets the dirty flag of the stopped node's database."""
        with open(self.data / "state" / "shared_memory.bin", "r+b") as f:
            f.seek(8)
            f.write(b"\1")

    def wait_recovered(self, recoveries=1, **options):
        status = self.home.wait_for("leap", state="running", health="healthy", recoveries=recoveries, **options)
        return status, get_info(self.port)

    def tried(self):
        return tried(self.home.events("leap"))

    def assert_last_exit(self, status, class_name, code):
        self.assertEqual((status["last_exit"]["class"], status["last_exit"]["code"]), (class_name, code), status["reason"])

    def alter(self, path):
        """One byte in the data; nodeos would load it without a word."""
        with open(path, "r+b") as f:
            f.seek(self.state_size // 2)
            byte = f.read(1)
            f.seek(self.state_size // 2)
            f.write(bytes([byte[0] ^ 0x20]))

    def truncate(self, path, with_checksum=False):
        """An archive made on a full disk; its checksum may even fit."""
        with open(path, "r+b") as f:
            f.truncate(path.stat().st_size // 2)
        if with_checksum:
            write_sha256(path)

    def remove_backup(self):
        shutil.rmtree(self.backup)


class SmallVolume(LeapTest):
    """The same on a file system of 80 MiB."""

    def setUp(self):
        super().setUp()
        self.volume = self.home.directory("volume")
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", self.volume]).returncode:
            self.skipTest("only root can mount a small tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", self.volume], check=True)
        subprocess.run(["cp", "-a", self.data, self.volume / "leap"], check=True)
        self.data = self.volume / "leap"

    def fill(self, leave):
        """Writes until so many bytes are free."""
        free = os.statvfs(self.volume)
        with open(self.volume / "other", "ab") as f:
            f.write(b"\0" * (free.f_bavail * free.f_frsize - leave))

    def set_space(self, word, unit="leap"):
        path = self.home.path / "etc" / "units" / f"{unit}.toml"
        path.write_text(path.read_text().replace("[recovery]\n", f'[recovery]\nspace = "{word}"\n'))
