"""A conversation as the node keeps it: a session, its name, and how its effects are carried out."""

from __future__ import annotations

from typing import Protocol

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
    Call,
    Drop,
    Effect,
    Ended,
    Heard,
    Kept,
    Leave,
    Opened,
    Ringing,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.peer.floor import Turn
from chatproto.peer.plain import PlainLink
from chatproto.peer.session import THEY_LEFT, PeerSession, State
from chatproto.wire.dialects import Me
from chatproto.wire.limits import Limits


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
        self.named = False  # by an id that they told or the server gave, not by an address
        self.dialling: Deferred[PlainLink] | None = None
        self._owner = owner
        self._clock = clock
        self._limits = limits
        self._ring: IDelayedCall | None = None
        self.heard_any = False
        self.said_any = False
        self._shown = False
        self._alone = DeferredLock()
        self._going_out = 0
        self._was_half = False

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.session.state

    @property
    def unsent(self) -> int:
        """How many messages of ours have not been written yet."""
        links = [link for link in self.session.links if isinstance(link, PlainLink)]
        return len(self.session.waiting) + self._going_out + sum(link.backlog for link in links)

    @property
    def peer_host(self) -> str | None:
        """The address of their machine, as seen on a connection; before there is one, as told."""
        links = [link for link in self.session.links if isinstance(link, PlainLink)]
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
        for effect in effects:
            self._perform(effect)

    def show(self, state: str | None = None, **changes: object) -> None:
        """Tell how it stands, with `changes` of the event's fields."""
        self._shown = True
        known = {"host": self.host, "port": self.port} | changes
        self._owner.tell(SessionChanged(self.name, state or self.state.value, **known))  # type: ignore[arg-type]

    def current(self) -> bool:
        """Whether what is typed without a slash goes there."""
        return self._owner.current is self

    def security(self) -> str:
        """How safe it is from others: `open`."""
        return "open"

    def _perform(self, effect: Effect) -> None:
        me, tell = self._owner.me, self._owner.tell
        match effect:
            case Call(PlainLink() as link):
                link.write_opener(me)
            case Speak(PlainLink() as link, text):
                link.write_text(me, text)
            case Speak(None, text):
                self._write_alone(self.session.dialect.frame(me, text, b""), text)
            case Leave(PlainLink() as link, word):
                link.write_farewell(me, word)
            case Leave(None, word):
                self._write_alone(self.session.dialect.farewell(me, word, b""), None)
            case Drop(PlainLink() as link):
                link.drop()
            case StopDialling():
                self._stop_dialling()
            case Ringing():
                self._ring = self._clock.callLater(self._limits.ring_wait, self._ring_out)
                self.show()
            case Opened():
                self._stop_ringing()
                self.show(
                    encrypted=False,
                    security=self.security(),
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
                tell(SessionChanged(self.name, "open", turn=turn.value, mode=mode, current=current))
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

    def spoke(self, text: str) -> None:
        """`text` was written."""
        self.said_any = True
        self._owner.tell(Sent(text, to=self.name))

    def _stop_dialling(self) -> None:
        dialling, self.dialling = self.dialling, None
        if dialling is not None:
            dialling.cancel()

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
