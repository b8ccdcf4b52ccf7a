"""The file in which the measured processes write their own times (bench_node.cpp has its layout)."""

import mmap
import os
import struct

PAGE = 4096
SLOT = struct.Struct("<8Q")
FIELDS = ("pid", "first_ns", "died_ns", "starts", "lines", "longest_ns", "begun_ns", "ended_ns")


class Board:
    def __init__(self, directory, slots):
        self.path = directory / "board"
        self.slots = slots
        self.directory = directory
        self.fifos = {}
        with open(self.path, "wb") as file:
            file.truncate(PAGE + slots * SLOT.size)
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def started(self):
        return struct.unpack_from("<Q", self.map, 0)[0]

    def ended(self):
        return struct.unpack_from("<Q", self.map, 8)[0]

    def read(self, slot):
        return dict(zip(FIELDS, SLOT.unpack_from(self.map, PAGE + slot * SLOT.size)))

    def all(self):
        return [self.read(slot) for slot in range(self.slots)]

    def forget(self):
        """For the next round on the same board."""
        self.map[:] = bytes(len(self.map))

    def fifo(self, slot):
        """The FIFO by which the process of this slot is told to do what it is for."""
        path = self.directory / f"trigger-{slot}"
        if not path.exists():
            os.mkfifo(path)
        return path

    def trigger(self, slot):
        if slot not in self.fifos:  # kept open: a FIFO without anybody forgets what is in it
            self.fifos[slot] = os.open(self.fifo(slot), os.O_RDWR | os.O_CLOEXEC)
        os.write(self.fifos[slot], b"!")

    def close(self):
        self.map.close()
        for fd in self.fifos.values():
            os.close(fd)
