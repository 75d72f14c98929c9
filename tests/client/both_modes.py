"""The same tests in the default, encrypted mode and with `--plain`: one way to call, hear and leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.trial.unittest import SynchronousTestCase

from tests.client import keyed_program, plain_program
from tests.limits import DEFAULTS
from tests.net import Net, Wire

BOB = keyed_program.BOB


class Other(Protocol):
    """Far end of a connection, in either mode."""

    @property
    def wire(self) -> Wire:
        """Connection, as the program sees it."""

    @property
    def texts(self) -> list[str]:
        """The messages that they have read."""

    @property
    def left(self) -> bool:
        """True if the program has sent its farewell."""

    @property
    def over(self) -> bool:
        """True if the program has closed the connection or sent its farewell."""

    def says(self, *texts: str) -> None:
        """Say messages."""

    def leaves(self) -> None:
        """Say farewell."""

    def cut(self) -> None:
        """Break the connection."""


class PlainOther:
    """Peer that sends the lobby's raw lines when it calls, and is called in the classic dialect."""

    def __init__(self, net: Net, wire: Wire) -> None:
        self.net, self.wire = net, wire

    @property
    def texts(self) -> list[str]:
        """Messages that the peer has read, without openers and the farewell."""
        texts = [one.decode().strip("\r\n") for one in self.wire.writes]
        return [one for one in texts if one and not one.startswith(("CHAT", "QUIT", "quit"))]

    @property
    def left(self) -> bool:
        """True if a farewell was written."""
        return any(one.strip().lower() == b"quit" for one in self.wire.writes)

    @property
    def over(self) -> bool:
        """True if the program has closed its side."""
        return self.wire.half_closed or self.wire.closing or self.wire.ended

    def says(self, *texts: str) -> None:
        """Say bare lines, with the pause that ends a message."""
        for text in texts:
            self.wire.says(text.encode() + b"\r\n")
            self.net.wait(2 * DEFAULTS.text_silence)

    def leaves(self) -> None:
        """Say QUIT, and close when the program has."""
        self.wire.says(b"QUIT\r\n\r\n")
        self.net.wait(DEFAULTS.farewell_wait)
        self.wire.ends()

    def cut(self) -> None:
        """Break the connection."""
        self.wire.ends(True)


class Plain(plain_program.Case):
    """`--plain`."""

    keyed = False

    def dials(self) -> Other:
        """Take the next connection that the program asks for, as Bob."""
        other = PlainOther(self.net, self.net.accept())
        self.net.wait(0.1)
        return other

    def calls(self, name: str) -> Other:
        """Call the program."""
        self._port = getattr(self, "_port", 5002) + 1
        other = PlainOther(self.net, self.called(name, self._port))
        self.net.wait(0.1)
        return other

    def stop_reading(self, other: Other) -> None:
        """Stop reading from now on."""
        other.wire.full = True


class Keyed(keyed_program.Case):
    """The default: everything encrypted."""

    keyed = True

    def dials(self) -> Other:
        """Take the next connection that the program asks for, as Bob."""
        return self.person()

    def calls(self, name: str) -> Other:
        """Call the program."""
        return self.called(name)

    def stop_reading(self, other: Any) -> None:
        """Stop reading from now on."""
        other.deaf = True


if TYPE_CHECKING:
    Both = Keyed
else:
    Both = object
"""The base of tests that are run in both modes; see `in_both_modes`."""


def in_both_modes(tests: type) -> tuple[type[SynchronousTestCase], type[SynchronousTestCase]]:
    """Make a test case of `tests` in each mode."""

    def made(mode: type) -> type[SynchronousTestCase]:
        name = f"{mode.__name__}{tests.__name__}"
        return type(name, (tests, mode), {"__module__": tests.__module__, "__doc__": tests.__doc__})

    return made(Keyed), made(Plain)
