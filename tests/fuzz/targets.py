"""Fuzz targets: each feeds any bytes to one input of the programs, and raises where that is wrong.

The code under test may raise what its contract names (RemoteError, StoreTrouble, ...), which is caught here.
Any other exception, and any broken promise (`AssertionError`), is a defect.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from chatproto.cli.older_replay import OlderReplay
from chatproto.client.events import Event, Exited
from chatproto.client.settings import ClientSettings
from chatproto.directory.answers import Directory
from chatproto.identity.pins import PinFile, PinTrouble
from chatproto.nearby.messages import read_datagram
from chatproto.net.clock import Wall
from chatproto.net.receivers import StrictReceiver
from chatproto.server.factory import ChatFactory
from chatproto.session.ledger import MSG, LedgerTrouble, StreamEntry
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.open import open_store
from chatproto.stores.redis.group_text import (
    POISON,
    read_group,
    read_listed,
    read_notice,
    write_group,
)
from chatproto.stores.sqlite_ledger import SqliteLedger
from chatproto.ui.control import Control, ControlConnection
from chatproto.ui.jsonlines import JsonLines, run_json
from chatproto.wire import strict
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.plain_blocks import Punch, Relay, RelayAck, RelayError, read_first
from chatproto.wire.reader import Reader
from tests.client.typing_person import made
from tests.limits import DEFAULTS
from tests.net import Net
from tests.server.ends import End, connect
from tests.wire.classic_lines import classic_receiver

NOW = 1_000_000.0
OLD = Path(__file__).parent.parent / "old"
SERVER_KEY = "sha256:UZYY4QXURXT5KCOULUNI5C3RGHXYKCQEH3DF2W63KC7NHHS6OOWA"
BOB_KEY = "sha256:VA4QBLIHIJYANR664KYSQPYNLU36KEDEIIBNH2EJPCA6VVLRHGPQ"


class Bytes:
    """Choices taken from the input, so that a change of one byte is a change of one choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte; 0 at the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self) -> int:
        """A whole number, small or at an edge of what 64 bits hold."""
        kind = self.byte()
        if kind < 128:
            return kind
        edges = (-1, 2**31, 2**53, 2**63 - 1, -(2**63), 10**18)
        return edges[kind % len(edges)]

    def take(self, most: int) -> bytes:
        """Up to `most` bytes."""
        taken = self._data[self._at : self._at + min(most, self.byte())]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """All that is left."""
        left = self._data[self._at :]
        self._at = len(self._data)
        return left


def pieces(data: bytes) -> Iterator[bytes]:
    """The input cut where it says: the first byte is the size of the pieces, 0 is one piece."""
    size = data[0] if data else 0
    rest = data[1:]
    for at in range(0, len(rest), size or len(rest) or 1):
        yield rest[at : at + (size or len(rest))]


# The wire.


def classic(data: bytes) -> None:
    """Requests in plain text: the same messages however they are cut."""
    for sender in Sender:
        whole, cut = classic_receiver(sender=sender), classic_receiver(sender=sender)
        once = [*whole.read(data[1:]), *whole.finish()]
        parts: list[Any] = []
        for piece in pieces(data):
            parts += cut.read(piece)
        parts += cut.finish()
        assert list(map(repr, once)) == list(map(repr, parts)), (once, parts)


def keyed(data: bytes) -> None:
    """Messages inside TLS: the same however they are cut, and each survives its own encoding."""
    for sender in Sender:
        whole, cut = StrictReceiver(sender), StrictReceiver(sender)
        once = whole.read(data[1:])
        parts: list[Any] = []
        for piece in pieces(data):
            parts += cut.read(piece)
        kinds = [type(one) for one in once]
        assert kinds == [type(one) for one in parts], (once, parts)
        for message in once:
            if not isinstance(message, RemoteError):
                again = StrictReceiver(sender).read(strict.encode(message))
                assert [repr(one) for one in again] == [repr(message)], (message, again)


def peer_text(data: bytes) -> None:
    """Feed a client the text of a course program, with silences and the end."""
    reader = Reader()
    with contextlib.suppress(RemoteError):
        for piece in pieces(data):
            reader.feed(piece)
            if reader.wants_silence:
                reader.silence()
        reader.end()


def datagram(data: bytes) -> None:
    """Beacons from the network."""
    with contextlib.suppress(RemoteError):
        read_datagram(data, DEFAULTS.header_block)


def first_block(data: bytes) -> None:
    """The block before TLS."""
    with contextlib.suppress(RemoteError):
        read_first(data, (Punch, Relay, RelayAck, RelayError))


def server_port(data: bytes) -> None:
    """A plain connection to a server: no exception, and the next one is served."""
    clock = Clock()
    factory = ChatFactory(clock, Directory(MemoryRegistry(DEFAULTS), DEFAULTS), DEFAULTS)
    end = End()
    connection = connect(factory, end)
    for piece in pieces(data):
        if not end.disconnecting and not end.aborted:
            connection.dataReceived(piece)
            clock.advance(0.01)
    after = End(port=40001)
    connect(factory, after).dataReceived(b"PROBE\r\n\r\n")
    clock.advance(1)
    assert after.new() == b"PROBEACK\r\n\r\n"


# What a program and a person type.


