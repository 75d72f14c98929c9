"""IRC clients in memory, for tests of the face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from chatproto.client.app import Client
from chatproto.ui.irc.commands import take
from chatproto.ui.irc.face import IrcFace
from chatproto.ui.irc.nick_file import NickFile
from chatproto.ui.irc.people import People

CAPS = "server-time message-tags batch echo-message labeled-response account-tag"


def face_of(client: Client, path: Path | None = None, password: str = "") -> IrcFace:
    """Return the face of `client`, which hears all of its events."""
    people = People(client, NickFile(path))
    face = IrcFace(client, people, take, password, lambda: "here")
    face.listen()
    return face


class IrcClient:
    """One IRC client, and the lines that it has read."""

    def __init__(self, face: IrcFace, nick: str = "alice", caps: str = "") -> None:
        made: Any = face.buildProtocol(None)
        self.connection = made
        self.transport: Any = StringTransport()
        made.makeConnection(self.transport)
        if caps:
            self.say("CAP LS 302", f"CAP REQ :{caps}", "CAP END")
        if nick:
            self.say(f"NICK {nick}", "USER me 0 * :Me")

    def say(self, *lines: str) -> None:
        """Write lines."""
        self.send(b"".join(f"{line}\r\n".encode() for line in lines))

    def send(self, data: bytes) -> None:
        """Write bytes."""
        self.connection.dataReceived(data)

    def read(self) -> list[str]:
        """Return the lines that came since the last time."""
        lines: list[str] = self.transport.value().decode().split("\r\n")[:-1]
        self.transport.clear()
        return lines

    def asks(self, *lines: str) -> list[str]:
        """Write lines, and return what came since the time before."""
        self.say(*lines)
        return self.read()

    def commands(self) -> list[str]:
        """Return the commands of the lines that came."""
        return [command(line) for line in self.read()]

    def end(self) -> None:
        """Close the connection."""
        self.connection.connectionLost(Failure(ConnectionDone()))


def command(line: str) -> str:
    """Return the command or numeric in `line`."""
    words = [word for word in line.split(" ") if word[:1] not in ("@", ":")]
    return words[0]


def bare(lines: list[str]) -> list[str]:
    """Return `lines` without their tags."""
    return [line.split(" ", 1)[1] if line.startswith("@") else line for line in lines]
