"""A temporary HASUP_HOME with a hasupd of its own, driven through the command line as a user does it.

Every wait is for a condition that hasup itself reports, with a generous deadline; what a test starts it ends by pid,
and a home that leaves a process behind fails its test.
"""

import contextlib
import glob
import hashlib
import http.client
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ.get("HASUP_BIN_DIR", SOURCE / "build" / "release" / "bin"))
DEMO_NODE = BIN / "hasup-demo-node"
DEADLINE = float(os.environ.get("HASUP_TEST_DEADLINE", "120"))


claims = {}  # port -> the descriptor of a socket whose name says that it is ours, for the life of this process


def claim_port(port):
    """Whether this port of loopback is free, and from now on no other test's: many run side by side, and whoever is to
    listen on it does so only later."""
    if port in claims:
        return False
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0hasup-test-port-{port}")
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    claims[port] = claim.detach()
    return True


def nginx_temp_paths(directory):
    """For the http block of an nginx that is nobody's but the test's."""
    words = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{word}_temp_path {directory}/{word};" for word in words)


def free_port():
    """A port that claim_port() has claimed, outside the range that the kernel hands out for outgoing connections."""
    for _ in range(500):
        port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
        if claim_port(port):
            return port
    raise RuntimeError("no free port")


def free_range(count):
    """The first of so many ports in a row."""
    for _ in range(200):
        first = free_port()
        if all(claim_port(first + i) for i in range(1, count)):
            return first
    raise RuntimeError("no free ports in a row")


def wait_until(condition, what, timeout=DEADLINE, step=0.05):
    """The first true value of condition(); an AssertionError names what was waited for: a text, or what returns one."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what() if callable(what) else what}")
        time.sleep(step)


def unmount(path):
    """In order, so once nothing below it is in use: whoever has just ended may still be at it in the kernel."""
    wait_until(lambda: subprocess.run(["umount", path], stderr=subprocess.DEVNULL).returncode == 0, f"{path} is unmounted")


def alive(pid):
    """Runs, and is not just a zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def start_time(pid):
    """With the pid it identifies a process."""
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[19]


def on_a_terminal(words, env, typed=None):
    """(exit code, what it wrote) of a program on a terminal of its own. `typed`: what it asks -> what is typed then."""
    typed = dict(typed or {})
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execve(words[0], list(map(str, words)), env)
        finally:
            os._exit(99)
    said = b""
    try:
        while chunk := os.read(terminal, 65536):
            said += chunk
            for question in [q for q in typed if q.encode() in said]:
                os.write(terminal, typed.pop(question).encode())
    except OSError:
        pass  # the other side is closed
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, said.decode().replace("\r\n", "\n")


def parent_of(pid):
    """OSError: there is no such process any more."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def started_by_another(pid, those):
    """Not by one of them: a sanitizer looks for leaks in a child of the process that ends."""
    try:
        return parent_of(pid) not in those
    except OSError:
        return False  # it is gone


def processes_of(directory):
    """pid -> command line of every process that was started for something below this directory."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = os.readlink(f"/proc/{entry}/cwd")
        except OSError:
            continue
        if (str(directory) in command or cwd.startswith(str(directory))) and alive(int(entry)):
            found[int(entry)] = command.strip()
    return found


def workers_of(directory):
    """pid -> command line of each worker that is at something below this directory. Not the child in which a sanitizer
    looks for leaks: who kills that one alone leaves its parent waiting for it for ever."""
    found = {p: c for p, c in processes_of(directory).items()
             if "/hasup-worker" in c.split(" ", 1)[0] and "hasup-worker-logs" not in c}
    return {p: c for p, c in found.items() if started_by_another(p, found)}


def tree_digest(directory, ignore=(".hasup",)):
    """path -> (kind, size, sha256, inode): equal digests mean untouched byte for byte, and not even replaced."""
    digest = {}
    for root, dirs, files in os.walk(directory):
        dirs[:] = [d for d in dirs if not (root == str(directory) and d in ignore)]
        for name in dirs:
            digest[os.path.relpath(os.path.join(root, name), directory)] = "dir"
        for name in files:
            path = os.path.join(root, name)
            data = Path(path).read_bytes()
            digest[os.path.relpath(path, directory)] = (len(data), hashlib.sha256(data).hexdigest(), os.stat(path).st_ino)
    return digest


