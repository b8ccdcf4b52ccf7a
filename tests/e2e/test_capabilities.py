"""What a node may do although it is not root, what a shim keeps of root, and the directories made for a node."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from hasup_home import BIN, HasupTest, processes_of, wait_until

NET_BIND_SERVICE = 1 << 10
SYS_ADMIN = 1 << 21

# Says which port below 1024 it could listen on, and what a program that it executes can do.
BINDER = """
import json, os, socket, subprocess, sys, time
port = None
for p in range(1000, 1024):
    try:
        s = socket.socket()
        s.bind(("127.0.0.1", p))
        s.listen()
        port = p
        break
    except PermissionError:
        break
    except OSError:
        pass
inner = subprocess.run(["cat", "/proc/self/status"], stdout=subprocess.PIPE, text=True).stdout
with open(sys.argv[1] + ".new", "w") as f:
    json.dump({"port": port, "status": inner, "uid": os.getuid()}, f)
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    time.sleep(1)
"""


def capabilities_in(text):
    return {line[3:6]: int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")}


def capabilities(pid):
    return capabilities_in(Path(f"/proc/{pid}/status").read_text())


def unprivileged_ports_begin():
    return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


@unittest.skipIf(os.geteuid() != 0, "needs root, to run nodes as other users")
class Capabilities(HasupTest):
    def setUp(self):
        super().setUp()
        self.script = self.home.path / "binder.py"
        self.script.write_text(BINDER)
        self.out = self.home.directory("out")
        self.out.chmod(0o1777)

    def unit(self, name, more):
        self.home.unit(name, f"""
[run]
command = ["/usr/bin/python3", "{self.script}", "{self.out}/{name}"]
{more}
""")

    def said(self, name):
        path = self.out / name
        wait_until(path.exists, f"{name} has said what it can do")
        return json.loads(path.read_text())

    def test_a_node_of_another_user_has_what_was_asked_for_and_so_has_what_it_executes(self):
        self.unit("bare", 'user = "nobody"')
        self.unit("given", 'user = "nobody"\ncapabilities = ["NET_BIND_SERVICE"]')
        self.home.start()
        for name in ("bare", "given"):
            self.home.wait_healthy(name)
        bare, given = self.said("bare"), self.said("given")
        self.assertEqual((bare["uid"], given["uid"]), (pwd.getpwnam("nobody").pw_uid,) * 2)
        self.assertEqual(capabilities(self.home.unit_status("bare")["pid"])["Eff"], 0)
        of_node = capabilities(self.home.unit_status("given")["pid"])
        for name in ("Eff", "Prm", "Inh", "Amb"):
            self.assertEqual(of_node[name], NET_BIND_SERVICE, name)
        self.assertEqual(capabilities_in(given["status"])["Eff"], NET_BIND_SERVICE)
        self.assertEqual(of_node["Bnd"], capabilities(self.home.daemon.pid)["Bnd"])
        self.assertIsNotNone(given["port"])
        if unprivileged_ports_begin() == 1024:
            self.assertIsNone(bare["port"])

    def test_its_commands_have_them_too(self):
        self.unit("given", f"""user = "nobody"
capabilities = ["CAP_NET_BIND_SERVICE"]
pre_start = [["sh", "-c", "cat /proc/self/status > {self.out}/hook"]]""")
        self.home.start()
        self.home.wait_healthy("given")
        self.assertEqual(capabilities_in((self.out / "hook").read_text())["Eff"], NET_BIND_SERVICE)

    def test_a_shim_lays_down_what_it_does_not_need_and_a_node_of_root_has_all_that_root_has(self):
        self.unit("root", "")
        self.unit("user", 'user = "nobody"')
        self.home.start()
        pid = self.home.wait_healthy("root")["pid"]
        self.home.wait_healthy("user")
        own = capabilities(self.home.daemon.pid)
        self.assertEqual(capabilities(pid), own)
        self.assertEqual(capabilities_in(self.said("root")["status"]), own)
        shims = [p for p, c in processes_of(self.home.path).items() if "hasup-shim" in c]
        self.assertEqual(len(shims), 2)
        for shim in shims:
            for task in os.listdir(f"/proc/{shim}/task"):
                effective = capabilities_in(Path(f"/proc/{shim}/task/{task}/status").read_text())["Eff"]
                self.assertEqual(effective & SYS_ADMIN, 0)
                self.assertNotEqual(effective, 0)

    def test_a_hasupd_that_lacks_a_capability_says_so_and_does_not_start_the_node(self):
        self.unit("given", 'user = "nobody"\ncapabilities = ["NET_BIND_SERVICE"]\n[restart]\npolicy = "never"')
        lacking = ["setpriv", "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"]
        if subprocess.run([*lacking, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no setpriv that can take a capability away")
        with open(self.home.daemon_log, "ab") as log:
            self.home.daemon = subprocess.Popen([*lacking, BIN / "hasupd"], env=self.home.env, stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log, start_new_session=True)
        self.home.wait_answering()
        status = self.home.wait_for("given", state="failed")
        self.assertIn("[run] capabilities", status["reason"])
        self.assertFalse((self.out / "given").exists())


class Directories(HasupTest):
    UNIT = """
