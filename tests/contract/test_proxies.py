"""Sources behind a proxy, a real one: by HTTP and through its tunnel, with user and password, which are shown nowhere."""

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import unittest
from pathlib import Path

import source_servers
from fault_host import FaultHost
from hasup_home import BIN, accepts, free_port, wait_until
from leap import LeapTest
from nowhere import Nowhere
from test_sources import Sources, snapshot_bytes

TINYPROXY = shutil.which("tinyproxy", path=source_servers.SBIN)
PASSWORD = "s3cr3t-of-the-proxy"


class Proxy:
    """Mixed into a test with a home: a host, and a proxy that wants a password."""

    def setUp(self):
        super().setUp()
        self.host = FaultHost()
        self.addCleanup(self.host.close)

    def start_proxy(self, name="proxy", auth=True, port=None):
        """tinyproxy on a port of its own; the port."""
        port = port or free_port()
        place = self.home.directory(name)
        (place / "conf").write_text(f'Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nLogFile "{place}/log"\n'
                                    + (f"BasicAuth me {PASSWORD}\n" if auth else ""))
        self.proxy = self.start_program([TINYPROXY, "-d", "-c", place / "conf"], lambda: accepts(port))
        return port

    def end_proxy(self):
        self.proxy.kill()
        self.proxy.wait(60)

    def asked(self, name="proxy"):
        """How many requests the proxy has passed on."""
        return (self.home.path / name / "log").read_text().count("Established connection to host")

    def with_password(self, port):
        return f"http://me:{PASSWORD}@127.0.0.1:{port}"


