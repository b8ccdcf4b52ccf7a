#!/usr/bin/env python3
"""Holds every #include to the rule of its folder: what a folder may include is what its library links.

The link lists are read from src/CMakeLists.txt (hasup_folder) and from the CMakeLists.txt of programs. Beyond them:
ring 1 is pure (no Asio, no clock, no fork, and only config/unit_dir reads the disk), adapters never see each other,
and the shim sees the headers that it shares with the daemon and nothing else.
"""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
SRC = SOURCE / "src"

RING_1 = ["base", "model", "config", "graph", "unit", "upstream", "health", "recovery", "migrate", "backup"]
RING_2 = ["ports", "process", "logs", "probe", "snapshot", "journal", "cluster", "metrics", "control"]

# Single headers that a folder may include although it does not link their folder, and why.
ALLOWED_HEADERS = {
    "shim": {
        "process/shim_protocol.hpp",  # what it speaks with the daemon
        "process/shim_record.hpp",    # what it leaves for the daemon to read, header-only POSIX
        "process/evidence.hpp",       # likewise
        "process/capabilities.hpp",   # bare system calls, as the daemon's own spawner makes them
        "base/unique_fd.hpp",
    },
    "recovery": {"ports/worker_job.hpp"},  # plain data: the answers of the worker are events of its machine
}

# In ring 1 the caller passes the time in, and effects are only described.
IMPURE_HEADERS = re.compile(
    r"^(boost/(asio|beast|process)|thread$|mutex$|condition_variable$|future$|fstream$|filesystem$|unistd\.h$"
    r"|fcntl\.h$|sys/|pthread\.h$|signal\.h$|spawn\.h$|poll\.h$|netinet/|arpa/|time\.h$|ctime$)"
)
IMPURE_CALLS = re.compile(r"(_clock::now\(|\bfork\(|\bvfork\(|posix_spawn|std::this_thread|::system\(|\bgettimeofday\()")
PURE_BUT = {
    "base/unique_fd.hpp": {"unistd.h"},  # closes descriptors; the shim needs it without anything else
    "base/small_file.cpp": {"fcntl.h", "sys/stat.h", "unistd.h"},  # for whoever is allowed to wait for a disk
    "config/paths.cpp": {"filesystem"},  # spells paths and touches none
}
READS_DISK = re.compile(r"^config/unit_dir\.")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def link_lists():
    """folder -> the folders that its library links, straight from CMake."""
    links = {}
    text = re.sub(r"#.*", "", (SRC / "CMakeLists.txt").read_text())
    for body in re.findall(r"hasup_folder\(([^)]*)\)", text):
        name, *rest = body.split()
        links[name] = {w.removeprefix("hasup_") for w in rest if w.startswith("hasup_")}
    for program in sorted(SRC.glob("*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", program.read_text())
        words = set(re.findall(r"\bhasup_([a-z_]+)\b", text)) - {"program", "folder", "warnings", "sanitizers"}
        links.setdefault(program.parent.name, set()).update(words)
    return links


def closure(links, folder):
    seen, todo = set(), [folder]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(links.get(name, ()))
    return seen


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found[1], found[2]


def table_errors(links):
    """The link lists themselves must keep the rings."""
    folders = {p.name for p in SRC.iterdir() if p.is_dir()}
    for folder, linked in sorted(links.items()):
        inner = linked & folders
        if folder in RING_1:
            before = {"base": set(), "model": {"base"}}.get(folder, {"base", "model"})
            bad = inner - before - ({"ports"} if folder in ALLOWED_HEADERS else set())
        elif folder in RING_2:
            bad = inner - {"base", "model", "ports"}
        elif folder == "daemon":
            bad = inner & {"cli", "shim", "worker", "demo"}
        elif folder == "shim":
            bad = inner
        else:
            bad = set()
        for name in sorted(bad):
            yield f"src/CMakeLists.txt: {folder} must not link {name}"


def file_errors(path, links):
    relative = path.relative_to(SRC)
    folder = relative.parts[0]
    allowed = closure(links, folder) | {folder}
    if folder in RING_1:
        allowed -= set(RING_2)
    place = f"src/{relative}"
    for number, quote, target in includes(path):
        top = target.split("/")[0]
        if quote == '"' and not target.startswith("hasup/") and top not in allowed:
            if target not in ALLOWED_HEADERS.get(folder, ()):
                yield f"{place}:{number}: {folder} must not include {target}"
        if folder in RING_1 and IMPURE_HEADERS.match(target) and target not in PURE_BUT.get(str(relative), ()):
            if not READS_DISK.match(str(relative)):
                yield f"{place}:{number}: ring 1 is pure and must not include <{target}>"
    if folder in RING_1 and not READS_DISK.match(str(relative)):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("//")[0]
            if found := IMPURE_CALLS.search(code):
                yield f"{place}:{number}: ring 1 is pure and must not call {found[1].strip('(')}"


def main():
    links = link_lists()
    files = sorted(p for p in SRC.rglob("*") if p.suffix in (".cpp", ".hpp") and len(p.relative_to(SRC).parts) > 1)
    errors = list(table_errors(links))
    for path in files:
        errors.extend(file_errors(path, links))
    for public in sorted((SOURCE / "include").rglob("*.hpp")):
        for number, quote, target in includes(public):
            if quote == '"' and not target.startswith("hasup/"):
                errors.append(f"{public.relative_to(SOURCE)}:{number}: a public header must not include {target}")
    print("\n".join(errors) if errors else f"{len(files)} files keep the include rules")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
