"""A conversation as the node keeps it: a session, its name, and how its effects are carried out."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.node.dialer import Unreachable
from chatproto.node.events import (
    Bye,
    Event,
    Failed,
    MessageReceived,
    Notice,
    Sent,
    SessionChanged,
    Undelivered,
)
from chatproto.peer.effects import (
    Answer,
    Asking,
    Call,
    Drop,
    Effect,
    Ended,
    Heard,
    Kept,
    Leave,
    Opened,
    Refuse,
    Ringing,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.peer.floor import Turn
from chatproto.peer.plain import PlainLink
from chatproto.peer.secure import SecureLink
from chatproto.peer.session import THEY_LEFT, PeerSession, State
from chatproto.wire.dialects import Dialect, Me
from chatproto.wire.limits import Limits

AnyLink = PlainLink | SecureLink


def _known(link: object) -> AnyLink:
    """A link as what it is: to the session it is opaque."""
    assert isinstance(link, (PlainLink, SecureLink))
    return link


class ConversationOwner(Protocol):
    """What a conversation needs of the node."""

    @property
    def current(self) -> Conversation | None:
        """Who is spoken to."""

    @property
    def me(self) -> Me:
        """Who we are, as openers tell it."""

    def tell(self, event: Event) -> None:
        """News for the person."""

    def security(self, name: str, key: str) -> str:
        """`verified` or `encrypted`."""

    def pin(self, client_id: str, key: str) -> None:
        """Keep that `client_id` has `key`."""

    async def dial_alone(self, conversation: Conversation) -> PlainLink:
        """A new connection to them that carries one message. Raises Unreachable."""

    def conversation_ended(self, conversation: Conversation) -> None:
        """It is closed."""


class Conversation:
    """A session with a name, at an address; `name` is what the person calls it here.

    `number` counts the calls since the start, so that `/accept 3` can name one.
    """

    def __init__(
        self,
        owner: ConversationOwner,
        clock: IReactorTime,
        limits: Limits,
        session: PeerSession,
        name: str,
        number: int,
    ) -> None:
        self.session = session
        self.name = name
        self.number = number
        self.host: str | None = None
        self.port: int | None = None
        self.key: str | None = None  # theirs, where TLS proved it
        self.pins: str | None = None  # the id to pin it for, once the conversation is open
        self.named = False  # by an id that they told or the server gave, not by an address
        self.dialling: Deferred[Any] | None = None
        self._owner = owner
        self._clock = clock
        self._limits = limits
        self._ring: IDelayedCall | None = None
        self.heard_any = False
        self.said_any = False
        self._shown = False
        self._was_open = False
        self._alone = DeferredLock()
        self._going_out = 0
        self._to_say = 0  # handed out by the session, and its link has not been told yet
        self._was_half = False

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.session.state

    @property
    def unsent(self) -> int:
        """How many messages of ours have not been written yet."""
        backlog = sum(link.backlog for link in self._own_links())
        return len(self.session.waiting) + self._to_say + self._going_out + backlog

    def _own_links(self) -> list[AnyLink]:
        return [link for link in self.session.links if isinstance(link, (PlainLink, SecureLink))]

    @property
    def peer_host(self) -> str | None:
        """The address of their machine, as seen on a connection; before there is one, as told."""
        links = self._own_links()
        return links[0].host if links else self.host

    def one_way(self, *, dialled: bool) -> bool:
        """Whether it is one bare connection, ours (`dialled`) or theirs, that has gone one way only."""
        links = self.session.links
        if len(links) != 1 or self.session.dialect.has_id or self.session.dialect.strict_turns:
            return False
        link = links[0]
        if not isinstance(link, PlainLink) or link.called is dialled:
            return False
        return not self.heard_any if dialled else not self.named

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what the session wants, in its order."""
        self._to_say += sum(isinstance(effect, Speak) for effect in effects)
        for effect in effects:
            self._to_say -= isinstance(effect, Speak)
            self._perform(effect)

    def show(self, state: str | None = None, **changes: object) -> None:
        """Tell how it stands, with `changes` of the event's fields."""
        self._shown = True
        known = {"host": self.host, "port": self.port} | self._safety() | changes
        shown = state or ("ringing" if self.state is State.ASKING else self.state.value)
        self._owner.tell(SessionChanged(self.name, shown, **known))  # type: ignore[arg-type]

    def _safety(self) -> dict[str, object]:
        """From when it is open on, every event says how safe it is."""
        if self.state not in (State.OPEN, State.CLOSED) or not self._was_open:
            return {}
        return {"encrypted": self.key is not None, "security": self.security()}

    def current(self) -> bool:
        """Whether what is typed without a slash goes there."""
        return self._owner.current is self

    def security(self) -> str:
        """How safe it is from others: `open`, `encrypted` or `verified`."""
        return "open" if self.key is None else self._owner.security(self.name, self.key)

    def _perform(self, effect: Effect) -> None:
        me, tell = self._owner.me, self._owner.tell
        match effect:
            case Call(PlainLink() as link):
                link.write_opener(me)
            case Call(SecureLink() as secure):
                secure.write_opener(me, self.session.half)
            case Speak(None, text):
                self._write_alone(self._dialect.frame(me, text, b""), text)
            case Speak(link, text):
                _known(link).write_text(me, text)
            case Leave(None, word):
                self._write_alone(self._dialect.farewell(me, word, b""), None)
            case Leave(link, word):
                _known(link).write_farewell(me, word)
            case Drop(link):
                _known(link).drop()
            case Answer(SecureLink() as secure):
                secure.answer(me, self.session.half)
            case Refuse(SecureLink() as secure, status):
                secure.refuse(status)
            case Asking():
                self._ring = self._clock.callLater(self._limits.answer_ring, self._no_answer)
                self.show()
            case StopDialling():
                self._stop_dialling()
            case Ringing():
                self._ring = self._clock.callLater(self._limits.ring_wait, self._ring_out)
                self.show()
            case Opened():
                self._stop_ringing()
                self._was_open = True
                if self.pins is not None and self.key is not None:
                    self._owner.pin(self.pins, self.key)
                self.show(
                    path="direct",
                    mode="half" if self.session.floor.half else "full",
                    turn=self.session.floor.turn.value,
                    dialect=self.session.dialect.name,
                    current=self.current(),
                )
            case TurnPassed(turn):
                half = turn is not Turn.BOTH
                mode = "full" if self._was_half and not half else None
                self._was_half = half
                current = None if self.current() else False
                news = {"turn": turn.value, "mode": mode, "current": current}
                self.show("open", host=None, port=None, **news)
            case Heard(text):
                self.heard_any = True
                tell(MessageReceived(from_=self.name, text=text))
            case Kept():
                if self.state is State.OPEN:
                    tell(Notice("kept until it is your turn"))
            case Unsaid(text, reason):
                tell(Undelivered(self.name, reason, text=text))
            case Ended(reason, left):
                self._stop_ringing()
                if left:
                    tell(Bye(self.name, None if reason == THEY_LEFT else reason))
                if self._shown:
                    self.show(reason=None if left else reason)
                else:
                    tell(Failed(reason, command="chat"))
                self._owner.conversation_ended(self)

    def spoke(self, text: str, number: int | None = None) -> None:
        """`text` was written, as message `number` where messages have one."""
        self.said_any = True
        self._owner.tell(Sent(text, number, to=self.name))

    def _stop_dialling(self) -> None:
        dialling, self.dialling = self.dialling, None
        if dialling is not None:
            dialling.cancel()

    @property
    def _dialect(self) -> Dialect:
        """The dialect of one to whom each message has a connection of its own."""
        assert isinstance(self.session.dialect, Dialect)
        return self.session.dialect

    def _no_answer(self) -> None:
        self._ring = None
        self.perform(self.session.refused("they do not answer"))

    def _ring_out(self) -> None:
        self._ring = None
        self.perform(self.session.ring_out())

    def _stop_ringing(self) -> None:
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.cancel()

    def _write_alone(self, frame: bytes, text: str | None) -> None:
        self._going_out += 1
        self._alone.run(lambda: Deferred.fromCoroutine(self._carry_alone(frame, text)))

    async def _carry_alone(self, frame: bytes, text: str | None) -> None:
        """One message on a connection of its own, in the order in which they were said."""
        try:
            link = await self._owner.dial_alone(self)
        except Unreachable as error:
            self._going_out -= 1
            if text is not None:
                self._owner.tell(Undelivered(self.name, str(error), text=text))
            return
        self._going_out -= 1
        link.write_last(frame, text)
