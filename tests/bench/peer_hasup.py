"""hasupd with a home of its own; backoff and start limit are out of the way, all else is as by default."""

import json
import os
import subprocess
from pathlib import Path

from context import BIN
from peers import Peer


class Hasup(Peer):
    name = "hasup"

    @classmethod
    def missing(cls):
        return None if (BIN / "hasupd").exists() else f"{BIN / 'hasupd'} is not built"

    @classmethod
    def version(cls):
        return subprocess.run([BIN / "hasupd", "--version"], text=True, stdout=subprocess.PIPE).stdout.split()[-1]

    def __init__(self):
        super().__init__()
        self.units = self.dir / "etc" / "units"
        self.units.mkdir(parents=True)
        self.env["HASUP_HOME"] = str(self.dir)
        if "HASUP_SHARE" in os.environ:
            self.env["HASUP_SHARE"] = os.environ["HASUP_SHARE"]

    def add(self, name, argv, requires=()):
        text = (f"[run]\ncommand = {json.dumps(list(map(str, argv)))}\n"
                '[restart]\nbackoff = { initial = "0s", max = "0s" }\n'
                'start_limit = { count = 1000000, within = "1s" }\n'
                '[log]\nmax_size = "10GiB"\n')
        text += self.more(name)
        for other in requires:
            text += f'[[requires]]\nunit = "{other}"\ncondition = "started"\n'
        (self.units / f"{name}.toml").write_text(text)

    def more(self, name):
        return ""

    def start(self):
        self.spawn([BIN / "hasupd"])

    def stop(self):
        self.command(BIN / "hasup", "stop", "--all")

    def status_command(self):
        return [BIN / "hasup", "status"]

    def log_files(self, name):
        return sorted(Path(self.dir / "log").glob(f"{name}.log*"))

    def status(self):
        done = subprocess.run([BIN / "hasup", "status", "--json"], env=self.env, text=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)["units"]


FILES = 100  # of a data directory


class HasupWithData(Hasup):
    """A unit with [data]: before each start hasup looks whether anybody has its files open, which no peer does."""
    name = "hasup, [data] checked"

    def more(self, name):
        data = self.dir / "data" / name
        data.mkdir(parents=True)
        for i in range(FILES):
            (data / f"{i:06}.sst").write_text("x")
        return f'[data]\ndir = "{data}"\n'


class HasupInCrowd(HasupWithData):
    """The same on a machine with many processes."""
    name = "hasup, [data] checked, in the crowd"
