"""Archives of a node's state, unpacked by hasup's worker and by what people do by hand; bytes, memory and how many
cores were busy. Every one ends with its data on the disk."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import archives
import context
from context import Table, say
from measure import median

WORKER = context.BIN / "hasup-worker-unpack"
# What it needs, how it unpacks $A into the directory $OUT; none of them makes a check.
BY_HAND = {
    "bsdtar -x": ("bsdtar", 'bsdtar -xf "$A" -C "$OUT"'),
    "zstd -d | tar x": ("zstd", 'zstd -dcq --long=31 "$A" | tar -x -C "$OUT"'),
}

class Place:
    """A data directory whose cache holds the archive, sealed as fetch does it, and a job for the worker."""

    def __init__(self, directory):
        archive = directory / "a.tar.zst"
        self.directory = directory
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
    seen, alone, made = {}, [], None
    with archives.grounds(sizes.unpack_mib, sizes.grounds) as grounds:
        for ground, directory in grounds.items():
            say(f"unpack: making archives of {sizes.unpack_mib} MiB ({ground})")
            made = archives.make(directory, sizes.unpack_mib)
            places = {k: Place(directory / k.replace(" ", "-")) for k in made.sizes}
            for round_ in range(sizes.unpack_rounds):
                if ground == "disk":
                    alone.append(archives.disk_alone(next(iter(places.values())).archive, directory))
                for kind, place in places.items():
                    for name in archives.turns(peers, round_):
                        say(f"unpack: {ground}, {kind}, {name}, round {round_ + 1}")
                        seen.setdefault((ground, kind, name), []).append(one_round(place, name))
                        place.clear()
            for place in places.values():
                shutil.rmtree(place.directory)
    return table(seen, made, alone, sizes)


def table(seen, made, alone, sizes):
    rows, unpacked = [], made.tar
    for ground, kind, name in sorted(seen, key=lambda k: list(seen).index((*k[:2], "hasup"))):
        took = seen[ground, kind, name]
        seconds, mine = (median([t["took"] for t in rounds]) for rounds in (took, seen[ground, kind, "hasup"]))
        rows.append([name, ground, kind, f"{seconds:.2f} s", f"{seconds / mine:.2f}x", f"{unpacked / seconds / 1e6:,.0f} MB/s",
                     f"{median([t['cpu'] for t in took]):.2f} s", f"{max(t['memory'] for t in took):.0f} MiB"])
    if alone:
        rows.append(["dd oflag=direct", "disk", "the same bytes", f"{unpacked / median(alone):.2f} s", "",
                     f"{median(alone) / 1e6:,.0f} MB/s", "", ""])
    return Table("Unpacking a snapshot",
                 f"A tar of {unpacked / (1 << 20):,.0f} MiB with a sparse database, a blocks log that does not compress, "
                 f"and small files, as a tar.zst of {made.served()}, from the page cache to a disk (synced) and to memory (tmpfs), medians of "
                 f"{sizes.unpack_rounds}. hasup refuses hostile entries, watches the free space and finds the holes; the others "
                 "do none of it. The row of dd is what the disk takes at most. Memory is that of the largest process, no less than what "
                 "starts it has (some 25 MiB).",
                 ["", "to", "archive", "time", "of hasup", "written", "CPU time", "memory"], rows)
