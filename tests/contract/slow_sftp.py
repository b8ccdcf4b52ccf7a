"""Stands before a server of SFTP and brings each request to it later: a host at the other end of the world."""

import subprocess
import sys
import time

DELAY_S = 0.06


def main():
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)  # which writes its answers itself
    while len(head := sys.stdin.buffer.read(4)) == 4:
        packet = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        time.sleep(DELAY_S)
        server.stdin.write(head + packet)
        server.stdin.flush()
    server.stdin.close()
    server.wait()


if __name__ == "__main__":
    main()
