"""Tables as text, and docs/benchmarks.md: what was measured, on what, and the notes that people wrote there."""

import dataclasses
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


def taken():
    return f"*Taken on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())} at {commit()}, release build; {machine()}.*"


def sections_in(path):
    """Title -> text of the tables that the file has."""
    try:
        text = path.read_text().split("\n## Notes\n")[0]
    except OSError:
        return {}
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in text.split("\n## ")[1:]}


def write(path, tables, peers, left_out, load):
    """Replaces the tables that were measured and keeps the others and the notes: each says when and at what it was taken."""
    sections = sections_in(path)
    for table in tables:
        sections[table.title] = markdown_of(dataclasses.replace(table, what=f"{table.what}\n\n{taken()}"))
    versions = ", ".join(f"{p.name} {p.version()}" for p in peers if p.version() and p.name != "hasup")
    parts = [
        "# Benchmarks",
        "",
        "hasup beside what people use instead, each in turn within one run of `packaging/bench.sh`; absolute times are those of",
        "one machine, so look at the ratios. Each table says when and of which commit it was taken.",
        "",
        f"- of the last run: {versions}; load average at its start {load:.1f}",
        *([f"- left out: {', '.join(left_out)}"] if left_out else []),
        "",
        *sections.values(),
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
