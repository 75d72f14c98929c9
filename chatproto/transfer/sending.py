"""Outgoing transfer: applies the effects of its `Outgoing` rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
        if message is not None:
            self.run(self.machine.more())
            if self.machine.state is TransferState.VERIFYING:
                self.run([TransferChanged()])
        return message

    def run(self, effects: Iterable[Effect]) -> None:
        """Apply `effects`."""
        for effect in effects:
            self._desk.changed = True
            self._apply(effect)

    def _apply(self, effect: Effect) -> None:
        source, records, limits = self._source, self._desk.records, self._desk.limits
        match effect:
            case SendMessage(message):
                self._desk.send(message)
            case TransferChanged(text):
                if self.machine.state is TransferState.MOVING:
                    self.progress.at(self._desk.now, self.machine.offset)
                self._desk.owner.transfer_told(self.news(text))
            case Keep():
                record = self.record()
                self._lane.do(lambda: records.save(record), self._kept)
            case Forget():
                self.forgotten = True
                record = self.record()
                self._lane.do(source.close, self._recorded)
                self._lane.do(lambda: records.remove(record), self._recorded)
            case Release():
                self._lane.do(source.close, self._recorded)
            case Begin(offset, hash):
                self._work(lambda: source.begin(offset, hash), self.machine.begun)
            case Read(_, size):
                self._work(lambda: source.read(size), self._read)
            case Look():
                path = Path(self.found.path)
                self._work(lambda: find(path, limits), self._looked)

    def _work(self, job: Callable[[], Any], then: Callable[[Any], list[Effect]]) -> None:
        def done(result: Any) -> None:
            self._desk.changed = True
            if isinstance(result, SourceChanged):
                self.run(self.machine.changed())
            elif isinstance(result, BaseException):
                self.run(self.machine.unreadable(str(result)))
            else:
                self.run(then(result))

        self._lane.do(job, done)

    def _read(self, batch: Pieces) -> list[Effect]:
        return self.machine.read(batch)

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
