"""Translate between a session and the BCP/2 messages of a peer on one TLS connection.

Before the connection carries a conversation, its owner decides about the call. From then on messages go
to the session of the conversation directly, which returns effects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from chatproto.net.clock import EPOCH, Wall
from chatproto.net.handshake import Handshake
from chatproto.net.rate_limiter import RateLimiter
from chatproto.net.sniff import FirstBytes, sniff
from chatproto.net.tls_connection import NO_BCP2, TimedTlsConnection
from chatproto.session.effects import Effect, Opening
from chatproto.session.ledger import MODE, MSG, TURN, LedgerTrouble, StreamEntry
from chatproto.session.session import PeerSession
from chatproto.session.state import NOT_A_PERSON
from chatproto.wire.actions import MARK, marked, split_mark
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_files import Data, Done, Offer
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.classic import Sender
from chatproto.wire.dialects import Me
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import ClientLimits
from chatproto.wire.plain_blocks import TO_PEER, Punch, read_first
from chatproto.wire.reasons import TOO_EARLY, TOO_MANY_CALLERS
from chatproto.wire.strict import encode, encode_apart

PING_EVERY = 10.0
"""Seconds between two PINGs that a caller may send while the call rings; a burst of two is allowed."""
WHILE_RINGING = 20
"""Most messages of any kind before a call is answered: about one in four seconds."""


NOT_YET = TOO_EARLY()
OFFER_COST = 20
"""Cost of an offer of a file, in short messages."""


FILE_REQUESTS = (Offer.method, Data.method, Done.method)
"""Messages about files that an ERROR may answer."""


class SecureConversation(Protocol):
    """Conversation that a connection carries: its session, and a method to apply the session's effects."""

    session: PeerSession

    def apply(self, effects: list[Effect]) -> None:
        """Apply `effects`, in order."""

    def all_taken(self) -> None:
        """Note that a batch of messages was processed and acknowledged."""

    def store_failed(self, error: LedgerTrouble) -> None:
        """Leave: messages of the peer cannot be stored, and stay queued there."""


class SecurePeerOwner(Protocol):
    """Receiver of the events on a connection to a peer, apart from the conversation."""

    def secure_made(self, connection: SecurePeerConnection) -> None:
        """Begin: this end has finished the handshake, and `connection.key` is the peer's."""

    def secure_called(self, connection: SecurePeerConnection, call: Chat) -> None:
        """Decide about a call of the peer; `connection` carries no conversation yet."""

    def secure_answered(self, connection: SecurePeerConnection, answer: ChatAck) -> None:
        """Check which peer has accepted our call, and tell the session. Raises LedgerTrouble."""

    def secure_lost(self, connection: SecurePeerConnection, reason: str) -> None:
        """Handle the end of the connection; `reason` is a sentence for the user."""


