"""A few units under every supervisor at the same time: how long `status` takes, memory, and wake-ups when idle."""

import time

import context
from board import Board
from context import Table, say
from measure import median, percentile, poll, pss_kb, run_times, wake_ups

ORDER = ("hasup", "pm2", "supervisord", "runit", "s6")


class Fleet:
    """One supervisor with so many processes that sleep."""

    def __init__(self, peer_class, count, requires=lambda i: ()):
        self.count = count
        self.peer = peer_class()
        self.board = Board(self.peer.dir, count)
        for i in range(count):
            argv = [context.NODE, "sleep", self.board.path, i, code_of(i)]
            self.peer.add(name_of(i), argv, [name_of(j) for j in requires(i)])

    def start(self):
        """Seconds until all run."""
        before = time.monotonic_ns()
        self.peer.start()
        poll(lambda: self.board.started() >= self.count, f"{self.peer.name} starts {self.count} units")
        return (max(slot["first_ns"] for slot in self.board.all()) - before) / 1e9

    def stop(self):
        """Seconds until all have ended."""
        before = time.monotonic_ns()
        self.peer.stop()
        poll(lambda: self.board.ended() >= self.count, f"{self.peer.name} stops {self.count} units")
        return (max(slot["died_ns"] for slot in self.board.all()) - before) / 1e9

    def end(self):
        self.peer.end()
        self.board.close()


def name_of(i):
    return f"u{i:04}"


def code_of(i):
    """The exit code of a unit: all different from its neighbours', so that a mixed-up one is seen."""
    return 1 + i % 200


class Tables:
    """Fills itself size by size."""

    def __init__(self):
        self.status = {}
        self.memory = {}
        self.idle = {}

    def take_status(self, fleets, runs):
        times = {f.peer.name: [] for f in fleets}
        for _ in range(runs):
            for f in fleets:
                if f.peer.status_command():
                    times[f.peer.name] += run_times(3, f.peer.status_command(), f.peer.env)
        for f in fleets:
            if times[f.peer.name]:
                values = times[f.peer.name]
                self.status[f.peer.name, f.count] = (median(values), percentile(values, 99))

    def take_memory(self, fleets):
        for f in fleets:
            parts = {}
            for pid, program in f.peer.supervisors().items():
                parts.setdefault(program, []).append(pss_kb(pid))
            self.memory[f.peer.name, f.count] = parts

    def take_idle(self, fleets, seconds):
        say(f"idle: {seconds} s")
        pids = {f.peer.name: list(f.peer.supervisors()) for f in fleets}
        time.sleep(seconds / 10)  # what the listing itself woke is asleep again
        before = {name: wake_ups(p) for name, p in pids.items()}
        time.sleep(seconds)
        for name, p in pids.items():
            self.idle[name] = (wake_ups(p) - before[name], seconds, next(f.count for f in fleets if f.peer.name == name))

    def names(self, of):
        return [name for name in ORDER if any((key if isinstance(key, str) else key[0]) == name for key in of)]

    def tables(self):
        return [self.status_table(), self.memory_table(), self.idle_table()]

    def status_table(self):
        counts = sorted({count for _, count in self.status})
        rows = []
        for name in self.names(self.status):
            cells = [name]
            for count in counts:
                value = self.status.get((name, count))
                mine = self.status.get(("hasup", count))
                cells.append(f"{value[0] / 1e6:.1f} / {value[1] / 1e6:.1f} ms ({value[0] / mine[0]:.1f}x)"
                             if value and mine else "not measured")
            rows.append(cells)
        return Table("Status of all units",
                     "`hasup status`, `pm2 list`, `supervisorctl status`, `sv status` with all services as arguments, "
                     "`s6-svstat` (which shows one service; a shell loop calls it for several). From posix_spawn to the "
                     "end of the command: median / p99 (median as a multiple of hasup's).",
                     ["", *[f"{count} unit{'s' if count > 1 else ''}" for count in counts]], rows)

    def memory_table(self):
        counts = sorted({count for _, count in self.memory})
        rows = []
        for name in self.names(self.memory):
            cells = [name]
            for count in counts:
                parts = self.memory.get((name, count))
                cells.append(memory_text(parts) if parts else "not measured")
            rows.append(cells)
        return Table("Memory",
                     "PSS of the supervisor's own processes, their loggers included, without the supervised ones: all "
                     "together, and each kind with the median of one.",
                     ["", *[f"{count} unit{'s' if count > 1 else ''}" for count in counts]], rows)

    def idle_table(self):
        rows = []
        for name in self.names(self.idle):
            woken, seconds, count = self.idle[name]
            rows.append([name, f"{count}", f"{woken}", f"{woken * 60 / seconds:.0f}"])
        seconds = next(iter(self.idle.values()))[1] if self.idle else 0
        return Table("Wake-ups when idle",
                     f"Voluntary context switches of all threads of the supervisor's processes within {seconds:g} s in "
                     "which nothing happens, without probes.",
                     ["", "units", "wake-ups", "a minute"], rows)


def size(kb):
    return f"{kb / 1024:.1f} MB" if kb >= 1024 else f"{kb:.0f} kB"


def memory_text(parts):
    total = sum(sum(values) for values in parts.values())
    kinds = [f"{len(values)} {program} of {size(median(values))}" if len(values) > 1 else
             f"{program} {size(values[0])}" for program, values in sorted(parts.items())]
    return f"{size(total)}: " + ", ".join(kinds)


def measure(peer_classes, sizes, tables):
    for count in sizes.fleets:
        say(f"status and memory: {count} units")
        fleets = []
        try:
            for peer_class in peer_classes:
                if peer_class.name != "bare loop":
                    fleets.append(Fleet(peer_class, count))
                    fleets[-1].start()
            tables.take_status(fleets, sizes.status_runs)
            tables.take_memory(fleets)
            if count == sizes.idle_fleet:
                tables.take_idle(fleets, sizes.idle_s)
        finally:
            for f in fleets:
                f.end()
