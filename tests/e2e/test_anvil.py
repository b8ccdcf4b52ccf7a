"""A real EVM node (anvil) with a truncated state file: restored from an archive, its blocks and balances are back."""

import glob
import os
import subprocess
import unittest
from pathlib import Path

from hasup_home import SOURCE, HasupTest, free_port, rpc, wait_until, write_sha256

ANVIL_DIR = Path(os.environ.get("HASUP_ANVIL_DIR", SOURCE / "build" / "anvil"))
SENDER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"    # the first of anvil's own accounts
RECEIVER = "0x00000000000000000000000000000000000a5111"

UNIT = """
[data]
dir = "{data}"

[run]
command = ["{anvil}", "--host", "127.0.0.1", "--port", "{port}", "--state", "${{data.dir}}/state.json",
           "--block-time", "1"]
env = {{ HOME = "{home}" }}
stop_timeout = "30s"

[readiness]
preset = "evm"
url = "http://127.0.0.1:{port}"
interval = "200ms"
timeout = "5s"

[restart]
backoff = {{ initial = "100ms", max = "1s" }}

[recovery]
recipe = "anvil"
source = "http://127.0.0.1:{source}/"
checksum = "required"
"""

DEPENDENT = """
[run]
command = ["sleep", "1000"]

[[requires]]
unit = "anvil"
condition = "healthy"
on_loss = "restart"
"""


def anvil_program():
    found = glob.glob(str(ANVIL_DIR / "node_modules/@foundry-rs/anvil-linux-*/bin/anvil"))
    if not found:
        raise AssertionError(f"anvil is not installed in {ANVIL_DIR}; packaging/test.sh installs it there")
    return found[0]


class Anvil(HasupTest):
    def setUp(self):
        super().setUp()
        self.anvil = anvil_program()
        self.port = free_port()
        self.data = self.home.directory("anvil")
        self.backup = self.home.directory("backup")
        self.block, self.balance = self.seed()
        self.publish("anvil-2026-11-20.tar.gz")

    def answers(self):
        try:
            return rpc(self.port, "eth_blockNumber") is not None
        except (OSError, RuntimeError):
            return False

    def seed(self):
        """An anvil of the test's own pays an account and mines; its block number and the account's balance."""
        node = self.start_program([self.anvil, "--host", "127.0.0.1", "--port", self.port, "--state",
                                   self.data / "state.json"], self.answers,
                                  env=dict(os.environ, HOME=str(self.home.path)))
        for _ in range(3):
            rpc(self.port, "eth_sendTransaction", [{"from": SENDER, "to": RECEIVER, "value": hex(10**18)}])
        rpc(self.port, "anvil_mine", ["0x20"])
        wait_until(lambda: rpc(self.port, "eth_getBalance", [RECEIVER, "latest"]) == hex(3 * 10**18), "three payments")
        block = int(rpc(self.port, "eth_blockNumber"), 16)
        balance = rpc(self.port, "eth_getBalance", [RECEIVER, "latest"])
        node.terminate()
        node.wait(60)
        return block, balance

    def publish(self, name):
        subprocess.run(["tar", "-czf", self.backup / name, "-C", self.data, "state.json"], check=True)
        write_sha256(self.backup / name)

    def test_a_truncated_state_file_is_restored_with_its_blocks_and_balances(self):
        self.home.unit("anvil", UNIT.format(data=self.data, anvil=self.anvil, port=self.port, home=self.home.path,
                                            source=self.start_nginx(self.backup)))
        self.home.unit("app", DEPENDENT)
        state = self.data / "state.json"
        os.truncate(state, state.stat().st_size // 2)
        self.home.start()

        status = self.home.wait_for("anvil", state="running", health="healthy", recoveries=1)
        self.assertEqual(status["last_exit"]["code"], 2)
        self.assertIn("failed to parse json file", self.home.log_text("anvil"))
        self.assertGreaterEqual(int(rpc(self.port, "eth_blockNumber"), 16), self.block)
        self.assertEqual(rpc(self.port, "eth_getBalance", [RECEIVER, "latest"]), self.balance)
        self.assertEqual(rpc(self.port, "eth_getBalance", [RECEIVER, hex(self.block)]), self.balance)
        self.home.wait_healthy("app")

        # It goes on from there: a stop and a start keep what came after.
        rpc(self.port, "eth_sendTransaction", [{"from": SENDER, "to": RECEIVER, "value": hex(10**18)}])
        more = hex(4 * 10**18)
        wait_until(lambda: rpc(self.port, "eth_getBalance", [RECEIVER, "latest"]) == more, "a fourth payment")
        self.home.ok("restart", "anvil")
        self.home.wait_healthy("anvil")
        self.assertEqual(rpc(self.port, "eth_getBalance", [RECEIVER, "latest"]), more)
        self.assertEqual(self.home.unit_status("anvil")["recoveries"], 1)


if __name__ == "__main__":
    unittest.main()
