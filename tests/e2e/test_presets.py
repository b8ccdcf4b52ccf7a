"""Every shipped probe preset, by `hasup probe`: passes on what a good node answers, and says no, and why, to each
answer of a bad one. The answers are those of the real systems; a preset without a row here fails."""

import base64
import collections
import http.server
import json
import re
import threading
import time
import unittest

from hasup_home import HasupTest, SOURCE
from test_websocket_probe import accept_of

# What is answered. A question is the path of a GET, the method of a JSON-RPC call (with the path before it, when it has
# one), or "websocket", whose answer is the list of what is said: on its own, then to each thing that was sent.
Http = collections.namedtuple("Http", "status body", defaults=("",))
Result = collections.namedtuple("Result", "value")
Error = collections.namedtuple("Error", "code message data", defaults=(None,))
Rpc = collections.namedtuple("Rpc", "answer")  # to a call on a websocket, in whose list it stands
GONE = object()  # the connection is closed without a word

Case = collections.namedtuple("Case", "name answers words keys verdict")
Preset = collections.namedtuple("Preset", "good head bad fine params", defaults=((), (), {}))


def bad(name, answers, words, verdict="bad", **keys):
    """With keys a unit asks for more than the preset does: the age of the head, say."""
    return Case(name, answers, words, keys, verdict)


def fine(name, answers, **keys):
    return Case(name, answers, "passed", keys, "good")


def ago(seconds, form="%Y-%m-%dT%H:%M:%S"):
    return lambda: time.strftime(form, time.gmtime(time.time() - seconds))


def unix(seconds):
    return lambda: int(time.time() - seconds)


def hex_unix(seconds):
    return lambda: hex(unix(seconds)())


def evm_block(number=0x12d687, age=1):
    return Result({"number": hex(number), "hash": "0x" + "ab" * 32, "timestamp": hex_unix(age), "transactions": []})


EOS = "aca376f206b8fc25a6ed44dbdc66547c36c6c33e3a119ffbeaef943642f0e906"


def get_info(number=1000, age=1, lib_age=180, chain=EOS):
    return {"server_version": "d55f0c5c", "chain_id": chain, "head_block_num": number,
            "last_irreversible_block_num": number - 330, "server_version_string": "v4.0.6",
            "last_irreversible_block_time": ago(lib_age, "%Y-%m-%dT%H:%M:%S.500"),
            "head_block_time": ago(age, "%Y-%m-%dT%H:%M:%S.500")}


def db_size(free):
    return {"free_bytes": free, "used_bytes": 1 << 30, "reclaimable_bytes": 0, "size": free + (1 << 30), "indices": []}


def beacon(distance=0, syncing=False, slot=11579199):
    return {"data": {"is_syncing": syncing, "is_optimistic": False, "el_offline": False, "head_slot": str(slot),
                     "sync_distance": str(distance)}}


def beacon_peers(connected):
    return {"data": {"disconnected": "12", "connecting": "0", "connected": str(connected), "disconnecting": "0"}}


def bitcoin(age=600, initial=False, chain="main", **more):
    return Result({"chain": chain, "blocks": 875000, "headers": 875000, "time": unix(age),
                   "mediantime": unix(age + 3600), "initialblockdownload": initial, **more})


def comet(age=1, catching_up=False, height=21000000, network="cosmoshub-4"):
    return {"jsonrpc": "2.0", "id": -1, "result": {
        "node_info": {"network": network, "version": "0.38.12"},
        "sync_info": {"latest_block_height": str(height), "latest_block_time": ago(age, "%Y-%m-%dT%H:%M:%S.123456789Z"),
                      "catching_up": catching_up}}}


def comet_peers(count):
    return {"jsonrpc": "2.0", "id": -1, "result": {"listening": True, "n_peers": str(count), "peers": []}}


def tipset(age=10, **more):
    return Result({"Cids": [{"/": "bafy2bzace"}], "Height": 4460000,
                   "Blocks": [{"Miner": "f01", "ParentWeight": "104870530049", "Timestamp": unix(age)}], **more})


def ssv(**bad_ones):
    return {"p2p": "good", "beacon_node": "good", "execution_node": "good", "event_syncer": "good", **bad_ones,
            "advanced": {"peers": 40, "inbound_conns": 12, "outbound_conns": 28}}


