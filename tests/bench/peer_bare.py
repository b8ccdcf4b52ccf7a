"""No supervisor at all: a loop of posix_spawn and waitpid, the bound for every restart."""

import context
from peers import Peer


class Bare(Peer):
    name = "bare loop"
    most = 1

    def add(self, name, argv, requires=()):
        self.argv = argv

    def start(self):
        self.spawn([context.NODE, "respawn", *self.argv])

    def stop(self):
        if self.root.poll() is None:
            self.root.kill()
        self.root.wait()
