"""The backup VM's nodeos as it is shipped: irreversible mode at each start, also at that from a snapshot."""

import getpass
import unittest
from pathlib import Path

from hasup_home import DEMO_NODE, get_info
from leap import BLOCKS, LeapTest

# The site's own leap, which the backup's unit is built on.
LEAP = """
extends = "leap"
enabled = false
[run]
command = ["{node}", "nodeos", "--data-dir", "${{data.dir}}", "--http", "${{http}}", "--block-interval", "100ms"]
user = "{user}"
[run.limits]
open_files = 1024
stack = "8MiB"
core = "0"
memlock = "64KiB"
[startup]
interval = "100ms"
timeout = "5s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
[recovery.params]
advancing_for = "500ms"
"""

UNIT = """
extends = "leap-backup"
enabled = true
[vars]
home = "{home}"
http = "127.0.0.1:{port}"
backup = "file://{backup}/"
[data]
dir = "{data}"
min_free = "1MiB"
[readiness]
interval = "100ms"
timeout = "5s"
"""


class LeapBackup(LeapTest):
    def words(self):
        pid = self.home.unit_status("leap-backup")["pid"]
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")

    def test_it_is_restored_and_stays_in_irreversible_mode(self):
        self.home.unit("leap", LEAP.format(node=DEMO_NODE, user=getpass.getuser()))
        self.home.unit("leap-backup", UNIT.format(home=self.home.path, port=self.port, backup=self.backup, data=self.data))
        self.home.start()
        self.home.wait_healthy("leap-backup")
        self.assertIn("irreversible", self.words())
        self.home.ok("stop", "leap-backup")
        self.make_dirty()
        self.home.ok("start", "leap-backup", "--no-wait")
        status = self.home.wait_for("leap-backup", state="running", health="healthy", recoveries=1)
        self.assert_last_exit(status, "dirty database", 2)
        words = self.words()
        self.assertIn("irreversible", words)
        self.assertIn("--snapshot", words)
        self.assertGreater(get_info(self.port)["head_block_num"], BLOCKS)
        self.home.ok("restart", "leap-backup")
        words = self.words()
        self.assertIn("irreversible", words)
        self.assertNotIn("--snapshot", words)


if __name__ == "__main__":
    unittest.main()
