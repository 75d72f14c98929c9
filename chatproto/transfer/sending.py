"""Outgoing transfer: applies the effects of its `Outgoing` rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from chatproto.net.clock import Monotonic
from chatproto.transfer.context import SerialQueue, TransferContext, TransferNews, TransferTrouble
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
from chatproto.transfer.progress import Progress
from chatproto.transfer.records import Record
from chatproto.transfer.sources import FileStream, Found, Pieces, SourceChanged, find
from chatproto.transfer.state import TransferState
from chatproto.wire.bcp2_common import Bcp2Message


class Sending:
    """Outgoing transfer with its source on the disk.

    `number`: its number in the user's commands. `kept`: its record is on the disk, so that it may be
    offered. `offered_at`: time of the last offer.
    """

    def __init__(
        self,
        desk: TransferContext,
        number: int,
        id: int,
        found: Found,
        state: TransferState = TransferState.QUEUED,
    ) -> None:
        self.number = number
        self.found = found
        self.machine = Outgoing(id, found.offer, state, desk.hashes)
        self.forgotten = False
        self.kept = state is not TransferState.QUEUED
        self.offered_at: Monotonic = 0.0
        self.progress = Progress()
        self._desk = desk
        self._lane = SerialQueue(desk)
        self._source = FileStream(found, desk.limits.chunk)

    def news(self, text: str = "") -> TransferNews:
        """Describe the transfer for the user."""
        offer = self.machine.offer
        return TransferNews(
            self.number,
            True,
            offer.name,
            self.machine.state,
            self.machine.offset,
            offer.size,
            offer.type,
            len(offer.files),
            text,
            self.found.path,
        )

    def record(self) -> Record:
        """Describe the transfer for the store."""
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
        """Apply `effects`."""
        desk, machine, source, do = self._desk, self.machine, self._source, self._lane.do
        for effect in effects:
            desk.changed = True
            match effect:
                case SendMessage(message):
                    desk.send(message)
                case TransferChanged(text):
                    if machine.state is TransferState.MOVING:
                        self.progress.at(desk.now, machine.offset)
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

    def _forget(self, source: FileStream, record: Record) -> None:
        source.close()
        self._desk.records.remove(record)

    def _worked(self, then: Callable[[Any], list[Effect]], result: Any) -> None:
        """Handle the result of work for the disk, or its exception."""
        self._desk.changed = True
        if isinstance(result, SourceChanged):
            self.run(self.machine.changed())
        elif isinstance(result, BaseException):
            self.run(self.machine.unreadable(str(result)))
        else:
            self.run(then(result))

    def _looked(self, found: Found) -> list[Effect]:
        self.found = found
        self._source = FileStream(found, self._desk.limits.chunk)
        return self.machine.looked(found.offer)

    def _kept(self, result: Any) -> None:
        self.kept = self._desk.changed = True
        self._recorded(result)

    def _recorded(self, result: Any) -> None:
        if isinstance(result, BaseException):
            text = f"cannot keep what is known of {self.machine.offer.name}: {result}"
            self._desk.owner.transfer_told(TransferTrouble(text))


def _begin(source: FileStream, offset: int, size: int, hash: str) -> tuple[str, Pieces]:
    return source.begin(offset, hash), source.read(size)
