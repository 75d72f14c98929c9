"""A crowd of clients with keys in one process, as the programs of people are: bench/scale.py starts it.

Each has a key and an id of its own, stays connected, and comes back as our client does. Every quarter
of a second it prints a line `SECONDS HERE DIALS ARRIVALS`: how many are registered just now, and how
many connections were begun and registrations made so far.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from pathlib import Path

from twisted.internet import reactor as global_reactor
from twisted.internet.task import LoopingCall

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measure import raise_file_limit
from chatproto.directory.client_registration import ClientRegistration
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.net.handshake import Handshake
from chatproto.wire import bcp2_server

EVERY = 0.25


class Crowd:
    """Counts of what the servers tell many clients."""

    def __init__(self) -> None:
        self.servers: list[SecureServer] = []
        self.here: set[SecureServer] = set()
        self.dials = 0
        self.arrivals = 0

    def come(self, name: str, host: str, port: int) -> None:
        """One more comes."""
        tls = Tls(new_identity())

        def handshake() -> Handshake:
            self.dials += 1
            return tls.handshake(lambda key: None)

        reactor = global_reactor
        server = SecureServer(reactor, host, port, handshake, self, random.random)
        self.servers.append(server)
        server.start(ClientRegistration(name, 5000, (("127.0.0.1", 5000),)))

    def server_registered(self, server: SecureServer, expires: int) -> None:
        self.here.add(server)
        self.arrivals += 1

    def server_lost(self, server: SecureServer, why: str) -> None:
        self.here.discard(server)

    def server_refused(self, server: SecureServer, why: str, status: int | None) -> None:
        self.here.discard(server)
        print(f"refused: {why}", file=sys.stderr)

    def server_left_out(self, server: SecureServer, why: str) -> None:
        """Ignore it: no client knows another server."""

    def introduced(self, server: SecureServer, push: bcp2_server.Introduce) -> None:
        """Ignore it: no client is called."""

    def present(self, server: SecureServer, push: bcp2_server.Presence) -> None:
        """Ignore it: no client watches another."""


def main() -> None:
    """Come, stay, and tell, until the end of the input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number in the id of the first")
    parser.add_argument("--pace", type=float, default=200.0, help="how many come in a second")
    options = parser.parse_args()
    raise_file_limit(options.count + 50)
    gc.disable()
    crowd = Crowd()
    numbers = iter(range(options.first, options.first + options.count))

    def some(due: int) -> None:
        for _, number in zip(range(due), numbers, strict=False):
            crowd.come(f"n{number}", "127.0.0.1", options.port)

    def tell() -> None:
        print(f"{time.time():.3f} {len(crowd.here)} {crowd.dials} {crowd.arrivals}", flush=True)

    LoopingCall.withCount(lambda due: some(due)).start(1 / options.pace)
    LoopingCall(tell).start(EVERY)
    global_reactor.callInThread(_end_with_the_input)  # type: ignore[attr-defined]
    global_reactor.run()


def _end_with_the_input() -> None:
    sys.stdin.read()
    global_reactor.callFromThread(global_reactor.stop)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
