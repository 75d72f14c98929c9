"""All transfers with one peer: messages in both directions, and limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path

from chatproto.net.rate_limiter import RateLimiter
from chatproto.transfer.context import (
    DiskWorker,
    SerialQueue,
    TransferContext,
    TransferOwner,
)
from chatproto.transfer.hashes import OWN
from chatproto.transfer.offer import FileOffer, from_wire, list_bytes, same_content
from chatproto.transfer.receiving import Receiving
from chatproto.transfer.records import Record, Records
from chatproto.transfer.sending import Sending
from chatproto.transfer.sources import Found, find
from chatproto.transfer.state import ACTIVE, ENDED, OPEN, TransferState
from chatproto.wire import bcp2_files as wire
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import (
    FOLDER_STAYS,
    NO_TRANSFER,
    NOT_ACCEPTABLE,
    NOT_DECLINABLE,
    OFFER_UNANSWERED,
    TRANSFER_ENDED,
    Reason,
)

OFFERS = 32
"""Transfers per peer and direction that are offered or moving, broken ones not counted."""
OFFER_WAIT = 7 * 86400.0
"""Seconds after which an unanswered offer is cancelled."""
OFFERS_BYTES = 2 * 1024 * 1024
"""Bytes of the file lists of unanswered folder offers, per peer."""
TRANSFERS = 8
"""Transfers that move at once, per peer and direction."""
UNWRITTEN = 1024 * 1024
"""Received bytes per peer, not yet passed to the disk, at which reading pauses."""

ANSWERS = 64
"""Queued answers at which reading pauses, so that a peer that does not read cannot fill the memory."""
FEW_FILES = 50
"""Files of a folder up to which names are made safe at once; longer lists use a thread."""
OFFERED_OR_SENT = OPEN - {TransferState.QUEUED, TransferState.BROKEN}
"""States of outgoing transfers that count towards `OFFERS`."""
OLD = 8
"""Broken or ended transfers per peer that are remembered, as a multiple of `OFFERS`."""


class Transfers:
    """All transfers with the owner of `key`; outlives each connection.

    `downloads`: folder for received files. `kept`: stored records. `limiter`: rate limit for sending.
    `room`: returns the bytes that lists of unanswered folder offers of all peers may still take.
    `home`: home folder, whose secrets are never sent. `hashes`: supported functions besides SHA-256.

    The owner calls `resumed` when a session is open, then forwards each message. It sends the results
    of `pull` whenever the connection takes more and no chat message is queued.
    """

    def __init__(
        self,
        owner: TransferOwner,
        worker: DiskWorker,
        records: Records,
        limits: ClientLimits,
        key: str,
        downloads: Path,
        kept: Iterable[Record],
        limiter: RateLimiter,
        room: Callable[[], int],
        home: Path,
        hashes: tuple[str, ...] = OWN,
    ) -> None:
        self._context = TransferContext(owner, worker, records, limits, key, self._settle, hashes)
        self._finding = SerialQueue(self._context)
        self._downloads = downloads
        self._limiter = limiter
        self._sending: dict[int, Sending] = {}
        self._receiving: dict[int, Receiving] = {}
        self._over: dict[int, Receiving] = {}  # complete, or cancelled
        self._named: dict[int, wire.Offer] = {}  # offers whose names a thread is making safe
        self._room = room
        self._home = home
        self._turns = deque[Sending]()
        """Outgoing transfers in the order in which they may send their next chunk."""
        self._again: set[int] = set()
        self._held = False
        self._last = 0
        for record in kept:
            self._restore(record)

    # Commands of the user.

    def offer(self, paths: Iterable[Path], now: float) -> None:
        """Offer files and folders in this order, and report each failure to the owner.

        Without a connection they are offered on the next one.
        """
        self._context.now = now
        for path in paths:
            # In the context of the caller, so that the first report of it is attributed to the request.
            asked = copy_context()
            self._finding.do(
                partial(find, path, self._context.limits, self._home),
                partial(asked.run, partial(self._found, str(path))),
                partial(asked.run, partial(self._not_found, str(path))),
            )

    def accept(self, number: int, now: float, folder: Path | None = None) -> None:
        """Accept the offer `number`, or retry a stalled transfer. Raises LocalError.

        Args: folder: folder for this file; None: the default.
        """
        self._context.now = now
        one = self._numbered(number)
        if not isinstance(one, Receiving) or one.state not in {
            TransferState.OFFERED,
            TransferState.STALLED,
        }:
            raise LocalError(400, NOT_ACCEPTABLE(number=number))
        if folder is not None and folder != one.place[0]:
            if one.place[1]:
                raise LocalError(400, FOLDER_STAYS(number=number, folder=one.place[0]))
            one.receive_to(folder)
        if one.state is TransferState.OFFERED:
            self._take_over(one, anywhere=folder is None)
        one.accept()
        if not self._context.connected:
            one.lost()
        self._settle()

    def decline(self, number: int) -> None:
        """Decline the offer `number`. Raises LocalError 400."""
        one = self._numbered(number)
        if not isinstance(one, Receiving) or one.state is not TransferState.OFFERED:
            raise LocalError(400, NOT_DECLINABLE(number=number))
        one.decline()
        self._settle()

    def cancel(self, number: int, now: float) -> None:
        """Cancel a transfer in either direction; its part is left for `KEEP_PARTS`. Raises LocalError 400."""
        self._context.now = now
        one = self._numbered(number)
        if one.state in ENDED:
            raise LocalError(400, TRANSFER_ENDED(number=number))
        one.cancel()
        self._settle()

    def give_up_unanswered(self, now: float) -> None:
        """Cancel offers that were sent on this connection and not answered within `OFFER_WAIT`."""
        self._context.now = now
        before = now - OFFER_WAIT
        for one in tuple(self._sending.values()):
            if one.state is TransferState.OFFERED and one.offered_at <= before:
                one.cancel(OFFER_UNANSWERED())
        self._settle()

    # Events of the connection.

    def resumed(self, now: float) -> None:
        """Handle an open session: offer interrupted transfers again."""
        self._context.now = now
        self._context.connected = self._context.changed = True
        for one in tuple(self._sending.values()):
            if one.state is TransferState.BROKEN:
                self._again.add(one.id)
            elif one.state is TransferState.CANCELLED and not one.forgotten:
                self._context.send(wire.Cancel(one.id))
                one.forget()
        self._settle()

    def lost(self) -> None:
        """Handle the loss of the session."""
        self._context.connected = False
        self._context.waiting.clear()
        self._again.clear()
        self._named.clear()
        for one in self._all():
            one.lost()
        self._settle()

    def message(self, message: Bcp2Message, now: float) -> bool:
        """Handle a message of the peer; return False if it is not about files."""
        self._context.now = now
        match message:
            case wire.Offer():
                self._offered(message)
            case wire.Data():
                self.piece(message)
                return True
            case wire.Done(id):
                if (incoming := self._known(id)) is not None:
                    incoming.done(wire.digest_of(message))
                else:
                    self._context.send(Error(400, about="DONE", id=id))
            case wire.Cancel(id, ""):
                self._named.pop(id, None)
                if (incoming := self._receiving.get(id)) is not None:
                    incoming.cancelled()
            case wire.Cancel(id) | wire.OfferAck(id) | wire.DoneAck(id):
                self._answered(message, id)
            case Error(about="OFFER" | "DATA" | "DONE", id=int() as id):
                self._answered(message, id)
            case _:
                return False
        self._settle()
        return True

    def piece(self, piece: wire.Data) -> None:
        """Handle DATA, the most frequent message, without the dispatch of `message` and without the time."""
        incoming = self._receiving.get(piece.id)
        if incoming is not None:
            incoming.data(piece.offset, piece.data)
            if self._context.unwritten >= UNWRITTEN:
                self._hold()
            if incoming.state is TransferState.MOVING:
                return
        self._settle()

    def pull(self, now: float) -> Bcp2Message | None:
        """Return the next message, at most one chunk; None if there is none, or not yet (see `wait`)."""
        self._context.now = now
        if self._context.waiting:
            message = self._context.waiting.popleft()
            if self._held:
                self._hold()
            return message
        if not (self._turns and self._context.connected) or self._limiter.wait(now):
            return None
        for _ in range(len(self._turns)):
            self._turns.rotate(-1)
            if (piece := self._turns[-1].pull()) is not None:
                if isinstance(piece, wire.Data):
                    self._limiter.take(now, len(piece.data))
                return piece
        return None

    def wait(self, now: float) -> float | None:
        """Return the seconds until `pull` has a message: 0 for now, None until `transfer_wake` is called."""
        if self._context.waiting:
            return 0.0
        if self._context.connected and any(one.ready for one in self._turns):
            return self._limiter.wait(now)
        return None

    # Queries.

    def listing(self, now: float) -> list[Sending | Receiving]:
        """Return the transfers that have not ended, sorted by number, with their progress at `now`."""
        self._context.now = now
        found = [one for one in self._all() if one.state in OPEN]
        for one in found:
            if one.state is TransferState.MOVING:
                one.progress.at(now, one.offset)
        return sorted(found, key=lambda one: one.number)

    @property
    def moving(self) -> bool:
        """True if any transfer is moving."""
        return any(one.state in ACTIVE for one in self._all())

    # Internal.

    def _all(self) -> list[Sending | Receiving]:
        return [*self._sending.values(), *self._receiving.values(), *self._over.values()]

    def _known(self, id: int) -> Receiving | None:
        return self._receiving.get(id) or self._over.get(id)

    def _numbered(self, number: int) -> Sending | Receiving:
        for one in self._all():
            if one.number == number:
                return one
        raise LocalError(400, NO_TRANSFER(number=number), Reason.MALFORMED)

    def _restore(self, record: Record) -> None:
        state = record.state if record.state in ENDED else TransferState.BROKEN
        number = self._context.owner.transfer_number()
        if record.found is not None:
            self._send(Sending(self._context, number, record.id, record.found, state))
            return
        known = self._over if state in ENDED else self._receiving
        known[record.id] = Receiving(self._context, number, replace(record, state=state))

    def _send(self, one: Sending) -> None:
        self._sending[one.id] = one
        self._turns.append(one)

    def _not_found(self, path: str, error: BaseException) -> None:
        self._context.owner.transfer_trouble(str(error), path)

    def _found(self, path: str, found: Found) -> None:
        for other in self._sending.values():
            if other.found.path == found.path and other.state in OPEN:
                text = f"{found.offer.name} is being sent already, as transfer {other.number}"
                self._context.owner.transfer_trouble(text, path)
                return
        # Grows with the clock, so that no id is used twice, even if the home folder was lost.
        id = self._last = max(int(self._context.now * 1000), self._last, *self._sending, 0) + 1
        one = Sending(self._context, self._context.owner.transfer_number(), id, found)
        self._send(one)
        what = "link or device" if found.left_out == 1 else "links and devices"
        left_out = f"without {found.left_out} {what}"
        one.keep()
        one.tell(left_out if found.left_out else "")

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the file lists of folder offers that are not accepted, or not examined yet."""
        named = sum(list_bytes(one.files) for one in self._named.values())
        return named + sum(one.list_bytes for one in self._receiving.values() if not one.agreed)

    def _offered(self, message: wire.Offer) -> None:
        """Examine an offer; a long list is examined in a thread, since it can take seconds."""
        if len(message.files) <= FEW_FILES:
            try:
                self._looked_at(message, from_wire(message))
            except RemoteError as error:
                self._looked_at(message, error)
        elif self._has_room(message):
            self._named[message.id] = message
            self._context.worker.do(
                partial(from_wire, message), partial(self._named_safely, message)
            )
        else:
            self._context.send(Error(429, about="OFFER", id=message.id))

    def _named_safely(self, message: wire.Offer, offer: FileOffer | BaseException) -> None:
        if self._named.get(message.id) is not message:
            return  # cancelled, offered again, or the connection was lost
        del self._named[message.id]
        if isinstance(offer, BaseException) and not isinstance(offer, RemoteError):
            raise offer
        self._looked_at(message, offer)
        self._settle()

    def _has_room(self, message: wire.Offer) -> bool:
        """Return True if the list fits the limits; cancel broken offers that were not accepted for it."""
        size = list_bytes(message.files)
        for one in tuple(self._receiving.values()):
            if self.waiting_bytes + size <= OFFERS_BYTES:
                break
            if one.state is TransferState.BROKEN and not one.agreed and one.id != message.id:
                one.cancelled()
        most = max(min(OFFERS_BYTES, self._room()), 0)
        known = self._receiving.get(message.id)
        before = known.list_bytes if known is not None else 0
        full = len(self._named) + len(self._receiving) >= OLD * OFFERS
        return not full and self.waiting_bytes + size - before <= most

    def _looked_at(self, message: wire.Offer, offer: FileOffer | RemoteError) -> None:
        known = self._known(message.id)
        if isinstance(offer, RemoteError):
            self._context.send(Error(offer.status, about="OFFER", id=message.id))
            return
        hashes = tuple(name for name in message.hashes if name in self._context.hashes)
        # An offer that changed after the file was complete is another file.
        other = known is not None and known.state is TransferState.DONE and offer != known.offer
        if known is not None and not other:
            known.offered_again(offer, hashes)
            return
        here = [one.state for one in self._receiving.values()]
        if len(here) - here.count(TransferState.BROKEN) >= OFFERS or len(here) >= OLD * OFFERS:
            self._context.send(Error(429, about="OFFER", id=message.id))
            return
        record = Record(
            self._context.key,
            False,
            message.id,
            TransferState.OFFERED,
            offer,
            folder=str(self._downloads),
        )
        one = Receiving(self._context, self._context.owner.transfer_number(), record, hashes)
        self._receiving[message.id] = one
        self._over.pop(message.id, None)
        if other:
            one.accept()
        else:
            one.tell()

    def _take_over(self, one: Receiving, anywhere: bool) -> None:
        """Continue `one` from the part that a cancelled transfer of the same content left.

        Args: anywhere: in another folder as well.
        """
        for id, other in tuple(self._over.items()):
            if (
                other.state is TransferState.CANCELLED
                and other.place[1]
                and (anywhere or other.place[0] == one.place[0])
                and same_content(other.offer, one.offer)
            ):
                one.receive_to(*other.place)
                other.forget()
                del self._over[id]
                return

    def _answered(self, message: Bcp2Message, id: int) -> None:
        one = self._sending.get(id)
        if one is None:
            if isinstance(message, wire.OfferAck):
                self._context.send(wire.Cancel(id))
            return
        match message:
            case wire.OfferAck(_, offset):
                one.taken(offset, wire.digest_of(message))
            case wire.DoneAck():
                one.stored()
            case wire.Cancel():
                one.cancelled()
            case Error(status, about=about):
                one.refused(about, status)

    def _settle(self) -> None:
        """Start transfers that may start, and remove ended ones; called after each change."""
        context = self._context
        if context.changed:
            if self._sending:
                self._advance_sending()
            if self._receiving or self._over:
                self._advance_receiving()
            context.changed = False
            if context.waiting or any(one.ready for one in self._turns):
                context.owner.transfer_wake()
        if self._held or len(context.waiting) >= ANSWERS:
            self._hold()

    def _advance_sending(self) -> None:
        """Remove ended transfers, and offer those that may be offered now."""
        may_offer = self._context.connected
        room = OFFERS - sum(one.state in OFFERED_OR_SENT for one in self._sending.values())
        for id, one in tuple(self._sending.items()):
            may_offer = may_offer and one.kept  # in order, and only those that a restart resumes
            if one.state in ENDED:
                if one in self._turns:
                    self._turns.remove(one)
                if one.forgotten:
                    self._sending.pop(id, None)
            elif (
                may_offer and room > 0 and (one.state is TransferState.QUEUED or id in self._again)
            ):
                self._again.discard(id)
                one.offer_now()
                room -= 1

    def _advance_receiving(self) -> None:
        """Remove ended transfers, and start those that may start now."""
        context = self._context
        room = TRANSFERS - sum(one.state in ACTIVE for one in self._receiving.values())
        for id, one in tuple(self._receiving.items()):
            if one.state is TransferState.QUEUED and context.connected and room > 0:
                one.start()
                room -= 1
            if one.unsaved and not one.forgotten:
                one.save()
            if one.state in ENDED:
                self._receiving.pop(id, None)
                if not one.forgotten:
                    self._over[id] = one
        while len(self._over) > OLD * OFFERS:
            self._over.pop(min(self._over)).forget()

    def _hold(self) -> None:
        """Pause reading while too much is queued for the disk or the peer, until half is left."""
        context, part = self._context, 1 + self._held
        held = context.connected and (
            context.unwritten >= UNWRITTEN // part or len(context.waiting) >= ANSWERS // part
        )
        if held != self._held:
            self._held = held
            context.owner.transfer_hold(held)
