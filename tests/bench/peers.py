"""What every supervisor must be able to do to be measured, and the list of them."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import context
from measure import poll, processes_of


class Peer:
    """Units are added first, then it is started with all of them; a directory of its own has all that it makes."""

    name = ""
    needs = ()        # programs without which it is left out
    most = 1 << 30    # units that it can be measured with in sane time

    @classmethod
    def missing(cls):
        """Why it cannot be measured here; None when it can."""
        absent = [p for p in cls.needs if shutil.which(p) is None]
        return f"{', '.join(absent)} not installed" if absent else None

    @classmethod
    def version(cls):
        return ""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix=f"hasup-bench-{self.name}-"))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LANG": "C.UTF-8", "NO_COLOR": "1"}
        self.root = None
        self.output = open(self.dir / "supervisor.out", "ab")

    def add(self, name, argv, requires=()):
        raise NotImplementedError

    def start(self):
        """Brings it up with all units; does not wait for them."""
        raise NotImplementedError

    def stop(self):
        """The one command that ends all units, until it is back."""
        raise NotImplementedError

    def status_command(self):
        """argv that shows the state of all units; None when there is none."""
        return None

    def supervisors(self):
        return processes_of(self.dir)

    def spawn(self, argv):
        self.root = subprocess.Popen(list(map(str, argv)), env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL,
                                     stdout=self.output, stderr=self.output, start_new_session=True)

    def command(self, *argv, check=True):
        done = subprocess.run(list(map(str, argv)), env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))} exited {done.returncode}:\n{done.stdout[-2000:]}")
        return done.stdout

    def end(self):
        """Nothing of it is left, neither processes nor files. What it started is known by its directory."""
        with contextlib.suppress(Exception):
            self.stop()
        if self.root and self.root.poll() is None:
            self.root.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            poll(lambda: not self._alive(), f"{self.name} ends", 10, 0.02)
        for _ in range(3):  # what supervises first, then what it has left
            for pid in [*self.supervisors(), *self._nodes()]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self.root:
            self.root.wait()
        self.output.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _alive(self):
        if self.root:
            self.root.poll()
        return self.supervisors()

    def _nodes(self):
        """Its nodes have its directory in their arguments, or stand in it."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/exe") != str(context.NODE):
                    continue
                words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
                if str(self.dir) in words or os.readlink(f"/proc/{entry}/cwd").startswith(str(self.dir)):
                    found.append(int(entry))
        return found


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return done.stdout.strip()


def all_peers():
    from peer_bare import Bare
    from peer_hasup import Hasup
    from peer_pm2 import Pm2
    from peer_runit import Runit
    from peer_s6 import S6
    from peer_supervisord import Supervisord
    return [Bare, Hasup, Pm2, Supervisord, Runit, S6]
