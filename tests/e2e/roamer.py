"""A connection with a key that can be asked, remembers what it was told, and can move to another server."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from chatproto.identity.keys import Identity
from chatproto.wire import bcp2_rooms_told as told
from chatproto.wire.bcp2_common import Ping
from chatproto.wire.messages import Sender
from chatproto.wire.strict import StrictDecoder, encode
from tests.e2e.tls_wires import dial


class Ear:
    """A connection; `seen` is what it was told in rooms, by number, `shown` what HISTORY showed."""

    def __init__(self, port: int, folder: Path, identity: Identity | None = None) -> None:
        self.seen: list[tuple[int, str]] = []
        self.shown: list[int] = []
        self.lines: list[str] = []
        self._pushed: list[Any] = []
        self._connection = dial(port, folder, identity)
        self._decoder = StrictDecoder(Sender.SERVER)

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
                if isinstance(one, told.Said) and mine:
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
        found: list[Any] = self._decoder.feed(chunk)
        self.seen += [
            (one.id, one.text) for one in found if isinstance(one, told.Said) and one.cseq is None
        ]
        return found
