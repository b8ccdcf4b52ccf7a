"""Preset antelope-synced: finality that stays behind, and a database that fills up, each named by `hasup probe`."""

import subprocess
import unittest

from hasup_home import DEMO_NODE, HasupTest, free_port
from leap import get_info


class AntelopeSynced(HasupTest):
    def setUp(self):
        super().setUp()
        data = self.home.path / "leap"
        subprocess.run([DEMO_NODE, "make-chain", "--data-dir", data, "--blocks", "10"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        self.port = free_port()

        def answers():
            try:
                return get_info(self.port)["last_irreversible_block_time"]
            except (OSError, KeyError):
                return None
        self.start_program([DEMO_NODE, "nodeos", "--data-dir", data, "--http", f"127.0.0.1:{self.port}",
                            "--block-interval", "100ms"], answers)

    def probe(self, *params):
        done = self.home.hasup("probe", "antelope-synced", f"url=http://127.0.0.1:{self.port}", *params)
        return done.returncode, done.stdout + done.stderr

    def test_each_condition_counts(self):
        code, said = self.probe()
        self.assertEqual(code, 0, said)
        code, said = self.probe("max_lib_age=1ms")
        self.assertNotEqual(code, 0)
        self.assertRegex(said, r"failed: last_irreversible_block_time is .* old \(limit 1ms\)")
        code, said = self.probe("min_db_free=1000000001")
        self.assertNotEqual(code, 0)
        self.assertRegex(said, r"failed: free_bytes is 1000000000 \(at least 1000000001 expected\)")


if __name__ == "__main__":
    unittest.main()