BEHIND = Error(-32005, "Node is behind by 42 slots", {"numSlotsBehind": 42})
SYNCING = Result({"startingBlock": "0x0", "currentBlock": "0x12d680", "highestBlock": "0x12d6ff"})
# Of a JSON-RPC server behind an HTTP status: bitcoind has the cause in the body.
LOADING = Http(500, '{"result":null,"error":{"code":-28,"message":"Loading block index\\u2026"},"id":"hasup"}')

GET_INFO, DB_SIZE = "/v1/chain/get_info", "/v1/db_size/get"
NODE_SYNCING, PEER_COUNT = "/eth/v1/node/syncing", "/eth/v1/node/peer_count"
LATEST, CHAIN_HEAD = "eth_getBlockByNumber", "/rpc/v1 Filecoin.ChainHead"
LOCAL = "/health?serializable=true&exclude=NOSPACE&exclude=CORRUPT"
NO_LEADER = Http(503, '{"health":"false","reason":"RAFT NO LEADER"}')
ABI = '{"version":"eosio::abi/1.1","structs":[{"name":"get_status_request_v0","fields":[]}],"types":[]}'

OLD_EVM = bad("an old head", {LATEST: evm_block(age=300)}, r"^head 1234567 is 5m\S* old \(limit 1m\)",
              max_head_age="1m")
NO_BLOCK = bad("no block yet", {LATEST: Result(None)}, "eth_getBlockByNumber answered null")
OLD_BLOCK_IS_FINE = fine("at its start a node may be behind", {LATEST: evm_block(age=86400)})
STILL_SLOT = bad("the slot stands still", {}, "has not advanced for", advances_within="300ms", interval="100ms")

