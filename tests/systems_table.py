#!/usr/bin/env python3
"""The tables of docs/systems.md name what there is: each unit, recipe, preset and test exists, each unit, recipe and
preset has its row, and what a row says that a unit uses is what the unit uses."""

import re
import sys
import tomllib
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
COLUMNS = ["system", "unit", "recipe", "probe", "wiped", "kept", "snapshots from", "test"]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def names(cell):
    """The words that can be the name of a recipe or a preset, which a path, a call or a command cannot."""
    return {w for w in words(cell) if re.fullmatch(r"[a-z][a-z0-9-]*", w)}


def used_and_offered(cell):
    """The presets of a probe cell: those that the unit uses, and those that it names for something."""
    used, _, offered = re.sub(r"^for ", "; for ", cell.strip()).partition("; for ")
    return names(used), names(offered)


def unit(name):
    """(recipe, presets) of a unit, with what it extends."""
    text = tomllib.loads((SOURCE / "units" / f"{name}.toml").read_text())
    recipe, presets = None, {}
    if "extends" in text:
        folder = name.rpartition("/")[0]
        recipe, presets = unit(f"{folder}/{text['extends'].rpartition('/')[2]}")
    recipe = text.get("recovery", {}).get("recipe", recipe)
    for section in ("startup", "readiness", "liveness"):
        if "preset" in text.get(section, {}):
            presets[section] = text[section]["preset"]
    return recipe, presets


def rows(problems):
    above = None
    for line in (SOURCE / "docs" / "systems.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip()[1:-1].split("|")] if line.startswith("|") else []
        if len(cells) != len(COLUMNS) or cells == COLUMNS or not cells[0].strip("- "):
            if len(cells) > 3 and len(cells) != len(COLUMNS):
                problems.append(f"not {len(COLUMNS)} columns: {line[:80]}")
            continue
        row = dict(zip(COLUMNS, cells))
        for column, text in row.items():
            if text == "the same" or column == "recipe" and text.startswith("the same"):
                row[column] = above[column]
        above = row
        yield row


def stems(folder):
    return {p.stem for p in (SOURCE / folder).glob("*.toml")}


def main():
    problems = []
    recipes, presets = stems("recipes"), stems("recipes/probes")
    units = {f"{p.parent.name}/{p.stem}" for p in (SOURCE / "units").glob("*/*.toml")}
    said = {}  # unit -> ({recipe}, {preset}) of all its rows
    all_recipes, all_presets, count = set(), set(), 0
    for row in rows(problems):
        count += 1
        about = row["system"]
        recipe = names(row["recipe"]) if not row["recipe"].startswith("none") else set()
        used, offered = used_and_offered(row["probe"])
        tests = [w for w in words(row["test"]) if w.startswith("tests/")]
        problems += [f"{about}: there is no recipe {n}" for n in recipe - recipes]
        problems += [f"{about}: there is no preset {n}" for n in (used | offered) - presets]
        problems += [f"{about}: there is no {t}" for t in tests if not (SOURCE / t).is_file()]
        problems += [] if tests else [f"{about}: names no test"]
        all_recipes |= recipe
        all_presets |= used | offered
        of = [w for w in words(row["unit"]) if "/" in w]
        if not of and used:
            problems.append(f"{about}: presets of no unit: {', '.join(sorted(used))}")
        for name in of:
            if name not in units:
                problems.append(f"{about}: there is no unit {name}")
            known = said.setdefault(name, (set(), set()))
            known[0].update(recipe)
            known[1].update(used)
    for name in sorted(units):
        if name not in said:
            problems.append(f"unit {name} has no row")
            continue
        recipe, probes = unit(name)
        for what, of_row, of_unit in (("recipe", said[name][0], {recipe} - {None}),
                                      ("presets", said[name][1], set(probes.values()))):
            if of_row != of_unit:
                problems.append(f"unit {name}: its {what}: {sorted(of_unit)}, in its row: {sorted(of_row)}")
    problems += [f"recipe {n} is in no row" for n in sorted(recipes - all_recipes)]
    problems += [f"preset {n} is in no row" for n in sorted(presets - all_presets)]
    problems += [] if count else ["docs/systems.md has no table"]
    print("\n".join(problems) if problems else f"{count} rows, all as the files are")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
