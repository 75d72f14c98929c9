"""Directory that several servers share: requests are decided here and committed to the store.

No server has a copy of the registrations of others. A request loads the ids that it names. Its results are
sent to the servers that they concern, through their inboxes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.directory.answers import bridge_line, register_line
from chatproto.directory.classic_registration import Origin
from chatproto.directory.group import may_see
from chatproto.directory.introducing import IntroductionMaker, NewTickets
from chatproto.directory.keyed import refused
from chatproto.directory.registrations import (
    ClientConnection,
    Dismiss,
    Effect,
    Registration,
)
from chatproto.directory.shared import GroupState, Notice, PresenceNotice
from chatproto.directory.shared_changes import ended, freed, kept_until
from chatproto.directory.shared_store import SharedDirectoryStore
from chatproto.net.dates import date_of
from chatproto.rooms.shared import OwnNode
from chatproto.server.room_side import REQUESTS
from chatproto.server.secure_side import SecureSide
from chatproto.server.shared_directory.classic import SharedClassic
from chatproto.server.shared_directory.groups import DirectoryContext, GroupDecision, SharedGroups
from chatproto.server.shared_directory.keyed import SharedKeyed
from chatproto.server.shared_directory.lists import SharedLists
from chatproto.server.shared_directory.own import OwnClients
from chatproto.server.shared_directory.settling import Settler
from chatproto.server.shared_directory.watching import SharedWatches
from chatproto.server.terminal_lines import terminal_lines
from chatproto.server.unanswered import Unanswered
from chatproto.wire import bcp2_server, strict
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicError,
    ClassicRegAck,
    ClassicRegister,
    Message,
    Sender,
)
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.fields import ID, host_port
from chatproto.wire.limits import ServerLimits

if TYPE_CHECKING:
    from chatproto.server.connection import ChatConnection
    from chatproto.server.secure import SecureConnection
    from chatproto.server.shared_rooms.rooms import SharedRooms

RETRY_AFTER = 2
"""Seconds after which a client may retry while Redis is unavailable."""
MOST_OWNERS = 1000
"""Names for which is stored whether a key owns them; the longest unused are removed."""
MOST_LINES = 10_000
"""Clients that /info lists at most; a prefix lists others."""
EMPTIED_SHOWN = 60.0
"""Seconds for which `/health` reports that Redis was emptied."""
SWEPT = 100
"""Groups and listed clients that one round examines for expired registrations."""
MOST_SWEPT = 50
"""Rounds in one sweep; for the list of clients, rounds that find no client of an ended server."""
AT_ONCE = (Ping, PingAck)
"""Requests that are answered at once, even before earlier ones."""


class SharedDirectory:
    """Shared directory, as this server uses it for its clients.

    Args: store: groups of ids, and lists. secure: connections of this server's clients. node: name of this
    server. now: the time, in seconds since 1970. new_call: makes call ids. say: receives lines for the
    terminal, or None.
    """

    log = Logger()
    _rooms: SharedRooms

    def __init__(
        self,
        clock: Any,
        store: SharedDirectoryStore,
        secure: SecureSide,
        node: OwnNode,
        limits: ServerLimits,
        now: Callable[[], float],
        new_call: Callable[[], str],
        new_tickets: NewTickets,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._secure = secure
        self._say = say
        self._emptied_at = float("-inf")
        self._swept = ""  # last client of the list that was examined
        self._departures = 1  # ended servers; 1 for those before this one started
        self._swept_for = self._sweeping_for = 0  # `_departures` at their starts
        self._stopped = False
        self._owners: OrderedDict[str, bool] = OrderedDict()
        self._asked: dict[ClientConnection, deque[Bcp2Message]] = {}
        self._unanswered = Unanswered()
        self._in_rooms = Unanswered()
        self.counts = (0, 0)
        """Numbers of registrations with keys and of classic ones, at the last count."""
        self.maker = IntroductionMaker(limits, new_call, new_tickets)
        self._own = own = OwnClients(node, clock.seconds)
        self._groups = groups = SharedGroups(store, own, limits, now, self._changed)
        self._context = context = DirectoryContext(
            *(clock, store, own, groups, limits, now), self._push
        )
        self._settler = settler = Settler(context, self._lost_to_other)
        self._watches = SharedWatches(context)
        self.lists = lists = SharedLists(context)
        self._keyed = SharedKeyed(context, settler, self.maker, lists)
        self._classic = SharedClassic(
            *(context, settler, lists), lambda: self.counts[1] < limits.registrations / 2
        )

    def serve(self, rooms: SharedRooms) -> None:
        """Set `rooms`, which answer requests about rooms; they are made after this directory."""
        self._rooms = rooms

    # Requests of connections with a key.

    def take(self, message: Bcp2Message, client: ClientConnection) -> None:
        """Answer `message` of `client`, after its earlier requests."""
        self._own.connections[client.number] = client
        if message.__class__ in REQUESTS:
            self._take_to_rooms(message, client)
        elif isinstance(message, AT_ONCE):
            if isinstance(message, Ping):
                self._context.tell(client, PingAck(message.cseq))
        elif client in self._asked:
            self._unanswered.add(client)
            self._asked[client].append(message)
        elif not self._at_once(message, client):
            self._unanswered.add(client)
            self._asked[client] = deque([message])
            self._start(self._serve(client))

    def _at_once(self, message: Bcp2Message, client: ClientConnection) -> bool:
        """Answer a request that needs no store; return False if it needs one."""
        match message:
            case bcp2_server.Observe(cseq):
                self._context.tell(
                    client,
                    bcp2_server.ObserveAck(cseq, client.address, date_of(self._context.now())),
                )
                return True
            case bcp2_server.Unwatch(cseq, peer_id):
                self._watches.unwatch(client, peer_id)
                self._context.tell(client, bcp2_server.UnwatchAck(cseq, peer_id))
                return True
        return False

    async def _serve(self, client: ClientConnection) -> None:
        asked = self._asked[client]
        while asked:
            message = asked.popleft()
            try:
                if not self._at_once(message, client):
                    await self._answer(message, client)
            except RemoteError as error:
                self._context.tell(client, refused(message, error, RETRY_AFTER))
            except Exception:  # a failed request must not stop the next one
                self.log.failure("a request failed: {message}", message=message)
                self._context.tell(client, refused(message, RemoteError(500)))
            self._unanswered.answered(client)
        del self._asked[client]

    async def _answer(self, message: Bcp2Message, client: ClientConnection) -> None:
        self._own.check()
        match message:
            case bcp2_server.Register():
                await self._keyed.register(message, client)
                self._rooms.follow(client)
            case bcp2_server.Bridge():
                await self._keyed.bridge(message, client)
            case bcp2_server.Info():
                self._context.tell(client, await self.lists.info(message))
            case bcp2_server.Watch():
                if self._own.of(client) is None:
                    raise RemoteError(401, "register first")
                self._keyed.uses(client)
                await self._watches.watch(message, client)
            case _:
                raise RemoteError(405)

    def _take_to_rooms(self, message: Bcp2Message, client: ClientConnection) -> None:
        """Pass a request on to the rooms."""
        self._keyed.uses(client)
        self._in_rooms.add(client)
        self._rooms.ask(message, client).addCallback(lambda _: self._in_rooms.answered(client))

    def holds(
        self, client: ClientConnection, message: object, connection: SecureConnection
    ) -> bool:
        """Return True if `message` must wait for earlier answers; `connection.resume` is called after them.

        The directory and the rooms answer independently; waiting preserves the order of the requests.
        """
        directory, rooms = self._unanswered, self._in_rooms
        if message.__class__ in REQUESTS:
            return directory.holds(client, connection, 1) or rooms.holds(client, connection)
        if isinstance(message, AT_ONCE):
            return directory.holds(client, connection)
        if message is None or isinstance(message, bcp2_server.Login):
            return directory.holds(client, connection, 1) or rooms.holds(client, connection, 1)
        return rooms.holds(client, connection, 1) or directory.holds(client, connection)

    def connection_lost(self, client: ClientConnection, reason: str) -> None:
        """Handle the end of a connection with a key."""
        self._unanswered.forget(client)
        self._in_rooms.forget(client)
        self._own.connections.pop(client.number, None)
        if client in self._asked:
            self._asked[client].clear()
        self._rooms.connection_lost(client, reason)
        self._watches.lost(client)
        mine = self._own.lose(client)
        if mine is not None:
            self.maker.lost(mine.registration.key)
            self._settler.ask(mine.registration.client_id)

    # Requests of plain connections.

    def take_plain(self, connection: ChatConnection, messages: list[Any]) -> None:
        """Answer `messages` of a plain connection together."""
        source = self._own.sources[connection.came] = connection.source
        answers: list[tuple[Any, Message]] = []
        for number, message in enumerate(messages):
            reply = self._classic.at_once(message)
            if reply is None:
                self._start(self._serve_plain(connection, source, answers, messages[number:]))
                return
            answers.append((message, reply))
            self._show(message, reply, source)
        connection.answered(answers)

    async def _serve_plain(
        self,
        connection: ChatConnection,
        source: Origin,
        answers: list[tuple[Any, Message]],
        messages: list[Any],
    ) -> None:
        for message in messages:
            reply = self._classic.at_once(message)
            if reply is None:
                try:
                    reply = await self._classic.answer(message, source, connection.came)
                except Exception:  # a failed request must not stop the next one
                    self.log.failure("a request failed: {message}", message=message)
                    reply = ClassicError(500)
            answers.append((message, reply))
            self._show(message, reply, source)
        connection.answered(answers)

    def _show(self, message: Any, reply: Message, source: Origin) -> None:
        """Show the terminal line of a request, if it has one."""
        if self._say is None:
            return
        match message, reply:
            case ClassicRegister(), ClassicRegAck():
                self._say(register_line(message))
            case ClassicBridge(), ClassicBridgeAck():
                mine = self._own.leases.get(message.client_id)
                self._say(bridge_line(message, reply, mine.lease if mine else None, source))

    def closed(self, connection: ChatConnection) -> None:
        """Handle the end of a plain connection."""
        self._classic.closed(connection.came)

    # Called by logins, rooms and the lobby.

    async def owns(self, key: str, client_id: str) -> bool:
        """Return True if `key` is known to own `client_id`."""
        try:
            state = await self._groups.load(client_id)
        except StoreTrouble:
            return False
        return state.owner == key and client_id in state.owned

    async def look_up(self, client_id: str, key: str) -> tuple[str | None, bool]:
        """Return the key that owns an id, or None, and whether the id is visible to `key`."""
        state = await self._groups.load(client_id)
        known, presence = state.owned.get(client_id), state.presences.get(client_id)
        sees = may_see(
            *(key, presence.registration if presence else None, known.allow if known else None),
            state.owner == key and known is not None,
        )
        return state.owner, sees

    def look_up_name(self, name: str) -> Deferred[None]:
        """Look up whether a key owns `name` or a similar id; fire when `is_owned` can tell."""
        return Deferred.fromCoroutine(self._look_up_name(name))

    async def _look_up_name(self, name: str) -> None:
        owned = True
        if ID.fullmatch(name):
            try:
                owned = (await self._groups.load(name)).owner is not None
            except RemoteError:
                pass  # while it is unknown, the name counts as owned
        self._owners[name] = owned
        self._owners.move_to_end(name)
        if len(self._owners) > MOST_OWNERS:
            self._owners.popitem(last=False)

    def is_owned(self, name: str) -> bool:
        """Return True if a key owned `name` or a similar id at the last look-up."""
        return self._owners.get(name, False) or bool(self._own.presences.alike(name))

    def tell(self, client_id: str, message: Bcp2Message) -> None:
        """Send `message` to the client that is registered as `client_id`; drop it if there is none."""
        self._start(self._send(client_id, message))

    async def _send(self, client_id: str, message: Bcp2Message) -> None:
        found = await self._groups.connected(client_id)
        if found is not None:
            await self._keyed.send(found.client, message)

    # Requests of the operator.

    async def expel(self, client_id: str, free: bool) -> bool:
        """Remove the registration of `client_id`, with `free` also its owner; return False if it has none.

        Raises: RemoteError: 503; the id may have been removed or not.
        """
        gone: list[Registration] = []

        async def decide(state: GroupState) -> GroupDecision | None:
            gone.clear()
            group = self._groups.as_group(state)
            if client_id not in (*(group.ids if free else group.presences), *group.classic):
                return None
            presence = group.presences.get(client_id)
            if presence is not None and presence.connected:
                gone.append(presence)
            notices = [one for left in gone for one in self._keyed.endings(left.client, Error(403))]
            return GroupDecision((freed if free else ended)(state, client_id), notices)

        done = await self._groups.change(client_id, decide) is not None
        for one in gone:
            if not one.client.node:
                self._own.lose(one.client)
                self._push([Dismiss(one.client, Error(403))])
        if done:
            self._classic.registration_ended(client_id)
        return done

    async def lines(self, prefix: str) -> Iterator[str]:
        """Return `<clientID> <ip>:<port>` of listed clients, by id, at most `MOST_LINES`.

        Raises StoreTrouble.
        """
        found: list[str] = []
        async for one in self.lists.list_clients(prefix):
            found.append(f"{one.client_id} {host_port(one.host, one.port)}")
            if len(found) >= MOST_LINES:
                break
        return iter(found)

    # Called by the inbox and the beats.

    def noticed(self, notice: Notice) -> None:
        """Handle a notice from another server."""
        if isinstance(notice, PresenceNotice):
            if self._own.presences.get(notice.client_id) is not None:
                self._settler.ask(notice.client_id)
            self._watches.changed(notice)
            return
        client = self._own.connections.get(notice.number)
        if client is None:
            return
        message = strict.decode(Sender.SERVER, notice.text.encode(), self._context.limits)
        if notice.ends:
            self._own.lose(client)
            self._push([Dismiss(client, message)])
        else:
            if isinstance(message, bcp2_server.Introduce):
                self._keyed.uses(client)
            self._context.tell(client, message)

    def missed(self) -> None:
        """Load watched ids, and settle registered ones, again: notices may be missing."""
        self._watches.ask_again()
        for client_id in self._own.presences:
            self._settler.ask(client_id)

    def beat(self, rooms: int) -> None:
        """Handle a beat of this server: `own.node` was renewed before."""

    def node_lost(self, node: str) -> None:
        """Handle the end of a server."""
        self._departures += 1
        self._watches.node_lost(node)

    def rejoin(self) -> None:
        """Register all clients again under the new name of this server: its lease had expired."""
        self.missed()
        for client_id in self._own.leases:
            self._settler.ask(client_id)

    def emptied(self) -> None:
        """Commit the registrations of this server's clients again: the store was emptied or has lost data."""
        self._emptied_at = self._context.clock.seconds()
        self._departures += 1
        self.rejoin()

    @property
    def trouble(self) -> str:
        """Recent problem that the operator should know, in one sentence; "" if there is none."""
        if self._context.clock.seconds() < self._emptied_at + EMPTIED_SHOWN:
            return "Redis was emptied, or has older data: what nobody here holds is gone"
        return ""

    # Called periodically.

    def tick(self) -> None:
        """Send due presence changes, and note lasting connections; called about once a second."""
        self._watches.due()
        self._classic.due()

    async def due(self) -> None:
        """Remove expired registrations from the lists, and renew those in use. Raises StoreTrouble."""
        self.counts = await self._context.store.counts()
        for _ in range(MOST_SWEPT):
            page = await self._context.store.due(self._context.now(), SWEPT)
            for client_id in page:
                await self._sweep(client_id)
            if len(page) < SWEPT:
                break
        await self._sweep_list()
        now = self._context.now()
        for mine in self._own.presences.values():
            kept = (
                kept_until(not mine.registration.proven, mine.used, self._context.limits)
                - mine.used
            )
            if mine.used < now - kept / 2:
                mine.used, mine.registration = now, mine.registration.used()
                self._settler.ask(mine.registration.client_id)

    async def _sweep_list(self) -> None:
        """Remove clients of ended servers from the list, which is examined after each end of a server."""
        fruitless = 0
        while fruitless < MOST_SWEPT and not self._stopped:
            if not self._swept:
                if self._swept_for == self._departures:
                    break
                self._sweeping_for = self._departures
            listed, swept = await self._context.store.listed("", self._swept, SWEPT), 0
            for one in listed:
                if one.node and await self._context.store.left_at(one.node) is not None:
                    await self._sweep(one.client_id)
                    swept += 1
            fruitless += not swept
            self._swept = listed[-1].client_id if len(listed) == SWEPT else ""
            if not self._swept:
                self._swept_for = self._sweeping_for

    async def _sweep(self, client_id: str) -> None:
        """Commit a group without expired registrations. Raises StoreTrouble if Redis is unavailable."""
        try:
            after = await self._groups.change(client_id, _as_it_is)
            if after is None or after.version:
                return
        except RemoteError:
            # Raises too, unless only this group has failed.
            await self._context.store.counts()
        await self._context.store.skip(client_id)

    def stop(self) -> None:
        """Stop writing: when the node has ended, all its clients count as away."""
        self._stopped = True
        self._settler.stop()
        self._watches.stop()

    # Internal.

    def _changed(self, notice: PresenceNotice) -> None:
        """Handle a change that this server has committed."""
        self._watches.changed(notice, here=True)

    def _lost_to_other(self, client_id: str) -> None:
        """Close a connection whose id belongs to another client now."""
        mine = self._own.presences.get(client_id)
        if mine is not None:
            client = mine.registration.client
            self._own.lose(client)
            self._push([Dismiss(client, bcp2_server.Replaced())])

    def _push(self, effects: list[Effect]) -> None:
        """Send effects to clients of this server."""
        for effect in effects:
            if effect.client.number in self._own.connections:
                self._rooms.answered(effect.client)
        self._secure.apply(effects)
        if self._say is not None:
            for effect in effects:
                for line in terminal_lines([effect], effect.client):
                    self._say(line)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background. The store logs its own failures."""
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(RemoteError) is None:
            self.log.failure("a request failed", failure)


async def _as_it_is(state: GroupState) -> GroupDecision:
    """Return the group as it was loaded, without expired registrations."""
    return GroupDecision(state)
