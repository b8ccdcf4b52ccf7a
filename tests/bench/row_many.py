"""A thousand units: started and stopped, flat and in a deep graph; no exit may be lost on the way."""

from context import Table, say
from measure import median, poll
from row_fleet import ORDER, Fleet, code_of, name_of


def lost_exits(fleet):
    """How many units hasup does not know the true exit of."""
    wanted = {name_of(i): code_of(i) for i in range(fleet.count)}
    found = {u["unit"]: (u["last_exit"] or {}).get("code") for u in fleet.peer.status()}
    return sum(1 for name, code in wanted.items() if found.get(name) != code)


def one_round(peer_class, count, requires, tables):
    fleet = Fleet(peer_class, count, requires)
    try:
        up = fleet.start()
        if tables:
            tables.take_status([fleet], 1)
            tables.take_memory([fleet])
        down = fleet.stop()
        lost = lost_exits(fleet) if fleet.peer.name == "hasup" else None
        return up, down, lost
    finally:
        fleet.end()


def measure(peer_classes, sizes, tables):
    count, length = sizes.many, sizes.many // sizes.chains
    kinds = [(c, "flat", lambda i: ()) for c in peer_classes if c.name != "bare loop" and c.most >= count]
    # Many chains side by side, each unit waiting for the one before it.
    deep = f"{sizes.chains} chains of {length}"
    kinds += [(c, deep, lambda i: () if i % length == 0 else (i - 1,)) for c in peer_classes if c.name == "hasup"]
    seen = {}
    for round_ in range(sizes.many_rounds):
        for peer_class, shape, requires in kinds:
            say(f"many: {count} units, {shape}, {peer_class.name}, round {round_ + 1}")
            try:
                took = one_round(peer_class, count, requires, tables if shape == "flat" else None)
            except TimeoutError as e:
                say(f"  {e}")
                continue
            say(f"  up {took[0]:.2f} s, down {took[1]:.2f} s")
            seen.setdefault((peer_class.name, shape), []).append(took)
    return table(seen, count)


def table(seen, count):
    rows = []
    flat = {name: (median([t[0] for t in took]), median([t[1] for t in took]))
            for (name, shape), took in seen.items() if shape == "flat"}
    for (name, shape), took in sorted(seen.items(), key=lambda item: (ORDER.index(item[0][0]), item[0][1] != "flat")):
        up, down = median([t[0] for t in took]), median([t[1] for t in took])
        mine = flat.get("hasup")
        lost = sum(t[2] for t in took) if took[0][2] is not None else ""
        rows.append([name, shape, f"{up:.2f} s" + (f" ({up / mine[0]:.1f}x)" if mine else ""),
                     f"{down:.2f} s" + (f" ({down / mine[1]:.1f}x)" if mine else ""), str(lost)])
    return Table(f"{count} units start and stop",
                 "Start: from the call of the daemon, with all units enabled, to the first instruction of the last one. "
                 "Stop: from the one command that stops all to the end of the last one. Medians (as a multiple of hasup "
                 "flat). Lost exits: units whose exit code hasup does not know afterwards; each has a code of its own.",
                 ["", "graph", "start", "stop", "lost exits"], rows)
