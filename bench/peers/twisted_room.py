"""The least that a room on Twisted does, without checks, limits or history: a yardstick for bench/rooms.py.

What the members say in one turn of the reactor goes to each in one write, at once where nothing waits.
With a certificate's path (its key beside it) it is inside TLS. A line that begins with "/" says who
one is. Called with a port, and the path or nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory, Protocol


class Member(Protocol):
    """One of the room."""

    transport: Any
    rest = b""

    def connectionMade(self) -> None:
        tcp = self.transport
        tcp.setTcpNoDelay(True)
        self.factory.members.add(self)

    def send(self, data: bytes) -> None:
        """At once if nothing waits: `writeSomeData` is what Twisted's own `doWrite` calls."""
        tcp = self.transport
        if self.factory.secure or tcp.dataBuffer or tcp._tempDataBuffer:
            tcp.write(data)
            return
        sent = tcp.writeSomeData(data)
        if isinstance(sent, Exception):
            tcp.loseConnection()
        elif sent < len(data):
            tcp.write(data[sent:])

    def dataReceived(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"/"):
                self.transport.write(b"* you are m\n")
            else:
                self.factory.say(self, b"m: " + line + b"\n")

    def connectionLost(self, reason: object = None) -> None:
        self.factory.members.discard(self)


class Room(Factory):
    """All of them, and what was said in this turn."""

    protocol = Member
    noisy = False

    def __init__(self, secure: bool) -> None:
        self.secure = secure
        self.members: set[Member] = set()
        self.said: list[tuple[Member, bytes]] = []

    def say(self, member: Member, line: bytes) -> None:
        if not self.said:
            reactor.callLater(0, self.flush)
        self.said.append((member, line))

    def flush(self) -> None:
        said, self.said = self.said, []
        everything = b"".join([line for _, line in said])
        speakers = {member for member, _ in said}
        for member in self.members:
            if member in speakers:
                member.send(b"".join([line for who, line in said if who is not member]))
            else:
                member.send(everything)


def main(port: int, certificate: str = "") -> None:
    listener: Any = reactor
    if certificate:
        key = str(Path(certificate).with_suffix(".key"))
        options = ssl.DefaultOpenSSLContextFactory(key, certificate, SSL.TLS_METHOD)
        listener.listenSSL(port, Room(True), options, interface="127.0.0.1")
    else:
        listener.listenTCP(port, Room(False), interface="127.0.0.1")
    listener.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
