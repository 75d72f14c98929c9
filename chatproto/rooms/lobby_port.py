"""The lobby's port: all its connections, and the rules in `lobby.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from chatproto.net.clock import at_end_of_turn
from chatproto.rooms.lobby import (
    Came,
    CloseMember,
    Effect,
    LobbyMembers,
    Spoke,
    ToOne,
    ToOthers,
    Went,
    name_wanted,
)
from chatproto.rooms.lobby_connection import LobbyConnection, give_all
from chatproto.rooms.room_feed import RoomFeed
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

MEMBERS_AT_ONCE = 200
"""Members that one turn of the reactor sends what was said; the others are sent it in the next turns."""
AT_ONCE = 32 * 1024
"""Bytes that are gathered for at most `MEMBERS_AT_ONCE` members before they are sent."""
WAITING = 1024 * 1024
"""Bytes that are gathered for more members before they are sent at once to all."""


class Beside(Interface):
    """Receiver of what happens in the raw-text lobby, for members who are not in raw text."""

    def came(self, name: str) -> None:
        """Raw-text client `name` has joined."""

    def went(self, name: str, reason: str) -> None:
        """Raw-text client `name` has left, for `reason`."""

    def heard(self, name: str, text: str) -> None:
        """Raw-text client `name` has sent `text`."""


class LobbyPort(Factory):
    """Factory of the lobby's connections; output is collected for one turn of the reactor.

    Args: admit: tells whether an address may have one more connection. release: told the end of one.
    beside: receiver of joins, leaves and messages, for members with a key.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        lobby: LobbyMembers,
        limits: ServerLimits = SERVER_DEFAULTS,
        admit: Callable[[str], bool] = lambda host: True,
        release: Callable[[str], object] = lambda host: None,
        beside: Beside | None = None,
        look_up: Callable[[str], Deferred[None]] | None = None,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self._lobby = lobby
        self._admit = admit
        self._release = release
        self._beside = beside
        self._look_up = look_up
        self._members: dict[int, LobbyConnection] = {}
        self._connections: set[LobbyConnection] = set()
        self._effects: deque[Effect] = deque()
        self._busy = False
        self._gathering: list[LobbyConnection] = []
        self._feed: RoomFeed[LobbyConnection] = RoomFeed((), LobbyConnection.give, give_all)
        self._at_end = at_end_of_turn(clock)
        self._timed = False

    def buildProtocol(self, addr: IAddress | None) -> LobbyConnection | None:
        host = plain_host(getattr(addr, "host", ""))
        if not self._admit(host):
            return None
        connection = LobbyConnection(self, host)
        connection.factory = self
        self._connections.add(connection)
        return connection

    def __len__(self) -> int:
        return len(self._connections)

    def close_all(self, sentence: str) -> None:
        """Say `sentence` to all members and close their connections."""
        line = f"* {sentence}".encode()
        self._share()
        for connection in list(self._members.values()):
            self._lobby.left(connection.number)  # those beside end with the server too
            self._feed.leave(connection)
            connection.add(line)
            connection.close()
        self._members.clear()

    def show(self, line: str) -> None:
        """Send `line` to all members."""
        self._carry_out([ToOthers(0, line)])

    def kick(self, name: str) -> bool:
        """Put the member of that name out; false if there is none."""
        number = self._lobby.member_called(name)
        if number is None:
            return False
        left = self._lobby.left(number, "was removed")
        self._carry_out(
            [ToOne(number, "* you were removed from the lobby"), CloseMember(number), *left]
        )
        return True

    def kick_from(self, banned: Callable[[str], bool]) -> None:
        """Put out all members whose address is `banned`."""
        for number, member in list(self._members.items()):
            if number in self._members and banned(member.host):
                left = self._lobby.left(number, "was removed")
                self._carry_out(
                    [
                        ToOne(number, "* you were removed from the lobby"),
                        CloseMember(number),
                        *left,
                    ]
                )

    # What a connection tells.

    def joined(self, connection: LobbyConnection) -> None:
        try:
            connection.number, effects = self._lobby.join()
        except RemoteError as error:
            connection.add(f"* {error.detail}: try again later".encode())
            connection.close()
            return
        self._members[connection.number] = connection
        self._feed.join(connection)
        self._carry_out(effects)

    def said(self, connection: LobbyConnection, text: str) -> None:
        name = name_wanted(text) if self._look_up is not None else ""
        if self._look_up is None or not name:
            self._carry_out(self._lobby.said(connection.number, text))
            return

        def known(_: None) -> None:
            if connection.number in self._members:
                self._carry_out(self._lobby.said(connection.number, text))

        self._look_up(name).addCallback(known)

    def refused(self, connection: LobbyConnection, error: RemoteError) -> None:
        self._carry_out(self._lobby.refused(connection.number, error))

    def left(self, connection: LobbyConnection, reason: str) -> None:
        self._feed.catch_up(connection)
        self._feed.leave(connection)
        if self._members.pop(connection.number, None) is not None:
            self._carry_out(self._lobby.left(connection.number, reason))

    def lost(self, connection: LobbyConnection) -> None:
        self.left(connection, "")
        if connection in self._connections:
            self._connections.remove(connection)
            self._release(connection.host)

    def flush_later(self, connection: LobbyConnection) -> None:
        """Call its `flush` at the end of this turn of the reactor."""
        self._gathering.append(connection)
        self._flush_later()

    # Our own.

    def _flush_later(self) -> None:
        if not self._timed:
            self._timed = True
            self._at_end(self._flush)

    def _flush(self) -> None:
        """Send what was gathered, of what was said to all to `MEMBERS_AT_ONCE` of them."""
        self._timed = False
        if self._feed.go_on(MEMBERS_AT_ONCE):
            self._flush_later()
        self._carry_out(())  # those who are dropped leave
        gathering, self._gathering = self._gathering, []
        for connection in gathering:
            connection.flush()

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        """Do `effects`, and what follows from them after them."""
        self._effects.extend(effects)
        if self._busy:
            return
        self._busy = True
        try:
            while self._effects:
                self._do(self._effects.popleft())
        finally:
            self._busy = False

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, CloseMember):
            member = self._members.pop(effect.member, None)
            if member is not None:
                self._feed.catch_up(member)
                self._feed.leave(member)
                member.close()
            return
        line = effect.text.encode()
        if isinstance(effect, ToOne):
            member = self._members.get(effect.member)
            if member is not None:
                self._feed.catch_up(member)
                if effect.member in self._members and not member.add(line):
                    self.drop(member)
            return
        self._gather(line, effect.member)
        if self._beside is not None:
            for event in effect.events:
                self._tell(self._beside, event)

    def _tell(self, beside: Beside, event: Came | Went | Spoke) -> None:
        match event:
            case Came(name):
                beside.came(name)
            case Went(name, reason):
                beside.went(name, reason)
            case Spoke(name, text):
                beside.heard(name, text)

    def _gather(self, line: bytes, but: int) -> None:
        """Queue `line` for all members but `but`, to be sent from the end of this turn on."""
        if not self._members:
            return
        speaker = self._members.get(but)
        self._feed.add(line + b"\n", {speaker: b""} if speaker is not None else None)
        few = len(self._members) <= MEMBERS_AT_ONCE
        if self._feed.size > (AT_ONCE if few else WAITING):
            self._share()
        else:
            self._flush_later()

    def _share(self) -> None:
        """Give all members what was gathered for them."""
        while self._feed.go_on(MEMBERS_AT_ONCE):
            pass
        self._carry_out(())

    def drop(self, member: LobbyConnection) -> None:
        """Disconnect a member that does not read, before its unsent data grows without bound."""
        del self._members[member.number]
        self._feed.leave(member)
        self._effects.extend(self._lobby.left(member.number, "did not read what was sent"))
        member.abort()
