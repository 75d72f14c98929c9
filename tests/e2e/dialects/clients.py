"""Course clients facing a server: one class, and a row of habits for each kind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.e2e.dialects.wires import Fault, Wire

ANSWER_OPEN = 0.2  # seconds for which the server must not close after an answer


@dataclass(frozen=True, slots=True)
class Habits:
    """Way in which one kind of client sends requests.

    `ending` follows a request: `read` reads the answer and closes, `stay` keeps the connection for everything
    and needs it open, `half` half-closes before it reads, `close` closes without reading (REGISTER only;
    BRIDGE is read).
    """

    name: str
    line_end: str = "\r\n"
    colon: str = ": "
    blank_line: bool = True
    bytewise: bool = False
    probe: bool = False
    ending: str = "read"


CLIENTS = (
    Habits("canonical"),
    Habits("keeps one connection", ending="stay"),
    Habits("closes without reading", ending="close"),
    Habits("half-closes", ending="half"),
    Habits("no blank line", blank_line=False, ending="stay"),
    Habits("no blank line, half-closes", blank_line=False, ending="half"),
    Habits("no blank line, closes", blank_line=False, ending="close"),
    Habits("line feeds only", line_end="\n"),
    Habits("no space after the colon", colon=":"),
    Habits("spaces after the colon", colon=":   "),
    Habits("byte by byte", bytewise=True),
    Habits("byte by byte, line feeds", bytewise=True, line_end="\n", colon=":"),
    Habits("probes first", probe=True),
    Habits("probes first, keeps it", probe=True, ending="stay"),
)

REGACK = re.compile(
    r"\AREGACK\r\nclientID: (\S+)\r\nIP: ([\d.]+)\r\nPort: (\d+)\r\nStatus: registered\r\n\r\n\Z"
)
BRIDGEACK = re.compile(r"\ABRIDGEACK\r\nclientID: (\S*)\r\nIP: ([\d.]*)\r\nPort: (\d*)\r\n\r\n\Z")
EMPTY = b"BRIDGEACK\r\nclientID: \r\nIP: \r\nPort: \r\n\r\n"


class CourseClient:
    """A client of that kind, called `name`, that says it listens at `port`."""

    def __init__(self, habits: Habits, name: str, port: int, server: int) -> None:
        self.habits = habits
        self.name = name
        self.port = port
        self.server = server
        self._kept: Wire | None = None

    def register(self) -> None:
        """REGISTER, and compare the whole answer unless this kind does not read it."""
        lines = ["REGISTER", *self._fields(clientID=self.name, IP="127.0.0.1", Port=self.port)]
        got = self._ask(lines, read=self.habits.ending != "close")
        if got is None:
            return
        match = REGACK.match(got.decode())
        if not match or match.groups() != (self.name, "127.0.0.1", str(self.port)):
            raise Fault(f"{self.habits.name}: REGISTER was answered {got!r}")

    def bridge(self) -> tuple[str, str, str]:
        """BRIDGE; clientID, IP and Port of the answer, all empty if there is nobody."""
        got = self._ask(["BRIDGE", *self._fields(clientID=self.name)], read=True)
        match = BRIDGEACK.match((got or b"").decode())
        if not match:
            raise Fault(f"{self.habits.name}: BRIDGE was answered {got!r}")
        if not match[1] and got != EMPTY:
            raise Fault(f"{self.habits.name}: the empty answer was {got!r}")
        return match[1], match[2], match[3]

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _fields(self, **fields: object) -> list[str]:
        return [f"{name}{self.habits.colon}{value}" for name, value in fields.items()]

    def _ask(self, lines: list[str], read: bool) -> bytes | None:
        habits = self.habits
        wire = self._kept or Wire.dial(self.server)
        if habits.probe and self._kept is None:
            wire.send(b"PROBE\r\n\r\n")
            wire.expect(b"PROBEACK\r\n\r\n")
        end = habits.line_end
        text = end.join(lines) + end + (end if habits.blank_line else "")
        (wire.send_bytewise if habits.bytewise else wire.send)(text.encode())
        if habits.ending == "half":
            wire.half_close()
        if not read:
            wire.close()
            return None
        got = wire.recv("an answer")
        if habits.ending == "stay":
            self._kept = wire
            wire.expect_silence(ANSWER_OPEN)
        elif habits.ending == "half":
            wire.expect_end()
            wire.close()
        else:
            wire.expect_silence(ANSWER_OPEN / 4)
            wire.close()
        return got


def ask(server: int, request: bytes) -> bytes:
    """One request on a connection of its own; what one recv gives."""
    with Wire.dial(server) as wire:
        wire.send(request)
        return wire.recv(f"an answer to {request!r}")


def forget(server: int, *names: str) -> None:
    """Take clients out of the server's directory."""
    for name in names:
        answer = ask(server, f"UNREGISTER\r\nclientID: {name}\r\n\r\n".encode())
        assert answer == b"UNREGACK\r\n\r\n", answer
