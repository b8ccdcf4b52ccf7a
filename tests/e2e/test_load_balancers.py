"""Real HAProxy and nginx in front of two nodes: whatever happens to one of them, no request meets a bad one."""

import collections
import http.client
import json
import os
import shutil
import socket
import threading
import time
import unittest

from hasup_home import DEMO_NODE, accepts, free_port, get_info, wait_until
from leap import UNIT, LeapTest

HAPROXY = """
global
    stats socket {run}/admin.sock
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 10s
    retries {retries}
frontend all
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
    http-response set-header X-Server %s
    {redispatch}
{servers}
"""

NGINX = """
daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 1; {user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {run}/body; proxy_temp_path {run}/proxy; fastcgi_temp_path {run}/fastcgi;
  uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
  upstream nodes {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://nodes; proxy_next_upstream error timeout http_502 http_503; add_header X-Server $upstream_addr;
    }}
  }}
}}
"""

answer = collections.namedtuple("answer", "status server head")


class Traffic:
    """Asks for the head again and again, each time over a connection of its own."""

    def __init__(self, port):
        self.port = port
        self.answers = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(2)]
        for t in self.threads:
            t.start()

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/v1/chain/get_info")
            got = connection.getresponse()
            body = got.read()
            head = json.loads(body)["head_block_num"] if got.status == 200 else None
            return answer(got.status, got.headers.get("X-Server"), head)
        except (OSError, http.client.HTTPException) as e:
            return answer(repr(e), None, None)
        finally:
            connection.close()

    def run(self):
        while not self.over.is_set():
            self.answers.append(self.ask())
            time.sleep(0.005)  # not to take all of the processor

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()
        return self.answers


