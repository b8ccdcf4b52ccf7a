"""Stands before a server of SFTP, and from the first request to rename on answers none: a host whose disk hangs.

https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
"""

import subprocess
import sys

RENAME = 18


def main():
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)  # which writes its answers itself
    hangs = False
    while len(head := sys.stdin.buffer.read(4)) == 4:
        packet = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        hangs = hangs or packet[:1] == bytes([RENAME])
        if not hangs:
            server.stdin.write(head + packet)
            server.stdin.flush()
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
