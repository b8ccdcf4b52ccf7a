"""Endpoints of upstreams that are the addresses of a DNS name, which a real dnsmasq serves to hasupd alone: in a mount
namespace of its own it is the machine's name server."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.request

import test_proxy
import test_upstreams
from hasup_home import BIN, end_process, free_port, wait_until

NAME = "leaps.internal"
DNSMASQ = shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin")

UNIT = """
[run]
command = ["/bin/sleep", "1000000"]
env = {{ LEAP = "${{upstream.leap.host}}"{more} }}
[readiness]
kind = "http"
url = "http://${{upstream.leap.host}}:{port}/v1/chain/get_info"
interval = "100ms"
port_owner = "any"
"""


def may_mount():
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0


@unittest.skipIf(DNSMASQ is None, "dnsmasq is not installed; packaging/packages.sh names it")
class NamedTest(test_upstreams.UpstreamTest):
    def setUp(self):
        super().setUp()
        if not may_mount():
            self.skipTest("only root can give hasupd a resolv.conf of its own")
        self.port = free_port()
        directory = self.home.directory("dns")
        self.hosts = directory / "hosts"
        self.hosts.touch()
        self.server = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}"
        files = {"resolv.conf": f"nameserver {self.server}\noptions timeout:1 attempts:1\n",
                 "nsswitch.conf": "hosts: files dns\n", "hosts": "127.0.0.1 localhost\n"}
        binds = ""
        for name, text in files.items():
            (directory / f"etc-{name}").write_text(text)
            binds += f"mount --bind {directory}/etc-{name} /etc/{name} && "
        self.home.bin = self.home.directory("in-namespace")
        program = self.home.bin / "hasupd"
        program.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{binds}exec {BIN}/hasupd'\n")
        program.chmod(0o755)
        self.dns = None
        self.dns_starts()

    def dns_starts(self):
        words = [DNSMASQ, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                 "--local=/internal/", f"--addn-hosts={self.hosts}", f"--listen-address={self.server}", "--bind-interfaces", "--pid-file",
                 "--log-facility=-"]

        def answers():
            try:
                with socket.create_connection((self.server, 53), 1):
                    return True
            except OSError:
                return False
        self.dns = self.start_program(words, answers)

    def named(self, *hosts):
        """From now on these are the addresses."""
        self.hosts.write_text("".join(f"{h} {NAME}\n" for h in hosts))
        if self.dns:
            self.dns.send_signal(signal.SIGHUP)

    def dns_breaks(self):
        end_process(self.dns)
        self.dns = None

    def upstream(self, select="best_head", more="", on_change="restart"):
        text = test_upstreams.LEAP.format(select=select, switch='{ behind = "5s", for = "100ms", min_dwell = "0s" }',
                                          on_change=on_change)
        if select == "sticky":
            text = "".join(line for line in text.splitlines(True) if not line.startswith("switch"))
        text = text.replace("${endpoint.host}", f"${{endpoint.host}}:{self.port}")
        directory = self.home.directory("etc/upstreams")
        head, probe = text.split("[probe]")
        settings = f'resolve_every = "1s"\nkeep_address_for = "2s"\n{more}\n'
        (directory / "leap.toml").write_text(f'{head}{settings}[probe]{probe}[[endpoint]]\ndns = "{NAME}"\n')

    def written(self, *lines):
        """The text of the upstream as it is, by its name, and with these lines for its endpoint instead."""
        path = self.home.path / "etc/upstreams/leap.toml"
        text = path.read_text()
        path.write_text(text.split("[[endpoint]]")[0] + "[[endpoint]]\n" + "".join(f"{line}\n" for line in lines))
        return path, text

    def unit(self, name="evm", more=""):
        self.home.unit(name, UNIT.format(port=self.port, more=more))

    def leap(self, address, number=lambda: 100):
        leap = test_upstreams.Leap(number, self.port, address)
        self.addCleanup(leap.end)
        return leap

    def shown(self):
        return json.loads(self.home.ok("upstream", "leap", "--json"))["upstreams"][0]

    def endpoints(self):
        return {e["endpoint"]: e for e in self.shown()["endpoints"]}

    def wait_endpoints(self, *names):
        wait_until(lambda: set(self.endpoints()) == set(names), lambda: f"{names}: {self.shown()}\n{self.home.report()}")

    def wait_said(self, words):
        return self.home.wait_event(None, lambda e: e["kind"] == "upstream_addresses" and words in e["reason"], words)


class ChosenTest(NamedTest):
    def test_the_best_of_its_addresses_is_chosen_and_they_come_and_go_while_the_unit_runs(self):
        two, three = self.leap("127.0.0.2", lambda: 90), self.leap("127.0.0.3")
        self.named("127.0.0.2", "127.0.0.3")
        self.upstream()
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.3")
        self.assertEqual({e["dns"] for e in self.endpoints().values()}, {NAME})
        self.assertIn(f"127.0.0.3 ({NAME})", self.home.ok("upstream"))
        self.wait_said(f"127.0.0.2, 127.0.0.3 are addresses of {NAME}")
        self.home.ok("probe", "evm")
        self.home.wait_healthy("evm")

        # A third one joins, which is no better: nothing is restarted, and nobody is less healthy for a moment.
        asked = three.asked
        four = self.leap("127.0.0.4")
        self.named("127.0.0.2", "127.0.0.3", "127.0.0.4")
        self.wait_endpoints("127.0.0.2", "127.0.0.3", "127.0.0.4")
        wait_until(lambda: self.endpoints()["127.0.0.4"]["health"] == "healthy", "the new one is asked")
        wait_until(lambda: three.asked > asked + 20 and four.asked > 20, "20 answers more")
        after = self.home.wait_healthy("evm")
        self.assertEqual(after["pid"], before["pid"])
        self.assertFalse(after["config_changed"])
        self.assertEqual(self.kinds().count("upstream_chosen"), 1)
        self.assertNotIn("upstream_switched", self.kinds())
        self.assertEqual([e for e in self.home.events("evm") if e["kind"] == "became_unhealthy"], [])
        self.home.ok("apply")
        self.assertEqual(self.home.wait_healthy("evm")["pid"], before["pid"])

        # The chosen one dies, and the new one is taken.
        three.end()
        after = self.runs_with("127.0.0.4")
        self.assertNotEqual(after["pid"], before["pid"])

        # That one is named no more, and is left though it answers.
        self.named("127.0.0.2", "127.0.0.3")
        self.runs_with("127.0.0.2")
        switched = [e["reason"] for e in self.home.events() if e["kind"] == "upstream_switched"]
        self.assertIn(f"127.0.0.4 is unhealthy: no address of {NAME} any more", switched[-1])
        self.wait_endpoints("127.0.0.2", "127.0.0.3")
        two.number = lambda: 200
        self.assertFalse(self.home.wait_healthy("evm")["config_changed"])

    def test_a_name_that_has_only_ipv6_addresses_gives_hosts_as_urls_have_them(self):
        with socket.socket(socket.AF_INET6) as s:
            try:
                s.bind(("::1", 0))
            except OSError as e:
                self.skipTest(f"no IPv6 here: {e}")
        self.leap("::1")
        self.named("::1")
        self.upstream()
        self.unit()
        self.home.start()
        self.runs_with("[::1]")
        self.home.wait_healthy("evm")
        self.leap("127.0.0.2")
        self.named("::1", "127.0.0.2")  # those of IPv4 are taken where there are any
        self.runs_with("127.0.0.2")

    def test_hosts_of_a_file_become_a_name_and_nothing_is_restarted(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2", "127.0.0.3")
        self.upstream()
        path = self.home.path / "etc/upstreams/leap.toml"
        by_name = path.read_text()
        path.write_text(by_name.split("[[endpoint]]")[0] + '[[endpoint]]\nhost = "127.0.0.2"\n')
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.2")
        path.write_text(by_name)
        self.assertIn("evm: changed, would apply without a restart", self.home.ok("apply", "--dry-run"))
        self.home.ok("apply")
        self.wait_endpoints("127.0.0.2", "127.0.0.3")
        after = self.home.wait_healthy("evm")
        self.assertEqual((after["pid"], after["upstream"]), (before["pid"], "leap: 127.0.0.2"))
        self.assertEqual([k for k in self.kinds() if k != "upstream_addresses"], ["upstream_chosen"])
        path.write_text(by_name.replace("[[endpoint]]", '[[endpoint]]\nhost = "127.0.0.2"\n[[endpoint]]', 1))
        self.home.ok("apply")
        self.wait_endpoints("127.0.0.2", "127.0.0.3")
        self.assertEqual({n: e["dns"] for n, e in self.endpoints().items()}, {"127.0.0.2": None, "127.0.0.3": NAME})
        self.assertEqual(self.home.wait_healthy("evm")["pid"], before["pid"])

    def test_hosts_of_a_file_become_a_name_while_no_hasupd_runs(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2", "127.0.0.3")
        self.upstream()
        path, by_name = self.written('host = "127.0.0.2"')
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.dns_breaks()
        self.home.kill_daemon()
        path.write_text(by_name)
        self.home.start()
        self.wait_said(f"{NAME} cannot be found: ")
        wait_until(lambda: self.endpoints()["127.0.0.2"]["health"] == "healthy", "it is asked")
        self.assertEqual(self.home.wait_healthy("evm")["pid"], before["pid"])
        self.dns_starts()
        self.wait_endpoints("127.0.0.2", "127.0.0.3")
        after = self.home.wait_healthy("evm")
        self.assertEqual((after["pid"], after["upstream"]), (before["pid"], "leap: 127.0.0.2"))
        self.assertEqual([k for k in self.kinds() if k.startswith("upstream_") and k != "upstream_addresses"],
                         ["upstream_chosen"])

        # The name has another one only, which is taken once it is healthy.
        self.home.kill_daemon()
        path.write_text(by_name.replace(NAME, "other.internal"))
        self.hosts.write_text("127.0.0.3 other.internal\n")
        self.dns.send_signal(signal.SIGHUP)
        self.home.start()
        self.wait_said("127.0.0.3 is an address of other.internal")
        self.assertEqual(self.runs_with("127.0.0.2")["pid"], before["pid"])
        self.leap("127.0.0.3")
        self.runs_with("127.0.0.3")

    def test_one_that_is_named_no_more_is_kept_while_no_other_is_healthy(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.named("127.0.0.3")
        self.wait_said(f"127.0.0.2 is no address of {NAME} any more")
        self.wait_kind("upstream_lost")
        self.assertEqual(self.runs_with("127.0.0.2")["pid"], before["pid"])
        self.home.kill_daemon()
        self.home.start()
        after = self.runs_with("127.0.0.2")
        self.assertEqual((after["pid"], after["config_changed"]), (before["pid"], False))
        self.leap("127.0.0.3")
        self.runs_with("127.0.0.3")

    def test_all_addresses_in_a_string_are_a_change_that_on_change_decides(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2", "127.0.0.3")
        self.upstream(more='join = " "')
        self.unit(more=', ALL = "${upstream.leap.hosts}"')
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.assertEqual(self.environment(before["pid"])["ALL"], "127.0.0.2 127.0.0.3")
        self.named("127.0.0.2", "127.0.0.3", "127.0.0.4")

        def restarted():
            now = self.home.unit_status("evm")
            return now["pid"] if now["state"] == "running" and now["pid"] != before["pid"] else None
        pid = wait_until(restarted, "it is restarted")
        self.assertEqual(self.environment(pid)["ALL"], "127.0.0.2 127.0.0.3 127.0.0.4")
        self.home.wait_event("evm", lambda e: f"the addresses of {NAME}, which it lists" in e["reason"], "why")
        self.upstream(more='join = " "', on_change="keep")
        self.home.ok("apply")
        self.named("127.0.0.2")
        changed = self.home.wait_for("evm", config_changed=True)
        self.assertEqual(changed["pid"], pid)
        self.home.ok("apply")
        self.assertEqual(self.runs_with("127.0.0.2")["pid"], pid)
        self.home.ok("restart", "evm")
        self.assertEqual(self.environment(self.runs_with("127.0.0.2")["pid"])["ALL"], "127.0.0.2")


class BrokenDnsTest(NamedTest):
    def test_a_unit_waits_for_a_name_that_is_not_found_and_starts_once_it_is(self):
        self.leap("127.0.0.2")
        self.upstream()
        self.unit()
        self.home.ok("check")
        self.home.start()
        waits = wait_until(lambda: (s := self.home.unit_status("evm"))["state"] == "waiting" and "cannot" in s["reason"] and s,
                           lambda: f"it waits: {self.home.unit_status('evm')}")
        self.assertIn(f"upstream leap: the addresses of {NAME} cannot be found: ", waits["reason"])
        self.assertEqual((self.endpoints()[NAME]["health"], self.endpoints()[NAME]["dns"]), ("unknown", NAME))
        self.assertIn("cannot be found", self.home.ok("upstream"))
        self.named("127.0.0.2")
        self.runs_with("127.0.0.2")
        self.wait_said(f"127.0.0.2 is an address of {NAME}")

    def test_without_dns_a_new_hasupd_goes_on_with_what_was_known_and_does_not_choose_again(self):
        self.leap("127.0.0.2", lambda: 90)
        self.leap("127.0.0.3")
        self.named("127.0.0.2", "127.0.0.3")
        self.upstream(select="sticky")
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.3")
        self.dns_breaks()
        self.wait_said(f"{NAME} cannot be found: ")
        self.assertIn("what is known of it stays", self.home.ok("upstream"))
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.home.kill_daemon(number)
            self.home.start()
            after = self.runs_with("127.0.0.3")
            self.assertEqual((after["pid"], after["config_changed"]), (before["pid"], False))
            wait_until(lambda: self.endpoints()["127.0.0.2"]["health"] == "healthy", "the other one is known")
        self.home.ok("restart", "evm")
        self.runs_with("127.0.0.3")
        self.assertEqual(self.kinds().count("upstream_chosen"), 1)
        self.assertNotIn("upstream_switched", self.kinds())
        self.dns_starts()
        self.wait_said(f"{NAME} is found again")

    def test_what_runs_is_taken_over_though_its_file_is_broken(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2", "127.0.0.3")
        self.upstream()
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.dns_breaks()
        self.home.kill_daemon()
        unit = self.home.path / "etc/units/evm.toml"
        text = unit.read_text()
        unit.write_text(text + "[broken")
        self.home.start()
        kept = self.home.wait_for("evm", state="running", health="healthy", upstream="evm/leap: 127.0.0.2")
        self.assertEqual(kept["pid"], before["pid"])
        unit.write_text(text)
        self.home.ok("apply")
        after = self.home.wait_healthy("evm")
        self.assertEqual((after["pid"], after["config_changed"]), (before["pid"], False))

    def test_a_server_that_does_not_answer_holds_nothing_up(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        self.unit()
        self.dns.send_signal(signal.SIGSTOP)
        self.addCleanup(lambda: self.dns.send_signal(signal.SIGCONT))
        self.home.start()
        self.home.wait_for("evm", state="waiting")
        self.assertEqual(self.home.kill_daemon(signal.SIGTERM), 0)
        self.home.start()
        self.dns.send_signal(signal.SIGCONT)
        self.runs_with("127.0.0.2")


    def test_hosts_of_a_file_become_a_name_that_is_not_found_and_what_runs_goes_on(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        path, by_name = self.written('host = "127.0.0.2"')
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.dns_breaks()
        self.written('name = "vm11"', 'host = "127.0.0.2"')
        self.home.ok("apply")
        self.assertEqual(self.home.wait_for("evm", state="running", upstream="leap: vm11")["pid"], before["pid"])
        path.write_text(by_name)
        self.assertIn(f"evm: changed; left as it is, for the addresses of {NAME} cannot be found",
                      self.home.ok("apply"))
        self.assertEqual(self.home.wait_for("evm", state="running", upstream="leap: vm11")["pid"], before["pid"])
        self.written('host = "127.0.0.2"')
        self.home.ok("apply")
        path.write_text(by_name)
        self.home.ok("apply")
        self.wait_said(f"{NAME} cannot be found: ")
        self.assertEqual(self.runs_with("127.0.0.2")["pid"], before["pid"])
        wait_until(lambda: self.endpoints()["127.0.0.2"]["health"] == "healthy", "it is asked")
        self.assertEqual(self.home.wait_healthy("evm")["pid"], before["pid"])

    def test_a_start_says_what_has_become_of_the_chosen_one(self):
        one = self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        path, by_name = self.written('host = "127.0.0.2"')
        self.unit()
        self.home.start()
        self.runs_with("127.0.0.2")
        self.home.ok("stop", "evm")
        self.dns_breaks()
        path.write_text(by_name)
        self.home.ok("apply")
        self.home.hasup("start", "evm", "--no-wait")
        wait_until(lambda: f"the addresses of {NAME} cannot be found: " in self.home.unit_status("evm")["reason"],
                   lambda: f"it waits: {self.home.unit_status('evm')}")
        self.dns_starts()
        self.runs_with("127.0.0.2")
        self.home.ok("stop", "evm")
        self.named("127.0.0.3")
        self.wait_said(f"127.0.0.2 is no address of {NAME} any more")
        one.end()
        self.home.hasup("start", "evm", "--no-wait")
        why = f"upstream leap: 127.0.0.2 is no address of {NAME} any more, and no other one is healthy"
        self.home.wait_for("evm", state="waiting", waiting_for=[why])

    def test_an_answer_for_ipv6_alone_while_that_for_ipv4_fails_is_no_answer(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        self.unit()
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.dns_breaks()
        self.addCleanup(half_broken_dns(self.server))
        self.wait_said(f"{NAME} cannot be found: ")
        self.assertEqual(set(self.endpoints()), {"127.0.0.2"})
        self.assertEqual(self.home.wait_healthy("evm")["pid"], before["pid"])


def half_broken_dns(address):
    """SERVFAIL for addresses of IPv4, and ::1 for those of IPv6. Returns what ends it."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))

    def serve():
        while True:
            asked, peer = server.recvfrom(1500)
            if asked == b"end":
                return
            end = asked.index(b"\0", 12) + 5
            is_ipv6 = asked[end - 4:end - 2] == b"\0\x1c"
            head = asked[:2] + (b"\x81\x80" if is_ipv6 else b"\x81\x82") + b"\0\1" + (b"\0\1" if is_ipv6 else b"\0\0")
            answer = b"\xc0\x0c\0\x1c\0\1\0\0\0\0\0\x10" + socket.inet_pton(socket.AF_INET6, "::1")
            server.sendto(head + b"\0\0\0\0" + asked[12:end] + (answer if is_ipv6 else b""), peer)
    thread = threading.Thread(target=serve)
    thread.start()

    def end():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", (address, 53))
        thread.join()
        server.close()
    return end


