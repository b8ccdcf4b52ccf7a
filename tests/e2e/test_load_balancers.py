"""Real HAProxy and nginx in front of two nodes: whatever happens to one of them, no request meets a bad one."""

import os
import shutil
import unittest

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
        text = UNIT.format(data=self.datas[name], node=DEMO_NODE, port=self.ports[name], source=f"file://{self.backup}/",
                           mode="auto", checksum="if_present", more=words, params="")
        text = text.replace("[run]\n", '[run]\ndrain_time = "5s"\n').replace('max_head_age = "30s"', 'max_head_age = "5s"')
        self.home.unit(name, text)

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

    def test_no_request_meets_a_node_that_is_restored(self):
        traffic = self.start_nginx_before_nodes()
        self.home.ok("recover", "leap", "--plan", "full set", "--yes", "--no-wait")
        self.home.wait_for("leap", state="running", health="healthy", recoveries=1)
        self.wait_served_by(traffic, f"127.0.0.1:{self.ports['leap']}")
        self.assert_all_served(traffic.stop())


if __name__ == "__main__":
    unittest.main()
