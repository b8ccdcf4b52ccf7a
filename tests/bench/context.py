"""Where programs are and how large a run is; what all rows share."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ.get("HASUP_BIN_DIR", SOURCE / "build" / "release" / "bin")).resolve()
NODE = BIN / "bench_node"
PM2_DIR = Path(os.environ.get("HASUP_PM2_DIR", SOURCE / "build" / "pm2")).resolve()


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""
    name: str
    crashes: int
    crowd: int             # processes that run beside the last restarts and have nothing to do with them
    fleets: tuple          # how many units stand side by side under each peer, for status, memory and idleness
    idle_fleet: int
    idle_s: float
    status_runs: int
    many: int              # units of the mass start
    many_rounds: int
    chains: int            # of the deep graph: as many chains of many / chains units
    log_ms: int
    log_rounds: int
    unpack_mib: int        # archives hold about so much; two thirds of it compressed, so that the whole run's are above 2 GiB
    unpack_rounds: int
    probed: int            # units that are asked every second, for so long
    probes_s: float
    warm_mib: int          # the state of a recovery with a snapshot at hand
    grounds: tuple = ("disk", "memory")  # where the rows unpack and fetch write to


WHOLE = Sizes("whole", crashes=200, crowd=1000, fleets=(1, 20), idle_fleet=20, idle_s=60, status_runs=20, many=1000, many_rounds=3,
              chains=10, log_ms=2000, log_rounds=3, unpack_mib=3300, unpack_rounds=5,
              probed=200, probes_s=30, warm_mib=8192)
QUICK = Sizes("quick", crashes=20, crowd=1000, fleets=(1, 20), idle_fleet=20, idle_s=5, status_runs=3, many=200, many_rounds=1,
              chains=10, log_ms=500, log_rounds=1, unpack_mib=512, unpack_rounds=3,
              probed=200, probes_s=10, warm_mib=512)
SMALLEST = Sizes("smallest", crashes=3, crowd=20, fleets=(2,), idle_fleet=2, idle_s=0.5, status_runs=1, many=6, many_rounds=1,
                 chains=2, log_ms=50, log_rounds=1, unpack_mib=4, unpack_rounds=1, probed=4,
                 probes_s=0.5, warm_mib=8)


@dataclass
class Table:
    """One row of the design's list, as it is printed."""
    title: str
    what: str              # how it was measured
    head: list
    rows: list


def say(text):
    print(text, file=sys.stderr, flush=True)
