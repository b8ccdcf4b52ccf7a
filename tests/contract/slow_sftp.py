"""Stands before a server of SFTP and brings each request to it later: a host at the other end of the world."""

import sys
import time

from sftp_relay import relay

DELAY_S = 0.06


def late(_):
    time.sleep(DELAY_S)
    return True


if __name__ == "__main__":
    relay(sys.argv[1:], late)