class Told:
    """A node in memory and all that it told; it ends only when it was told to."""

    def __init__(self, plain: bool) -> None:
        self.codes: list[int] = []
        self.events: list[Event] = []
        self.node: Any = made(Net(), ClientSettings("alice", plain=plain))
        self.node.finished.listen(self.codes.append)
        self.node.publish.listen(self.events.append)
        self.node.start("127.0.0.1", 5001)

    def check(self, quits: bool) -> None:
        """Check that only `/quit` and its synonyms have ended the program."""
        ended = any(isinstance(event, Exited) for event in self.events) or bool(self.codes)
        assert quits or not ended, self.events


def may_quit(data: bytes) -> bool:
    """Return True if a line of `data` may end the program."""
    return any(
        word in data.lower() for word in (b"quit", b"exit", b"over", b"bye", b"\\u", b"hindi")
    )


def control_socket(data: bytes) -> None:
    """Bytes of a script on control.sock."""
    told = Told(plain=bool(data[:1] and data[0] & 1))
    control = Control(
        told.events.append,
        lambda: lambda line, references: run_json(line, told.node.client, references),
        lambda: Wall(NOW),
        DEFAULTS,
        Clock(),
    )
    told.node.publish.listen(control.tell)
    connection = control.buildProtocol(None)
    assert isinstance(connection, ControlConnection)
    end = End()
    connection.makeConnection(end)
    for piece in pieces(data):
        if not end.disconnecting and not end.aborted:
            connection.dataReceived(piece)
    told.check(may_quit(data))


def json_line(data: bytes) -> None:
    """Lines on standard input with `--ui json`."""
    told = Told(plain=bool(data[:1] and data[0] & 1))
    lines = JsonLines(told.node.client, lambda line: None, lambda: Wall(NOW))
    told.node.publish.listen(lines.tell)
    for line in data[1:].split(b"\n"):
        lines.on_line(line.decode("utf-8", "replace"))
    told.check(may_quit(data))


# What is kept.


@lru_cache(maxsize=1)
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="chatproto-fuzz-"))


def _spoiled(store: Path, choice: Bytes) -> Path:
    """A copy of `store` in which some values are others."""
    copy = Path(shutil.copyfile(store, _scratch() / store.name))
    copy.chmod(0o600)
    for side in ("-wal", "-shm"):
        copy.with_name(copy.name + side).unlink(missing_ok=True)
    database = sqlite3.connect(copy)
    tables = [
        name
        for name, sql in database.execute("SELECT name, sql FROM sqlite_master WHERE type='table'")
        if not name.startswith(("words", "sqlite_"))
    ]
    for _ in range(1 + choice.byte() % 3):
        table = tables[choice.byte() % len(tables)]
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        column = columns[choice.byte() % len(columns)]
        values: list[Any] = [
            choice.number(), choice.number() / 3, None, choice.take(64),
            choice.take(64).decode("utf-8", "replace"), float("inf"), "[" * 5000,
        ]  # fmt: skip
        value = values[choice.byte() % len(values)]
        with contextlib.suppress(sqlite3.Error):
            database.execute(f"UPDATE {table} SET {column} = ?", (value,))
    database.commit()
    database.close()
    return copy


def client_log(data: bytes) -> None:
    """A client's log.sqlite with values that nobody wrote: LedgerTrouble, or it works."""
    copy = _spoiled(OLD / "alice" / "log.sqlite", Bytes(data))
    with contextlib.suppress(LedgerTrouble):
        ledger = SqliteLedger(copy)
        try:
            ledger.waiting()
            ledger.unshown()
            ledger.state(BOB_KEY)
            ledger.entries(BOB_KEY)
            ledger.history(BOB_KEY, 20)
            ledger.search("hello", 20)
            ledger.store_incoming(BOB_KEY, "bob", StreamEntry(9, MSG, Wall(NOW), "hello"))
        finally:
            ledger.close()


def server_store(data: bytes) -> None:
    """A server.sqlite with values that nobody wrote: StoreTrouble, or it works."""
    copy = _spoiled(OLD / "server" / "server.sqlite", Bytes(data))
    with contextlib.suppress(StoreTrouble):
        store = open_store(copy, SERVER_KEY, DEFAULTS, lambda sentence: None)
        store.write_behind()
        store.close()


def known_peers(data: bytes) -> None:
    """A file of pins: PinTrouble, or it is read."""
    path = _scratch() / "known_peers"
    path.write_bytes(data)
    path.chmod(0o600)
    with contextlib.suppress(PinTrouble):
        assert PinFile(path).pins.text() is not None


# Redis.


def redis_entry(data: bytes) -> None:
    """Whatever stands in Redis is a notice, a listed client, or poison."""
    text = data.decode("utf-8", "replace")
    for read in (read_notice, read_listed):
        with contextlib.suppress(*POISON):
            read(text)


def older_log(data: bytes) -> None:
    """A snapshot of an older version is read or refused, and any entry is read or left out."""
    text, replay = data.decode("utf-8", "replace"), OlderReplay(DEFAULTS)
    with contextlib.suppress(ValueError):
        replay.load(text.splitlines())
    replay.read(1e6, text)
    replay.saved()


def redis_group(data: bytes) -> None:
    """A group that no server of ours wrote is refused, or can be written again."""
    with contextlib.suppress(StoreTrouble, *POISON):
        read_group("alice", 1, write_group(read_group("alice", 1, data.decode("utf-8", "replace"))))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(classic, keyed, peer_text, datagram, first_block, server_port),
        *(control_socket, json_line, client_log, server_store, known_peers),
        *(redis_entry, redis_group, older_log),
    )
}
