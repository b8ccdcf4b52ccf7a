"""[proxy]: real nginx and real HAProxy, whose lists of nodes hasup writes: only caught-up nodes get requests."""

import base64
import getpass
import http.server
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from pathlib import Path

from hasup_home import (DEMO_NODE, SOURCE, HasupTest, accepts, end_process, free_port, get_info, nginx_temp_paths,
                        wait_until)
from test_websocket_probe import accept_of

LEAP = """
[probe]
kind = "http"
url = "http://${endpoint.host}/v1/chain/get_info"
interval = "100ms"
timeout = "5s"
failures = 2
head = { number = "/head_block_num" }
"""

UNIT = """
[run]
command = [{command}]
stop_timeout = "10s"
reload_signal = "{reload_signal}"
create_directories = ["{run}/made"]

[startup]
kind = "tcp"
address = "127.0.0.1:{port}"
interval = "100ms"
timeout = "5s"

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[proxy]
upstream = "leap"
template = "{run}/template"
output = "{run}/list"
check_command = [{check}]
max_behind = "1h"
max_blocks_behind = 100
back_after = "200ms"
min_interval = "100ms"
"""

NGINX = """
daemon off; pid {run}/made/nginx.pid; error_log {run}/error.log; worker_processes 1; {user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {run}/made/body; proxy_temp_path {run}/made/proxy; fastcgi_temp_path {run}/made/fastcgi;
  uwsgi_temp_path {run}/made/uwsgi; scgi_temp_path {run}/made/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  upstream nodes {{
    server ${{endpoint.host}} max_fails=0;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Host ${{host}};
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_next_upstream error timeout http_502 http_503;
      add_header X-Server $upstream_addr;
    }}
  }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
frontend all
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
    http-response set-header X-Server %[srv_name]
    server ${{endpoint.name}} ${{endpoint.host}}
"""


