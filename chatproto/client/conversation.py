"""Keep one conversation: its session, its name, its messages, and how its effects are applied."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall

from chatproto.client.calls.rendezvous import path_of
from chatproto.client.context import Context, Signal
from chatproto.client.events import Bye, Event, Failed, MessageReceived, SessionChanged
from chatproto.client.message_news import MessageNews
from chatproto.client.requests import current, take_part, telling
from chatproto.client.targets import EndedTarget, Target
from chatproto.identity.recipient import OpenPeer, Recipient
from chatproto.net.clock import Monotonic
from chatproto.net.timers import Timers
from chatproto.session.delivery import Delivery, QueueFull
from chatproto.session.effects import (
    Broken,
    Effect,
    EntryWritten,
    Leave,
    MessageOutcome,
    PeerRinging,
    ProbeConnection,
    Queued,
    Received,
    Redial,
    Resumed,
    Ringing,
    SessionEnded,
    SessionOpened,
    Speak,
    StopDialling,
    TextWritten,
    TurnPassed,
    Unsaid,
)
from chatproto.session.floor import TurnHolder
from chatproto.session.ledger import MSG, LedgerTrouble, StreamEntry
from chatproto.session.paths import Race
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.session import PeerSession
from chatproto.session.state import SessionState
from chatproto.wire.dialects import Dialect
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import Cause, CodedError, Reason, reason_of
from chatproto.wire.values import value_class

ACK_WAIT = 10.0
"""Seconds for a message to be acknowledged; then the person hears that it waits."""
PROBE_WAIT = 5.0
"""Seconds for a sign of life of a connection beside which the peer calls."""
RESUME_WAIT = 10.0
"""Seconds for the answer to a call that goes on with a conversation."""


@dataclass(slots=True)
class RedialState:
    """Tries to reach the peer of a broken conversation again.

    Args: broke: when the connection broke, on the reactor's clock. dials: number of dials since then.
    failures: number of failed dials since the last success. next: the timer of the next dial.
    elsewhere: the peer registered anew, and the server was not asked since where.
    """

    broke: float = 0.0
    dials: int = 0
    failures: int = 0
    next: IDelayedCall | None = None
    elsewhere: bool = False

    def stop(self) -> None:
        """Cancel the next dial: the conversation is open again, or over."""
        self.wait_for(None)

    def wait_for(self, call: IDelayedCall | None) -> None:
        """Replace the timer of the next dial by `call`."""
        due, self.next = self.next, call
        if due is not None:
            due.cancel()


@value_class
class LoneFrame:
    """Frame of a dialect that sends each one on a connection of its own.

    `text`: the message in it, None for a farewell.
    """

    conversation: Conversation
    data: bytes
    text: str | None


class ConversationSignals:
    """Signals of every conversation of one client, for the parts that act on them."""

    def __init__(self) -> None:
        self.carried: Signal[Conversation] = Signal()
        """The conversation is open on a connection, or no longer."""
        self.keyed: Signal[Conversation] = Signal()
        """The conversation is open, and its key belongs to the id `pins`."""
        self.redial: Signal[tuple[Conversation, bool]] = Signal()
        """The conversation needs another connection; True: the last try failed."""
        self.alone: Signal[LoneFrame] = Signal()
        """A frame needs a connection of its own."""
        self.shown: Signal[int] = Signal()
        """The texts of the log up to this line were shown."""
        self.ended: Signal[tuple[Conversation, str]] = Signal()
        """The session closed, for this reason."""


class Conversation(Target):
    """Session with a recipient, whom the person calls `name`, at an address.

    `number` counts the calls since the start, so that `/accept 3` can name one. `recipient` is whom
    everything that is said here is for; only `Calls` changes it, by the rules of `identity.recipient`.
    """

    def __init__(
        self,
        context: Context,
        signals: ConversationSignals,
        is_current: Callable[[Conversation], bool],
        session: PeerSession,
        name: str,
        number: int,
    ) -> None:
        self.session = session
        self.recipient: Recipient = OpenPeer(number)
        self.name = name
        self.called = name  # what it was to be called, before others of that name were seen
        self.was = ""  # another name that the person used for it, until that was told
        self.client_id = ""  # what a server calls them, if that is known
        self.number = number
        self.refusal: CodedError | None = None
        """Why the server did not say where they are."""
        self.host: str | None = None
        self.port: int | None = None
        self.told_port: int | None = None  # where a caller in plain text says they can be called
        self.contact: Contact | None = None  # where we called them
        self.known = False  # they called, and that key was pinned
        self.pins: str | None = None  # the id to pin the key for, once the conversation is open
        self.chosen = False  # the person asked for that id at this server
        self.named = False  # by an id that they told or the server gave, not by an address
        self.dialling: Deferred[Any] | None = None
        self.ask_again: Callable[[], None] | None = None  # of a call: have them introduced anew
        self.race: Race[SecurePeerConnection] | None = None
        """The race of paths that found the connection in use, if there was one."""
        self.path: str | None = None  # how that goes, or went before it broke: `path_of`
        self._context = context
        self._signals = signals
        self._is_current = is_current
        self.quiet = False  # begun by ourselves for what waits: nothing is shown before it is open
        self.redial = RedialState()
        self._timers = Timers(context.clock)
        self.news = MessageNews(self, context.publish, context.messages)
        self.call_part = take_part()
        """AskedPart of the request that called them."""
        self.warned_of = ""  # a text that may be too long for their program, until it is said again
        self.merged_into: Conversation | None = None  # the one that goes on with its words
        self.heard_any = False
        self.said_any = False
        self._shown = False
        self._was_open = False
        self._cut = True  # it was not open, or that it broke was told
        self.alone = DeferredLock()
        """Held by the frame of `ConversationSignals.alone` that is being sent."""
        self.lone_frames = 0  # that wait for a connection of their own
        self._line = 0  # of the log, the latest whose text was shown and not reported as such
        self._told_mode: object = None  # `full` or `half`, as the person has heard it last

    @property
    def was_open(self) -> bool:
        """Return True if the conversation was open at some time."""
        return self._was_open

    @property
    def person(self) -> Recipient | None:
        return self.recipient

    @property
    def log_key(self) -> str | None:
        return self.key

    @property
    def latest(self) -> Target:
        return self.merged_into.latest if self.merged_into is not None else self

    def receiver(self, find: Callable[[Recipient], Conversation | None]) -> Conversation | None:
        return self

    conversation = receiver

    def settled(self, running: Container[object], now: Monotonic) -> Target:
        return self if self in running else self.merged_into or EndedTarget(self.name, now)

    def show_current(self, publish: Signal[Event]) -> None:
        self.quiet = False
        self.show(current=True)

    @property
    def id(self) -> str:
        """Peer's id at the server; `name` may end in `?` or `~2` besides."""
        return self.client_id or self.called.rstrip("?")

    @property
    def key(self) -> str | None:
        """Key of the recipient; None while it is not known."""
        return self.recipient.key

    @property
    def open_peer(self) -> OpenPeer:
        """Recipient that the conversation has if it is carried in plain text."""
        return OpenPeer(self.number)

    @property
    def in_plain_text(self) -> bool:
        """True if its recipient is the peer of a call in plain text."""
        return self.recipient == self.open_peer

    @property
    def state(self) -> SessionState:
        """State of the session."""
        return self.session.state

    @property
    def unsent(self) -> int:
        """Number of our messages not yet written or, if that can be known, not yet acknowledged."""
        plain = not self.session.dialect.numbered
        backlog = sum(one.backlog for one in self.session.connections) if plain else 0
        return self.session.unsent + self.lone_frames + backlog

    @property
    def peer_host(self) -> str | None:
        """Address of the peer, as seen on the connection; without one, as the server told it."""
        connections = self.session.connections
        return connections[0].host if connections else self.host

    @property
    def peer_port(self) -> int | None:
        """Port of the peer, likewise."""
        connections = self.session.connections
        return connections[0].port if connections else self.port

    def one_way(self, *, dialled: bool) -> bool:
        """Return True for a single raw connection, ours (`dialled`) or the peer's, used in one direction."""
        connections = self.session.connections
        dialect = self.session.dialect
        if dialect.numbered or len(connections) != 1 or connections[0].called is dialled:
            return False
        if dialled:  # whatever we opened it with, they have not answered on it
            return not self.heard_any and dialect.takes_turns
        return not (self.named or dialect.has_id or dialect.strict_turns)

    def say(self, text: str) -> None:
        """Say `text` now, or as soon as can be. Raises LocalError, QueueFull, LedgerTrouble."""
        session = self.session
        if not session.dialect.numbered and self.unsent >= self._context.limits.waiting_messages:
            raise QueueFull(self.unsent)
        news = list(session.apply(session.say(text, self._context.now()), self._context.place.me))
        delivery = session.delivery
        self.news.asked(delivery.last if delivery is not None else 0)
        self._take(news)

    def apply(self, effects: list[Effect]) -> None:
        """Apply the effects of the session, in order."""
        self._take(self.session.apply(effects, self._context.place.me))

    def _take(self, news: Iterable[Effect]) -> None:
        """Apply what the session leaves to the conversation, in order."""
        settled = False
        for one in news:
            self._apply(one)
            settled = settled or isinstance(one, MessageOutcome)
        if self.session.floor.turn is TurnHolder.THEIRS:
            self._tell_held()
        if settled:
            self._timers.again("ack", ACK_WAIT)
            self._context.settled(None)

    def all_taken(self) -> None:
        """Report which line of the log was shown last, of the messages that came together."""
        line, self._line = self._line, 0
        if line:
            self._signals.shown(line)

    def show(self, state: str | None = None, **changes: Any) -> None:
        """Publish the state of the conversation; `changes` are fields of the event."""
        if self.quiet:
            return
        self._shown = True
        self._told_mode = changes.get("mode") or self._told_mode
        known: dict[str, Any] = {"host": self.host, "port": self.port}
        known |= self._safety() | changes
        if self.was and self.was != self.name:
            known["was"] = self.was
        self.was = ""
        shown = state or ("ringing" if self.state is SessionState.ASKING else self.state.value)
        with telling(self.call_part if self.call_part is not None else current()):
            self._context.publish(SessionChanged(self.name, shown, **known))

    def _safety(self) -> dict[str, object]:
        """Return the event's fields about encryption, from the time that the conversation was open."""
        if (
            self.state not in (SessionState.OPEN, SessionState.BROKEN, SessionState.CLOSED)
            or not self._was_open
        ):
            return {}
        return {"encrypted": self.key is not None, "security": self.security()}

    def current(self) -> bool:
        """Return True if typed lines without a slash go here."""
        return self._is_current(self)

    def security(self) -> str:
        """Return the security level: `open`, `encrypted` or `verified`."""
        return "open" if self.key is None else self._context.trust.security(self.key)

    def _apply(self, effect: Effect) -> None:
        me, tell = self._context.place.me, self._context.publish
        match effect:
            case EntryWritten(entry, first):
                self._wait_for_ack(entry, first)
            case TextWritten(text):
                self.said_any = True
                self.news.written(text, self._context.now())
                self._context.settled(None)
            case Speak(_, text):
                self._send_alone(self.dialect.frame(me, text, b""), text)
            case Leave(_, word):
                self._send_alone(self.dialect.farewell(me, word, b""), None)
            case ProbeConnection():
                self._timers.after("probe", PROBE_WAIT, self._late(self.session.silent))
            case Redial(failed):
                self._signals.redial((self, failed))
            case Broken(reason):
                self._cut = True
                self._signals.carried(self)
                self.redial.broke = self._context.clock.seconds()
                self.show(reason=reason, code=reason_of(reason))
                self._tell_waiting()
            case PeerRinging():
                broken = self.state is SessionState.BROKEN
                wait = RESUME_WAIT if broken else self._context.limits.answer_ring
                self._timers.after("ring", wait, self._late(self.session.no_answer))
                if broken:
                    self._signals.carried(self)
                else:
                    self.show()
            case StopDialling():
                self._stop_dialling()
            case Ringing():
                wait = self._context.limits.ring_wait
                self._timers.after("ring", wait, self._late(self.session.ring_out))
                self.show()
            case SessionOpened() | Resumed():
                self._timers.stop()
                self.redial.stop()
                self.redial.failures = self.redial.dials = 0
                self.quiet = False
                self._was_open = True
                self._signals.carried(self)
                if self.pins is not None and self.key is not None:
                    self._signals.keyed(self)
                moved = self._see_path() and not self._cut
                if moved:  # and it was never broken, to whoever is told
                    self.show("open", path=self.path)
                else:
                    self._cut = False
                    self.show(
                        path=self.path,
                        mode="half" if self.session.floor.half else "full",
                        turn=self.session.floor.turn.value,
                        dialect=self.session.dialect.name,
                        current=self.current(),
                    )
                if self.call_part is not None:
                    self.call_part.end("open")
            case TurnPassed(turn):
                mode = "full" if turn is TurnHolder.BOTH else "half"
                if self._told_mode in (None, mode):
                    mode = ""
                current = None if self.current() else False
                news = {"turn": turn.value, "mode": mode or None, "current": current}
                self.show("open", host=None, port=None, **news)
            case Received(text, id, line, at):
                self.heard_any = True
                said = self._context.now() if at is None else at
                tell(MessageReceived(self.name, text, id or None, said=said))
                self._line = max(self._line, line)
            case Queued(_, id) if id and self.state is not SessionState.OPEN:
                self.news.kept(id)
            case Unsaid(text, reason):
                self.news.unsaid(text, reason)
            case MessageOutcome():
                self.news.became(effect)
            case SessionEnded(reason):
                self._timers.stop()
                self.redial.stop()
                self._signals.carried(self)
                code = reason_of(reason)
                left = code in (Reason.PEER_LEFT, Reason.PEER_GONE)
                if left:
                    why = None if code is Reason.PEER_LEFT else reason
                    tell(Bye(self.name, why, code))
                if self._shown:
                    self.show(reason=None if left else reason, code=code)
                elif not self.quiet:
                    refusal = self.refusal or CodedError(reason, code)
                    with telling(self.call_part):
                        tell(Failed.of(refusal, "chat", self.name))
                if self.call_part is not None:
                    self.call_part.fail(Cause(code, reason))
                self._signals.ended((self, reason))

    def store_failed(self, error: LedgerTrouble) -> None:
        """Leave a conversation whose messages cannot be stored, so that they stay with their sender."""
        self._context.publish(Failed(str(error), command="log", code=error.reason))
        if self.state is not SessionState.CLOSED:
            self.apply(self.session.leave())

    def attach(self, delivery: Delivery) -> None:
        """Keep messages in `delivery` from now on. Those queued earlier are reported with their text."""
        self.news.waited(delivery.unsettled)
        before = delivery.last
        effects = self.session.attach(delivery, self._context.now())
        self.news.numbered(range(before + 1, delivery.last + 1))
        self.apply(effects)

    def speak_plainly(self, dialect: Dialect) -> None:
        """Call in plain text instead, keeping the queued messages; `recipient` is an OpenPeer already."""
        assert self.in_plain_text
        before = self.session
        self.session = PeerSession(dialect, half=before.half, limits=self._context.limits)
        self.session.call()
        self.session.waiting.extend(before.waiting)

    def _wait_for_ack(self, entry: StreamEntry, first: bool) -> None:
        """Wait for the acknowledgement of a message that was written; `first`: report it."""
        if entry.kind != MSG:
            return
        if first:
            self.news.written(entry.text, entry.at, entry.id)
        if "ack" not in self._timers:
            self._timers.after("ack", ACK_WAIT, self._tell_waiting)

    def _tell_held(self) -> None:
        """Say which messages wait for our turn."""
        session = self.session
        if self.state is not SessionState.OPEN:
            return
        if session.delivery is not None:
            self.news.hold(session.delivery.held)
        else:
            self.news.hold_unnumbered(len(session.waiting))

    def _tell_waiting(self) -> None:
        """Say which messages were written and have not arrived."""
        delivery = self.session.delivery
        if delivery is not None and not self.quiet:
            self.news.wait(delivery.queued)

    def _see_path(self) -> bool:
        """Note the path of the connection; return True if it is another one than before."""
        connections, before = self.session.connections, self.path
        if connections:
            self.path = path_of(
                connections[0].host, connections[0].relayed, connections[0].both_dialled
            )
        self.path = self.path or "direct"
        return self.path != before

    def _send_alone(self, frame: bytes, text: str | None) -> None:
        self.lone_frames += 1
        self._signals.alone(LoneFrame(self, frame, text))

    def _stop_dialling(self) -> None:
        dialling, self.dialling = self.dialling, None
        if dialling is not None:
            dialling.cancel()

    @property
    def dialect(self) -> Dialect:
        """Dialect of a conversation in plain text."""
        assert isinstance(self.session.dialect, Dialect)
        return self.session.dialect

    def _late(self, happened: Callable[[], list[Effect]]) -> Callable[[], None]:
        """Return a function that tells the session what has `happened` by the time that a timer is due."""
        return lambda: self.apply(happened())
