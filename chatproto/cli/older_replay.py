"""Compute the state of an older version's servers from the log of their requests. Pure.

These servers wrote each request as a command to one log, and carried it out when they read it back. A
snapshot held the state before it. The log of protocol 3 concerns the directory, that of protocol 2
rooms too. Requests that change nothing are left out here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from chatproto.cli.take_over import SavedId, SavedRoom, SavedState
from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registration_store import MemoryRegistrations
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.rooms.answers import RoomAnswers
from chatproto.server.room_side import REQUESTS
from chatproto.stores.checks import read_policy
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire import bcp2_server, codec, strict
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits

FORMS = (2, 3)
"""Supported versions of a snapshot."""
LONGEST_STEP = 2.0
"""Longest time in seconds that counts as passed between two entries."""
EXPIRY_EVERY = 30.0
"""Seconds of the log between two checks for expired items."""
MOST_BYTES = 32 * 1024 * 1024
"""Largest number of bytes of one entry."""
SURROGATE = re.compile("[\ud800-\udfff]")
MANY = 10**9

POISON = (AssertionError, AttributeError, IndexError, KeyError, OverflowError, RecursionError)
"""Exceptions for values that no server has written, besides TypeError and ValueError."""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or not SURROGATE.search(value))


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _may_be_text(value: object) -> bool:
    return value is None or _is_text(value)


COMMANDS: dict[str, tuple[Callable[[object], bool], ...]] = {
    "come": (_is_number, _is_text, _is_text, _is_number, _is_truth, _may_be_text),
    "ask": (_is_number, _is_text),
    "gone": (_is_number, _is_text),
    "plain": (_is_number, _is_text, _is_number, _is_truth, _is_text),
    "closed": (_is_number,),
    "lobby": (_is_text, _is_text, _is_text),
    "order": (_is_text,),
    "expel": (_is_text, _is_truth),
    "push": (_is_text, _is_number, _is_text),
    "used": (_is_text, _is_number),
    "beat": (_is_text,),
    "end": (),
}
"""By command name, the checks of its fields."""


@dataclass(slots=True)
class OlderServer:
    """A server of the log: the number and time of its last entry, and its connections by number."""

    number: int
    heard: float
    clients: dict[int, ClientConnection] = field(default_factory=dict)
    sources: dict[int, Origin] = field(default_factory=dict)


class OlderReplay:
    """Carry out the commands of a log, in their order."""

    def __init__(self, limits: ServerLimits) -> None:
        # Each server counted new ids by itself, and the log has no record of it.
        self._limits = limits = replace(limits, new_ids_per_address=MANY)
        self._names = MemoryNames()
        self._registry = MemoryRegistry(limits)
        self._registrations = MemoryRegistrations(self._names)
        self._plain = Directory(self._registry, limits, self._names)
        self._keyed = KeyedDirectory(
            self._names, self._registry, str, limits, presences=self._registrations
        )
        self._memory = MemoryRooms(limits)
        self._rooms = self._rules()
        self._servers: dict[str, OlderServer] = {}
        self._now = self._at = self._alive = self._expired = 0.0

    def _rules(self) -> RoomAnswers:
        return RoomAnswers(
            self._memory,
            self._limits,
            self._names.owner,
            self._keyed.find,
            counted=False,
            sees=self._keyed.sees,
        )

    # A snapshot.

    def load(self, lines: Iterable[str]) -> None:
        """Start with a snapshot. Raises ValueError for an invalid one."""
        try:
            parts: dict[str, list[Any]] = {}
            for line in lines:
                name, values = json.loads(line)
                parts.setdefault(name, []).extend(values)
            if parts:
                self._load(parts)
        except (*POISON, TypeError, ValueError, RemoteError) as error:
            raise ValueError(f"no snapshot ({type(error).__name__})") from None

    def _load(self, parts: dict[str, list[Any]]) -> None:
        if parts["form"] not in [[form] for form in FORMS]:
            raise ValueError("its form is not known")
        self._now, self._alive, _, self._expired = parts["times"]
        [at] = parts.get("at", [self._now])
        self._at = at
        for node, _, number, heard, *_ in parts.get("members", []):
            self._servers[node] = OlderServer(number, heard)
        for node, number, host, port, local in parts.get("sources", []):
            self._servers[node].sources[number] = Origin(host, port, local)
        for node, number, *values in parts.get("visitors", []):
            client = _client(values, node, number)
            client.client_id = None
            self._servers[node].clients[number] = client
        for values in parts.get("standing", []):
            self._stand(*values)
        # After the registrations: ids that were used stay so.
        self._names.load(parts.get("names", []), parts.get("hidden", []))
        self._registry.load(parts, self._source)
        for fields in parts.get("rooms", []):
            kept = dict(fields)
            self._memory.keep(read_policy(kept.pop("name"), kept))
        self._memory.load(parts.get("logs", []), parts.get("lines", []))
        self._rooms = self._rules()
        for room, node, number in parts.get("guests", []):
            self._rooms.seat(room, self._servers[node].clients[number])

    def _source(self, named: list[Any]) -> Origin:
        node, number, host, port, local = named
        if node:
            return self._servers[node].sources[number]
        return Origin(host, port, local, alive=False)

    def _stand(
        self,
        client_id: str,
        key: str,
        port: int,
        addresses: list[list[Any]],
        expires: int,
        listed: bool,
        allow: list[str],
        away: str,
        until: float | None,
        *rest: Any,
    ) -> None:
        """Register a client again, or store the registration of one that had left."""
        _, _, node, number, *seen = rest
        claimed = tuple((host, other) for host, other in addresses)
        if until is None:
            message = bcp2_server.Register(
                1, client_id, port, claimed, expires, listed, tuple(allow), away=away
            )
            self._keyed.answer(message, self._servers[node].clients[number], self._now)
            return
        proven = seen[-1] is not False
        client = _client(seen if proven else seen[:-1], node, number)
        self._registrations.put(
            Registration(
                *(client_id, key, port, claimed, expires, listed),
                *(tuple(allow), client, until, proven, away),
            )
        )

    # Entries.

    def read(self, at: float, line: str) -> None:
        """Apply an entry with the time `at`; one that no server has written is left out."""
        try:
            node, number, commands = _batch(line)
        except (*POISON, TypeError, ValueError):
            return  # all servers of that log left it out too
        server = self._server(node, number, commands, at)
        if server is not None:
            for kind, *values in commands:
                try:
                    self._apply(kind, values, node, server)
                except (*POISON, TypeError, ValueError, RemoteError):
                    continue  # it was refused then, too

    def _server(self, node: str, number: int, commands: list[Any], at: float) -> OlderServer | None:
        """Return the server that has written an entry; None if the entry does not count."""
        step = min(max(at - self._at, 0.0), LONGEST_STEP) if self._at else 0.0
        self._alive += step
        self._now = max(self._now + step, at)
        self._at = at
        server = self._servers.get(node)
        if server is None and number == 1 and commands[0][0] == "beat":
            server = self._servers[node] = OlderServer(0, self._alive)
        counts = server is not None and number == server.number + 1
        if counts and server is not None:
            server.number, server.heard = number, self._alive
        late = self._alive - self._limits.server_lapse
        for one in [name for name, other in self._servers.items() if other.heard < late]:
            self._end(one)
        if self._now >= self._expired + EXPIRY_EVERY:
            self._expired = self._now
            self._keyed.due(self._now)
            self._registry.expire(self._now - self._limits.classic_lease)
        return server if counts else None

    def _apply(self, kind: str, values: list[Any], node: str, server: OlderServer) -> None:
        now = self._now
        match kind, values:
            case "come", [number, key, host, port, local, user]:
                client = server.clients.get(number)
                if client is None:
                    client = ClientConnection(key, host, port, local, number=number, node=node)
                    server.clients[number] = client
                client.user = user
            case "ask", [number, text]:
                asking = server.clients.get(number)
                if asking is not None:
                    self._ask(self._read(text), asking)
            case "gone", [number, reason]:
                gone = server.clients.pop(number, None)
                if gone is not None:
                    self._rooms.left(gone, now, reason)
                    self._keyed.lost(gone, now)
            case "plain", [number, host, port, local, text]:
                message = codec.decode(text.encode(), self._limits)
                source = server.sources.setdefault(number, Origin(host, port, local))
                if not isinstance(message, RemoteError):
                    self._plain.answer(message, source, now)
            case "closed", [number]:
                closed = server.sources.pop(number, None)
                if closed is not None:
                    closed.alive = False
            case "expel", [client_id, True]:
                self._keyed.free(client_id)
            case "expel", [client_id, False]:
                self._keyed.expel(client_id)
                self._registry.forget(client_id)
            case "used", [other, number] if other in self._servers:
                used = self._servers[other].clients.get(number)
                if used is not None:
                    self._keyed.uses(used, now)
            case "order", [text]:
                self._rooms.operate(self._read(text), now)
            case "lobby", ["said", name, text]:
                self._rooms.raw_message(name, text, now)
            case "end", []:
                self._end(node)

    def _ask(self, message: Bcp2Message, client: ClientConnection) -> None:
        now = self._now
        if isinstance(message, bcp2_server.Register):
            self._keyed.answer(message, client, now)
            self._rooms.follow(client, now)
        elif isinstance(message, bcp2_server.Bridge | bcp2_server.Watch):
            self._keyed.uses(client, now)
        elif message.__class__ in REQUESTS:
            self._keyed.uses(client, now)
            self._rooms.answer(message, client, now)

    def _end(self, node: str) -> None:
        """End a server, and with it all its connections."""
        server = self._servers.pop(node, None)
        if server is None:
            return
        for client in server.clients.values():
            self._rooms.left(client, self._now, "")
            self._keyed.lost(client, self._now)
        for source in server.sources.values():
            source.alive = False

    def _read(self, text: str) -> Bcp2Message:
        return strict.decode(Sender.CLIENT, text.encode(), self._limits)

    # The end.

    def saved(self) -> SavedState:
        """Return the state of the log's servers at its end."""
        hidden = {client_id: tuple(allow) for client_id, allow in self._names.hidden_image()}
        leases = self._registry.listed(len(self._registry))
        return SavedState(
            [
                SavedId(client_id, key, used, trial, hidden.get(client_id))
                for client_id, key, used, _, trial in self._names.image()
            ],
            [*self._registrations.all()],
            [(lease, self._registry.heard_at(lease.client_id)) for lease in leases],
            [*self._saved_rooms()],
        )

    def _saved_rooms(self) -> Iterable[SavedRoom]:
        for room in self._rooms.all():
            policy, log = room.policy, self._memory.log(room.policy.name)
            # The lobby is always created.
            if policy.owner or log.lines or policy.version:
                yield SavedRoom(policy, log.last, [*log.lines])


def _batch(line: str) -> tuple[str, int, list[Any]]:
    """Read the node, the number and the commands of an entry. Raises one of POISON, TypeError,
    ValueError.
    """
    if len(line) > MOST_BYTES:
        raise ValueError
    node, number, commands = json.loads(line)
    if not (_is_text(node) and _is_number(number) and commands):
        raise ValueError
    for kind, *values in commands:
        if not all(check(one) for check, one in zip(COMMANDS[kind], values, strict=True)):
            raise ValueError
    return node, number, commands


def _client(values: list[Any], node: str, number: int) -> ClientConnection:
    key, host, port, local, client_id, listens, user = values
    return ClientConnection(key, host, port, local, client_id, set(), listens, user, number, node)