class SecurePeerConnection(TimedTlsConnection):
    """BCP/2 connection to a peer, inside TLS.

    - A caller that sends no CHAT within `handshake_wait` of the handshake is dropped.
    - Before a call is accepted, a message that is not allowed yet ends the connection.
    - Reading is paused while responses are queued, and limited to the rate that `toll` allows.
    - After our QUIT, only acknowledgements are read, until the peer closes or `farewell_wait` has passed.

    Args: called: True if the peer sends CHAT on it. The end that dialled does, except after an
    introduction. tls_server: True if this end is the TLS server; None: as `called`. punch: id of the
    introduction that PUNCH names before TLS, on a connection that we dial; "": none.
    """

    _limits: ClientLimits

    def __init__(
        self,
        owner: SecurePeerOwner,
        clock: IReactorTime,
        limits: ClientLimits,
        handshake: Handshake,
        called: bool,
        *,
        tls_server: bool | None = None,
        punch: str = "",
    ) -> None:
        super().__init__(Sender.PEER, handshake, limits, clock, limits.peer_ping)
        self.called = called
        self.tls_server = called if tls_server is None else tls_server
        self.relayed = False
        self.both_dialled = False
        """True if the peer sent PUNCH too, on a connection that we dialled (simultaneous open)."""
        self._punch = punch
        self.dialled = True
        """True if we dialled it, or joined the relay for it; False if it was accepted."""
        self.host = ""
        self.port = 0
        self._owner = owner
        self.conversation: SecureConversation | None = None
        """Conversation that it carries; None until that is known."""
        self._waiting: deque[StreamEntry | int] = deque()
        """Queued entries; an acknowledgement is a number."""
        self.source: Callable[[], Bcp2Message | None] | None = None
        """Returns the next message to send when nothing else is queued; None: there is none before `more`."""
        self.sink: Callable[[Data], None] | None = None
        """Receives DATA; None without a transfer."""
        self.files: Callable[[Bcp2Message], None] | None = None
        """Receives the other messages about files."""
        self.toll: Callable[[int], float] | None = None
        """Charges the cost of messages; returns the seconds for which reading is paused."""
        self._open = False  # a call was accepted, the peer's or ours
        self._we_called = self._they_called = False
        self._pings = RateLimiter(1 / PING_EVERY, 2)
        self._ringing = 0  # messages received before a call was accepted
        self._ack = 0  # for MSGACK before the next message, or after the batch
        self._drawing = False
        self._has_more = False  # `source` may have a message
        self._is_paced = False  # the peer had no debt left after the call was accepted
        self._parting = False  # we have sent QUIT

    def start(self, transport: Any, data: bytes) -> None:
        self.dialled = False
        super().start(transport, data)

    # Called by the session.

    def ask(self, me: Me, opening: Opening) -> None:
        """Send CHAT: call the peer."""
        self._we_called = True
        self._send(Chat(me.client_id, *opening_headers(opening)))

    def answer(self, me: Me, opening: Opening) -> None:
        """Send CHATACK: accept the peer's call."""
        self._open = True
        self._timers.cancel("begin")
        self._send(ChatAck(me.client_id, *opening_headers(opening)))

    def refuse(self, status: int) -> None:
        """Refuse the peer's call with `status`, and close."""
        self._send(Error(status, about="CHAT"))
        self._close()

    def write_entry(self, entry: StreamEntry) -> list[Effect]:
        """Send `entry` after the entries queued before it, if the session still wants it then.

        Returns: EntryWritten of each entry written at once.
        """
        self._waiting.append(entry)
        return self._flush()

    def acknowledge(self, id: int) -> None:
        """Acknowledge everything up to `id`, after the entries that are queued already."""
        if not self._waiting:
            self._ack = id
            return
        if isinstance(self._waiting[-1], int):
            self._waiting.pop()
        self._waiting.append(id)

    def probe(self) -> None:
        """Send PING: ask the peer for a sign of life."""
        self._send(Ping())

    def write_farewell(self, me: Me, word: str) -> None:
        """Send QUIT; the peer closes."""
        if not self._leaving and not self._gone and not self._parting:
            self._waiting.clear()
            self._send(Quit())
            self._parting = True
            self._timers.after("linger", self._limits.farewell_wait, self._close)

    def drop(self) -> None:
        """Close without QUIT."""
        self._close()

    def abort(self) -> None:
        """End at once to make room for other callers."""
        self._lose(TOO_MANY_CALLERS())

    def give_up(self) -> None:
        """Cancel the dial, or end the connection at once if it is up."""
        self._abort()

    # Called by Twisted.

    def connectionMade(self) -> None:
        super().connectionMade()
        peer = self.transport.getPeer()
        self.host, self.port = plain_host(peer.host), peer.port
        if self.dialled:
            self._begin_tls()

    def _begin_tls(self, normal: bool = True) -> None:
        """Begin TLS, after PUNCH on a connection that we dialled because of an introduction."""
        punch = self._punch if self.dialled else ""
        if punch:
            self.transport.write(encode(Punch(punch)))
        super()._begin_tls(self.dialled is not self.tls_server)
        if punch:
            self.transport.protocol = BeforeTls(self.transport, self._met)

    def _met(self) -> None:
        self.both_dialled = True

    def established(self) -> None:
        self._limit_handshake()
        self._listen()
        self._owner.secure_made(self)

    def _read(self, data: bytes) -> None:
        """Read data; the first data of a call waits for debts of the peer's earlier connections."""
        if self._open and not self._is_paced and self.toll is not None:
            wait = self.toll(0)
            if wait:
                self._late += data
                self._rest_for(wait)
                return
            self._is_paced = True
        super()._read(data)

    def _taken(self) -> None:
        """Acknowledge a batch of messages, before its cost may pause reading."""
        if self._writable:
            self._tell_ack()
        if self.conversation is not None:
            self.conversation.all_taken()

    def _pace(self, cost: int) -> float:
        return self.toll(cost) if self.toll is not None and cost else 0.0

    def _cost(self, message: Bcp2Message | RemoteError) -> int:
        """Return 1, and another 1 for each KiB of text; 0 for DATA, which the user has accepted."""
        match message:
            case Data():
                return 0
            case Msg(text=text):
                return 1 + len(text) // 1024
            case Offer(files=files):
                return OFFER_COST + len(files) // 4
        return 1

    def _rested(self) -> None:
        wait = self.toll(0) if self.toll is not None else 0.0
        if wait:
            self._rest_for(wait)
        else:
            super()._rested()

    def ended(self, why: str, reason: Failure) -> None:
        self._owner.secure_lost(self, why)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self._tell_ack()
        self._write_queued()
        if self._writable:
            self.hold(False, "unsent")

    def hold(self, held: bool, who: str = "screen") -> None:
        """Pause or resume reading for the reason `who`; while paused, the peer gets signs of life."""
        super().hold(held, who)
        if self._gone or self.held is ("held" in self._timers):
            return
        if held:
            self._timers.after("held", self._limits.peer_ping / 2, self._tell_alive)
        else:
            self._timers.cancel("held")

    def _tell_alive(self) -> None:
        """Send PINGACK while reading is paused: the peer's PING is not read, and it would redial.

        PINGACK needs no answer, so nothing accumulates at the peer; TCP reports if it is gone.
        """
        if self._writable and self._made:
            self._send(PingAck())
        self._timers.after("held", self._limits.peer_ping / 2, self._tell_alive)

    def more(self) -> None:
        """Send the messages of `source` now, until it has none."""
        self._has_more = True
        self._write_queued()

    # Messages.

    def received(self, message: Bcp2Message | RemoteError) -> None:
        if not self._open and not self._may_come(message):
            rubbish = isinstance(message, RemoteError)
            self._lose(NO_BCP2 if rubbish else NOT_YET)
            return
        match message:
            case Data() if self.sink is not None and not self._parting:
                self.sink(message)  # by far the most frequent: shortest path
            case RemoteError():
                self._send(Error(message.status))
                if not self._writable:
                    self.hold(True, "unsent")
            case Ping():
                self._answer_ping()
            case Quit() if self._parting:
                self._close()
            case _ if not self._parting or isinstance(message, MsgAck):
                self._received(message)

    def _may_come(self, message: Bcp2Message | RemoteError) -> bool:
        """Return True if `message` may come before a call is accepted, and note what it changes."""
        self._ringing += 1
        match message:
            case Chat():
                self._timers.cancel("begin")
                first, self._they_called = not self._they_called, True
                return first
            case ChatAck():
                self._timers.cancel("begin")
                self._open = self._we_called
                return self._we_called
        if self.called and not (self._they_called or self._we_called):
            return False
        if isinstance(message, Ping) and not self._pings.allow(self._timers.seconds()):
            return False
        known = isinstance(message, (Ping, PingAck, Error, Quit))
        return known and self._ringing <= WHILE_RINGING

    def _received(self, message: Bcp2Message) -> None:
        """Pass `message` to the session, or the first CHAT to the owner."""
        conversation = self.conversation
        if conversation is not None:
            try:
                conversation.apply(self._effects(conversation.session, message))
            except LedgerTrouble as error:
                conversation.store_failed(error)
        elif isinstance(message, Chat) and self.called:
            self._owner.secure_called(self, message)

    def _effects(self, session: PeerSession, message: Bcp2Message) -> list[Effect]:
        """Return the effects of `message` in `session`. Raises LedgerTrouble."""
        match message:
            case Msg() | Turn() | Mode():
                return session.entry_received(self, entry_of(message))
            case MsgAck(number):
                return session.arrived(number)
            case Chat():
                return session.crossed(self, opening_of(message))
            case ChatAck():
                self._owner.secure_answered(self, message)
            case PingAck():
                return session.alive(self)
            case Quit():
                return session.left(self)
            case Error() if refuses_call(message):
                return session.refused(self, message.status)
            case _ if self.files is not None and is_about_files(message):
                self.files(message)
        return []

    def _send(self, message: Bcp2Message) -> None:
        if not self._leaving and not self._gone:
            if self._ack:
                self._tell_ack()
            if isinstance(message, Data):
                self.transport.writeSequence(encode_apart(message))
            else:
                self._write(encode(message))

    def _tell_ack(self) -> None:
        """Send MSGACK if one is due, before any message sent in response."""
        if self._ack and not self._leaving and not self._gone:
            ack, self._ack = self._ack, 0
            self._write(encode(MsgAck(ack)))

    def _write_queued(self) -> None:
        """Write queued entries, and report them."""
        written = self._flush()
        if written and self.conversation is not None:
            self.conversation.apply(written)

    def _flush(self) -> list[Effect]:
        """Write queued entries, as far as the transport accepts them; return their effects."""
        news: list[Effect] = []
        while self._waiting and self._writable and not (self._leaving or self._parting):
            if self._gone:
                return news
            due = self._waiting.popleft()
            if isinstance(due, int):
                self._ack = due
                self._tell_ack()
                continue
            assert self.conversation is not None  # only its session sends entries
            try:
                written = self.conversation.session.writes(due)
            except LedgerTrouble as error:
                self._reason = error.cause
                self._close()
                return news
            if written is not None:
                self._send(message_of(due))
                news.append(written)
        self._draw()
        return news

    def _draw(self) -> None:
        """Send the messages of `source`, until it has none; a nested call of `more` changes nothing."""
        if self._drawing or not self._has_more:
            return
        self._drawing = True
        try:
            while self.source is not None and self._writable and not self._leaving:
                self._has_more = False
                message = None if self._parting else self.source()
                if message is None or self._gone:
                    return
                self._send(message)
                self._has_more = True
        finally:
            self._drawing = False

    def _too_slow(self) -> None:
        if not self._made:
            super()._too_slow()
        elif self.called:
            self._close()

    def _close(self) -> None:
        if not self._leaving:
            self._tell_ack()
        super()._close()


