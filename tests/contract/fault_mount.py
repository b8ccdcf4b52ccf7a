"""A mount that hangs or fails on demand: fault_fs over a directory of the test."""

import os
import re
import subprocess
import unittest

from hasup_home import BIN, wait_until

FAULT_FS = BIN / "fault_fs"


def missing():
    """Why no such mount can be made here, or nothing."""
    if not FAULT_FS.exists():
        return f"{FAULT_FS} was not built: libfuse3-dev is missing"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if os.geteuid() != 0:
        return "only root may mount it"
    return None


class FaultMount:
    """`files` is shown at `path`; `fail("read hang", …)` says what goes wrong there from now on. It folds names if asked."""

    def __init__(self, test, files, path, fold=False):
        why = missing()
        if why:
            raise unittest.SkipTest(why)
        self.files, self.path, self.changes = files, path, 0
        path.mkdir(exist_ok=True)
        self.faults = path.with_name(path.name + ".faults")
        self.faults.write_text("")
        self.program = test.start_program([FAULT_FS, files, path, self.faults] + ["fold"] * fold, lambda: os.path.ismount(path))
        test.addCleanup(self.unmount)

    def fail(self, *lines):
        self.changes += 1
        new = self.faults.with_suffix(".new")
        new.write_text("".join(f"{line if len(line.split()) > 2 else line + ' *'} {self.changes}\n" for line in lines))
        os.replace(new, self.faults)

    def met(self):
        """Operations that met a fault since the beginning."""
        seen = self.faults.with_name(self.faults.name + ".seen")
        return seen.read_text().splitlines() if seen.exists() else []

    def unmount(self):
        """Lets go whoever hangs."""
        self.fail()
        subprocess.run(["umount", "-l", self.path], check=True)
        wait_until(lambda: self.program.poll() is not None, "the file system ends")


def readers_in_the_kernel():
    """Processes that read sources of this machine (snapshot/fetch/local_reader.hpp) and that no signal reaches."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    stat = f.read()
            except OSError:
                continue
            name, fields = stat[stat.index("(") + 1:].rsplit(")", 1)
            if re.fullmatch("hasup-[0-9a-f]{8}", name) and fields.split()[0] == "D":
                found.append(int(entry))
    return found
