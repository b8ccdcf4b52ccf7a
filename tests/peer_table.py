#!/usr/bin/env python3
"""Every test that docs/peers.md names exists, and every row names one."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent


def has_test(file, name):
    text = (SOURCE / file).read_text()
    if file.endswith(".py"):
        return re.search(rf"^    def {re.escape(name)}\(", text, re.M) is not None
    # Adjacent string literals are one name.
    joined = re.sub(r'"\s*\n\s*"', "", text)
    return f'TEST_CASE("{name}"' in joined


def problems_of(cell):
    found = []
    if not cell.strip():
        return ["a row without a test"]
    for part in cell.split("; `tests/"):
        part = part.strip()
        part = part if part.startswith("`tests/") else "`tests/" + part
        match = re.match(r"`([^`]+)`: (.+)$", part)
        names = re.findall(r'`(test_\w+)`|"([^"]+)"', match[2]) if match else []
        if not names:
            found.append(f"cannot be read: {part}")
            continue
        if not (SOURCE / match[1]).exists():
            found.append(f"no file {match[1]}")
            continue
        found += [f"{match[1]} has no test \"{a or b}\"" for a, b in names if not has_test(match[1], a or b)]
    return found


def main():
    rows = [line for line in (SOURCE / "docs" / "peers.md").read_text().splitlines() if line.startswith("| ")][2:]
    problems = [] if rows else ["docs/peers.md has no table"]
    for row in rows:
        cells = row.strip("| ").split(" | ")
        if len(cells) != 3:
            problems.append(f"not three columns: {row[:80]}")
            continue
        problems += [f"{cells[0][:60]}…: {p}" for p in problems_of(cells[2])]
    print("\n".join(problems) if problems else f"{len(rows)} rows, every test exists")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
