"""Two programs for the rig, of plain sockets: whoever tells both of each other, and one of the two.

    ends.py meet                            on the server
    ends.py peer HOST OWN-PORT OWN-ADDRESS...   in a home: tell, be told, dial and listen on one port

A peer prints one line: `accepted ADDRESS`, `dialled ADDRESS`, or `none`. It says `dialled` on both sides
when the two dials met in the middle.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

MEET_PORT = 7000
PATIENCE = 4.0
AGAIN = 0.3


def meet() -> None:
    """Wait for two, tell each where the other says that it is and where it is seen, and end."""
    server = socket.create_server(("::", MEET_PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    found = []
    for _ in range(2):
        connection, address = server.accept()
        told = json.loads(connection.makefile().readline())
        seen = [address[0].removeprefix("::ffff:"), address[1]]
        found.append((connection, [*told, seen]))
    for (connection, _), (_, theirs), first in zip(found, found[::-1], (True, False), strict=True):
        connection.sendall(json.dumps([theirs, first]).encode() + b"\n")
    for connection, _ in found:
        connection.recv(1)


def bound(host: str, port: int) -> socket.socket:
    """A socket of `host`'s family on `port`, which it shares."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    one.setblocking(False)
    return one


class Peer:
    """One of the two. The first to come is the caller: it says yes to the first that answers."""

    def __init__(self, port: int, theirs: list[tuple[str, int]], caller: bool) -> None:
        self._caller = caller
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._again: dict[tuple[str, int], float] = dict.fromkeys(theirs, 0.0)
        self._open: dict[socket.socket, str] = {}
        for host in ("0.0.0.0", "::"):
            listener = bound(host, port)
            listener.listen()
            self._selector.register(listener, selectors.EVENT_READ, "listener")

    def run(self) -> str:
        """Run until a connection is chosen; return the result."""
        end = time.monotonic() + PATIENCE
        while (now := time.monotonic()) < end:
            for address, at in self._again.items():
                if at <= now:
                    self._again[address] = end
                    self._dial(address, now)
            for key, _ in self._selector.select(0.05):
                assert isinstance(key.fileobj, socket.socket)
                answer = self._happens(key.fileobj, key.data, time.monotonic())
                if answer:
                    return answer
        return "none"

    def _dial(self, address: tuple[str, int], now: float) -> None:
        one = bound(address[0], self._port)
        error = one.connect_ex(address)
        if error not in (0, 115):  # EINPROGRESS
            one.close()
            self._again[address] = now + AGAIN
            return
        self._selector.register(one, selectors.EVENT_WRITE, address)

    def _happens(self, one: socket.socket, what: object, now: float) -> str:
        if what == "listener":
            connection, address = one.accept()
            self._begin(connection, f"accepted {address[0]}")
        elif isinstance(what, tuple):
            self._selector.unregister(one)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                one.close()
                self._again[what] = now + AGAIN
            else:
                self._begin(one, f"dialled {what[0]}")
        else:
            try:
                word = one.recv(1)
            except OSError:
                word = b""
            if word == b"?" and not self._caller:
                one.sendall(b"!")
                return str(what)
            if word == b"!" and self._caller:
                return str(what)
            self._selector.unregister(one)
        return ""

    def _begin(self, connection: socket.socket, how: str) -> None:
        """Note a new connection; the caller asks whether it is heard."""
        self._open[connection] = how
        self._selector.register(connection, selectors.EVENT_READ, how)
        if self._caller:
            connection.sendall(b"?")


def peer(host: str, port: int, own: list[str]) -> None:
    """Come to the meeting from the port that others are to dial, and go."""
    server = bound(host, port)
    server.setblocking(True)
    server.settimeout(10.0)
    server.connect((host, MEET_PORT))
    server.sendall(json.dumps([[one, port] for one in own]).encode() + b"\n")
    told, first = json.loads(server.makefile().readline())
    addresses = list(dict.fromkeys((where, number) for where, number in told))
    print(Peer(port, addresses, first).run(), flush=True)
    time.sleep(0.2)  # what was said last is on its way


if __name__ == "__main__":
    if sys.argv[1] == "meet":
        meet()
    else:
        peer(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
