"""A server of several: what its clients ask is written to the log that all share, and done when read.

What changes nothing is answered at once, from this server's own replica.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from chatproto.directory.keyed import count_new_id, new_ids_limiter
from chatproto.directory.registrations import ClientConnection
from chatproto.server import commands as told
from chatproto.server import replica_snapshot
from chatproto.server.batches import Batches, SharedLog, Waiter
from chatproto.server.client_pushes import ClientPushes
from chatproto.server.replica import PLAIN_READING, READING, Missed, Replica
from chatproto.server.room_side import REQUESTS
from chatproto.server.shared_connections import Chunk, PlainConnection, SharedConnection
from chatproto.server.snapshots import Pictures
from chatproto.server.unanswered import Unanswered
from chatproto.wire import bcp2_server, codec, strict
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.classic import ClassicError as PlainError
from chatproto.wire.classic import Message
from chatproto.wire.errors import Later, RemoteError, StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

RETRY_AFTER = 2
"""Seconds after which to ask again what could not be written."""
FAREWELL = 1.0
"""Seconds that a server which ends waits for its last word to be written."""

MOST_GAPS = 10_000
"""Gaps that are remembered, so that each makes a server begin anew at most once."""

_NOBODY = ""


PROTOCOL = 3
"""Number of the rules that all servers of one log follow; raised when a command is decided otherwise."""

DECIDING = (
    "registrations", "registrations_per_address", "info_lines", "classic_lease", "takeover_wait",
    "partner_wait", "lease", "lease_least", "lease_most", "keep_names", "keep_unused", "names",
    "names_per_key", "presence_grace", "watches", "introductions_from", "introductions_to",
    "introductions_vain", "introductions_to_per_address", "introductions_reserve", "tickets",
    "ticket_wait", "server_lapse",
)  # fmt: skip
"""ServerLimits that decide the answer to a command, so that all servers of one log must have the same.

