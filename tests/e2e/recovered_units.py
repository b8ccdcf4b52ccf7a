"""What test_random_recoveries.py recovers: the demo node, a real redis and a real anvil, each on a small volume of its own.

Each knows how it is broken, and tells by content, not by hasup's word, on which state it is: one of its snapshots, or
the one that it had before, which bears a mark that no snapshot has.
"""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tarfile
import tempfile

import redis_node
import test_anvil
from hasup_home import DEMO_NODE, alive, end_process, free_port, get_info, rpc, wait_until

COMMON = """
[restart]
backoff = {{ initial = "100ms", max = "500ms" }}
start_limit = {{ count = 12, within = "10m" }}

[recovery]
recipe = "{recipe}"
source = [{{ url = "{source}", patience = "3s" }}]
checksum = "{checksum}"
"""

LEAP = """
[data]
dir = "{data}"

[run]
command = ["{node}", "nodeos", "--data-dir", "${{data.dir}}", "--http", "127.0.0.1:{port}", "--block-interval", "50ms"]
stop_timeout = "20s"
start_timeout = "10s"

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
""" + COMMON + """
[recovery.params]
full_set = "always"
advancing_for = "200ms"
within = "10s"
"""

REDIS = """
[data]
dir = "{data}"

[run]
command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--dir", "${{data.dir}}", "--save", "",
           "--appendonly", "no"]
stop_timeout = "20s"

[readiness]
interval = "100ms"
timeout = "5s"
kind = "exec"
command = ["sh", "-c", "test \\"$(redis-cli -p {port} ping)\\" = PONG"]
""" + COMMON

ANVIL = """
[data]
dir = "{data}"

[run]
command = ["{node}", "--host", "127.0.0.1", "--port", "{port}", "--state", "${{data.dir}}/state.json"]
env = {{ HOME = "{home}" }}
stop_timeout = "20s"

[readiness]
preset = "evm"
url = "http://127.0.0.1:{port}"
interval = "100ms"
timeout = "5s"
""" + COMMON