@unittest.skipIf(TINYPROXY is None, "tinyproxy is not installed; packaging/packages.sh names it")
class Proxies(Proxy, Sources):
    def setUp(self):
        super().setUp()
        self.bytes = snapshot_bytes(1, 3_000_000)
        self.host.files["snap-1.bin"] = self.bytes
        self.host.files["snap-1.bin.sha256"] = hashlib.sha256(self.bytes).hexdigest().encode()
        self.host.files[""] = b'<a href="snap-1.bin">snap-1.bin</a>'

    def restore(self, source, **environment):
        found = self.newest(source, **environment)
        out = self.job(self.fetch_job(source, found, checksum="required"), **environment)
        self.assertEqual(out["failure"], "none", out["error"])
        self.assertEqual(out["sha256"], [hashlib.sha256(self.bytes).hexdigest()])
        shutil.rmtree(self.data / ".hasup")

    def refusal(self, source, **environment):
        found = self.select(source, **environment)
        self.assertEqual(found["failure"], "unreachable")
        self.assertNotIn(PASSWORD, str(found))
        return found["error"]

    def test_http_by_the_source_s_proxy_and_by_the_environment_s(self):
        port = self.start_proxy()
        self.restore({"url": self.host.url, "proxy": self.with_password(port)})
        once = self.asked()
        self.assertGreater(once, 0)
        self.restore({"url": self.host.url}, http_proxy=self.with_password(port))
        self.assertGreater(self.asked(), once)

    def test_https_through_its_tunnel(self):
        port = self.start_proxy()
        files = self.home.directory("files")
        host = source_servers.NginxTls(self, files)
        host.put("snap-1.bin", self.bytes)
        host.put("snap-1.bin.sha256", hashlib.sha256(self.bytes).hexdigest().encode())
        self.restore({**host.source, "proxy": self.with_password(port)})
        once = self.asked()
        self.assertGreater(once, 0)
        self.restore(host.source, https_proxy=self.with_password(port))
        self.assertGreater(self.asked(), once)
        for wrong in (f"http://127.0.0.1:{port}", f"http://me:other@127.0.0.1:{port}"):
            said = self.refusal({**host.source, "proxy": wrong})
            self.assertIn(f"the proxy 127.0.0.1:{port} wants to know who asks", said)

    def test_a_proxy_that_refuses_says_so_at_once(self):
        port = self.start_proxy()
        self.assertIn("the proxy wants to know who asks",
                      self.refusal({"url": self.host.url, "proxy": f"http://127.0.0.1:{port}"}))
        # tinyproxy answers a wrong password as a host would.
        self.assertIn("or the proxy on the way",
                      self.refusal({"url": self.host.url, "proxy": f"http://me:other@127.0.0.1:{port}"}))
        self.assertEqual(self.host.requests, [])

    def test_a_proxy_that_is_down_is_named_and_the_next_source_is_used(self):
        down = {"url": self.host.url, "proxy": self.with_password(free_port()), "patience_ms": 1000}
        self.assertIn("by way of the proxy 127.0.0.1:", self.refusal(down))
        other = FaultHost()
        self.addCleanup(other.close)
        other.files.update(self.host.files)
        found = self.select(down, {"url": other.url})
        self.assertEqual(found["failure"], "none", found["error"])
        self.assertEqual([c["snapshots"][0]["source"] for c in found["candidates"]], [other.url])

    def both_ways(self, first):
        """A job's answer with two sources of one URL: in the way that `first` says, then directly."""
        ways = [{"url": self.host.url, **first}, {"url": self.host.url}]
        found = self.select(*ways)
        self.assertEqual((found["failure"], len(found["candidates"])), ("none", 1), found)
        return ways, found

    def end_proxy_in_the_middle(self):
        """When something of the snapshot has come; the host waits for that."""
        if self.host.sent < 1_000_000 or self.proxy.poll() is not None:
            return
        part = self.cached("snap-1.bin.part")
        wait_until(lambda: part.exists() and part.read_bytes()[:100_000] == self.bytes[:100_000], "some of it has come")
        self.end_proxy()

    def test_a_source_is_tried_again_in_the_way_that_another_one_of_its_url_says(self):
        ways, found = self.both_ways({"proxy": self.with_password(free_port()), "patience_ms": 1000})
        self.assertIn("by way of the proxy", found["notes"][0])
        job = {**self.fetch_job(ways[0], found["candidates"][0], checksum="required"), "sources": ways}
        out = self.job(job)
        self.assertEqual((out["failure"], out["verified_by"]), ("none", "sha256"), out["error"])

    def test_when_a_way_closes_in_the_middle_the_next_one_goes_on_from_there(self):
        for announced in (True, False):
            with self.subTest(announced=announced):
                if not announced:
                    del self.host.files["snap-1.bin.sha256"]
                port = self.start_proxy(f"proxy-{announced}")
                ways, found = self.both_ways({"proxy": self.with_password(port), "patience_ms": 2000})
                only, = found["candidates"]
                self.assertEqual([(m["url"], m["source_nth"]) for m in only["snapshots"][0]["mirrors"]],
                                 [(self.host.url + "snap-1.bin", 1)])
                passed_on = self.asked(f"proxy-{announced}")
                self.host.sent = 0
                self.host.on_sent = self.end_proxy_in_the_middle
                out = self.job({**self.fetch_job(ways[0], only), "sources": ways})
                self.assertEqual((out["failure"], out["sha256"]), ("none", [hashlib.sha256(self.bytes).hexdigest()]),
                                 out["error"])
                self.assertIsNotNone(self.proxy.poll())
                self.assertGreater(self.asked(f"proxy-{announced}"), passed_on)
                ranges = [r for method, name, r in self.host.requests if (method, name) == ("GET", "snap-1.bin")]
                self.assertRegex(ranges[-1] or "", r"bytes=[1-9][0-9]*-", "what had come is not loaded again")
                self.host.on_sent = lambda: None
                shutil.rmtree(self.data / ".hasup")

    def test_one_that_cannot_be_used_is_not_quoted_with_its_password(self):
        for scheme in ("nosuch", "ftp"):
            self.refusal({"url": self.host.url, "proxy": f"{scheme}://me:{PASSWORD}@127.0.0.1:1", "patience_ms": 1000})
        self.refusal({"url": self.host.url, "proxy": f"http://me:{PASSWORD}@[bad", "patience_ms": 1000})
        self.refusal({"url": self.host.url, "patience_ms": 1000}, http_proxy=f"me:{PASSWORD}@no such host")

    def test_whom_no_proxy_excepts_is_asked_directly(self):
        self.restore({"url": self.host.url}, http_proxy=self.with_password(free_port()), no_proxy="localhost,127.0.0.1")

    def test_its_password_is_in_no_command_line_environment_or_progress(self):
        port = self.start_proxy()
        source = {"url": self.host.url, "proxy": self.with_password(port)}
        candidate = self.newest(source)
        self.host.on_sent = lambda: self.host.sent < 1_000_000 or self.host.closing.wait()
        progress = self.home.path / "progress.json"
        worker = self.start_job({**self.fetch_job(source, candidate), "progress_path": str(progress)})
        try:
            wait_until(lambda: self.host.sent >= 1_000_000 and progress.exists(), "it is under way")
            self.assertNotIn(PASSWORD, progress.read_text())
            seen = 0
            for entry in filter(str.isdigit, os.listdir("/proc")):
                try:
                    for file in ("cmdline", "environ"):
                        self.assertNotIn(PASSWORD.encode(), Path(f"/proc/{entry}/{file}").read_bytes())
                    seen += int(entry) == worker.pid
                except OSError:
                    pass  # it has just ended
            self.assertEqual(seen, 1)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
        self.assertNotIn(PASSWORD, self.result.read_text())


