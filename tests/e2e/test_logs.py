"""Logs of real units: rotated, compressed, followed, on a full disk, and those that nodes write themselves."""

import ctypes
import fcntl
import json
import os
import re
import signal
import subprocess
import unittest
from pathlib import Path

from hasup_home import BIN, HasupTest, alive, on_a_terminal, wait_until

# Writes numbered lines to its output until the file `stop` is there, a burst for each file `go.N`.
COUNTER = """
description = "counts"
{head}
[run]
command = ["python3", "-u", "-c", '''
import os, sys, time
n = 0
burst = 0
while not os.path.exists("{dir}/stop"):
    if os.path.exists(f"{dir}/go.{{burst}}"):
        burst += 1
        for _ in range({lines}):
            n += 1
            print(f"line {{n}} " + "x" * 50)
    time.sleep(0.02)
print("the end", file=sys.stderr)
''']
[restart]
policy = "never"
[log]
{log}
"""


def mount(source, target, kind, flags=0, data=""):
    """0, or the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, data.encode())
    return ctypes.get_errno() if done != 0 else 0


def unmount(target):
    ctypes.CDLL(None).umount2(str(target).encode(), 2)


def numbers(text):
    """Of all lines of a counter, in their order."""
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("line ")]


# Each says its next line once that of the other is in the log, with its time: the order of all lines is known.
IN_TURN = """
for n in 1 2 3; do
  while [ "$(cat $OTHER 2> /dev/null | grep -c ' of ')" -lt $((n - 1 + ME)) ]; do sleep 0.01; done
  echo "$n of $NAME"
done
exec sleep 100000
"""


class Colours(HasupTest):
    def setUp(self):
        super().setUp()
        script = self.home.path / "in_turn.sh"
        script.write_text(IN_TURN)
        for at, name in enumerate(("alpha", "be")):
            other = self.home.path / "log" / f"{('be', 'alpha')[at]}.log"
            self.home.unit(name, f"""
