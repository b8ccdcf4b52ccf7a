"""Crash to the first instruction of the next run."""

import contextlib
import os
import signal
import time

import context
from board import Board
from context import Table, say
from measure import median, percentile, poll
from peer_hasup import FILES, Hasup, HasupInCrowd, HasupWithData

LIVES_S = 1.1      # some supervisors make what lived for less than a second wait
AT_ONCE_S = 0.1    # so long nobody else's process is crashed
GIVES_UP_S = 10


class Runner:
    """One supervisor with one process, crashed again and again."""

    def __init__(self, peer_class):
        self.peer = peer_class()
        self.board = Board(self.peer.dir, 1)
        self.peer.add("crasher", [context.NODE, "crash", self.board.path, 0, self.board.fifo(0)])
        self.seen = 1
        self.times = []
        self.crashes = 0
        self.down = False
        self.quick = True  # until it took its time

    def start(self):
        self.peer.start()
        poll(lambda: self.board.read(0)["starts"] == 1, f"{self.peer.name} starts its process")

    def is_down(self):
        """Crashed and not back yet. Takes the time as soon as the next run is there."""
        now = self.board.read(0)
        if self.down and now["starts"] != self.seen:
            self.down = False
            self.seen = now["starts"]
            self.times.append(now["first_ns"] - now["died_ns"])
        return self.down

    def crash(self):
        self.down = True
        self.crashes += 1
        self.board.trigger(0)
        until = time.monotonic() + AT_ONCE_S
        while self.is_down() and time.monotonic() < until:
            time.sleep(0.0005)
        self.quick = self.quick and not self.down

    def ready(self):
        first = self.board.read(0)["first_ns"]
        return time.monotonic_ns() - first > LIVES_S * 1e9

    def end(self):
        self.peer.end()
        self.board.close()


def crash_in_turn(runners, sizes):
    while any(r.crashes < sizes.crashes for r in runners if r.quick):
        for r in runners:
            if r.crashes < sizes.crashes and not r.is_down() and r.ready():
                r.crash()
        time.sleep(0.005)
    for r in runners:
        poll(lambda: not r.is_down(), f"{r.peer.name} restarts its process", GIVES_UP_S, 0.05)


@contextlib.contextmanager
def crowd(count):
    """So many processes that do nothing."""
    pids = []
    try:
        for _ in range(count):
            pids.append(os.posix_spawn("/bin/sleep", ["sleep", "100000"], {}))
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def measure(peer_classes, sizes):
    say(f"restart: {sizes.crashes} crashes of each, one at a time")
    runners = []

    def add(peer_class):
        runners.append(Runner(peer_class))
        runners[-1].start()

    try:
        for peer_class in peer_classes:
            add(peer_class)
        if Hasup not in peer_classes:
            crash_in_turn(runners, sizes)
        else:
            add(HasupWithData)
            crash_in_turn(runners, sizes)
            add(HasupInCrowd)
            with crowd(sizes.crowd):
                crash_in_turn(runners[-1:], sizes)
        return table(runners, sizes)
    finally:
        for r in runners:
            r.end()


def table(runners, sizes):
    bare = next((median(r.times) for r in runners if r.peer.name == "bare loop"), None)
    rows = []
    for r in runners:
        middle = median(r.times)
        ratio = f"{middle / bare:.2f}x" if bare else ""
        rows.append([r.peer.name, f"{middle / 1e6:.2f} ms", f"{percentile(r.times, 99) / 1e6:.2f} ms", ratio,
                     str(len(r.times))])
    return Table("A crashed process runs again",
                 "From the last instruction of a process that kills itself to the first of its next run, both written "
                 "by itself. Backoff 0, or as low as the supervisor allows; each process lived for a second before, "
                 "because runit holds up younger ones. One process is crashed at a time, each supervisor in turn; those that "
                 "wait for a second have fewer crashes in the same time. `[data] checked` is a unit with a data directory, "
                 f"as every node has, here of {FILES} files: hasup makes sure that nobody else has them open, which no peer does; "
                 f"the last row is the same beside {sizes.crowd:,} other processes.",
                 ["", "median", "p99", "of the bare loop", "crashes"], rows)
