"""One conversation: its session, name and messages, and the effects of the session."""

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
"""Seconds to wait for an acknowledgement; then the message is reported as queued."""
PROBE_WAIT = 5.0
"""Seconds in which an old connection must show life when the peer calls again."""
RESUME_WAIT = 10.0
"""Seconds to wait for the answer to a call that resumes a conversation."""


@dataclass(slots=True)
class RedialState:
    """Attempts to reconnect a broken conversation.

    Args: broke: when the connection broke, on the reactor's clock. dials: number of dials since then.
    failures: number of failed dials since the last success. next: the timer of the next dial.
    elsewhere: the peer has registered anew, and its new address was not requested yet.
    """

    broke: float = 0.0
    dials: int = 0
    failures: int = 0
    next: IDelayedCall | None = None
    elsewhere: bool = False

    def stop(self) -> None:
        """Cancel the next dial: the conversation is open again, or has ended."""
        self.wait_for(None)

    def wait_for(self, call: IDelayedCall | None) -> None:
        """Replace the timer of the next dial by `call`."""
        due, self.next = self.next, call
        if due is not None:
            due.cancel()


@value_class
class LoneFrame:
    """Frame of a dialect that sends each one on its own connection.

    `text`: the message in it, None for a farewell.
    """

    conversation: Conversation
    data: bytes
    text: str | None


class ConversationSignals:
    """Signals of every conversation of one client, for the parts that act on them."""

    def __init__(self) -> None:
        self.carried: Signal[Conversation] = Signal()
        """Fires when the conversation gets a connection, and when it loses it."""
        self.keyed: Signal[Conversation] = Signal()
        """Fires when the conversation is open and its key is to be pinned to the id `pins`."""
        self.redial: Signal[tuple[Conversation, bool]] = Signal()
        """Fires when the conversation needs another connection; True: the last attempt failed."""
        self.alone: Signal[LoneFrame] = Signal()
        """Fires when a frame needs its own connection."""
        self.shown: Signal[int] = Signal()
        """Fires with a line number of the log when all texts up to it were shown."""
        self.ended: Signal[tuple[Conversation, str]] = Signal()
        """Fires when the session has ended, with the reason."""