[run]
command = ["sh", "{script}"]
env = {{ OTHER = "{other}", ME = "{at}", NAME = "{name}" }}
""")
        self.home.start()
        wait_until(lambda: all("3 of " in self.home.log_text(n) for n in ("alpha", "be")), "all is written")
        self.plain = [f"{name:5} | {n} of {name}" for n in (1, 2, 3) for name in ("alpha", "be")]

    def test_on_a_terminal_each_unit_has_a_colour_of_its_own(self):
        env = {**self.home.env, "TERM": "xterm"}
        env.pop("NO_COLOR", None)
        code, said = on_a_terminal([BIN / "hasup", "logs", "alpha", "be"], env)
        self.assertEqual(code, 0, said)
        lines = said.splitlines()
        found = [re.fullmatch(r"\x1b\[([0-9;]+)m(\w+) *\x1b\[0?m *\| (.*)", line) for line in lines]
        self.assertTrue(all(found), lines)
        self.assertEqual([m[3] for m in found], [line.split("| ")[1] for line in self.plain])
        colours = {name: {m[1] for m in found if m[2] == name} for name in ("alpha", "be")}
        self.assertEqual([len(c) for c in colours.values()], [1, 1], "one unit, one colour")
        self.assertNotEqual(colours["alpha"], colours["be"])

    def test_without_colours_when_they_are_not_wanted_or_nobody_would_see_them(self):
        env = {**self.home.env, "TERM": "xterm", "NO_COLOR": "1"}
        self.assertEqual(on_a_terminal([BIN / "hasup", "logs", "alpha", "be"], env)[1].splitlines(), self.plain)
        self.assertEqual(self.home.ok("logs", "alpha", "be").splitlines(), self.plain)


class Logs(HasupTest):
    LINES = 3000

    def counter(self, name="counter", log="", head=""):
        directory = self.home.directory(f"work-{name}")
        self.home.unit(name, COUNTER.format(dir=directory, lines=self.LINES, log=log, head=head))
        return directory

    def burst(self, directory, number):
        (directory / f"go.{number}").touch()

    def files(self, name="counter"):
        return sorted(p.name for p in (self.home.path / "log").glob(f"{name}.log*"))

    def wait_for_line(self, n, name="counter"):
        wait_until(lambda: f"line {n} " in self.home.ok("logs", name, "-n", "1"), f"line {n} of {name}")

    def test_a_log_is_rotated_compressed_and_read_whole_while_it_is_followed(self):
        work = self.counter(log='max_size = "64KiB"\nmax_files = 100\nmax_age = "14d"\ncompress = true')
        self.home.start()
        self.home.wait_for("counter", state="running")
        followed = self.home.path / "followed"
        with open(followed, "wb") as out:
            follower = subprocess.Popen([BIN / "hasup", "logs", "counter", "-f", "-n", "all"], env=self.home.env,
                                        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            for number in range(3):
                self.burst(work, number)
                self.wait_for_line((number + 1) * self.LINES)
                # Everything but the current file becomes small, and stays readable at each moment on the way.
                def compressed():
                    self.assertEqual(numbers(self.home.ok("logs", "counter", "-n", "all")),
                                     list(range(1, (number + 1) * self.LINES + 1)))
                    files = self.files()
                    return len(files) > 3 and all(f == "counter.log" or f.endswith(".zst") for f in files)
                wait_until(compressed, "all rotated files are compressed")
            (work / "stop").touch()
            self.home.wait_for("counter", state="completed")
            wait_until(lambda: "the end" in followed.read_text(), "the follower has seen the end")
        finally:
            follower.send_signal(signal.SIGINT)
            follower.wait(60)
        total = 3 * self.LINES
        self.assertEqual(numbers(followed.read_text()), list(range(1, total + 1)))
        self.assertEqual(numbers(self.home.ok("logs", "counter", "-n", "4000")), list(range(total - 3998, total + 1)))
        self.assertEqual(len(self.home.ok("logs", "counter", "--grep", "^line 77 ").splitlines()), 1)
        self.assertEqual(self.home.ok("logs", "counter", "--since", "1h", "-n", "1"), "the end\n")
        objects = [json.loads(line) for line in self.home.ok("logs", "counter", "--json", "-n", "all").splitlines()]
        self.assertEqual(len(objects), total + 1)
        self.assertEqual({o["stream"] for o in objects}, {"stdout", "stderr"})
        self.assertEqual({(o["unit"], o["instance"], o["partial"]) for o in objects}, {("counter", 0, False)})
        self.assertEqual([o["time"] for o in objects], sorted(o["time"] for o in objects))
        # zstd's own program reads them as well.
        one = next(f for f in self.files() if f.endswith(".zst"))
        if zstd := next((p for p in ("/usr/bin/zstd",) if os.path.exists(p)), None):
            text = subprocess.run([zstd, "-dcq", self.home.path / "log" / one], stdout=subprocess.PIPE, check=True).stdout
            self.assertIn(b" F line ", text)

    def test_old_files_and_those_above_the_sum_are_deleted(self):
        work = self.counter(log='max_size = "64KiB"\nmax_files = 100\nmax_age = "1d"\nmax_total = "128KiB"')
        log = self.home.directory("log")
        old = log / "counter.log.90"
        old.write_text("2001-01-01T00:00:00Z stdout F old\n")
        os.utime(old, (1e9, 1e9))
        # The current file of another day is rotated before the first line.
        (log / "counter.log").write_text("2001-01-01T00:00:00Z stdout F yesterday\n")
        self.home.start()
        self.home.wait_for("counter", state="running")
        wait_until(lambda: not old.exists(), "the old file is deleted")
        self.burst(work, 0)
        self.wait_for_line(self.LINES)

        def small():
            sizes = [f.stat().st_size for f in log.glob("counter.log.*")]
            return len(sizes) == 2 and sum(sizes) <= 128 * 1024
        wait_until(small, "the rotated files are within their sum")
        self.assertNotIn("yesterday", (log / "counter.log").read_text())
        (work / "stop").touch()

    def test_groups_instances_and_the_previous_run(self):
        for name in ("a", "b"):
            self.home.unit(name, f"""
                groups = ["pair"]
                [run]
                command = ["sh", "-c", "echo {name} ${{instance}} run $$; exec sleep 1000"]
                {'instances = 2' if name == 'b' else ''}
            """)
        self.home.start()
        self.home.wait_for("a", state="running")
        self.home.wait_for("b", instance=1, state="running")
        wait_until(lambda: len(self.home.ok("logs", "@pair").splitlines()) == 3, "all three have written")
        lines = sorted(line.split(" run ")[0] for line in self.home.ok("logs", "@pair").splitlines())
        self.assertEqual(lines, ["a   | a 0", "b@0 | b 0", "b@1 | b 1"])
        first = self.home.ok("logs", "a")
        self.assertEqual(self.home.hasup("logs", "a", "--previous").returncode, 1)
        self.home.ok("restart", "a")
        wait_until(lambda: len(self.home.ok("logs", "a").splitlines()) == 2, "the second run has written")
        self.assertEqual(self.home.ok("logs", "a", "--previous"), first)
        self.assertEqual(json.loads(self.home.ok("logs", "b@1", "--json"))["instance"], 1)
        graph = json.loads(self.home.ok("graph", "--json"))
        self.assertEqual([u["unit"] for u in graph["units"]], ["a", "b"])
        self.assertEqual(json.loads(self.home.ok("cat", "a", "--json"))["groups"], ["pair"])

    def test_a_full_log_disk_costs_lines_that_are_counted_and_never_the_node(self):
        log = self.home.directory("log")
        if error := mount("tmpfs", log, "tmpfs", data="size=256k"):
            self.skipTest(f"this process may not mount a small tmpfs: {os.strerror(error)}")
        self.addCleanup(unmount, log)
        work = self.counter(log='max_size = "10MiB"')
        self.home.start()
        pid = self.home.wait_for("counter", state="running")["pid"]
        self.burst(work, 0)
        self.burst(work, 1)
        dropped = wait_until(lambda: self.home.unit_status("counter")["logs_dropped"], "lines are dropped and counted")
        self.assertGreater(dropped, 0)
        event = self.home.wait_event("counter", lambda e: e["kind"] == "logs_dropped", "the event says so")
        self.assertIn("lines of its log are missing", event["reason"])
        self.assertEqual(self.home.wait_for("counter", state="running")["pid"], pid)
        before = (log / "counter.log").stat().st_size
        self.assertEqual(mount("tmpfs", log, "tmpfs", 32, "size=64m"), 0)  # MS_REMOUNT
        # Told as soon as there is room; until then lines are dropped.
        wait_until(lambda: (log / "counter.log").stat().st_size > before, "the log tells what is missing")
        self.burst(work, 2)
        wait_until(lambda: f"line {3 * self.LINES} " in self.home.ok("logs", "counter", "-n", "3"), "it is written again")
        expected = 1
        for line in self.home.ok("logs", "counter", "-n", "all").splitlines():
            if line.startswith("hasup: ") and line.endswith(" lines dropped"):
                expected += int(line.split()[1])
            else:
                self.assertEqual(int(line.split()[1]), expected)
                expected += 1
        self.assertEqual(expected, 3 * self.LINES + 1)
        self.assertTrue(alive(pid))
        (work / "stop").touch()
        self.home.wait_for("counter", state="completed")

    def freezable_disk(self, directory):
        """A file system of its own at `directory`, whose writers can be made to hang: freeze(True), freeze(False)."""
        image = self.home.path / "disk.img"
        with open(image, "wb") as f:
            f.truncate(64 << 20)
        for words in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, directory]):
            try:
                done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})
            except FileNotFoundError as e:
                self.skipTest(str(e))
            if done.returncode != 0:
                self.skipTest(f"this process may not {words[0]}: {done.stdout.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(directory)])
        fd = os.open(directory, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        frozen = False

        def freeze(wanted):
            nonlocal frozen
            if wanted != frozen:
                fcntl.ioctl(fd, 0xC0045877 if wanted else 0xC0045878, 0)  # FIFREEZE, FITHAW
                frozen = wanted
        try:
            freeze(True)
            freeze(False)
        except OSError as e:
            self.skipTest(f"this file system cannot be frozen: {e}")
        self.addCleanup(freeze, False)
        return freeze

    def test_a_log_disk_that_hangs_holds_up_neither_nodes_nor_commands(self):
        log = self.home.directory("log")
        freeze = self.freezable_disk(log)
        work = self.counter(log='max_size = "2MiB"\ncompress = true\nmax_files = 3')
        self.home.unit("other", """
            enabled = false
            [run]
            command = ["sh", "-c", "echo begin; exec sleep 1000"]
        """)
        self.home.start()
        pid = self.home.wait_for("counter", state="running")["pid"]
        self.burst(work, 0)
        self.wait_for_line(self.LINES)
        freeze(True)
        for number in range(1, 40):
            self.burst(work, number)
        # The node comes to the end of its flood, other units start and stop, and what is lost is counted.
        wait_until(lambda: self.home.unit_status("counter")["logs_dropped"], "lines are dropped and counted")
        self.home.ok("start", "other")
        self.assertIn("line 1 ", self.home.ok("logs", "counter", "-n", "all"))
        self.assertEqual(self.home.wait_for("counter", state="running")["pid"], pid)
        freeze(False)
        wait_until(lambda: "begin" in self.home.ok("logs", "other"), "what waited is written")

        def whole():
            expected = 1
            for line in self.home.ok("logs", "counter", "-n", "all").splitlines():
                if line.startswith("hasup: ") and line.endswith(" lines dropped"):
                    expected += int(line.split()[1])
                elif line.startswith("line "):
                    # The oldest files are deleted by their number.
                    self.assertTrue(expected == 1 or int(line.split()[1]) == expected, (line, expected))
                    expected = int(line.split()[1]) + 1
            return expected >= 40 * self.LINES + 1
        wait_until(whole, "the log says what is missing")

        # An end must not wait for the disk for ever: what is given up is told by an event.
        self.burst(work, 40)
        self.wait_for_line(41 * self.LINES)
        freeze(True)
        self.home.ok("restart", "other")
        self.home.ok("stop", "other")
        self.home.wait_event("other", lambda e: e["kind"] == "logs_dropped", "the line that was not written")
        (work / "stop").touch()
        self.home.wait_for("counter", state="completed")
        freeze(False)


class OwnFiles(HasupTest):
    """Nodes that write their log files themselves."""

    def test_their_lines_are_shown_and_are_the_evidence_of_an_exit(self):
        work = self.home.directory("work")
        own = work / "node.log"
        own.write_text("2020-01-01T00:00:00Z FATAL of an earlier run\n")
        node = work / "node.sh"
        # The second run writes nothing to its own file.
        node.write_text(f"""
            echo to stdout
            [ -e {work}/again ] && exit 4
            touch {work}/again
            echo "FATAL: the disk is on fire" >> {own}
            exit 3
        """)
        self.home.unit("node", f"""
            [run]
            command = ["sh", "{node}"]
            [restart]
            backoff = {{ initial = "200ms", max = "200ms" }}
            start_limit = {{ count = 2, within = "1h" }}
            [log]
            follow = ["{own}", "{work}/not-there.log"]
        """)
        self.home.start()
        self.home.wait_for("node", state="failed")
        exits = [e for e in self.home.events("node") if e["kind"] == "exited"]
        self.assertEqual(len(exits), 2)
        self.assertNotIn("earlier run", self.home.ok("why", "node"))
        shown = self.home.ok("logs", "node")
        self.assertIn("node:node.log", shown)
        self.assertIn("FATAL: the disk is on fire", shown)
        self.assertIn("to stdout", shown)
        streams = [json.loads(line)["stream"] for line in self.home.ok("logs", "node", "--json").splitlines()]
        self.assertEqual(streams.count("file"), 2)

    def test_a_recipe_finds_its_words_in_them_and_not_those_of_an_earlier_run(self):
        recipes = self.home.directory("etc/recipes")
        (recipes / "burner.toml").write_text("""
            [[classify]]
            name = "burnt"
            exit_code = 3
            log = "^FATAL: the disk is on fire"
            action = "hold"
            [data]
            wipe = ["state"]
            [snapshot]
            match = "*"
            into = "."
        """)
        work = self.home.directory("work")
        own = work / "node.log"
        own.write_text("FATAL: the disk is on fire\n")
        (work / "data").mkdir()
        (work / "data" / "state").write_text("")
        for name, script in (("new", f"echo 'FATAL: the disk is on fire' >> {own}; exit 3"), ("stale", "exit 3")):
            self.home.unit(name, f"""
                [data]
                dir = "{work}/data"
                [run]
                command = ["sh", "-c", "{script}"]
                [restart]
                start_limit = {{ count = 1, within = "1h" }}
                [recovery]
                recipe = "burner"
                source = "/nowhere"
                [log]
                follow = ["{own}"]
            """)
            if name == "new":
                self.home.start()
            else:
                self.home.ok("apply")
            self.home.wait_for(name, state="failed")
            self.assertIn("burnt" if name == "new" else "unexplained", self.home.ok("why", name))
            # For who reads its log it is there in both cases.
            self.assertIn("the disk is on fire", self.home.ok("logs", name))
            os.remove(self.home.path / "etc" / "units" / f"{name}.toml")


if __name__ == "__main__":
    unittest.main()