ServerLimits of one connection, such as `line`, `unsent` and `handshake_wait`, may differ, and so may
`new_ids_per_address`, which each server counts by itself. Those of rooms may differ too.
"""


def rules_of(limits: ServerLimits) -> str:
    """Return 16 letters that differ where servers would decide differently."""
    values = [getattr(limits, name) for name in DECIDING]
    text = f"{PROTOCOL} {replica_snapshot.FORM} {values!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RoomRequests(Protocol):
    """Rooms that clients of this server ask about."""

    def ask(self, message: Bcp2Message, visitor: ClientConnection) -> Deferred[None]:
        """Carry out a request; fires when it is answered."""

    def gone(self, visitor: ClientConnection, reason: str = "") -> None:
        """Handle the end of a connection."""


class SharedSide:
    """`new_node` makes a name for a server, another each time; `unfit` is told why it may not join.

    `come_back` makes of a number of clients the seconds after which one of them comes back.
    `rooms` answers what is asked about rooms. `entered` is called whenever this server has come in, and
    what was there before is known, and `refuses` when the log begins to take nothing.
    """

    log = Logger()
    missed: type[Exception] = Missed

    def __init__(
        self,
        clock: IReactorTime,
        log: SharedLog,
        batches: Batches,
        replica: Replica,
        rooms: RoomRequests,
        pushes: ClientPushes,
        rules: str,
        new_node: Callable[[], str],
        limits: ServerLimits = SERVER_DEFAULTS,
        unfit: Callable[[str], None] = lambda sentence: None,
        come_back: Callable[[int], int] = lambda count: RETRY_AFTER,
    ) -> None:
        self.replica = replica
        self.entered: Callable[[], None] = lambda: None
        self.refuses: Callable[[], None] = lambda: None
        self._clock = clock
        self._rooms = rooms
        self._pushes = pushes
        self._rules = rules
        self._new_node = new_node
        self._limits = limits
        self._unfit = unfit
        self._come_back = come_back
        self._draws = False  # snapshots may take the place of what was before
        self._loaded = False  # it knows what the others know, or knew
        self._in = False  # and they know of it
        self._read_at = -1e9
        self._batches = batches
        self._batches.on_refused = lambda: self.refuses()
        self._visitors: dict[int, ClientConnection] = {}
        self._users: dict[
            ClientConnection, str | None
        ] = {}  # who has been made known, as which user
        self._unanswered = Unanswered()
        self._in_rooms = Unanswered()
        self._new_ids = new_ids_limiter(limits)  # each server counts those of its own clients
        self._plain: dict[int, PlainConnection] = {}
        self._pictures = Pictures(log, replica, limits.log_bytes)
        self._strange: set[str] = set()
        self._gaps: set[tuple[str, int]] = (
            set()
        )  # a server, and its batch before which one is missing
        self._waits: Any = None
        self._stopped: Deferred[None] | None = None
        self._beat = LoopingCall(self._beats)
        self._beat.clock = clock
        replica.find = self._visitors.get

    # Whether it can be asked.

    @property
    def away(self) -> bool:
        """True while nothing can be written to the log, as far as is known."""
        batches = self._batches
        if not self._in or batches.refused or len(batches) >= self._limits.log_waiting:
            return True
        return self._clock.seconds() - self._read_at > self._limits.log_silence

    @property
    def refused(self) -> str:
        """Why the log took nothing when it was tried last; empty: it did."""
        return self._batches.refused

    def allow_snapshots(self) -> None:
        """Put snapshots into the log from now on: nothing else is to be read out of what is in it."""
        self._draws = True

    def start(self) -> None:
        """Say from now on that this server is there."""
        self._beat.start(self._limits.server_beat, now=False)

    def stop(self) -> Deferred[None]:
        """Say that it ends, after what was asked until now; fires when that is known, or soon."""
        if self._beat.running:
            self._beat.stop()
        if self._waits is not None and self._waits.active():
            self._waits.cancel()
        self._stopped = Deferred()
        self._batches.stopping = True
        if self.away:
            self._stopped.callback(None)
        else:
            self._batches.add(told.End())
        self._stopped.addTimeout(FAREWELL, self._clock)
        return self._stopped.addErrback(lambda _: None)

    # What connections ask.

    def take(
        self, message: Bcp2Message, visitor: ClientConnection, connection: SharedConnection
    ) -> None:
        """`visitor` asks `message`."""
        try:
            self._take(message, visitor, connection)
        except RemoteError as error:
            cseq = getattr(message, "cseq", None)
            retry = RETRY_AFTER if error.status in (429, 503) else None
            if isinstance(error, Later):
                retry = error.retry_after
            connection.say(Error(error.status, cseq, retry_after=retry))

    def _take(
        self, message: Bcp2Message, visitor: ClientConnection, connection: SharedConnection
    ) -> None:
        if message.__class__ in REQUESTS:
            self._take_to_rooms(message, visitor)
            return
        if self._is_for_here(message, visitor):
            self.replica.answer(message, visitor)
            return
        if self.away:
            raise RemoteError(503, "what the servers share is away")
        if isinstance(message, bcp2_server.Register) and self.replica.is_new(message, visitor):
            count_new_id(self._new_ids, visitor.host, self._clock.seconds())
        text = strict.encode(message, self._limits).decode()
        if self._users.get(visitor, _NOBODY) != visitor.user:
            self._users[visitor] = visitor.user
            self._visitors[visitor.number] = visitor
            seen = visitor.key, visitor.host, visitor.port, visitor.local
            self._batches.add(told.ConnectionOpened(visitor.number, *seen, visitor.user))
        self._unanswered.asked(visitor)

        def refused() -> None:
            cseq = getattr(message, "cseq", None)
            connection.say(Error(503, cseq, retry_after=RETRY_AFTER))
            self._unanswered.answered(visitor)

        waiter = Waiter(lambda _: self._unanswered.answered(visitor), refused)
        self._batches.add(told.KeyedRequest(visitor.number, text), waiter)

    def _take_to_rooms(self, message: Bcp2Message, visitor: ClientConnection) -> None:
        """Have the rooms answer: they do not need the log."""
        if visitor.client_id is None and self.away:
            raise RemoteError(503, "what the servers share is away")
        if self.replica.directory.is_on_trial(visitor) and not self.away:
            self._pushes.note_use(visitor)
        self._in_rooms.asked(visitor)
        asked = self._rooms.ask(message, visitor)
        asked.addCallback(lambda _: self._in_rooms.answered(visitor))

    def _is_for_here(self, message: Bcp2Message, visitor: ClientConnection) -> bool:
        """Return True if this server can answer the request at once and alone."""
        if isinstance(message, Ping | PingAck):
            return True
        if not self._loaded or visitor in self._unanswered or not isinstance(message, READING):
            return False
        return not (
            self.away and isinstance(message, bcp2_server.Bridge)
        )  # who is called must hear of it

    def holds(
        self, visitor: ClientConnection, message: object, connection: SharedConnection
    ) -> bool:
        """Return True if `message` must wait for earlier answers; `go_on` is called then.

        Answers of the log and of the rooms come on different ways, and in the order of the requests.
        """
        log, rooms = self._unanswered, self._in_rooms
        if message.__class__ in REQUESTS:
            return log.holds(visitor, connection, 1) or rooms.holds(visitor, connection)
        if isinstance(message, Ping | PingAck):
            return log.holds(visitor, connection)
        if message is None or isinstance(message, bcp2_server.Login):
            return log.holds(visitor, connection, 1) or rooms.holds(visitor, connection, 1)
        return rooms.holds(visitor, connection, 1) or log.holds(visitor, connection)

    def gone(self, visitor: ClientConnection, reason: str) -> None:
        """Handle the end of a keyed connection."""
        self._unanswered.forget(visitor)
        self._in_rooms.forget(visitor)
        self._rooms.gone(visitor, reason)
        if self._users.pop(visitor, _NOBODY) is not _NOBODY:
            del self._visitors[visitor.number]
            self._batches.add(told.ConnectionClosed(visitor.number, reason))

    def take_plain(self, connection: PlainConnection, messages: list[Any]) -> None:
        """A connection in plain text asks `messages`."""
        waits = Chunk(connection, messages)
        away = self.away
        local = self._loaded and all(isinstance(one, PLAIN_READING) for one in messages)
        for place, message in enumerate(messages):
            if isinstance(message, RemoteError):
                waits.put(place, PlainError(message.status))
            elif local or (away and self._loaded and isinstance(message, PLAIN_READING)):
                waits.put(place, self.replica.answer_plainly(message))
            elif away:
                waits.put(place, PlainError(503))
            else:
                self._plain[connection.came] = connection
                seen = connection.host, connection.port, connection.local
                asked = told.PlainRequest(connection.came, *seen, codec.encode(message).decode())
                self._batches.add(asked, waits.waiter(place))

    def closed(self, connection: PlainConnection) -> None:
        """Handle the end of a plain-text connection."""
        if self._plain.pop(connection.came, None) is not None:
            self._batches.add(told.PlainClosed(connection.came))

    # What the operator wants.

    def expel(self, client_id: str, free: bool) -> bool:
        """Put out `client_id`, or with `free` take it from its key; False if it is nobody's. Raises
        StoreTrouble."""
        if self.away:
            raise StoreTrouble("what the servers share is away: nothing was done")
        known = self.replica.owned(client_id) if free else self.replica.registered(client_id)
        if known:
            self._batches.add(told.Expel(client_id, free))
        return known

    # What is written.

    def _beats(self) -> None:
        if self.away:
            self._batches.refuse()
        if self._in and not len(self._batches):
            self._batches.add(told.Beat(self._rules))

    # What is read.

    def begin(self, lines: list[str]) -> None:
        """Begin anew, with the picture `lines` or with nothing; what follows is read. Raises ValueError."""
        self._part()
        self._loaded = False
        self.replica.begin()
        try:
            picture = replica_snapshot.read(lines)
            if picture:
                replica_snapshot.load(self.replica, picture)
        except Exception as error:  # whoever can write to Redis may have written anything
            self.replica.begin()
            raise ValueError(f"no picture ({type(error).__name__})") from None
        self._pictures.begin(lines)

    def came_up(self) -> None:
        """All has been read that there was: the log is there, for the first time or again."""
        self._read_at = self._clock.seconds()
        self._batches.refused = ""
        self._batches.go_on()
        if self._loaded:
            return
        self._loaded = True
        self._strange = {
            node for node, one in self.replica.members.items() if one.rules != self._rules
        }
        if self._strange:
            self.log.info("servers of other rules were here: are they still?")
            self._waits = self._clock.callLater(self._limits.server_lapse, self._enter)
        else:
            self._enter()

    def read(self, entries: Iterable[tuple[float, str]]) -> None:
        """The next of the log: when each came (seconds since 1970), and its line. Raises Missed."""
        self._read_at = self._clock.seconds()
        for at, line in entries:
            self._pictures.has_read(line)
            try:
                batch = told.read(line)
            except ValueError as error:
                self._skip(at, error)
                continue
            if batch.node in self._strange and self._waits.active():
                self._waits.cancel()
                self._unfit(
                    "the servers that are there have other limits or are of another version: "
                    "start all with the same --limits, or end the others first"
                )
                return
            own = batch.node == self.replica.node
            answers = self._apply(batch, at)
            if own and answers is not None:
                if self._batches.awaits(batch.number, len(batch.commands)):
                    self._read_back(batch.number, answers)
                else:
                    self.log.error("another program writes to the log in the name of this server")
                    self._given_up()
            if self._in and self.replica.node not in self.replica.members:
                self._given_up()
        if self._in and self._draws:
            self._pictures.draw_when_due()

    def _apply(self, batch: told.CommandBatch, at: float) -> list[Message | None] | None:
        """Carry out `batch`; None if it does not count. Raises Missed once for each gap of a server.

        A gap that is there again after the picture was read is in no picture: all servers skip it.
        """
        try:
            return self.replica.apply(batch, at)
        except Missed:
            gap = batch.node, batch.number
            if gap not in self._gaps:
                if len(self._gaps) >= MOST_GAPS:
                    self._gaps.clear()
                self._gaps.add(gap)
                raise
            self._skip(at, ValueError("what was before it is missing"))
        except Exception as error:
            self._skip(at, error)
        return None

    def _skip(self, at: float, error: Exception) -> None:
        """Name an entry that is left out. None ends a server, whoever wrote it."""
        self.log.error(
            "the entry {entry:.0f}-* of the log is skipped: {why}",
            entry=at * 1000,
            why=str(error) or type(error).__name__,
        )

    def _read_back(self, number: int, answers: list[Message | None]) -> None:
        if not self._in:
            self._in = True
            self.entered()
        self._batches.read_back(number, answers)

    def _enter(self) -> None:
        """Come in, under a name that nobody has had."""
        self.replica.node = self._new_node()
        self._batches.begin(self.replica.node, told.Beat(self._rules))

    def _given_up(self) -> None:
        """The others have heard nothing of it for long, or it has said that it ends."""
        self._part()
        if self._stopped is None:
            self.log.warn("the other servers have given this one up: it comes in again")
            self._enter()
        elif not self._stopped.called:
            self._stopped.callback(None)

    def _part(self) -> None:
        """Disconnect the clients of this server: their shared state is gone, and they must return."""
        self._in = False
        self.replica.node = ""
        self._batches.end()
        self._users.clear()
        self._visitors.clear()
        self._unanswered.clear()
        self._in_rooms.clear()
        plain, self._plain = self._plain, {}
        for connection in plain.values():
            connection.close()
        self.replica.dismiss_all(self._come_back)