class ListTest(NamedTest):
    def environment_of_new(self, old):
        def restarted():
            now = self.home.unit_status("evm")
            return now["pid"] if now["state"] == "running" and now["pid"] != old else None
        pid = wait_until(restarted, lambda: f"it is restarted\n{self.home.report()}")
        return pid, self.environment(pid)["ALL"]

    def test_a_unit_that_could_not_be_restarted_for_its_list_is_restarted_later(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        self.unit(more=', ALL = "${upstream.leap.hosts}"')
        self.home.start()
        before = self.runs_with("127.0.0.2")
        self.home.ok("maintenance", "on", "evm")
        self.named("127.0.0.2", "127.0.0.3")
        self.wait_endpoints("127.0.0.2", "127.0.0.3")
        changed = self.home.wait_for("evm", addresses_changed=NAME)
        self.assertEqual(changed["pid"], before["pid"])
        said = self.home.ok("status", "evm")
        self.assertIn(f"{NAME} has other addresses than when it was started", said)
        self.assertNotIn("its file has changed", said)
        self.home.kill_daemon()
        self.home.start()
        self.assertEqual(self.home.wait_for("evm", addresses_changed=NAME)["pid"], before["pid"])
        self.home.ok("maintenance", "off", "evm")
        pid, listed = self.environment_of_new(before["pid"])
        self.assertEqual(listed, "127.0.0.2,127.0.0.3")
        self.assertIsNone(self.home.wait_healthy("evm")["addresses_changed"])
        self.home.kill_daemon()
        self.named("127.0.0.2", "127.0.0.3", "127.0.0.4")
        self.home.start()
        self.assertEqual(self.environment_of_new(pid)[1], "127.0.0.2,127.0.0.3,127.0.0.4")

    def test_what_is_asked_of_a_unit_goes_on_while_its_list_changes(self):
        self.leap("127.0.0.2")
        self.leap("127.0.0.3")
        self.leap("127.0.0.4")
        self.named("127.0.0.2")
        self.upstream(on_change="keep")
        asked = self.home.path / "asked"
        liveness = f"""[liveness]
kind = "exec"
command = ["/bin/sh", "-c", "echo once >> {asked}"]
interval = "1h"
"""
        self.home.unit("evm", UNIT.format(port=self.port, more=', ALL = "${upstream.leap.hosts}"') + liveness)
        self.home.start()
        self.runs_with("127.0.0.2")
        self.home.wait_healthy("evm")
        wait_until(asked.exists, "it is asked")
        for host in ("127.0.0.3", "127.0.0.4"):
            names = [*self.endpoints(), host]
            self.named(*names)
            wait_until(lambda: self.endpoints().get(host, {}).get("health") == "healthy", "the new one is asked")
        self.assertEqual(asked.read_text().split(), ["once"])
        self.home.wait_for("evm", addresses_changed=NAME)

    def test_the_list_of_a_proxy_follows(self):
        self.leap("127.0.0.2")
        self.named("127.0.0.2")
        self.upstream()
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(nginx, "nginx is not installed; packaging/test.sh installs it")
        run, listen = self.home.directory("proxy"), free_port()
        text = test_proxy.NGINX.format(run=run, port=listen, user="user root;")
        (run / "template").write_text(text.replace("${endpoint.host}", f"${{endpoint.host}}:{self.port}"))
        words = lambda path: ", ".join(f'"{w}"' for w in (nginx, "-e", f"{run}/error.log", "-c", path))
        self.home.unit("proxy", test_proxy.UNIT.format(
            command=words(f"{run}/list"), check=words("${candidate}") + ', "-t"', run=run, reload_signal="HUP", port=listen))
        self.home.start()
        self.home.wait_healthy("proxy")

        def served_by(*hosts):
            def as_wanted():
                seen = set()
                for _ in range(20):
                    with urllib.request.urlopen(f"http://127.0.0.1:{listen}/", timeout=60) as answer:
                        seen.add(answer.headers["X-Server"].split(", ")[-1].rsplit(":", 1)[0])
                return seen == set(hosts)
            wait_until(as_wanted, lambda: f"requests go to {hosts}\n{self.home.report()}")
        served_by("127.0.0.2")
        self.leap("127.0.0.3")
        self.named("127.0.0.2", "127.0.0.3")
        served_by("127.0.0.2", "127.0.0.3")
        self.named("127.0.0.3")
        served_by("127.0.0.3")


if __name__ == "__main__":
    unittest.main()
