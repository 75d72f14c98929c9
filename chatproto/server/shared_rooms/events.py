"""Send room events to the clients of this server, in the order of the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.logger import Logger

from chatproto.rooms.effects import Effect, LineSent, LookAgain, PutOut, Spread, TellMember
from chatproto.rooms.history import RoomLine
from chatproto.rooms.lobby import OPERATOR
from chatproto.rooms.plain_view import shown_line
from chatproto.rooms.room import LOBBY, Room
from chatproto.rooms.shared import (
    LineSaid,
    MemberEntered,
    MemberLeft,
    PolicyChanged,
    RoomCopy,
    RoomEvent,
    RoomSeat,
)
from chatproto.server.shared_rooms.views import Asker, RoomsContext
from chatproto.stdio.printable import printable
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import LINES, Bcp2Message


class RoomEvents:
    """Converter of room events to messages."""

    log = Logger()

    def __init__(self, context: RoomsContext) -> None:
        self._context = context
        self._views = context.views
        self._delivery = context.delivery

    def happened(self, copy: RoomCopy, event: RoomEvent) -> tuple[str, RoomSeat] | None:
        """Send an event to the members on this server; return a member that must rejoin, with its place."""
        room = self._views.rooms.get(copy.policy.name)
        if isinstance(event, LineSaid):
            self._said(room, copy, event)
            return None
        if room is None:
            return None  # no member of this server is in it yet: its view is made from the copy
        self._delivery.flush()  # the lines before the event, to the members before it
        match event:
            case MemberEntered(client_id, seat):
                self._entered(room, copy, client_id, seat)
            case MemberLeft(client_id, reason):
                return self.left(room, client_id, reason)
            case PolicyChanged(_, news):
                room.policy = copy.policy
                self._changed(room, news)
        return None

    def _said(self, room: Room | None, copy: RoomCopy, event: LineSaid) -> None:
        """Send a line to the members, and SAYACK to its speaker, even if that has left the room."""
        line, by = event.line, event.spoken_by
        asker = self._views.own(by.node, by.number)
        speaker = asker.client if asker is not None else None
        if asker is not None:
            asker.unacknowledged.discard(by.cseq)
        if room is not None:
            talk = LineSent(room, line.number, line.sender, line.at, line.text, speaker, by.cseq)
            self._delivery.apply([talk])
            if room.name == LOBBY and not self._views.is_own(by.node):
                self._show_talk(talk)
        if asker is not None and (room is None or room.members.get(line.sender) is not speaker):
            self.acknowledge(asker, copy, line, by.cseq)

    def acknowledge(self, asker: Asker, copy: RoomCopy, line: RoomLine, cseq: int) -> None:
        """Send only SAYACK for a line, to its speaker."""
        asker.unacknowledged.discard(cseq)
        alone = Room(copy.policy)
        alone.add(line.sender, asker.client)
        self._delivery.apply([LineSent(alone, *line, asker.client, cseq)])

    def _show_talk(self, talk: LineSent) -> None:
        """Show raw-text members a line from another server or the operator."""
        operator = f"{OPERATOR}> {printable(talk.text)}"
        self.show(
            operator if talk.sender == OPERATOR else shown_line(talk, self._delivery.times.wall())
        )

    def show(self, line: str) -> None:
        """Send `line` to the raw-text members of the lobby at this server."""
        if self._delivery.plain is not None and not self._delivery.ends:
            self._delivery.plain.show(line)

    def _entered(self, room: Room, copy: RoomCopy, client_id: str, seat: RoomSeat) -> None:
        former, known = room.members.get(client_id), client_id in room.plain
        member = self._views.sit(room, client_id, seat)
        if former is not member:
            before = self._views.asker_of(former)
            if before is not None:
                before.rooms.pop(room.name, None)
        asker = self._views.asker_of(member)
        if asker is not None:
            self.answer_join(asker, room, copy)
        if former is None and not known:
            role = room.shown_role(client_id, self._context.now())
            joined = bcp2_rooms.Joined(room.name, client_id, role)
            self._delivery.apply([Spread(room, joined, member, plain=bool(seat.key))])
            if not seat.key and not self._views.is_own(seat.node):
                self.show(f"* {client_id} joined")

    def answer_join(self, asker: Asker, room: Room, copy: RoomCopy) -> None:
        """Answer the JOIN of `asker`, which is in the room now, unless it was answered."""
        message = asker.joining.pop(room.name, None)
        if message is None:
            return
        now = self._context.now()
        role = room.shown_role(asker.client_id or "", now)
        next_id, members = room.page("", min(self._context.limits.info_lines, LINES), now)
        ack = bcp2_rooms.JoinAck(
            *(message.cseq, room.name, len(room), copy.last, role),
            *(copy.policy.topic, next_id, members),
        )
        self._context.tell(asker, ack)
        self._delivery.joined(asker.client, room.name)

    def left(self, room: Room, client_id: str, reason: str) -> tuple[str, RoomSeat] | None:
        """Tell members that a member has left; return it if it must rejoin, since it is still connected here.

        Another server has given this one up then, or Redis has lost the member.
        """
        member, plain = room.members.get(client_id), client_id in room.plain
        if member is None and not plain:
            return None  # this server has handled its leaving before the store
        asker, put_out = self._views.asker_of(member), reason in ("kicked", "banned")
        if asker is not None and not (put_out or asker.gone or room.name in asker.leaving):
            return client_id, self._views.seat(asker.client)
        parted = bcp2_rooms.Parted(room.name, client_id, reason)
        effects: list[Effect] = []
        if put_out:
            effects.append(TellMember(member, parted) if member else PutOut(client_id))
        room.remove(client_id)
        if asker is not None:
            asker.rooms.pop(room.name, None)
        self._delivery.apply([*effects, Spread(room, parted, plain=not plain)])
        if not plain:
            return None
        stays = self._views.plain.get(client_id)
        if stays and not put_out:
            return client_id, self._views.plain_seat()
        if stays is None:
            self.show(shown_line(parted, self._delivery.times.wall()))
        self._views.plain.pop(client_id, None)
        return None

    def tell_parted(self, asker: Asker, name: str) -> None:
        """Send PARTED to a client that was removed from a room without its request."""
        self._context.tell(asker, bcp2_rooms.Parted(name, asker.client_id or "", ""))

    def tell_changes(
        self, view: Room, here: list[Asker], others: Iterable[str], gone: Iterable[str]
    ) -> None:
        """Tell members of a former view of a room who is in the new one, and who has left."""
        now, name = self._context.now(), view.name
        news: list[Bcp2Message] = [
            *(bcp2_rooms.Parted(name, one, "") for one in gone if one not in view.members),
            *(bcp2_rooms.Joined(name, one, view.shown_role(one, now)) for one in sorted(others)),
        ]
        self._delivery.apply([TellMember(asker.client, one) for asker in here for one in news])

    def _changed(self, room: Room, news: Any) -> None:
        effects: list[Effect] = []
        if news is not None:
            try:
                node, number, what, *rest = news
                changed = bcp2_rooms.Changed(room.name, what, *rest)
            except (TypeError, ValueError):
                self.log.error("news of {room} cannot be read: {news}", room=room.name, news=news)
                return
            asker = self._views.own(node, number)
            effects.append(Spread(room, changed, asker.client if asker is not None else None))
        if room.name == LOBBY:
            effects.append(LookAgain(room.policy))
        self._delivery.apply(effects)
