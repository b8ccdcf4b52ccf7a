"""Websockets of a real EVM node and of a stand-in for nodeos's state history, as probes of units and by hand."""

import base64
import hashlib
import json
import os
import signal
import socketserver
import sys
import threading
import unittest

from hasup_home import HasupTest, accepts, free_port, wait_until
from test_anvil import anvil_program

ANVIL = """
[run]
command = ["{anvil}", "--host", "127.0.0.1", "--port", "{port}", "--block-time", "1"]
env = {{ HOME = "{home}" }}
stop_timeout = "30s"

[readiness]
preset = "evm-websocket"
url = "ws://127.0.0.1:{port}"
interval = "200ms"
timeout = "20s"

[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""

# The first message of nodeos is its ABI, as text; nothing follows until something is asked.
ABI = json.dumps({"version": "eosio::abi/1.1",
                  "structs": [{"name": f"get_status_request_v{i}", "fields": []} for i in range(400)]})


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


class StateHistory(socketserver.ThreadingTCPServer):
    """Greets as the state_history_plugin does, and remembers how each visitor left."""
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, greeting):
        super().__init__(("127.0.0.1", 0), Visitor)
        self.greeting = greeting.encode()
        self.goodbyes = []


class Visitor(socketserver.StreamRequestHandler):
    def handle(self):
        headers = {}
        self.rfile.readline()
        while (line := self.rfile.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if "sec-websocket-key" not in headers:
            return
        greeting = self.server.greeting
        length = bytes([len(greeting)]) if len(greeting) < 126 else b"\x7e" + len(greeting).to_bytes(2, "big")
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + accept_of(headers["sec-websocket-key"]).encode() + b"\r\n\r\n"
                         b"\x81" + length + greeting)
        frame = self.rfile.read(8)  # a goodbye of two bytes, masked
        self.server.goodbyes.append(bytes(b ^ frame[2 + i] for i, b in enumerate(frame[6:])) if frame else None)
        self.wfile.write(b"\x88\x02\x03\xe8")


class WebsocketProbe(HasupTest):
    def state_history(self, greeting):
        server = StateHistory(greeting)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def test_a_real_evm_node_is_judged_by_its_websocket(self):
        port = free_port()
        self.home.unit("anvil", ANVIL.format(anvil=anvil_program(), port=port, home=self.home.path))
        self.home.start()
        self.home.wait_healthy("anvil")

        def head():
            return self.home.unit_status("anvil")["head"]["number"]
        first = head()
        wait_until(lambda: head() > first, "the head in the status to advance")
        pid = self.home.unit_status("anvil")["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            done = self.home.hasup("probe", "evm-websocket", f"url=ws://127.0.0.1:{port}", "--json")
            self.assertEqual(done.returncode, 1)
            self.assertIn("did not answer the websocket handshake within", json.loads(done.stdout)[0]["reason"])
        finally:
            os.kill(pid, signal.SIGCONT)

        def passes(preset):
            done = self.home.hasup("probe", preset, f"url=ws://127.0.0.1:{port}", "--json")
            return done.returncode == 0 and json.loads(done.stdout)[0]
        said = wait_until(lambda: passes("evm-websocket"), "the node that goes on to pass")
        self.assertGreaterEqual(said["head"]["number"], first)
        self.assertEqual(said["checks"][0]["kind"], "websocket")
        wait_until(lambda: passes("websocket"), "the handshake to pass")

    def test_the_greeting_of_a_state_history_is_looked_at(self):
        server = self.state_history(ABI)
        url = f"url=ws://127.0.0.1:{server.server_address[1]}"
        said = self.home.ok("probe", "state-history", url)
        self.assertIn('ok version is "eosio::abi/1.1"', said)
        self.home.ok("probe", "websocket", url)
        wait_until(lambda: len(server.goodbyes) == 2, "both visitors to leave")
        self.assertEqual(server.goodbyes, [b"\x03\xe8", b"\x03\xe8"])
        stranger = self.state_history('{"hello": "world"}')
        done = self.home.hasup("probe", "state-history", f"url=ws://127.0.0.1:{stranger.server_address[1]}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no the answer has no /version", done.stdout)

    def test_what_is_no_websocket_says_so(self):
        port = free_port()
        self.start_program([sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1",
                            "--directory", self.home.directory("web")], lambda: accepts(port))
        done = self.home.hasup("probe", "websocket", f"url=ws://127.0.0.1:{port}/none")
        self.assertEqual(done.returncode, 1)
        self.assertIn("HTTP 404 instead of a websocket", done.stdout)


if __name__ == "__main__":
    unittest.main()
