"""Each recipe as it is shipped, with its unit and its probes: a stand-in that ends as the real node does when its database
is damaged is restored, what the recipe keeps has moved forward meanwhile and stays, and what it wipes is gone."""

import getpass
import os
import signal
import sys
import unittest
from pathlib import Path

from hasup_home import HasupTest, free_port, tree_digest, wait_until

STAND_IN = Path(__file__).resolve().parent / "chain_stand_in.py"

UNIT = """
extends = "{template}"
requires = []
[vars]
home = "{home}"
{vars}
[data]
min_free = "1MiB"
[run]
command = ["{python}", "{stand_in}", "--listen", "{port}", "--state", "{state}", "--says", {says}, "--exit", "{code}"{more}]
user = "{user}"
env_file = []
[run.limits]
open_files = 1024
{limits}
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "100ms"
timeout = "5s"
[restart]
backoff = {{ initial = "100ms", max = "1s" }}
[recovery]
mode = "auto"
source = "file://{backup}/"
{recovery}
[recovery.params]
advancing_for = "300ms"
{params}
"""

# Of what has no recipe.
PLAIN = """
extends = "{template}"
requires = []
[vars]
home = "{home}"
{vars}
{data}
[run]
command = ["{python}", "{stand_in}", "--listen", "{port}", "--state", "{state}", "--says", "damaged", "--exit", "1"]
user = "{user}"
env_file = []
[run.limits]
open_files = 1024
[startup]
interval = "100ms"
timeout = "5s"
[readiness]
interval = "100ms"
timeout = "5s"
[restart]
backoff = {{ initial = "10ms", max = "20ms" }}
start_limit = {{ count = 4, within = "1h" }}
"""

LOTUS = 'lotus = "{stand_in}"'


