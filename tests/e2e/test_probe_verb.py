"""`hasup probe` asks until a head that must advance can be judged, and says which it is."""

import http.server
import json
import os
import pty
import subprocess
import threading
import unittest

from hasup_home import BIN, HasupTest

UNIT = """
[run]
command = ["sleep", "1000"]
[liveness]
kind = "http"
url = "http://127.0.0.1:{port}/{path}"
port_owner = "any"
interval = "100ms"
{probe}
"""
HEAD = 'head = {{ number = "/n" }}\nadvances_within = "{within}"'
EXPECT = 'expect = [{{ pointer = "/n", advances_within = "{within}" }}]'


class Node(http.server.ThreadingHTTPServer):
    """/still always has the same number; /moves grows it at each third look."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += 1
        body = json.dumps({"n": 7 if self.path == "/still" else 100 + self.server.asked // 3}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Probe(HasupTest):
    def setUp(self):
        super().setUp()
        self.node = Node()
        thread = threading.Thread(target=self.node.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.node.server_close)
        self.addCleanup(self.node.shutdown)

    def unit(self, path, probe, within):
        self.home.unit("node", UNIT.format(port=self.node.server_port, path=path, probe=probe.format(within=within)))

    def test_a_number_that_grows_passes(self):
        for probe in (HEAD, EXPECT):
            self.unit("moves", probe, "100s")
            said = json.loads(self.home.ok("probe", "node", "--json"))[0]
            self.assertEqual((said["verdict"], said["passed"]), ("good", True))
            self.assertGreater(said["samples"], 1)
            self.assertIn("passed", self.home.ok("probe", "node"))

    def test_a_number_that_stands_still_fails_after_its_time(self):
        for probe in (HEAD, EXPECT):
            self.unit("still", probe, "500ms")
            done = self.home.hasup("probe", "node", "--timeout", "100s")
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, "failed: .* has not advanced for .*limit 500ms")

    def test_the_time_is_bounded_and_the_answer_says_what_would_help(self):
        self.unit("still", HEAD, "100s")
        done = self.home.hasup("probe", "node", "--timeout", "3s")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"unknown: head 7 has not been seen to advance yet \(asked for .*\); `--timeout")
        self.assertEqual(done.stderr, "")
        self.assertGreater(self.node.asked, 1)

    def test_what_can_be_judged_at_once_is_asked_once(self):
        self.unit("still", 'expect = [{{ pointer = "/n", equals = 7 }}]', "")
        self.assertEqual(json.loads(self.home.ok("probe", "node", "--json"))[0]["samples"], 1)
        self.unit("still", 'expect = [{{ pointer = "/n", equals = 8, advances_within = "{within}" }}]', "100s")
        self.assertEqual(self.home.hasup("probe", "node").returncode, 1)
        self.assertEqual(self.node.asked, 2)

    def test_a_terminal_sees_the_progress(self):
        self.unit("moves", HEAD, "100s")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        try:
            done = subprocess.run([BIN / "hasup", "probe", "node"], env=self.home.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=theirs, timeout=60)
        finally:
            os.close(theirs)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"has not been seen to advance yet", os.read(ours, 65536))


if __name__ == "__main__":
    unittest.main()
