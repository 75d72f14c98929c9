"""Speak IRC with one client program: registration, then a command a line."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from chatproto.client.conversations import ActiveTarget
from chatproto.net.bounded_output import BoundedOutput
from chatproto.net.timers import Timers
from chatproto.ui.held_connections import HeldConnection
from chatproto.ui.irc import numerics
from chatproto.ui.irc.answers import Answer
from chatproto.ui.irc.capabilities import ClientCapabilities
from chatproto.ui.irc.lines import FACE, Batch, fail, reply
from chatproto.wire.irc import LINE_BYTES, TAG_BYTES, BadIrcLine, IrcLine, read_line, write_line

if TYPE_CHECKING:
    from chatproto.ui.irc.face import IrcFace

IRC_WAIT = 60.0
"""Seconds for an IRC client to register."""
IRC_UNSENT = 8 * 1024 * 1024
"""Largest number of bytes queued for one IRC client: a list of all rooms is long."""
IRC_REQUESTS = 200
"""Largest number of unfinished requests of one IRC client; then it is not read."""


class IrcConnection(HeldConnection):
    """One IRC client, closed when it leaves more than `IRC_UNSENT` bytes unread.

    `target`: recipient of its commands to `*chat` that name none.
    """

    def __init__(self, face: IrcFace, target: ActiveTarget) -> None:
        self._unsent = BoundedOutput(IRC_UNSENT)
        super().__init__(TAG_BYTES + LINE_BYTES, self._unsent)
        self.capabilities = ClientCapabilities()
        self.target = target
        self.registered = False
        self._face = face
        self._given = ""
        self._nick = ""
        self._user = False
        self._under_way = 0
        self._batches = 0
        self._timers = Timers(face.client.context.clock)

    # Output.

    def write(self, line: IrcLine | Batch) -> None:
        """Write a line or a batch, with only those tags that the client supports."""
        match line:
            case Batch():
                self._write_batch(line)
            case IrcLine():
                self.tell(write_line(self.capabilities.allowed(line)))

    def write_all(self, lines: Iterable[IrcLine]) -> None:
        """Write lines."""
        for line in lines:
            self.write(line)

    def _write_batch(self, batch: Batch) -> None:
        if "batch" not in self.capabilities:
            self.write_all(batch.lines)
            return
        self._batches += 1
        number = str(self._batches)
        begin = (f"+{number}", batch.kind, *batch.parameters)
        self.write(IrcLine("BATCH", begin, batch.tags, FACE))
        for line in batch.lines:
            tags = {**line.tags, "batch": number}
            self.write(IrcLine(line.command, line.parameters, tags, line.source))
        self.write(IrcLine("BATCH", (f"-{number}",), source=FACE))

    def write_past(self, lines: Iterable[IrcLine], target: str = "") -> None:
        """Write earlier messages; for a client without server-time the texts begin with the time.

        `target`: the room or peer of all of them.
        """
        if "server-time" not in self.capabilities:
            lines = [_with_time(line) for line in lines]
        if target:
            self.write(Batch("chathistory", tuple(lines), parameters=(target,)))
        else:
            self.write_all(lines)

    def close(self, why: str) -> None:
        """Send the reason and close the connection."""
        if self._unsent.finished:
            return
        self.write(IrcLine("ERROR", (f"Closing link: {why}",)))
        self.finish()

    # Reading.

    def begun(self) -> None:
        """Count a request; a client with too many is not read until some have ended."""
        self._under_way += 1
        self._flow()

    def ended(self) -> None:
        """Count the end of a request."""
        self._under_way -= 1
        self._flow()

    @property
    def _full(self) -> bool:
        return self._under_way >= IRC_REQUESTS

    def refuse(self, why: str) -> None:
        self.write(IrcLine("ERROR", (f"Closing link: {why}",)))

    # Called by Twisted.

    def connectionMade(self) -> None:
        super().connectionMade()
        self._timers.after("register", IRC_WAIT, self._too_late)
        self._face.made(self)

    def lineReceived(self, line: bytes) -> None:
        try:
            read = read_line(line)
        except BadIrcLine as wrong:
            self._complain(wrong)
            return
        if read is None:
            return
        if self.registered:
            label = "labeled-response" in self.capabilities
            answer = Answer(self.write, read.tags.get("label", "") if label else "")
            self._face.take(self._face, self, read, answer)
            answer.end()
        else:
            self._register(read)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._timers.stop()
        self._face.lost(self)

    def _complain(self, wrong: BadIrcLine) -> None:
        nick = self._nick or "*"
        if wrong.code == "INPUT_TOO_LONG":
            self.write(reply(nick, numerics.TOO_LONG, str(wrong)))
        else:
            self.write(fail("*", wrong.code, str(wrong)))

    # Registration.

    def _register(self, line: IrcLine) -> None:
        first = line.parameters[0] if line.parameters else ""
        match line.command:
            case "CAP":
                self.write_all(self.capabilities.take(line, self._nick or "*"))
            case "PASS":
                self._given = first
            case "NICK" if first:
                self._nick = first
            case "NICK":
                self.write(reply("*", numerics.NO_NICK, "No nickname given"))
            case "USER":
                self._user = True
            case "PING":
                self.write(IrcLine("PONG", (FACE, first), source=FACE))
            case "QUIT":
                self.close("you left")
                return
            case _:
                self.write(reply(self._nick or "*", numerics.NOT_REGISTERED, "Register first"))
        if self._nick and self._user and not self.capabilities.open:
            self._admit()

    def _admit(self) -> None:
        wanted = self._face.password
        if wanted and not hmac.compare_digest(self._given.encode(), wanted.encode()):
            self.write(reply(self._nick, numerics.WRONG_PASSWORD, "Password incorrect"))
            self.close("the password is wrong or missing")
            return
        self._timers.stop()
        self.registered = True
        asked, self._nick = self._nick, self._face.people.own_id
        self._face.entered(self, asked)

    def _too_late(self) -> None:
        self.close(f"no registration within {IRC_WAIT:g} s")


def _with_time(line: IrcLine) -> IrcLine:
    """Return a message with its time (UTC) before the text."""
    at = line.tags.get("time", "")
    if line.command != "PRIVMSG" or not at:
        return line
    target, text = line.parameters
    shown = f"[{at[:10]} {at[11:16]}Z] "
    text = f"{text[:8]}{shown}{text[8:]}" if text.startswith("\x01ACTION ") else shown + text
    return IrcLine(line.command, (target, text), line.tags, line.source)
