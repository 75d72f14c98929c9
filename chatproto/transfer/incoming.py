"""Rules of receiving one file or folder: messages and finished writes in, effects out."""

from __future__ import annotations

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
from chatproto.transfer.hashes import SHA_256, choose, function_of
from chatproto.transfer.offer import AnyOffer, same_content
from chatproto.transfer.sinks import There
from chatproto.transfer.state import ENDED, RECEIVING, TransferInput, TransferState
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, DoneAck, Piece, offer_ack
from chatproto.wire.reasons import (
    CANCELLED_BY_PEER,
    HASH_WRONG_TWICE,
    WRONG_DATA,
    Cause,
    Reason,
)


class IncomingTransfer:
    """Incoming transfer: the rules of receiving one file or folder. Pure; returns effects.

    `id`: the sender's number. `offset`: bytes received. `pending`: bytes received but not yet written.
    `digest`: hash of the whole, once the sender has given it. `path`: where the finished file is.
    `agreed`: the user has accepted it, once and for all. `hash`: function that the part was begun with,
    or "". `hashes`: those besides SHA-256 that both ends have.
    """

    def __init__(
        self,
        id: int,
        offer: AnyOffer,
        state: TransferState = TransferState.OFFERED,
        digest: str = "",
        path: str = "",
        hash: str = "",
        hashes: tuple[str, ...] = (),
    ) -> None:
        self.id = id
        self.offer = offer
        self.state = state
        self.offset = offer.size if path else 0
        self.pending = 0
        self.digest = digest
        self.path = path
        self.hash = hash
        self._hashes = hashes
        self.agreed = state is not TransferState.OFFERED
        self._pieces: list[Piece] = []
        self._written_to = 0
        self._anew = False
        self._writing = False
        self._again = False
        self._useless = False

    # What happens.

    def accept(self) -> list[Effect]:
        """Accept the offer, or accept it again."""
        if not self._may(TransferInput.TAKE):
            return []
        self.agreed = True
        return [Keep(), TransferChanged()]

    def start(self) -> list[Effect]:
        """Begin to receive: fewer than the allowed number of transfers are moving."""
        if self.state is not TransferState.QUEUED or not self._may(TransferInput.OFFER):
            return []
        return self._open()

    def decline(self) -> list[Effect]:
        """Decline the offer."""
        if not self._may(TransferInput.DECLINE):
            return []
        return [SendMessage(Error(603, about="OFFER", id=self.id)), Forget(), TransferChanged()]

    def offered_again(self, offer: AnyOffer, hashes: tuple[str, ...] = ()) -> list[Effect]:
        """Handle a repeated OFFER: after a lost connection, or because the source has changed."""
        self._hashes = hashes
        if self.state is TransferState.CANCELLED:
            return [SendMessage(Cancel(self.id, "OFFER"))]
        if self.state is TransferState.DONE:
            if function_of(self.digest) not in (SHA_256, *hashes):
                return [SendMessage(DoneAck(self.id))]  # the sender lost the function since
            return [SendMessage(offer_ack(self.id, self.offer.size, self.digest))]
        if self.state in ENDED:
            return [SendMessage(Error(603, about="OFFER", id=self.id))]
        changed = offer != self.offer
        self._useless |= not same_content(offer, self.offer)
        self.offer = offer
        note = "changed by the sender, starting again" if changed else ""
        if not self.agreed:
            return [TransferChanged(note)] if changed else []
        if changed:
            self.digest = ""
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
        answer = SendMessage(offer_ack(self.id, there.offset, there.digest))
        if there.path:
            self._may(TransferInput.WHOLE)
            self.path = there.path
            return [answer, Keep(), TransferChanged(there.path)]
        self._may(TransferInput.CHECKED)
        return [answer, TransferChanged()]

    def data(self, offset: int, piece: Piece) -> list[Effect]:
        """A piece of it came."""
        if self.state is not TransferState.MOVING:
            return []
        if offset == 0 and self.offset:
            self._drop()
            self._anew = True
            self.offset = self._written_to = 0
        if offset != self.offset or offset + len(piece) > self.offer.size:
            return self._fail(WRONG_DATA(), 400, "DATA")
        if not piece:
            return []
        self._pieces.append(piece)
        self.offset += len(piece)
        self.pending += len(piece)
        return self._write()

    def done(self, digest: str) -> list[Effect]:
        """Handle DONE: everything was sent, and `digest` is the hash of the whole."""
        if self.state is TransferState.DONE:
            if digest != self.digest:
                return [SendMessage(Error(460, about="DONE", id=self.id))]
            return [Keep((SendMessage(DoneAck(self.id)),))]
        if (self.state, TransferInput.END) in RECEIVING and function_of(digest) != self.hash:
            return self._fail(WRONG_DATA(), 400, "DONE")
        if not self._may(TransferInput.END):
            return []
        self.digest = digest
        return [Keep(), TransferChanged(), *self._write()]

    def written(self) -> list[Effect]:
        """Note that the last piece handed to the disk is written."""
        self._writing = False
        return self._write()

    def finished(self, path: str) -> list[Effect]:
        """Handle the end of the final check.

        Args: path: where the file is now; "" if its hash was wrong.
        """
        self._writing = False
        if path and self.state in {TransferState.VERIFYING, TransferState.BROKEN}:
            # They forget it when they hear so: not before we know it for good.
            answer: list[Effect] = (
                [SendMessage(DoneAck(self.id))] if self.state is TransferState.VERIFYING else []
            )
            self._may(TransferInput.WHOLE)
            self.path = path
            return [Keep((*answer, TransferChanged(path)))]
        if self.state is not TransferState.VERIFYING:
            return []
        if self._again:
            return [
                SendMessage(Error(460, about="DONE", id=self.id)),
                *self._end(TransferInput.FAIL, HASH_WRONG_TWICE()),
            ]
        self._again = True
        self._may(TransferInput.DIFFERS)
        self.digest = ""
        self.offset = self._written_to = 0
        self._anew = True
        return [
            *self._write(),
            Keep(),
            SendMessage(Error(460, about="DONE", id=self.id)),
            TransferChanged("the data arrived damaged, receiving it again"),
        ]

    def trouble(self, reason: str) -> list[Effect]:
        """Stall after a file could not be opened or written; the part is kept for another try."""
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

    def spoiled(self, reason: str) -> list[Effect]:
        """Fail, since the disk has lost data and the part is gone."""
        self._writing = False
        ended = self._end(TransferInput.FAIL, reason)
        return [SendMessage(Error(500, about="DATA", id=self.id)), *ended] if ended else []

    def cancelled(self) -> list[Effect]:
        """Handle the sender's CANCEL."""
        agreed = self.agreed
        if not self._may(TransferInput.CANCEL):
            return []
        self._drop()
        return [Release(), Keep() if agreed else Forget(), TransferChanged(CANCELLED_BY_PEER())]

    def cancel(self) -> list[Effect]:
        """Cancel on the user's behalf; the part received so far is kept for a while."""
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
        self.hash = choose(self.hash, self._hashes)
        if function_of(self.digest) != self.hash:
            self.digest = ""
        return [Open(self.offer, self.hash, self.digest, self._useless), TransferChanged()]

    def _write(self) -> list[Effect]:
        """Write the next pieces; once all are written and DONE has come, check the hash."""
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
            return [Finish(self.digest)]
        return []

    def _drop(self) -> None:
        """Discard pieces that were received and not yet written."""
        self._pieces.clear()
        self.pending, self._anew = 0, False

    def _fail(self, text: str, status: int, about: str) -> list[Effect]:
        return [
            SendMessage(Error(status, about=about, id=self.id)),
            *self._end(TransferInput.FAIL, Cause(Reason.of(status), text)),
        ]

    def _end(self, how: TransferInput, text: str) -> list[Effect]:
        if not self._may(how):
            return []
        self._drop()
        return [Discard(), Forget(), TransferChanged(text)]
