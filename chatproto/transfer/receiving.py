"""Receive one file or folder: react to the peer's messages and to each finished write."""

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

    `digest`: hash of the whole file, or "" until the sender has sent it. `hash`: function that the part
    was begun with, or "". `agreed`: True after the user has accepted; repeated offers need no answer.
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
        """Resume the transfer of `record`, or create a new one from its offer.

        Args: hashes: hash functions besides SHA-256 that both ends support.
        """
        super().__init__(context, number, record.id, record.offer, record.state, record.path)
        self.list_bytes = list_bytes(record.offer.files)
        """Bytes of memory that a folder's list is estimated to take; counted until the offer is accepted."""
        self.unsaved = False
        """True if the record must be written, with the next disk job or by `save`."""
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
        """Folder, and the name chosen in it; "" before one is chosen."""
        return self._folder, self._files.local

    def receive_to(self, folder: Path, local: str = "") -> None:
        """Receive into `folder`; `local`: name of a part there to resume, or ""."""
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

    # Inputs.

    def accept(self) -> None:
        """Accept the offer, or resume a broken or stalled transfer."""
        if self._go(TransferInput.TAKE):
            self.agreed = self.unsaved = True

    def start(self) -> None:
        """Start a queued transfer: fewer than the allowed number are moving."""
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
        """Handle DATA: queue `piece` for the disk; offset 0 starts the file over."""
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
        """Handle DONE: everything was sent, and `digest` is the hash of the whole file."""
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
        """Cancel on the user's behalf; the part received so far is stored for a while."""
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

    # Results of disk jobs.

    def _opened(self, there: There) -> None:
        """Send OFFERACK with the size of the opened part, or of the file if it is complete already."""
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
        """Handle the end of the final check; `result` is that of `_finish`."""
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
        """Stall after a failed open or write; the part is stored for a retry.

        Fail if the disk has lost data: the part has been removed.
        """
        self._writing = False
        about = "OFFER" if self.state is TransferState.CHECKING else "DATA"
        if isinstance(error, DataLost):
            self._fail(str(error), Error(500, about="DATA", id=self.id))
        elif self._go(TransferInput.STALL, str(error)):
            self._context.send(Error(503, about=about, id=self.id))
            self._release()
            self.unsaved = True

    # Internal.

    def _answer_at_end(self) -> None:
        """Answer the repeated OFFER of a transfer that has ended here."""
        if self.state is TransferState.CANCELLED:
            self._context.send(Cancel(self.id, "OFFER"))
        elif self.state is not TransferState.DONE:
            self._context.send(Error(603, about="OFFER", id=self.id))
        elif function_of(self.digest) in (SHA_256, *self._hashes):
            self._context.send(OfferAck(self.id, self.offer.size, **digest_values(self.digest)))
        else:
            self._context.send(DoneAck(self.id))  # the sender no longer supports the hash function

    def _open(self) -> None:
        """Open the part and hash its data."""
        self._drop()
        self._writing = True
        self.hash = choose(self.hash, self._hashes)
        if function_of(self.digest) != self.hash:
            self.digest = ""
        self.unsaved = False
        job = partial(self._open_part, self._files, self.record(), self._useless)
        self._disk.do(job, self._opened, self._failed)

    def _write(self) -> None:
        """Write the queued pieces; once all are written and DONE was received, check the hash."""
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
        """Receive all data again, because their hash differs from that of DONE; fail the second time."""
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

    # Disk jobs, run in threads.

    def _save(self, sink: Sink, record: Record) -> None:
        # The sink may have chosen the name after the record was made.
        self._context.records.save(replace(record, local=sink.local))

    def _open_part(self, sink: Sink, record: Record, useless: bool) -> There:
        """Open the part; its name is recorded before the file is created, so that no part is left over."""
        chosen = partial(self._save, sink, record)
        return sink.begin(record.offer, record.hash, record.digest, useless, chosen)

    def _finish(self, sink: Sink, record: Record) -> tuple[str, OSError | None]:
        """Rename the file if its hash is right.

        The hash is recorded first, so that a renamed file is found after a crash. The path is recorded
        afterwards, because the sender forgets the file after DONEACK. Returns: the path, or "" if the hash
        is wrong; and the error if a record was not written.
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