PRESETS = {
    "antelope": Preset(
        {GET_INFO: get_info()}, {"number": 1000, "chain": EOS},
        [bad("an old head", {GET_INFO: get_info(age=300)}, r"\S+ old .*limit 30s", max_head_age="30s"),
         bad("paused: the head stands still", {}, "has not advanced for", advances_within="300ms", interval="100ms"),
         bad("another chain", {GET_INFO: get_info(chain="bb" * 32)}, "chain_id is .*bbbb", chain_id=EOS),
         bad("a wrong answer", {GET_INFO: {"code": 404, "message": "Not Found"}}, "has no /chain_id")],
        [fine("at its start a node may be behind", {GET_INFO: get_info(age=86400)})]),
    "antelope-synced": Preset(
        {GET_INFO: get_info(), DB_SIZE: db_size(1 << 30)}, {"number": 1000, "chain": EOS},
        [bad("an old head", {GET_INFO: get_info(age=300)}, r"\S+ old .*limit 30s", max_head_age="30s"),
         bad("nothing becomes final", {GET_INFO: get_info(lib_age=1200)},
             r"last_irreversible_block_time is (19m59s|20m\S*) old \(limit 10m\)"),
         bad("another chain", {GET_INFO: get_info(chain="bb" * 32)}, "chain_id is .*bbbb", chain_id=EOS),
         bad("no room", {DB_SIZE: db_size(536870911)}, r"free_bytes is 536870911 \(at least 536870912 expected\)"),
         bad("without db_size_api_plugin", {DB_SIZE: Http(404, '{"code":404,"message":"Not Found"}')}, "HTTP 404")],
        [fine("just room enough", {DB_SIZE: db_size(536870912)})]),
    "beacon": Preset(
        {NODE_SYNCING: beacon()}, {"number": 11579199}, [STILL_SLOT],
        [fine("at its start a node may be syncing", {NODE_SYNCING: beacon(5000, True)})]),
    "beacon-synced": Preset(
        {NODE_SYNCING: beacon(), PEER_COUNT: beacon_peers(55)}, {"number": 11579199},
        [bad("syncing", {NODE_SYNCING: beacon(0, True)}, "is_syncing is true"),
         bad("behind the clock", {NODE_SYNCING: beacon(3)}, r"sync_distance is 3\b"),
         bad("too few peers", {PEER_COUNT: beacon_peers(9)}, r"connected is 9\b")],
        [fine("just close enough, with just enough peers", {NODE_SYNCING: beacon(2), PEER_COUNT: beacon_peers(10)})]),
    "bitcoin": Preset(
        {"getblockchaininfo": bitcoin()}, {"number": 875000, "chain": "main"},
        [bad("it loads its index", {"getblockchaininfo": LOADING}, "error -28: Loading block index"),
         bad("it loads its index, by JSON-RPC 2.0", {"getblockchaininfo": Error(-28, "Verifying blocks…")},
             "error -28: Verifying blocks"),
         bad("a wrong password", {"getblockchaininfo": Http(401)}, "HTTP 401"),
         bad("an old head", {"getblockchaininfo": bitcoin(age=3 * 3600)}, r"3h\S* old .*limit 2h", max_head_age="2h")],
        [fine("at its start a node may be downloading", {"getblockchaininfo": bitcoin(86400, True)})],
        {"header_file": "{header_file}"}),
    "bitcoin-synced": Preset(
        {"getblockchaininfo": bitcoin()}, {"number": 875000, "chain": "main"},
        [bad("the initial download", {"getblockchaininfo": bitcoin(initial=True)}, "initialblockdownload is true"),
         bad("it loads its index", {"getblockchaininfo": LOADING}, "error -28: Loading block index"),
         bad("an old head", {"getblockchaininfo": bitcoin(age=3 * 3600)}, r"3h\S* old .*limit 2h", max_head_age="2h")],
        (), {"header_file": "{header_file}"}),
    "cosmos": Preset(
        {"/status": comet()}, {"number": 21000000, "chain": "cosmoshub-4"},
        [bad("an old head", {"/status": comet(age=300)}, r"\S+ old .*limit 30s", max_head_age="30s"),
         bad("an error of the node", {"/status": Http(500, '{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,'
             '"message":"Internal error"}}')}, "HTTP 500"),
         bad("an error as an answer", {"/status": {"jsonrpc": "2.0", "id": -1, "error": {"code": -32603,
             "message": "Internal error"}}}, "has no /result/")],
        [fine("at its start a node may be catching up", {"/status": comet(86400, True)})]),
    "cosmos-synced": Preset(
        {"/status": comet(), "/net_info": comet_peers(12)}, {"number": 21000000, "chain": "cosmoshub-4"},
        [bad("catching up", {"/status": comet(catching_up=True)}, "catching_up is true"),
         bad("no peers", {"/net_info": comet_peers(0)}, r"n_peers is 0\b"),
         bad("a chain that stands still", {"/status": comet(age=300)}, r"\S+ old .*limit 30s", max_head_age="30s")],
        [fine("one peer is enough", {"/net_info": comet_peers(1)})]),
    "etcd": Preset(
        {"/health": {"health": "true", "reason": ""}}, None,
        [bad("no leader", {"/health": NO_LEADER}, "HTTP 503"),
         bad("no room", {"/health": Http(503, '{"health":"false","reason":"ALARM NOSPACE"}')}, "HTTP 503"),
         bad("not healthy, with status 200", {"/health": {"health": "false"}}, 'health is "false"')]),
    "etcd-local": Preset(
        {LOCAL: {"health": "true", "reason": ""}}, None,
        [bad("the member itself is ill", {LOCAL: Http(503, '{"health":"false","reason":"SERIALIZABLE_READ ERROR"}')},
             "HTTP 503"),
         bad("not healthy, with status 200", {LOCAL: {"health": "false"}}, 'health is "false"')],
        [fine("without a leader it still answers by itself", {"/health": NO_LEADER})]),
    "evm": Preset(
        {LATEST: evm_block()}, {"number": 0x12d687},
        [NO_BLOCK, OLD_EVM,
         bad("a header without its time", {LATEST: Result({"number": "0x10"})}, "has no /result/timestamp"),
         bad("the head stands still", {}, "has not advanced for", advances_within="300ms", interval="100ms")],
        [OLD_BLOCK_IS_FINE]),
    "evm-chain": Preset(
        {LATEST: evm_block(), "eth_chainId": Result("0x4571")}, {"number": 0x12d687, "chain": "0x4571"},
        [NO_BLOCK, OLD_EVM,
         bad("another chain", {"eth_chainId": Result("0x45711")}, "0x45711", chain_id="0x4571"),
         bad("it does not say its chain", {"eth_chainId": Error(-32601, "the method eth_chainId does not exist")},
             "eth_chainId: error -32601")],
        [OLD_BLOCK_IS_FINE]),
    "evm-follows": Preset(
        {LATEST: evm_block(), "/other" + GET_INFO: get_info()}, {"number": 0x12d687},
        [NO_BLOCK,
         bad("behind nodeos", {LATEST: evm_block(age=120)},
             r"^head 1234567 is (1m5\ds|2m\S*) behind http://\S+ \(limit 30s\)")],
        [fine("all of the chain stands still", {LATEST: evm_block(age=4000), "/other" + GET_INFO: get_info(age=3990)}),
         fine("a little behind", {LATEST: evm_block(age=20)})],
        {"reference_url": "{url}/other"}),
    "evm-synced": Preset(
        {LATEST: evm_block(), "eth_syncing": Result(False), "net_peerCount": Result("0x19")}, {"number": 0x12d687},
        [NO_BLOCK, OLD_EVM,
         bad("syncing", {"eth_syncing": SYNCING}, r"^result is .*currentBlock.*\(false expected\)"),
         bad("too few peers", {"net_peerCount": Result("0x9")}, r"^result is 0x9 \(at least 10 expected\)"),
         bad("no peers", {"net_peerCount": Result("0x0")}, r"^result is 0x0 \(at least 10 expected\)")],
        [fine("just enough peers", {"net_peerCount": Result("0xa")})]),
    "evm-websocket": Preset(
        {"websocket": [None, Rpc(evm_block())]}, {"number": 0x12d687},
        [bad("no block yet", {"websocket": [None, Rpc(Result(None))]}, "has no /result/number"),
         bad("an error", {"websocket": [None, Rpc(Error(-32005, "limit exceeded"))]}, "-32005|has no /result"),
         bad("an old head", {"websocket": [None, Rpc(evm_block(age=300))]}, r"\S+ old .*limit 1m", max_head_age="1m"),
         bad("it says something else", {"websocket": [None, "<html>"]}, "not JSON")]),
    "filecoin": Preset(
        {CHAIN_HEAD: tipset()}, {"number": 4460000},
        [bad("an old head", {CHAIN_HEAD: tipset(age=300)}, r"5m\S* old .*limit 2m", max_head_age="2m"),
         bad("a tipset without blocks", {CHAIN_HEAD: tipset(Blocks=[])}, "has no /result/Blocks/0"),
         bad("no token", {CHAIN_HEAD: Http(401)}, "HTTP 401"),
         bad("the gateway is full", {CHAIN_HEAD: Error(1, "server busy. cannot complete before deadline (timeout 5s)")},
             "error 1: server busy")]),
    "http": Preset(
        {"/any/path": Http(200, "whatever")}, None,
        [bad("not there", {"/any/path": Http(404)}, "HTTP 404"), bad("moved", {"/any/path": Http(302)}, "HTTP 302")],
        [fine("no body", {"/any/path": Http(200)})], {"url": "{url}/any/path"}),
    "klaytn": Preset(
        {"klay_getBlockByNumber": evm_block()}, {"number": 0x12d687},
        [bad("an old head", {"klay_getBlockByNumber": evm_block(age=60)}, r"\S+ old .*limit 10s", max_head_age="10s"),
         bad("its API is off", {"klay_getBlockByNumber": Error(-32601, "Method … does not exist")}, "error -32601")],
        [fine("at its start a node may be behind", {"klay_getBlockByNumber": evm_block(age=86400)})]),
    "klaytn-synced": Preset(
        {"klay_getBlockByNumber": evm_block(), "klay_syncing": Result(False), "net_peerCount": Result("0x4")},
        {"number": 0x12d687},
        [bad("an old head", {"klay_getBlockByNumber": evm_block(age=60)}, r"\S+ old .*limit 10s", max_head_age="10s"),
         bad("syncing", {"klay_syncing": SYNCING}, r"^result is .*currentBlock.*\(false expected\)"),
         bad("not syncing, without peers", {"net_peerCount": Result("0x0")},
             r"^result is 0x0 \(at least 1 expected\)")],
        [fine("one peer is enough", {"net_peerCount": Result("0x1")})]),
    "solana": Preset(
        {"getSlot": Result(310000000)}, {"number": 310000000},
        [STILL_SLOT, bad("no slot yet", {"getSlot": Error(-32004, "Block not available for slot 0")}, "error -32004"),
         bad("no number", {"getSlot": Result("ok")}, 'result is "ok", not a block number')]),
    "solana-cluster": Preset(
        {"getHealth": Result("ok"), "getSlot": Result(310000000), "/other getSlot": Result(310000100)},
        {"number": 310000000},
        [bad("behind by its own word", {"getHealth": BEHIND}, "error -32005: Node is behind by 42 slots"),
         bad("it has lost the cluster", {"/other getSlot": Result(310000151)}, "151 blocks behind .*limit 150"),
         bad("the cluster has had enough of us", {"/other getSlot": Http(429)}, "no head to compare with.*HTTP 429",
             "undecided")],
        [fine("just close enough", {"/other getSlot": Result(310000150)}),
         fine("ahead of it", {"/other getSlot": Result(309999000)})],
        {"reference_url": "{url}/other"}),
    "solana-healthy": Preset(
        {"getHealth": Result("ok"), "getSlot": Result(310000000)}, {"number": 310000000},
        [bad("behind", {"getHealth": BEHIND}, "error -32005: Node is behind by 42 slots"),
         bad("it does not know", {"getHealth": Error(-32005, "Node is unhealthy", {"numSlotsBehind": None})},
             "error -32005: Node is unhealthy"),
         bad("the word of /health", {"getHealth": Result("behind")}, 'result is "behind"')]),
    "ssv": Preset(
        {"/v1/node/health": ssv()}, None,
        [bad(f"{one} is bad", {"/v1/node/health": ssv(**{one: f"bad: {why}"})}, f'{one} is "bad: {why}"')
         for one, why in (("beacon_node", "syncing"), ("execution_node", "not connected"),
                          ("event_syncer", "syncing is stuck"))],
        [fine("too few peers are for ssv-peers", {"/v1/node/health": ssv(p2p="bad: not enough connected peers")})]),
    "ssv-peers": Preset(
        {"/v1/node/health": ssv()}, None,
        [bad(f"{one}: {why}", {"/v1/node/health": ssv(**{one: f"bad: {why}"})}, f'{one} is "bad: {why}"')
         for one, why in (("p2p", "no peers are connected"), ("p2p", "not enough connected peers"),
                          ("p2p", "not enough inbound connections"), ("beacon_node", "syncing"),
                          ("execution_node", "not connected"), ("event_syncer", "syncing is stuck"))]),
    "state-history": Preset(
        {"websocket": [ABI]}, None,
        [bad("another ABI", {"websocket": ['{"version":"amax::abi/1.1"}']}, 'version is "amax::abi/1.1"'),
         bad("another greeting", {"websocket": ['{"hello":"world"}']}, "has no /version"),
         bad("no JSON", {"websocket": ["hello"]}, "not JSON"),
         bad("the port of something else", {"websocket": Http(400)}, "HTTP 400 instead of a websocket")]),
    "websocket": Preset(
        {"websocket": []}, None,
        [bad("no websocket", {"websocket": Http(404)}, "HTTP 404 instead of a websocket"),
         bad("an HTTP page", {"websocket": Http(200, "<html>")}, "HTTP 200 instead of a websocket")],
        (), {"url": "{ws}/path"}),
}

