"""Track every connection to a peer, its conversation, and when reading is paused."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from chatproto.client.calls.calls import Calls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import Notice
from chatproto.identity.recipient import Mismatch, carried
from chatproto.session.ledger import Ledger
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.secure_connection import SecurePeerConnection

FULL_LOG = 1.0
"""Seconds between checks whether the user has read the messages that fill the log."""
EXIT_WAIT = 5.0
"""Seconds at the end of the program in which peers can read the farewells."""

log = Logger()

PeerConnection = PlainPeerConnection | SecurePeerConnection
"""A connection to a peer. Its `key` is the one proved in TLS, None in plain text."""


class Connections:
    """Hold the connections of one client, in plain text and inside TLS."""

    def __init__(self, context: Context, calls: Calls, ledger: Ledger | None) -> None:
        self._context = context
        self._calls = calls
        self._ledger = ledger
        self.carried: dict[PeerConnection, Conversation | None] = {}
        """Each connection, and the conversation that it carries; None until that is known."""
        self._held = False
        self._all_closed: Callable[[], None] | None = None
        calls.ended.listen(self.settle)

    def __contains__(self, connection: PeerConnection) -> bool:
        return connection in self.carried

    def add(self, connection: PeerConnection) -> None:
        """Add `connection`, which carries no conversation yet."""
        self.carried[connection] = None

    def carrying(self, conversation: Conversation) -> list[PeerConnection]:
        """Return the connections that belong to `conversation`."""
        return [connection for connection, one in self.carried.items() if one is conversation]

    def join(self, connection: PeerConnection, conversation: Conversation) -> bool:
        """Let `connection` carry `conversation`, if that is meant for the peer at the other end.

        Every connection that carries a conversation passes this check. If it fails, drop `connection` and
        return False.
        """
        try:
            recipient = carried(conversation.recipient, connection.key, conversation.open_peer)
        except Mismatch as wrong:
            log.warn("{name}: {wrong}", name=conversation.name, wrong=wrong)
            connection.drop()
            return False
        conversation.recipient = recipient
        self.carried[connection] = connection.conversation = conversation
        return True

    def adopt(self, connection: PeerConnection, conversation: Conversation) -> bool:
        """Join `connection`, which we dialled, to `conversation`, and log the messages.

        If that fails, drop `connection` and return False.
        """
        if not self.join(connection, conversation):
            return False
        if not self._calls.attach(conversation):
            connection.drop()
            return False
        return True

    def release(self, connection: PeerConnection) -> Conversation | None:
        """Forget `connection`, which another protocol takes over; return its conversation."""
        return self.carried.pop(connection, None)

    def closed(self) -> None:
        """Note that a connection has ended and was let go."""
        if self._all_closed is not None and not self.carried:
            self._all_closed()

    def obey(self, connection: PeerConnection) -> None:
        """Pause reading from `connection`, which is up now, if all connections are paused."""
        if self._held:
            connection.hold(True)

    def hold(self, held: bool) -> None:
        """Pause reading from all peers while the screen is full; resume when it accepts more."""
        self._held = held
        for connection in tuple(self.carried):
            connection.hold(held)

    def toll(self, talker: str, cost: int) -> float:
        """Charge `cost` of messages to `talker`; return the seconds for which reading is paused.

        Args: talker: a key, or the network of a plain-text caller.
        """
        wait = self._calls.strangers.talks.take(talker, self._context.clock.seconds(), cost)
        ledger = self._ledger
        if ledger is None:
            return wait
        if ledger.was_thinned(talker):
            most = f"{self._context.limits.person_log // 2**20} MiB"
            name = self._calls.name_of(talker)
            self._context.publish(
                Notice(f"your log has {most} of messages from {name}: the oldest are removed")
            )
        return max(wait, FULL_LOG) if ledger.is_full(talker) else wait

    def close_all(self, done: Callable[[], None]) -> None:
        """Drop connections without a conversation; call `done` when all are closed, or after `EXIT_WAIT`."""
        for connection, conversation in tuple(self.carried.items()):
            if conversation is None:
                connection.drop()
        late = self._context.clock.callLater(EXIT_WAIT, lambda: finish())

        def finish() -> None:
            self._all_closed = None
            if late.active():
                late.cancel()
            done()

        self._all_closed = finish
        self.closed()

    def settle(self, conversation: Conversation) -> None:
        """Settle undelivered messages of an ended conversation, once it has no connection."""
        if conversation.session.delivery is not None and not self.carrying(conversation):
            self._calls.over(conversation)
