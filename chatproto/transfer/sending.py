"""Outgoing transfer: applies the effects of its `Outgoing` rules."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from chatproto.net.clock import Monotonic
from chatproto.transfer.context import TransferContext
from chatproto.transfer.effects import (
    Begin,
    Effect,
    Forget,
    Keep,
    Look,
    Read,
    Release,
    SendMessage,
    TransferChanged,
)
from chatproto.transfer.outgoing import Outgoing
from chatproto.transfer.records import Record
from chatproto.transfer.sources import FileStream, Found, Pieces, SourceChanged, find
from chatproto.transfer.state import TransferState
from chatproto.transfer.transfer import Transfer
from chatproto.wire.bcp2_common import Bcp2Message


class Sending(Transfer):
    """Outgoing transfer with its source on the disk.

    `kept`: its record is on the disk, so that it may be
    offered. `offered_at`: time of the last offer.
    """

    machine: Outgoing
    outgoing = True

    def __init__(
        self,
        desk: TransferContext,
        number: int,
        id: int,
        found: Found,
        state: TransferState = TransferState.QUEUED,
    ) -> None:
        super().__init__(desk, number)
        self.found = found
        self.machine = Outgoing(id, found.offer, state, desk.hashes, found.path)
        self.kept = state is not TransferState.QUEUED
        self.offered_at: Monotonic = 0.0
        self._source = FileStream(found, desk.limits.chunk)

    def record(self) -> Record:
        machine = self.machine
        return Record(
            self._desk.key,
            True,
            machine.id,
            machine.state,
            machine.offer,
            self._desk.now,
            self.found,
        )

    def pull(self) -> Bcp2Message | None:
        """The next message with a piece of it, or None."""
        message = self.machine.pull()
        if message is not None and (effects := self.machine.more()):
            self.run(effects)
        return message

    def run(self, effects: Iterable[Effect]) -> None:
        desk, machine, source, do = self._desk, self.machine, self._source, self._do
        for effect in effects:
            desk.changed = True
            match effect:
                case SendMessage(message):
                    desk.send(message)
                case TransferChanged(text):
                    desk.owner.transfer_told(self.news(text))
                case Keep():
                    do(partial(desk.records.save, self.record()), self._kept)
                case Forget():
                    self.forgotten = True
                    do(partial(self._forget, source, self.record()), self._recorded)
                case Release():
                    do(source.close, self._recorded)
                case Begin(offset, size, hash):
                    done = partial(self._worked, lambda read: machine.begun(offset, *read))
                    do(partial(_begin, source, offset, size, hash), done)
                case Read(_, size):
                    do(partial(source.read, size), partial(self._worked, machine.read))
                case Look():
                    path = Path(self.found.path)
                    do(partial(find, path, desk.limits), partial(self._worked, self._looked))

    def _failed(self, error: BaseException) -> list[Effect]:
        if isinstance(error, SourceChanged):
            return self.machine.changed()
        return self.machine.unreadable(str(error))

    def _looked(self, found: Found) -> list[Effect]:
        self.found = found
        self._source = FileStream(found, self._desk.limits.chunk)
        return self.machine.looked(found.offer)

    def _kept(self, result: Any) -> None:
        self.kept = self._desk.changed = True
        self._recorded(result)


def _begin(source: FileStream, offset: int, size: int, hash: str) -> tuple[str, Pieces]:
    return source.begin(offset, hash), source.read(size)
