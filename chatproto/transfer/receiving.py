"""Receive one file or folder: what follows from the peer's messages and from each finished write."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from chatproto.transfer.context import TransferContext
from chatproto.transfer.hashes import SHA_256, choose, function_of
from chatproto.transfer.offer import FileOffer, list_bytes, same_content
from chatproto.transfer.records import Record
from chatproto.transfer.sinks import DataLost, Sink, There
from chatproto.transfer.state import ENDED, OPEN, RECEIVING, TransferInput, TransferState
from chatproto.transfer.transfer import Transfer
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.bcp2_files import Cancel, DoneAck, OfferAck, Piece, digest_values
from chatproto.wire.reasons import (
    CANCELLED_BY_PEER,
    HASH_WRONG_TWICE,
    WRONG_DATA,
)


class Receiving(Transfer):
    """Incoming transfer with its file on the disk.

    `digest`: hash of the whole, once the sender has given it. `hash`: function that the part was begun
    with, or "". `agreed`: the user has accepted it, once and for all.
    """

    outgoing = False
    steps = RECEIVING
    _files: Sink

    def __init__(
        self,
        context: TransferContext,
        number: int,
        record: Record,
        hashes: tuple[str, ...] = (),
    ) -> None:
        """Go on from `record`, or receive what it offers.

        Args: hashes: hash functions besides SHA-256 that both ends have.
        """
        super().__init__(context, number, record.id, record.offer, record.state, record.path)
        self.list_bytes = list_bytes(record.offer.files)
        """Cost of a folder's list while its offer is not accepted."""
        self.unsaved = False
        """The record is to be written: with the next work for the disk, or by `save`."""
        self.offset = record.offer.size if record.path else 0
        self.digest = record.digest
        self.hash = record.hash
        self.agreed = record.state is not TransferState.OFFERED
        self._hashes = hashes
        self.receive_to(Path(record.folder), record.local)
        self._pieces: list[Piece] = []
        self._anew = False
        self._writing = False
        self._again = False
        self._useless = False

    @property
    def place(self) -> tuple[Path, str]:
        """The folder, and the name in it that was chosen, or empty."""
        return self._folder, self._files.local

    def receive_to(self, folder: Path, local: str = "") -> None:
        """Receive into `folder`; `local`: go on from what another transfer has left there."""
        self._folder = folder
        self._files = Sink(folder, local)

    def record(self) -> Record:
        return Record(
            self._context.key,
            False,
            self.id,
            self.state,
            self.offer,
            self._context.now,
            None,
            str(self._folder),
            self._files.local,
            self.digest,
            self.path,
            self.hash,
        )

    # What happens.

    def accept(self) -> None:
        """Accept the offer, or accept it again."""
        if self._go(TransferInput.TAKE):
            self.agreed = self.unsaved = True

    def start(self) -> None:
        """Begin to receive: fewer than the allowed number of transfers are moving."""
        if self.state is TransferState.QUEUED and self._go(TransferInput.OFFER):
            self._open()

    def decline(self) -> None:
        """Decline the offer."""
        self._end(TransferInput.DECLINE, "", Error(603, about="OFFER", id=self.id))

    def offered_again(self, offer: FileOffer, hashes: tuple[str, ...] = ()) -> None:
        """Handle a repeated OFFER: after a lost connection, or because the source has changed."""
        self._hashes = hashes
        if self.state in ENDED:
            self._answer_at_end()
            return
        changed = offer != self.offer
        self._useless |= not same_content(offer, self.offer)
        self.offer = offer
        note = "changed by the sender, starting again" if changed else ""
        if self.agreed:
            if changed:
                self.digest = ""
            if self.state in {TransferState.BROKEN, TransferState.STALLED}:
                self._go(TransferInput.TAKE, note)
            elif self.state is not TransferState.QUEUED:
                self._go(TransferInput.OFFER)
                self._open()
                self.tell(note)
            elif changed:
                self.tell(note)
            else:
                return
            self.unsaved = self._context.changed = True
        elif changed:
            self.tell(note)

    def data(self, offset: int, piece: Piece) -> None:
        """A piece of it came."""
        if self.state is not TransferState.MOVING:
            return
        if offset == 0 and self.offset:
            self._drop()
            self._anew = True
            self.offset = 0
        if offset != self.offset or offset + len(piece) > self.offer.size:
            self._fail(WRONG_DATA(), Error(400, about="DATA", id=self.id))
        elif piece:
            self._pieces.append(piece)
            self.offset += len(piece)
            self._context.unwritten += len(piece)
            self._write()

    def done(self, digest: str) -> None:
        """Handle DONE: everything was sent, and `digest` is the hash of the whole."""
        if self.state is TransferState.DONE:
            if digest != self.digest:
                self._context.send(Error(460, about="DONE", id=self.id))
            else:
                self.save(DoneAck(self.id))
        elif (self.state, TransferInput.END) in RECEIVING and function_of(digest) != self.hash:
            self._fail(WRONG_DATA(), Error(400, about="DONE", id=self.id))
        elif self._go(TransferInput.END):
            self.digest = digest
            self._write()

    def cancelled(self) -> None:
        """Handle the sender's CANCEL."""
        if self._go(TransferInput.CANCEL, CANCELLED_BY_PEER()):
            self._release()
            if self.agreed:
                self.unsaved = True
            else:
                self.forget()

    def cancel(self) -> None:
        """Cancel on the user's behalf; the part received so far is kept for a while."""
        if self._go(TransferInput.CANCEL):
            self._release()
            self.save(Cancel(self.id, "OFFER"))

    def save(self, then: Bcp2Message | None = None) -> None:
        """Write the record to the disk, then send `then`, even if it could not be written."""
        self.unsaved = False

        def saved(result: object) -> None:
            if isinstance(result, BaseException):
                self._unsaved(result)
            if then is not None:
                self._context.send(then)

        self._disk.do(partial(self._save, self._files, self.record()), saved, saved)

    # What the disk has done.

    def _opened(self, there: There) -> None:
        """The part is open, and so much is in it; or it is whole already."""
        self._writing = False
        if self.state is not TransferState.CHECKING:
            return
        self._useless = False
        self._context.send(OfferAck(self.id, there.offset, **digest_values(there.digest)))
        if there.path:
            self.path = there.path
            self.unsaved = True
        step = TransferInput.WHOLE if there.path else TransferInput.CHECKED
        self._go(step, there.path, there.offset)

    def _written(self, _: None) -> None:
        self._writing = False
        self._write()

    def _finished(self, result: tuple[str, OSError | None]) -> None:
        """Handle the end of the final check: where the file is now, or "" if its hash was wrong."""
        path, unsaved = result
        self._writing = False
        if unsaved is not None:
            self._unsaved(unsaved)
        if path:
            verified = self.state is TransferState.VERIFYING
            if verified or self.state is TransferState.BROKEN:
                self.path = path
                self._go(TransferInput.WHOLE, path)
            if verified:
                self._context.send(DoneAck(self.id))
        elif self.state is TransferState.VERIFYING:
            self._differs()

    def _failed(self, error: BaseException) -> None:
        """Stall after a file could not be opened or written; the part is kept for another try.

        Fail if the disk has lost data: the part is gone.
        """
        self._writing = False
        about = "OFFER" if self.state is TransferState.CHECKING else "DATA"
        if isinstance(error, DataLost):
            self._fail(str(error), Error(500, about="DATA", id=self.id))
        elif self._go(TransferInput.STALL, str(error)):
            self._context.send(Error(503, about=about, id=self.id))
            self._release()
            self.unsaved = True

    # How it follows.

    def _answer_at_end(self) -> None:
        """Answer an offer of what has ended here."""
        if self.state is TransferState.CANCELLED:
            self._context.send(Cancel(self.id, "OFFER"))
        elif self.state is not TransferState.DONE:
            self._context.send(Error(603, about="OFFER", id=self.id))
        elif function_of(self.digest) in (SHA_256, *self._hashes):
            self._context.send(OfferAck(self.id, self.offer.size, **digest_values(self.digest)))
        else:
            self._context.send(DoneAck(self.id))  # the sender lost the function since

    def _open(self) -> None:
        """Open the part, and hash what is there."""
        self._drop()
        self._writing = True
        self.hash = choose(self.hash, self._hashes)
        if function_of(self.digest) != self.hash:
            self.digest = ""
        self.unsaved = False
        job = partial(self._open_part, self._files, self.record(), self._useless)
        self._disk.do(job, self._opened, self._failed)

    def _write(self) -> None:
        """Write the next pieces; once all are written and DONE has come, check the hash."""
        if self._writing or self.state not in {TransferState.MOVING, TransferState.VERIFYING}:
            return
        if self._pieces or self._anew:
            pieces, anew = tuple(self._pieces), self._anew
            self._drop()
            self._writing = True
            self._disk.do(partial(self._files.write, pieces, anew), self._written, self._failed)
        elif self.state is TransferState.VERIFYING:
            self._writing = True
            self._disk.do(
                partial(self._finish, self._files, self.record()), self._finished, self._failed
            )

    def _differs(self) -> None:
        """Throw away what has another hash than DONE said, once; then fail."""
        wrong = Error(460, about="DONE", id=self.id)
        if self._again:
            self._fail(HASH_WRONG_TWICE(), wrong)
            return
        self._again = True
        self.digest = ""
        self._go(TransferInput.DIFFERS, "the data arrived damaged, receiving it again", 0)
        self._anew = self.unsaved = True
        self._write()
        self._context.send(wrong)

    def _drop(self) -> None:
        self._context.unwritten -= sum(map(len, self._pieces))
        self._pieces.clear()
        self._anew = False

    def _fail(self, text: str, answer: Error) -> None:
        """Fail because of `text`, answer the sender, and remove the part."""
        if self.state in OPEN:
            self._disk.do(self._files.discard, None, self._unsaved)
            self._end(TransferInput.FAIL, text, answer)

    # In a thread.

    def _save(self, sink: Sink, record: Record) -> None:
        # By now the name may have been chosen.
        self._context.records.save(replace(record, local=sink.local))

    def _open_part(self, sink: Sink, record: Record, useless: bool) -> There:
        """Open the part; its name is recorded before the file exists, so that no part is forgotten."""
        chosen = partial(self._save, sink, record)
        return sink.begin(record.offer, record.hash, record.digest, useless, chosen)

    def _finish(self, sink: Sink, record: Record) -> tuple[str, OSError | None]:
        """Give the file its name if its hash is right.

        The record has the hash before, so that a file that has its name is found by it, and the path
        afterwards: the sender forgets the file once it hears that it is whole. Returns: the path, or "";
        and why a record was not written.
        """
        trouble = None
        try:
            self._save(sink, record)
        except OSError as error:
            trouble = error
        path = sink.finish(record.digest)
        if path:
            try:
                self._save(sink, replace(record, state=TransferState.DONE, path=path))
            except OSError as error:
                trouble = error
        return path, trouble
