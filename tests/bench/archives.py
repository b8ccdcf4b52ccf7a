"""Archives of a node's state and the grounds on which they are unpacked; what the rows unpack and fetch share."""

import os
import random
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from context import say

SMALL_FILES = 20_000  # at the largest size; fewer below it
# One zstd frame, as `zstd` and `tar --zstd` write it, and many, as `pzstd` does.
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


@dataclass(frozen=True)
class Made:
    """Archives of one content: which kinds there are, as files of how many bytes, and the bytes of the tar in them."""
    sizes: dict
    tar: int

    def served(self):
        return ", ".join(f"{size / (1 << 20):,.0f} MiB ({kind})" for kind, size in self.sizes.items())


def make(directory, mib):
    """DIRECTORY/one-frame/a.tar.zst and so on."""
    kinds = [kind for kind, command in KINDS.items() if shutil.which(command.split()[0])]
    fill(directory / "data", mib << 20)
    tar = directory / "a.tar"
    subprocess.run(["tar", "-S", "-C", directory / "data", "-cf", tar, "state", "blocks"], check=True)
    shutil.rmtree(directory / "data")
    size = tar.stat().st_size
    for kind in kinds:
        place = directory / kind.replace(" ", "-")
        place.mkdir()
        subprocess.run(KINDS[kind].format(tar=tar, out=place / "a.tar.zst").split(), check=True)
    tar.unlink()
    return Made({kind: (directory / kind.replace(" ", "-") / "a.tar.zst").stat().st_size for kind in kinds}, size)


@contextmanager
def grounds(mib, wanted):
    """name -> directory, of those wanted: a disk (HASUP_BENCH_DIR, else /var/tmp), where the disk is the limit, and
    memory, where what the programs themselves cost is seen."""
    places = {"disk": os.environ.get("HASUP_BENCH_DIR", "/var/tmp"), "memory": "/dev/shm"}
    shm = os.statvfs("/dev/shm")
    available_kb = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0])
    needed = 5 * (mib << 20)  # archives of two kinds, a cache, what is unpacked, and some more
    if "memory" in wanted and (shm.f_bavail * shm.f_bsize < needed or available_kb << 10 < needed):
        say("left out: in memory, for want of room in /dev/shm")
        del places["memory"]
    with ExitStack() as stack:
        out = {}
        for name in [n for n in places if n in wanted]:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="hasup-bench-", dir=places[name]))
            os.chmod(directory, 0o755)
            out[name] = Path(directory)
        yield out


def turns(names, round_):
    """In each round another one begins: what the one before leaves to the disk is not always the same one's burden."""
    at = round_ % len(names)
    return [*names[at:], *names[:at]]


def disk_alone(archive, directory):
    """Bytes a second that the disk takes from dd, past the page cache, of bytes that do not compress."""
    out = directory / "alone"
    subprocess.run(["sync", "-f", directory], check=True)
    begun = time.monotonic()
    subprocess.run(["dd", f"if={archive}", f"of={out}", "bs=4M", "iflag=fullblock", "oflag=direct", "conv=fsync", "status=none"],
                   check=True)
    took = time.monotonic() - begun
    size = out.stat().st_size
    out.unlink()
    return size / took
