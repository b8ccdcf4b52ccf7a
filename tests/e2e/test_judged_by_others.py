"""Nodes without an API: judged by what they print, by way of another unit, and not while what they need is unwell."""

import sys
import unittest

from hasup_home import HasupTest, free_port, wait_until

# Prints blocks as eos-evm-node does. It stalls while FILE is there; a new run begins without it.
NODE = """
import os, sys, time
stall = sys.argv[1]
if os.path.exists(stall):
    os.unlink(stall)
block = 100
while True:
    if not os.path.exists(stall):
        block += 1
        print(f" DEBUG [11-23|15:00:00.000 UTC] EVM Block {block}", flush=True)
    print("  INFO [11-23|15:00:00.000 UTC] " + "x" * 200, flush=True)
    time.sleep(0.05)
"""

# Says a head. It grows, stands still while FILE holds "stands", and is not told while it holds "down".
SERVER = """
import http.server, itertools, os, sys
port, file = int(sys.argv[1]), sys.argv[2]
heads = itertools.count(1000)
told = 0

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global told
        mode = open(file).read() if os.path.exists(file) else ""
        if mode != "stands":
            told = next(heads)
        body = b'{"head": %d}' % told
        self.send_response(503 if mode == "down" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

BY_LOG = """
kind = "log"
pattern = 'EVM Block (?P<head>\\d+)$'
advances_within = "3s"
interval = "100ms"
timeout = "5s"
"""

BY_HTTP = """
kind = "http"
url = "http://127.0.0.1:{port}/"
head = {{ number = "/head" }}
interval = "100ms"
timeout = "5s"
"""


class JudgedTest(HasupTest):
    def script(self, name, text):
        path = self.home.path / name
        path.write_text(text)
        return path

    def node(self, name, more):
        """Its file: while that is there, it stalls."""
        stall = self.home.path / f"{name}.stall"
        self.home.unit(name, f'[run]\ncommand = ["{sys.executable}", "{self.script("node.py", NODE)}", "{stall}"]\n'
                       + '[restart]\nbackoff = { initial = "10ms" }\n' + more)
        return stall

    def server(self, name, more=""):
        """Its file and its port."""
        file, port = self.home.path / f"{name}.mode", free_port()
        self.home.unit(name, f'[run]\ncommand = ["{sys.executable}", "{self.script("server.py", SERVER)}", "{port}", '
                       f'"{file}"]\n[readiness]\n' + BY_HTTP.format(port=port) + more)
        return file, port

    def restarts(self, name):
        return self.home.unit_status(name)["restarts"]

    def wait_restart(self, name):
        wait_until(lambda: self.restarts(name) > 0, f"{name} is restarted")

    def wait_reason(self, name, text):
        wait_until(lambda: text in self.home.unit_status(name)["reason"], f"{name} says: {text}")


class LogTest(JudgedTest):
    def test_it_is_healthy_while_the_block_in_its_log_advances(self):
        stall = self.node("evm", "[readiness]" + BY_LOG)
        self.home.start()
        before = self.home.wait_healthy("evm")["head"]["number"]
        self.assertGreater(before, 100)
        wait_until(lambda: self.home.unit_status("evm")["head"]["number"] > before, "the head in status grows")
        stall.touch()
        self.home.wait_for("evm", health="unhealthy")
        self.assertIn("has not advanced for", self.home.unit_status("evm")["reason"])
        told = self.home.hasup("probe", "evm", "--timeout", "5s").stdout
        self.assertIn("the newest match is", told)
        self.assertIn("EVM Block", told)
        stall.unlink()
        self.home.wait_healthy("evm")
        self.assertEqual(self.restarts("evm"), 0)
        self.assertEqual(self.home.hasup("probe", "evm").returncode, 0)

    def test_a_node_that_stands_still_is_restarted(self):
        stall = self.node("evm", "[readiness]" + BY_LOG + "[liveness]" + BY_LOG)
        self.home.start()
        self.home.wait_healthy("evm")
        stall.touch()
        self.home.wait_event("evm", lambda e: "liveness failed: head" in e["reason"], "the restart tells why")
        self.wait_restart("evm")
        self.home.wait_healthy("evm")

    def test_rotation_of_the_log_and_a_killed_hasupd_change_nothing(self):
        self.node("evm", "[readiness]" + BY_LOG + "[liveness]" + BY_LOG + '[log]\nmax_size = "4KiB"\nmax_files = 3\n')
        self.home.start()
        pid = self.home.wait_healthy("evm")["pid"]
        wait_until(lambda: (self.home.path / "log" / "evm.log.3").exists(), "the log is rotated")
        self.home.kill_daemon()
        self.home.start()
        after = self.home.wait_healthy("evm")
        head = after["head"]["number"]
        wait_until(lambda: self.home.unit_status("evm")["head"]["number"] > head, "it is read on")
        self.assertEqual((after["pid"], after["restarts"]), (pid, 0))
        self.assertEqual([e["reason"] for e in self.home.events("evm")
                          if "failed" in e["reason"] or "unhealthy" in e["kind"]], [])

    def test_a_node_that_stalled_while_nobody_watched_is_restarted_by_the_next_hasupd(self):
        stall = self.node("evm", "[liveness]" + BY_LOG)
        self.home.start()
        self.home.wait_for("evm", state="running")
        wait_until(lambda: self.home.unit_status("evm")["head"], "its head is known")
        self.home.kill_daemon()
        stall.touch()
        self.home.start()
        self.wait_restart("evm")


class NeedsTest(JudgedTest):
    def test_a_node_that_stands_still_is_left_alone_while_its_leap_is_unhealthy(self):
        mode, _ = self.server("leap")
        stall = self.node("evm", "[readiness]" + BY_LOG + "[liveness]" + BY_LOG + 'needs = ["leap"]\n')
        lonely = self.node("lonely", "[liveness]" + BY_LOG)
        self.home.start()
        self.home.wait_healthy("leap")
        self.home.wait_healthy("evm")
        mode.write_text("down")
        self.home.wait_for("leap", health="unhealthy")
        self.wait_reason("evm", "no verdict of liveness: needs leap, which is unhealthy")
        stall.touch()
        self.home.wait_for("evm", health="unhealthy")
        lonely.touch()
        self.wait_restart("lonely")  # as long as that takes, the other one has stood still, too
        self.assertEqual(self.restarts("evm"), 0)
        self.assertIn("does not count now: needs leap", self.home.hasup("probe", "evm", "--timeout", "1s").stdout)
        self.assertIn("needs leap", self.home.ok("why", "evm"))
        mode.unlink()
        self.home.wait_healthy("leap")
        self.wait_restart("evm")
        self.home.wait_healthy("evm")

    def test_readiness_is_unknown_while_no_endpoint_is_healthy(self):
        mode, port = self.server("leap")
        self.node("evm", f"""