def write_sha256(path):
    path = Path(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    Path(str(path) + ".sha256").write_text(f"{digest}  {path.name}\n")


def rpc(port, method, params=(), timeout=60):
    """The result of a JSON-RPC call; an error of the node is raised."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        decoded = json.load(answer)
    if "error" in decoded:
        raise RuntimeError(decoded["error"])
    return decoded["result"]


def get_info(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/chain/get_info", timeout=60) as answer:
        return json.load(answer)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        # A connect with Python's own timeout does not wait where others stand in the queue.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(self.timeout), 0))
        self.sock.connect(str(self.path))
        self.sock.settimeout(self.timeout)


class HasupHome:
    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="hasup-e2e-"))
        self.path.chmod(0o755)
        (self.path / "etc" / "units").mkdir(parents=True)
        self.daemon = None
        self.bin = BIN
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("HASUP_") or k == "HASUP_SHARE"}
        self.env["HASUP_HOME"] = str(self.path)
        self.env["NO_COLOR"] = "1"
        self.daemon_log = self.path / "hasupd.log"

    # Files

    def unit(self, name, text):
        (self.path / "etc" / "units" / f"{name}.toml").write_text(text)

    def directory(self, name):
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log_text(self, name):
        """All of a unit's log, rotated files first, without the CRI prefix."""
        return "\n".join(line for _, line in self.log_lines(name))

    def log_lines(self, name):
        files = glob.glob(str(self.path / "log" / f"{name}.log.*"))
        files.sort(key=lambda f: -int(f.rsplit(".", 1)[1]))
        lines = []
        for file in files + [str(self.path / "log" / f"{name}.log")]:
            if not os.path.exists(file):
                continue
            for raw in Path(file).read_text(errors="replace").splitlines():
                stamp, _stream, _tag, text = (raw.split(" ", 3) + ["", "", ""])[:4]
                lines.append((stamp, text))
        return lines

    # Programs

    def start(self):
        assert self.daemon is None
        with open(self.daemon_log, "ab") as log:
            self.daemon = subprocess.Popen([self.bin / "hasupd"], env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, start_new_session=True)
        self.wait_answering()
        return self

    def wait_answering(self):
        def answers():
            if self.daemon.poll() is not None:
                raise AssertionError(f"hasupd ended with {self.daemon.returncode}:\n{self.daemon_log.read_text()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.ask("status")
        wait_until(answers, "hasupd answers")

    def kill_daemon(self, number=signal.SIGKILL):
        self.daemon.send_signal(number)
        self.daemon.wait(DEADLINE)
        code, self.daemon = self.daemon.returncode, None
        return code

    def hasup(self, *words, timeout=DEADLINE, stdin=None):
        return subprocess.run([BIN / "hasup", *map(str, words)], env=self.env, timeout=timeout, text=True,
                              stdin=subprocess.DEVNULL if stdin is None else stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ok(self, *words, **options):
        """Runs `hasup`, which must exit 0; what it printed."""
        done = self.hasup(*words, **options)
        if done.returncode != 0:
            raise AssertionError(f"hasup {' '.join(map(str, words))} exited {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    # What hasup says

    def ask(self, path):
        """The answer of the API, which the command line asks too: asking many times a second with `hasup` itself, under
        sanitizers, would keep a small machine busy with nothing else."""
        with contextlib.closing(UnixConnection(Path(self.env["HASUP_HOME"]) / "run" / "hasupd.sock")) as connection:
            connection.request("GET", f"/v1/{path}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise AssertionError(f"/v1/{path} was answered with {answer.status}: {body.decode()}")
            return json.loads(body)

    def status(self):
        try:
            return self.ask("status")
        except (OSError, http.client.HTTPException) as e:
            raise AssertionError(f"hasupd does not answer: {e!r}") from None

    def unit_status(self, name, instance=0):
        for unit in self.status()["units"]:
            if unit["unit"] == name and unit["instance"] == instance:
                return unit
        raise AssertionError(f"no unit {name}@{instance} in status")

    def events(self, unit=None):
        words = ["events", "--json"] + (["--unit", unit] if unit else [])
        return [json.loads(line) for line in self.ok(*words).splitlines() if line.startswith("{")]

    def wait_for(self, name, timeout=DEADLINE, instance=0, **wanted):
        """wait_for("leap", state="running", health="healthy"): the status of the unit once it is so."""
        seen = {}

        def matches():
            nonlocal seen
            seen = self.unit_status(name, instance)
            return seen if all(seen[key] == value for key, value in wanted.items()) else None
        try:
            return wait_until(matches, f"{name} {wanted}", timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {json.dumps(seen)}\n{self.report()}") from None

    def wait_healthy(self, name, timeout=DEADLINE, instance=0):
        return self.wait_for(name, timeout, instance, state="running", health="healthy")

    def wait_event(self, unit, matches, what, timeout=DEADLINE):
        def find():
            try:
                said = self.ask("events?n=10000" + (f"&unit={unit}" if unit else ""))["events"]
            except (OSError, http.client.HTTPException):
                said = self.events(unit)  # from the file
            return next((e for e in said if matches(e)), None)
        try:
            # What an earlier hasupd saw is in the file alone.
            return next((e for e in self.events(unit) if matches(e)), None) or wait_until(find, what, timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.report()}") from None

    def report(self):
        """What a person needs to see why a test failed: the logs, and last, where it is seen, how the units are."""
        parts = []
        for file in [*sorted((self.path / "log").glob("*.log")), self.daemon_log]:
            with contextlib.suppress(OSError):
                parts.append(f"--- {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-25:]))
        for words in (["events", "-n", "60"], ["status"]):
            with contextlib.suppress(Exception):
                parts.append(f"--- hasup {' '.join(words)}\n" + self.hasup(*words, timeout=20).stdout)
        return "\n".join(parts)

    # The end

    def _stop(self):
        problems = []
        try:
            stopped = self.hasup("stop", "--all")
            if stopped.returncode != 0:
                problems.append(f"hasup stop --all exited {stopped.returncode}: {stopped.stdout}{stopped.stderr}")
        except subprocess.TimeoutExpired:
            problems.append(f"hasup stop --all does not end\n{self.report()}")
        # What is deleted after a recovery has ended, say: a worker or hook that goes on without hasupd keeps its shim.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(re.search(r"--name \S+@\d+\+", c) for c in processes_of(self.path).values()),
                       "no worker is left", 30)
        try:
            code = self.kill_daemon(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            code = f"nothing, and was killed ({self.kill_daemon()})"
        if code != 0:
            problems.append(f"hasupd exited {code} on SIGTERM:\n{self.daemon_log.read_text()[-4000:]}")
        return problems

    def close(self):
        """Stops everything; the processes that were left all the same, as text."""
        problems = []
        if self.daemon and self.daemon.poll() is None:
            problems += self._stop()
        elif self.daemon:
            problems.append(f"hasupd had ended with {self.daemon.returncode}:\n{self.daemon_log.read_text()[-4000:]}")
        left = {}

        def nothing_left():
            nonlocal left
            left = processes_of(self.path)
            return not left
        try:
            wait_until(nothing_left, "all processes ended", 60)
        except AssertionError:
            problems.append(f"processes left: {left}")
            # Twice: a shim that is killed leaves its node behind.
            for pid in [*left, *processes_of(self.path)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.path, ignore_errors=True)
        return problems


class HasupTest(unittest.TestCase):
    """A test with a home; self.home is closed at the end and must leave nothing behind."""

    def setUp(self):
        self.home = HasupHome()
        self.addCleanup(self._close_home)

    def _close_home(self):
        problems = self.home.close()
        if problems:
            self.fail("\n".join(problems))

    def start_program(self, words, ready, **options):
        """A program beside hasup, ended with the test."""
        log = open(self.home.path / f"{Path(str(words[0])).name}-beside.log", "ab")
        self.addCleanup(log.close)
        process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.addCleanup(end_process, process)
        wait_until(lambda: process.poll() is not None or ready(), f"{words[0]} is ready")
        if process.poll() is not None:
            log.flush()
            self.fail(f"{words[0]} ended with {process.returncode}: {Path(log.name).read_text()[-2000:]}")
        return process

    def hold_by_kernel(self, path):
        """From now on the kernel has this file open for writing, and no process has: a look for writers takes its time.
        What is called to let go."""
        words = ["losetup", "--find", "--show", str(path)]
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        made = subprocess.run(words, capture_output=True, text=True) if shutil.which(words[0]) else None
        if made is None or made.returncode:
            self.skipTest("no loop device can be had (it takes root)")
        let_go = contextlib.ExitStack()
        let_go.callback(subprocess.run, ["losetup", "-d", made.stdout.strip()], check=True)
        self.addCleanup(let_go.close)
        return let_go.close

    def kill_worker(self):
        """The one that is at work; its pid."""
        pid = wait_until(lambda: next(iter(workers_of(self.home.path)), None), "a worker runs", step=0.01)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the worker has ended")
        return pid

    def start_nginx(self, directory):
        """nginx with autoindex on a directory; its port."""
        port = free_port()
        run = self.home.directory("nginx")
        user = "user root;" if os.geteuid() == 0 else ""
        (run / "nginx.conf").write_text(f"""
            {user} daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 1;
            events {{}}
            http {{
              access_log off; sendfile on;
              {nginx_temp_paths(run)}
              server {{ listen 127.0.0.1:{port}; location / {{ root {directory}; autoindex on; }} }}
            }}""")
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.assertIsNotNone(nginx, "nginx is not installed; packaging/test.sh installs it")
        self.start_program([nginx, "-e", run / "error.log", "-c", run / "nginx.conf"], lambda: accepts(port))
        return port

    def start_backup_host(self, directory, rate=0):
        """hasup-demo-node's backup host, which can be slow; its port."""
        port = free_port()
        words = [DEMO_NODE, "backup-host", "--dir", directory, "--http", f"127.0.0.1:{port}", "--rate", str(rate)]
        self.start_program(words, lambda: accepts(port))
        return port


def accepts(port):
    with socket.socket() as s:
        s.settimeout(2)
        return s.connect_ex(("127.0.0.1", port)) == 0


def end_process(process):
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
