"""Tables as text, and docs/benchmarks.md: what was measured, on what, and the notes that people wrote there."""

import os
import platform
import subprocess
import time
from pathlib import Path

import context

NOTES_BEGIN = "<!-- notes: written by hand, kept by packaging/bench.sh -->"
NOTES_END = "<!-- end of the notes -->"


def text_of(table):
    """For a terminal: columns aligned."""
    rows = [table.head, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([f"{table.title}", *lines, ""])


def markdown_of(table):
    lines = [f"## {table.title}", "", table.what, "", "| " + " | ".join(table.head) + " |",
             "|" + " --- |" * len(table.head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table.rows]
    return "\n".join([*lines, ""])


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    with open("/etc/os-release") as file:
        system = next((line.split("=", 1)[1].strip().strip('"') for line in file if line.startswith("PRETTY_NAME=")), "")
    return (f"{os.cpu_count()} x {processor()}, {memory_kb / (1 << 20):.0f} GiB memory, {system}, "
            f"Linux {platform.release()}")


def commit():
    done = subprocess.run(["git", "-C", context.SOURCE, "describe", "--always", "--dirty"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.strip() or "unknown"


def notes_in(path):
    try:
        text = path.read_text()
        return text[text.index(NOTES_BEGIN) + len(NOTES_BEGIN):text.index(NOTES_END)].strip()
    except (OSError, ValueError):
        return ""


def write(path, tables, sizes, peers, left_out, load, seconds):
    versions = ", ".join(f"{p.name} {p.version()}" for p in peers if p.version())
    parts = [
        "# Benchmarks",
        "",
        "hasup beside what else keeps processes running, measured in one run, each in turn. Written by",
        f"`packaging/bench.sh{' --' + sizes.name if sizes.name != 'whole' else ''}`; absolute times are those of one "
        "machine, so look at the ratios.",
        "",
        f"- date: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; {seconds / 60:.0f} minutes; load average at the "
        f"start {load:.1f}",
        f"- machine: {machine()}",
        f"- versions: {versions}; hasup at {commit()}, release build",
        *([f"- left out: {', '.join(left_out)}"] if left_out else []),
        "",
        *[markdown_of(t) for t in tables],
        "## Notes",
        "",
        NOTES_BEGIN,
        "",
        notes_in(path),
        "",
        NOTES_END,
        "",
    ]
    path.write_text("\n".join(parts))
