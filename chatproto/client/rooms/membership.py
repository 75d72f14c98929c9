"""Us in one room: each message once and in order, whatever happens to the connection."""

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
"""The server does not know the number that we ask from, or we are not in the room."""

MISSED = 20_000
"""Messages of a room that are asked for after a break."""
NOT_SAID = {403: MUTED, 503: ROOM_NOT_STORED}
"""Why the server did not take what we said, by status."""


class Membership:
    """Send and receive in the room `name`, whose key is `secret`.

    Args: client: asks the server. keep: called with each message before it is told. settled: called when
    there may be room for more messages. absence: since an earlier start, when we were in the room.
    others: ids that another key has than the pinned one.

    Numbers only rise, and SAYACK and SAIDs come in the room's one order. So the highest number that was
    told says what is missing after a break, and what we said and got no SAYACK for is in the history or
    was not said: once JOIN is answered, the server takes nothing more from the connection before.
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
        self.people: set[str] = set()
        """Ids of members, as far as the server has named them; at most `room_members`."""
        self.entered = False
        """The JOIN of this connection was answered."""
        self.entering = False
        """True if it was asked for, or we are in."""
        self.joined = False
        """We have been in it."""
        self.told = False
        """The person was told that we are in it."""
        self.gone = False
        """We have left, or were put out."""
        self.waiting: deque[str] = deque()
        """Lines that are to be said."""
        self.flying: deque[str] = deque()
        """Lines said on this connection or the last one that are not known to have arrived."""
        self.parts: deque[AskedPart | None] = deque()
        """Of whose requests what waits and flies is, in its order."""
        self._context = context
        self._client = client
        self._keep = keep
        self._settled = settled
        self._absence = absence  # until its lines were told
        # The highest number that was told.
        self._seen: int | None = absence.since if absence is not None else None
        self._inside = False  # and caught up: said and heard as it comes
        self._early: deque[Said] = deque(maxlen=context.limits.history_page)
        self._connection = 0  # counts them

    @property
    def unsent(self) -> int:
        """Number of our messages not known to have arrived."""
        return len(self.waiting) + len(self.flying)

    async def enter(self) -> JoinAck:
        """Join, and tell what we missed. Raises Refused, Unreachable."""
        this = self._connection
        self.entering = True
        ack = await self._client.join(self.name, self.secret)
        self._check(this)
        self.entered = self.joined = True
        self.topic, self.role, self.count = ack.topic, ack.role, ack.count
        self.people = {one.id for one in ack.members}
        return ack

    async def catch_up(self, last: int) -> None:
        """Report the messages missed, now that we have joined again and the last number is `last`.

        Raises: ServerRefused, ServerUnreachable.
        """
        if self._absence is not None and self._absence.since > last:
            self._seen = self._absence = None  # the log is of another server's room
        if self._seen is not None and last != self._seen:
            await self._ask_for_missed(last)
        self._tell_absence()
        self._seen = max(self._seen or 0, last)
        while self.flying:  # it did not arrive, and will not any more
            self.waiting.appendleft(self.flying.pop())
        self._inside = True
        while self._early:
            self._hear(self._early.popleft())

    def lost(self) -> None:
        """The connection is gone."""
        self._connection += 1
        self.entered = self.entering = self._inside = False
        self._early.clear()

    @property
    def is_away(self) -> bool:
        """Return True if the room cannot be reached now, and will be entered again."""
        return self.joined and not self.entering and not self.gone

    def end_kept(self) -> None:
        """End the requests of all texts that have not arrived: they are kept until we are in again."""
        for part in self.parts:
            if part is not None:
                part.end("queued")

    def leave(self, reason: str) -> None:
        """Leave the room: queued messages are reported as undelivered."""
        self.gone = True
        self._inside = False
        while self.waiting:
            self.undelivered(self.waiting.popleft(), reason, len(self.flying))

    def stop(self, reason: str) -> None:
        """The program ends, or the server is not asked any more."""
        self.leave(reason)
        while self.flying:
            self._uncertain(self.flying.popleft())

    def undelivered(self, text: str, reason: str, index: int = 0) -> None:
        """Report that `text` was not said; so many said before it are not answered yet."""
        with telling(self._take_part(index), fails=reason):
            self._context.publish(Undelivered(self.name, reason, text=text))

    def _uncertain(self, text: str) -> None:
        with telling(self._take_part(), "uncertain"):
            self._context.publish(Uncertain(self.name, None, text))

    def _take_part(self, index: int = 0) -> AskedPart | None:
        """Remove the part of the text at `index`, of all that fly and wait."""
        if index >= len(self.parts):
            return None
        part = self.parts[index]
        del self.parts[index]
        return part

    def came_in(self, client_id: str) -> None:
        """Count a new member."""
        self.count += 1
        if len(self.people) < self._context.limits.room_members:
            self.people.add(client_id)

    def went_out(self, client_id: str) -> None:
        """Count a member less."""
        self.count = max(1, self.count - 1)
        self.people.discard(client_id)

    def hear(self, said: Said) -> None:
        """The server tells that something was said."""
        if self._inside:
            self._hear(said)
        elif self.entered:
            self._early.append(said)

    def takes(self) -> bool:
        """Return True if a queued message can be sent now."""
        return self._inside and bool(self.waiting)

    async def speak(self) -> None:
        """Say what has waited longest."""
        this, text = self._connection, self.waiting.popleft()
        self.flying.append(text)
        try:
            ack = await self._client.say(self.name, text)
        except ServerUnreachable:
            # The next connection finds out whether it arrived, but not if we left meanwhile.
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
                self._hear(said, history=True)
            more = page.more and bool(page.said) and page.said[-1].id > after
            after = page.said[-1].id if page.said else after
            count += len(page.said)
            if more and (paging.over or count >= MISSED):
                self._tell_missing()
                return

    async def _latest(self, last: int, this: int) -> RoomPage:
        """Report the latest messages and a notice, because the server has forgotten what followed ours."""
        page = await self._client.history(self.name)
        self._check(this)
        assert self._seen is not None
        self._seen = min(self._seen, last)
        for said in page.said:
            self._hear(said, history=True)
        self._tell_missing()
        return RoomPage((), False)

    def _tell_missing(self) -> None:
        """Say that not all of what followed is known, so that ours may stand there or not."""
        self._context.publish(Notice(f"some messages in {self.name} may be missing"))
        while self.flying:
            self._uncertain(self.flying.popleft())

    def _tell_absence(self) -> None:
        absence, self._absence = self._absence, None
        for event in absence.events(self.name) if absence is not None else ():
            self._context.publish(event)

    def _hear(self, said: Said, history: bool = False) -> None:
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
        """Raises Unreachable if the answer came from a connection that is no more."""
        if this != self._connection or self.gone:
            raise ServerUnreachable(CONNECTION_TO_SERVER_LOST())
