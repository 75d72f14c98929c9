"""Carry out the user's commands in joined rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from chatproto.client.context import Context
from chatproto.client.events import CommandOutput, MessageReceived, Notice, RoomChanged
from chatproto.client.requests import Requests, Work
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.directory.answer import ServerRefused
from chatproto.net.clock import EPOCH
from chatproto.net.dates import date_of, moment_of
from chatproto.wire import bcp2_rooms, reasons
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import Said
from chatproto.wire.codec import CONTROL
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import read_client_id
from chatproto.wire.reasons import Cause
from chatproto.wire.room_fields import read_barred

BEGINNING = date_of(EPOCH)
"""`Until` of an order that is revoked."""
NOT_SO = {
    403: reasons.NOT_MODERATOR,
    404: reasons.NOT_IN_THIS_ROOM,
    413: reasons.ROOM_TOO_MUCH,
    429: reasons.ROOM_REQUESTS,
    503: reasons.ROOM_STORE,
}
"""Why the server refuses an order, by status."""
MISSING = {"kick": reasons.NOBODY_TO_KICK, "unban": reasons.NO_SUCH_BAN}
"""Sentences for a command whose 404 does not mean an unknown peer."""
NOTHING_ELSE: Mapping[int, Cause] = {}
BAN_IN_ADVANCE = (
    'nobody has the id "{id}": the ban holds once somebody takes it (/unban {id} lifts it)'
)
NO_ROOM_YET = "there are no rooms: /join #room opens one"


class RoomOrders:
    """Ask the server about a named room or the current one; a refusal is one `Failed`."""

    def __init__(self, context: Context, requests: Requests, rooms: JoinedRooms) -> None:
        self._context = context
        self._requests = requests
        self._rooms = rooms
        self.listed: tuple[str, ...] = ()
        """Rooms in the last answer to /rooms."""

    def names(self, name: str = "") -> None:
        """Show the members."""

        async def work() -> None:
            room = self._rooms.named(name).name
            found = await self._rooms.client.names(room)
            members = [{"id": one.id, "role": one.role} for one in found]
            marks = (one.id if one.role == "member" else f"{one.id} ({one.role})" for one in found)
            line = f"{len(found)} in {room}: {', '.join(marks)}"
            self._context.publish(
                CommandOutput("names", (line,), {"room": room, "members": members})
            )

        self._ask("names", work)

    def rooms(self) -> None:
        """Show the rooms of the server."""

        async def work() -> None:
            found = await self._rooms.client.rooms()
            self.listed = tuple(one.room for one in found)
            lines = [_listed(one.room, one.members, one.topic) for one in found]
            rows = [{"room": one.room, "count": one.members, "topic": one.topic} for one in found]
            self._context.publish(
                CommandOutput("rooms", tuple(lines) or (NO_ROOM_YET,), {"rooms": rows})
            )

        self._ask("rooms", work)

    def topic(self, text: str | None, name: str = "") -> None:
        """Show the topic if `text` is None, else set it; empty to remove it."""

        async def work() -> None:
            membership = self._rooms.named(name)
            room = membership.name
            word = (text or "").split(None, 1)[:1]
            if not name and word and self._rooms.has(word[0]):
                raise LocalError(400, reasons.TOPIC_OF_ROOM(room=word[0]))
            if text is None:
                shown = membership.topic or "no topic"
                data = {"room": room, "topic": membership.topic}
                self._context.publish(CommandOutput("topic", (f"{room}: {shown}",), data))
                return
            line = _line(text)
            await self._rooms.client.do(bcp2_rooms.Topic, room=room, text=line)
            membership.topic = line
            self._context.publish(
                RoomChanged(
                    room, "topic", by=self._context.settings.client_id, text=membership.topic
                )
            )

        self._ask("topic", work)

    def kick(self, who: str, name: str = "", reason: str = "") -> None:
        """Kick a member; all members see the `reason`."""

        def whom() -> dict[str, str]:
            return _peer(who) | ({"reason": line} if (line := _line(reason)) else {})

        self._order("kick", bcp2_rooms.Kick, "kicked", name, who, whom)

    def ban(self, who: str, seconds: str = "", name: str = "") -> None:
        """Ban an id, a key or an address, and kick its clients; empty `seconds`: for good."""

        def whom() -> dict[str, str]:
            if seconds and not int(seconds):
                raise LocalError(400, reasons.BAN_OF_NO_TIME(peer=who))
            return _barred(who)

        self._order("ban", bcp2_rooms.Ban, "banned", name, who, whom, self._until(seconds))

    def unban(self, who: str, name: str = "") -> None:
        """Lift a ban."""
        self._order("unban", bcp2_rooms.Unban, "unbanned", name, who, lambda: _barred(who))

    def mute(self, who: str, seconds: str = "", name: str = "") -> None:
        """Mute a member; empty `seconds`: for good, 0: unmute."""
        change = "unmuted" if seconds == "0" else "muted"
        whom, until = partial(_peer, who), self._until(seconds)
        self._order("mute", bcp2_rooms.Mute, change, name, who, whom, until)

    def op(self, who: str, seconds: str = "", name: str = "") -> None:
        """Make a member a moderator; empty `seconds`: for good, 0: no longer."""
        change = "deop" if seconds == "0" else "op"
        whom, until = partial(_peer, who), self._until(seconds)
        self._order("op", bcp2_rooms.Op, change, name, who, whom, until)

    def invite(self, who: str, name: str = "") -> None:
        """Admit a client without the room's key, and notify it."""
        self._order("invite", bcp2_rooms.Invite, "invited", name, who, partial(_peer, who))

    def settings(
        self, name: str, secret: str | None, invited: bool | None, kept: bool | None
    ) -> None:
        """Show the settings of a room, or change those that are not None."""

        async def work() -> None:
            room = self._rooms.named(name).name
            ack = await self._rooms.client.settings(room, secret, invited, kept)
            words = (
                "needs a key" if ack.locked else "",
                "by invitation only" if ack.invited else "",
                "history is kept" if ack.kept else "no history is kept",
            )
            data = {"room": room, "locked": ack.locked, "invited": ack.invited, "kept": ack.kept}
            line = f"{room}: {', '.join(filter(None, words))}"
            self._context.publish(CommandOutput("settings", (line,), data))

        self._ask("settings", work)

    def history(self, most: int, name: str = "") -> None:
        """Show the latest messages of a room, at most `most`."""

        async def work() -> None:
            room = self._rooms.named(name).name
            said: list[Said] = []
            more, before = True, None
            wanted = min(most, self._context.limits.history_lines)
            paging = self._rooms.client.paging()
            while more and len(said) < wanted and not paging.is_complete:
                page = await self._rooms.client.history(
                    room, before=before, limit=wanted - len(said)
                )
                said[:0] = page.said
                more = page.more and bool(page.said) and said[0].id < (before or said[0].id + 1)
                before = said[0].id if said else None
            for one in said[-wanted:]:
                self._context.publish(
                    MessageReceived(
                        one.sender,
                        marked(one.text, one.kind),
                        one.id,
                        room=room,
                        history=True,
                        said=moment_of(one.date),
                    )
                )
            lines = () if said else ("no messages",)
            self._context.publish(
                CommandOutput("history", lines, {"room": room, "count": len(said)})
            )

        self._ask("history", work)

    def _order(
        self,
        command: str,
        request: type[Bcp2Message],
        change: str,
        name: str,
        who: str,
        read: Callable[[], dict[str, str]],
        until: str = "",
    ) -> None:
        """Send an order about `who`. The server notifies the other members; its answer makes our event.

        `read` makes the request's fields of the typed text. Raises LocalError.
        """

        async def work() -> None:
            room = self._rooms.named(name).name
            whom = read()
            ends = {"until": until} if until else {}
            answer = await self._rooms.client.do(request, room=room, **whom, **ends)
            shown = until if until and until != BEGINNING else None
            event = RoomChanged(
                room,
                change,
                whom.get("peer_id"),
                by=self._context.settings.client_id,
                until=shown,
                key=whom.get("key"),
                address=whom.get("address"),
                reason=whom.get("reason"),
            )
            self._context.publish(event)
            if isinstance(answer, bcp2_rooms.BanAck) and not answer.known:
                self._context.publish(Notice(BAN_IN_ADVANCE.format(id=whom["peer_id"])))

        says = {404: MISSING.get(command, reasons.SERVER_KNOWS_NOBODY)(peer=who)}
        if command == "ban" and until:
            says[400] = reasons.BAN_OVER()
        self._ask(command, work, says)

    def _until(self, seconds: str) -> str:
        if not seconds:
            return ""
        return date_of(self._context.now() + int(seconds)) if int(seconds) else BEGINNING

    def _ask(self, command: str, work: Work, says: Mapping[int, Cause] = NOTHING_ELSE) -> None:
        self._requests.ask(command, partial(_in_words, work, says))


