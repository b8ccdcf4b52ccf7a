"""Three instances of one unit behind HAProxy and nginx: while they are restarted one after the other, and while one of them
is gone for good, no request meets one that is not there."""

import shutil
import unittest

from balancers import Balancers
from hasup_home import DEMO_NODE, free_range
from leap import LeapTest

UNIT = """
[data]
dir = "{data}${{instance}}"
[run]
instances = 3
command = ["{node}", "nodeos", "--data-dir", "${{data.dir}}", "--http", "127.0.0.1:${{{base} + instance}}",
           "--block-interval", "100ms"]
drain_time = "{drain}"
[readiness]
preset = "antelope"
url = "http://127.0.0.1:${{{base} + instance}}"
max_head_age = "30s"
interval = "100ms"
timeout = "5s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""


class RollingTest(Balancers, LeapTest):
    nodes = ("rpc@0", "rpc@1", "rpc@2")

    def begin(self, drain):
        self.set_up_balancers()
        base = free_range(len(self.nodes))
        self.ports = {name: base + n for n, name in enumerate(self.nodes)}
        for n in range(3):
            shutil.copytree(self.data, self.home.path / f"rpc{n}")
        self.home.unit("rpc", UNIT.format(data=self.home.path / "rpc", node=DEMO_NODE, base=base, drain=drain))
        (self.home.path / "etc" / "hasup.toml").write_text(f'[http]\nlisten = "127.0.0.1:{self.health}"\n')
        self.home.start()
        self.wait_all()

    def wait_all(self):
        for n in range(3):
            self.home.wait_healthy("rpc", instance=n)

    def pids(self):
        return [self.home.unit_status("rpc", n)["pid"] for n in range(3)]

    def roll(self, traffic, server_of):
        before = self.pids()
        self.home.ok("restart", "rpc")
        self.assertFalse(set(before) & set(self.pids()))
        self.wait_all()
        for name in self.nodes:
            self.wait_served_by(traffic, server_of(name))

    def test_a_rolling_restart_behind_haproxy(self):
        self.begin("5s")
        traffic = self.start_haproxy("http")
        self.roll(traffic, lambda name: name.replace("@", "-"))
        self.home.ok("stop", "rpc@1")
        self.wait_haproxy("rpc-1", "DOWN")
        self.home.ok("restart", "rpc@2")
        self.assert_all_served(traffic.stop())

    def test_a_rolling_restart_behind_nginx(self):
        self.begin("1s")
        traffic = self.start_nginx_before_nodes()
        self.roll(traffic, lambda name: f"127.0.0.1:{self.ports[name]}")
        self.assert_all_served(traffic.stop())


if __name__ == "__main__":
    unittest.main()
