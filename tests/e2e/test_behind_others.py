"""A node is held against others: unhealthy while it is behind them, and not judged by those that do not answer."""

import http.server
import json
import re
import sys
import threading
import unittest
from pathlib import Path

from hasup_home import HasupTest, accepts, end_process, free_port, wait_until

STAND_IN = Path(__file__).parent / "chain_stand_in.py"

FOLLOWS = """
[readiness]
preset = "evm-follows"
url = "http://127.0.0.1:{port}"
reference_url = "http://127.0.0.1:{other}"
interval = "100ms"
timeout = "5s"
"""

CLUSTER = """
[readiness]
preset = "solana-cluster"
url = "http://127.0.0.1:{port}"
reference_url = "http://127.0.0.1:{other}"
interval = "100ms"
timeout = "5s"
"""

# The address has a token, which nobody is shown.
INLINE = """
[{role}]
preset = "evm"
url = "http://127.0.0.1:{port}"
interval = "100ms"
timeout = "5s"
max_behind = "30s"
[{role}.reference]
kind = "http"
url = "http://127.0.0.1:{other}/v1/chain/get_info?token=geheim"
head = {{ number = "/head_block_num", time = "/head_block_time" }}
interval = "200ms"
timeout = "2s"
"""


class BehindTest(HasupTest):
    def setUp(self):
        super().setUp()
        self.other = free_port()
        self.state = self.home.path / "state-of-the-chain"
        self.state.write_text("good 100")
        self.reference = self.start_reference()

    def words(self, port, behind):
        return [sys.executable, "-B", str(STAND_IN), "--listen", str(port), "--state", str(self.state), "--says", "no",
                "--exit", "1", "--behind", str(behind)]

    def start_reference(self):
        return self.start_program(self.words(self.other, "/nonexistent"), lambda: accepts(self.other))

    def node(self, name, probes):
        """Its file, which says how many seconds it is behind; and its port."""
        port, behind = free_port(), self.home.path / f"{name}.behind"
        self.home.unit(name, f"[run]\ncommand = {json.dumps(self.words(port, behind))}\n"
                       + '[restart]\nbackoff = { initial = "10ms" }\n' + probes.format(port=port, other=self.other))
        return behind, port

    def reason(self, name):
        return self.home.unit_status(name)["reason"]

    def falls_behind(self, name, behind, words):
        behind.write_text("100")
        self.home.wait_for(name, health="unhealthy")
        self.assertRegex(self.reason(name), words)
        self.assertIn(f"behind http://127.0.0.1:{self.other} (limit", self.reason(name))
        self.assertIn("behind http://127.0.0.1", self.home.hasup("why", name).stdout)
        told = self.home.hasup("probe", name)
        self.assertEqual(told.returncode, 1, told)
        self.assertRegex(told.stdout, words)
        behind.unlink()
        self.home.wait_healthy(name)
        told = self.home.hasup("probe", name)
        self.assertEqual(told.returncode, 0, told)
        self.assertEqual(self.home.unit_status(name)["restarts"], 0)


class PresetTest(BehindTest):
    def test_an_evm_that_falls_behind_its_leap_is_unhealthy_until_it_has_caught_up(self):
        behind, port = self.node("evm", FOLLOWS)
        self.home.start()
        self.home.wait_healthy("evm")
        self.falls_behind("evm", behind, r"head \d+ is (1m|9\d|1m\d+)\w* behind ")
        told = self.home.hasup("probe", "evm-follows", f"url=http://127.0.0.1:{port}",
                               f"reference_url=http://127.0.0.1:{self.other}")
        self.assertEqual(told.returncode, 0, told)
        self.assertIn(f"reference http://127.0.0.1:{self.other}  passed", told.stdout)
        self.assertRegex(told.stdout, r"ok head \d+ is (not )?.*behind http")
        behind.write_text("50")
        told = self.home.hasup("probe", "evm-follows", f"url=http://127.0.0.1:{port}", "max_behind=20s",
                               f"reference_url=http://127.0.0.1:{self.other}", "--json")
        self.assertEqual(told.returncode, 1, told)
        probe = json.loads(told.stdout)[0]
        self.assertEqual([lag["outcome"] for lag in probe["lag"]], ["failed"])
        self.assertRegex(probe["reason"], r"head \d+ is .* behind http://127.0.0.1:\d+ \(limit 20s\)")
        self.assertGreater(probe["reference"][0]["head"]["number"], 10**9)

    def test_a_validator_that_calls_itself_healthy_is_behind_its_cluster(self):
        behind, _ = self.node("agave", CLUSTER)
        self.home.start()
        self.home.wait_healthy("agave")
        self.falls_behind("agave", behind, r"head \d+ is \d{4} blocks behind ")


