#!/usr/bin/env python3
"""Measures hasup beside pm2, supervisord, runit, s6 and a bare loop, and prints the tables of docs/benchmarks.md.

    run.py [--quick | --smallest] [--rows restart,fleet,many,logs,probes,unpack,fetch,delta,warm] [--archive-mib N]
           [--grounds memory] [--peers hasup,s6,…] [--write FILE]

packaging/bench.sh installs and builds what it needs, and writes docs/benchmarks.md with it.
"""

import argparse
import dataclasses
import os
import resource
import signal
import sys
from pathlib import Path

import context
import report
import row_delta
import row_fetch
import row_fleet
import row_logs
import row_many
import row_probes
import row_restart
import row_unpack
import row_warm
from context import say
from peers import all_peers

ROWS = ("restart", "fleet", "many", "logs", "probes", "unpack", "fetch", "delta", "warm")


def arguments():
    p = argparse.ArgumentParser(description="Measures hasup beside its peers.")
    p.add_argument("--quick", dest="sizes", action="store_const", const=context.QUICK, default=context.WHOLE,
                   help="small, under two minutes")
    p.add_argument("--smallest", dest="sizes", action="store_const", const=context.SMALLEST,
                   help="says nothing about speed, only that it works")
    p.add_argument("--rows", default=",".join(ROWS), help="only these, with commas: " + ", ".join(ROWS))
    p.add_argument("--peers", help="only these, with commas")
    p.add_argument("--archive-mib", type=int, help="how much the archives of the rows unpack, fetch and delta hold")
    p.add_argument("--grounds", default="disk,memory", help="where the rows unpack and fetch write to")
    p.add_argument("--write", type=Path, help="the file whose tables are replaced by these, beside printing them")
    return p.parse_args()


def choose_peers(wanted):
    chosen, left_out = [], []
    for peer in all_peers():
        if wanted and peer.name not in wanted:
            continue
        why = peer.missing()
        if why:
            left_out.append(f"{peer.name} ({why})")
        else:
            chosen.append(peer)
    return chosen, left_out


def main():
    given = arguments()
    if not context.NODE.exists():
        sys.exit(f"{context.NODE} is not built: cmake --build … --target bench_programs")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = os.getloadavg()[0]
    chosen, left_out = choose_peers(given.peers.split(",") if given.peers else None)
    for line in left_out:
        say(f"left out: {line}")

    given.sizes = dataclasses.replace(given.sizes, grounds=tuple(given.grounds.split(",")))
    if given.archive_mib:
        given.sizes = dataclasses.replace(given.sizes, unpack_mib=given.archive_mib)
    rows, sizes, tables = given.rows.split(","), given.sizes, []
    fleet = row_fleet.Tables()
    many = None
    if "restart" in rows:
        tables.append(row_restart.measure(chosen, sizes))
    if "fleet" in rows:
        row_fleet.measure(chosen, sizes, fleet)
    if "many" in rows:
        many = row_many.measure(chosen, sizes, fleet)  # which fills in the largest size of the fleet's tables
    if "fleet" in rows or "many" in rows:
        tables += fleet.tables()
    if many:
        tables.append(many)
    if "logs" in rows:
        tables.append(row_logs.measure(chosen, sizes))
    if "probes" in rows:
        tables.append(row_probes.measure(sizes))
    if "unpack" in rows:
        tables.append(row_unpack.measure(sizes))
    if "fetch" in rows and (fetched := row_fetch.measure(sizes)):
        tables.append(fetched)
    if "delta" in rows and (changes := row_delta.measure(sizes)):
        tables.append(changes)
    if "warm" in rows:
        tables.append(row_warm.measure(sizes))

    for table in tables:
        print(report.text_of(table))
    if left_out:
        print("left out: " + ", ".join(left_out))
    if given.write:
        report.write(given.write, tables, chosen, left_out, load)
        print(f"written to {given.write}")


if __name__ == "__main__":
    main()
