"""A whole EOS EVM deployment on one machine, from the units that come with hasup: two leaps, an evm node, its rpc, four
miners, the web-socket proxy, and real nginx in front. Whatever is done to one of them, what asks through nginx is served
again; how long that took is printed."""

import getpass
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path

from hasup_home import DEMO_NODE, HasupTest, free_port, free_range, get_info, nginx_temp_paths, wait_until

# For a minute the demo nodes do what takes the real ones a day: probes are as much faster.
LEAP = """
extends = "leap"
[vars]
home = "{home}/{name}"
http = "127.0.0.1:{port}"
backup = "file://{home}/leap-backup/"
[data]
min_free = "1MiB"
[run]
command = ["{demo}", "nodeos", "--data-dir", "${{data.dir}}", "--http", "${{http}}", "--block-interval", "100ms"]
append = {more}
user = "{user}"
[run.limits]
open_files = 1024
stack = "8MiB"
core = "0"
memlock = "64KiB"
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "100ms"
timeout = "5s"
max_head_age = "4s"
[liveness]
interval = "200ms"
advances_within = "6s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
[recovery]
budget = {{ count = 0, within = "1h" }}
[recovery.params]
advancing_for = "500ms"
"""

EVM_NODE = """
extends = "eos-evm-node-leaps"
[upstream.leap]
switch = {{ behind = "3s", for = "300ms", min_dwell = "1s" }}
[upstream.leap.probe]
max_head_age = "4s"
interval = "200ms"
failures = 2
[[upstream.leap.endpoint]]
host = "127.0.0.1:{leaps[0]}"
ship = "127.0.0.1:{leaps[0]}"
[[upstream.leap.endpoint]]
host = "127.0.0.1:{leaps[1]}"
ship = "127.0.0.1:{leaps[1]}"
[vars]
home = "{home}/evm"
engine = "127.0.0.1:{engine}"
rpc = "http://127.0.0.1:{rpc}"
backup = "file://{home}/evm-backup/"
[data]
min_free = "1MiB"
[run]
command = ["{demo}", "evm-node", "--leap", "${{ship}}", "--http", "${{engine}}", "--chain-data",
           "${{data.dir}}", "--ship-max-retry", "10"]
user = "{user}"
[run.limits]
open_files = 1024
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "100ms"
timeout = "5s"
[liveness]
interval = "200ms"
advances_within = "15s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
[recovery]
budget = {{ count = 0, within = "1h" }}
[recovery.params]
advancing_for = "500ms"
"""

RPC = """
extends = "eos-evm-rpc"
[vars]
home = "{home}/evm"
port = {rpc}
engine = "127.0.0.1:{engine}"
leap = "http://127.0.0.1:{leap}"
[run]
command = ["{python}", "{here}/evm_rpc_stand_in.py", "${{port}}", "${{home}}/chain-data"]
user = "{user}"
[run.limits]
open_files = 1024
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "200ms"
[liveness]
interval = "200ms"
timeout = "2s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""

# Each of the four at a port of its own, as in the template.
MINER = """
extends = "eos-evm-miner"
requires = []
[vars]
home = "{home}"
rpc = "127.0.0.1:{rpc}"
[run]
command = ["{demo}", "miner", "--rpc", "${{rpc}}", "--http", "127.0.0.1:${{{miner} + instance}}"]
user = "{user}"
[readiness]
url = "http://127.0.0.1:${{{miner} + instance}}"
needs = ["eos-evm-rpc"]
interval = "200ms"
[liveness]
url = "http://127.0.0.1:${{{miner} + instance}}"
interval = "200ms"
timeout = "2s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""

WS_PROXY = """
extends = "eos-evm-ws-proxy"
[vars]
home = "{home}"
port = {ws}
[run]
command = ["{python}", "{here}/ws_stand_in.py", "${{port}}"]
user = "{user}"
[readiness]
interval = "200ms"
[liveness]
interval = "200ms"
timeout = "2s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""

TX_PROXY = """
extends = "tx-proxy"
[vars]
config = "{home}/nginx/nginx.conf"
port = {proxy}
[run]
command = ["{nginx}", "-e", "{home}/nginx/error.log", "-c", "${{config}}", "-g", "daemon off;"]
stop_timeout = "5s"
[run.limits]
open_files = 1024
[startup]
interval = "100ms"
[readiness]
interval = "200ms"
[liveness]
interval = "200ms"
timeout = "2s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""

