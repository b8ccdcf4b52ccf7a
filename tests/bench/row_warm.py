"""From the failed exit of a node to its next exec: with the newest snapshot at hand (recovery.prefetch), and without."""

import os
import shutil
import signal
import statistics
import subprocess
import tempfile
from pathlib import Path

import context
from context import Table, say
from measure import poll
from peer_hasup import Hasup

MIB = 1 << 20
PATIENCE_S = 1800

# Its state is broken when it was killed; it says so and ends, as nodeos does.
NODE = """#!/bin/bash
stamp() { echo "$1 ${EPOCHREALTIME/./}" >> "$2"; }
stamp exec "$2"
if [ -e "$1/state/running" ]; then echo "database dirty flag set"; stamp exit "$2"; exit 2; fi
touch "$1/state/running"
trap 'rm -f "$1/state/running"; exit 0' TERM
sleep infinity & wait
"""

RECIPE = """
description = "a state that is replaced as a whole"
[[classify]]
name = "dirty database"
exit_code = [2]
log = "database dirty flag set"
action = "recover"
[data]
must_exist = ["state/db"]
[[plan]]
name = "state"
wipe = ["state"]
[[plan.archive]]
match = "snap-*.tar.zst"
order = "name"
unpack = "archive"
into = "."
[confirm]
when = "healthy"
within = "1m"
advancing_for = "0s"
"""

UNIT = """
[data]
dir = "{data}"
[run]
command = ["{node}", "{data}", "{times}"]
[restart]
backoff = {{ initial = "0s", max = "0s" }}
[recovery]
recipe = "bench"
source = "file://{files}/"
checksum = "required"
budget = {{ count = 0 }}
{prefetch}
"""


class WarmHome(Hasup):
    def unit(self, name, text):
        (self.units / f"{name}.toml").write_text(text)


def fill(path, size):
    """Pages of 4 KiB of which an eighth is noise: no holes, and an archive of an eighth of the size."""
    path.parent.mkdir(parents=True)
    with open(path, "wb") as db:
        for _ in range(size // MIB):
            noise = os.urandom(MIB // 8)
            db.write(b"".join(noise[i:i + 512] + b"\1" * 3584 for i in range(0, len(noise), 512)))


def wait_for(condition, what):
    poll(condition, what, PATIENCE_S, 0.05)


def stamps(times):
    return [(word, int(us)) for word, us in (line.split() for line in times.read_text().splitlines())]


def one_recovery(home, name, times):
    """Kills the node; seconds from its failed exit to the exec that follows."""
    unit = next(u for u in home.status() if u["unit"] == name)
    seen = len(stamps(times))
    os.kill(unit["pid"], signal.SIGKILL)
    wait_for(lambda: [w for w, _ in stamps(times)[seen:]][-1:] == ["exec"] and "exit" in [w for w, _ in stamps(times)[seen:]],
             "it runs again")
    told = stamps(times)[seen:]
    at = [w for w, _ in told].index("exit")
    wait_for(lambda: next(u for u in home.status() if u["unit"] == name)["state"] == "running", "the recovery is over")
    return (told[at + 1][1] - told[at][1]) / 1e6


def recover(temp, name, prefetch, rounds, size):
    home = WarmHome()
    try:
        files, data, times = temp / "files", temp / name, temp / f"{name}.times"
        (data / "state").mkdir(parents=True)
        shutil.copy(temp / "db", data / "state" / "db")
        node = temp / "node.sh"
        node.write_text(NODE)
        node.chmod(0o755)
        (home.units.parent / "recipes").mkdir()
        (home.units.parent / "recipes" / "bench.toml").write_text(RECIPE)
        home.unit("node", UNIT.format(data=data, node=node, times=times, files=files,
                                      prefetch='prefetch = { every = "1s" }' if prefetch else ""))
        home.start()
        wait_for((home.dir / "run" / "hasupd.sock").exists, "hasupd answers")
        out = []
        for i in range(rounds):
            say(f"warm: {name}, recovery {i + 1} of {rounds}")
            wait_for(lambda: any(u["state"] == "running" and (not prefetch or (u["prefetch"] or {}).get("unpacked"))
                                 for u in home.status()), f"{name} is ready")
            out.append(one_recovery(home, "node", times))
        return out
    finally:
        home.end()
        shutil.rmtree(temp / name, ignore_errors=True)


def measure(sizes):
    size = sizes.warm_mib * MIB
    with tempfile.TemporaryDirectory(prefix="hasup-bench-", dir=os.environ.get("HASUP_BENCH_DIR", "/var/tmp")) as place:
        temp = Path(place)
        temp.chmod(0o755)
        say("warm: making a state and its snapshot")
        fill(temp / "made" / "state" / "db", size)
        (temp / "files").mkdir()
        subprocess.run([context.BIN / "hasup", "snapshot", "create", temp / "made", "--to", temp / "files", "--name",
                        "snap-1.tar.zst"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (temp / "made" / "state" / "db").rename(temp / "db")
        warm = recover(temp, "at hand", True, sizes.unpack_rounds, size)
        cold = recover(temp, "not", False, 1, size)
    rows = [["at hand, unpacked", f"{statistics.median(warm):.2f} s", f"{max(warm):.2f} s", str(len(warm))],
            ["only on the host", f"{statistics.median(cold):.2f} s", f"{max(cold):.2f} s", str(len(cold))]]
    return Table("From a failed exit to the next exec",
                 f"A state of {sizes.warm_mib:,} MiB that has to be replaced, of which the newest snapshot is at hand because of "
                 "`recovery.prefetch`, or has to be fetched (here from a directory of this machine) and unpacked first. Both "
                 "times are told by the node itself.",
                 ["snapshot", "median", "longest", "recoveries"], rows)
