"""Files to and from everybody: which conversation carries them, who is asked, what is shown."""

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
"""Seconds for which a part stays after its transfer was given up."""
TRANSFER_STALL = 120.0
"""Seconds without progress, then the connection of a transfer is made anew."""
OFFERS_BYTES_ALL = 8 * 1024 * 1024
"""Bytes of the unanswered lists of folders of all people whose key is not pinned."""

SHOWN_EVERY = 1.0
"""Seconds between two events of one transfer that goes on."""
SWEPT_EVERY = 3600.0
"""Seconds between two looks for what was given up long ago."""


class Files:
    """Transfers with every peer.

    Args: new_number: returns a number for something that the person may be asked about. home: the
    folder of the client, with a record of each transfer. downloads: the folder for received files.
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
        self._people: dict[str, PersonFiles] = {}
        self._timer: IDelayedCall | None = None
        self._sweep: IDelayedCall | None = None

    def start(self) -> None:
        """Remember what was under way, and forget what was given up long ago."""
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
        """The program ends; what is under way goes on with its next start."""
        for timer in (self._timer, self._sweep):
            if timer is not None:
                timer.cancel()
        self._timer = self._sweep = None
        for person in self._people.values():
            person.closed(over=True)

    def of(self, key: str, name: str) -> PersonFiles:
        """The files between us and `key`, who is called `name`."""
        from chatproto.transfer.transfers import Transfers  # not before the first peer: start-up

        person = self._people.get(key)
        if person is None:
            person = PersonFiles(
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
            self._people[key] = person
        person.name = name
        return person

    def rename(self, key: str | None, name: str) -> None:
        """Tell of transfers with `key`, if there are any, under `name` from now on."""
        if key in self._people:
            self._people[key].name = name

    # What the person asks for.

    def accept(self, number: int, folder: Path | None = None) -> bool:
        """Take what is offered as `number`; False if nothing is. Raises LocalError.

        Args: folder: for this file; None: that for downloads.
        """
        if folder is not None and (wrong := what_is_in_the_way(folder)) is not None:
            raise LocalError(400, FOLDER_IN_THE_WAY(folder=folder, file=wrong))
        now = self._context.clock.seconds()
        return self._each(lambda one: one.transfers.accept(number, now, folder), number)

    def decline(self, number: int) -> bool:
        """Refuse it; False if nothing is offered as `number`. Raises LocalError."""
        return self._each(lambda one: one.transfers.decline(number), number)

    def has(self, number: int) -> bool:
        """Return True if there is a transfer of that number."""
        return self._each(lambda one: None, number)

    def cancel(self, number: int) -> None:
        """End a transfer. Raises LocalError."""
        if not self._each(
            lambda one: one.transfers.cancel(number, self._context.clock.seconds()), number
        ):
            raise LocalError(404, NO_TRANSFER(number=number))

    def offered(self, name: str = "") -> list[int]:
        """The numbers of what waits for an answer, of `name` or of anybody, in their order."""
        return sorted(
            one.number
            for person in self._people.values()
            for one in self._listing(person)
            if not one.outgoing
            and one.state is TransferState.OFFERED
            and name in ("", person.name, person.name.rstrip("?"))
        )

    def list(self) -> None:
        """Show every transfer that has not ended."""
        events = [
            person.event(one, progress=one.state is TransferState.MOVING)
            for person in self._people.values()
            for one in self._listing(person)
        ]
        events.sort(key=lambda event: event.id)
        self._context.publish(
            CommandOutput("files", (), {"files": [event.row() for event in events]})
        )

    @property
    def moving(self) -> bool:
        """True while anything is being sent or received."""
        return any(person.transfers.moving for person in self._people.values())

    # What those of one person need.

    def tell(self, event: Event) -> None:
        """News for the person."""
        self._context.publish(event)
        self._context.settled(None)

    def takes(self, person: PersonFiles) -> bool | None:
        """Return True if offers of `person` are accepted, False if not, None if the user must be asked."""
        accept = self._context.settings.accept
        if accept == "none":
            return False
        if accept == "ask" or not self._trust.knows(person.key):
            return None
        verified = self._trust.security(person.key) == "verified"
        return True if accept == "known" or verified else None

    def watch(self) -> None:
        """Something moves: show from time to time how far it is."""
        if self._timer is None:
            self._timer = self._context.clock.callLater(SHOWN_EVERY, self._show)

    # How it follows.

    def _room_for(self, key: str) -> int:
        """Return the bytes that unanswered lists of folders from the owner of `key` may take.

        `Transfers` has a bound for each peer; those whose key is not pinned share one more.
        """
        if self._trust.knows(key):
            return OFFERS_BYTES_ALL
        others = sum(
            person.transfers.waiting_bytes
            for person in self._people.values()
            if person.key != key and not self._trust.knows(person.key)
        )
        return OFFERS_BYTES_ALL - others

    def _show(self) -> None:
        self._timer = None
        moving = False
        for person in self._people.values():
            listing = self._listing(person)
            for one in listing:
                if one.state is TransferState.MOVING:
                    moving = True
                    person.tell_progress(one)
            person.look_for_stall(listing)
        if moving or self.moving:
            self.watch()

    def _listing(self, person: PersonFiles) -> Sequence[Transfer]:
        return person.transfers.listing(self._context.clock.seconds())

    def _each(self, do: Callable[[PersonFiles], None], number: int) -> bool:
        for person in self._people.values():
            if any(one.number == number for one in self._listing(person)):
                do(person)
                return True
        return False

    def _look_for_old(self) -> None:
        self._sweep = self._context.clock.callLater(SWEPT_EVERY, self._look_for_old)
        keep, now = KEEP_PARTS, self._context.clock.seconds()
        self._worker.do(lambda: self._records.sweep(now, keep), lambda _: None)
        for person in tuple(self._people.values()):
            person.transfers.give_up_unanswered(now)


class PersonFiles:
    """The files with one person, and the connection that carries them, while there is one."""

    def __init__(
        self,
        files: Files,
        context: Context,
        key: str,
        make: Callable[[PersonFiles], Transfers],
    ) -> None:
        self.key = key
        self.name = key
        self.transfer_number = files.new_number
        self._files = files
        self._clock = context.clock
        self._connection: SecurePeerConnection | None = None
        self._over = True  # there is no conversation, nor one that is connected again
        self._later: IDelayedCall | None = None
        self._asked: set[AskedPart] = set()  # of requests to send, without a number yet
        self._parts: dict[int, AskedPart] = {}  # of requests to send, by the transfer's number
        self._moved: dict[int, tuple[int, Monotonic]] = {}  # how far each is, and since when
        self.transfers = make(self)

    def opened(self, connection: SecurePeerConnection) -> None:
        """The conversation is open on `connection`, or goes on there."""
        self.closed(over=False)
        self._connection = connection
        connection.source, connection.sink, connection.files = (
            self._pull,
            self.transfers.piece,
            self._heard,
        )
        self.transfers.resumed(self._clock.seconds())

    def closed(self, *, over: bool) -> None:
        """Detach from the connection, which no longer carries the conversation.

        Args: over: the conversation has ended. Else it is connected again, and transfers go on by
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
        """Send these files and folders."""
        for path in paths:
            part = take_part()
            if part is not None:
                self._asked.add(part)
            with telling(part):
                self.transfers.offer([path], self._clock.seconds())

    def _heard(self, message: Bcp2Message) -> None:
        self.transfers.message(message, self._clock.seconds())

    def look_for_stall(self, listing: Iterable[Transfer]) -> None:
        """Leave a connection on which a transfer has not moved for `TRANSFER_STALL`.

        The peer is there and sends nothing, or takes nothing: on another connection the transfer goes
        on where it was. While we read nothing ourselves, that is no stall.
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

    # What the transfers tell.

    def transfer_told(self, transfer: Transfer, text: str) -> None:
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
            # Not before this has returned: the offer is not entered yet.
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

    # How it follows.

    def _part_of(self, transfer: Transfer) -> AskedPart | None:
        """Return the part of the request to send that a transfer is: its first news are told in it."""
        part = self._parts.get(transfer.number)
        if part is None and transfer.outgoing and (part := self._take_asked()) is not None:
            self._parts[transfer.number] = part
        return part

    def _take_asked(self) -> AskedPart | None:
        """Return the part in which is told now, if it is a file that is looked for."""
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
        """Tell how far a transfer is."""
        with telling(self._parts.get(transfer.number)):
            self._files.tell(self.event(transfer, progress=True))

    def event(
        self, transfer: Transfer, text: str = "", *, asked: bool = False, progress: bool = False
    ) -> FileChanged:
        """Describe `transfer` for the person.

        Args: text: one sentence that is told with it. asked: the person must say yes or no. progress:
        with its rate, in bytes a second, and the seconds left.
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
            pass  # it has ended meanwhile

    def _pull(self) -> Bcp2Message | None:
        now = self._clock.seconds()
        message = self.transfers.pull(now)
        if message is None and self._later is None:
            wait = self.transfers.wait(now)
            if wait:
                self._later = self._clock.callLater(wait, self._go_on)
        return message

    def _go_on(self) -> None:
        self._later = None
        self.transfer_wake()


def _code(state: TransferState, text: str) -> Reason | None:
    """Return why a transfer has ended or does not go on."""
    match state:
        case TransferState.DECLINED:
            return Reason.DECLINED
        case TransferState.CANCELLED:
            return Reason.CANCELLED
        case TransferState.FAILED | TransferState.STALLED:
            return reason_of(text, Reason.FILE_TROUBLE)
    return None
