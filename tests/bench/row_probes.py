"""Many units, each asked every second by HTTP how it is: the processor time that hasupd takes for it."""

import socket
import threading
import time
from pathlib import Path

import context
from board import Board
from context import Table, say
from measure import poll, wake_ups
from peer_hasup import Hasup

INTERVAL_S = 1


class Server:
    """Takes every connection; answers each request at once, or none at all."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = 0
        self.open, self.most = 0, 0  # connections at a time
        self.lock = threading.Lock()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            while said := connection.recv(65536):
                with self.lock:
                    self.asked += said.count(b"\r\n\r\n")
                if self.answers:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except OSError:
            pass
        with self.lock:
            self.open -= 1
        connection.close()

    def end(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


class HasupAsking(Hasup):
    server = None

    def more(self, name):
        if self.server is None:
            return ""
        return (f'[readiness]\nkind = "http"\nurl = "http://127.0.0.1:{self.server.port}/{name}"\nport_owner = "any"\n'
                f'interval = "{INTERVAL_S}s"\ntimeout = "{INTERVAL_S}s"\n')


def processor_s(pid):
    """Time on a processor of all threads of a process so far."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def one(kind, server, sizes):
    peer = HasupAsking()
    peer.server = server
    board = Board(peer.dir, sizes.probed)
    try:
        for i in range(sizes.probed):
            peer.add(f"u{i:04}", [context.NODE, "sleep", board.path, i, 0])
        peer.start()
        poll(lambda: board.started() >= sizes.probed, f"{sizes.probed} units start")
        if server:
            poll(lambda: server.asked >= 2 * sizes.probed, "each was asked twice")
        say(f"probes: {kind}, {sizes.probed} units, {sizes.probes_s} s")
        pid = peer.root.pid
        time.sleep(sizes.probes_s / 3)  # what the start has left to do is done
        before, asked, woken, began = processor_s(pid), server.asked if server else 0, wake_ups([pid]), time.monotonic()
        time.sleep(sizes.probes_s)
        took = time.monotonic() - began
        used, asked = processor_s(pid) - before, (server.asked if server else 0) - asked
        return {"kind": kind, "used": used / took, "asked": asked / took, "woken": (wake_ups([pid]) - woken) / took,
                "open": server.most if server else 0, "each": used / asked if asked else None}
    finally:
        peer.end()
        board.close()
        if server:
            server.end()


def measure(sizes):
    seen = [one(kind, server, sizes) for kind, server in
            (("no probes", None), ("answered", Server(True)), ("never answered", Server(False)))]
    rows = [[s["kind"], f"{s['asked']:.0f}", f"{100 * s['used']:.2f} %", f"{s['woken']:.0f}",
             f"{1e6 * s['each']:.0f} µs" if s["each"] is not None else "", str(s["open"])] for s in seen]
    return Table(f"{sizes.probed} units asked every second",
                 f"hasupd with {sizes.probed} units, each with a readiness probe of kind http at an interval and with a "
                 f"timeout of {INTERVAL_S} s: without probes, against a server that answers at once, and against one that "
                 f"never answers (so each takes its timeout, and the interval after it), {sizes.probes_s:g} s each. Of "
                 "hasupd alone: its time on processors, as a part of one, its wake-ups, its time for a probe; and how many "
                 "connections to the server were open at most.",
                 ["", "probes a second", "processor", "wake-ups a second", "a probe", "open at most"], rows)