class Recipes(HasupTest):
    def setUp(self):
        super().setUp()
        self.node = self.home.directory("node")
        self.backup = self.home.directory("backup")
        self.port = free_port()

    def put(self, root, path, text):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def begin(self, name):
        self.home.start()
        if self.home.unit_status(name)["state"] == "stopped":  # consensus nodes and the like are not enabled
            self.home.ok("start", name)
        return self.home.wait_healthy(name)

    def archive(self, name, state):
        """A backup of the database; `name` with an ending that the node reads itself is the database as it is."""
        if not name.endswith(".tar.zst") or name.startswith("snapshot-"):
            return self.put(self.backup, name, "good 5000")
        made = self.home.directory("archived")
        self.put(made, state, "good 5000")
        self.home.ok("snapshot", "create", made, "--to", self.backup, "--name", name)

    def restored(self, template, *, state, says, keep, archive, data="data", name=None, vars="", code=1, also=(),
                 params="", more="", limits="", recovery="", leftover=None, found="damaged database"):
        """`state`: the file that is the database, relative to the data directory `data`; `also`: what else must be there."""
        name = name or template
        data = self.node / data if data else self.node
        leftover = leftover or str(Path(state).parent / "old")
        self.put(data, state, "good 100")
        self.put(data, leftover, "of the old state")
        for path in (*keep, *also):
            self.put(data, path, "as it was")
        self.archive(archive, state)
        known = dict(home=self.node, rpc=f"127.0.0.1:{self.port}", port=self.port, stand_in=STAND_IN)
        self.home.unit(name, UNIT.format(
            template=template, vars=vars.format(**known), python=sys.executable, stand_in=STAND_IN, port=self.port,
            state=data / state, says=f"'''{says}'''", code=code, user=getpass.getuser(), backup=self.backup,
            params=params.format(**known), more=more, limits=limits, recovery=recovery,
            home=self.node))
        self.begin(name)
        self.home.ok("stop", name)

        self.put(data, state, "bad")
        for path in keep:
            self.put(data, path, "moved forward")
        self.home.ok("start", name, "--no-wait")
        status = self.home.wait_for(name, state="running", health="healthy", recoveries=1)
        self.assertEqual(status["last_exit"]["class"], found)
        self.assertEqual(status["last_exit"]["code"], code)
        self.assertEqual((data / state).read_text(), "good 5000")
        self.assertFalse((data / leftover).exists())
        for path in keep:
            self.assertEqual((data / path).read_text(), "moved forward", path)
        for path in also:
            self.assertTrue((data / path).exists(), path)
        self.home.wait_for(name, state="running", health="healthy")
        if status["head"]:
            self.assertGreaterEqual(status["head"]["number"], 5000)
        self.assertIn(says.split()[0], next(e["reason"] for e in self.home.events(name) if e["kind"] == "recovering"))

    def test_geth(self):
        self.restored("geth", state="geth/chaindata/CURRENT", archive="geth-20260101.tar.zst", vars='rpc_port = {port}',
                      says="Fatal: Failed to register the Ethereum service: leveldb/table: corruption on data-block",
                      keep=("keystore/key", "geth/nodekey", "geth/chaindata/ancient/chain/bodies.0000.cdat"),
                      leftover="geth/triedb/journal")

    def test_reth(self):
        made = self.home.directory("archived")
        self.put(made, "static_files/headers", "of the archive")
        self.restored("reth", state="db/mdbx.dat", archive="reth-20260101.tar.zst", vars='rpc_port = {port}',
                      says="Error: failed to open the database: database is corrupted (-30796)",
                      keep=("discovery-secret", "jwt.hex", "reth.toml"), leftover="rocksdb/000001.sst",
                      also=("static_files/headers",))

    def test_erigon(self):
        self.restored("erigon", state="chaindata/mdbx.dat", archive="erigon-chaindata-20260101.tar.zst",
                      vars='rpc_port = {port}', keep=("snapshots/v1-headers.seg", "nodekey", "jwt.hex"),
                      says='[EROR] [11-21|01:02:03.123] Erigon startup err="mdbx_env_open: MDBX_CORRUPTED"')

    def test_nethermind(self):
        self.restored("nethermind", state="nethermind_db/mainnet/state", archive="nethermind-20260101.tar.zst",
                      vars='rpc_port = {port}', keep=("keystore/key",), params='on_damage = "recover"',
                      says="21 Nov 01:02:03 | Corrupted DB detected on path nethermind_db/mainnet/state")

    def test_lighthouse(self):
        self.restored("lighthouse", state="beacon/chain_db/CURRENT", archive="lighthouse-20260101.tar.zst",
                      vars='api_port = {port}',
                      keep=("validators/slashing_protection.sqlite", "beacon/network/enr.dat"),
                      leftover="beacon/freezer_db/000001.sst",
                      says="Nov 21 01:02:03.123 CRIT Failed to start beacon node, reason: Unable to open database: "
                           "Corruption: bad block")

    def test_teku(self):
        made = self.home.directory("archived")
        self.put(made, "beacon/db.version", "leveldb-tree")
        self.restored("teku", state="beacon/db/CURRENT", archive="teku-20260101.tar.zst", code=2,
                      vars='api_port = {port}',
                      keep=("validator/slashprotection/key.yml", "beacon/kvstore/local-enr-seqno.dat"),
                      also=("beacon/db.version",), leftover="beacon/archive/old",
                      says="Caused by: org.rocksdb.RocksDBException: Corruption: block checksum mismatch")

    def klaytn(self, template, params=""):
        self.restored(template, state="klay/chaindata/body/CURRENT", archive="chaindata-20260101.tar.zst",
                      vars='rpc_port = {port}', keep=("klay/nodekey", "klay/bls-nodekey", "keystore/key"),
                      params=params,
                      says='CRIT [11/21,01:02:03 Z] [5] Failed to create a single database err="leveldb/table: '
                           'corruption on data-block"')

    def test_klaytn_proxy_node(self):
        self.klaytn("kpn", params='match = "chaindata-*.tar*"')

    def test_klaytn_endpoint_node(self):
        self.klaytn("ken", params='match = "chaindata-*.tar*"')

    def test_klaytn_consensus_node(self):
        self.klaytn("kcn")

    def test_klaytn_standby(self):
        self.klaytn("kcn-standby")

    def test_bitcoin(self):
        header = self.home.path / "etc" / "bitcoin.header"
        header.write_text("Authorization: Basic eDp5\n")
        header.chmod(0o600)
        made = self.home.directory("archived")
        self.put(made, "blocks/blk00000.dat", "of the archive")
        self.restored("bitcoind", state="chainstate/CURRENT", archive="bitcoin-20260101.tar.zst", data="",
                      vars=f'rpc_port = {{port}}\nheader = "{header}"', also=("blocks/blk00000.dat",),
                      keep=("wallets/main/wallet.dat", "bitcoin.conf"), leftover="indexes/txindex/CURRENT",
                      says="Fatal LevelDB error: Corruption: block checksum mismatch")

    def test_cosmos(self):
        made = self.home.directory("archived")
        self.put(made, "data/application.db/CURRENT", "of the archive")
        self.restored("gaiad", state="data/blockstore.db/CURRENT", archive="cosmoshub-4_100.tar.zst", data="",
                      vars='rpc = "http://{rpc}"', also=("data/application.db/CURRENT",), leftover="wasm/old",
                      recovery='chain_id = ""', keep=("config/priv_validator_key.json", "data/priv_validator_state.json"),
                      says="panic: leveldb/table: corruption on data-block (pos=1): checksum mismatch")

    def agave(self, template):
        for directory in ("accounts", "tower"):
            (self.node / directory).mkdir()
        identity = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu"
        self.restored(template, state="rocksdb/CURRENT", data="ledger", limits='memlock = "64KiB"',
                      archive="snapshot-5000-7NP8jEuAUiaNyKYAuDLnJ2WqZqJM4vB9vrcUpXzp5HrZ.tar.zst",
                      vars=f'rpc_port = {{port}}\nknown = "{identity}"', found="damaged ledger",
                      keep=("genesis.bin", f"tower-1_9-{identity}.bin", "tower-1_9-7NP8jEuAUiaNyKYAuDLnJ2WqZqJM.bin",
                            "tower/tower.bin", "validator-keypair.json", "staked.json"),
                      leftover="snapshots/snapshot-90-7NP8jEuAUiaNyKYAuDLnJ2WqZqJM4vB9vrcUpXzp5HrZ.tar.zst",
                      params='on_damage = "recover"', more=', "--own-snapshots", "yes"', code=101,
                      says="thread 'solMain' panicked at ledger/src/blockstore.rs:1: RocksDb(Error { message: "
                           '"Corruption: bad block" })')

    def test_agave_primary(self):
        self.agave("agave-primary")

    def test_agave_secondary(self):
        self.agave("agave-secondary")

    def test_lotus(self):
        self.restored("lotus", state="datastore/chain/MANIFEST", data="repo", vars='api = "http://{rpc}"',
                      archive="forest_snapshot_mainnet_2026-11-20_height_5000.forest.car.zst", params=LOTUS,
                      keep=("keystore/key", "token", "config.toml"), also=("datastore/metadata/MANIFEST",),
                      leftover="datastore/splitstore/old", found="damaged chain store",
                      says="ERROR: failed to open badger blockstore: file does not exist for table 7")

    def test_venus(self):
        token = self.home.path / "etc" / "venus.header"
        token.write_text("Authorization: Bearer x\n")
        token.chmod(0o600)
        self.restored("venus", state="repo/badger/MANIFEST", data="",
                      vars=f'api = "http://{{rpc}}"\ntoken = "{token}"', found="damaged chain store",
                      archive="forest_snapshot_mainnet_2026-11-20_height_5000.forest.car.zst",
                      keep=("repo/wallet/key", "repo/keystore/key", "repo/config.json"), leftover="repo/chain/old",
                      also=("repo/version",),
                      says="Error: failed to open datastore: repo/badger: file does not exist for table 7")

    # What answers nobody

    def test_one_that_hangs_is_restarted(self):
        header = self.home.path / "etc" / "bitcoin.header"
        header.write_text("Authorization: Basic eDp5\n")
        header.chmod(0o600)
        room = '[data]\nmin_free = "1MiB"'
        kinds = {
            "geth": ("data/geth/chaindata/CURRENT", "rpc_port", room),
            "reth": ("data/db/mdbx.dat", "rpc_port", room),
            "erigon": ("data/chaindata/mdbx.dat", "rpc_port", room),
            "nethermind": ("data/nethermind_db/mainnet/state", "rpc_port", room),
            "bitcoind": ("chainstate/CURRENT", f'header = "{header}"\nrpc_port', room),
            "sophon-co": ("head", "port", ""),
            "ssv": ("data/db/MANIFEST", "api", '[data]\nmount = []\nmin_free = "1MiB"'),
        }
        for template, (state, variable, data) in kinds.items():
            home, port = self.home.directory(f"node/{template}"), free_port()
            self.put(home, state, "good 100")
            for also in ("blocks", "data/static_files"):
                (home / also).mkdir(parents=True)
            value = f'"127.0.0.1:{port}"' if variable == "api" else port
            self.home.unit(template, PLAIN.format(
                template=template, home=home, vars=f"{variable} = {value}", data=data, python=sys.executable,
                stand_in=STAND_IN, port=port, state=home / state, user=getpass.getuser())
                + '[liveness]\ninterval = "100ms"\ntimeout = "5s"\nfailures = 2\n')
        self.home.start()
        self.home.ok("start", "ssv")
        pids = {name: self.home.wait_healthy(name)["pid"] for name in kinds}
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        for name, pid in pids.items():
            self.assertNotEqual(self.home.wait_for(name, restarts=1, health="healthy")["pid"], pid)
            self.assertIn("liveness failed", " ".join(e["reason"] for e in self.home.events(name)))

    # What has no recipe

    def plain(self, template, state, vars, data=""):
        self.home.unit(template, PLAIN.format(
            template=template, home=self.node, vars=vars, data=data, python=sys.executable, stand_in=STAND_IN,
            port=self.port, state=state, user=getpass.getuser()))
        return self.begin(template)["pid"]

    def test_sophon_co_is_judged_by_what_is_behind_it(self):
        self.put(self.node, "head", "good 100")
        pid = self.plain("sophon-co", self.node / "head", f"port = {self.port}")
        status = wait_until(lambda: next((u for u in [self.home.unit_status("sophon-co")] if u["head"]), None), "a head")
        self.assertGreaterEqual(status["head"]["number"], 100)
        os.kill(pid, signal.SIGKILL)
        self.assertNotEqual(self.home.wait_for("sophon-co", restarts=1, health="healthy")["pid"], pid)

    def test_nothing_of_ssv_is_ever_wiped(self):
        self.put(self.node, "data/db/MANIFEST", "good 100")
        self.put(self.node, "data/db/slashing", "what it signed")
        self.plain("ssv", self.node / "data/db/MANIFEST", f'api = "127.0.0.1:{self.port}"',
                   '[data]\nmount = []\nmin_free = "1MiB"')
        self.home.ok("stop", "ssv")
        self.put(self.node, "data/db/MANIFEST", "bad")
        before = tree_digest(self.node / "data")
        self.home.hasup("start", "ssv", "--no-wait")
        self.assertIn("start limit", self.home.wait_for("ssv", state="failed")["reason"])
        self.assertEqual(tree_digest(self.node / "data"), before)
        said = self.home.hasup("recover", "ssv", "--yes")
        self.assertEqual(said.returncode, 1)
        self.assertIn("has no [recovery]", said.stdout + said.stderr)
        self.assertEqual(tree_digest(self.node / "data"), before)


if __name__ == "__main__":
    unittest.main()
