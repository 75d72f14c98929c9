"""The same REGISTER on a LineReceiver, the usual way: no checks, no limits."""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineReceiver

clients: dict[str, tuple[str, int]] = {}


class Server(LineReceiver):
    """One connection: requests in, answers out."""

    def connectionMade(self) -> None:
        self.lines: list[str] = []

    def lineReceived(self, line: bytes) -> None:
        if line:
            self.lines.append(line.decode())
            return
        method, *lines = self.lines
        self.lines = []
        headers = dict(text.split(": ", 1) for text in lines)
        if method == "REGISTER":
            clients[headers["clientID"]] = headers["IP"], int(headers["Port"])
            answer = ["REGACK", *lines, "Status: registered", "", ""]
            assert self.transport is not None
            self.transport.write("\r\n".join(answer).encode())


if __name__ == "__main__":
    factory = ServerFactory()
    factory.protocol = Server
    factory.noisy = False
    reactor.listenTCP(int(sys.argv[1]), factory, backlog=1024, interface="127.0.0.1")
    reactor.run()