class Socks(Sources):
    """`ssh -D` to a sshd that knows the name of the host, as nobody on this side does."""

    NAME = "backup-host-on-the-far-side.test"

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root may give a process another /etc/hosts")
        hosts = self.home.path / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {self.NAME}\n")
        self.far = source_servers.Sshd(self, self.home.directory("far"), lead=[
            "unshare", "--mount", "sh", "-ec", f'mount --bind {hosts} /etc/hosts; exec "$@"', "sh"])
        self.bytes = snapshot_bytes(1, 40_000_000)  # in several pieces
        self.host = FaultHost(name=self.NAME)
        self.addCleanup(self.host.close)
        self.host.files["snap-1.bin"] = self.bytes
        self.host.files["snap-1.bin.sha256"] = hashlib.sha256(self.bytes).hexdigest().encode()
        self.host.files[""] = b'<a href="snap-1.bin">snap-1.bin</a>'

    def start_socks(self):
        port = free_port()
        source = self.far.source
        self.program = self.start_program(
            ["ssh", "-F", "none", "-N", "-D", f"127.0.0.1:{port}", "-i", source["identity_file"], "-o", "BatchMode=yes", "-o",
             f"UserKnownHostsFile={source['known_hosts']}", "-o", "ExitOnForwardFailure=yes", "-p", self.far.port,
             f"{self.far.user}@127.0.0.1"], lambda: accepts(port))
        return port

    def test_names_are_looked_up_at_its_far_end(self):
        port = self.start_socks()
        source = {"url": self.host.url, "proxy": f"socks5h://127.0.0.1:{port}", "patience_ms": 5000}
        out = self.job(self.fetch_job(source, self.newest(source), checksum="required"))
        self.assertEqual((out["failure"], out["verified_by"]), ("none", "sha256"), out["error"])
        self.assertEqual(self.cached("snap-1.bin").read_bytes(), self.bytes)
        self.assertGreater(len(self.host.loads("snap-1.bin")), 1)
        shutil.rmtree(self.data / ".hasup")
        plain = {"url": self.host.url}
        out = self.job(self.fetch_job(plain, self.newest(plain, all_proxy=source["proxy"]), checksum="required"),
                       all_proxy=source["proxy"])
        self.assertEqual(out["failure"], "none", out["error"])
        asked = len(self.host.requests)
        for way in (f"socks5://127.0.0.1:{port}", ""):  # here nobody knows the name
            found = self.select({**source, "proxy": way})
            self.assertEqual(found["failure"], "unreachable", way)
            self.assertIn("resolve", found["error"].lower())
        self.assertEqual(len(self.host.requests), asked)

    def test_when_it_goes_in_the_middle_the_next_job_goes_on_from_there(self):
        port = self.start_socks()
        source = {"url": self.host.url, "proxy": f"socks5h://127.0.0.1:{port}", "patience_ms": 2000}
        found = self.newest(source)
        self.host.on_sent = lambda: self.host.sent < 20_000_000 or self.program.poll() is not None or self.program.kill()
        out = self.job(self.fetch_job(source, found, checksum="required"))
        self.assertEqual(out["failure"], "unreachable", out["error"])
        self.assertIn(f"by way of the proxy 127.0.0.1:{port}", out["error"])
        self.host.on_sent = lambda: None
        here = self.cached("snap-1.bin.part").stat().st_blocks * 512
        self.assertGreater(here, 1_000_000)
        sent, port = self.host.sent, self.start_socks()
        out = self.job(self.fetch_job({**source, "proxy": f"socks5h://127.0.0.1:{port}"}, found, checksum="required"))
        self.assertEqual((out["failure"], out["verified_by"]), ("none", "sha256"), out["error"])
        self.assertLess(self.host.sent - sent, len(self.bytes), "what had come is not loaded again")


