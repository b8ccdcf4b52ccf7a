"""Debian's runit: runsvdir, a runsv and a svlogd -tt for each unit. `run` is the node itself, so that no shell's start
is counted against it."""

import os
import signal

import context
from measure import poll
from peers import Peer, debian_version


class Runit(Peer):
    name = "runit"
    needs = ("runsvdir", "runsv", "sv", "svlogd")
    most = 1000  # a limit of runsvdir

    @classmethod
    def version(cls):
        return debian_version("runit")

    def __init__(self):
        super().__init__()
        self.services = self.dir / "services"
        self.services.mkdir()

    def add(self, name, argv, requires=()):
        service = self.services / name
        log = service / "log"
        (log / "main").mkdir(parents=True)
        assert argv[0] == context.NODE
        os.symlink(context.NODE, service / "run")
        (service / "bench.args").write_text("\n".join(map(str, argv[1:])) + "\n")
        (log / "run").write_text("#!/bin/sh\nexec svlogd -tt ./main\n")
        (log / "run").chmod(0o755)
        (log / "main" / "config").write_text("s4000000000\n")

    def start(self):
        self.spawn(["runsvdir", "-P", self.services])

    def stop(self):
        self.root.send_signal(signal.SIGHUP)  # which has each runsv end its node and itself
        poll(lambda: self.root.poll() is not None, "runsvdir ends")

    def status_command(self):
        return ["sv", "status", *sorted(self.services.iterdir())]