def opening_headers(opening: Opening) -> tuple[str, str, tuple[str, int], str]:
    """Return the headers of CHAT and CHATACK that follow the id: mode, stream, have, turn."""
    return "half" if opening.half else "full", opening.stream, opening.have, opening.turn


def opening_of(message: Chat | ChatAck) -> Opening:
    """Return the headers of CHAT or CHATACK besides the id."""
    return Opening(message.mode == "half", message.stream, message.have, message.turn)


def message_of(entry: StreamEntry) -> Bcp2Message:
    """Return the message that carries `entry`."""
    match entry.kind:
        case "turn":
            return Turn(entry.id)
        case "mode":
            return Mode(entry.id, entry.text)
        case _:
            text = entry.text
            said = split_mark(text) if text.startswith(MARK) else (text,)
            return Msg(entry.id, float(entry.at), *said)


def entry_of(message: Msg | Turn | Mode) -> StreamEntry:
    """Return the numbered entry that `message` carries."""
    match message:
        case Msg():
            text = marked(message.text, message.kind) if message.kind else message.text
            return StreamEntry(message.id, MSG, Wall(message.at), text)
        case Turn():
            return StreamEntry(message.id, TURN, EPOCH)
        case Mode():
            return StreamEntry(message.id, MODE, EPOCH, message.mode)