[upstream.leap]
select = "sticky"
on_change = "keep"
probe = {{ kind = "http", url = "http://127.0.0.1:{port}/", interval = "100ms", timeout = "5s" }}
[[upstream.leap.endpoint]]
host = "here"
[[requires]]
upstream = "leap"
[readiness]
needs = ["upstream.leap"]
""" + BY_LOG)
        self.home.start()
        pid = self.home.wait_healthy("evm")["pid"]
        mode.write_text("down")
        held = self.home.wait_for("evm", health="unknown")
        self.assertIn("no verdict of readiness: needs upstream", held["reason"])
        mode.unlink()
        self.assertEqual(self.home.wait_healthy("evm")["pid"], pid)


class ThroughTest(JudgedTest):
    def test_the_head_is_asked_through_the_rpc_and_a_dead_rpc_says_nothing(self):
        mode, port = self.server("rpc")
        liveness = "[liveness]" + BY_HTTP.format(port=port) + 'advances_within = "3s"\n'
        self.node("evm", liveness + 'through = "rpc"\n')
        self.home.start()
        rpc = self.home.wait_healthy("rpc")["pid"]
        self.home.wait_for("evm", state="running")
        wait_until(lambda: self.home.unit_status("evm")["head"], "the head is known through the rpc")
        self.assertIn("through rpc", self.home.ok("probe", "evm"))

        self.home.ok("stop", "rpc")
        self.node("stranger", liveness)
        self.home.ok("apply")
        self.wait_restart("stranger")  # the same check fails where nobody says that the rpc answers for it
        self.assertEqual(self.restarts("evm"), 0)
        self.assertIn("asked through rpc, which is stopped", self.home.hasup("probe", "evm").stdout)

        self.home.ok("start", "rpc")
        self.assertNotEqual(self.home.wait_healthy("rpc")["pid"], rpc)
        self.assertEqual(self.restarts("evm"), 0)
        mode.write_text("stands")
        self.home.wait_event("evm", lambda e: "liveness failed: head" in e["reason"], "the node is restarted for it")
        self.assertEqual(self.restarts("rpc"), 0)


if __name__ == "__main__":
    unittest.main()
