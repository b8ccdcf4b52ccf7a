"""What is read from /proc and from clocks, and the medians of it."""

import os
import statistics
import subprocess
import time
from pathlib import Path

import context


def percentile(values, percent):
    """The value below which so many percent lie; of few values the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


median = statistics.median


def poll(condition, what, timeout=120, step=0.0005):
    """Waits for what has no descriptor to wait on; TimeoutError says what did not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(step)


def run_times(times, argv, env):
    """ns of each run of a command, from posix_spawn to its end, measured by bench_node; it must not fail to run."""
    done = subprocess.run([context.NODE, "time", str(times), *map(str, argv)], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    rows = [line.split() for line in done.stdout.splitlines()]
    bad = [row for row in rows if row[1] in ("127", "-1")]
    if bad:
        raise RuntimeError(f"{argv[0]} cannot be run: exit {bad[0][1]}")
    return [int(row[0]) for row in rows]


def processes_of(directory):
    """pid -> name of the processes whose command line or working directory is below a directory, but no nodes."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
            cwd = os.readlink(f"/proc/{entry}/cwd")
            exe = os.readlink(f"/proc/{entry}/exe")
        except OSError:
            continue
        mine = any(str(directory) in word for word in command) or (cwd + "/").startswith(f"{directory}/")
        if mine and exe != str(context.NODE):
            found[int(entry)] = os.path.basename(command[0].split(" ")[0])
    return found


def pss_kb(pid):
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def wake_ups(pids):
    """Voluntary context switches of all threads so far."""
    total = 0
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                for line in Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches:"):
                        total += int(line.split()[1])
            except OSError:
                continue
    return total
