"""A course program's half of a conversation, by the row that describes it; strict as the originals.

It reads with one recv a message and compares whole: two frames in one segment, a frame that is cut,
another framing or line end than its own, a line out of turn, each is a Fault.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from tests.e2e.dialects.rows import Person, Row
from tests.e2e.dialects.wires import Fault, Wire

QUIET = 0.15  # seconds in which nothing may come out of turn


class CoursePeer:
    """One side of one connection. `other` is who the other side says it is."""

    def __init__(self, row: Row, me: Person, wire: Wire, other: Person, called_us: bool) -> None:
        self.row = row
        self.me = me
        self.wire = wire
        self.other = other
        self.called_us = called_us
        self.spoken = False

    def open(self, first: str = "") -> None:
        """Call: send the opener, if this kind has one; with `first`, both in one segment."""
        frame = self.row.opening(self.me)
        if first:
            frame += self.row.saying(self.me, first)
            self.spoken = True
        if frame:
            self.wire.send(frame)

    def hear_opening(self) -> None:
        """Be called: the opener alone in its segment."""
        wanted = self.row.opening(self.other)
        if wanted:
            self.wire.expect(wanted)

    def say(self, text: str) -> None:
        self.wire.send(self.row.saying(self.me, text))
        self.spoken = True

    def hear(self, text: str) -> None:
        """One recv, one message, in this row's framing and with this program's own line end.

        Who calls cannot know the line end of the called before it has spoken: it may use any.
        """
        got = self.wire.recv(f"{text!r}")
        frame = self.row.frame(self.row.message, self.other, text)
        ends = [self.row.end.encode()]
        if self.row.bare and self.row.dialect != "crlf" and self.called_us:
            ends = [b"", b"\n", b"\r\n"]
        if got not in [frame + end for end in ends]:
            raise Fault(f"{self.row.name}: got {got!r}, not {frame!r} with its line end")

    def stay_quiet(self) -> None:
        """Check that nothing arrives, because it is our turn."""
        self.wire.expect_silence(QUIET)

    def quit(self, number: int = 0) -> None:
        """End it in the `number`th way of this kind, and close."""
        frame = self.row.quitting(self.me, number)
        if frame:
            self.wire.send(frame)
        self.wire.close()

    def hear_quit(self) -> None:
        """One recv with this kind's way to end it, then the end of the connection."""
        got = self.wire.recv("the end of the chat")
        wanted = self.row.quits_heard(self.other)
        if not any(fnmatchcase(got.decode(), pattern.decode()) for pattern in wanted):
            raise Fault(f"{self.row.name}: it was ended by {got!r}, not by one of {wanted}")
        self.wire.expect_end()
        self.wire.close()
