"""A room of a thousand, of whom ten never read: the others get everything, and memory stays bounded.

Sixty, of whom three never read, without `--long`. They run under pytest; trial finds no test case here.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproto.identity.keys import new_identity
from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message, Ping, PingAck
from chatproto.wire.classic import Sender
from chatproto.wire.strict import encode
from tests.e2e.harness import LIMIT, Stage
from tests.e2e.tls_wires import context

MESSAGES, SIZE = 90, 8000
IN_FLIGHT = 8
ROOM = "#hall"
FAST = (
    "say-rate=100000 say-burst=100000 say-bytes=1e9 connections-per-address=5000 new-burst=5000"
    " new-ids-per-address=5000"
)
MEMORY = 64 << 20
"""Bytes that the server may grow by while the room talks, besides what may wait for each member."""
UNSENT = 256 * 1024


class Seat:
    """A member behind a raw TLS connection with a small window, so that little waits in the kernel."""

    def __init__(self, port: int, folder: Path, name: str) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        sock.settimeout(LIMIT)
        sock.connect(("127.0.0.1", port))
        self.wire: ssl.SSLSocket = context(folder, False, new_identity()).wrap_socket(sock)
        self.name = name
        self.numbers: list[int] = []
        self.gone: list[str] = []
        self.acks = 0
        self.ended = False
        self._decoder = StrictReceiver(Sender.SERVER)
        self.ask(bcp2_server.Register(1, name, 5000), bcp2_server.RegAck)
        self.ask(bcp2_rooms.Join(2, ROOM), bcp2_rooms.JoinAck)

    def ask(self, message: Bcp2Message, wanted: type[Bcp2Message]) -> None:
        """Send a request, and read until it is answered."""
        self.wire.sendall(encode(message))
        while not any(isinstance(one, wanted) for one in self._decoder.read(self.wire.recv(65536))):
            pass

    def read_some(self) -> None:
        """Wait for something, and take it in."""
        for message in self._decoder.read(self.wire.recv(65536)):
            self._take(message)

    def read(self) -> None:
        """Take in what there is."""
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                try:
                    data = self.wire.recv(65536)
                except OSError as error:
                    if isinstance(error, ssl.SSLWantReadError):
                        raise
                    data = b""
                if not data:
                    self.ended = True
                    return
                for message in self._decoder.read(data):
                    self._take(message)

    def _take(self, message: object) -> None:
        match message:
            case bcp2_rooms.Said():
                self.numbers.append(message.id)
            case bcp2_rooms.SayAck():
                self.numbers.append(message.id)
                self.acks += 1
            case bcp2_rooms.Parted():
                self.gone.append(message.peer_id)
            case Ping():
                self.wire.sendall(encode(PingAck()))


class Audience:
    """Seats that are read by a thread of their own."""

    def __init__(self, seats: list[Seat]) -> None:
        self.seats = seats
        self.changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._done = False
        for seat in seats:
            seat.wire.setblocking(False)
            self._selector.register(seat.wire, selectors.EVENT_READ, seat)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._done:
            for key, _ in self._selector.select(0.2):
                key.data.read()
                if key.data.ended:
                    self._selector.unregister(key.fileobj)
            with self.changed:
                self.changed.notify_all()

    def wait(self, messages: int, patience: float = LIMIT) -> None:
        """Until every seat has so many."""

        def least() -> int:
            return min(len(seat.numbers) for seat in self.seats)

        def enough() -> bool:
            return least() >= messages or any(seat.ended for seat in self.seats)

        with self.changed:
            assert self.changed.wait_for(enough, patience) and least() >= messages, least()

    def close(self) -> None:
        self._done = True
        self._thread.join(LIMIT)


def talk(speaker: Seat, audience: Audience, before: int) -> float:
    """Say it all, some in flight at a time; seconds until everybody has it."""
    begin = time.monotonic()
    for number in range(before, before + MESSAGES):
        text = f"{number} ".ljust(SIZE, "x")
        speaker.wire.sendall(encode(bcp2_rooms.Say(1000 + number, ROOM, text)))
        while number + 1 - speaker.acks >= IN_FLIGHT:
            speaker.read_some()
        # Who reads as fast as this test can is not to be taken for somebody who does not.
        audience.wait(number - IN_FLIGHT)
    while speaker.acks < before + MESSAGES:
        speaker.read_some()
    audience.wait(before + MESSAGES)
    return time.monotonic() - begin


def greet(speaker: Seat, audience: Audience) -> None:
    """Say a word, and wait until all have read who came in before, which is much."""
    speaker.wire.sendall(encode(bcp2_rooms.Say(999, ROOM, "welcome")))
    while not speaker.acks:
        speaker.read_some()
    audience.wait(1, 5 * LIMIT)  # of a thousand half a million lines of who came


@contextlib.contextmanager
def seated(audience: Audience) -> Iterator[Audience]:
    try:
        yield audience
    finally:
        audience.close()


def test_member_that_never_reads_holds_up_no_other(
    stage: Stage, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    members, silent = (1000, 10) if pytestconfig.getoption("--long") else (60, 3)
    limits = [word for limit in FAST.split() for word in ("--limits", limit)]
    server, port = stage.server("--store", "memory:", *limits)
    seats = [Seat(port, tmp_path, f"m{number}") for number in range(members - silent)]
    speaker, *others = seats
    with seated(Audience(others)) as audience:
        greet(speaker, audience)
        alone = talk(speaker, audience, 1)
        before = server.resident()
        stones = [Seat(port, tmp_path, f"stone{number}") for number in range(silent)]
        beside = talk(speaker, audience, 1 + MESSAGES)
        grown = server.resident() - before
        again = talk(speaker, audience, 1 + 2 * MESSAGES)
        first = speaker.numbers
        assert first == sorted(set(first)) and len(first) == 1 + 3 * MESSAGES
        for seat in seats:
            assert seat.numbers == first and not seat.ended
            assert sorted(seat.gone) == sorted(stone.name for stone in stones)
        print(
            f"{members} members: {alone:.2f} s for {MESSAGES} messages of {SIZE} bytes, "
            f"{beside:.2f} s with {silent} who never read, {again:.2f} s after; "
            f"the server grew by {grown >> 20} MiB"
        )
        assert grown < MEMORY + silent * 4 * UNSENT
        assert beside < 2 * max(alone, again) + 2
        for seat in (*seats, *stones):
            seat.wire.close()
