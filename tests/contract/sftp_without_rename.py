"""Stands before a server of SFTP, and from the first request to rename on answers none: a host whose disk hangs."""

import sys

from sftp_relay import relay

RENAME = 18


class Hanging:
    hangs = False

    def __call__(self, packet):
        self.hangs = self.hangs or packet[0] == RENAME
        return not self.hangs


if __name__ == "__main__":
    relay(sys.argv[1:], Hanging())
