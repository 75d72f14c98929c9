"""One transfer, at the side that receives: takes what they say and what was written, returns what to do."""

from __future__ import annotations

import hashlib

from chatproto.transfer.effects import (
    Discard,
    Effect,
    Finish,
    Forget,
    Keep,
    Open,
    Release,
    SendMessage,
    TransferChanged,
    Write,
)
from chatproto.transfer.offer import AnyOffer, same_content
from chatproto.transfer.sinks import There
from chatproto.transfer.state import ENDED, RECEIVING, TransferInput, TransferState
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, DoneAck, OfferAck, Piece

NOTHING = hashlib.sha256().hexdigest()
"""The hash of no bytes."""


class IncomingTransfer:
    """What they send, as `id`. `offset`: how much has come; `pending`: bytes of it not yet written.

    `sha256`: of the whole, once they have said it; `path`: where it lies, once it is whole;
    `agreed`: we have said yes, which holds for ever.
    """

    def __init__(
        self,
        id: int,
        offer: AnyOffer,
        state: TransferState = TransferState.OFFERED,
        sha256: str = "",
        path: str = "",
    ) -> None:
        self.id = id
        self.offer = offer
        self.state = state
        self.offset = offer.size if path else 0
        self.pending = 0
        self.sha256 = sha256
        self.path = path
        self.agreed = state is not TransferState.OFFERED
        self._pieces: list[Piece] = []
        self._written_to = 0
        self._anew = False
        self._writing = False
        self._again = False
        self._useless = False

    # What happens.

    def accept(self) -> list[Effect]:
        """We want it, now or again."""
        if not self._may(TransferInput.TAKE):
            return []
        self.agreed = True
        return [Keep(), TransferChanged()]

    def start(self) -> list[Effect]:
        """It is its turn to move."""
        if self.state is not TransferState.QUEUED or not self._may(TransferInput.OFFER):
            return []
        return self._open()

    def decline(self) -> list[Effect]:
        """We do not want it."""
        if not self._may(TransferInput.DECLINE):
            return []
        return [SendMessage(Error(603, about="OFFER", id=self.id)), Forget(), TransferChanged()]

    def offered_again(self, offer: AnyOffer) -> list[Effect]:
        """They offer it once more: after a break, or because it has changed."""
        if self.state is TransferState.CANCELLED:
            return [SendMessage(Cancel(self.id, "OFFER"))]
        if self.state is TransferState.DONE:
            return [SendMessage(OfferAck(self.id, self.offer.size, self.sha256))]
        if self.state in ENDED:
            return [SendMessage(Error(603, about="OFFER", id=self.id))]
        changed = offer != self.offer
        self._useless |= not same_content(offer, self.offer)
        self.offer = offer
        note = "it has changed and comes anew" if changed else ""
        if not self.agreed:
            return [TransferChanged(note)] if changed else []
        if changed:
            self.sha256 = ""
        if self.state in {TransferState.BROKEN, TransferState.STALLED}:
            self._may(TransferInput.TAKE)
            return [Keep(), TransferChanged(note)]
        if self.state is TransferState.QUEUED:
            return [Keep(), TransferChanged(note)] if changed else []
        self._may(TransferInput.OFFER)
        return [Keep(), *self._open(), TransferChanged(note)]

    def opened(self, there: There) -> list[Effect]:
        """The part is open, and so much is in it; or it is whole already."""
        self._writing = False
        if self.state is not TransferState.CHECKING:
            return []
        self._useless = False
        self.offset = self._written_to = there.offset
        answer = SendMessage(OfferAck(self.id, there.offset, there.sha256))
        if there.path:
            self._may(TransferInput.WHOLE)
            self.path = there.path
            return [answer, Keep(), Release(), TransferChanged(there.path)]
        self._may(TransferInput.CHECKED)
        return [Keep(), answer, TransferChanged()]

    def data(self, offset: int, piece: Piece) -> list[Effect]:
        """A piece of it came."""
        if self.state is not TransferState.MOVING:
            return []
        if offset == 0 and self.offset:
            self._drop()
            self._anew = True
            self.offset = self._written_to = 0
        if offset != self.offset or offset + len(piece) > self.offer.size:
            return self._fail("they sent what does not belong there", 400, "DATA")
        if not piece:
            return []
        self._pieces.append(piece)
        self.offset += len(piece)
        self.pending += len(piece)
        return self._write()

    def done(self, sha256: str) -> list[Effect]:
        """They have sent everything, and this is its hash."""
        if self.state is TransferState.DONE:
            if sha256 != self.sha256:
                return [SendMessage(Error(460, about="DONE", id=self.id))]
            return [Keep((SendMessage(DoneAck(self.id)),))]
        if not self._may(TransferInput.END):
            return []
        self.sha256 = sha256
        return [Keep(), TransferChanged(), *self._write()]

    def written(self) -> list[Effect]:
        """What was to be written is."""
        self._writing = False
        return self._write()

    def finished(self, path: str) -> list[Effect]:
        """It lies at `path`, or, where that is empty, its hash was another."""
        self._writing = False
        if path and self.state in {TransferState.VERIFYING, TransferState.BROKEN}:
            # They forget it when they hear so: not before we know it for good.
            answer: list[Effect] = (
                [SendMessage(DoneAck(self.id))] if self.state is TransferState.VERIFYING else []
            )
            self._may(TransferInput.WHOLE)
            self.path = path
            return [Keep((*answer, TransferChanged(path))), Release()]
        if self.state is not TransferState.VERIFYING:
            return []
        if self._again:
            return [
                SendMessage(Error(460, about="DONE", id=self.id)),
                *self._end(TransferInput.FAIL, "what arrived differs, twice"),
            ]
        self._again = True
        self._may(TransferInput.DIFFERS)
        self.sha256 = ""
        self.offset = self._written_to = 0
        self._anew = True
        return [
            *self._write(),
            Keep(),
            SendMessage(Error(460, about="DONE", id=self.id)),
            TransferChanged("what arrived differs: once more"),
        ]

    def trouble(self, reason: str) -> list[Effect]:
        """It could not be opened or written. What there is stays, and we may accept it again."""
        self._writing = False
        about = "OFFER" if self.state is TransferState.CHECKING else "DATA"
        if not self._may(TransferInput.STALL):
            return []
        self._drop()
        return [
            SendMessage(Error(503, about=about, id=self.id)),
            Release(),
            Keep(),
            TransferChanged(reason),
        ]

    def cancelled(self) -> list[Effect]:
        """They do not send it any more."""
        agreed = self.agreed
        if not self._may(TransferInput.CANCEL):
            return []
        self._drop()
        return [Release(), Keep() if agreed else Forget(), TransferChanged("they cancelled it")]

    def cancel(self) -> list[Effect]:
        """We do not want it any more; what there is stays for a while."""
        if not self._may(TransferInput.CANCEL):
            return []
        self._drop()
        return [Release(), Keep((SendMessage(Cancel(self.id, "OFFER")),)), TransferChanged()]

    def lost(self) -> list[Effect]:
        """The connection is gone. Who has not agreed will be asked again."""
        if not self._may(TransferInput.LOSE):
            return []
        self._drop()
        return [Release(), TransferChanged()]

    # How it follows.

    def _may(self, happened: TransferInput) -> bool:
        after = RECEIVING.get((self.state, happened))
        if after is None:
            return False
        self.state = after
        return True

    def _open(self) -> list[Effect]:
        self._drop()
        self._writing = True
        return [Open(self.offer, self.sha256, self._useless), TransferChanged()]

    def _write(self) -> list[Effect]:
        """What to write next; when all is written and all has come, it is compared."""
        if self._writing or self.state not in {TransferState.MOVING, TransferState.VERIFYING}:
            return []
        if self._pieces or self._anew:
            pieces, anew, offset = tuple(self._pieces), self._anew, self._written_to
            self._pieces.clear()
            self.pending, self._anew, self._writing = 0, False, True
            self._written_to += sum(map(len, pieces))
            return [Write(offset, pieces, anew)]
        if self.state is TransferState.VERIFYING:
            self._writing = True
            return [Finish(self.sha256)]
        return []

    def _drop(self) -> None:
        """What came and was not written is of no use any more."""
        self._pieces.clear()
        self.pending, self._anew = 0, False

    def _fail(self, text: str, status: int, about: str) -> list[Effect]:
        return [
            SendMessage(Error(status, about=about, id=self.id)),
            *self._end(TransferInput.FAIL, text),
        ]

    def _end(self, how: TransferInput, text: str) -> list[Effect]:
        if not self._may(how):
            return []
        self._drop()
        return [Discard(), Forget(), TransferChanged(text)]
