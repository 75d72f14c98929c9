"""Send one file or folder: react to the peer's messages and to each finished read."""

from __future__ import annotations

from collections import deque
from functools import partial
from pathlib import Path

from chatproto.net.clock import Monotonic
from chatproto.transfer.context import TransferContext
from chatproto.transfer.hashes import SHA_256, function_of
from chatproto.transfer.offer import to_wire
from chatproto.transfer.records import Record
from chatproto.transfer.sources import FileStream, Found, Pieces, SourceChanged, find
from chatproto.transfer.state import ENDED, SENDING, TransferInput, TransferState
from chatproto.transfer.transfer import Transfer
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_files import Cancel, Data, Done, Piece, digest_values
from chatproto.wire.reasons import (
    CANCELLED_BY_PEER,
    HASH_WRONG_TWICE,
    KEEPS_CHANGING,
    PEER_REFUSED_FILE,
    WRONG_DATA,
    Cause,
    Reason,
)

BATCH = 1024 * 1024
"""Bytes per disk job, large because each switch of threads costs time. At most two batches of a transfer
are in memory."""
CHANGES = 4
"""Changes of a source after which its transfer fails; a busy log file would be sent again forever."""


class Sending(Transfer):
    """Outgoing transfer with its source on the disk.

    `found`: the source as last examined. `kept`: True once its record is stored, so that it may be
    offered. `offered_at`: time of the last OFFER.
    """

    outgoing = True
    steps = SENDING
    _files: FileStream

    def __init__(
        self,
        context: TransferContext,
        number: int,
        id: int,
        found: Found,
        state: TransferState = TransferState.QUEUED,
    ) -> None:
        super().__init__(context, number, id, found.offer, state, found.path)
        self.found = found
        self.kept = state is not TransferState.QUEUED
        self.offered_at: Monotonic = 0.0
        self._files = FileStream(found, context.limits.chunk)
        self._hash = SHA_256  # hash function chosen by the receiver
        self._theirs = ""  # hash of the receiver's part
        self._pieces: deque[Piece] = deque()
        self._read_to = 0
        self._reading = False
        self._digest = ""
        self._again = False
        self._changes = 0

    def record(self) -> Record:
        context = self._context
        return Record(context.key, True, self.id, self.state, self.offer, context.now, self.found)

    # Inputs.

    def keep(self) -> None:
        """Write the record to the disk; the OFFER may be sent afterwards."""
        self._disk.do(
            partial(self._context.records.save, self.record()), self._kept, self._kept_in_memory
        )

    def offer_now(self) -> None:
        """Send OFFER for the first time, or again after a lost connection or a change of the source."""
        if self._go(TransferInput.OFFER):
            self.offered_at = self._context.now
            self._context.send(to_wire(self.id, self.offer, self._context.hashes))

    def taken(self, offset: int, digest: str) -> None:
        """Handle OFFERACK: the peer accepts, and has stored `offset` bytes with the hash `digest`."""
        function = function_of(digest)
        if not digest or function not in (SHA_256, *self._context.hashes):
            self._end(TransferInput.FAIL, WRONG_DATA(), Cancel(self.id))
            return
        at = offset if offset <= self.offer.size else 0
        if self._go(TransferInput.TAKE, offset=at):
            self._hash, self._theirs = function, digest
            self._begin(at)

    def stored(self) -> None:
        """Handle DONEACK: the peer has stored the whole file."""
        self._end(TransferInput.WHOLE)

    def refused(self, about: str, status: int) -> None:
        """Handle ERROR `status` in answer to a message of the kind `about`."""
        if status == 603:
            self._end(TransferInput.DECLINE)
        elif status == 460 and about == "DONE":
            if self._again:
                self._end(TransferInput.FAIL, HASH_WRONG_TWICE())
            elif self._go(TransferInput.DIFFERS, "the data arrived damaged, sending it again", 0):
                self._again, self._theirs = True, ""
                self._begin(0)
        elif status == 503:
            if self._go(TransferInput.STALL, "the peer cannot write it now"):
                self._release()
        elif status == 429 and self.state is TransferState.OFFERED:
            text = "the peer has too many open offers, offering it again next time"
            self._go(TransferInput.LOSE, text)
        else:
            self._end(TransferInput.FAIL, PEER_REFUSED_FILE.around(Cause(Reason.of(status))))

    def cancelled(self) -> None:
        """Handle the receiver's CANCEL."""
        self._end(TransferInput.CANCEL, CANCELLED_BY_PEER())

    def cancel(self, why: str = "") -> None:
        """Cancel for the reason `why`; without a connection, CANCEL is sent on the next one."""
        known = self._is_known
        if not self._go(TransferInput.CANCEL, why):
            return
        if known:
            self._context.send(Cancel(self.id))
            self.keep()
        else:
            self.forget()
        self._release()

    def pull(self) -> Bcp2Message | None:
        """Return the next DATA, or DONE after the last one; None if nothing is ready."""
        if self.state is not TransferState.MOVING:
            return None
        if self._pieces:
            piece = self._pieces.popleft()
            message = Data(self.id, self.offset, piece)
            self.offset += len(piece)
            self._read_on()
            return message
        if self._digest and not self._reading:
            self._go(TransferInput.END)
            return Done(self.id, **digest_values(self._digest))
        return None

    @property
    def ready(self) -> bool:
        """True if there is a message to pull."""
        return self.state is TransferState.MOVING and bool(
            self._pieces or (self._digest and not self._reading)
        )

    # Results of disk jobs.

    def _begin(self, offset: int) -> None:
        """Seek to `offset` in the source, hash the data before it, and read from there."""
        self._drop()
        self.offset = self._read_to = offset
        self._reading = True
        self._disk.do(
            partial(self._files.begin, offset, self._hash, BATCH),
            partial(self._begun, offset),
            self._failed,
        )

    def _begun(self, offset: int, result: tuple[str, Pieces]) -> None:
        """Start sending at `offset`, or at 0 if the hash of the data before it differs from the peer's."""
        digest, batch = result
        if self.state is not TransferState.CHECKING or offset != self.offset:
            self._reading = False  # result of an acceptance before the connection was lost
        elif self._theirs and digest != self._theirs:
            self._theirs = ""
            self._begin(0)
            self.tell("the peer's part differs, sending from the beginning")
        else:
            self._go(TransferInput.CHECKED)
            self._read(batch)

    def _read(self, batch: Pieces) -> None:
        """Queue the batch that was read."""
        self._reading = False
        if self.state is TransferState.MOVING:
            self._pieces.extend(batch.pieces)
            self._read_to += sum(map(len, batch.pieces))
            self._digest = batch.digest
            self._context.changed = True
            self._read_on()

    def _read_on(self) -> None:
        """Read the next batch, unless enough data are queued or all have been read."""
        if not (self._reading or self._digest or self._read_to - self.offset > BATCH):
            self._reading = True
            self._disk.do(partial(self._files.read, BATCH), self._read, self._failed)

    def _failed(self, error: BaseException) -> None:
        self._reading = False
        if not isinstance(error, SourceChanged):
            self._unreadable(str(error))
        elif (self.state, TransferInput.CHANGE) in SENDING:  # else the next read notices it again
            self._changes += 1
            if self._changes >= CHANGES:
                self._unreadable(KEEPS_CHANGING(name=self.offer.name))
                return
            self._go(TransferInput.CHANGE)
            self._release()
            self._disk.do(
                partial(find, Path(self.found.path), self._context.limits),
                self._looked,
                self._failed,
            )

    def _looked(self, found: Found) -> None:
        """Offer the source again as `found` after a change."""
        self._reading = False
        self.found = found
        self._files = FileStream(found, self._context.limits.chunk)
        if self.state in ENDED:
            return
        self.offer = found.offer
        self.keep()
        if self.state is TransferState.LOOKING:
            self.offer_now()
        self.tell("the file has changed, sending it again")

    def _unreadable(self, reason: str) -> None:
        self._end(TransferInput.FAIL, reason, Cancel(self.id) if self._is_known else None)

    # Internal.

    @property
    def _is_known(self) -> bool:
        return self.state is not TransferState.QUEUED

    def _kept(self, _: object) -> None:
        self.kept = self._context.changed = True

    def _kept_in_memory(self, error: BaseException) -> None:
        """Offer the file without a record: the transfer is not resumed after a restart."""
        self._unsaved(error)
        self._kept(error)

    def _drop(self) -> None:
        self._pieces.clear()
        self._digest = ""
