"""A connection with a key that can be asked, remembers what it was told, and can move to another server."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

from chatproto.identity.keys import Identity, new_identity
from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Error, Ping
from chatproto.wire.classic import Sender
from chatproto.wire.strict import encode
from tests.e2e.tls_wires import dial

ROOM = "#tea"


class Ear:
    """A connection; `seen` is what it was told in rooms, by number, `shown` what HISTORY showed."""

    def __init__(self, port: int, folder: Path, identity: Identity | None = None) -> None:
        self.seen: list[tuple[int, str]] = []
        self.shown: list[int] = []
        self.lines: list[str] = []
        self._pushed: list[Any] = []
        self._connection = dial(port, folder, identity)
        self._decoder = StrictReceiver(Sender.SERVER)

    def close(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def send(self, message: Any) -> None:
        self._connection.sendall(encode(message))

    def ask(self, message: Any) -> Any:
        """The answer. Raises EOFError or OSError."""
        self.send(message)
        return self.answer(message.cseq)

    def answer(self, number: int) -> Any:
        """The answer with that CSeq; what is pushed meanwhile is kept."""
        while True:
            found, answers = None, self._read()
            for one in answers:
                mine = getattr(one, "cseq", None) == number
                if isinstance(one, bcp2_rooms.Said) and mine:
                    self.shown.append(one.id)
                    self.lines.append(one.text)
                elif mine:
                    found = one
                elif not isinstance(one, Ping):
                    self._pushed.append(one)
            if found is not None:
                return found

    def push(self, kind: type[Any]) -> Any:
        """The next of what is pushed of that kind; others before it are dropped."""
        while True:
            while self._pushed:
                one = self._pushed.pop(0)
                if isinstance(one, kind):
                    return one
            self._pushed += [one for one in self._read() if not isinstance(one, Ping)]

    def _read(self) -> list[Any]:
        chunk = self._connection.recv(65536)
        if not chunk:
            raise EOFError
        found: list[Any] = self._decoder.read(chunk)
        self.seen += [
            (one.id, one.text)
            for one in found
            if isinstance(one, bcp2_rooms.Said) and one.cseq is None
        ]
        return found


class Roamer(threading.Thread):
    """Member that sends `texts` messages in `room`, at one server or another, and reads all of it.

    A message whose connection broke is looked up before it is sent again, as a client does. `said`: the
    acknowledged messages; `heard`: all messages of the room, by number.
    """

    def __init__(self, name: str, ports: list[int], first: int, folder: Path, texts: int) -> None:
        super().__init__(daemon=True)
        self.name = name
        self.said: dict[int, str] = {}
        self.heard: dict[int, str] = {}
        self.moves = -1
        self.wrong: BaseException | None = None
        self.done = threading.Event()
        self.end = threading.Event()
        self._ports = ports
        self._at = first
        self._folder = folder
        self._identity = new_identity()
        self._texts = texts
        self._last = 0  # what it knows all of the room up to

    def run(self) -> None:
        try:
            while not self._has_all():
                self._at += 1
        except BaseException as error:
            self.wrong = error
            raise
        finally:
            self.done.set()

    def _has_all(self) -> bool:
        """Stay at one server; False if it has gone before all was said and read."""
        try:
            self._stay()
        except (OSError, EOFError):
            return False
        return True

    def _stay(self) -> None:
        """At one server, until it is gone or all is said and read."""
        ear = Ear(self._ports[self._at % len(self._ports)], self._folder, self._identity)
        self.moves += 1
        self._insist(ear, bcp2_server.Register(1, self.name, 5000))
        joined = self._insist(ear, bcp2_rooms.Join(2, ROOM))
        assert isinstance(joined, bcp2_rooms.JoinAck), joined
        if not self._last:
            self._last = joined.last
        self._catch_up(ear, joined.last)
        while len(self.said) < self._texts:
            text = f"{self.name} {len(self.said)}"
            if text in self.heard.values():
                number = next(one for one, said in self.heard.items() if said == text)
                self.said[number] = text
                continue
            answer = self._insist(ear, bcp2_rooms.Say(3, ROOM, text))
            assert isinstance(answer, bcp2_rooms.SayAck), answer
            self.said[answer.id] = text
            self._take(ear, [(answer.id, text)])
        self.done.set()
        while not self.end.is_set():
            self._insist(ear, Ping(4))
            self._take(ear, [])
            self.end.wait(1)
        newest = self._insist(ear, bcp2_rooms.Join(5, ROOM)).last
        self._take(ear, [])
        self._catch_up(ear, newest)
        ear.close()

    def _take(self, ear: Ear, own: list[tuple[int, str]]) -> None:
        """Check that messages come in the room's order, without a gap."""
        for number, text in sorted([*ear.seen, *own]):
            assert self.heard.setdefault(number, text) == text
        ear.seen.clear()

    def _catch_up(self, ear: Ear, newest: int) -> None:
        """Read what was said up to `newest`."""
        while self._last < newest:
            before = len(ear.shown)
            page = self._insist(ear, bcp2_rooms.History(6, ROOM, after=self._last))
            assert isinstance(page, bcp2_rooms.HistoryAck), page
            for number, text in zip(ear.shown[before:], ear.lines[before:], strict=True):
                assert self.heard.setdefault(number, text) == text
            self._last = ear.shown[-1] if page.more else newest
        self._take(ear, [])

    def _insist(self, ear: Ear, message: Any) -> Any:
        """The answer, which is asked for again while the servers cannot write."""
        while True:
            answer = ear.ask(message)
            if not isinstance(answer, Error) or answer.status != 503:
                return answer
            time.sleep(0.2)