@unittest.skipIf(TINYPROXY is None, "tinyproxy is not installed; packaging/packages.sh names it")
class PasswordOfAProxy(Proxy, Nowhere, LeapTest):
    """Over a whole recovery, in its middle and at its end, and of `hasup snapshot get`."""

    OTHER = "s3cr3t-of-tomorrow"
    secrets = (PASSWORD, OTHER)

    def setUp(self):
        super().setUp()
        for file in self.backup.iterdir():
            self.host.files[file.name] = file.read_bytes()
        self.host.files[""] = "".join(f'<a href="{f.name}">{f.name}</a>\n' for f in self.backup.iterdir()).encode()
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        self.home.env["TMPDIR"] = str(self.home.directory("tmp"))

    def hold(self):
        """The host waits in the middle of a snapshot."""
        self.go_on.clear()
        self.host.sent = 0
        self.host.on_sent = lambda: self.host.sent < 200_000 or self.go_on.wait(60)

    def in_the_middle(self):
        wait_until(lambda: self.host.sent >= 200_000, "the host is in the middle of a snapshot")

    def write_unit(self, password=PASSWORD, port=None):
        self.leap_unit(self.host.url, params="")
        path = self.home.path / "etc" / "units" / "leap.toml"
        if port:
            path.write_text(path.read_text().replace(
                f'source = "{self.host.url}"',
                f'source = {{ url = "{self.host.url}", proxy = "http://me:{password}@127.0.0.1:{port}", patience = "2s" }}'))
        path.chmod(0o600)

    def recover(self):
        self.home.start()
        self.hold()
        self.break_leap()
        self.in_the_middle()
        self.assert_nowhere()
        self.go_on.set()
        self.wait_recovered()
        self.assertGreater(self.asked(), 0)
        self.assert_nowhere()
        # Nobody answers any more.
        self.end_proxy()
        self.break_leap()
        self.home.wait_event("leap", lambda e: "by way of the proxy 127.0.0.1:" in str(e), "the proxy is named")
        self.assert_nowhere()

    def test_of_a_source(self):
        port = self.start_proxy()
        self.write_unit(port=port)
        self.recover()
        self.write_unit(self.OTHER, port)
        applied = self.home.hasup("apply")
        self.assertNotIn(self.OTHER, applied.stdout + applied.stderr)
        self.assert_nowhere()
        # tinyproxy refuses this one.
        self.start_proxy(port=port)
        said = self.home.hasup("snapshot", "list", "leap")
        self.assertEqual(said.returncode, 1)
        self.assertIn("or the proxy on the way", said.stderr)
        self.assert_nowhere()

    def test_of_the_environment(self):
        port = self.start_proxy()
        self.home.env["http_proxy"] = self.with_password(port)
        self.write_unit()
        self.recover()

    def test_of_a_snapshot_that_a_person_fetches(self):
        port = self.start_proxy()
        self.home.env["http_proxy"] = self.with_password(port)
        self.hold()
        words = [BIN / "hasup", "snapshot", "get", self.host.url, "snapshot-*.bin", f"{self.home.path}/out/", "--json"]
        process = subprocess.Popen(words, env=self.home.env, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.in_the_middle()
        for path, content in self.readable_by_all():
            self.assertNotIn(PASSWORD.encode(), content, path)
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                self.assertNotIn(PASSWORD.encode(), Path(f"/proc/{entry}/cmdline").read_bytes())
            except OSError:
                pass  # it has just ended
        self.go_on.set()
        said, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, said)
        self.assertNotIn(PASSWORD, said)
        # Where everybody sees it, it is not taken.
        del self.home.env["http_proxy"]
        done = self.home.hasup("snapshot", "list", self.host.url, "--proxy", self.with_password(port))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("no password in --proxy", done.stderr)
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
