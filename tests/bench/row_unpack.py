"""Archives of a node's state, unpacked by hasup's worker and by what people do by hand; bytes, memory and how many
cores were busy. Every one ends with its data on the disk."""

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
from measure import median

WORKER = context.BIN / "hasup-worker-unpack"
SMALL_FILES = 20_000  # at the largest size; fewer below it
# What it needs, how it unpacks $A into the directory $OUT; none of them makes a check.
BY_HAND = {
    "bsdtar -x": ("bsdtar", 'bsdtar -xf "$A" -C "$OUT"'),
    "zstd -d | tar x": ("zstd", 'zstd -dcq --long=31 "$A" | tar -x -C "$OUT"'),
}
# Archives: one zstd frame, as `zstd` and `tar --zstd` write it, and many, as `pzstd` does.
KINDS = {"one frame": "zstd -q -3 -T0 {tar} -o {out}", "many frames": "pzstd -q -3 {tar} -o {out}"}


def fill(directory, size):
    """Half of it a database with holes that compresses as one does, half of it a blocks log that does not, and files."""
    rows = random.Random(1)
    words = [rows.randbytes(48) for _ in range(4096)]
    (directory / "state").mkdir(parents=True)
    (directory / "blocks").mkdir()
    with open(directory / "state" / "shared_memory.bin", "wb") as db:
        db.truncate(size)
        for at in range(0, size, 2 << 20):  # every second MiB is a hole
            db.seek(at)
            db.write(b"".join(rows.choice(words) + rows.randbytes(16) for _ in range((1 << 20) // 64)))
    with open(directory / "blocks" / "blocks.log", "wb") as log:
        for _ in range(size // 2 >> 20):
            log.write(os.urandom(1 << 20))
    for i in range(min(SMALL_FILES, size >> 14)):
        place = directory / "state" / f"sst{i % 100:02d}"
        place.mkdir(exist_ok=True)
        (place / f"{i:06d}.sst").write_bytes(rows.choice(words) * rows.randrange(1, 200))


class Place:
    """A data directory whose cache holds the archive, sealed as fetch does it, and a job for the worker."""

    def __init__(self, directory, archive):
        self.own = directory / "node" / ".hasup"
        (self.own / "cache").mkdir(parents=True)
        os.chmod(self.own, 0o700)
        self.archive = self.own / "cache" / archive.name
        os.rename(archive, self.archive)
        st = self.archive.stat()
        seal = {"sha256": "", "size": st.st_size, "modified_ns": st.st_mtime_ns, "inode": st.st_ino, "url": "",
                "validator": ""}
        (self.own / "cache" / f"{archive.name}.seal").write_text(json.dumps(seal))
        self.out = directory / "out"
        self.result = directory / "result.json"
        job = {"mode": "unpack", "result_path": str(self.result), "progress_path": "",
               "data_dir": str(self.own.parent),
               "chosen": {"plan": 0, "snapshots": [{"name": archive.name, "url": "http://h/x", "source": "http://h"}]},
               "plan": {"name": "p", "wipe": ["state", "blocks"],
                        "archives": [{"match": "*", "order": "time", "unpack": "archive", "into": ".", "strip": True}]}}
        self.job = directory / "job.json"
        self.job.write_text(json.dumps(job))

    def command(self, name):
        if name == "hasup":
            return [WORKER, self.job]
        # hasup ends with all on the disk, and so do they.
        return ["bash", "-c", "set -o pipefail; " + BY_HAND[name][1] + ' && sync -f "$OUT"']

    def clear(self):
        shutil.rmtree(self.own / "staging", ignore_errors=True)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        subprocess.run(["sync", "-f", self.own], check=True)


def one_round(place, name):
    """Seconds, seconds of all cores, and the most memory of one process in MiB."""
    place.clear()
    begun = time.monotonic()
    process = subprocess.Popen(list(map(str, place.command(name))), stdin=subprocess.DEVNULL,
                               env={**os.environ, "A": str(place.archive), "OUT": str(place.out)})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - begun
    if status != 0:
        why = place.result.read_text() if name == "hasup" and place.result.exists() else f"status {status}"
        raise RuntimeError(f"{name} did not unpack {place.archive.name}: {why}")
    return {"took": took, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}


def measure(sizes):
    peers = ["hasup", *(n for n, (program, _) in BY_HAND.items() if shutil.which(program))]
    size = sizes.unpack_mib << 20
    seen = {}
    with tempfile.TemporaryDirectory(prefix="hasup-bench-", dir=os.environ.get("HASUP_BENCH_DIR", "/var/tmp")) as temp:
        temp = Path(temp)
        say(f"unpack: making archives of {sizes.unpack_mib} MiB")
        fill(temp / "data", size)
        tar = temp / "a.tar"
        subprocess.run(["tar", "-S", "-C", temp / "data", "-cf", tar, "state", "blocks"], check=True)
        shutil.rmtree(temp / "data")
        unpacked = tar.stat().st_size
        places = {}
        for kind, command in KINDS.items():
            if not shutil.which(command.split()[0]):
                continue
            place = temp / kind.replace(" ", "-")
            place.mkdir()
            archive = place / "a.tar.zst"
            subprocess.run(command.format(tar=tar, out=archive).split(), check=True)
            places[kind] = Place(place, archive)
        tar.unlink()
        for round_ in range(sizes.unpack_rounds):
            for kind, place in places.items():
                for name in peers:
                    say(f"unpack: {kind}, {name}, round {round_ + 1}")
                    seen.setdefault((kind, name), []).append(one_round(place, name))
                    place.clear()
    return table(seen, unpacked, sizes)


def table(seen, unpacked, sizes):
    rows = []
    for (kind, name), took in seen.items():
        seconds, mine = (median([t["took"] for t in rounds]) for rounds in (took, seen[kind, "hasup"]))
        rows.append([name, kind, f"{seconds:.2f} s", f"{seconds / mine:.2f}x", f"{unpacked / seconds / 1e6:,.0f} MB/s",
                     f"{median([t['cpu'] for t in took]):.2f} s", f"{max(t['memory'] for t in took):.0f} MiB"])
    return Table("Unpacking a snapshot",
                 f"A tar.zst of {unpacked / (1 << 20):,.0f} MiB with a sparse database, a blocks log that does not compress, "
                 f"and small files, from the page cache to the disk (synced), medians of {sizes.unpack_rounds}. hasup "
                 "refuses hostile entries, watches the free space and finds the holes; the others do none of it. Memory "
                 "is that of the largest process.",
                 ["", "archive", "time", "of hasup", "written", "CPU time", "memory"], rows)