class Conversation(Target):
    """Session with a recipient, shown to the user as `name`.

    `number` counts the calls since the start, so that `/accept 3` can name one. All messages here are
    for `recipient`; only `Calls` changes it, by the rules of `identity.recipient`.
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
        self.called = name  # requested name, before a `~2` against duplicates
        self.was = ""  # previous name, until the change was shown
        self.client_id = ""  # peer's id at a server, if known
        self.number = number
        self.refusal: CodedError | None = None
        """Why the server gave no address of the peer."""
        self.host: str | None = None
        self.port: int | None = None
        self.told_port: int | None = None  # listening port announced by a plain-text caller
        self.contact: Contact | None = None  # contact that was called
        self.known = False  # True for an incoming call with a pinned key
        self.pins: str | None = None  # the id to pin the key to, once the conversation is open
        self.chosen = False  # True if the user asked for that id at this server
        self.named = False  # True if the name is an id given by the peer or server, not an address
        self.dialling: Deferred[Any] | None = None
        self.ask_again: Callable[[], None] | None = None  # repeats BRIDGE
        self.race: Race[SecurePeerConnection] | None = None
        """Race of paths that found the present connection, if there was one."""
        self.path: str | None = None  # its present or last path: see `path_of`
        self._context = context
        self._signals = signals
        self._is_current = is_current
        self.quiet = False  # begun to deliver queued messages: shown only once it is open
        self.redial = RedialState()
        self._timers = Timers(context.clock)
        self.news = MessageNews(self, context.publish, context.messages)
        self.call_part = take_part()
        """Part of the request that began the call."""
        self.warned_of = ""  # text too long for the peer's program, until it is sent again
        self.merged_into: Conversation | None = None  # conversation that took over its lines
        self.heard_any = False
        self.said_any = False
        self._shown = False
        self._was_open = False
        self._cut = True  # False after it was open, until a break is shown
        self.alone = DeferredLock()
        """Lock of the `ConversationSignals.alone` frame that is being sent."""
        self.lone_frames = 0  # frames that wait for their own connection
        self._line = 0  # latest line of the log that was shown and not yet reported as shown
        self._told_mode: object = None  # `full` or `half`, as last shown to the user

    @property
    def was_open(self) -> bool:
        """Return True if the conversation was open at some time."""
        return self._was_open

    @property
    def addressee(self) -> Recipient | None:
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
        """Peer's id at the server; `name` may have a suffix `?` or `~2`."""
        return self.client_id or self.called.rstrip("?")

    @property
    def key(self) -> str | None:
        """Key of the recipient; None while unknown."""
        return self.recipient.key

    @property
    def open_peer(self) -> OpenPeer:
        """Recipient of the conversation if it is carried in plain text."""
        return OpenPeer(self.number)

    @property
    def in_plain_text(self) -> bool:
        """True if its recipient is the peer of a plain-text call."""
        return self.recipient == self.open_peer

    @property
    def state(self) -> SessionState:
        """State of the session."""
        return self.session.state

    @property
    def unsent(self) -> int:
        """Number of our messages not yet written, or in BCP/2 not yet acknowledged."""
        plain = not self.session.dialect.numbered
        backlog = sum(one.backlog for one in self.session.connections) if plain else 0
        return self.session.unsent + self.lone_frames + backlog

    @property
    def peer_host(self) -> str | None:
        """Address of the peer as seen on the connection; without one, as given by the server."""
        connections = self.session.connections
        return connections[0].host if connections else self.host

    @property
    def peer_port(self) -> int | None:
        """Port of the peer as seen on the connection; without one, as given by the server."""
        connections = self.session.connections
        return connections[0].port if connections else self.port

    def is_one_way(self, *, dialled: bool) -> bool:
        """Return True for a single raw connection, ours (`dialled`) or the peer's, used in one direction."""
        connections = self.session.connections
        dialect = self.session.dialect
        if dialect.numbered or len(connections) != 1 or connections[0].called is dialled:
            return False
        if dialled:  # the peer has not answered on it, whatever dialect we chose
            return not self.heard_any and dialect.takes_turns
        return not (self.named or dialect.has_id or dialect.strict_turns)

    def say(self, text: str) -> None:
        """Send `text` now, or queue it. Raises LocalError, QueueFull, LedgerTrouble."""
        session = self.session
        if not session.dialect.numbered and self.unsent >= self._context.limits.waiting_messages:
            raise QueueFull(self.unsent)
        news = list(
            session.apply(session.say(text, self._context.now()), self._context.own_addresses.me)
        )
        delivery = session.delivery
        self.news.assign_request(delivery.last if delivery is not None else 0)
        self._take(news)

    def apply(self, effects: list[Effect]) -> None:
        """Apply the effects of the session, in order."""
        self._take(self.session.apply(effects, self._context.own_addresses.me))

    def _take(self, news: Iterable[Effect]) -> None:
        """Apply the effects that the session leaves to the conversation, in order."""
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
        """Report the last log line shown of the messages that arrived together."""
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
        """Return the event's encryption fields, once the conversation has been open."""
        if (
            self.state not in (SessionState.OPEN, SessionState.BROKEN, SessionState.CLOSED)
            or not self._was_open
        ):
            return {}
        return {"encrypted": self.key is not None, "security": self.security()}

    def current(self) -> bool:
        """Return True if typed lines without a slash are sent here."""
        return self._is_current(self)

    def security(self) -> str:
        """Return the security level: `open`, `encrypted` or `verified`."""
        return "open" if self.key is None else self._context.trust.security(self.key)

    def _apply(self, effect: Effect) -> None:
        me, tell = self._context.own_addresses.me, self._context.publish
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
                self._timers.after("probe", PROBE_WAIT, self._timer_callback(self.session.silent))
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
                self._timers.after("ring", wait, self._timer_callback(self.session.no_answer))
                if broken:
                    self._signals.carried(self)
                else:
                    self.show()
            case StopDialling():
                self._stop_dialling()
            case Ringing():
                wait = self._context.limits.ring_wait
                self._timers.after("ring", wait, self._timer_callback(self.session.ring_out))
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
                if moved:  # and no break was shown
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
                self.news.queued(id)
            case Unsaid(text, reason):
                self.news.unsaid(text, reason)
            case MessageOutcome():
                self.news.outcome(effect)
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
        """Leave a conversation whose messages cannot be stored; the peer then keeps them queued."""
        self._context.publish(Failed(str(error), command="log", code=error.reason))
        if self.state is not SessionState.CLOSED:
            self.apply(self.session.leave())

    def attach(self, delivery: Delivery) -> None:
        """Store messages in `delivery` from now on. Those queued earlier are reported with their text."""
        self.news.waited(delivery.unsettled)
        before = delivery.last
        effects = self.session.attach(delivery, self._context.now())
        self.news.numbered(range(before + 1, delivery.last + 1))
        self.apply(effects)

    def speak_plainly(self, dialect: Dialect) -> None:
        """Switch the call to plain text and keep queued messages; `recipient` is an OpenPeer already."""
        assert self.in_plain_text
        before = self.session
        self.session = PeerSession(dialect, half=before.half, limits=self._context.limits)
        self.session.call()
        self.session.waiting.extend(before.waiting)

    def _wait_for_ack(self, entry: StreamEntry, first: bool) -> None:
        """Start the timer for the acknowledgement of a written message; `first`: report it as sent."""
        if entry.kind != MSG:
            return
        if first:
            self.news.written(entry.text, entry.at, entry.id)
        if "ack" not in self._timers:
            self._timers.after("ack", ACK_WAIT, self._tell_waiting)

    def _tell_held(self) -> None:
        """Report the messages that are queued until our turn."""
        session = self.session
        if self.state is not SessionState.OPEN:
            return
        if session.delivery is not None:
            self.news.hold(session.delivery.held)
        else:
            self.news.hold_unnumbered(len(session.waiting))

    def _tell_waiting(self) -> None:
        """Report the messages that were written and are not acknowledged."""
        delivery = self.session.delivery
        if delivery is not None and not self.quiet:
            self.news.wait(delivery.queued)

    def _see_path(self) -> bool:
        """Update `path` from the connection; return True if it has changed."""
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
        """Dialect of a plain-text conversation."""
        assert isinstance(self.session.dialect, Dialect)
        return self.session.dialect

    def _timer_callback(self, happened: Callable[[], list[Effect]]) -> Callable[[], None]:
        """Return a timer callback that applies the effects of the session method `happened`."""
        return lambda: self.apply(happened())
