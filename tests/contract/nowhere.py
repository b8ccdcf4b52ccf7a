"""What nobody may see: looked for in everything that a user of the machine, of the logs or of the command line can see."""

import os
from pathlib import Path


def open_to_all(path, right):
    """Whether others have this right; nobody has one to what has just been removed."""
    try:
        return path.stat().st_mode & right
    except FileNotFoundError:
        return 0


class Nowhere:
    """Mixed into a test with a home; `secrets` are the words."""

    def readable_by_all(self):
        """Files of this home that another user can read."""
        for directory in ("state", "run", "log", "tmp", "leap"):
            for root, inner, files in os.walk(self.home.path / directory):
                inner[:] = [d for d in inner if open_to_all(Path(root) / d, 0o001)]
                for name in files:
                    path = Path(root) / name
                    try:
                        if not path.is_file() or not open_to_all(path, 0o004):
                            continue
                        content = path.read_bytes()
                    except FileNotFoundError:
                        continue  # a temporary one
                    yield path, content

    def assert_nowhere(self, unit="leap"):
        seen = 0
        for path, content in self.readable_by_all():
            seen += 1
            for word in self.secrets:
                self.assertNotIn(word.encode(), content, path)
        self.assertGreater(seen, 0)
        for log in (self.home.daemon_log, *(self.home.path / "log").glob("*")):
            for word in self.secrets:
                self.assertNotIn(word, log.read_text(errors="replace"), log)
        for path in (self.home.path / "state" / "events").rglob("*"):
            for word in self.secrets:
                self.assertTrue(path.is_dir() or word.encode() not in path.read_bytes(), path)
        for answer in (["status"], ["status", "--json"], ["events", "-n", "all"], ["events", "--json", "-n", "all"],
                       ["why", unit], ["why", unit, "--json"], ["check"], ["recover", unit, "--history"],
                       ["snapshot", "list", unit, "--json"], ["recover", unit, "--dry-run"]):
            done = self.home.hasup(*answer)
            for word in self.secrets:
                self.assertNotIn(word, done.stdout + done.stderr, answer)
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            for word in self.secrets:
                self.assertNotIn(word.encode(), line)