STATE_SIZE = 400_000
WHOLE_DIRTY_HEADER = 4096


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def archive_of(directory, name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(directory / name, name)
    return out.getvalue()


class Recovered:
    """A unit, its volume and its snapshots. `host` is where the snapshots are; `archives`: name -> bytes as published."""

    wiped = ()     # what the recipe may replace
    checksum = "required"

    def __init__(self, home, volume, host):
        self.home, self.volume, self.host = home, volume, host
        self.data = volume / self.name
        self.data.mkdir()
        self.port = free_port()
        self.marks = 0
        self.archives = {}
        self.make()
        for name, content in self.untouchable().items():
            path = self.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.kept = {name: self.proof_of(self.data / name) for name in self.untouchable()}
        self.publish()
        home.unit(self.name, self.text.format(data=self.data, node=self.program(), port=self.port, source=host.url,
                                              home=home.path, recipe=self.recipe, checksum=self.checksum))

    # The snapshots

    def publish(self):
        """All as they were made, with their checksums."""
        self.host.files.clear()
        for name, data in self.archives.items():
            self.host.files[name] = data
            self.host.files[name + ".sha256"] = f"{sha256(data)}  {name}\n".encode()
        self.index()

    def index(self):
        rows = "".join(f'<a href="{n}">{n}</a>  22-Nov-2026 01:00  {len(d)}\n' for n, d in self.host.files.items() if n)
        self.host.files[""] = f"<html><head><title>Index of /</title></head><body><pre>\n{rows}</pre></body></html>".encode()

    def newest(self):
        return sorted(self.archives, key=self.order)[-1]

    def order(self, name):
        return name

    # The state

    def untouchable(self):
        return {"beside.txt": "not of the state\n"}

    def proof_of(self, path):
        """Of a file that nothing may have touched: not even replaced by an equal one."""
        return (os.stat(path).st_ino, sha256(path.read_bytes()))

    def picture(self):
        """inode -> proof of each file that a recovery replaces, as the broken unit has it."""
        files = {}
        for entry in self.wiped:
            top = self.data / entry
            for path in [top] if top.is_file() else (p for p in top.rglob("*") if p.is_file()):
                files[str(path.relative_to(self.data))] = self.proof_of(path)
        return files

    def lost_of(self, picture):
        """What of it is gone or altered; where a swap was left half way it may be put aside."""
        parked = (self.data / ".hasup" / "swap.json").exists()
        present = {}
        for path in self.data.rglob("*"):
            if path.is_file() and (parked or ".hasup" not in path.parts):
                present[self.proof_of(path)] = str(path.relative_to(self.data))
        return [f"{name} {proof}" for name, proof in picture.items()
                if proof not in present or not parked and present[proof] != name]

    def nodes(self):
        """pid -> command of every process of the node on this state."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                exe = os.readlink(f"/proc/{entry}/exe")
                if os.path.basename(exe) != os.path.basename(self.program_file):
                    continue
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    command = f.read().replace(b"\0", b" ").decode(errors="replace")
                cwd = os.readlink(f"/proc/{entry}/cwd")
            except OSError:
                continue
            if (str(self.data) in command or cwd == str(self.data)) and alive(int(entry)):
                found[int(entry)] = command
        return found

    def program(self):
        return self.program_file

    def run_beside(self, words, ready, **options):
        """A node of the test's own, while it makes the snapshots."""
        log = tempfile.TemporaryFile()
        process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        try:
            wait_until(lambda: process.poll() is not None or ready(), f"{words[0]} is ready")
            if process.poll() is not None:
                log.seek(0)
                raise AssertionError(f"{words[0]} ended with {process.returncode}: {log.read()[-2000:]}")
        except BaseException:
            end_process(process)
            raise
        return process

    # How it is broken

    def breaks(self):
        return ("killed", "damaged", "truncated", "missing", "by hand", "by hand")

    def break_it(self, how):
        """What a recovery must bring back or leave as it is: a picture of files, none where the node goes on."""
        if how == "by hand":
            self.refused = self.home.hasup("recover", self.name, "--yes", "--no-wait").returncode != 0
            return None
        if how == "killed":
            return self.kill_running()
        self.home.ok("stop", self.name)
        {"damaged": self.damage, "truncated": self.truncate, "missing": self.state_file.unlink}[how]()
        picture = self.picture()
        self.home.hasup("start", self.name, "--no-wait")
        return picture

    def kill_running(self):
        self.damage()
        picture = self.picture()
        os.kill(self.home.unit_status(self.name)["pid"], signal.SIGKILL)
        return picture

    def damage(self):
        with open(self.state_file, "r+b") as f:
            f.write(b"not a database")

    def truncate(self):
        os.truncate(self.state_file, self.state_file.stat().st_size // 2)


class Leap(Recovered):
    name, recipe, text = "leap", "nodeos", LEAP
    program_file = DEMO_NODE
    checksum = "if_present"
    wiped = ("state",)
    blocks = 300

    def make(self):
        self.state_file = self.data / "state" / "shared_memory.bin"
        made = self.home.directory("made")
        self.data.rmdir()
        subprocess.run(list(map(str, [DEMO_NODE, "make-chain", "--data-dir", self.data, "--blocks", self.blocks,
                                      "--state-size", STATE_SIZE, "--snapshots", made, "--snapshot-at", 100,
                                      "--snapshot-at", 200, "--snapshot-at", 300])), check=True, timeout=60)
        for path in made.glob("*.bin"):
            self.archives[path.name] = path.read_bytes()
        shutil.rmtree(made)
        self.first = self.state_file.read_bytes()  # what it begins with is of no snapshot

    def block_of(self, name):
        return int(re.match(r"snapshot-(\d+)", name)[1])

    def order(self, name):
        return self.block_of(name)

    def untouchable(self):
        return {**super().untouchable(), "protocol_features/BUILTIN-PREACTIVATE_FEATURE.json": '{"enabled":true}\n'}

    def proof_of(self, path):
        # The flag, the head and its time change while it runs: what is behind them is the state.
        data = path.read_bytes()
        if path.name == "shared_memory.bin" and len(data) > WHOLE_DIRTY_HEADER and data[:6] == b"EOSIOD":
            data = data[WHOLE_DIRTY_HEADER:]
        return (os.stat(path).st_ino, sha256(data))

    def mark(self):
        """Into the mapped state itself, which no snapshot has."""
        self.marks += 1
        with open(self.state_file, "r+b") as f:
            f.seek(WHOLE_DIRTY_HEADER)
            f.write(f"mark {self.marks:11}".encode())
        self.head = get_info(self.port)["head_block_num"]
        self.log = (self.data / "blocks" / "blocks.log").read_bytes()[:-200]

    def accepted_old(self):
        return {("mark", self.marks)}

    def identity(self):
        """("mark", n) of what it had, or ("snapshot", name); else a text that says what is wrong."""
        data = self.state_file.read_bytes()
        size = struct.unpack_from("<Q", data, 32)[0]
        content = data[WHOLE_DIRTY_HEADER:WHOLE_DIRTY_HEADER + size]
        marked = re.match(rb"mark +(\d+)", content[:16])
        of = [n for n, archive in self.archives.items() if size == STATE_SIZE and content[16:] in archive]
        if not of and not (marked and content[16:] in self.first):
            return f"the state is of no snapshot ({size} bytes)"
        head = get_info(self.port)["head_block_num"]
        if marked:
            if int(marked[1]) == self.marks and head < self.head:
                return f"head {head} is below {self.head}, that it had"
            return ("mark", int(marked[1]))
        if content not in self.archives[of[0]]:
            return "the first bytes of the state are neither a mark nor the snapshot's"
        return ("snapshot", of[0]) if head >= self.block_of(of[0]) else f"head {head} is below {of[0]}'s"

    def also_wrong(self, events):
        """Blocks are replaced by the plan for that alone."""
        if any("full set" in e["reason"] for e in events if e["kind"] == "recovery_selected"):
            return []
        now = (self.data / "blocks" / "blocks.log").read_bytes()
        return [] if now.startswith(self.log) else ["blocks.log does not begin with the blocks that it had"]

    def kill_running(self):
        picture = self.picture()  # but for the header, which it writes until the end
        os.kill(self.home.unit_status(self.name)["pid"], signal.SIGKILL)
        return picture

    def damage(self):
        with open(self.state_file, "r+b") as f:
            f.write(b"eosiodb0")

    def truncate(self):
        """nodeos says then what it also says of a file that it may not read, so that hasup holds."""
        os.truncate(self.state_file, self.state_file.stat().st_size // 4)


class Redis(Recovered):
    name, recipe, text = "redis", "redis", REDIS
    wiped = ("dump.rdb",)
    program_file = os.path.realpath(shutil.which("redis-server") or "redis-server")

    def program(self):
        return "redis-server"

    def make(self):
        self.state_file = self.data / "dump.rdb"
        node = self.run_beside(redis_node.server(self.port, self.data), lambda: redis_node.answers(self.port))
        try:
            for day, keys in ((18, 50), (19, 100), (20, 150)):
                name = f"redis-2026-11-{day}.tar.gz"
                self.cli("flushall")
                self.cli("mset", "of", name, *(w for n in range(keys) for w in (f"key:{n}", f"value {n} of {name}")))
                self.cli("save")
                self.archives[name] = archive_of(self.data, "dump.rdb")
        finally:
            end_process(node)

    def cli(self, *words):
        return redis_node.cli(self.port, *words)

    def mark(self):
        self.marks += 1
        self.cli("set", "mark", str(self.marks))
        if self.cli("save") != "OK":
            raise RuntimeError("redis cannot save")

    def accepted_old(self):
        return {("mark", self.marks)}

    def identity(self):
        of, mark, size = self.cli("get", "of"), self.cli("get", "mark"), int(self.cli("dbsize"))
        keys = size - 1 - bool(mark)
        want = {"redis-2026-11-18.tar.gz": 50, "redis-2026-11-19.tar.gz": 100, "redis-2026-11-20.tar.gz": 150}
        if of not in want or want[of] != keys:
            return f"{size} keys of {of!r}, mark {mark!r}"
        values = self.cli("mget", *(f"key:{n}" for n in range(keys))).splitlines()
        if values != [f"value {n} of {of}" for n in range(keys)]:
            return f"the values are not those of {of}"
        return ("mark", int(mark)) if mark else ("snapshot", of)

    def also_wrong(self, events):
        return []


class Anvil(Recovered):
    name, recipe, text = "anvil", "anvil", ANVIL
    wiped = ("state.json",)
    ether = 10**18

    def make(self):
        self.program_file = os.path.realpath(test_anvil.anvil_program())
        self.state_file = self.data / "state.json"
        self.heads = {}
        for day in (18, 19, 20):
            node = self.run_beside([self.program_file, "--host", "127.0.0.1", "--port", self.port, "--state",
                                    self.state_file], self.answers, env=dict(os.environ, HOME=str(self.home.path)))
            try:
                before = self.balance()
                self.pay(self.ether)
                wait_until(lambda: self.balance() == before + self.ether, "a payment")
                rpc(self.port, "anvil_mine", ["0x10"])
                head = int(rpc(self.port, "eth_blockNumber"), 16)
                last = self.hash_of(head)
            finally:
                end_process(node)
            name = f"anvil-2026-11-{day}.tar.gz"
            self.heads[name] = (head, last)
            self.archives[name] = archive_of(self.data, "state.json")

    def answers(self):
        try:
            return rpc(self.port, "eth_blockNumber") is not None
        except (OSError, RuntimeError):
            return False

    def balance(self):
        return int(rpc(self.port, "eth_getBalance", [test_anvil.RECEIVER, "latest"]), 16)

    def hash_of(self, number):
        block = rpc(self.port, "eth_getBlockByNumber", [hex(number), False])
        return block and block["hash"]

    def pay(self, value):
        rpc(self.port, "eth_sendTransaction",
            [{"from": test_anvil.SENDER, "to": test_anvil.RECEIVER, "value": hex(value)}])

    def mark(self):
        """The wei beyond the snapshot's whole ether. It is on the disk only after an orderly end of the node."""
        on_disk = self.identity_of(self.balance_on_disk())
        self.marks += 1
        self.pay(self.marks - self.balance() % self.ether)
        wait_until(lambda: self.balance() % self.ether == self.marks, "the mark")
        self.old = {("mark", self.marks), on_disk}
        self.at = int(rpc(self.port, "eth_blockNumber"), 16)

    def accepted_old(self):
        return self.old

    def balance_on_disk(self):
        accounts = json.loads(self.state_file.read_text())["accounts"]
        return int(next(a["balance"] for k, a in accounts.items() if k.lower() == test_anvil.RECEIVER.lower()), 16)

    def identity_of(self, balance):
        ethers, mark = divmod(balance, self.ether)
        return ("mark", mark) if mark else ("snapshot", f"anvil-2026-11-{17 + ethers}.tar.gz")

    def identity(self):
        balance = self.balance()
        found = self.identity_of(balance)
        head = int(rpc(self.port, "eth_blockNumber"), 16)
        if found == ("mark", self.marks) and head < self.at:
            return f"block {head} is below {self.at}, that it had"
        base = f"anvil-2026-11-{17 + balance // self.ether}.tar.gz"
        if base not in self.heads or head < self.heads[base][0]:
            return f"balance {balance} at block {head}"
        number, wanted = self.heads[base]
        if self.hash_of(number) != wanted:
            return f"block {number} is not that of {base}"
        return found

    def also_wrong(self, events):
        return []