# The presets that tell the chain, with a node of some chain that is far ahead.
FAR = {
    "antelope": lambda chain: {GET_INFO: get_info(5000, chain=chain)},
    "antelope-synced": lambda chain: {GET_INFO: get_info(5000, chain=chain), DB_SIZE: db_size(1 << 30)},
    "bitcoin": lambda chain: {"getblockchaininfo": bitcoin(chain=chain, blocks=900000)},
    "bitcoin-synced": lambda chain: {"getblockchaininfo": bitcoin(chain=chain, blocks=900000)},
    "cosmos": lambda chain: {"/status": comet(height=31000000, network=chain)},
    "cosmos-synced": lambda chain: {"/status": comet(height=31000000, network=chain), "/net_info": comet_peers(12)},
    "evm-chain": lambda chain: {LATEST: evm_block(0x22d687), "eth_chainId": Result(chain)},
}

NO_CONTENT = ("http", "websocket")  # these look at no more than the status


def faults(preset, question):
    """(name, answer, words): what no preset may take from anybody that it asks."""
    yield "HTTP 503", Http(503, "<html>503 Service Temporarily Unavailable</html>"), "HTTP 503"
    yield "gone", GONE, "closed the connection without an answer"
    if preset in NO_CONTENT:
        return
    if question == "websocket":
        yield "a handshake and the end", [None], "closed the websocket before it sent a message"
        return
    yield "an empty answer", Http(200), "empty"
    yield "a page", Http(200, "<html>Welcome to nginx!</html>"), "not JSON"
    yield "half an answer", Http(200, '{"jsonrpc":"2.0","id":1,"resu'), "not JSON"
    if not question.startswith("/") or " " in question:
        yield "an error of the node", BEHIND, "error -32005: Node is behind by 42 slots"
        yield "an empty result", Result(None), "null"
    else:
        yield "an empty object", {}, "has no /"


