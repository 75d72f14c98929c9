"""One transfer without its disk and without a peer: a test says what both answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.context import TransferContext
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.receiving import Receiving
from chatproto.transfer.records import Record, Records
from chatproto.transfer.sending import Sending
from chatproto.transfer.sources import Found
from chatproto.transfer.state import TransferState
from chatproto.transfer.transfer import Transfer
from chatproto.wire.bcp2_common import Bcp2Message
from tests.limits import DEFAULTS
from tests.transfer.ends import KEY

OFFER = FileOffer("a", 10, "2026-01-01T00:00:00Z")


class Disk:
    """Worker whose jobs are never run; the test gives their results."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.jobs.append((job, done))

    @property
    def job(self) -> str:
        """Name the job that is under way; "" if none is."""
        return getattr(self.jobs[0][0], "func", self.jobs[0][0]).__name__ if self.jobs else ""

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of the job that is under way."""
        return tuple(getattr(self.jobs[0][0], "args", ()))

    def answer(self, result: object = None) -> None:
        """Let the job under way return `result`."""
        self.jobs.popleft()[1](result)

    def fail(self, error: Exception) -> None:
        """Let the job under way, if there is one, raise `error`."""
        if self.jobs:
            self.answer(error)

    def finish(self) -> list[str]:
        """Let all jobs return None; their names."""
        names = []
        while self.jobs:
            names.append(self.job)
            self.answer()
        return names


class Owner:
    """Owner of one transfer, who keeps the sentences that are told, and where the transfer was then."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.seen: list[tuple[TransferState, int]] = []

    def transfer_changed(self, transfer: Transfer, text: str) -> None:
        self.told.append(text)
        self.seen.append((transfer.state, transfer.offset))

    def transfer_trouble(self, text: str, path: str = "") -> None:
        self.told.append(text)

    def transfer_wake(self) -> None:
        """Nothing is pulled on its own."""

    def transfer_hold(self, held: bool) -> None:
        """Nothing comes on its own."""

    def transfer_number(self) -> int:
        return 1


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, *hashes: str) -> None:
        """Begin with a new disk, and a connection on which nothing was said."""
        self.disk, self.owner = Disk(), Owner()
        self.context = TransferContext(
            self.owner, self.disk, Records(Path("/none")), DEFAULTS, KEY, lambda: None, hashes
        )
        self.context.connected = True

    def sending(self, offer: FileOffer = OFFER) -> Sending:
        """A file that was offered."""
        one = Sending(self.context, 1, 1, Found("/none/a", offer, ((offer.size, 0),)))
        one.offer_now()
        self.sent()
        return one

    def receiving(self, *hashes: str, **values: Any) -> Receiving:
        """A file that is offered, or of which a record has other `values`."""
        record = Record(KEY, False, 1, TransferState.OFFERED, OFFER, folder="/none")
        return Receiving(self.context, 1, replace(record, **values), hashes)

    def sent(self) -> list[Bcp2Message]:
        """Take the messages that are to be sent."""
        messages = list(self.context.waiting)
        self.context.waiting.clear()
        return messages
