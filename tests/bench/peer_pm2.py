"""The pm2 of tests/e2e/pm2, in fork mode."""

import json
import shutil

from context import PM2_DIR
from peers import Peer

PROGRAM = PM2_DIR / "node_modules" / ".bin" / "pm2"


class Pm2(Peer):
    name = "pm2"
    most = 20  # each unit takes it tens of milliseconds to start

    @classmethod
    def missing(cls):
        if shutil.which("node") is None:
            return "node not installed"
        return None if PROGRAM.exists() else f"not installed in {PM2_DIR}; packaging/bench.sh installs it there"

    @classmethod
    def version(cls):
        return json.loads((PM2_DIR / "node_modules" / "pm2" / "package.json").read_text())["version"]

    def __init__(self):
        super().__init__()
        self.apps = []
        self.env |= {"PM2_HOME": str(self.dir), "PM2_DISABLE_VERSION_CHECK": "true"}

    def add(self, name, argv, requires=()):
        program, *arguments = map(str, argv)
        self.apps.append({"name": name, "script": program, "args": arguments, "interpreter": "none", "cwd": "/",
                          "exec_mode": "fork", "autorestart": True, "restart_delay": 0, "max_restarts": 1000000000,
                          "min_uptime": 0, "pmx": False, "vizion": False, "time": True})

    def start(self):
        file = self.dir / "ecosystem.json"
        file.write_text(json.dumps({"apps": self.apps}))
        self.command(PROGRAM, "start", file)

    def stop(self):
        self.command(PROGRAM, "kill")

    def status_command(self):
        return [PROGRAM, "list"]

    def log_files(self, name):
        return sorted((self.dir / "logs").glob(f"{name}-out*.log"))
