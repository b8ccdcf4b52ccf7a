"""A process that writes log lines flat out: how many arrive with time stamps, and how long it was held up."""

import os
import subprocess
import time

import context
from board import Board
from context import Table, say
from measure import median, poll
from peers import Peer

LINE = 100          # bytes with the newline: a number of 13, then letters
BLOCKS = (1, 40)    # lines in a write: one, as loggers that flush do; 4 KB, as stdio to a pipe does
CALM_S = 0.5        # nothing came so long: all that will come is there
DRAIN_S = 120
STAMPS = {"hasup": "ns", "pm2": "s", "supervisord": "none", "s6-log T": "ns", "svlogd -tt": "us", "bare file": "none"}


class BareFile(Peer):
    """The process has the file itself: no time stamps, nobody who could rotate it."""
    name = "bare file"

    def add(self, name, argv, requires=()):
        self.argv = list(map(str, argv))

    def start(self):
        self.run_with(self.dir / "bare.log")

    def run_with(self, output):
        with open(output, "ab") if not isinstance(output, int) else os.fdopen(output, "wb") as log:
            self.root = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log)

    def stop(self):
        if self.root.poll() is None:
            self.root.kill()
        self.root.wait()

    def log_files(self, name):
        return [self.dir / "bare.log"]


class Piped(BareFile):
    """A pipe to a logger, without a supervisor: what the services of s6 and runit have."""
    logger = ()

    def start(self):
        self.main = self.dir / "main"
        self.main.mkdir()
        (self.main / "config").write_text("s4000000000\n")  # svlogd's; s6-log has it in its arguments
        read, write = os.pipe()
        self.log = subprocess.Popen(list(map(str, self.logger)), env=self.env, cwd=self.dir, stdin=read)
        os.close(read)
        self.run_with(write)

    def stop(self):
        super().stop()
        self.log.wait()

    def log_files(self, name):
        return [f for f in self.main.iterdir() if f.name == "current" or f.name.startswith("@")]


class S6Log(Piped):
    name = "s6-log T"
    needs = ("s6-log",)
    logger = ("s6-log", "-b", "n20", "s268435455", "T", "./main")


class Svlogd(Piped):
    name = "svlogd -tt"
    needs = ("svlogd",)
    logger = ("svlogd", "-tt", "./main")


def total_size(files):
    size = 0
    for file in files:
        try:
            size += file.stat().st_size
        except OSError:  # renamed just now
            continue
    return size


def count_lines(files):
    done = subprocess.run(["grep", "-hcE", "n[0-9]{11} [a-z]{86}$", *map(str, files)], text=True,
                          env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, stdout=subprocess.PIPE)
    return sum(map(int, done.stdout.split()))


def one_round(peer_class, block, sizes):
    """Lines that arrived, lines a second until the last had arrived, lines lost, the longest write in ns."""
    peer = peer_class()
    board = Board(peer.dir, 1)
    try:
        peer.add("writer", [context.NODE, "log", board.path, 0, board.fifo(0), sizes.log_ms, LINE, block])
        peer.start()
        poll(lambda: board.started() == 1, f"{peer.name} starts the writer")
        board.trigger(0)
        size, changed = -1, time.monotonic()
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            now = total_size(peer.log_files("writer"))
            if now != size:
                size, changed = now, time.monotonic()
            elif board.ended() == 1 and time.monotonic() - changed > CALM_S:
                break
            time.sleep(0.003)
        slot = board.read(0)
        arrived = count_lines(peer.log_files("writer"))
        seconds = changed - slot["begun_ns"] / 1e9
        written = slot["lines"] / ((slot["ended_ns"] - slot["begun_ns"]) / 1e9)
        return {"rate": arrived / seconds, "written": written, "lost": slot["lines"] - arrived,
                "longest": slot["longest_ns"]}
    finally:
        peer.end()
        board.close()


def measure(peer_classes, sizes):
    loggers = [c for c in peer_classes if c.name in ("hasup", "pm2", "supervisord")]
    loggers += [c for c in (S6Log, Svlogd, BareFile) if not c.missing()]
    seen = {}
    for round_ in range(sizes.log_rounds):
        for block in BLOCKS:
            for c in loggers:
                say(f"logs: {block} line{'s' if block > 1 else ''} a write, {c.name}, round {round_ + 1}")
                seen.setdefault((c.name, block), []).append(one_round(c, block, sizes))
    return table(loggers, seen, sizes)


def table(loggers, seen, sizes):
    rows = []
    for block in BLOCKS:
        for c in loggers:
            took = seen[c.name, block]
            rate, written = median([t["rate"] for t in took]), median([t["written"] for t in took])
            mine = median([t["rate"] for t in seen.get(("hasup", block), took)])
            rows.append([c.name, STAMPS[c.name], "1 line" if block == 1 else f"{block} lines", f"{rate / 1e3:,.0f}k",
                         f"{rate / mine:.2f}x", f"{written / 1e3:,.0f}k",
                         f"{max(t['longest'] for t in took) / 1e6:.1f} ms", str(sum(t["lost"] for t in took))])
    return Table("Log lines flat out",
                 f"A process writes lines of {LINE} bytes for {sizes.log_ms / 1000:g} s as fast as it can. Lines a second "
                 "that are in the log, until the last one is there, what the process could write a second, its longest "
                 "write of all rounds, and lines that are in no file, or not whole. s6-log and svlogd stand behind a bare pipe.",
                 ["", "stamps", "a write", "lines/s in the log", "of hasup", "lines/s written", "longest write",
                  "lost or torn"], rows)
