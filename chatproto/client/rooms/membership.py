"""Membership in one room: messages arrive once and in order, also across lost connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container

from chatproto.client.context import Context
from chatproto.client.events import MessageReceived, Notice, Sent, Uncertain, Undelivered
from chatproto.client.requests import AskedPart, telling
from chatproto.client.rooms.room_log import Absence
from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.directory.room_client import RoomClient, RoomPage
from chatproto.net.dates import moment_of
from chatproto.wire.actions import marked, split_mark
from chatproto.wire.bcp2_rooms import JoinAck, Said
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import CONNECTION_TO_SERVER_LOST, MUTED, ROOM_NOT_STORED, Cause

UNKNOWN = 404
"""Status if the server no longer has the requested number, or we are not in the room."""

MISSED = 20_000
"""Most messages of a room that are requested after a lost connection."""
NOT_SAID = {403: MUTED, 503: ROOM_NOT_STORED}
"""Why the server refused a message, by status."""


class Membership:
    """Send and receive in the room `name`, whose key is `secret`.

    Args: client: asks the server. keep: called with each message before it is shown. settled: called when
    there may be room for more messages in flight. absence: since an earlier run that was in the room.
    others: ids of members whose key is not the pinned one.

    Numbers only rise, and SAYACK and SAID follow the one order of the room. So the highest number shown
    tells which messages were missed during a break. A message of ours without SAYACK is in the history
    or was not accepted: once JOIN is answered, the server takes nothing from the earlier connection.
    """

    def __init__(
        self,
        context: Context,
        client: RoomClient,
        keep: Callable[[Said], None],
        settled: Callable[[], None],
        name: str,
        secret: str = "",
        absence: Absence | None = None,
        others: Container[str] = (),
    ) -> None:
        self._others = others
        self.name = name
        self.secret = secret
        self.topic = ""
        self.role = "member"
        self.count = 0
        self.member_ids: set[str] = set()
        """Ids of the members that the server has named; at most `room_members`."""
        self.entered = False
        """True once the JOIN on this connection was answered."""
        self.entering = False
        """True once JOIN was sent on this connection."""
        self.joined = False
        """True once the room has been joined, on any connection."""
        self.told = False
        """True once the user was notified of the JOIN."""
        self.gone = False
        """True after we have left or were removed."""
        self.waiting: deque[str] = deque()
        """Queued lines that are not sent yet."""
        self.flying: deque[str] = deque()
        """Lines sent on this connection or the last one that are not confirmed."""
        self.parts: deque[AskedPart | None] = deque()
        """Request part of each line in `flying`, then of each in `waiting`; None without a request."""
        self._context = context
        self._client = client
        self._keep = keep
        self._settled = settled
        self._absence = absence  # until its lines were shown
        # Highest number that was shown.
        self._seen: int | None = absence.since if absence is not None else None
        self._inside = False  # joined and caught up: lines are sent and shown at once
        self._early: deque[Said] = deque(maxlen=context.limits.history_page)
        self._connection = 0  # counts connections

    @property
    def unsent(self) -> int:
        """Number of our messages that are not confirmed."""
        return len(self.waiting) + len(self.flying)

    async def enter(self) -> JoinAck:
        """Join the room. Raises ServerRefused, ServerUnreachable."""
        this = self._connection
        self.entering = True
        ack = await self._client.join(self.name, self.secret)
        self._check(this)
        self.entered = self.joined = True
        self.topic, self.role, self.count = ack.topic, ack.role, ack.count
        self.member_ids = {one.id for one in ack.members}
        return ack

    async def catch_up(self, last: int) -> None:
        """Show the missed messages after a JOIN; `last` is the number of the room's last message.

        Raises: ServerRefused, ServerUnreachable.
        """
        if self._absence is not None and self._absence.since > last:
            self._seen = self._absence = None  # the logged lines are of a room at another server
        if self._seen is not None and last != self._seen:
            await self._ask_for_missed(last)
        self._tell_absence()
        self._seen = max(self._seen or 0, last)
        while self.flying:  # these did not arrive: send them again
            self.waiting.appendleft(self.flying.pop())
        self._inside = True
        while self._early:
            self._receive(self._early.popleft())

    def lost(self) -> None:
        """Handle the end of the connection to the server."""
        self._connection += 1
        self.entered = self.entering = self._inside = False
        self._early.clear()

    @property
    def is_away(self) -> bool:
        """Return True if the room cannot be reached now and will be joined again."""
        return self.joined and not self.entering and not self.gone

    def end_queued(self) -> None:
        """End the requests of all unconfirmed lines as queued: they are kept until the next JOIN."""
        for part in self.parts:
            if part is not None:
                part.end("queued")

    def leave(self, reason: str) -> None:
        """Leave the room; report queued messages as undelivered."""
        self.gone = True
        self._inside = False
        while self.waiting:
            self.undelivered(self.waiting.popleft(), reason, len(self.flying))

    def stop(self, reason: str) -> None:
        """Leave the room for good: the program ends, or the server is not retried."""
        self.leave(reason)
        while self.flying:
            self._uncertain(self.flying.popleft())

    def undelivered(self, text: str, reason: str, index: int = 0) -> None:
        """Report that `text` was not sent; `index`: position of its part in `parts`."""
        with telling(self._take_part(index), fails=reason):
            self._context.publish(Undelivered(self.name, reason, text=text))

    def _uncertain(self, text: str) -> None:
        with telling(self._take_part(), "uncertain"):
            self._context.publish(Uncertain(self.name, None, text))

    def _take_part(self, index: int = 0) -> AskedPart | None:
        """Remove and return the request part at `index` of `parts`."""
        if index >= len(self.parts):
            return None
        part = self.parts[index]
        del self.parts[index]
        return part

    def member_entered(self, client_id: str) -> None:
        """Add a new member."""
        self.count += 1
        if len(self.member_ids) < self._context.limits.room_members:
            self.member_ids.add(client_id)

    def member_left(self, client_id: str) -> None:
        """Remove a member."""
        self.count = max(1, self.count - 1)
        self.member_ids.discard(client_id)

    def receive(self, said: Said) -> None:
        """Handle SAID: a message in the room."""
        if self._inside:
            self._receive(said)
        elif self.entered:
            self._early.append(said)

    def takes(self) -> bool:
        """Return True if a queued message can be sent now."""
        return self._inside and bool(self.waiting)

    async def speak(self) -> None:
        """Send the oldest queued line."""
        this, text = self._connection, self.waiting.popleft()
        self.flying.append(text)
        try:
            ack = await self._client.say(self.name, text)
        except ServerUnreachable:
            # After a JOIN the history tells whether it arrived, but not if we have left meanwhile.
            if self.gone and text in self.flying:
                self.flying.remove(text)
                self._uncertain(text)
        except (ServerRefused, LocalError) as error:
            if this == self._connection:
                self.flying.remove(text)
                says = NOT_SAID.get(error.status or 0)
                reason = says() if says is not None else Cause(error.reason, str(error))
                self.undelivered(text, reason)
        else:
            if this == self._connection:
                self.flying.remove(text)
                said, kind = split_mark(text)
                mine = Said(
                    self.name, self._context.settings.client_id, ack.id, ack.date, said, kind=kind
                )
                self._tell_sent(mine)
        self._settled()

    async def _ask_for_missed(self, last: int) -> None:
        assert self._seen is not None
        this, after, more, count = self._connection, self._seen, True, 0
        paging = self._client.paging()
        while more:
            try:
                page = await self._client.history(self.name, after=after)
            except ServerRefused as error:
                if error.status != UNKNOWN:
                    raise
                page = await self._latest(last, this)
            self._check(this)
            for said in page.said:
                self._receive(said, history=True)
            more = page.more and bool(page.said) and page.said[-1].id > after
            after = page.said[-1].id if page.said else after
            count += len(page.said)
            if more and (paging.is_complete or count >= MISSED):
                self._tell_missing()
                return

    async def _latest(self, last: int, this: int) -> RoomPage:
        """Show the latest messages and a notice, because the server has dropped those after our last one."""
        page = await self._client.history(self.name)
        self._check(this)
        assert self._seen is not None
        self._seen = min(self._seen, last)
        for said in page.said:
            self._receive(said, history=True)
        self._tell_missing()
        return RoomPage((), False)

    def _tell_missing(self) -> None:
        """Report that messages may be missing; our unconfirmed ones may be among them."""
        self._context.publish(Notice(f"some messages in {self.name} may be missing"))
        while self.flying:
            self._uncertain(self.flying.popleft())

    def _tell_absence(self) -> None:
        absence, self._absence = self._absence, None
        for event in absence.events(self.name) if absence is not None else ():
            self._context.publish(event)

    def _receive(self, said: Said, history: bool = False) -> None:
        assert self._seen is not None
        if said.id <= self._seen:
            return
        text = marked(said.text, said.kind)
        if history and said.sender == self._context.settings.client_id and text in self.flying:
            self.flying.remove(text)
            self._tell_sent(said)
            return
        self._seen = said.id
        if self._absence is not None and self._absence.is_known(said):
            return
        event = MessageReceived(
            said.sender,
            text,
            said.id,
            room=self.name,
            history=history or None,
            said=moment_of(said.date),
            missed=history or None,
            other_key=(not history and said.sender in self._others) or None,
        )
        self._keep(said)
        if self._absence is not None:
            self._absence.add(event)
        else:
            self._context.publish(event)

    def _tell_sent(self, said: Said) -> None:
        self._seen = max(self._seen or 0, said.id)
        text = marked(said.text, said.kind)
        event = Sent(text, said.id, room=self.name, said=moment_of(said.date))
        with telling(self._take_part(), "delivered"):
            self._keep(said)
            self._context.publish(event)

    def _check(self, this: int) -> None:
        """Raise ServerUnreachable if the answer came from an earlier connection, or we have left."""
        if this != self._connection or self.gone:
            raise ServerUnreachable(CONNECTION_TO_SERVER_LOST())