def refuses_call(error: Error) -> bool:
    """Return True if `error` answers our CHAT; a server that knows no CHAT names no message."""
    return error.about == "CHAT" or (not error.about and error.status in NOT_A_PERSON)


def is_about_files(message: Bcp2Message) -> bool:
    """Return True if `message`, which belongs to no conversation, belongs to a file transfer."""
    return not isinstance(message, Error) or message.about in FILE_REQUESTS


class BeforeTls:
    """Pass bytes to the TLS of `transport`, after the PUNCH that the peer may send first.

    Args: met: called if the peer sends PUNCH, that is, two dials met (simultaneous open).
    """

    def __init__(self, transport: Any, met: Callable[[], None]) -> None:
        self._transport = transport
        self._tls = transport.protocol
        self._met = met
        self._first = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls, name)

    def dataReceived(self, data: bytes) -> None:
        self._first += data
        rest = self._first
        if sniff(rest, TO_PEER) in (FirstBytes.BLOCK, FirstBytes.UNDECIDED):
            try:
                found = read_first(rest, TO_PEER)
            except RemoteError:
                self._transport.abortConnection()
                return
            if found is None:
                return
            rest = found[1]
            self._met()
        self._transport.protocol = self._tls
        if rest:
            self._tls.dataReceived(rest)
