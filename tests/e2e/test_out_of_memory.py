"""What the kernel kills for want of memory is told as what it is: certain from the unit's own cgroup, likely from the
counter of the whole machine, and nothing when hasup itself sent the signal. The kernel really kills here."""

import json
import os
import platform
import signal
import struct
import subprocess
import unittest
from pathlib import Path

from hasup_home import BIN, HasupTest, parent_of, unmount, wait_until
from syscall_points import DETACH, Traced, ptrace

LIMIT = 64 << 20
FSTATFS, CGROUP2_MAGIC = "138", 0x63677270


def make_memory_cgroup(name):
    """A cgroup of either version whose processes may have 64 MiB, or why there is none. It is none of hasup's."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, options = line.split()[:4]
        path = Path(mount) / name
        try:
            if kind == "cgroup" and "memory" in options.split(","):
                path.mkdir()
                (path / "memory.limit_in_bytes").write_text(str(LIMIT))
                return path, ""
            if kind == "cgroup2" and "memory" in (Path(mount) / "cgroup.controllers").read_text().split():
                (Path(mount) / "cgroup.subtree_control").write_text("+memory")
                path.mkdir()
                (path / "memory.max").write_text(str(LIMIT))
                return path, ""
        except OSError as e:
            return None, f"no cgroup with a limit of memory can be made here: {e}"
    return None, "no memory controller is mounted"


def machine_oom_kills():
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


class OutOfMemory(HasupTest):
    def setUp(self):
        super().setUp()
        if machine_oom_kills() is None:
            self.skipTest("this kernel does not count what it kills")
        self.cgroup, problem = make_memory_cgroup(f"hasup-e2e-{os.getpid()}")
        if self.cgroup is None:
            self.skipTest(problem)
        self.addCleanup(lambda: wait_until(self.remove_cgroup, "its cgroup is empty"))
        self.goes = self.home.path / "goes"
        (self.home.path / "etc" / "recipes").mkdir()
        (self.home.directory("data") / "state").write_text("")
        self.recipe("KILL")  # the worst that a recipe could say of it

    def recipe(self, number):
        (self.home.path / "etc" / "recipes" / "node.toml").write_text(f"""
[[classify]]
name = "broken state"
signal = "{number}"
action = "recover"
[[plan]]
name = "restore"
wipe = ["state"]
[[plan.archive]]
match = "*.tar"
into = "."
""")

    def remove_cgroup(self):
        try:
            self.cgroup.rmdir()
        except OSError:
            return False
        return True

    def unit(self, script):
        self.home.unit("node", f"""
[run]
command = ["sh", "-c", "{script}"]
[data]
dir = "{self.home.path}/data"
[restart]
policy = "never"
[recovery]
recipe = "node"
source = "file:///nowhere/"
""")
        self.home.start()
        return self.home.wait_for("node", state="running")["pid"]

    def wait_goes(self):
        return f"while [ ! -e {self.goes} ]; do sleep 0.02; done"

    def unit_whose_child_is_killed(self):
        """The kernel kills a child of the node; the node itself goes on."""
        before = machine_oom_kills()
        pid = self.unit(f"sh -c 'echo 0 > {self.cgroup}/cgroup.procs; exec tail /dev/zero'; {self.wait_goes()}")
        wait_until(lambda: machine_oom_kills() > before, "the kernel kills the child")
        self.assertEqual(self.home.unit_status("node")["state"], "running")
        return pid

    def ended_as(self):
        self.home.wait_for("node", state="failed")
        story = json.loads(self.home.ok("why", "node", "--json"))["instances"][0]
        return story["status"]["last_exit"]["class"], story

    def test_what_the_kernel_kills_is_probably_out_of_memory_and_recovers_nothing(self):
        self.unit(f"echo 0 > {self.cgroup}/cgroup.procs; {self.wait_goes()}; exec tail /dev/zero")
        self.goes.write_text("")
        name, story = self.ended_as()
        self.assertEqual(name, "probably out of memory")
        self.assertRegex(story["grounds"], "^the kernel killed .* for want of memory while it ran; nothing proves")
        self.assertIn(story["grounds"], story["status"]["reason"])
        self.assertIn("probably out of memory", story["status"]["reason"])
        self.assertIn('the run also showed "broken state"', story["advice"])
        told = self.home.ok("why", "node")
        self.assertIn(f"What decided\n  {story['grounds']}\n", told)
        self.assertIn("probably out of memory", self.home.hasup("status", "node").stdout)
        self.assertNotIn("recovering", [e["kind"] for e in self.home.events("node")])

    def test_it_is_known_also_when_no_hasupd_was_there(self):
        self.unit(f"echo 0 > {self.cgroup}/cgroup.procs; {self.wait_goes()}; exec tail /dev/zero")
        self.home.kill_daemon()
        before = machine_oom_kills()
        self.goes.write_text("")
        wait_until(lambda: machine_oom_kills() > before, "the kernel kills it")
        self.home.start()
        self.assertEqual(self.ended_as()[0], "probably out of memory")

    def test_a_kill_by_hand_after_another_was_killed_is_said_to_be_no_proof(self):
        os.kill(self.unit_whose_child_is_killed(), signal.SIGKILL)
        name, story = self.ended_as()
        self.assertEqual(name, "probably out of memory")
        self.assertIn("nothing proves that it was this one", story["grounds"])

    def test_a_signal_that_hasup_sent_is_not_the_kernels(self):
        self.recipe("SEGV")
        self.unit_whose_child_is_killed()
        self.home.ok("signal", "node", "KILL")
        name, story = self.ended_as()
        self.assertEqual(name, "killed by signal 9")
        self.assertIsNone(story["grounds"])
        self.assertIsNone(story["advice"])

    def test_where_the_kernel_killed_nothing_it_says_so(self):
        before = machine_oom_kills()
        self.recipe("SEGV")
        pid = self.unit(self.wait_goes())
        os.kill(pid, signal.SIGKILL)
        name, story = self.ended_as()
        if machine_oom_kills() != before:
            self.skipTest("the kernel killed something meanwhile")
        self.assertEqual(name, "killed by signal 9")
        self.assertIn("the kernel did not kill it for want of memory", story["advice"])


class CountedByItsOwnCgroup(HasupTest):
    """Where the memory controller is in cgroup v2. Here a directory stands in for the leaf, as few test machines have it
    there: whoever counts is the test, and the shim is told at its one question that this is a cgroup."""

    def setUp(self):
        mounts = [line.split()[:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
        mount = next((Path(m) for _, m, kind in mounts if kind == "cgroup2"), None)
        if mount is None or os.geteuid() != 0 or platform.machine() != "x86_64":
            self.skipTest("takes root, cgroup v2 and x86-64's numbers of system calls")
        self.root = mount / f"hasup-e2e-counted-{os.getpid()}"
        self.leaf = self.root / "node@0"
        for path in (self.root, self.leaf):
            path.mkdir()
        for path in (self.root, self.root / "shims", self.leaf):
            self.addCleanup(lambda p=path: wait_until(lambda: self.removed(p), f"{p} is empty"))
        self.addCleanup(lambda: unmount(self.leaf))
        super().setUp()
        stand_in = self.home.directory("leaf")
        for name in ("cgroup.procs", "cgroup.kill", "memory.max", "memory.oom.group", "cpu.weight", "pids.max", "memory.stat"):
            (stand_in / name).touch()
        subprocess.run(["mount", "--bind", stand_in, self.leaf], check=True)
        self.home.env["HASUP_CGROUP_ROOT"] = str(self.root)
        (self.home.directory("etc/recipes") / "node.toml").write_text("""
