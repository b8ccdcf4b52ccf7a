"""Stops a process at each of its system calls in turn (ptrace), so that a test can kill it at every point."""

import contextlib
import ctypes
import errno
import os
import signal
import time
from pathlib import Path

SEIZE, INTERRUPT, SYSCALL, CONT, DETACH, GET_EVENT_MESSAGE = 0x4206, 0x4207, 24, 7, 17, 0x4201
TRACE_SYSGOOD, TRACE_FORK, TRACE_VFORK = 0x1, 0x2, 0x4
EVENT_FORK, EVENT_VFORK, EVENT_STOP = 1, 2, 128
ALL = 0x40000000  # __WALL

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Gone(Exception):
    """The process ended before the point was reached."""


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        if number == errno.ESRCH:
            raise Gone
        raise OSError(number, f"ptrace {request:#x} of {pid}: {os.strerror(number)}")


def next_stop(pid, over=lambda: False):
    """The next stop of pid as (signal, event); None once over() is true and none has come for a while."""
    until = None
    deadline = time.monotonic() + 60
    while True:
        if time.monotonic() > deadline:
            raise AssertionError(f"{pid} came to no stop: {Path(f'/proc/{pid}/status').read_text()}")
        try:
            got, status = os.waitpid(pid, ALL | os.WNOHANG)
        except ChildProcessError:
            raise Gone from None
        if got == pid:
            if not os.WIFSTOPPED(status):
                raise Gone
            return os.WSTOPSIG(status), status >> 16
        if until is None and over():
            until = time.monotonic() + 0.3
        if until is not None and time.monotonic() > until:
            return None
        time.sleep(0.0002)


class Traced:
    """A process that stands still, under control; of its threads only the main one is."""

    def __init__(self, pid):
        self.pid = pid
        ptrace(SEIZE, pid, TRACE_SYSGOOD | TRACE_FORK | TRACE_VFORK)
        self._hold()

    def _hold(self):
        ptrace(INTERRUPT, self.pid)
        number, event = next_stop(self.pid)  # of whatever kind: each one answers the request
        self.signal = 0 if event or number == signal.SIGTRAP | 0x80 else number

    def run_to(self, point, over):
        """Lets it run to the `point`-th begin or end of a system call. False: it runs, but over() is true and it waits."""
        passed_on = self.signal
        while True:
            ptrace(SYSCALL, self.pid, passed_on)
            stop = next_stop(self.pid, over)
            if stop is None:
                return False
            number, event = stop
            passed_on = 0
            if event in (EVENT_FORK, EVENT_VFORK):
                self._let_go_of_child()
            elif number == signal.SIGTRAP | 0x80:
                point -= 1
                if point <= 0:
                    return True
            elif not event:
                passed_on = number

    def _child(self):
        child = ctypes.c_ulong()
        libc.ptrace(GET_EVENT_MESSAGE, self.pid, None, ctypes.addressof(child))
        next_stop(child.value)
        return child.value

    def _let_go_of_child(self):
        try:
            ptrace(DETACH, self._child())
        except Gone:
            pass

    def next_child(self):
        """Lets go of it once it has forked; its child, before the first instruction."""
        passed_on = self.signal
        while True:
            ptrace(CONT, self.pid, passed_on)
            number, event = next_stop(self.pid)
            passed_on = 0 if event else number
            if event in (EVENT_FORK, EVENT_VFORK):
                child = Traced.__new__(Traced)
                child.pid, child.signal = self._child(), 0
                ptrace(DETACH, self.pid)
                return child

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # its parent hears of its end after its tracer
            while os.WIFSTOPPED(os.waitpid(self.pid, ALL)[1]):
                pass

    def release(self):
        """Lets it run on as if nothing had been."""
        try:
            self._hold()
            ptrace(DETACH, self.pid, self.signal)
        except Gone:
            pass
