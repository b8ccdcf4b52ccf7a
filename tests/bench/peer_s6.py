"""Debian's s6: s6-svscan, a s6-supervise for each unit and for its s6-log with time stamps (T)."""

import os

import context
from peers import Peer, debian_version


class S6(Peer):
    name = "s6"
    needs = ("s6-svscan", "s6-supervise", "s6-svscanctl", "s6-svstat", "s6-log")

    @classmethod
    def version(cls):
        return debian_version("s6")

    def __init__(self):
        super().__init__()
        self.services = self.dir / "services"
        self.services.mkdir()
        self.names = []

    def add(self, name, argv, requires=()):
        service = self.services / name
        log = service / "log"
        log.mkdir(parents=True)
        self.names.append(name)
        assert argv[0] == context.NODE
        os.symlink(context.NODE, service / "run")
        (service / "bench.args").write_text("\n".join(map(str, argv[1:])) + "\n")
        (log / "run").write_text("#!/bin/sh\nexec s6-log -b T s268435455 ./main\n")
        (log / "run").chmod(0o755)

    def start(self):
        self.spawn(["s6-svscan", "-c", max(500, 2 * len(self.names) + 10), self.services])

    def stop(self):
        self.command("s6-svscanctl", "-t", self.services)

    def status_command(self):
        if len(self.names) == 1:
            return ["s6-svstat", self.services / self.names[0]]
        return ["sh", "-c", f"for s in {self.services}/*; do s6-svstat $s; done"]  # it shows one at a time
