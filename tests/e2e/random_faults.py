"""Faults for test_random_recoveries.py: each a real one, begun at a moment drawn from the seed, and over after another.

A moment is an event of the unit, or so many bytes sent by its host of snapshots, and a few looks more.
"""

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import time

from hasup_home import end_process, processes_of, workers_of

MOMENTS = ("exited", "recovering", "recovery_began", "recovery_selected", "recovery_fetched", "recovery_staged",
           "recovery_swapping", "recovery_swapped", "recovery_first_start", "recovery_loaded", "recovery_confirmed",
           "recovery_rolling_back", "recovery_retry", "bytes")
LONGEST = 4  # seconds that a lasting fault lasts when nothing happens


class Fault:
    """waiting -> begun -> over. `after` counts the looks since the moment came; a look is a few milliseconds."""

    lasting = False
    moments = MOMENTS
    harms_state = False  # what the node had may not be whole afterwards

    def __init__(self, rng, unit, world):
        rng = self.rng = random.Random(rng.random())  # what it draws later does not depend on the others
        self.unit, self.world = unit, world
        self.moment = rng.choice(self.moments) if self.moments else None
        self.looks = rng.choice((0, 0, 1, 2, 5, 10, 20, 40))
        self.bytes = rng.randrange(300_000)
        self.ends_after = rng.randrange(1, 8)  # events of the unit
        self.begun = self.over = False

    def __str__(self):
        return f"{self.kind} of {self.unit.name} at {self.moment or 'once'}+{self.looks}"

    def look(self, events):
        """events: those of the unit since it was broken."""
        if self.over:
            return
        if not self.begun:
            if not self.moment_came(events):
                return
            self.looks -= 1
            if self.looks > 0:
                return
            self.begun = self.begin() is not False
            if not self.begun:
                return  # not possible just now: at the next look
            self.since, self.seen = time.monotonic(), len(events)
            self.world.counts[self.kind] += 1
            if not self.lasting:
                self.over = True
        elif len(events) - self.seen >= self.ends_after or time.monotonic() - self.since > LONGEST:
            self.finish()

    def moment_came(self, events):
        if self.moment is None:
            return True
        if self.moment == "bytes":
            return self.unit.host.sent - self.unit.sent_before > self.bytes
        return any(e["kind"] == self.moment for e in events)

    def finish(self):
        if self.begun and not self.over:
            self.end()
        self.over = True

    def end(self):
        pass


class SourceDown(Fault):
    kind, lasting, moments = "source down", True, (None,)

    def begin(self):
        how = self.rng.choice(("503", "cut off", "half", "stalls", "503", "cut off", "half"))

        def fault(handler, name):
            if how == "503":
                handler.status(503)
            elif how == "cut off":
                handler.break_off()
            elif how == "stalls" and not name.endswith(".sha256"):
                handler.stall()
            else:
                handler.proper(name, len(self.unit.host.files.get(name, b"")) // 2)
            return True
        self.unit.host.fault = fault

    def end(self):
        self.unit.host.fault = lambda handler, name: False


class BadArchive(Fault):
    """The newest, now and then the two newest; they stay so until the unit is well again."""
    kind, moments = "bad archive", (None,)

    def begin(self):
        host = self.unit.host
        how = self.rng.choice(("truncated", "flipped", "truncated and announced so", "another document", "empty"))
        names = sorted(self.unit.archives, key=self.unit.order, reverse=True)
        for name in names[:self.rng.choice((1, 1, 1, 2))]:
            data = bytearray(self.unit.archives[name])
            if how.startswith("truncated"):
                data = data[:self.rng.randrange(1, len(data))]
            elif how == "flipped":
                data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
            elif how == "empty":
                data = b""
            else:
                data = b"<html><body>404 Not Found</body></html>"
            host.files[name] = bytes(data)
            if how == "truncated and announced so":
                host.files[name + ".sha256"] = f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()
        self.unit.index()


class KillHasupd(Fault):
    kind = "hasupd killed"

    def begin(self):
        self.world.home.kill_daemon(signal.SIGKILL)
        self.world.started_again()


class KillWorker(Fault):
    kind = "worker killed"

    def begin(self):
        workers = workers_of(self.world.home.path)
        return kill(self.rng.choice(sorted(workers))) if workers else False


class KillShim(Fault):
    kind = "shim killed"

    def begin(self):
        mine = [p for p, c in processes_of(self.world.home.path).items()
                if "hasup-shim" in c.split(" ", 1)[0] and self.unit.name in c]
        return kill(self.rng.choice(sorted(mine))) if mine else False


class KillNode(Fault):
    kind, harms_state = "node killed", True
    moments = ("recovery_first_start", "recovery_loaded", "recovery_confirmed", "recovery_swapped", "recovery_staged")

    def begin(self):
        nodes = self.unit.nodes()
        return kill(sorted(nodes)[0]) if nodes else False


class DiskFull(Fault):
    kind, lasting, harms_state = "disk full", True, True

    def begin(self):
        self.filler = self.unit.volume / "filler"
        free = os.statvfs(self.unit.volume)
        size = free.f_bavail * free.f_frsize - self.rng.choice((0, 4096, 65536, 200_000, 1 << 20))
        if size <= 0:
            return False
        with open(self.filler, "wb") as f:
            with contextlib.suppress(OSError):
                os.posix_fallocate(f.fileno(), 0, size)

    def end(self):
        self.filler.unlink()


class PortTaken(Fault):
    kind, lasting = "port taken", True
    moments = ("exited", "recovery_swapping", "recovery_swapped", "recovery_began", "recovery_staged")

    def begin(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(("127.0.0.1", self.unit.port))
        except OSError:
            self.socket.close()
            return False
        self.socket.listen()

    def end(self):
        self.socket.close()


class OpenedByAnother(Fault):
    kind, lasting = "opened by another", True
    moments = (None,) + MOMENTS

    def begin(self):
        try:
            with open(self.unit.state_file, "r+b") as state:
                self.process = subprocess.Popen(["sleep", "600"], stdin=state, stdout=subprocess.DEVNULL)
        except OSError:
            return False

    def end(self):
        end_process(self.process)


class StoppedByHand(Fault):
    """Also what else a person may type meanwhile."""
    kind = "stopped by hand"

    def begin(self):
        words = self.rng.choice((["stop"], ["stop"], ["stop", "--force"], ["recover", "--cancel"],
                                 ["recover", "--rollback", "--yes"], ["restart"]))
        self.world.home.hasup(words[0], self.unit.name, *words[1:], "--no-wait")


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


ALL = (SourceDown, SourceDown, BadArchive, BadArchive, KillHasupd, KillHasupd, KillWorker, KillWorker, KillShim, KillNode,
       KillNode, DiskFull, DiskFull, PortTaken, OpenedByAnother, OpenedByAnother, StoppedByHand)


def draw(rng, unit, world):
    faults = []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        kind = rng.choice(ALL)
        if not any(isinstance(f, kind) for f in faults):
            faults.append(kind(rng, unit, world))
    return faults