[data]
dir = "{data}"
[run]
command = ["sh", "-c", "while :; do sleep 0.1; done"]
create_directories = [{wanted}]
pre_start = [["test", "-d", "{data}"]]
[restart]
policy = "never"
"""

    def unit(self, *wanted, data=None, more=""):
        self.data = data or self.home.path / "node" / "data"
        words = ", ".join(w if w.startswith("{") else f'"{w}"' for w in map(str, wanted))
        self.home.unit("node", self.UNIT.format(data=self.data, wanted=words) + more)

    def test_data_that_is_gone_is_not_made_anew_even_when_the_intent_file_is_lost_too(self):
        self.unit(self.home.path / "node" / "data")
        self.home.start()
        self.home.wait_healthy("node")
        self.home.ok("stop", "node")
        self.home.kill_daemon(signal.SIGTERM)
        shutil.rmtree(self.data)
        (self.home.path / "state" / "intent.json").unlink()
        self.home.start()
        self.assertNotEqual(self.home.hasup("start", "node").returncode, 0)
        self.assertIn("is gone, and this unit has run before", self.home.unit_status("node")["reason"])
        self.assertFalse(self.data.exists())

    def test_they_are_there_before_pre_start_with_mode_and_event(self):
        socket = self.home.path / "socket"
        self.unit(self.home.path / "node" / "data", f'{{ path = "{socket}", mode = "0710" }}')
        self.home.start()
        self.home.wait_healthy("node")
        self.assertTrue(self.data.is_dir())
        self.assertEqual(socket.stat().st_mode & 0o7777, 0o710)
        made = [e["reason"] for e in self.home.events("node") if e["kind"] == "directory_made"]
        self.assertEqual(len(made), 2, made)
        socket.chmod(0o700)
        self.home.ok("restart", "node")
        self.assertEqual(socket.stat().st_mode & 0o7777, 0o700)
        self.assertEqual(len([e for e in self.home.events("node") if e["kind"] == "directory_made"]), 2)

    def test_a_data_directory_that_is_gone_is_not_made_anew(self):
        self.unit(self.home.path / "node" / "data")
        self.home.start()
        self.home.wait_healthy("node")
        self.home.ok("stop", "node")
        self.data.rename(self.home.path / "put-away")
        self.assertNotEqual(self.home.hasup("start", "node").returncode, 0)
        status = self.home.wait_for("node", state="failed")
        self.assertIn("has run before", status["reason"])
        self.assertFalse(self.data.exists())
        (self.home.path / "put-away").rename(self.data)
        self.home.ok("start", "node")

    def test_nothing_is_made_on_an_empty_mount_point(self):
        volume = self.home.directory("volume")
        self.unit(volume / "data", data=volume / "data")
        path = self.home.path / "etc" / "units" / "node.toml"
        path.write_text(path.read_text().replace("[run]", f'mount = "{volume}"\n[run]'))
        self.home.start()
        status = self.home.wait_for("node", state="waiting")
        self.assertIn("is not mounted", status["reason"])
        self.assertEqual(list(volume.iterdir()), [])

    @unittest.skipIf(os.geteuid() != 0, "needs root, to run nodes as other users")
    def test_they_belong_to_the_user_and_an_unsafe_place_is_refused_with_the_remedy(self):
        nobody = pwd.getpwnam("nobody")
        self.unit(self.home.path / "node" / "data")
        path = self.home.path / "etc" / "units" / "node.toml"
        path.write_text(path.read_text().replace("[run]\n", '[run]\nuser = "nobody"\n'))
        self.home.start()
        self.home.wait_healthy("node")
        self.assertEqual((self.data.stat().st_uid, self.data.stat().st_gid), (nobody.pw_uid, nobody.pw_gid))
        self.assertEqual(self.data.parent.stat().st_uid, 0)
        with tempfile.TemporaryDirectory() as open_to_all:
            os.chmod(open_to_all, 0o777)
            path.write_text(path.read_text().replace(f'["{self.data}"]', f'["{open_to_all}/x"]'))
            self.home.ok("apply")
            self.home.hasup("restart", "node")
            status = self.home.wait_for("node", state="failed")
            self.assertIn("can be written by everybody", status["reason"])
            self.assertIn(f"install -d -o nobody -m 0755 {open_to_all}/x", status["reason"])
            self.assertEqual(os.listdir(open_to_all), [])


if __name__ == "__main__":
    unittest.main()
