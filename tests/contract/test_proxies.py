"""Sources behind a proxy, a real one: by HTTP and through its tunnel, with user and password, which are shown nowhere."""

import hashlib
import os
import shutil
import signal
import unittest
from pathlib import Path

import source_servers
from fault_host import FaultHost
from hasup_home import accepts, free_port, wait_until
from test_sources import Sources, snapshot_bytes

TINYPROXY = shutil.which("tinyproxy", path=source_servers.SBIN)
PASSWORD = "s3cr3t-of-the-proxy"


@unittest.skipIf(TINYPROXY is None, "tinyproxy is not installed; packaging/packages.sh names it")
class Proxies(Sources):
    def setUp(self):
        super().setUp()
        self.host = FaultHost()
        self.addCleanup(self.host.close)
        self.bytes = snapshot_bytes(1, 3_000_000)
        self.host.files["snap-1.bin"] = self.bytes
        self.host.files["snap-1.bin.sha256"] = hashlib.sha256(self.bytes).hexdigest().encode()
        self.host.files[""] = b'<a href="snap-1.bin">snap-1.bin</a>'

    def start_proxy(self, name="proxy", auth=True):
        """tinyproxy on a port of its own; the port."""
        port = free_port()
        place = self.home.directory(name)
        (place / "conf").write_text(f'Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nLogFile "{place}/log"\n'
                                    + (f"BasicAuth me {PASSWORD}\n" if auth else ""))
        self.start_program([TINYPROXY, "-d", "-c", place / "conf"], lambda: accepts(port))
        return port

    def asked(self, name="proxy"):
        """How many requests the proxy has passed on."""
        return (self.home.path / name / "log").read_text().count("Established connection to host")

    def with_password(self, port):
        return f"http://me:{PASSWORD}@127.0.0.1:{port}"

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


if __name__ == "__main__":
    unittest.main()
