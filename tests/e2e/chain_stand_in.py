#!/usr/bin/env python3
"""Stands in for a node of any chain: serves what the probe presets ask, as long as its database is good, and else ends as
the real one does. A database is a file that says "good N", of which N is where the head begins.

chain_stand_in.py --listen PORT --state FILE --says LINE --exit CODE [--import-snapshot FILE]
chain_stand_in.py … --behind FILE                                    at the head of that moment, or so many seconds behind it
chain_stand_in.py … --import-snapshot FILE --halt-after-import       the database is $LOTUS_PATH/datastore/chain/MANIFEST
"""

import http.server
import json
import os
import sys
import time
from pathlib import Path


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def load(archive, state):
    """What the real ones make of an archive that they read themselves."""
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text(Path(archive).read_text())


if "--halt-after-import" in sys.argv:
    load(option("--import-snapshot"), Path(os.environ["LOTUS_PATH"]) / "datastore/chain/MANIFEST")
    sys.exit(0)

state = Path(option("--state"))
if option("--import-snapshot"):
    load(option("--import-snapshot"), state)
    (state.parent.parent / "version").write_text("11")  # venus begins its repository anew
found = sorted(state.parent.parent.glob("snapshots/snapshot-*.tar.zst")) if option("--own-snapshots") else []
if found and not state.exists():
    load(found[-1], state)
words = state.read_text().split() if state.exists() else []
if words[:1] != ["good"]:
    print(option("--says"), file=sys.stderr, flush=True)
    sys.exit(int(option("--exit")))

behind = Path(option("--behind") or "/nonexistent")
first, began = int(words[1]), 0 if option("--behind") else time.time()


def clock():
    try:
        return time.time() - float(behind.read_text())
    except OSError:
        return time.time()


def head():
    return first + int((clock() - began) * 20)


def evm_block():
    return {"number": hex(head()), "timestamp": hex(int(clock()))}


def iso_now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock()))


RPC = {
    "eth_chainId": lambda: "0x1", "uptime": lambda: 100,
    "eth_getBlockByNumber": evm_block, "klay_getBlockByNumber": evm_block, "eth_syncing": lambda: False,
    "klay_syncing": lambda: False, "net_peerCount": lambda: "0x20", "getSlot": head, "getHealth": lambda: "ok",
    "getblockchaininfo": lambda: {"blocks": head(), "time": int(time.time()), "chain": "main",
                                  "initialblockdownload": False},
    "Filecoin.ChainHead": lambda: {"Height": head(), "Blocks": [{"Timestamp": int(time.time()),
                                                                  "ParentWeight": str(head() * 10**20)}]},
}
PATHS = {
    "/eth/v1/node/syncing": lambda: {"data": {"head_slot": str(head()), "sync_distance": "0", "is_syncing": False}},
    "/eth/v1/node/peer_count": lambda: {"data": {"connected": "32"}},
    "/status": lambda: {"result": {"node_info": {"network": "cosmoshub-4"},
                                   "sync_info": {"latest_block_height": str(head()), "latest_block_time": iso_now(),
                                                 "catching_up": False}}},
    "/v1/chain/get_info": lambda: {"head_block_num": head() + 10**9, "head_block_time": iso_now()[:-1] + ".500",
                                   "chain_id": "aca376f206b8fc25a6ed44dbdc66547c36c6c33e3a119ffbeaef943642f0e906"},
    "/healthcheck": lambda: {},
    "/v1/node/identity": lambda: {"peer_id": "16Uiu2HAm"},
    "/v1/node/health": lambda: {"p2p": "good", "beacon_node": "good", "execution_node": "good", "event_syncer": "good"},
    "/net_info": lambda: {"result": {"n_peers": "32"}},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        made = PATHS.get(self.path.split("?")[0])
        self.answer(made()) if made else self.send_error(404)

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"jsonrpc": "2.0", "id": call["id"], "result": RPC[call["method"]]()})

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(option("--listen"))), Handler).serve_forever()
