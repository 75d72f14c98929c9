"""A server of several: what its clients ask is written to the log that all share, and done when read.

What changes nothing is answered at once, from this server's own replica.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.directory.visitors import Visitor
from chatproto.rooms.flood import Requests
from chatproto.server import commands as told
from chatproto.server import replica_picture
from chatproto.server.replica import PLAIN_READING, READING, Missed, Replica
from chatproto.server.room_side import REQUESTS
from chatproto.wire import bcp2, bcp2_rooms, codec, strict
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.limits import DEFAULTS, Limits
from chatproto.wire.messages import Error as PlainError
from chatproto.wire.messages import Message

RETRY_AFTER = 2
"""Seconds after which to ask again what could not be written."""
AGAIN = 0.5
"""Seconds before what was not written is written again."""
AT_ONCE = 500
"""Commands in one batch."""
FAREWELL = 1.0
"""Seconds that a server which ends waits for its last word to be written."""
UNANSWERED = 64
"""What one connection may have asked without having been answered; then it is read no further."""

_NOBODY = ""
Answers = list[tuple[Message | RemoteError, Message]]


class Log(Protocol):
    """What the servers share. It reads by itself, and tells a SharedSide: `begin`, `read`, `came`."""

    def append(self, line: str) -> Deferred[Any]:
        """Put `line` at the end. Fails with StoreTrouble if that was not done, with anything else if it
        may have been."""

    def keep(self, lines: Iterator[str]) -> Deferred[int]:
        """Let servers that begin do so with the picture `lines`, and with what has been read up to now;
        what was before it is wanted no more. Fires with its size in bytes."""


class Connection(Protocol):
    """One of a client with a key."""

    def say(self, message: Bcp2Message) -> None:
        """Send `message`."""

    def go_on(self) -> None:
        """Read on where it was held up."""


class PlainConnection(Protocol):
    """One in plain text."""

    host: str
    port: int
    came: int

    @property
    def local(self) -> bool:
        """Whether the other end is on this machine."""

    def answered(self, answers: Answers) -> None:
        """Send the answers to a chunk of what it asked."""

    def close(self) -> None:
        """Close it."""


class Waiter(NamedTuple):
    """Who waits for a command: `done` is called with the answer in plain text, if it has one, when it
    is carried out; or `refused` when it is sure that it never will be."""

    done: Callable[[Message | None], None]
    refused: Callable[[], None]


class _Written(NamedTuple):
    """A batch that has not been read back yet."""

    number: int
    line: str
    commands: list[tuple[told.Command, Waiter | None]]


def rules_of(limits: Limits, version: str) -> str:
    """A few letters that differ where servers would decide differently."""
    text = f"{version} {replica_picture.FORM} {limits!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class SharedSide:
    """`new_node` makes a name for a server, another each time; `unfit` is told why it may not join.

    `entered` is called whenever this server has come in, and what was there before is known.
    """

    log = Logger()
    missed: type[Exception] = Missed

    def __init__(
        self,
        clock: IReactorTime,
        log: Log,
        replica: Replica,
        rules: str,
        new_node: Callable[[], str],
        limits: Limits = DEFAULTS,
        unfit: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.replica = replica
        self.entered: Callable[[], None] = lambda: None
        self._clock = clock
        self._log = log
        self._rules = rules
        self._new_node = new_node
        self._limits = limits
        self._unfit = unfit
        self._loaded = False  # it knows what the others know, or knew
        self._in = False  # and they know of it
        self._refused = False  # the log takes nothing just now
        self._read_at = -1e9
        self._number = 0
        self._queue: deque[tuple[told.Command, Waiter | None]] = deque()
        self._flight: _Written | None = None
        self._sending = False
        self._doubtful = False  # whether what is being written may have been written already
        self._unread: deque[_Written] = deque()
        self._visitors: dict[int, Visitor] = {}
        self._users: dict[Visitor, str | None] = {}  # who has been made known, as which user
        self._asked: dict[Visitor, int] = {}
        self._held: dict[Visitor, Connection] = {}
        self._requests: dict[Visitor, Requests] = {}
        self._plain: dict[int, PlainConnection] = {}
        self._since = 0  # bytes read since there was a picture
        self._size = 0  # of the last picture
        self._drawing = False
        self._strange: set[str] = set()
        self._waits: Any = None
        self._stopped: Deferred[None] | None = None
        self._beat = LoopingCall(self._beats)
        self._beat.clock = clock
        replica.find = self._visitors.get
        replica.push = self._ask

    # Whether it can be asked.

    @property
    def away(self) -> bool:
        """Whether nothing can be written just now, as far as is known."""
        if not self._in or self._refused or len(self._queue) >= self._limits.log_waiting:
            return True
        return self._clock.seconds() - self._read_at > self._limits.log_silence

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
        if self.away:
            self._stopped.callback(None)
        else:
            self._ask(told.End())
        self._stopped.addTimeout(FAREWELL, self._clock)
        return self._stopped.addErrback(lambda _: None)

    # What connections ask.

    def take(self, message: Bcp2Message, visitor: Visitor, connection: Connection) -> None:
        """`visitor` asks `message`."""
        try:
            self._take(message, visitor, connection)
        except RemoteError as error:
            cseq = getattr(message, "cseq", None)
            retry = RETRY_AFTER if error.status in (429, 503) else None
            connection.say(Error(error.status, cseq, retry_after=retry))

    def _take(self, message: Bcp2Message, visitor: Visitor, connection: Connection) -> None:
        if message.__class__ in REQUESTS and not isinstance(message, bcp2_rooms.Say):
            requests = self._requests.get(visitor)
            if requests is None:
                requests = self._requests[visitor] = Requests(self._limits, self._clock.seconds())
            requests.count(self._clock.seconds())
        if self._is_for_here(message, visitor):
            self.replica.answer(message, visitor)
            return
        if self.away:
            raise RemoteError(503, "what the servers share is away")
        text = strict.encode(message, self._limits).decode()
        if self._users.get(visitor, _NOBODY) != visitor.user:
            self._users[visitor] = visitor.user
            self._visitors[visitor.number] = visitor
            seen = visitor.key, visitor.host, visitor.port, visitor.local
            self._ask(told.Come(visitor.number, *seen, visitor.user))
        self._asked[visitor] = self._asked.get(visitor, 0) + 1

        def refused() -> None:
            cseq = getattr(message, "cseq", None)
            connection.say(Error(503, cseq, retry_after=RETRY_AFTER))
            self._answered(visitor)

        waiter = Waiter(lambda _: self._answered(visitor), refused)
        self._ask(told.Ask(visitor.number, text), waiter)

    def _is_for_here(self, message: Bcp2Message, visitor: Visitor) -> bool:
        """Whether it can be answered now, by this server alone."""
        if isinstance(message, Ping | PingAck):
            return True
        if not self._loaded or visitor in self._asked or not isinstance(message, READING):
            return False
        return not (self.away and isinstance(message, bcp2.Bridge))  # who is called must hear of it

    def holds(self, visitor: Visitor, message: object, connection: Connection) -> bool:
        """Whether `message` has to wait for answers to what was asked before; `go_on` is called then."""
        asked = self._asked.get(visitor, 0)
        if asked >= UNANSWERED or (asked and (message is None or isinstance(message, bcp2.Login))):
            self._held[visitor] = connection
            return True
        return False

    def gone(self, visitor: Visitor, reason: str) -> None:
        """Its connection has ended."""
        self._held.pop(visitor, None)
        self._asked.pop(visitor, None)
        self._requests.pop(visitor, None)
        if self._users.pop(visitor, _NOBODY) is not _NOBODY:
            del self._visitors[visitor.number]
            self._ask(told.Gone(visitor.number, reason))

    def take_plain(self, connection: PlainConnection, messages: list[Any]) -> None:
        """A connection in plain text asks `messages`."""
        waits = _Answers(connection, messages)
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
                asked = told.Plain(connection.came, *seen, codec.encode(message).decode())
                self._ask(asked, waits.waiter(place))

    def closed(self, connection: PlainConnection) -> None:
        """That connection has ended."""
        if self._plain.pop(connection.came, None) is not None:
            self._ask(told.Closed(connection.came))

    # What the operator wants, and the lobby in bare text tells.

    def order(self, message: Bcp2Message) -> None:
        """Carry out what the operator wants, unless it is refused when it is read. Raises StoreTrouble."""
        self._check()
        self._ask(told.Order(strict.encode(message, self._limits).decode()))

    def expel(self, client_id: str, free: bool) -> bool:
        """Put out `client_id`, or with `free` take it from its key; False if it is nobody's. Raises
        StoreTrouble."""
        self._check()
        known = self.replica.owned(client_id) if free else self.replica.registered(client_id)
        if known:
            self._ask(told.Expel(client_id, free))
        return known

    def came(self, name: str) -> None:
        """`name` is in the lobby in bare text."""
        self._ask(told.Lobby("came", name, ""))

    def went(self, name: str, reason: str) -> None:
        """And there no more."""
        self._ask(told.Lobby("went", name, reason))

    def heard(self, name: str, text: str) -> None:
        """It has said `text` there; which is lost to the others if the log is away."""
        if not self.away:
            self._ask(told.Lobby("said", name, text))

    def _check(self) -> None:
        if self.away:
            raise StoreTrouble("what the servers share is away: nothing was done")

    # What is written.

    def _ask(self, command: told.Command, waiter: Waiter | None = None) -> None:
        if not self._queue and self._flight is None:
            # What is asked in this turn of the reactor goes together.
            self._clock.callLater(0, self._write)
        self._queue.append((command, waiter))

    def _write(self) -> None:
        if self._flight is not None or not self._queue or not self.replica.node:
            return
        taken = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        self._number += 1
        batch = told.Batch(self.replica.node, self._number, tuple(command for command, _ in taken))
        self._doubtful = False
        self._flight = _Written(self._number, told.write(batch), taken)
        self._unread.append(self._flight)
        self._send()

    def _send(self) -> None:
        flight = self._flight
        if flight is None or self._sending:
            return
        self._sending = True
        sent = self._log.append(flight.line)
        sent.addCallbacks(self._sent, self._not_sent, (flight,), errbackArgs=(flight,))

    def _sent(self, _: object, flight: _Written) -> None:
        self._sending = self._refused = False
        if self._flight is flight:
            self._flight = None
        self._go_on()

    def _not_sent(self, failure: Failure, flight: _Written) -> None:
        if not self._refused:
            self.log.error("nothing can be written: {why}", why=failure.getErrorMessage())
        self._sending, self._refused = False, True
        if failure.check(StoreTrouble) is not None and self._flight is flight:
            self._take_back(flight)
        else:
            self._doubtful = True
        self._refuse()
        if self._stopped is None:
            self._clock.callLater(AGAIN, self._go_on)

    def _take_back(self, flight: _Written) -> None:
        """It has not been written, unless an earlier try has."""
        if not self._doubtful:
            self._flight = None
            self._unread.pop()
            self._number -= 1
            self._queue.extendleft(reversed(flight.commands))

    def _refuse(self) -> None:
        """Whoever waits for what has not been written need not wait for the log to be there again."""
        waiting, self._queue = self._queue, deque()
        for command, waiter in waiting:
            if waiter is None:
                self._queue.append((command, None))
            else:
                waiter.refused()

    def _go_on(self) -> None:
        if self._flight is not None:
            self._send()
        else:
            self._write()

    def _beats(self) -> None:
        if self.away:
            self._refuse()
        if self._in and not self._queue:
            self._ask(told.Beat(self._rules))

    # What is read.

    def begin(self, lines: list[str]) -> None:
        """Begin anew, with the picture `lines` or with nothing; what follows is read. Raises ValueError."""
        picture = replica_picture.read(lines)
        self._part()
        self._loaded = False
        self.replica.begin()
        if picture:
            try:
                replica_picture.load(self.replica, picture)
            except (KeyError, TypeError) as error:
                raise ValueError(f"no picture: {error!r}") from None
        self._since, self._size = 0, sum(map(len, lines))

    def came_up(self) -> None:
        """All has been read that there was: the log is there, for the first time or again."""
        self._read_at = self._clock.seconds()
        self._refused = False
        if self._loaded:
            self._go_on()
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
            self._since += len(line)
            try:
                batch = told.read(line)
            except ValueError as error:
                self.log.error("somebody else writes to the log: {why}", why=error)
                continue
            if batch.node in self._strange and self._waits.active():
                self._waits.cancel()
                self._unfit(
                    "the servers that are there have other limits or are of another version: "
                    "start all with the same --limits, or end the others first"
                )
                return
            own = batch.node == self.replica.node
            answers = self.replica.apply(batch, at)
            if own and answers is not None:
                self._read_back(batch, answers)
            if self._in and self.replica.node not in self.replica.members:
                self._given_up()
        self._draw()

    def _read_back(self, batch: told.Batch, answers: list[Message | None]) -> None:
        written = self._unread.popleft()
        assert written.number == batch.number
        if not self._in:
            self._in = True
            self.entered()
        for (_, waiter), answer in zip(written.commands, answers, strict=True):
            if waiter is not None:
                waiter.done(answer)
        if self._flight is written:
            self._flight = None
            if not self._sending:
                self._go_on()

    def _answered(self, visitor: Visitor) -> None:
        asked = self._asked.get(visitor)
        if asked is None:
            return
        if asked > 1:
            self._asked[visitor] = asked - 1
            return
        del self._asked[visitor]
        held = self._held.pop(visitor, None)
        if held is not None:
            held.go_on()

    def _enter(self) -> None:
        """Come in, under a name that nobody has had."""
        self.replica.node = self._new_node()
        self._number = 0
        self._queue.appendleft((told.Beat(self._rules), None))
        self._write()

    def _given_up(self) -> None:
        """The others have heard nothing of it for long, or it has said that it ends."""
        self._part()
        if self._stopped is None:
            self.log.warn("the other servers have given this one up: it comes in again")
            self._enter()
        elif not self._stopped.called:
            self._stopped.callback(None)

    def _part(self) -> None:
        """Nothing that its connections were is true any more: they come back, and find all again."""
        self._in = False
        self.replica.node = ""
        self._queue.clear()
        self._unread.clear()
        self._flight = None
        self._users.clear()
        self._visitors.clear()
        self._asked.clear()
        self._held.clear()
        plain, self._plain = self._plain, {}
        for connection in plain.values():
            connection.close()
        self.replica.dismiss_all(RETRY_AFTER)

    def _draw(self) -> None:
        """Keep a picture of it all now and then, so that the log need not be kept: one server does."""
        enough = self._since > max(self._limits.log_bytes, self._size)
        if not (self._in and enough) or self._drawing:
            return
        if next(iter(self.replica.members)) != self.replica.node:
            return
        self._drawing, self._since = True, 0
        lines = replica_picture.written(replica_picture.picture(self.replica))
        self._log.keep(lines).addCallbacks(self._drawn, self._not_drawn)

    def _drawn(self, size: int) -> None:
        self._drawing, self._size = False, size

    def _not_drawn(self, failure: Failure) -> None:
        self._drawing = False
        self.log.error("no picture is kept: {why}", why=failure.getErrorMessage())


class _Answers:
    """The answers to a chunk, in their order; sent when all are there."""

    def __init__(self, connection: PlainConnection, messages: list[Any]) -> None:
        self._connection = connection
        self._messages = messages
        self._found: dict[int, Message] = {}

    def put(self, place: int, answer: Message) -> None:
        self._found[place] = answer
        if len(self._found) == len(self._messages):
            found = [self._found[number] for number in range(len(self._messages))]
            self._connection.answered(list(zip(self._messages, found, strict=True)))

    def waiter(self, place: int) -> Waiter:
        return Waiter(
            lambda answer: self.put(place, answer or PlainError(500)),
            lambda: self.put(place, PlainError(503)),
        )
