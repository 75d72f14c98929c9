"""Rules of sending one file or folder: messages and finished reads in, effects out."""

from __future__ import annotations

from collections import deque

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
from chatproto.transfer.hashes import SHA_256, function_of
from chatproto.transfer.offer import AnyOffer, to_wire
from chatproto.transfer.sources import Pieces
from chatproto.transfer.state import ENDED, SENDING, TransferInput, TransferState
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_files import Cancel, Data, Piece, done
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
"""Bytes that are read at once: handing work to a thread and back costs. At most two batches of a transfer
are in memory."""
CHANGES = 4
"""Changes of a source before it is given up; a busy log file would go on for ever."""


class Outgoing:
    """Outgoing transfer: the rules of sending one file or folder. Pure; returns effects.

    `id`: our number. `offset`: bytes handed out to be sent. `offer`: name, size and date as of now.
    `hashes`: functions besides SHA-256 that the receiver may pick. `path`: where it is read from.
    """

    def __init__(
        self,
        id: int,
        offer: AnyOffer,
        state: TransferState = TransferState.QUEUED,
        hashes: tuple[str, ...] = (),
        path: str = "",
    ) -> None:
        self.id = id
        self.path = path
        self.offer = offer
        self.state = state
        self.offset = 0
        self._hashes = hashes
        self._hash = SHA_256  # the function that they picked
        self._theirs = ""  # the hash of what they have
        self._pieces: deque[Piece] = deque()
        self._read_to = 0
        self._reading = False
        self._digest = ""
        self._again = False
        self._changes = 0

    # What happens.

    def offered(self) -> list[Effect]:
        """Send the offer: for the first time, or again after a lost connection."""
        if not self._may(TransferInput.OFFER):
            return []
        return [SendMessage(to_wire(self.id, self.offer, self._hashes)), TransferChanged()]

    def taken(self, offset: int, digest: str) -> list[Effect]:
        """Handle OFFERACK: the peer accepts, and has `offset` bytes with this hash."""
        function = function_of(digest)
        if not digest or function not in (SHA_256, *self._hashes):
            return self._end(TransferInput.FAIL, WRONG_DATA(), [SendMessage(Cancel(self.id))])
        if not self._may(TransferInput.TAKE):
            return []
        self._hash, self._theirs = function, digest
        return [*self._begin(offset if offset <= self.offer.size else 0), TransferChanged()]

    def begun(self, offset: int, digest: str, batch: Pieces) -> list[Effect]:
        """The source was read from `offset` on; `digest` is of what lies before that."""
        if self.state is not TransferState.CHECKING or offset != self.offset:
            self._reading = False
            return []  # of an acceptance before a break
        if self._theirs and digest != self._theirs:
            self._theirs = ""
            return [
                *self._begin(0),
                TransferChanged("the peer's part differs, sending from the beginning"),
            ]
        self._may(TransferInput.CHECKED)
        return [*self.read(batch), TransferChanged()]

    def read(self, batch: Pieces) -> list[Effect]:
        """This was read, next in order."""
        self._reading = False
        if self.state is not TransferState.MOVING:
            return []
        self._pieces.extend(batch.pieces)
        self._read_to += sum(map(len, batch.pieces))
        self._digest = batch.digest
        return self._next()

    def changed(self) -> list[Effect]:
        """The source is not what was offered."""
        self._reading = False
        if (self.state, TransferInput.CHANGE) not in SENDING:
            return []  # not read any more; it will be noticed again
        self._changes += 1
        if self._changes >= CHANGES:
            return self.unreadable(KEEPS_CHANGING(name=self.offer.name))
        self._may(TransferInput.CHANGE)
        self._drop()
        return [Release(), Look(), TransferChanged()]

    def looked(self, offer: AnyOffer) -> list[Effect]:
        """The source is this now."""
        self._reading = False
        if self.state in ENDED:
            return []
        self.offer = offer
        sent = self.offered() if self.state is TransferState.LOOKING else []
        return [Keep(), *sent, TransferChanged("the file has changed, sending it again")]

    def unreadable(self, reason: str) -> list[Effect]:
        """The source cannot be read."""
        self._reading = False
        told = self._is_known
        return self._end(TransferInput.FAIL, reason, [SendMessage(Cancel(self.id))] if told else [])

    def kept(self) -> list[Effect]:
        """Handle DONEACK: the peer has stored the whole file."""
        return self._end(TransferInput.WHOLE)

    def refused(self, about: str, status: int) -> list[Effect]:
        """Handle ERROR `status` in answer to a message of the kind `about`."""
        if status == 603:
            return self._end(TransferInput.DECLINE)
        if status == 460 and about == "DONE":
            if self._again:
                return self._end(TransferInput.FAIL, HASH_WRONG_TWICE())
            if not self._may(TransferInput.DIFFERS):
                return []
            self._again, self._theirs = True, ""
            return [*self._begin(0), TransferChanged("the data arrived damaged, sending it again")]
        if status == 503:
            if not self._may(TransferInput.STALL):
                return []
            self._drop()
            return [Release(), TransferChanged("the peer cannot write it now")]
        if status == 429 and self.state is TransferState.OFFERED:
            self.state = TransferState.BROKEN
            return [
                TransferChanged("the peer has too many open offers, offering it again next time")
            ]
        return self._end(TransferInput.FAIL, PEER_REFUSED_FILE.around(Cause(Reason.of(status))))

    def cancelled(self) -> list[Effect]:
        """Handle the receiver's CANCEL."""
        return self._end(TransferInput.CANCEL, CANCELLED_BY_PEER())

    def cancel(self, why: str = "") -> list[Effect]:
        """Cancel, because of `why`; without a connection the peer is told on the next one."""
        known = self._is_known
        if not self._may(TransferInput.CANCEL):
            return []
        self._drop()
        return [
            *([SendMessage(Cancel(self.id)), Keep()] if known else [Forget()]),
            Release(),
            TransferChanged(why),
        ]

    def lost(self) -> list[Effect]:
        """The connection is gone."""
        if not self._may(TransferInput.LOSE):
            return []
        self._drop()
        return [Release(), TransferChanged()]

    def pull(self) -> Bcp2Message | None:
        """The next message with a piece of it, or the last; None if nothing is ready."""
        if self.state is not TransferState.MOVING:
            return None
        if self._pieces:
            piece = self._pieces.popleft()
            message = Data(self.id, self.offset, piece)
            self.offset += len(piece)
            return message
        if self._digest and not self._reading:
            self._may(TransferInput.END)
            return done(self.id, self._digest)
        return None

    def more(self) -> list[Effect]:
        """Read on after a message was pulled, or tell that it was the last."""
        return self._next() if self.state is TransferState.MOVING else [TransferChanged()]

    @property
    def ready(self) -> bool:
        """True if there is a message to pull."""
        return self.state is TransferState.MOVING and bool(
            self._pieces or (self._digest and not self._reading)
        )

    # How it follows.

    @property
    def _is_known(self) -> bool:
        return self.state is not TransferState.QUEUED

    def _may(self, happened: TransferInput) -> bool:
        after = SENDING.get((self.state, happened))
        if after is None:
            return False
        self.state = after
        return True

    def _begin(self, offset: int) -> list[Effect]:
        self._drop()
        self.offset = self._read_to = offset
        self._reading = True
        return [Begin(offset, BATCH, self._hash)]

    def _next(self) -> list[Effect]:
        waiting = self._read_to - self.offset
        if self._reading or self._digest or waiting > BATCH:
            return []
        self._reading = True
        return [Read(self._read_to, BATCH)]

    def _drop(self) -> None:
        """Discard what was read and not yet sent."""
        self._pieces.clear()
        self._digest = ""

    def _end(
        self, how: TransferInput, text: str = "", before: list[Effect] | None = None
    ) -> list[Effect]:
        if not self._may(how):
            return []
        self._drop()
        return [*(before or []), Forget(), TransferChanged(text)]