[[classify]]
name = "broken state"
signal = "KILL"
action = "recover"
[[plan]]
name = "restore"
wipe = ["state"]
[[plan.archive]]
match = "*.tar"
into = "."
""")
        (self.home.directory("data") / "state").touch()
        self.home.unit("node", f"""
enabled = false
[run]
command = ["sleep", "600"]
[run.limits]
memory_max = "64MiB"
[data]
dir = "{self.home.path}/data"
[restart]
policy = "never"
[recovery]
recipe = "node"
source = "file:///nowhere/"
""")

    @staticmethod
    def removed(path):
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def count(self, kills, populated):
        (self.leaf / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom {kills}\noom_kill {kills}\noom_group_kill 0\n")
        (self.leaf / "cgroup.events").write_text(f"populated {populated}\nfrozen 0\n")

    def start(self, counted_before):
        """The node's pid, in a run whose shim takes the stand-in for what it is not."""
        self.count(counted_before, populated=1)
        self.home.start()
        self.home.ok("start", "node")
        shim = Traced(parent_of(self.home.unit_status("node")["pid"]))
        command = subprocess.Popen([BIN / "hasup", "restart", "node"], env=self.home.env, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        seen = [None]
        while seen[0] != FSTATFS:
            self.assertTrue(shim.run_to(1, lambda: False))
            seen = Path(f"/proc/{shim.pid}/syscall").read_text().split()
        shim.run_to(1, lambda: False)  # from its begin to its end
        with open(f"/proc/{shim.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(int(seen[2], 16))
            memory.write(struct.pack("<q", CGROUP2_MAGIC))
        ptrace(DETACH, shim.pid)
        self.assertEqual(command.wait(), 0)
        self.assertEqual((self.leaf / "memory.max").read_text(), str(LIMIT))
        return self.home.wait_for("node", state="running")["pid"]

    def test_what_is_counted_while_it_runs_is_certain_and_recovers_nothing(self):
        pid = self.start(counted_before=3)
        self.count(4, populated=0)
        os.kill(pid, signal.SIGKILL)
        self.home.wait_for("node", state="failed")
        story = json.loads(self.home.ok("why", "node", "--json"))["instances"][0]
        end = story["status"]["last_exit"]
        self.assertEqual((end["class"], end["signal"]), ("out of memory", signal.SIGKILL))
        self.assertIn("the kernel killed it at memory_max = 64MiB", story["advice"])
        self.assertNotIn("recovering", [e["kind"] for e in self.home.events("node")])

    def test_what_was_counted_before_it_is_not_its_end(self):
        pid = self.start(counted_before=3)
        self.count(3, populated=0)
        os.kill(pid, signal.SIGKILL)
        # For all that is known it was killed by hand; and what the recipe makes of that, it makes.
        self.home.wait_event("node", lambda e: e["kind"] == "recovering", "it is recovered")
        self.assertEqual(self.home.unit_status("node")["last_exit"]["class"], "broken state")

    def test_it_is_known_also_when_no_hasupd_was_there(self):
        pid = self.start(counted_before=0)
        self.home.kill_daemon()
        self.count(1, populated=0)
        os.kill(pid, signal.SIGKILL)
        self.home.start()
        self.home.wait_for("node", state="failed")
        self.assertEqual(self.home.unit_status("node")["last_exit"]["class"], "out of memory")


if __name__ == "__main__":
    unittest.main()
