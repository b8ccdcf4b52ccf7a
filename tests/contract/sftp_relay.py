"""What stands before a server of SFTP and sees each request, of which the answers go to the client past it.

https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
"""

import subprocess
import sys


def relay(server, may_pass):
    """Starts `server`; a request whose packet `may_pass` (type first) says no to does not reach it."""
    process = subprocess.Popen(server, stdin=subprocess.PIPE)  # which writes its answers itself
    while len(head := sys.stdin.buffer.read(4)) == 4:
        packet = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        if may_pass(packet):
            process.stdin.write(head + packet)
            process.stdin.flush()
    process.stdin.close()
    process.wait()