# The one of units/proxy; its probes are faster.
SHIPPED = """
extends = "{kind}"
[vars]
config = "{run}"
port = {port}
[run]
user = "{user}"
create_directories = []
stop_timeout = "2s"
[run.limits]
open_files = 1024
[upstream.node.probe]
interval = "100ms"
timeout = "5s"
[[upstream.node.endpoint]]
name = "one"
host = "127.0.0.1:{node}"
ws = "127.0.0.1:{node}"
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "100ms"
[liveness]
interval = "200ms"
timeout = "2s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""


class Node:
    """Answers as a leap does, and as an EVM node; its head is what number() says. Greets websockets, and remembers who
    asked."""

    def __init__(self, number=lambda: 1000):
        self.port = free_port()
        self.number = number
        self.asked = 0
        self.age = 0  # of the head of the EVM node, in seconds
        self.greeted = 0
        self.namespaces = []
        self.headers = []
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                node.asked += 1
                if "X-Venus-Api-Namespace" in self.headers:
                    node.namespaces.append(self.headers["X-Venus-Api-Namespace"])
                if self.headers.get("Upgrade", "").lower() == "websocket":
                    return self.greet()
                self.say({"head_block_num": node.number()})

            def do_POST(self):
                node.asked += 1
                node.headers.append(dict(self.headers))
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                block = {"number": hex(node.number()), "timestamp": hex(int(time.time() - node.age))}
                self.say({"jsonrpc": "2.0", "id": call["id"], "result": block})

            def say(self, answer):
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.send_header("X-Node", str(node.port))
                self.end_headers()
                self.wfile.write(body)

            def greet(self):
                node.greeted += 1
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", accept_of(self.headers["Sec-WebSocket-Key"]))
                self.end_headers()
                while word := self.rfile.readline():  # what comes is sent back
                    self.wfile.write(word)
                self.close_connection = True

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def end(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class ProxyTest:
    """For each of the two."""

    def setUp(self):
        super().setUp()
        self.run_dir = self.home.directory("proxy")
        self.listen = free_port()
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        self.program = shutil.which(self.kind, path=path)
        self.assertIsNotNone(self.program, f"{self.kind} is not installed; packaging/test.sh installs it")
        (self.run_dir / "template").write_text(self.template())
        self.proxy_unit()

    def proxy_unit(self, more=""):
        quoted = lambda words: ", ".join(f'"{w}"' for w in words)
        self.home.unit("proxy", UNIT.format(command=quoted(self.command), check=quoted(self.check), run=self.run_dir,
                                            reload_signal=self.reload_signal, port=self.listen) + more)

    def template(self):
        return self.text.format(run=self.run_dir, port=self.listen, user="user root;" if os.geteuid() == 0 else "")

    def upstream(self, nodes):
        """name -> port"""
        endpoints = "".join(f'[[endpoint]]\nname = "{n}"\nhost = "127.0.0.1:{p}"\n' for n, p in nodes.items())
        (self.home.directory("etc/upstreams") / "leap.toml").write_text(LEAP + endpoints)
        self.ports = nodes

    def node(self, *args, **kwargs):
        node = Node(*args, **kwargs)
        self.addCleanup(node.end)
        return node

    def demo_node(self, name, port, chain=1000, stuck_at=1000):
        data = self.home.path / f"chain-{name}-{chain}"
        if not data.exists():
            subprocess.run([DEMO_NODE, "make-chain", "--data-dir", data, "--blocks", str(chain)], check=True, timeout=60)
        words = [DEMO_NODE, "nodeos", "--data-dir", data, "--http", f"127.0.0.1:{port}", "--block-interval", "5ms",
                 "--stuck-at", str(stuck_at)]
        return self.start_program(words, lambda: accepts(port) and get_info(port))

    def start(self):
        self.home.start()
        return self.home.wait_healthy("proxy")

    def head_at(self, name):
        return get_info(self.ports[name])["head_block_num"]

    def ask(self):
        """Who answers, by its name, and with which head."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.listen}/v1/chain/get_info", timeout=60) as answer:
            server = answer.headers["X-Server"].split(", ")[-1]  # nginx names all that it tried
            head = json.load(answer)["head_block_num"]
        return next(n for n, p in self.ports.items() if server in (n, f"127.0.0.1:{p}")), head

    def wait_list(self, *names):
        """Until the proxy sends requests to all of these and to no other one: after a reload its old worker takes some for a
        while. Not one request fails on the way."""
        def as_wanted():
            return {self.ask()[0] for _ in range(50)} == set(names)
        wait_until(as_wanted, lambda: f"requests go to {names}\n{self.home.report()}")

    def told(self, kind):
        return [e["reason"] for e in self.home.events("proxy") if e["kind"] == kind]

    def wait_told(self, kind, word):
        return self.home.wait_event("proxy", lambda e: e["kind"] == kind and word in e["reason"], f"{kind}: {word}")

    def test_requests_go_only_to_nodes_that_are_healthy_and_caught_up(self):
        ports = {name: free_port() for name in ("one", "two", "three")}
        running = {name: self.demo_node(name, port) for name, port in ports.items()}
        self.upstream(ports)
        self.start()
        self.wait_list("one", "two", "three")
        self.assertFalse(self.told("reloaded"), "its first list is there before its first start")
        running["three"].send_signal(signal.SIGKILL)
        running["three"].wait()
        self.wait_list("one", "two")
        self.wait_told("proxy_list", "leap: one, two (left out: three: ")

        # Healthy again, on an old state: not caught up.
        running["three"] = self.demo_node("three", ports["three"], chain=100, stuck_at=100)
        self.wait_left_out("three", "900 blocks behind")
        self.wait_list("one", "two")
        end_process(running["three"])
        shutil.rmtree(self.home.path / "chain-three-1000")  # it was killed: its database is dirty
        running["three"] = self.demo_node("three", ports["three"])
        self.wait_list("one", "two", "three")

        # One that goes on alone leaves the others behind.
        urllib.request.urlopen(f"http://127.0.0.1:{ports['one']}/v1/producer/resume", timeout=60).close()
        wait_until(lambda: self.head_at("one") > 1200, "one is far ahead")
        urllib.request.urlopen(f"http://127.0.0.1:{ports['one']}/v1/producer/pause", timeout=60).close()
        self.wait_list("one")
        self.assertGreater(self.ask()[1], 1200)
        end_process(running["two"])
        running["two"] = self.demo_node("two", ports["two"], stuck_at=self.head_at("one"))
        self.wait_list("one", "two")

    def wait_left_out(self, name, why):
        """What hasup knows: it is asked, and answers, but is not for requests."""
        def behind():
            shown = json.loads(self.home.ok("upstream", "leap", "--json"))["upstreams"][0]["endpoints"]
            heads = {e["endpoint"]: e["head"] for e in shown if e["health"] == "healthy"}
            return name in heads and f"{max(heads.values()) - heads[name]} blocks behind" == why
        wait_until(behind, f"{name} is {why}")

    def test_nothing_is_reloaded_while_nothing_changes_and_a_new_hasupd_changes_nothing(self):
        turns = [itertools.count(), itertools.count(1)]
        nodes = [self.node(lambda t=t: 1000 + next(t) % 2) for t in turns]
        self.upstream({"one": nodes[0].port, "two": nodes[1].port})
        pid = self.start()["pid"]
        self.wait_list("one", "two")

        def answers(how_many):
            asked = [n.asked for n in nodes]
            wait_until(lambda: all(n.asked > a + how_many for n, a in zip(nodes, asked)), f"{how_many} answers of both")
        written = os.stat(self.run_dir / "list")
        answers(60)
        self.home.kill_daemon()
        self.home.start()
        answers(20)
        self.assertEqual(self.home.wait_for("proxy", state="running")["pid"], pid)
        self.assertEqual(os.stat(self.run_dir / "list"), written)
        self.assertEqual((self.told("reloaded"), len(self.told("proxy_list"))), ([], 1))
        candidate = self.run_dir / "list.candidate"
        self.assertFalse(candidate.exists())

        # But one that was killed before it told the proxy has left its candidate.
        self.home.kill_daemon()
        shutil.copy(self.run_dir / "list", candidate)
        self.home.start()
        self.wait_told("reloaded", f"sent {self.reload_signal}")
        wait_until(lambda: not candidate.exists(), "the candidate to go")
        self.wait_list("one", "two")

    def test_in_maintenance_nothing_is_written_until_it_ends(self):
        one, two = self.node(), self.node()
        self.upstream({"one": one.port, "two": two.port})
        self.start()
        self.wait_list("one", "two")
        self.home.ok("maintenance", "on", "proxy")
        two.number = lambda: 500
        asked = two.asked
        wait_until(lambda: two.asked > asked + 20, "20 answers")
        self.wait_list("one", "two")
        self.home.ok("maintenance", "off", "proxy")
        self.wait_list("one")

    def test_a_websocket_and_a_header_of_its_own_pass_and_live_through_a_change_of_the_list(self):
        one, two = self.node(), self.node(lambda: 500)
        self.upstream({"one": one.port, "two": two.port})
        self.start()
        self.wait_list("one")
        key = base64.b64encode(b"0123456789abcdef").decode()
        with socket.create_connection(("127.0.0.1", self.listen), timeout=60) as s, s.makefile("rb") as answers:
            s.sendall(f"GET /rpc/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                      f"X-VENUS-API-NAMESPACE: v1.FullNode\r\n\r\n".encode())
            self.assertIn(b" 101 ", answers.readline())
            headers = dict(line.decode().lower().split(": ", 1) for line in iter(answers.readline, b"\r\n"))
            self.assertEqual(headers["sec-websocket-accept"].strip(), accept_of(key).lower())
            s.sendall(b"before\n")
            self.assertEqual(answers.readline(), b"before\n")
            two.number = lambda: 1000
            self.wait_list("one", "two")
            s.sendall(b"after\n")
            self.assertEqual(answers.readline(), b"after\n")
        self.assertEqual(one.namespaces, ["v1.FullNode"])

    def test_a_broken_template_is_refused_with_the_words_of_the_proxy_and_traffic_goes_on(self):
        one, two = self.node(), self.node()
        self.upstream({"one": one.port, "two": two.port})
        pid = self.start()["pid"]
        self.wait_list("one", "two")
        before = (self.run_dir / "list").read_text()
        (self.run_dir / "template").write_text("server ${endpoint.hots};\n")
        done = self.home.hasup("reload", "proxy")
        self.assertEqual(done.returncode, 1)
        self.assertIn("template: line 1: the endpoints have no \"hots\", only host, name", done.stdout + done.stderr)
        done = self.home.hasup("check")
        self.assertEqual(done.returncode, 0)
        self.assertIn("template: line 1: the endpoints have no \"hots\"", done.stdout + done.stderr)
        (self.run_dir / "template").write_text(self.template() + "\nnosuchdirective here;\n")
        done = self.home.hasup("reload", "proxy")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nosuchdirective", done.stdout + done.stderr)
        two.number = lambda: 500  # a change of the list does not make it better, and is told as it is another text
        self.wait_told("proxy_refused", "upstream leap (one) was not taken, the one before stays in use")
        self.assertEqual((self.run_dir / "list").read_text(), before)
        self.assertFalse((self.run_dir / "list.candidate").exists())
        self.assertEqual((len(self.told("proxy_refused")), self.told("reloaded")), (3, []))
        self.wait_list("one", "two")
        self.home.ok("restart", "proxy")  # it starts with the one that is in use
        self.assertNotEqual(self.home.wait_healthy("proxy")["pid"], pid)
        self.wait_list("one", "two")
        (self.run_dir / "template").write_text(self.template())
        self.home.ok("reload", "proxy")
        self.wait_list("one")

    def test_it_starts_with_the_first_list_and_keeps_the_last_one_when_no_node_is_fit(self):
        port = free_port()
        self.upstream({"one": port})
        self.home.start()
        self.home.wait_for("proxy", state="waiting", waiting_for=["upstream leap: no endpoint is fit for the list"])
        node = self.demo_node("one", port)
        self.home.wait_healthy("proxy")
        self.wait_list("one")
        end_process(node)
        self.wait_told("proxy_lost", "no endpoint is fit (one: ")
        self.assertIn(f"127.0.0.1:{port}", (self.run_dir / "list").read_text())
        self.home.ok("restart", "proxy")  # there may be more in it than this list
        self.home.wait_healthy("proxy")
        self.demo_node("one", port)
        self.wait_told("proxy_back", "leap: one again")
        self.wait_list("one")
        self.assertEqual(self.told("reloaded"), [])


    def worker(self):
        """The one process that serves, below the one that hasup runs."""
        pid = self.home.unit_status("proxy")["pid"]
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(found[0]) if len(found) == 1 else None

    def test_the_unit_that_is_shipped_replaces_a_worker_that_hangs(self):
        state = self.home.path / "head"
        state.write_text("good 1000")
        self.ports = {"one": free_port()}
        self.start_program([sys.executable, SOURCE / "tests/e2e/chain_stand_in.py", "--listen", str(self.ports["one"]),
                            "--state", state, "--says", "x", "--exit", "1"], lambda: accepts(self.ports["one"]))
        text = (SOURCE / "units/proxy" / f"{self.kind}.template").read_text().replace("8545", str(self.listen))
        for old, new in self.of_this_test.items():
            self.assertIn(old, text)
            text = text.replace(old, new.format(run=self.run_dir))
        (self.run_dir / f"{self.kind}.template").write_text(text)
        self.home.unit("proxy", SHIPPED.format(kind=self.kind, run=self.run_dir, port=self.listen,
                                               node=self.ports["one"], user=getpass.getuser()))
        pid = self.start()["pid"]
        os.kill(wait_until(self.worker, "it has a worker"), signal.SIGSTOP)
        self.home.wait_event("proxy", lambda e: e["kind"] == "became_unhealthy", "it is unhealthy")
        self.assertNotEqual(self.home.wait_for("proxy", restarts=1, health="healthy")["pid"], pid)


class NginxTest(ProxyTest, HasupTest):
    kind = "nginx"
    of_this_test = {"pid /run/node-proxy/nginx.pid;": "pid {run}/nginx.pid;",
                    "    access_log off;": "    access_log off; client_body_temp_path {run}/body;"
                                           " proxy_temp_path {run}/temp; fastcgi_temp_path {run}/fastcgi;"
                                           " uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;",
                    "user www-data;": ""}
    reload_signal = "HUP"
    text = NGINX

    @property
    def command(self):
        return [self.program, "-e", self.run_dir / "error.log", "-c", self.run_dir / "list"]

    @property
    def check(self):
        return [self.program, "-t", "-e", "stderr", "-c", "${candidate}"]


class HaproxyTest(ProxyTest, HasupTest):
    kind = "haproxy"
    of_this_test = {"    user haproxy\n    group haproxy\n": ""}
    reload_signal = "USR2"
    text = HAPROXY

    @property
    def command(self):
        return [self.program, "-W", "-db", "-f", self.run_dir / "list"]

    @property
    def check(self):
        return [self.program, "-c", "-f", "${candidate}"]


class ShippedTest:
    """The unit and the template of units/proxy as they are, but for the paths, ports and addresses of the test."""

    def setUp(self):
        super().setUp()
        self.run_dir = self.home.directory("proxy")
        self.listen = free_port()
        self.program = shutil.which(self.kind, path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(self.program, f"{self.kind} is not installed; packaging/test.sh installs it")
        self.nodes, self.sockets = [Node(), Node()], [Node(), Node()]
        for node in self.nodes + self.sockets:
            self.addCleanup(node.end)
        addresses = {f"10.0.0.{11 + i}:{port}": f"127.0.0.1:{nodes[i].port}"
                     for i in range(2) for port, nodes in ((8545, self.nodes), (8546, self.sockets))}
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # of this machine, beyond which root may not be allowed to go
        changes = {f"/usr/sbin/{self.kind}": self.program, "/etc/hasup/proxy": str(self.run_dir), **addresses,
                   "open_files = 65536": f"open_files = {min(most, 65536)}"}
        self.home.unit("proxy", self.shipped("toml", {**changes, "8545": str(self.listen), **self.unit_changes()}))
        (self.run_dir / f"{self.kind}.template").write_text(self.shipped("template", self.template_changes()))

    def shipped(self, ending, changes):
        text = (SOURCE / "units" / "proxy" / f"{self.kind}.{ending}").read_text()
        for old, new in changes.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text

    def ask(self, words=None):
        """Who answers a call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]})
        request = urllib.request.Request(f"http://127.0.0.1:{self.listen}/", body.encode(), words or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.assertIn(json.load(answer)["result"]["number"], (hex(1000), hex(500)))
            return int(answer.headers["X-Node"])

    def wait_asked(self, *nodes):
        """Until calls go to all of these and to no other one; not one fails on the way."""
        wait_until(lambda: {self.ask() for _ in range(20)} == {n.port for n in nodes},
                   lambda: f"calls go to {[n.port for n in nodes]}\n{self.home.report()}")

    def greet(self):
        """A websocket, of which what is sent comes back."""
        key = base64.b64encode(b"0123456789abcdef").decode()
        with socket.create_connection(("127.0.0.1", self.listen), timeout=60) as s, s.makefile("rb") as answers:
            s.sendall(f"GET {self.websocket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
            self.assertIn(b" 101 ", answers.readline())
            while answers.readline() != b"\r\n":
                pass
            s.sendall(b"hello\n")
            self.assertEqual(answers.readline(), b"hello\n")

    def told(self, kind):
        return [e["reason"] for e in self.home.events("proxy") if e["kind"] == kind]

    def test_it_serves_what_is_caught_up(self):
        one, two = self.nodes
        self.home.start()
        self.home.wait_healthy("proxy")
        self.wait_asked(one, two)
        checked = subprocess.run(self.check(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertNotRegex(checked.stdout + checked.stderr, "(?i)warn")
        for node in self.nodes:
            node.headers.clear()
        self.ask({"X-VENUS-API-NAMESPACE": "v1.FullNode", "API_KEY": "word", "Content-Type": "application/json"})
        headers = next(h for n in self.nodes for h in n.headers if "v1.FullNode" in h.values())
        self.assertEqual({k.lower(): v for k, v in headers.items()}["api_key"], "word", headers)

        for _ in range(4):
            self.greet()
        self.assertTrue(all(n.greeted for n in self.sockets), "both get websockets")
        self.assertFalse(any(n.greeted for n in self.nodes), "on the port for them")

        two.age, two.number = 3600, lambda: 500
        self.home.wait_event("proxy", lambda e: e["kind"] == "proxy_list" and "left out: vm12: " in e["reason"],
                             "vm12 is not in the list")
        self.wait_asked(one)
        greeted = self.sockets[1].greeted
        for _ in range(4):
            self.greet()
        self.assertEqual(self.sockets[1].greeted, greeted)
        two.age, two.number = 0, lambda: 1000
        self.wait_asked(one, two)
        self.home.ok("stop", "proxy")
        self.assertEqual((self.told("proxy_refused"), len(self.told("reloaded"))), ([], 2))
        self.assertEqual(self.home.unit_status("proxy")["state"], "stopped")


class ShippedNginxTest(ShippedTest, HasupTest):
    kind = "nginx"
    websocket = "/ws"

    def unit_changes(self):
        return {"/run/node-proxy": str(self.run_dir / "made")}

    def template_changes(self):
        made = self.run_dir / "made"
        changes = {"/run/node-proxy": str(made), "listen 8545": f"listen 127.0.0.1:{self.listen}",
                   "access_log off;": f"access_log off; {nginx_temp_paths(made)}"}
        return changes if os.geteuid() == 0 else {**changes, "user www-data;": ""}

    def check(self):
        return [self.program, "-t", "-e", "stderr", "-c", self.run_dir / "nginx.conf"]


class ShippedHaproxyTest(ShippedTest, HasupTest):
    kind = "haproxy"
    websocket = "/"

    def unit_changes(self):
        return {}

    def template_changes(self):
        changes = {"bind :8545": f"bind 127.0.0.1:{self.listen}"}
        return changes if os.geteuid() == 0 else {**changes, "user haproxy": "", "group haproxy": ""}

    def check(self):
        return [self.program, "-c", "-f", self.run_dir / "haproxy.cfg"]


if __name__ == "__main__":
    unittest.main()
