"""Course servers facing our client: one port that takes on the habits of one kind after another.

Each serves one connection at a time and exits, here as a Fault, on what the person did not ask for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.e2e.dialects.wires import Fault, Port, Running, Wire

REGISTER = re.compile(
    r"\AREGISTER\r\nclientID: (?P<id>[A-Za-z0-9]+)\r\nIP: (?P<ip>127\.0\.0\.1)\r\n"
    r"Port: (?P<port>\d+)\r\n\r\n\Z"
)
BRIDGE = re.compile(r"\ABRIDGE\r\nclientID: (?P<id>[A-Za-z0-9]+)\r\n\r\n\Z")
REGACK = "REGACK\r\nclientID: {id}\r\nIP: {ip}\r\nPort: {port}\r\nStatus: registered\r\n\r\n"
BRIDGEACK = "BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n"
BOB = ("bob", "127.0.0.1", 3001)
NOBODY = (None, None, None)


@dataclass(frozen=True, slots=True)
class Habits:
    """Way in which one kind of server answers, and what our user must be told.

    `then`: after the answer it `waits` for the client to close, `closes` at once, or `keeps` the connection
    and accepts the next meanwhile. `before`: what the first connection of each request meets: `reset`,
    `empty` (closed without a byte), `two` (two equal requests are read before the answer), `mute` (no
    answer). `bridged`: what the client makes of BRIDGEACK; None: a refusal. `registers`: REGACK is a yes.
    """

    name: str
    regack: str = REGACK
    bridgeack: str = BRIDGEACK
    bridged: tuple[str | None, str | None, int | None] | None = BOB
    registers: bool = True
    before: str = ""
    then: str = "waits"
    pieces: bool = False


SERVERS = (
    Habits("canonical"),
    Habits("without Status", regack="REGACK\r\nclientID: {id}\r\nIP: {ip}\r\nPort: {port}\r\n\r\n"),
    Habits(
        "start line only", regack="REGACK\r\n\r\n", bridgeack="BRIDGEACK\r\n\r\n", bridged=NOBODY
    ),
    Habits(
        "nobody",
        bridgeack="BRIDGEACK\r\nclientID: \r\nIP: \r\nPort: \r\n\r\n",
        bridged=NOBODY,
    ),
    Habits(
        "nobody, no space",
        bridgeack="BRIDGEACK\r\nclientID:\r\nIP:\r\nPort:\r\n\r\n",
        bridged=NOBODY,
    ),
    Habits(
        "nobody is None",
        bridgeack="BRIDGEACK\r\nclientID: None\r\nIP: None\r\nPort: None\r\n\r\n",
        bridged=NOBODY,
    ),
    Habits(
        "a port is missing",
        bridgeack="BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\n\r\n",
        bridged=NOBODY,
    ),
    Habits(
        "answers our own id",
        bridgeack="BRIDGEACK\r\nclientID: {id}\r\nIP: 127.0.0.1\r\nPort: {port}\r\n\r\n",
        bridged=NOBODY,
    ),
    Habits(
        "no space after the colon",
        regack="REGACK\r\nclientID:{id}\r\nIP:{ip}\r\nPort:{port}\r\nStatus:registered\r\n\r\n",
        bridgeack="BRIDGEACK\r\nclientID:bob\r\nIP:127.0.0.1\r\nPort:3001\r\n\r\n",
    ),
    Habits(
        "two spaces after the colon",
        bridgeack="BRIDGEACK\r\nclientID:  bob\r\nIP:  127.0.0.1\r\nPort:  3001\r\n\r\n",
    ),
    Habits(
        "another order",
        regack="REGACK\r\nStatus: registered\r\nPort: {port}\r\nIP: {ip}\r\nclientID: {id}\r\n\r\n",
        bridgeack="BRIDGEACK\r\nPort: 3001\r\nIP: 127.0.0.1\r\nclientID: bob\r\n\r\n",
    ),
    Habits("line feeds only", bridgeack="BRIDGEACK\nclientID: bob\nIP: 127.0.0.1\nPort: 3001\n\n"),
    Habits("closes at once", then="closes"),
    Habits("never closes", then="keeps"),
    Habits("in pieces", pieces=True),
    Habits(
        "no blank line, then silence",
        regack="REGACK\r\nclientID: {id}\r\nIP: {ip}\r\nPort: {port}\r\n",
        bridgeack="BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001",
    ),
    Habits(
        "no blank line, closes",
        regack="REGACK\r\nclientID: {id}\r\nIP: {ip}\r\nPort: {port}",
        bridgeack="BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n",
        then="closes",
    ),
    Habits("resets the first connection", before="reset"),
    Habits("first an empty answer", before="empty"),
    Habits("reads two before it answers", before="two"),
    Habits("REGNACK", regack="REGNACK\r\nclientID: {id}\r\n\r\n", registers=False),
    Habits("Status: error", regack=REGACK.replace("registered", "error"), registers=False),
    Habits(
        "ERROR",
        regack="ERROR\r\nStatus: 409 id taken\r\n\r\n",
        registers=False,
        bridgeack="ERROR\r\nStatus: 401 register first\r\n\r\n",
        bridged=None,
    ),
    Habits("never answers", before="mute", registers=False, bridged=None),
)


@dataclass(slots=True)
class CourseServer:
    """Serves in a thread until `close`. `habits` may be changed between two requests."""

    habits: Habits
    port: Port = field(default_factory=Port)
    asked: list[str] = field(default_factory=list)
    closing: bool = False
    _kept: list[Wire] = field(default_factory=list)
    _listens_at: str = "0"
    _thread: Running | None = None

    def start(self) -> None:
        self._thread = Running(self._serve)

    def close(self) -> None:
        """Stop; raises the Fault that a client caused."""
        self.closing = True
        Wire.dial(self.port.number).close()
        assert self._thread
        try:
            self._thread.join()
        finally:
            self.port.close()
            for wire in self._kept:
                wire.close()

    def check(self) -> None:
        """Raise the Fault that a client caused, if one did."""
        if self._thread and self._thread.failed:
            self._thread.join()

    def _serve(self) -> None:
        spoiled = False  # the first connection of this request is behind us
        while True:
            wire = self.port.accept(limit=1000)
            if self.closing:
                return
            if self.habits.before in ("reset", "empty") and not spoiled:
                spoiled = True
                wire.recv("a request")
                wire.reset() if self.habits.before == "reset" else wire.close()
                continue
            spoiled = False
            try:
                self._one(wire)
            except Fault:
                wire.close()  # as if this program had stopped
                raise

    def _one(self, wire: Wire) -> None:
        habits = self.habits
        first = wire.recv("a request").decode()
        answer = self._answer(first)
        if habits.before == "two":
            if (second := wire.recv("the same request once more").decode()) != first:
                raise Fault(f"the second request was {second!r}, not {first!r}")
        elif habits.before == "mute":
            while wire.recv("the client to give up"):
                pass
            wire.close()
            return
        (wire.send_bytewise if habits.pieces else wire.send)(answer.encode())
        if habits.then == "keeps":
            self._kept.append(wire)
            return
        if habits.then == "waits" and (more := wire.recv("the client to close")):
            raise Fault(f"after its answer the client sent {more!r}")
        wire.close()

    def _answer(self, request: str) -> str:
        if match := REGISTER.match(request):
            self.asked.append("REGISTER")
            self._listens_at = match["port"]
            Wire.dial(int(match["port"])).close()  # its port is open before it says so
            return self.habits.regack.format(**match.groupdict())
        if match := BRIDGE.match(request):
            self.asked.append("BRIDGE")
            return self.habits.bridgeack.format(id=match["id"], port=self._listens_at)
        raise Fault(f"this server would have stopped at {request!r}")
