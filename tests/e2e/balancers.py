"""HAProxy and nginx in front of the nodes of a test, and requests through them, one after the other."""

import collections
import http.client
import json
import os
import shutil
import socket
import threading
import time

from hasup_home import accepts, free_port, nginx_temp_paths, wait_until

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
  {paths}
  upstream nodes {{
    {servers}
  }}
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


class Balancers:
    """For a HasupTest with `nodes`: names that /healthz knows, and `ports`: where each of them listens."""

    def set_up_balancers(self):
        self.run_dir = self.home.directory("balancer")
        self.listen = free_port()
        self.health = free_port()
        self.agents = {name: free_port() for name in self.nodes}

    def start_haproxy(self, kind, retries=0, redispatch=""):
        servers = []
        checks = []
        for name in self.nodes:
            server = name.replace("@", "-")  # as HAProxy takes it
            line = f"    server {server} 127.0.0.1:{self.ports[name]}"
            if kind == "agent":
                servers.append(f"{line} weight 100 agent-check agent-port {self.agents[name]} agent-inter 100ms")
            else:
                servers.append(f"{line} track {server}-health/health")
                checks.append(f"backend {server}-health\n    option httpchk GET /healthz/{name}\n    server health "
                              f"127.0.0.1:{self.health} check inter 100ms fall 1 rise 1\n")
        conf = self.run_dir / "haproxy.cfg"
        conf.write_text(HAPROXY.format(run=self.run_dir, port=self.listen, retries=retries, redispatch=redispatch,
                                       servers="\n".join(servers)) + "".join(checks))
        haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(haproxy, "haproxy is not installed; packaging/test.sh installs it")
        self.start_program([haproxy, "-db", "-f", conf], lambda: accepts(self.listen))
        return self.begin_traffic()

    def nginx_text(self, servers):
        return NGINX.format(run=self.run_dir, paths=nginx_temp_paths(self.run_dir), port=self.listen, servers=servers,
                            user="user root;" if os.geteuid() == 0 else "")

    def start_nginx_before_nodes(self):
        servers = " ".join(f"server 127.0.0.1:{self.ports[name]} max_fails=1 fail_timeout=1s;" for name in self.nodes)
        conf = self.run_dir / "nginx.conf"
        conf.write_text(self.nginx_text(servers))
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(nginx, "nginx is not installed; packaging/test.sh installs it")
        self.start_program([nginx, "-e", self.run_dir / "error.log", "-c", conf], lambda: accepts(self.listen))
        return self.begin_traffic()

    def begin_traffic(self):
        traffic = Traffic(self.listen)
        self.addCleanup(traffic.stop)
        return traffic

    def haproxy_row(self, name):
        """What HAProxy shows of a server: its columns."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.run_dir / "admin.sock"))
            s.sendall(b"show stat\n")
            rows = s.makefile().read().splitlines()
        columns = rows[0].lstrip("# ").split(",")
        for row in rows[1:]:
            fields = dict(zip(columns, row.split(",")))
            if fields.get("pxname") == "nodes" and fields.get("svname") == name:
                return fields
        return {}

    def wait_haproxy(self, name, *words):
        """The status that HAProxy has of a server, once it begins with one of these."""
        return wait_until(lambda: (lambda s: s if s.startswith(words) else None)(self.haproxy_row(name).get("status", "")),
                          f"{name} is {words} for HAProxy")

    def wait_served_by(self, traffic, server):
        since = len(traffic.answers)
        wait_until(lambda: any(a.server == server for a in traffic.answers[since:]), f"{server} gets requests")

    def assert_all_served(self, answers):
        bad = collections.Counter(a.status for a in answers if a.status != 200)
        self.assertFalse(bad, f"{bad} of {len(answers)}\n{self.home.report()}")