NGINX = """
pid {run}/nginx.pid; worker_processes 1; {user}
events {{}}
http {{
  access_log off;
  {paths}
  proxy_connect_timeout 1s; proxy_read_timeout 2s;
  proxy_next_upstream error timeout http_502 http_503 non_idempotent;
  upstream write {{ {miners} }}
  server {{
    listen 127.0.0.1:{port};
    location /write {{ proxy_pass http://write/; }}
    location /ws {{
      proxy_pass http://127.0.0.1:{ws}/; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}
    location / {{ proxy_pass http://127.0.0.1:{rpc}; }}
  }}
}}
"""

MINERS = 4
UNITS = ("leap-1", "leap-2", "eos-evm-node", "eos-evm-rpc", "eos-evm-ws-proxy", "tx-proxy")


class Stack(HasupTest):
    def setUp(self):
        super().setUp()
        self.leaps = [free_port(), free_port()]
        self.miner = free_range(MINERS)
        self.proxy = free_port()
        self.known = dict(home=self.home.path, demo=DEMO_NODE, user=getpass.getuser(), engine=free_port(), rpc=free_port(), leap=self.leaps[0],
                          leaps=self.leaps, ws=free_port(), proxy=self.proxy, miner=self.miner, python=sys.executable,
                          here=Path(__file__).parent, nginx=shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"))
        self.make_chain()
        for number in (1, 2):
            self.leap_unit(number)
        for name, text in (("eos-evm-node", EVM_NODE), ("eos-evm-rpc", RPC), ("eos-evm-miner", MINER),
                           ("eos-evm-ws-proxy", WS_PROXY), ("tx-proxy", TX_PROXY)):
            self.home.unit(name, text.format(**self.known))
        self.write_nginx()
        self.home.ok("check")
        self.home.start()
        self.wait_all()

    def make_chain(self):
        """Both leaps begin as copies of one chain, and there are backups of it and of the evm node's database."""
        first = self.home.path / "leap-1" / "data"
        first.parent.mkdir()
        backup = self.home.directory("leap-backup")
        subprocess.run([DEMO_NODE, "make-chain", "--data-dir", first, "--blocks", "300", "--snapshots", backup,
                        "--snapshot-at", "300"], check=True, timeout=60, stdout=subprocess.DEVNULL)
        shutil.copytree(first, self.home.path / "leap-2" / "data")
        database = self.home.directory("evm/chain-data") / "chaindata"
        database.mkdir()
        (database / "mdbx.dat").write_text(f"MDBX {100:>10} {int(time.time() * 1000):>20}\n")
        self.home.ok("snapshot", "create", database.parent, "--to", self.home.directory("evm-backup"), "--name",
                     "chain-data-0000000100.tar.zst")

    def leap_unit(self, number, more=()):
        self.home.unit(f"leap-{number}", LEAP.format(name=f"leap-{number}", port=self.leaps[number - 1],
                                                     more=json.dumps([str(w) for w in more]), **{
            k: self.known[k] for k in ("home", "demo", "user")}))

    def write_nginx(self):
        run = self.home.directory("nginx")
        miners = " ".join(f"server 127.0.0.1:{self.miner + i} max_fails=1 fail_timeout=1s;" for i in range(MINERS))
        (run / "nginx.conf").write_text(NGINX.format(run=run, paths=nginx_temp_paths(run),
                                                     miners=miners, port=self.proxy,
                                                     user="user root;" if os.geteuid() == 0 else "",
                                                     rpc=self.known["rpc"], ws=self.known["ws"]))

    def wait_all(self):
        for name in UNITS:
            self.home.wait_healthy(name)
        for i in range(MINERS):
            self.home.wait_for("eos-evm-miner", instance=i, state="running", health="healthy")

    # What a user of the chain does

    def call(self, path, method, *params):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy, timeout=10)
        try:
            connection.request("POST", path, json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            return json.loads(body).get("result") if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def writes(self):
        return isinstance(self.call("/write", "eth_gasPrice"), str)

    def reads(self):
        block = self.call("/", "eth_getBlockByNumber", "latest", False)
        return isinstance(block, dict) and time.time() - int(block["timestamp"], 16) < 4

    def subscribes(self):
        try:
            with socket.create_connection(("127.0.0.1", self.proxy), timeout=5) as s:
                s.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
                return s.recv(64).startswith(b"HTTP/1.1 101 ")
        except OSError:
            return False

    def served(self):
        return self.writes() and self.reads() and self.subscribes()

    def after(self, what, done, seen, whole=True):
        """Does it; once `seen` says that hasup has noticed, waits until everything is served, ten times in a row, and, if
        it mends all, until all units are healthy."""
        began = time.monotonic()
        done()
        wait_until(seen, lambda: f"{what}: it is noticed\n{self.home.report()}")
        since = None
        deadline = time.monotonic() + 120
        good = 0
        while good < 10:
            if not self.served():
                good, since = 0, None
                self.assertLess(time.monotonic(), deadline, f"{what}: not served again\n{self.home.report()}")
                continue
            since = since or time.monotonic()
            good += 1
        print(f"{what}: served again after {since - began:.1f} s", flush=True)
        if whole:
            self.wait_all()

    # What can be done to it

    def pid(self, name, instance=0):
        return self.home.unit_status(name, instance)["pid"]

    def worker(self, name):
        """The one process that serves, below the one that hasup runs."""
        pid = self.pid(name)
        found, = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(found)

    def restarted(self, name, instance=0):
        """What says whether it runs as another process than now."""
        before = self.pid(name, instance)

        def seen():
            now = self.home.unit_status(name, instance)
            return now["pid"] not in (None, before) and now["state"] == "running"
        return seen

    def chosen(self):
        """The number of the leap that the evm node runs with."""
        host = self.home.unit_status("eos-evm-node")["upstream"].removeprefix("leap: ")
        return 1 + self.leaps.index(int(re.sub(".*:", "", host)))

    def runs_with(self, number):
        return lambda: (self.home.unit_status("eos-evm-node")["upstream"] or "").endswith(f":{self.leaps[number - 1]}")

    def test_whatever_is_done_to_it_it_serves_again(self):
        wait_until(self.served, lambda: f"all is served\n{self.home.report()}")
        for name, instance in (("eos-evm-node", 0), ("eos-evm-rpc", 0), ("eos-evm-miner", 2), ("eos-evm-ws-proxy", 0),
                               ("tx-proxy", 0)):
            self.after(f"kill -9 of {name}", lambda: os.kill(self.pid(name, instance), signal.SIGKILL),
                       self.restarted(name, instance))
        for name, instance in (("eos-evm-rpc", 0), ("eos-evm-miner", 1), ("eos-evm-ws-proxy", 0)):
            self.after(f"{name} is frozen", lambda: os.kill(self.pid(name, instance), signal.SIGSTOP),
                       self.restarted(name, instance))
        self.after("the worker of tx-proxy is frozen", lambda: os.kill(self.worker("tx-proxy"), signal.SIGSTOP),
                   self.restarted("tx-proxy"))

        self.after("eos-evm-node is frozen", lambda: os.kill(self.pid("eos-evm-node"), signal.SIGSTOP),
                   self.restarted("eos-evm-node"))

        # The leap that is used dies and has a dirty database: it is restored, perhaps before the other one is used.
        first = self.chosen()
        self.after("kill -9 of the leap that is used", lambda: os.kill(self.pid(f"leap-{first}"), signal.SIGKILL),
                   lambda: self.home.unit_status(f"leap-{first}")["recoveries"] == 1)

        # One that hangs may be asked to end before it is killed, so that its database is not always dirty.
        first = self.chosen()
        self.after("the leap that is used is frozen", lambda: os.kill(self.pid(f"leap-{first}"), signal.SIGSTOP),
                   self.restarted(f"leap-{first}"))

        # The head of the one that is used stands still.
        first = self.chosen()
        other = 3 - first
        head = get_info(self.leaps[first - 1])["head_block_num"]
        self.leap_unit(first, more=("--stuck-at", head + 20))
        self.home.ok("apply")
        self.after("the head of the leap that is used stands still", lambda: None, self.runs_with(other), whole=False)
        self.leap_unit(first)
        self.home.ok("apply")
        self.home.ok("start", f"leap-{first}")
        self.wait_all()

        first = self.chosen()
        other = 3 - first
        self.after("the leap that is used is taken away", lambda: self.home.ok("stop", f"leap-{first}", "--no-wait"),
                   self.runs_with(other), whole=False)
        self.home.ok("start", f"leap-{first}")
        self.wait_all()

        # The state of the evm node is damaged, which its rpc has open.
        def damage():
            with open(self.home.path / "evm/chain-data/chaindata/mdbx.dat", "r+b") as f:
                f.write(b"no database")
        self.after("the database of the evm node is damaged", damage,
                   lambda: self.home.unit_status("eos-evm-node")["recoveries"] == 1)


if __name__ == "__main__":
    unittest.main()