class SilentTest(BehindTest):
    def test_without_an_answer_the_healthy_stay_healthy_and_a_new_start_waits(self):
        self.node("old", INLINE.replace("{role}", "readiness"))
        self.node("new", INLINE.replace("{role}", "readiness"))
        self.home.start()
        self.home.wait_healthy("old")
        self.home.wait_healthy("new")
        end_process(self.reference)
        self.home.ok("stop", "new")
        silent = f"no head to compare with: http://127.0.0.1:{self.other}: "
        told = self.home.hasup("probe", "old")
        self.assertEqual(told.returncode, 1, told)
        self.assertIn("unknown: " + silent, told.stdout)
        self.assertNotIn("geheim", told.stdout)

        def waits():
            self.home.ok("start", "new", "--no-wait")
            wait_until(lambda: self.home.unit_status("new")["health"] == "healthy" or silent in self.reason("new"),
                       lambda: f"new is judged: {self.home.unit_status('new')}")
            if silent in self.reason("new"):
                return True
            self.home.ok("stop", "new")  # what was known of the other counted for a moment
            return False

        wait_until(waits, "a new start has nobody to compare with", step=0)
        self.assertEqual(self.home.unit_status("new")["health"], "unknown")
        self.assertEqual(self.home.unit_status("old")["health"], "healthy")
        self.assertEqual([e["reason"] for e in self.home.events("old") if "unhealthy" in e["reason"]], [])
        self.reference = self.start_reference()
        self.home.wait_healthy("new")
        self.assertEqual([e["reason"] for e in self.home.events() if "geheim" in e["reason"]], [])

    def test_a_node_that_stays_behind_is_restarted(self):
        behind, _ = self.node("evm", INLINE.replace("{role}", "liveness"))
        self.home.start()
        self.home.wait_for("evm", state="running")
        behind.write_text("100")
        self.home.wait_event("evm", lambda e: re.search(r"liveness failed: head \d+ is .* behind http", e["reason"]),
                             "the restart tells why")
        wait_until(lambda: self.home.unit_status("evm")["restarts"] > 0, "it is restarted")
        behind.unlink()
        self.home.wait_for("evm", state="running")


class Counted(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.asked, self.connections, self.open = threading.Lock(), 0, 0, 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        with self.server.lock:
            self.server.connections += 1
            self.server.open += 1
        try:
            super().handle()
        finally:
            with self.server.lock:
                self.server.open -= 1

    def do_GET(self):
        with self.server.lock:
            self.server.asked += 1
        body = b'{"head_block_num": 1, "head_block_time": "2020-01-01T00:00:00"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class SharedTest(BehindTest):
    def test_all_probes_with_one_reference_ask_it_together_over_one_connection(self):
        server = Counted()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.other = server.server_port
        both = INLINE.replace("{role}", "readiness") + INLINE.replace("{role}", "liveness")
        names = ("a", "b", "c")
        for name in names:
            self.node(name, both)
        self.home.start()
        for name in names:
            self.home.wait_healthy(name)
        wait_until(lambda: server.asked >= 5, "it is asked again and again")
        self.assertEqual(server.connections, 1)
        self.home.ok("stop", "--all")
        wait_until(lambda: server.open == 0, "nobody asks it any more")


if __name__ == "__main__":
    unittest.main(verbosity=2)
