"""File transfers with all peers: their connections, the questions to the user, and their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from chatproto.client.context import Context
from chatproto.client.events import CommandOutput, Event, Failed, FileChanged
from chatproto.client.requests import AskedPart, current, take_part, telling
from chatproto.client.trust_store import TrustStore
from chatproto.net.clock import Monotonic
from chatproto.net.paths import what_is_in_the_way
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.transfer.context import DiskWorker
from chatproto.transfer.rates import byte_rate
from chatproto.transfer.records import Record, Records, of
from chatproto.transfer.sources import RECORDS
from chatproto.transfer.state import ACTIVE, ENDED, TransferState
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import (
    FILE_GOES_ON,
    FOLDER_IN_THE_WAY,
    NO_TRANSFER,
    Cause,
    Reason,
    reason_of,
)

if TYPE_CHECKING:
    from chatproto.transfer.transfer import Transfer
    from chatproto.transfer.transfers import Transfers

KEEP_PARTS = 7 * 86400.0
"""Seconds for which a partial file is kept after its transfer was given up."""
TRANSFER_STALL = 120.0
"""Seconds without progress after which a transfer moves to a new connection."""
OFFERS_BYTES_ALL = 8 * 1024 * 1024
"""Most bytes of unanswered folder lists from all peers whose key is not pinned."""

SHOWN_EVERY = 1.0
"""Seconds between two progress events of one transfer."""
SWEPT_EVERY = 3600.0
"""Seconds between two sweeps of transfers given up long ago."""


class Files:
    """Transfers with every peer.

    Args: new_number: returns a number for a question to the user. home: folder of the client, with a
    record of each transfer. downloads: folder for received files.
    """

    def __init__(
        self,
        context: Context,
        trust: TrustStore,
        new_number: Callable[[], int],
        worker: DiskWorker,
        home: Path,
        downloads: Path,
    ) -> None:
        self._context = context
        self._trust = trust
        self.new_number = new_number
        self._worker = worker
        self._home = home
        self._records = Records(home / RECORDS)
        self._downloads = downloads
        self._limiter = byte_rate(context.settings.rate)
        self._kept: list[Record] = []
        self._peers: dict[str, PeerFiles] = {}
        self._timer: IDelayedCall | None = None
        self._sweep: IDelayedCall | None = None

    def start(self) -> None:
        """Load the records of unfinished transfers, and remove those given up long ago."""
        try:
            now = self._context.clock.seconds()
            self._records.rebase(now)
            self._kept = self._records.sweep(now, KEEP_PARTS)
        except OSError as error:
            self._context.publish(
                Failed(
                    f"the list of transfers cannot be read: {error.strerror}",
                    code=Reason.FILE_TROUBLE,
                )
            )
        for record in self._kept:
            ids = self._trust.ids_of(record.key)
            self.of(record.key, ids[0] if ids else record.key)
        self._look_for_old()

    def stop(self) -> None:
        """Stop, because the program ends; unfinished transfers resume at the next start."""
        for timer in (self._timer, self._sweep):
            if timer is not None:
                timer.cancel()
        self._timer = self._sweep = None
        for peer in self._peers.values():
            peer.closed(over=True)

    def of(self, key: str, name: str) -> PeerFiles:
        """Return the transfers with the owner of `key`, which is called `name`."""
        from chatproto.transfer.transfers import Transfers  # not before the first peer: start-up

        peer = self._peers.get(key)
        if peer is None:
            peer = PeerFiles(
                self,
                self._context,
                key,
                lambda owner: Transfers(
                    owner,
                    self._worker,
                    self._records,
                    self._context.limits,
                    key,
                    self._downloads,
                    of(self._kept, key),
                    self._limiter,
                    partial(self._room_for, key),
                    self._home,
                ),
            )
            self._peers[key] = peer
        peer.name = name
        return peer

    def rename(self, key: str | None, name: str) -> None:
        """Show transfers with `key`, if there are any, under `name` from now on."""
        if key in self._peers:
            self._peers[key].name = name

    # Commands of the user.

    def accept(self, number: int, folder: Path | None = None) -> bool:
        """Accept the offer `number`; return False if there is no such transfer. Raises LocalError.

        Args: folder: for this file; None for the download folder.
        """
        if folder is not None and (wrong := what_is_in_the_way(folder)) is not None:
            raise LocalError(400, FOLDER_IN_THE_WAY(folder=folder, file=wrong))
        now = self._context.clock.seconds()
        return self._each(lambda one: one.transfers.accept(number, now, folder), number)

    def decline(self, number: int) -> bool:
        """Decline the offer `number`; return False if there is no such transfer. Raises LocalError."""
        return self._each(lambda one: one.transfers.decline(number), number)

    def has(self, number: int) -> bool:
        """Return True if there is a transfer of that number."""
        return self._each(lambda one: None, number)

    def cancel(self, number: int) -> None:
        """Cancel a transfer. Raises LocalError."""
        if not self._each(
            lambda one: one.transfers.cancel(number, self._context.clock.seconds()), number
        ):
            raise LocalError(404, NO_TRANSFER(number=number))

    def offered(self, name: str = "") -> list[int]:
        """Return the numbers of unanswered offers, of `name` or of all peers, in order."""
        return sorted(
            one.number
            for peer in self._peers.values()
            for one in self._listing(peer)
            if not one.outgoing
            and one.state is TransferState.OFFERED
            and name in ("", peer.name, peer.name.rstrip("?"))
        )

    def list(self) -> None:
        """Show every transfer that has not ended."""
        events = [
            peer.event(one, progress=one.state is TransferState.MOVING)
            for peer in self._peers.values()
            for one in self._listing(peer)
        ]
        events.sort(key=lambda event: event.id)
        self._context.publish(
            CommandOutput("files", (), {"files": [event.row() for event in events]})
        )

    @property
    def moving(self) -> bool:
        """True while any file is being sent or received."""
        return any(peer.transfers.moving for peer in self._peers.values())

    # For the transfers of one peer.

    def tell(self, event: Event) -> None:
        """Publish an event."""
        self._context.publish(event)
        self._context.settled(None)

    def takes(self, peer: PeerFiles) -> bool | None:
        """Return True if offers of `peer` are accepted, False if not, None if the user must be asked."""
        accept = self._context.settings.accept
        if accept == "none":
            return False
        if accept == "ask" or not self._trust.knows(peer.key):
            return None
        verified = self._trust.security(peer.key) == "verified"
        return True if accept == "known" or verified else None

    def watch(self) -> None:
        """Show progress at intervals, because a transfer is moving."""
        if self._timer is None:
            self._timer = self._context.clock.callLater(SHOWN_EVERY, self._show)

    # Timers and limits.

    def _room_for(self, key: str) -> int:
        """Return how many bytes of unanswered folder lists are allowed from the owner of `key`.

        `Transfers` has a limit per peer; peers whose key is not pinned also share this one.
        """
        if self._trust.knows(key):
            return OFFERS_BYTES_ALL
        others = sum(
            peer.transfers.waiting_bytes
            for peer in self._peers.values()
            if peer.key != key and not self._trust.knows(peer.key)
        )
        return OFFERS_BYTES_ALL - others

    def _show(self) -> None:
        self._timer = None
        moving = False
        for peer in self._peers.values():
            listing = self._listing(peer)
            for one in listing:
                if one.state is TransferState.MOVING:
                    moving = True
                    peer.tell_progress(one)
            peer.look_for_stall(listing)
        if moving or self.moving:
            self.watch()

    def _listing(self, peer: PeerFiles) -> Sequence[Transfer]:
        return peer.transfers.listing(self._context.clock.seconds())

    def _each(self, do: Callable[[PeerFiles], None], number: int) -> bool:
        for peer in self._peers.values():
            if any(one.number == number for one in self._listing(peer)):
                do(peer)
                return True
        return False

    def _look_for_old(self) -> None:
        self._sweep = self._context.clock.callLater(SWEPT_EVERY, self._look_for_old)
        keep, now = KEEP_PARTS, self._context.clock.seconds()
        self._worker.do(lambda: self._records.sweep(now, keep), lambda _: None)
        for peer in tuple(self._peers.values()):
            peer.transfers.give_up_unanswered(now)


class PeerFiles:
    """Transfers with one peer, and the connection that carries them, if there is one."""

    def __init__(
        self,
        files: Files,
        context: Context,
        key: str,
        make: Callable[[PeerFiles], Transfers],
    ) -> None:
        self.key = key
        self.name = key
        self.transfer_number = files.new_number
        self._files = files
        self._clock = context.clock
        self._connection: SecurePeerConnection | None = None
        self._over = True  # True without a conversation, open or reconnecting
        self._later: IDelayedCall | None = None
        self._asked: set[AskedPart] = set()  # request parts of /send without a transfer yet
        self._parts: dict[int, AskedPart] = {}  # request parts of /send, by number of the transfer
        self._moved: dict[int, tuple[int, Monotonic]] = {}  # offset, and since when
        self.transfers = make(self)

    def opened(self, connection: SecurePeerConnection) -> None:
        """Attach to `connection`, on which the conversation is open or resumes."""
        self.closed(over=False)
        self._connection = connection
        connection.source, connection.sink, connection.files = (
            self._pull,
            self.transfers.piece,
            self._received,
        )
        self.transfers.resumed(self._clock.seconds())

    def closed(self, *, over: bool) -> None:
        """Detach from the connection, which no longer carries the conversation.

        Args: over: the conversation has ended. Otherwise it is reconnecting, and transfers resume by
        themselves.
        """
        connection, self._connection = self._connection, None
        ended, self._over = over and not self._over, over
        if connection is None and ended:
            for one in self.transfers.listing(self._clock.seconds()):
                if one.state is TransferState.BROKEN:
                    self._files.tell(self.event(one))
        if connection is not None:
            connection.source = connection.sink = connection.files = None
            connection.hold(False, "files")
            self.transfers.lost()
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def offer(self, paths: Iterable[Path]) -> None:
        """Offer files and folders to the peer."""
        for path in paths:
            part = take_part()
            if part is not None:
                self._asked.add(part)
            with telling(part):
                self.transfers.offer([path], self._clock.seconds())

    def _received(self, message: Bcp2Message) -> None:
        self.transfers.message(message, self._clock.seconds())

    def look_for_stall(self, listing: Iterable[Transfer]) -> None:
        """Drop a connection on which a transfer has not moved for `TRANSFER_STALL`.

        The peer is there but sends or takes nothing; on another connection the transfer resumes at its
        offset. While we have paused reading ourselves, this is no stall.
        """
        now, moved = self._clock.seconds(), dict[int, tuple[int, Monotonic]]()
        for one in listing:
            if one.state is TransferState.MOVING:
                offset, since = self._moved.get(one.number, (-1, now))
                moved[one.number] = one.offset, since if offset == one.offset else now
        self._moved = moved
        connection = self._connection
        if connection is None or connection.held:
            self._moved.clear()
        elif any(now - since >= TRANSFER_STALL for _, since in moved.values()):
            self._moved.clear()
            connection.drop()

    # Called by the transfers.

    def transfer_changed(self, transfer: Transfer, text: str) -> None:
        number, part = transfer.number, self._part_of(transfer)
        is_question = not transfer.outgoing and transfer.state is TransferState.OFFERED and not text
        takes = self._files.takes(self) if is_question else None
        with telling(part):
            self._files.tell(self.event(transfer, text, asked=is_question and takes is None))
        if transfer.state in ENDED and part is not None:
            self._end(transfer, text, part)
        if transfer.state in ACTIVE:
            self._files.watch()
        if takes is not None:
            # Only after this has returned: the offer is not registered yet.
            self._clock.callLater(0, lambda: self._answer(number, takes))

    def transfer_trouble(self, text: str, path: str = "") -> None:
        self._files.tell(Failed(text, command="send", path=path or None, code=Reason.FILE_TROUBLE))
        part = self._take_asked() if path else None
        if part is not None:
            part.fail(Cause(Reason.FILE_TROUBLE, text))

    def transfer_wake(self) -> None:
        if self._connection is not None:
            self._connection.more()

    def transfer_hold(self, held: bool) -> None:
        if self._connection is not None:
            self._connection.hold(held, "files")

    # Request parts and events.

    def _part_of(self, transfer: Transfer) -> AskedPart | None:
        """Return the request part of a transfer: its first events carry it."""
        part = self._parts.get(transfer.number)
        if part is None and transfer.outgoing and (part := self._take_asked()) is not None:
            self._parts[transfer.number] = part
        return part

    def _take_asked(self) -> AskedPart | None:
        """Return the current part if it is one of /send without a transfer yet."""
        part = current()
        if part is None or part not in self._asked:
            return None
        self._asked.remove(part)
        return part

    def _end(self, transfer: Transfer, text: str, part: AskedPart) -> None:
        self._parts.pop(transfer.number, None)
        code = _code(transfer.state, text)
        if code is None:
            part.end("done")
        else:
            part.fail(Cause(code, text))

    def tell_progress(self, transfer: Transfer) -> None:
        """Publish the progress of a transfer."""
        with telling(self._parts.get(transfer.number)):
            self._files.tell(self.event(transfer, progress=True))

    def event(
        self, transfer: Transfer, text: str = "", *, asked: bool = False, progress: bool = False
    ) -> FileChanged:
        """Return the event about `transfer`.

        Args: text: a sentence for the user. asked: the user must accept or decline. progress: include its
        rate in bytes per second and the seconds left.
        """
        offer, state = transfer.offer, transfer.state
        whom = {"to": self.name} if transfer.outgoing else {"from_": self.name}
        waits = self._over and state is TransferState.BROKEN
        reason = FILE_GOES_ON(peer=self.name) if waits else text
        left = transfer.progress.left(offer.size) if progress else None
        return FileChanged(
            id=transfer.number,
            name=offer.name,
            state=state.value,
            offset=transfer.offset,
            size=offer.size,
            path=transfer.path or None,
            files=len(offer.files) or None,
            rate=round(transfer.progress.rate) if progress else None,
            left=round(left, 1) if left is not None else None,
            reason=reason or None,
            code=_code(state, text),
            ask=asked or None,
            progress=progress or None,
            **whom,
        )

    def _answer(self, number: int, takes: bool) -> None:
        try:
            if takes:
                self.transfers.accept(number, self._clock.seconds())
            else:
                self.transfers.decline(number)
        except LocalError:
            pass  # the offer has ended meanwhile

    def _pull(self) -> Bcp2Message | None:
        now = self._clock.seconds()
        message = self.transfers.pull(now)
        if message is None and self._later is None:
            wait = self.transfers.wait(now)
            if wait:
                self._later = self._clock.callLater(wait, self._resume)
        return message

    def _resume(self) -> None:
        self._later = None
        self.transfer_wake()


def _code(state: TransferState, text: str) -> Reason | None:
    """Return why a transfer has ended or is stalled."""
    match state:
        case TransferState.DECLINED:
            return Reason.DECLINED
        case TransferState.CANCELLED:
            return Reason.CANCELLED
        case TransferState.FAILED | TransferState.STALLED:
            return reason_of(text, Reason.FILE_TROUBLE)
    return None