def made(answer):
    """With the times as they are now."""
    if callable(answer):
        return answer()
    if isinstance(answer, dict):
        return {k: made(v) for k, v in answer.items()}
    return [made(a) for a in answer] if type(answer) is list else answer


def reply(call, answer):
    said = {"jsonrpc": "2.0", "id": call["id"]}
    if isinstance(answer, Error):
        more = {} if answer.data is None else {"data": answer.data}
        return json.dumps({**said, "error": {"code": answer.code, "message": answer.message, **more}})
    return json.dumps({**said, "result": made(answer.value)})


class Node(http.server.ThreadingHTTPServer):
    """Answers from a table; what is not in it is not found."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.header = None  # without which it says 401


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, question, call=None):
        found = self.server.answers.get(question, Http(404, f"no answer to {question}"))
        if self.server.header and self.headers["Authorization"] != self.server.header:
            found = Http(401)
        if found is GONE:
            self.close_connection = True
            return
        if isinstance(found, (Result, Error)):
            found = Http(200, reply(call, found))
        elif isinstance(found, dict):
            found = Http(200, json.dumps(made(found)))
        body = found.body.encode()
        self.send_response(found.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() != "websocket":
            self.answer(self.path)
        elif isinstance(self.server.answers.get("websocket"), list):
            self.websocket(self.server.answers["websocket"])
        else:
            self.answer("websocket")

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(call["method"] if self.path == "/" else f"{self.path} {call['method']}", call)

    def websocket(self, words):
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept_of(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        for i, word in enumerate(words):
            call = json.loads(self.frame()[1]) if i else None
            if word is not None:
                text = (reply(call, word.answer) if isinstance(word, Rpc) else word).encode()
                length = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
                self.wfile.write(b"\x81" + length + text)
        leave = b"\x88\x02\x03\xe8"
        if words == [None]:
            self.wfile.write(leave)
        while (kind := self.frame()[0]) not in (None, 8):
            pass
        if words != [None] and kind == 8:
            self.wfile.write(leave)

    def frame(self):
        """(kind, content); (None, nothing) when the other one has hung up."""
        head = self.rfile.read(2)
        if len(head) < 2:
            return None, b""
        length = head[1] & 0x7f
        if length == 126:
            length = int.from_bytes(self.rfile.read(2), "big")
        mask = self.rfile.read(4)
        return head[0] & 0xf, bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(length)))

    def log_message(self, *_):
        pass


def toml(strings):
    return "".join(f"{k} = {json.dumps(v)}\n" for k, v in strings.items())


UNIT = '[run]\ncommand = ["sleep", "1000"]\n[readiness]\npreset = "{preset}"\ntimeout = "60s"\n{keys}\n'


class Presets(HasupTest):
    """`hasup probe` alone; there is no hasupd."""

    def setUp(self):
        super().setUp()
        self.node = Node()
        thread = threading.Thread(target=self.node.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.node.server_close)
        self.addCleanup(self.node.shutdown)
        self.header_file = self.home.path / "header"
        word = "Basic " + base64.b64encode(b"hasup:geheim").decode()
        self.header_file.write_text(f"Authorization: {word}\n")
        self.header_file.chmod(0o600)
        self.authorization = word

    def params(self, name):
        at = f"127.0.0.1:{self.node.server_port}"
        ws = "websocket" in PRESETS[name].good
        params = {"url": "{ws}" if ws else "{url}", **PRESETS[name].params}
        values = {"url": f"http://{at}", "ws": f"ws://{at}", "header_file": self.header_file}
        return {k: v.format(**values) for k, v in params.items()}

    def probe(self, name, answers, keys=None, more=""):
        """(exit code, what it says, the words that it was asked with). With keys by way of a unit that has them."""
        self.node.answers = {**PRESETS[name].good, **answers}
        self.node.header = self.authorization if "header_file" in PRESETS[name].params else None
        if keys or more:
            keys = toml({**self.params(name), **(keys or {})})
            self.home.unit("judged", UNIT.format(preset=name, keys=keys) + more)
            words = ["judged", "--timeout", "60s"]
        else:
            words = [name] + [f"{k}={v}" for k, v in self.params(name).items()]
        done = self.home.hasup("probe", *words, "--json")
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)[0], words

    def assert_refused(self, name, case):
        code, said, _ = self.probe(name, case.answers, case.keys)
        self.assertEqual((code, said["passed"], said["verdict"]), (1, False, case.verdict), said)
        self.assertRegex(said["reason"], case.words)
        self.assert_blames(name, said, case)

    def assert_blames(self, name, said, case):
        """No check fails but one that got another answer."""
        changed = {q.split("/")[-1].split(" ")[-1].split("?")[0] for q in case.answers}
        for check in said["checks"]:
            if check["outcome"] == "failed":
                about = re.split("[ /?]", check["subject"].replace(f" at {self.params(name)['url']}", ""))
                self.assertTrue(changed & set(about) or "websocket" in case.answers, check)

    def test_every_preset_has_a_row(self):
        self.assertEqual(sorted(PRESETS), sorted(p.stem for p in (SOURCE / "recipes" / "probes").glob("*.toml")))
        for name, row in PRESETS.items():
            self.assertTrue(row.good and row.bad, name)
        self.assertEqual(sorted(FAR), sorted(n for n, row in PRESETS.items() if "chain" in (row.head or {})))

    def test_a_good_node_passes(self):
        for name, row in PRESETS.items():
            with self.subTest(name):
                code, said, words = self.probe(name, {})
                self.assertEqual((code, said["verdict"]), (0, "good"), said)
                self.assertTrue(all(c["outcome"] == "passed" for c in said["checks"]), said)
                head = said["head"] and {k: v for k, v in said["head"].items() if k != "time" and v is not None}
                self.assertEqual(head, row.head)
                self.assertIn("passed", self.home.ok("probe", *words).splitlines()[0])
            for case in row.fine:
                with self.subTest(f"{name}: {case.name}"):
                    code, said, _ = self.probe(name, case.answers, case.keys)
                    self.assertEqual((code, said["verdict"]), (0, "good"), said)

    def test_a_bad_node_is_refused_and_the_reason_says_why(self):
        for name, row in PRESETS.items():
            for case in row.bad:
                with self.subTest(f"{name}: {case.name}"):
                    self.assert_refused(name, case)

    def test_none_takes_what_is_no_answer(self):
        for name, row in PRESETS.items():
            for question in row.good:
                # While nobody else answers it is unknown how far behind the node is.
                verdict = "undecided" if question.startswith("/other") else "bad"
                for what, answer, words in faults(name, question):
                    with self.subTest(f"{name}: {question}: {what}"):
                        self.assert_refused(name, Case(what, {question: answer}, words, {}, verdict))

    def test_a_head_of_another_chain_is_not_compared_with(self):
        """Where the chain is known, no node of another one makes this one a laggard."""
        for name, far_on in FAR.items():
            own = PRESETS[name].head["chain"]
            for chain, verdict, words in ((own, "bad", r"\d+ blocks behind http://.* \(limit 10\)"),
                                          ("another", "undecided", f"it is of chain another, the own node of {own}")):
                others = {f"/other{q}" if q.startswith("/") else f"/other {q}": a for q, a in far_on(chain).items()}
                params = {**self.params(name), "url": self.params(name)["url"] + "/other"}
                more = f'max_blocks_behind = 10\n[readiness.reference]\npreset = "{name}"\n{toml(params)}'
                with self.subTest(f"{name}: {chain}"):
                    code, said, _ = self.probe(name, others, more=more)
                    self.assertEqual((code, said["verdict"]), (1, verdict), said)
                    self.assertRegex(said["reason"], words)

    def test_a_password_is_asked_for_and_sent(self):
        for name in ("bitcoin", "bitcoin-synced"):
            self.header_file.write_text("Authorization: Basic Z3Vlc3M=\n")
            code, said, _ = self.probe(name, {})
            self.assertEqual((code, said["verdict"]), (1, "bad"), said)
            self.assertIn("HTTP 401", said["reason"])
            self.assertNotIn("Z3Vlc3M=", json.dumps(said))


if __name__ == "__main__":
    unittest.main()
