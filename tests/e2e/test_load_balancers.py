"""Real HAProxy and nginx in front of two nodes: whatever happens to one of them, no request meets a bad one."""

import os
import shutil
import unittest
import urllib.request

from balancers import Balancers
from hasup_home import DEMO_NODE, accepts, free_port, get_info, wait_until
from leap import UNIT, LeapTest


class BalancerTest(Balancers, LeapTest):
    nodes = ("leap", "spare")

    def setUp(self):
        super().setUp()
        self.set_up_balancers()
        self.ports = {"leap": self.port, "spare": free_port()}
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
        text = UNIT.format(data=self.datas[name], node=self.program(), port=self.ports[name],
                           source=f"file://{self.backup}/", mode="auto", checksum="if_present", more=words, params="")
        text = text.replace("[run]\n", '[run]\ndrain_time = "5s"\n').replace('max_head_age = "30s"', 'max_head_age = "5s"')
        self.home.unit(name, text)

    def program(self):
        return DEMO_NODE

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


class RestoredTest(BalancerTest):
    """A restored node that takes its time to start."""

    def program(self):
        self.gate = self.home.path / "gate"
        script = self.home.path / "slow-node"
        script.write_text(f'#!/bin/sh\nwhile [ -e {self.gate} ]; do sleep 0.05; done\nexec {DEMO_NODE} "$@"\n')
        script.chmod(0o755)
        return script

    def test_haproxy_is_told_why_while_a_snapshot_is_restored(self):
        traffic = self.start_haproxy("agent")
        self.wait_haproxy("leap", "UP", "no check")
        self.gate.write_text("")
        self.home.ok("recover", "leap", "--plan", "full set", "--yes", "--no-wait")
        seen = {}

        def told():
            seen.update(self.haproxy_row("leap"))
            return "stopped (restoring snapshot)" in seen["last_agt"]
        wait_until(told, lambda: f"HAProxy is told of the recovery; it has {seen}\n{self.home.report()}")
        self.assertEqual(seen["status"].split()[0], "DOWN")
        # It stays so for as long as it takes, and each request goes to the other one.
        since = len(traffic.answers)
        wait_until(lambda: len(traffic.answers) > since + 200, "200 answers")
        self.assertEqual({a.server for a in traffic.answers[since + 10:]}, {"spare"})
        self.assertTrue(told(), seen)
        self.assertEqual(seen["status"].split()[0], "DOWN")
        self.assertEqual(self.home.unit_status("leap")["state"], "recovering")
        self.gate.unlink()
        self.home.wait_for("leap", state="running", health="healthy", recoveries=1)
        self.wait_served_by(traffic, "leap")
        self.assertNotIn("restoring", self.haproxy_row("leap")["last_agt"])
        self.assert_all_served(traffic.stop())


UPSTREAM = """
[probe]
preset = "antelope"
url = "http://${endpoint.host}"
interval = "100ms"
timeout = "5s"
"""

LISTED = """
[run]
command = ["{nginx}", "-e", "{run}/error.log", "-c", "{run}/nginx.conf"]
reload_signal = "HUP"

[startup]
kind = "tcp"
address = "127.0.0.1:{port}"
interval = "100ms"

[proxy]
upstream = "nodes"
template = "{run}/nginx.template"
output = "{run}/nginx.conf"
check_command = ["{nginx}", "-t", "-e", "stderr", "-c", "${{candidate}}"]
max_behind = "5s"
back_after = "200ms"
min_interval = "100ms"
"""


class NginxListTest(BalancerTest):
    """nginx asks nobody, and a node that stands still answers: hasup writes its list of the best nodes."""

    def start_nginx_with_list(self):
        """nginx as a unit with [proxy], as docs/load-balancers.md has it, and traffic through it."""
        endpoints = "".join(f'[[endpoint]]\nname = "{name}"\nhost = "{self.server(name)}"\n' for name in self.nodes)
        (self.home.directory("etc/upstreams") / "nodes.toml").write_text(UPSTREAM + endpoints)
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(nginx, "nginx is not installed; packaging/test.sh installs it")
        (self.run_dir / "nginx.template").write_text(self.nginx_text("server ${endpoint.host} max_fails=0;"))
        self.home.unit("balancer", LISTED.format(nginx=nginx, run=self.run_dir, port=self.listen))
        self.home.ok("apply")
        self.home.wait_healthy("balancer")
        return self.begin_traffic()

    def server(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def test_a_node_whose_head_stands_still_gets_no_request_once_that_is_seen(self):
        traffic = self.start_nginx_with_list()
        for name in self.nodes:
            self.wait_served_by(traffic, self.server(name))
        self.node("leap", more=("--stuck-at", get_info(self.port)["head_block_num"] + 100))
        self.home.ok("apply")
        self.home.wait_event("balancer", lambda e: e["kind"] == "proxy_list" and "left out: leap: " in e["reason"]
                             and " behind" in e["reason"], "leap is not in the list")
        # A worker of the old list goes on with what it has.
        wait_until(lambda: {a.server for a in traffic.answers[-100:]} == {self.server("spare")},
                   "leap gets no more requests")
        since = len(traffic.answers)
        wait_until(lambda: len(traffic.answers) > since + 400, "400 answers")
        self.assertEqual({a.server for a in traffic.answers[since:]}, {self.server("spare")})
        stuck = get_info(self.port)["head_block_num"]
        self.assertTrue(all(a.head > stuck for a in traffic.answers[since:]), "each answer is of a head that goes on")
        self.assertEqual(get_info(self.port)["head_block_num"], stuck, "it answers all the while")
        self.node("leap")
        self.home.ok("apply")
        self.home.wait_healthy("leap")
        # These stand-ins do not learn blocks from each other: the other one waits until it has caught up.
        urllib.request.urlopen(f"http://{self.server('spare')}/v1/producer/pause", timeout=60).close()
        self.wait_served_by(traffic, self.server("leap"))
        self.assert_all_served(traffic.stop())


class NginxTest(BalancerTest):
    def test_nginx_passes_on_what_a_node_that_restarts_does_not_take(self):
        traffic = self.start_nginx_before_nodes()
        self.restart_both(traffic, lambda name: f"127.0.0.1:{self.ports[name]}")

    def test_no_request_meets_a_node_that_is_restored(self):
        traffic = self.start_nginx_before_nodes()
        self.home.ok("recover", "leap", "--plan", "full set", "--yes", "--no-wait")
        self.home.wait_for("leap", state="running", health="healthy", recoveries=1)
        self.wait_served_by(traffic, f"127.0.0.1:{self.ports['leap']}")
        self.assert_all_served(traffic.stop())


if __name__ == "__main__":
    unittest.main()
