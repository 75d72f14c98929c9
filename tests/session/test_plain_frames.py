"""A link in plain text, whatever is said on it and whatever comes: nothing is lost, doubled or left over."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.effects import Effect, TextWritten
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.wire.dialects import DIALECTS, Me
from chatproto.wire.reader import Item
from tests.limits import DEFAULTS
from tests.net import Wire, joined

ME = Me("Alice", "10.0.0.1", 5001)
GAP = DEFAULTS.frame_gap


class Owner:
    """Keeps what was spoken, and how it ended."""

    def __init__(self) -> None:
        self.hello = b""
        self.spoken: list[str] = []
        self.lost: list[tuple[str, ...]] = []

    def connection_made(self, connection: PlainPeerConnection) -> None: ...
    def items_received(self, connection: PlainPeerConnection, items: list[Item]) -> None: ...
    def connection_silent(self, connection: PlainPeerConnection) -> None: ...

    def connection_hello(self, connection: PlainPeerConnection, data: bytes) -> None:
        self.hello = data

    def connection_punched(self, connection: PlainPeerConnection, call: str, data: bytes) -> None:
        self.punched = (call, data)

    def apply(self, effects: list[Effect]) -> None:
        self.spoken += [one.text for one in effects if isinstance(one, TextWritten)]

    def connection_lost(
        self, connection: PlainPeerConnection, reason: str, unwritten: tuple[str, ...]
    ) -> None:
        self.lost.append(unwritten)


class Timed(Wire):
    """Notes when something was written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.times: list[float] = []
        self._clock = clock

    def write(self, data: bytes) -> None:
        self.times.append(self._clock.seconds())
        super().write(data)


class FrameTests(SynchronousTestCase):
    """In every dialect."""

    @given(
        st.sampled_from(sorted(DIALECTS)),
        st.lists(
            st.one_of(st.text(max_size=20), st.floats(0, 0.1), st.sampled_from([True, False])),
            max_size=15,
        ),
    )
    def test_every_message_is_written_once_in_order_and_apart_or_reported(
        self, name: str, deeds: list[str | float | bool]
    ) -> None:
        clock, owner, row = Clock(), Owner(), DIALECTS[name]
        connection = PlainPeerConnection(owner, clock, DEFAULTS, row)
        connection.conversation = owner
        wire = Timed(clock)
        joined(connection, wire)
        connection.write_opener(ME)
        said: list[str] = []
        for deed in deeds:
            if isinstance(deed, str):
                said.append(deed)
                owner.apply(connection.write_text(ME, deed))
            elif deed is True:
                wire.full = True
            elif deed is False:
                wire.drain()
            else:
                clock.advance(deed)
        frames = [row.opener(ME)] if row.opener(ME) else []
        frames += [row.frame(ME, text, row.end) for text in owner.spoken]
        self.assertEqual(wire.writes, frames)
        for before, after in pairwise(wire.times):
            self.assertGreaterEqual(after - before, GAP - 1e-9)
        wire.ends()
        self.assertEqual([*owner.spoken, *owner.lost[0]], said)
        self.assertEqual(clock.getDelayedCalls(), [])

    @given(
        st.lists(st.binary(min_size=1, max_size=200), max_size=20),
        st.sampled_from([None, *DIALECTS]),
    )
    def test_any_bytes_are_handled_without_a_left_timer(
        self, pieces: list[bytes], name: str | None
    ) -> None:
        clock, owner = Clock(), Owner()
        connection = PlainPeerConnection(owner, clock, DEFAULTS, DIALECTS[name] if name else None)
        wire = joined(connection)
        for piece in pieces:
            if not wire.closing and not owner.hello:
                wire.says(piece)
        connection.readConnectionLost()
        connection.writeConnectionLost()
        wire.ends()
        self.assertEqual(len(owner.lost), 1)
        self.assertEqual(clock.getDelayedCalls(), [])
