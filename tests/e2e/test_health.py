"""What load balancers are told: /healthz of units, instances and groups, on a port of hasup.toml."""

import datetime
import http.client
import json
import socket
import unittest

from hasup_home import HasupTest, accepts, alive, free_port, wait_until

# Healthy while the file is there.
UNIT = """
enabled = false
[run]
command = ["/bin/sh", "-c", "exec sleep 1000"]
instances = {instances}
{more}
[readiness]
kind = "exec"
command = ["/usr/bin/test", "-e", "{file}"]
interval = "100ms"
timeout = "20s"
failures = 1
[restart]
backoff = {{ initial = "100ms", max = "100ms" }}
"""


class HealthTest(HasupTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()

    def unit(self, name, instances=1, more=""):
        file = self.home.path / f"{name}.ok"
        file.touch()
        path = f"{file}${{instance}}" if instances > 1 else file
        for n in range(instances):
            (self.home.path / f"{name}.ok{n}").touch()
        self.home.unit(name, UNIT.format(instances=instances, file=path, more=more))

    def settings(self, text=""):
        (self.home.path / "etc" / "hasup.toml").write_text(f'[http]\nlisten = "127.0.0.1:{self.port}"\n{text}')

    def ask(self, name="", method="GET"):
        """(status, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, "/healthz" + (f"/{name}" if name else ""))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_answer(self, name, status):
        return wait_until(lambda: (lambda a: a if a[0] == status else None)(self.ask(name)), f"{name} is {status}")


class HealthzTest(HealthTest):
    def test_units_instances_and_groups_are_answered_for(self):
        self.unit("rpc")
        self.unit("miner", instances=3)
        self.settings('[[health]]\nname = "evm"\nunits = [{ unit = "rpc" }, { unit = "miner", min = 2 }]\n')
        self.home.start()
        self.assertEqual(self.ask(), (200, "hasupd is up\n"))
        self.assertEqual(self.wait_answer("rpc", 503)[1].split(":")[0], "rpc")  # not enabled, so not started
        self.assertEqual(self.ask("evm")[0], 503)
        self.home.ok("start", "rpc", "miner")
        self.assertEqual(self.ask("rpc"), (200, "rpc: healthy\n"))
        self.assertEqual(self.ask("rpc", "HEAD"), (200, ""))
        self.assertEqual(self.ask("miner@2"), (200, "miner@2: healthy\n"))
        self.assertEqual(self.ask("evm"), (200, "rpc: healthy\nminer: 3 of 3 healthy, at least 2 needed\n"))
        (self.home.path / "miner.ok1").unlink()
        said = self.wait_answer("miner@1", 503)[1]
        self.assertTrue(said.startswith("miner@1: unhealthy: "), said)
        self.assertEqual(self.ask("evm")[0], 200)
        self.home.ok("stop", "miner@2")
        status, said = self.ask("evm")
        self.assertEqual(status, 503)
        self.assertIn("miner: 1 of 3 healthy, at least 2 needed; miner@1 unhealthy: ", said)
        self.assertIn("; miner@2 stopped: stopped by hand\n", said)
        self.assertEqual(self.ask("miner")[0], 200)  # of a unit by itself one is enough
        self.assertEqual(self.ask("other")[0], 404)
        self.assertEqual(self.ask("rpc", "POST")[0], 405)
        self.assertEqual(self.home.hasup("status", "rpc").returncode, 0)
        self.assertEqual(self.home.hasup("status", "miner@1").returncode, 3)

    def test_an_agent_check_is_told_the_share_of_healthy_instances(self):
        self.unit("rpc")
        self.unit("miner", instances=4)
        agent = free_port()
        self.settings('[[health]]\nname = "evm"\nunits = [{ unit = "rpc" }, { unit = "miner", min = 2 }]\n'
                      f'agent_check = "127.0.0.1:{agent}"\n')
        self.home.start()

        def told():
            with socket.create_connection(("127.0.0.1", agent), 60) as s:
                s.sendall(b"what agent-send says\n")
                return s.makefile().read()
        self.assertEqual(told(), "stopped #rpc: stopped: not started yet\n")
        self.home.ok("start", "rpc", "miner")
        self.assertEqual(told(), "ready up 100%\n")
        (self.home.path / "miner.ok1").unlink()
        wait_until(lambda: told() == "ready up 75%\n", "three of four are healthy")
        self.home.ok("stop", "miner@2", "miner@3")
        self.assertTrue(told().startswith("down #miner: 1 of 4 healthy, at least 2 needed; miner@1 unhealthy"), told())
        self.home.ok("stop", "rpc")
        self.assertEqual(told(), "stopped #rpc: stopped: stopped by hand\n")

    def test_what_is_not_known_of_a_unit_that_was_taken_over_is_not_healthy(self):
        self.unit("rpc")
        self.settings()
        self.home.start()
        self.home.ok("start", "rpc")
        self.home.kill_daemon()
        self.assertFalse(accepts(self.port))
        probe = self.home.path / "etc" / "units" / "rpc.toml"
        # The first answer of its probe never comes.
        probe.write_text(probe.read_text().replace('"/usr/bin/test", "-e", ', '"/bin/sh", "-c", "sleep 1000", '))
        self.home.start()
        self.home.wait_for("rpc", state="running", health="unknown")
        status, said = self.ask("rpc")
        self.assertEqual((status, said.split(":")[1]), (503, " unknown"))

    def test_apply_moves_the_port_and_changes_groups_and_a_broken_file_changes_nothing(self):
        self.unit("rpc")
        self.settings()
        self.home.start()
        self.home.ok("start", "rpc")
        self.assertEqual(self.ask("evm")[0], 404)
        old, self.port = self.port, free_port()
        self.settings('[[health]]\nname = "evm"\nunits = [{ unit = "rpc" }]\n')
        self.home.ok("apply")
        self.assertEqual(self.ask("evm")[0], 200)
        self.assertFalse(accepts(old))
        self.settings('[[health]]\nname = "evm"\nunits = [{ unit = "rcp" }]\n')
        done = self.home.hasup("apply")
        self.assertEqual(done.returncode, 6, done.stdout)
        self.assertIn("what load balancers are told is left as it is", done.stdout + done.stderr)
        self.assertEqual(self.ask("evm")[0], 200)
        (self.home.path / "etc" / "hasup.toml").unlink()
        self.home.ok("apply")
        self.assertFalse(accepts(self.port))
        self.assertEqual(self.home.unit_status("rpc")["restarts"], 0)

    def test_a_port_in_use_is_told_stops_no_unit_and_is_taken_once_it_is_free(self):
        self.unit("rpc")
        taken = socket.create_server(("127.0.0.1", self.port))
        self.addCleanup(taken.close)
        self.settings()
        self.home.start()
        self.home.ok("start", "rpc")
        told = self.home.wait_event(None, lambda e: e["kind"] == "listen_failed", "the port is in use")
        self.assertIn(f"cannot listen on 127.0.0.1:{self.port}: Address already in use", told["reason"])
        taken.close()
        self.home.wait_event(None, lambda e: e["kind"] == "listening", "the port was taken")
        self.assertEqual(self.ask("rpc")[0], 200)

    def test_the_port_is_open_again_after_an_upgrade(self):
        self.unit("rpc")
        self.settings()
        self.home.start()
        self.home.ok("start", "rpc")
        before = json.loads(self.home.ok("status", "--json"))["pid"]
        self.home.ok("daemon", "upgrade")
        self.assertEqual(json.loads(self.home.ok("status", "--json"))["pid"], before)
        wait_until(lambda: accepts(self.port), "the port is open")
        self.wait_answer("rpc", 200)

    def test_slow_clients_keep_nobody_else_from_an_answer(self):
        self.unit("rpc")
        self.settings()
        self.home.start()
        self.home.ok("start", "rpc")
        silent = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(100)]
        for one in silent:
            self.addCleanup(one.close)
            one.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        self.assertEqual(self.ask("rpc")[0], 200)


class DrainTest(HealthTest):
    def test_what_is_stopped_is_announced_first_and_a_second_stop_ends_the_waiting(self):
        self.unit("rpc", more='drain_time = "10m"\n')
        agent = free_port()
        self.settings(f'[[health]]\nname = "evm"\nunits = [{{ unit = "rpc" }}]\nagent_check = "127.0.0.1:{agent}"\n')
        self.home.start()
        self.home.ok("start", "rpc")
        pid = self.home.unit_status("rpc")["pid"]
        self.home.ok("stop", "rpc", "--no-wait")
        status = self.home.wait_for("rpc", state="stopping")
        self.assertEqual(self.ask("rpc"), (503, "rpc: draining: stopped by hand; draining for 10m first\n"))
        with socket.create_connection(("127.0.0.1", agent), 60) as s:
            self.assertEqual(s.makefile().read(), "drain\n")
        self.assertEqual(status["reason"], "stopped by hand; draining for 10m first")
        self.assertIsNotNone(status["drain_ends_at"])
        self.assertIsNone(status["kill_at"])
        self.assertIn("drains for another", self.home.hasup("status", "rpc").stdout)
        self.assertTrue(alive(pid))
        # The next hasupd drains it too: whoever was to be told may not have been.
        self.home.kill_daemon()
        self.home.start()
        self.wait_answer("rpc", 503)
        self.assertIsNotNone(self.home.wait_for("rpc", state="stopping")["drain_ends_at"])
        self.assertTrue(alive(pid))
        self.home.ok("stop", "rpc")
        self.assertFalse(alive(pid))
        self.assertEqual(self.home.unit_status("rpc")["state"], "stopped")

    def test_what_is_not_healthy_is_not_waited_for(self):
        self.unit("rpc", more='drain_time = "10m"\n')
        self.settings()
        self.home.start()
        self.home.ok("start", "rpc")
        (self.home.path / "rpc.ok").unlink()
        self.wait_answer("rpc", 503)
        self.home.ok("stop", "rpc")

    def test_of_several_instances_each_is_announced_and_back_for_as_long_before_the_next_one_goes(self):
        self.unit("miner", instances=3, more='drain_time = "1s"\n')
        self.settings()
        self.home.start()
        self.home.ok("start", "miner")
        self.home.ok("restart", "miner")
        seen = {}  # (instance, kind) -> when it was last
        for e in self.home.events("miner"):
            seen[e["instance"], e["kind"]] = datetime.datetime.fromisoformat(e["at"].replace("Z", "+00:00"))
        second = datetime.timedelta(seconds=0.99)  # the two clocks of hasupd
        for n in range(3):
            self.assertGreaterEqual(seen[n, "stopping"] - seen[n, "draining"], second)
            if n > 0:
                self.assertGreaterEqual(seen[n, "draining"] - seen[n - 1, "became_healthy"], second)


if __name__ == "__main__":
    unittest.main()
