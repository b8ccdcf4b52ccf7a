#!/usr/bin/env python3
"""evm_rpc_stand_in.py PORT CHAIN_DATA: answers as eos-evm-rpc does, from the database of the demo's evm node, which it
has open: also while that node hangs, whose head then stands still."""

import http.server
import json
import os
import sys

database = os.open(f"{sys.argv[2]}/chaindata/mdbx.dat", os.O_RDONLY)


def head():
    magic, number, milliseconds = os.pread(database, 64, 0).split()[:3]
    if magic != b"MDBX":
        raise ValueError("MDBX_CORRUPTED")
    return {"number": hex(int(number)), "timestamp": hex(int(milliseconds) // 1000)}


ANSWERS = {"eth_getBlockByNumber": head, "eth_chainId": lambda: "0x4571", "eth_gasPrice": lambda: hex(150 * 10**9)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            body["result"] = ANSWERS[call["method"]]()
        except (KeyError, ValueError) as e:
            body["error"] = {"code": -32000, "message": str(e)}
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
