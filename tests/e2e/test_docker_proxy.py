"""The transaction proxy in docker, as it is shipped: real nginx in a container of a stand-in for docker, which runs on when
the command that started it dies."""

import os
import shutil
import signal
import sys
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from hasup_home import HasupTest, accepts, alive, free_port, nginx_temp_paths, wait_until

STAND_IN = Path(__file__).resolve().parent / "docker_stand_in.py"

UNIT = """
extends = "tx-proxy-docker"
[vars]
docker = "{docker}"
image = "registry.example.com/tx-proxy:1"
port = {port}
[run.env]
DOCKER_STAND_IN = "{socket}"
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "100ms"
timeout = "5s"
[liveness]
interval = "100ms"
timeout = "2s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
"""

# What is served by it, judged by one address that answers.
PAGE = """
enabled = false
[run]
command = ["/bin/sleep", "1000"]
[readiness]
preset = "http"
url = "http://127.0.0.1:{port}/page"
port_owner = "any"
interval = "100ms"
timeout = "5s"
failures = 1
"""

NGINX = """
daemon off; pid {run}/nginx.pid; error_log {run}/error.log; worker_processes 1; {user}
events {{}}
http {{
  access_log off;
  {paths}
  server {{ listen 127.0.0.1:{port}; root {run}/www; }}
}}
"""


class DockerProxy(HasupTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        run = self.home.directory("nginx")
        self.page = self.home.directory("nginx/www") / "page"
        self.page.write_text("here")
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self.assertIsNotNone(nginx, "nginx is not installed; packaging/test.sh installs it")
        (run / "nginx.conf").write_text(NGINX.format(run=run, paths=nginx_temp_paths(run), port=self.port,
                                                     user="user root;" if os.geteuid() == 0 else ""))
        self.pid_file = run / "nginx.pid"
        engine = self.home.path / "engine"
        self.start_program([sys.executable, STAND_IN, "engine", engine, nginx, "-e", run / "error.log", "-c",
                            run / "nginx.conf"], engine.exists)
        docker = self.home.path / "docker"
        docker.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
        docker.chmod(0o755)
        self.home.unit("tx-proxy-docker", UNIT.format(docker=docker, port=self.port, socket=engine))
        self.home.unit("page", PAGE.format(port=self.port))
        self.home.start()
        self.home.wait_healthy("tx-proxy-docker")

    def container(self, before=None):
        """The pid of nginx in it, once it is another than before: it is written after the port is open."""
        def pid():
            text = self.pid_file.read_text() if self.pid_file.exists() else ""
            return int(text) if text.strip() not in ("", str(before)) else None
        return wait_until(pid, "nginx writes its pid")

    def test_what_a_killed_command_left_behind_is_removed_before_the_next_start(self):
        command, container = self.home.unit_status("tx-proxy-docker")["pid"], self.container()
        os.kill(command, signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("tx-proxy-docker")["pid"] not in (None, command), "it is started again")
        self.home.wait_healthy("tx-proxy-docker")
        self.assertFalse(alive(container))
        self.assertTrue(alive(self.container(before=container)))
        self.home.ok("stop", "tx-proxy-docker")
        self.assertFalse(accepts(self.port))

    def test_a_container_that_ends_is_started_again(self):
        before = self.container()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: self.home.unit_status("tx-proxy-docker")["restarts"] == 1, "it is started again")
        self.home.wait_healthy("tx-proxy-docker")
        self.assertTrue(alive(self.container(before)))

    def test_a_container_whose_worker_hangs_is_replaced(self):
        before = self.container()
        worker, = [int(p) for p in Path(f"/proc/{before}/task/{before}/children").read_text().split()]
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: self.home.unit_status("tx-proxy-docker")["restarts"] == 1, "it is started again")
        self.home.wait_healthy("tx-proxy-docker")
        self.assertNotEqual(self.container(before), before)
        self.assertFalse(alive(worker))

    def test_what_answers_200_is_healthy(self):
        self.home.ok("start", "page")
        self.page.unlink()
        self.home.wait_for("page", health="unhealthy")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/page", timeout=60)
        self.page.write_text("again")
        self.home.wait_healthy("page")


if __name__ == "__main__":
    unittest.main()
