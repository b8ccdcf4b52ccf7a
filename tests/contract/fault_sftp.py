"""Stands before a server of SFTP: fault_sftp.py cut|refuse|mute REQUEST NAME ONCE SERVER...

At requests of that number (14 mkdir, 15 rmdir, 18 rename) to a path that ends in NAME the connection is cut, or the host
refuses them, or it carries them out (18) and the connection is cut before it says so; with a file ONCE ("-": none) only the first of them, of all connections, which makes it.
"""

import os
import re
import signal
import sys
from pathlib import Path

from sftp_relay import relay

RENAME, STATUS, PERMISSION_DENIED = 18, 101, 3


def end_connection():
    pid = os.getppid()  # sshd's process of this connection, or a shell below it
    while not (status := Path(f"/proc/{pid}/status").read_text()).startswith("Name:\tsshd"):
        pid = int(re.search(r"(?m)^PPid:\t(\d+)$", status)[1])
    os.kill(pid, signal.SIGKILL)


def paths_of(packet):
    """The one, or of a rename the two."""
    out, at = [], 5
    for _ in range(2 if packet[0] == RENAME else 1):
        size = int.from_bytes(packet[at:at + 4], "big")
        out.append(packet[at + 4:at + 4 + size].decode(errors="replace"))
        at += 4 + size
    return out


def main():
    how, request, name, once = sys.argv[1:5]

    def faulty(packet):
        paths = paths_of(packet)
        if packet[0] != int(request) or not paths[-1].endswith(name) or os.path.exists(once):
            return True
        if once != "-":
            open(once, "x").close()
        if how == "mute":
            os.rename(*paths)
        if how != "refuse":
            end_connection()
        words = b"Permission denied"
        answer = bytes([STATUS]) + packet[1:5] + PERMISSION_DENIED.to_bytes(4, "big") + len(words).to_bytes(4, "big")
        answer += words + bytes(4)
        os.write(1, len(answer).to_bytes(4, "big") + answer)
        return False

    relay(sys.argv[5:], faulty)


if __name__ == "__main__":
    main()
