"""Apply the commands of all servers, in the log's order, to this server's copy of the shared state.

Two servers that applied the same commands from the same start have the same registrations.
Nothing here uses a clock, randomness or local state, except to push to this server's own clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.logger import Logger

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.introducing import NewTickets, no_tickets
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.server import commands as told
from chatproto.server.client_pushes import ClientPushes
from chatproto.server.commands import CommandBatch
from chatproto.server.replicas import ServerReplica, Shared
from chatproto.server.room_side import REQUESTS
from chatproto.server.secure_side import SecureSide
from chatproto.server.terminal_lines import terminal_lines
from chatproto.wire import bcp2_server, codec, strict
from chatproto.wire.bcp2_common import Address, Bcp2Message
from chatproto.wire.classic import ClassicInfo, ClassicProbe, Message, Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

PRESENCE_EVERY = 1.0
EXPIRY_EVERY = 30.0
SOME = 1000
"""Registrations that are expired with one batch."""
LONGEST_STEP = 2.0
"""Seconds of the log that count as passed between two batches: while all servers are away, or the log
is, nobody is late."""
READING = (*(bcp2_server.Info, bcp2_server.Bridge, bcp2_server.Watch, bcp2_server.Unwatch),)
"""Requests that change nothing other servers need to know; one server answers them alone."""
PLAIN_READING = (ClassicInfo, ClassicProbe)
"""The same in plain text."""
NOBODY = Origin("", 0, False, alive=False)


class Missed(Exception):
    """Commands are missing from what was read: begin again from a picture."""


class RegisteredMembers(Protocol):
    """Rooms, which know their members by their ids."""

    def answered(self, visitor: ClientConnection) -> None:
        """Note that `visitor` is answered something else now."""

    def follow(self, visitor: ClientConnection) -> None:
        """Note that `visitor` may have another id now."""


class Replica:
    """Copy of the state that all servers share. `node` is this server's name.

    `find` returns a client of this server by number. `push` is called with what another server must tell one
    of its clients. `new_tickets` makes two tickets for this server's relay. `say` gets lines for the
    terminal. It puts its rules into `secure`, again at each start over. `rooms` hears of its clients.
    """

    log = Logger()

    def __init__(
        self,
        shared: Shared,
        secure: SecureSide,
        rooms: RegisteredMembers,
        pushes: ClientPushes,
        limits: ServerLimits = SERVER_DEFAULTS,
        new_call: Callable[[], str] = str,
        new_tickets: NewTickets = no_tickets,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.node = ""
        self.find: Callable[[int], ClientConnection | None] = lambda number: None
        self.relay: Address | None = None
        """Address at which the tickets of this server's relay are good."""
        self.plain = Directory(shared.registry, limits, shared.names)
        self.members: dict[str, ServerReplica] = {}
        self._shared = shared
        self._secure = secure
        self._rooms = rooms
        self._pushes = pushes
        self._limits = limits
        self._new_call = new_call
        self._new_tickets = new_tickets
        self._say = say
        self.begin()

    def begin(self) -> None:
        """Know of nothing and nobody."""
        self._shared.clear()
        self._take_over()

    def _take_over(self) -> None:
        """Go on with what is in the store."""
        shared = self._shared
        self.members = {}
        self.now = self.at = self.alive = self._told = self._expired = 0.0
        self.plain.begin(shared.registry, shared.names)
        self.directory = self._secure.directory = KeyedDirectory(
            shared.names,
            shared.registry,
            self._new_call,
            self._limits,
            self._new_tickets,
            counted=False,
        )
        self.directory.introducer.relay = self.relay
        self.plain.open = self.directory

    # What a picture of it all is made of, and made into it again (`replica_picture`).

    @property
    def shared(self) -> Shared:
        """Stored part of the shared state."""
        return self._shared

    @property
    def times(self) -> tuple[float, ...]:
        """All that it knows of the time."""
        return self.now, self.alive, self._told, self._expired

    def go_on(
        self, times: Iterable[float], members: dict[str, ServerReplica], at: float | None = None
    ) -> None:
        """With what is in the store, there and then; `at`: what the log's clock said last."""
        self._take_over()
        self.now, self.alive, self._told, self._expired = times
        self.at = self.now if at is None else at
        self.members = members

    # Commands.

    def apply(self, batch: CommandBatch, at: float) -> list[Message | None] | None:
        """Carry out a batch that came at `at` (seconds since 1970).

        None if it does not count; else what each of its commands is answered, where that is for a
        connection in plain text. Raises Missed.
        """
        step = min(max(at - self.at, 0.0), LONGEST_STEP) if self.at else 0.0
        self.alive += step
        # Where the clock of the log was set back, time goes on from where it was.
        self.now = max(self.now + step, at)
        self.at = at
        member = self.members.get(batch.node)
        if member is not None and batch.number > member.number + 1:
            raise Missed
        if member is None and batch.number == 1 and isinstance(batch.commands[0], told.Beat):
            member = self.members[batch.node] = ServerReplica(
                batch.commands[0].rules, 0, self.alive
            )
        counts = member is not None and batch.number == member.number + 1
        if counts and member is not None:
            member.number, member.heard = batch.number, self.alive
        try:
            self._pass_time()
        except Exception:
            self.log.failure("what the time has brought could not be done")
        if not counts or member is None:
            return None
        return [self._carefully(command, batch.node, member) for command in batch.commands]

    def answer(self, message: Bcp2Message, visitor: ClientConnection) -> None:
        """Answer a connection of this server what is for this server alone."""
        self._direct(message, visitor)

    def answer_plainly(self, message: Message) -> Message:
        """The same in plain text; it matters to nobody who asks."""
        return self.plain.answer(message, NOBODY, self.now)

    def dismiss_all(self, come_back: Callable[[int], int]) -> None:
        """All connections of this server are to come back, each after the seconds that `come_back` makes of
        their number."""
        connections = tuple(self._secure.connections.values())
        for connection in connections:
            connection.dismiss(bcp2_server.Closing(come_back(len(connections))))

    def advertise(self, relay: Address) -> None:
        """From now on the tickets of this server's relay say that it is there."""
        self.relay = self.directory.introducer.relay = relay

    def is_new(self, message: bcp2_server.Register, visitor: ClientConnection) -> bool:
        """Return True if `message` would give `visitor` an id that it does not own yet."""
        names = self._shared.names
        return message.expires != 0 and message.client_id not in names.owned(visitor.key)

    def owned(self, client_id: str) -> bool:
        """Return True if a key owns the id."""
        return self._shared.names.owner(client_id) is not None

    def registered(self, client_id: str) -> bool:
        """Return True if a client is registered under the id, or was a moment ago."""
        known = self._shared.registry.find(client_id) is not None
        return known or self.directory.knows(client_id)

    def _pass_time(self) -> None:
        """Apply the effects of time: servers that went silent, expired registrations."""
        late = self.alive - self._limits.server_lapse
        for node in [node for node, one in self.members.items() if one.heard < late]:
            self._end(node)
        if self.now >= self._told + PRESENCE_EVERY:
            effects = self.directory.due(self.now, SOME)
            if not self.directory.is_due(self.now):  # else the next batch goes on
                self._told = self.now
            self._secure.carry_out(effects)
        if self.now >= self._expired + EXPIRY_EVERY:
            before = self.now - self._limits.classic_lease
            if self._shared.registry.expire(before, SOME) < SOME:  # else the next batch goes on
                self._expired = self.now

    def _carefully(self, command: told.Command, node: str, member: ServerReplica) -> Message | None:
        try:
            return self._do(command, node, member)
        except Exception:
            self.log.failure("a command failed: {command}", command=command)
            return None

    def _do(self, command: told.Command, node: str, member: ServerReplica) -> Message | None:
        match command:
            case told.ConnectionOpened():
                self._come(command, node, member)
            case told.KeyedRequest(number, text):
                visitor = member.visitors.get(number)
                if visitor is not None:
                    self._ask(self._read(text), visitor)
            case told.ConnectionClosed(number):
                visitor = member.visitors.pop(number, None)
                if visitor is not None:
                    self.directory.lost(visitor, self.now)
            case told.PlainRequest():
                return self._ask_plainly(command, node, member)
            case told.PlainClosed(number):
                source = member.sources.pop(number, None)
                if source is not None:
                    source.alive = False
            case told.Expel(client_id, free):
                self._expel(client_id, free)
            case told.Push(to, number, text) if to == self.node:
                visitor = member.visitors.get(number) if to == node else self.visitor(to, number)
                connection = self._secure.connections.get(visitor) if visitor else None
                if connection is not None:
                    connection.say(self._read(text, Sender.SERVER))
            case told.Used(to, number):
                visitor = self.visitor(to, number)
                if visitor is not None:
                    self.directory.uses(visitor, self.now)
            case told.End():
                self._end(node)
        return None

    def visitor(self, node: str, number: int) -> ClientConnection | None:
        """The connection `number` of the server `node`, if it is known."""
        member = self.members.get(node)
        return member.visitors.get(number) if member is not None else None

    def _come(self, come: told.ConnectionOpened, node: str, member: ServerReplica) -> None:
        visitor = member.visitors.get(come.number)
        if visitor is None:
            own = self.find(come.number) if node == self.node else None
            visitor = own or ClientConnection(come.key, come.host, come.port, come.local)
            visitor.number, visitor.node = come.number, node
            member.visitors[come.number] = visitor
        visitor.user = come.user

    def _ask(self, message: Bcp2Message, visitor: ClientConnection) -> None:
        if message.__class__ in READING:
            if visitor.node == self.node:
                self.answer(message, visitor)
        elif message.__class__ not in REQUESTS:  # an older server has written them
            self._direct(message, visitor)

    def _direct(self, message: Bcp2Message, visitor: ClientConnection) -> None:
        """Have the directory answer."""
        own = visitor in self._secure.connections
        if own:
            self._rooms.answered(visitor)
        effects = self.directory.answer(message, visitor, self.now)
        if isinstance(message, bcp2_server.Bridge | bcp2_server.Watch):
            for used in dict.fromkeys([visitor, *(one.visitor for one in effects)]):
                if self.directory.is_on_trial(used):
                    self._pushes.note_use(used)
        if isinstance(message, bcp2_server.Bridge):
            # Tickets are good at this server's relay alone: it tells the other what to say.
            for effect in effects:
                if effect.visitor not in self._secure.connections:
                    self._pushes.send(effect.visitor, effect.message)
        self._secure.carry_out(effects)
        if own and isinstance(message, bcp2_server.Register):
            self._rooms.follow(visitor)
        if own and self._say is not None:
            for line in terminal_lines(effects, visitor):
                self._say(line)

    def _ask_plainly(
        self, asked: told.PlainRequest, node: str, member: ServerReplica
    ) -> Message | None:
        message = codec.decode(asked.text.encode(), self._limits)
        own = node == self.node
        if isinstance(message, RemoteError) or (isinstance(message, PLAIN_READING) and not own):
            return None
        source = member.sources.get(asked.number)
        if source is None:
            source = Origin(asked.host, asked.port, asked.local)
            member.sources[asked.number] = source
        reply = self.plain.answer(message, source, self.now)
        if own and self._say is not None:
            line = self.plain.line(message, reply, source)
            if line is not None:
                self._say(line)
        return reply

    def _expel(self, client_id: str, free: bool) -> None:
        if free:
            _, effects = self.directory.free(client_id)
        else:
            effects = self.directory.expel(client_id)
            self._shared.registry.forget(client_id)
        self._secure.carry_out(effects)

    def _end(self, node: str) -> None:
        """The server `node` is there no more, and none of its connections is."""
        member = self.members.pop(node, None)
        if member is None:
            return
        for visitor in member.visitors.values():
            self.directory.lost(visitor, self.now)
        for source in member.sources.values():
            source.alive = False

    def _read(self, text: str, sender: Sender = Sender.CLIENT) -> Bcp2Message:
        return strict.decode(sender, text.encode(), self._limits)
