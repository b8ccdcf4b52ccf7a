"""The next snapshot of a node, of which most is at hand: what goes over the wire beside what has changed."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import context
from context import Table, say
from row_fetch import WORKER, Host, most_memory

PAGE = 4096
MIB = 1 << 20


def fill(directory, size):
    """Two thirds of it a database whose pages are half full, one third a blocks log that does not compress."""
    (directory / "state").mkdir(parents=True)
    (directory / "blocks").mkdir()
    with open(directory / "state" / "db", "wb") as db:
        for _ in range(size * 2 // 3 // MIB):
            bytes_ = os.urandom(MIB // 2)
            db.write(b"".join(bytes_[i:i + PAGE // 2] + bytes(PAGE // 2) for i in range(0, MIB // 2, PAGE // 2)))
    with open(directory / "blocks" / "blocks.log", "wb") as log:
        for _ in range(size // 3 // MIB):
            log.write(os.urandom(MIB))


def change_pages(directory, percent, scattered):
    """Of the database so many pages: anywhere, or next to each other in runs of 1 MiB. The bytes."""
    rows, path = random.Random(5), directory / "state" / "db"
    pages = path.stat().st_size // PAGE
    count = max(1, pages * percent // 100)
    if scattered:
        changed = rows.sample(range(pages), count)
    else:
        run = MIB // PAGE
        starts = rows.sample(range(max(1, pages // run)), max(1, count // run))
        changed = [s * run + i for s in starts for i in range(run)][:count]
    with open(path, "r+b") as db:
        for page in changed:
            db.seek(page * PAGE)
            db.write(os.urandom(PAGE // 2))
    return len(changed) * PAGE


def append(directory, percent):
    path = directory / "blocks" / "blocks.log"
    more = path.stat().st_size * percent // 100
    with open(path, "ab") as log:
        log.write(os.urandom(more))
    return more


def create(data, files, name):
    subprocess.run([context.BIN / "hasup", "snapshot", "create", data, "--to", files, "--name", name, "--allow-changes"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fetch(place, url, name, size, digest, at_hand):
    run = place / "run"
    snapshot = {"name": name, "url": url + name, "source": url, "size": size, "sha256": digest, "chunks": f"{url}{name}.chunks"}
    job = {"mode": "fetch", "result_path": str(run / "result.json"), "progress_path": "", "data_dir": str(place / "node"),
           "sources": [{"url": url}], "checksum": "required", "keep": [], "chosen": {"plan": 0, "snapshots": [snapshot]},
           "plan": {"name": "p", "wipe": ["state", "blocks"], "archives": [
               {"match": "*", "order": "name", "unpack": "archive", "into": ".", "at_hand": at_hand}]}}
    (run / "fetch.json").write_text(json.dumps(job))
    begun, memory = time.monotonic(), 0
    worker = subprocess.Popen([WORKER, run / "fetch.json"], stdin=subprocess.DEVNULL)
    while worker.poll() is None:
        memory = max(memory, most_memory(worker.pid))
        time.sleep(0.02)
    result = json.loads((run / "result.json").read_text())
    if worker.returncode != 0:
        raise RuntimeError("hasup: " + result["error"])
    return time.monotonic() - begun, memory


def sent(host, log):
    """All bytes that the host has sent; its processes write down what is done."""
    del host
    return sum(int(line.split()[1]) for line in log.read_text().splitlines())


CHANGES = {
    "5 % appended to the log": lambda d: append(d, 5),
    "1 % of the pages, side by side": lambda d: change_pages(d, 1, False),
    "1 % of the pages, anywhere": lambda d: change_pages(d, 1, True),
    "both: 1 % anywhere, 5 % appended": lambda d: change_pages(d, 1, True) + append(d, 5),
}
AT_HAND = {"nothing": [], "the older archive": [], "the node's own files": ["state/db", "blocks/*.log"]}


def one_change(temp, change, size):
    place, files, data = temp / "place", temp / "files", temp / "data"
    for directory in (place, files, data):
        shutil.rmtree(directory, ignore_errors=True)
    (place / "run").mkdir(parents=True)
    files.mkdir()
    fill(data, size)
    create(data, files, "snap-1.tar.zst")
    shutil.copytree(data, temp / "old", dirs_exist_ok=True)
    changed = CHANGES[change](data)
    create(data, files, "snap-2.tar.zst")
    archive = files / "snap-2.tar.zst"
    digest = Path(f"{archive}.sha256").read_text().split()[0]
    log, out = place / "run" / "access.log", []
    host = Host(files, place / "run", log=str(log))
    try:
        for name, globs in AT_HAND.items():
            say(f"delta: {change}, at hand: {name}")
            node = place / "node"
            shutil.rmtree(node, ignore_errors=True)
            (node / ".hasup" / "cache").mkdir(parents=True)
            os.chmod(node / ".hasup", 0o700)
            if name == "the older archive":
                shutil.copy(files / "snap-1.tar.zst", node / ".hasup" / "cache")
            if globs:
                shutil.copytree(temp / "old", node, dirs_exist_ok=True)
            before = sent(host, log)
            took, memory = fetch(place, f"http://127.0.0.1:{host.port}/", archive.name, archive.stat().st_size, digest, globs)
            loaded = sent(host, log) - before
            out.append([change, name, f"{changed / MIB:,.1f} MiB", f"{loaded / MIB:,.1f} MiB",
                        f"{100 * loaded / archive.stat().st_size:.1f} %", f"{took:.1f} s", f"{memory:.0f} MiB"])
    finally:
        host.close()
    shutil.rmtree(temp / "old")
    return out


def measure(sizes):
    if not shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        say("left out: what changes, without nginx")
        return None
    mib = max(6, sizes.unpack_mib // 2)
    rows = []
    with tempfile.TemporaryDirectory(prefix="hasup-bench-", dir=os.environ.get("HASUP_BENCH_DIR", "/var/tmp")) as temp:
        os.chmod(temp, 0o755)
        for change in CHANGES:
            rows += one_change(Path(temp), change, mib * MIB)
    return Table("Fetching the next snapshot",
                 f"A node of {mib:,} MiB (two thirds a database of half full pages of 4 KiB, one third a blocks log that does not "
                 "compress) is packed by `hasup snapshot create`, changed and packed again; the second archive is fetched from "
                 "nginx on loopback and verified. Loaded is what nginx has sent, the index of the chunks and all headers "
                 "included; the percentage is of the archive. A chunk has about 280 KiB: one changed byte costs one.",
                 ["changed", "at hand", "changed bytes", "loaded", "of the archive", "time", "memory"], rows)
