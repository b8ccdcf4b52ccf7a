"""A server takes every question and answers none: however short the interval, no unit has two questions open."""

import collections
import contextlib
import selectors
import socket
import threading
import unittest

from hasup_home import HasupTest, wait_until

COUNT = 40

UNIT = """
[run]
command = ["sleep", "1000"]
instances = {count}

[readiness]
kind = "http"
url = "http://127.0.0.1:{port}/{path}"
port_owner = "any"
interval = "20ms"
timeout = "{timeout}"
"""


class Server(threading.Thread):
    """Answers what begins with /says, and nothing else; counts those that are open side by side for each path."""

    def __init__(self):
        super().__init__()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listening.getsockname()[1]
        self.asked = collections.Counter()
        self.most = collections.Counter()
        self.open = collections.defaultdict(list)
        self.over, self.end = socket.socketpair()

    def run(self):
        with selectors.DefaultSelector() as chosen, contextlib.ExitStack() as closes:
            chosen.register(self.listening, selectors.EVENT_READ)
            chosen.register(self.over, selectors.EVENT_READ)
            while True:
                for key, _ in chosen.select():
                    if key.fileobj is self.over:
                        return
                    if key.fileobj is self.listening:
                        chosen.register(closes.enter_context(self.listening.accept()[0]), selectors.EVENT_READ)
                    elif not self.heard(key.fileobj):
                        chosen.unregister(key.fileobj)
                        key.fileobj.close()

    def heard(self, connection):
        """Whether the other side is still there. A request is so short that it comes as one piece."""
        try:
            said = connection.recv(65536)
        except ConnectionResetError:
            return False
        for request in said.split(b"\r\n\r\n")[:-1]:
            path = request.split()[1].decode()
            self.asked[path] += 1
            if path.startswith("/says"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            self.open[path] = [c for c in self.open[path] if not self.gone(c)] + [connection]
            self.most[path] = max(self.most[path], len(self.open[path]))
        return said != b""

    @staticmethod
    def gone(connection):
        """What the other side has closed is known at once on loopback, although nobody has read it yet."""
        try:
            return connection.fileno() < 0 or connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


class ProbeLoad(HasupTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.server.start()
        for one in (self.server.listening, self.server.over, self.server.end):
            self.addCleanup(one.close)
        self.addCleanup(self.server.join)
        self.addCleanup(self.server.end.sendall, b"x")

    def unit(self, name, count, path, timeout):
        self.home.unit(name, UNIT.format(count=count, path=path, timeout=timeout, port=self.server.port))

    def paths(self):
        return [f"/silent/{n}" for n in range(COUNT)]

    def test_a_silent_server_is_asked_one_question_for_each_unit(self):
        self.unit("silent", COUNT, "silent/${instance}", "10m")
        self.unit("says", 1, "says", "10m")
        self.home.start()
        self.home.wait_healthy("says")
        wait_until(lambda: all(self.server.asked[p] for p in self.paths()), "each unit has asked")
        # By the clock of hasupd: so many times has it asked one that answers, at the same interval.
        before = self.server.asked["/says"]
        wait_until(lambda: self.server.asked["/says"] > before + 100, "100 intervals")
        self.assertEqual({p: self.server.asked[p] for p in self.paths()}, dict.fromkeys(self.paths(), 1))
        self.assertEqual({u["state"] for u in self.home.status()["units"]}, {"running"})

    def test_what_was_not_answered_in_time_is_given_up_before_the_next_question(self):
        self.unit("silent", COUNT, "silent/${instance}", "20ms")
        self.home.start()
        wait_until(lambda: all(self.server.asked[p] > 10 for p in self.paths()), "each unit has asked ten times")
        self.assertEqual({p: self.server.most[p] for p in self.paths()}, dict.fromkeys(self.paths(), 1))
        for n in range(COUNT):
            self.home.wait_for("silent", instance=n, state="running", health="unhealthy")


if __name__ == "__main__":
    unittest.main()