async def _in_words(work: Work, says: Mapping[int, Cause]) -> None:
    """Replace the sentence of a refusal by one about rooms, by its status. Raises ServerRefused."""
    try:
        await work()
    except ServerRefused as error:
        status = error.status or 0
        usual = NOT_SO[status]() if status in NOT_SO else str(error)
        raise ServerRefused(says.get(status, usual), error.status) from None


def _peer(who: str) -> dict[str, str]:
    """Return an id as the field of a request. Raises LocalError."""
    try:
        return {"peer_id": read_client_id(who)}
    except RemoteError:
        raise LocalError(400, reasons.NO_ID(peer=who)) from None


def _barred(who: str) -> dict[str, str]:
    """Return an id, a key or an address as the field of a request. Raises LocalError."""
    try:
        values = zip(("peer_id", "key", "address"), read_barred(who), strict=True)
    except RemoteError:
        raise LocalError(400, reasons.NOT_BARRED(peer=who)) from None
    return {field: value for field, value in values if value}


def _line(text: str) -> str:
    """Return a topic or a reason, with tabs as blanks. Raises LocalError for several lines."""
    line = text.replace("\t", " ").strip()
    if CONTROL.search(line):
        raise LocalError(400, reasons.ROOM_TEXT_LINES())
    return line


def _listed(room: str, count: int, topic: str) -> str:
    return f"{room}: {count} member{'' if count == 1 else 's'}" + (
        f", topic: {topic}" if topic else ""
    )