class BalancerTest(LeapTest):
    nodes = ("leap", "spare")

    def setUp(self):
        super().setUp()
        self.run_dir = self.home.directory("balancer")
        self.listen = free_port()
        self.health = free_port()
        self.ports = {"leap": self.port, "spare": free_port()}
        self.agents = {name: free_port() for name in self.nodes}
        self.datas = {"leap": self.data, "spare": self.home.path / "spare"}
        shutil.copytree(self.data, self.datas["spare"])
        groups = "".join(f'[[health]]\nname = "for-{name}"\nunits = [{{ unit = "{name}" }}]\n'
                         f'agent_check = "127.0.0.1:{self.agents[name]}"\n' for name in self.nodes)
        (self.home.path / "etc" / "hasup.toml").write_text(f'[http]\nlisten = "127.0.0.1:{self.health}"\n{groups}')
        for name in self.nodes:
            self.node(name)
        self.home.start()
        for name in self.nodes:
            self.home.wait_healthy(name)

    def node(self, name, more=()):
        words = "".join(f', "{w}"' for w in more)
        text = UNIT.format(data=self.datas[name], node=DEMO_NODE, port=self.ports[name], source=f"file://{self.backup}/",
                           mode="auto", checksum="if_present", more=words, params="")
        text = text.replace("[run]\n", '[run]\ndrain_time = "5s"\n').replace('max_head_age = "30s"', 'max_head_age = "5s"')
        self.home.unit(name, text)

    def start_haproxy(self, kind, retries=0, redispatch=""):
        servers = []
        checks = []
        for name in self.nodes:
            line = f"    server {name} 127.0.0.1:{self.ports[name]}"
            if kind == "agent":
                servers.append(f"{line} weight 100 agent-check agent-port {self.agents[name]} agent-inter 100ms")
            else:
                servers.append(f"{line} track {name}-health/health")
                checks.append(f"backend {name}-health\n    option httpchk GET /healthz/{name}\n    server health "
                              f"127.0.0.1:{self.health} check inter 100ms fall 1 rise 1\n")
        conf = self.run_dir / "haproxy.cfg"
        conf.write_text(HAPROXY.format(run=self.run_dir, port=self.listen, retries=retries, redispatch=redispatch,
                                       servers="\n".join(servers)) + "".join(checks))
        haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(haproxy, "haproxy is not installed; packaging/test.sh installs it")
        self.start_program([haproxy, "-db", "-f", conf], lambda: accepts(self.listen))
        return self.begin_traffic()

    def start_nginx_before_nodes(self):
        servers = " ".join(f"server 127.0.0.1:{self.ports[name]} max_fails=1 fail_timeout=1s;" for name in self.nodes)
        conf = self.run_dir / "nginx.conf"
        conf.write_text(NGINX.format(run=self.run_dir, port=self.listen, servers=servers,
                                     user="user root;" if os.geteuid() == 0 else ""))
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(nginx, "nginx is not installed; packaging/test.sh installs it")
        self.start_program([nginx, "-e", self.run_dir / "error.log", "-c", conf], lambda: accepts(self.listen))
        return self.begin_traffic()

    def begin_traffic(self):
        traffic = Traffic(self.listen)
        self.addCleanup(traffic.stop)
        return traffic

    def haproxy_says(self, name):
        """The status that HAProxy has of a server."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.run_dir / "admin.sock"))
            s.sendall(b"show stat\n")
            rows = s.makefile().read().splitlines()
        columns = rows[0].lstrip("# ").split(",")
        for row in rows[1:]:
            fields = dict(zip(columns, row.split(",")))
            if fields.get("pxname") == "nodes" and fields.get("svname") == name:
                return fields["status"]
        return None

    def wait_haproxy(self, name, *words):
        return wait_until(lambda: (lambda s: s if s is not None and s.startswith(words) else None)(self.haproxy_says(name)),
                          f"{name} is {words} for HAProxy")

    def wait_served_by(self, traffic, server):
        since = len(traffic.answers)
        wait_until(lambda: any(a.server == server for a in traffic.answers[since:]), f"{server} gets requests")

    def assert_all_served(self, answers):
        bad = collections.Counter(a.status for a in answers if a.status != 200)
        self.assertFalse(bad, f"{bad} of {len(answers)}\n{self.home.report()}")

    def restart_both(self, traffic, name_of):
        for name in self.nodes:
            before = self.home.unit_status(name)["pid"]
            self.home.ok("restart", name)
            self.assertNotEqual(self.home.unit_status(name)["pid"], before)
            self.wait_served_by(traffic, name_of(name))
        self.assert_all_served(traffic.stop())


class HaproxyTest(BalancerTest):
    def test_with_http_checks_no_request_meets_a_restart(self):
        traffic = self.start_haproxy("http")
        self.restart_both(traffic, lambda name: name)

    def test_with_agent_checks_no_request_meets_a_restart_or_a_stopped_node(self):
        traffic = self.start_haproxy("agent")
        self.wait_haproxy("leap", "UP", "no check")
        self.home.ok("stop", "leap", "--no-wait")
        self.wait_haproxy("leap", "DRAIN")
        self.home.ok("wait", "leap", "--for", "stopped")
        self.wait_haproxy("leap", "DOWN")
        self.home.ok("start", "leap")
        self.wait_served_by(traffic, "leap")
        self.home.ok("restart", "spare")
        self.wait_served_by(traffic, "spare")
        self.assert_all_served(traffic.stop())

    def test_a_node_whose_head_stands_still_gets_no_request_once_that_is_seen(self):
        self.node("leap", more=("--stuck-at", get_info(self.port)["head_block_num"] + 300))
        traffic = self.start_haproxy("http")
        self.home.ok("apply")
        self.home.wait_for("leap", state="running", health="unhealthy")
        self.wait_haproxy("leap", "DOWN")
        since = len(traffic.answers)
        wait_until(lambda: len(traffic.answers) > since + 200, "200 answers")
        # The first few may have been on their way.
        self.assertEqual({a.server for a in traffic.answers[since + 10:]}, {"spare"})
        self.node("leap")
        self.home.ok("apply")
        self.home.wait_healthy("leap")
        self.wait_served_by(traffic, "leap")
        self.assert_all_served(traffic.stop())

    def test_no_request_meets_a_node_that_is_restored(self):
        traffic = self.start_haproxy("agent")
        self.home.ok("recover", "leap", "--plan", "full set", "--yes", "--no-wait")
        self.wait_haproxy("leap", "DRAIN", "DOWN")
        self.home.wait_for("leap", state="running", health="healthy", recoveries=1)
        self.wait_served_by(traffic, "leap")
        self.assert_all_served(traffic.stop())

    def test_a_node_that_dies_costs_no_request_where_haproxy_may_repeat_it(self):
        traffic = self.start_haproxy("http", retries=3,
                                     redispatch="option redispatch 1\n    retry-on conn-failure empty-response response-timeout")
        self.break_leap()
        self.home.wait_for("leap", state="running", health="healthy", recoveries=1)
        self.wait_served_by(traffic, "leap")
        self.assert_all_served(traffic.stop())

    def test_hasup_status_is_an_external_check(self):
        conf = self.run_dir / "external.cfg"
        check = self.run_dir / "check-leap"
        check.write_text(f"#!/bin/sh\nHASUP_HOME={self.home.path} exec {self.home.bin}/hasup status leap >/dev/null\n")
        check.chmod(0o755)
        conf.write_text(f"""
global
    external-check
    insecure-fork-wanted
    stats socket {self.run_dir}/admin.sock
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 10s
listen nodes
    bind 127.0.0.1:{self.listen}
    option external-check
    external-check path "/usr/bin:/bin"
    external-check command {check}
    server leap 127.0.0.1:{self.port} check inter 200ms fall 1 rise 1
""")
        haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(haproxy, "haproxy is not installed; packaging/test.sh installs it")
        self.start_program([haproxy, "-db", "-f", conf], lambda: accepts(self.listen))
        self.wait_haproxy("leap", "UP")
        self.home.ok("stop", "leap")
        self.wait_haproxy("leap", "DOWN")
        self.home.ok("start", "leap")
        self.wait_haproxy("leap", "UP")


class NginxTest(BalancerTest):
    def test_nginx_passes_on_what_a_node_that_restarts_does_not_take(self):
        traffic = self.start_nginx_before_nodes()
        self.restart_both(traffic, lambda name: f"127.0.0.1:{self.ports[name]}")


if __name__ == "__main__":
    unittest.main()
