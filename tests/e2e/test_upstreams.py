"""Upstreams: which of several servers a unit runs with, who waits for one, and who is restarted after a switch."""

import http.server
import itertools
import json
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

from hasup_home import DEMO_NODE, HasupTest, accepts, end_process, free_port, get_info, wait_until

LEAP = """
select = "{select}"
switch = {switch}
on_change = "{on_change}"
[probe]
kind = "http"
url = "http://${{endpoint.host}}/v1/chain/get_info"
interval = "100ms"
timeout = "5s"
failures = 2
head = {{ number = "/head_block_num", time = "/head_block_time" }}
"""

UNIT = """
[run]
command = ["/bin/sleep", "1000000"]
env = {{ LEAP = "${{upstream.leap.host}}", ALL = "${{upstream.leap.hosts}}" }}
{more}
"""



class Leap:
    """Answers as a leap does; its head is what number() says."""

    def __init__(self, number=lambda: 100, port=None, address="127.0.0.1"):
        self.port = port or free_port()
        self.number = number
        self.asked = 0
        leap = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                leap.asked += 1
                now = time.strftime("%Y-%m-%dT%H:%M:%S.000", time.gmtime())
                body = json.dumps({"head_block_num": leap.number(), "head_block_time": now}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        self.server = Server((address, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def end(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class UpstreamTest(HasupTest):
    def leap(self, number=lambda: 100, port=None):
        leap = Leap(number, port)
        self.addCleanup(leap.end)
        return leap

    def upstream(self, *hosts, select="best_head", switch='{ behind = "5s", for = "100ms", min_dwell = "0s" }',
                 on_change="restart"):
        text = LEAP.format(select=select, switch=switch, on_change=on_change)
        if select == "sticky":
            text = text.replace(f"switch = {switch}\n", "")
        directory = self.home.directory("etc/upstreams")
        (directory / "leap.toml").write_text(text + "".join(f'[[endpoint]]\nhost = "{h}"\n' for h in hosts))

    def unit(self, name="evm", more=""):
        self.home.unit(name, UNIT.format(more=more))

    def environment(self, pid):
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return dict(word.decode().split("=", 1) for word in words if b"=" in word)

    def runs_with(self, host, name="evm", instance=0):
        """Its status once it runs with that one."""
        status = self.home.wait_for(name, instance=instance, state="running", upstream=f"leap: {host}")
        self.assertEqual(self.environment(status["pid"])["LEAP"], host)
        return status

    def kinds(self):
        return [e["kind"] for e in self.home.events() if e["kind"].startswith("upstream_")]

    def wait_kind(self, kind):
        return self.home.wait_event(None, lambda e: e["kind"] == kind, kind)


class SwitchTest(UpstreamTest):
    def test_the_unit_is_restarted_with_the_other_when_its_leap_dies(self):
        hosts, nodes = [], []
        for name in ("one", "two"):
            data, port = self.home.directory(name), free_port()
            subprocess.run([DEMO_NODE, "make-chain", "--data-dir", data, "--blocks", "100"], check=True, timeout=60)
            nodes.append(self.start_program([DEMO_NODE, "nodeos", "--data-dir", data, "--http", f"127.0.0.1:{port}",
                                             "--block-interval", "100ms"],
                                            lambda port=port: accepts(port) and get_info(port)))
            hosts.append(f"127.0.0.1:{port}")
        self.upstream(*hosts)
        self.unit()
        self.home.start()
        before = self.home.wait_for("evm", state="running")
        first = before["upstream"].removeprefix("leap: ")
        self.assertIn(first, hosts)
        other = hosts[1 - hosts.index(first)]
        self.assertEqual(self.environment(before["pid"])["ALL"], ",".join(hosts))
        end_process(nodes[hosts.index(first)])
        after = self.runs_with(other)
        self.assertNotEqual(after["pid"], before["pid"])
        switched = self.wait_kind("upstream_switched")
        self.assertIn(f"upstream leap: {other} instead of {first}: {first} is unhealthy", switched["reason"])
        self.home.wait_event("evm", lambda e: f"upstream leap: {other} instead of {first}" in e["reason"],
                             "the restart tells why")
        self.assertEqual(self.kinds(), ["upstream_chosen", "upstream_switched"])

    def test_two_that_take_turns_by_a_block_cause_no_switch_and_one_that_stays_behind_does(self):
        began, frozen = time.monotonic(), []

        def blocks():
            return 1000 + int((time.monotonic() - began) * 5)
        one = self.leap(lambda turns=itertools.count(): frozen[0] if frozen else blocks() + next(turns) % 2)
        two = self.leap(lambda turns=itertools.count(1): blocks() + next(turns) % 2)
        self.upstream(one.host, two.host)
        self.unit()
        self.home.start()
        before = self.home.wait_for("evm", state="running")
        if before["upstream"] != f"leap: {one.host}":  # the one that is to stay behind is the chosen one
            one, two = two, one
            one.number, two.number = two.number, one.number
        asked = one.asked
        wait_until(lambda: one.asked > asked + 60 and two.asked > asked + 60, "both are asked 60 times more")
        self.assertEqual(self.home.unit_status("evm")["pid"], before["pid"])
        self.assertEqual(self.kinds(), ["upstream_chosen"])
        frozen.append(blocks())
        after = self.runs_with(two.host)
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertIn("behind", self.wait_kind("upstream_switched")["reason"])

    def test_instances_are_restarted_one_after_the_other_and_keep_keeps_them(self):
        one, two = self.leap(), self.leap()
        self.upstream(one.host, two.host, select="priority", switch='{ for = "100ms", min_dwell = "0s" }')
        self.unit("miner", "instances = 2")
        self.home.start()
        for instance in (0, 1):
            self.runs_with(one.host, "miner", instance)
        one.end()
        for instance in (0, 1):
            self.runs_with(two.host, "miner", instance)
        self.upstream(one.host, two.host, select="priority", switch='{ for = "100ms", min_dwell = "0s" }',
                      on_change="keep")
        self.home.ok("apply")
        before = self.runs_with(two.host, "miner")
        back = self.leap(port=one.port)
        self.home.wait_event(None, lambda e: e["kind"] == "upstream_switched" and
                             e["reason"].startswith(f"upstream leap: {back.host} instead"), "the first one is taken again")
        self.assertEqual(self.runs_with(two.host, "miner")["pid"], before["pid"])
        self.home.ok("restart", "miner@0")
        self.runs_with(back.host, "miner", 0)
        self.runs_with(two.host, "miner", 1)


class WithoutAnyTest(UpstreamTest):
    def test_nothing_is_started_before_one_is_healthy(self):
        port = free_port()
        self.upstream(f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}")
        self.unit()
        self.home.unit("needs", '[run]\ncommand = ["/bin/sleep", "1000000"]\n[[requires]]\nupstream = "leap"\n')
        self.home.start()
        for name in ("evm", "needs"):
            waits = self.home.wait_for(name, state="waiting", waiting_for=["upstream leap: no endpoint is healthy"])
            self.assertEqual(waits["reason"], "waiting for upstream leap: no endpoint is healthy")
            self.assertIn("upstream leap: no endpoint is healthy", self.home.hasup("why", name).stdout)
        leap = self.leap(port=port)
        self.runs_with(leap.host)
        self.assertIsNone(self.home.wait_for("needs", state="running")["upstream"])

    def test_what_runs_keeps_its_endpoint_when_none_is_healthy_and_does_not_start_again_with_it(self):
        one, port = self.leap(), free_port()
        self.upstream(one.host, f"127.0.0.1:{port}")
        self.unit()
        self.home.start()
        before = self.runs_with(one.host)
        one.end()
        self.wait_kind("upstream_lost")
        self.assertEqual(self.runs_with(one.host)["pid"], before["pid"])
        self.home.ok("restart", "evm", "--no-wait")
        self.home.wait_for("evm", state="waiting",
                           waiting_for=[f"upstream leap: {one.host} is unhealthy, and no other one is healthy"])
        back = self.leap(port=port)
        self.runs_with(back.host)


class KeptTest(UpstreamTest):
    def test_a_new_hasupd_does_not_choose_again(self):
        one, two = self.leap(lambda: 90), self.leap()
        self.upstream(one.host, two.host, select="sticky")
        self.unit(more='[readiness]\nkind = "tcp"\naddress = "${upstream.leap.host}"\nport_owner = "any"\n')
        self.home.start()
        before = self.runs_with(two.host)
        self.assertEqual(self.home.ok("exec", "evm", "--", "sh", "-c", "echo $LEAP").strip(), two.host)
        self.home.ok("probe", "evm")
        self.home.kill_daemon()
        one.number = lambda: 200
        asked = one.asked
        self.home.start()
        after = self.runs_with(two.host)
        self.assertEqual(after["pid"], before["pid"])
        wait_until(lambda: one.asked > asked + 3, "the other one is asked again")
        self.assertEqual(self.home.unit_status("evm")["pid"], before["pid"])
        self.assertEqual(self.kinds(), ["upstream_chosen"])
        self.home.ok("restart", "evm")
        self.runs_with(two.host)

    def test_in_maintenance_nothing_is_restarted_until_it_ends(self):
        one, two = self.leap(), self.leap(lambda: 90)
        self.upstream(one.host, two.host)
        self.unit()
        self.home.start()
        before = self.runs_with(one.host)
        self.home.ok("maintenance", "on", "evm")
        one.end()
        self.wait_kind("upstream_switched")
        self.assertEqual(self.runs_with(one.host)["pid"], before["pid"])
        self.home.ok("maintenance", "off", "evm")
        self.runs_with(two.host)

    def test_an_endpoint_that_is_no_longer_in_the_file_is_left(self):
        one, two = self.leap(), self.leap(lambda: 90)
        self.upstream(one.host, two.host)
        self.unit()
        self.home.start()
        self.runs_with(one.host)
        self.upstream(two.host)
        self.home.ok("apply")
        self.runs_with(two.host)


class ShownTest(UpstreamTest):
    def endpoints(self):
        shown = json.loads(self.home.ok("upstream", "leap", "--json"))["upstreams"]
        self.assertEqual([u["upstream"] for u in shown], ["leap"])
        return {e["endpoint"]: e for e in shown[0]["endpoints"]}

    def test_it_is_shown_and_one_that_is_avoided_is_left_until_a_person_says_otherwise(self):
        one, two, nobody = self.leap(), self.leap(lambda: 90), f"127.0.0.1:{free_port()}"
        self.upstream(one.host, two.host, nobody)
        self.unit()
        self.home.start()
        self.runs_with(one.host)
        wait_until(lambda: self.endpoints()[nobody]["health"] == "unhealthy", "the dead one is unhealthy")
        shown = self.endpoints()
        self.assertEqual([shown[h]["chosen"] for h in (one.host, two.host, nobody)], [True, False, False])
        self.assertEqual((shown[one.host]["head"], shown[two.host]["head"], shown[nobody]["head"]), (100, 90, None))
        self.assertIsNotNone(shown[one.host]["latency_ms"])
        self.assertIn("refused", shown[nobody]["reason"])
        text = self.home.ok("upstream")
        self.assertIn(f"> {one.host}", text)
        self.assertIn("used by evm", text)
        self.assertIn(f"{one.host} is avoided", self.home.ok("upstream", "avoid", "leap", one.host))
        self.runs_with(two.host)
        self.home.kill_daemon()
        self.home.start()
        wait_until(lambda: self.endpoints()[one.host]["avoided"], "it is avoided by the next hasupd too")
        self.home.ok("upstream", "avoid", "leap", one.host, "--undo")
        self.runs_with(one.host)  # it is further all the time
        self.home.ok("upstream", "avoid", "leap", two.host, "--for", "1h")
        self.assertIsNotNone(self.endpoints()[two.host]["avoided_until"])
        self.assertEqual(self.home.hasup("upstream", "laep").returncode, 4)
        self.assertEqual(self.home.hasup("upstream", "avoid", "leap").returncode, 2)
        self.assertEqual(self.home.hasup("upstream", "avoid", "leap", "x").returncode, 1)


if __name__ == "__main__":
    unittest.main()
