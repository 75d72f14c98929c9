"""Carry out one rendezvous: dial, be dialled and join the relay, as its race decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.client.calls.dialer import Dialer, PeerUnreachable
from chatproto.client.calls.rendezvous import Rendezvous
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.net.keys import key_bytes
from chatproto.net.timers import Timers
from chatproto.relay.client import NoRelay, RelayEnd
from chatproto.session.paths import (
    AskAgain,
    CancelDials,
    CloseConnection,
    Dial,
    Effect,
    GiveUp,
    JoinRelay,
    PathMode,
    Pick,
    Race,
    RaceRole,
    is_tls_server,
)
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import host_port
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import (
    KEY_OF_ANOTHER,
    NO_SERVER_TO_RELAY,
    NO_TLS,
    OWN_KEY,
    Cause,
    Reason,
    reason_of,
)

log = Logger()
_log = partial(log.failure, "a connection could not be tried")
SHOWN = 3
"""Number of reasons shown when every dial failed; /path lists the others."""


class Connector:
    """Run one race of paths to a peer.

    `found` fires with the first connection that the caller picks, or fails with PeerUnreachable;
    cancelling it ends the rendezvous. It never fires for the callee.
    """

    def __init__(
        self,
        context: Context,
        secure: SecureCalls,
        dialer: Dialer,
        limits: ClientLimits,
        introduction: Rendezvous,
        addresses: tuple[Address, ...],
        role: RaceRole,
        mode: PathMode,
        better: Callable[[Connector, SecurePeerConnection], None],
        look_again: Callable[[Connector], None],
    ) -> None:
        self.introduction = introduction
        self.mode = mode
        self.conversation: Conversation | None = None
        self.found: Deferred[SecurePeerConnection] = Deferred(lambda _: self.stop())
        self.stopped = False
        self._secure = secure
        self._better = better
        self._look_again = look_again
        self._dialer = dialer
        self._trust, self._own_addresses = context.trust, context.own_addresses
        self._timers = Timers(context.clock)
        self._now = context.clock.seconds
        self._role = role
        self._under_way: dict[Address | None, Callable[[], None]] = {}  # address -> cancel function
        self._open: list[SecurePeerConnection] = []  # those whose handshake succeeded
        self.race: Race[SecurePeerConnection] = Race(
            role,
            addresses,
            self._now(),
            limits,
            mode=mode,
            relay=bool(introduction.ticket),
            punching=bool(introduction.call),
        )

    def begin(self) -> None:
        """Start the race."""
        self._due()

    def learn(self, reasons: dict[Address | None, str]) -> None:
        """Add the results of a later attempt at a direct path."""
        self.race.reasons |= {name: why for name, why in reasons.items() if name is not None}

    @property
    def is_over(self) -> bool:
        """True once this rendezvous can produce no further connection."""
        return self.stopped or (self.race.over and not self._open)

    def punch_received(
        self,
        transport: Any,
        data: bytes,
        goes_on: Callable[[SecurePeerConnection], None] = lambda connection: None,
    ) -> None:
        """Take a connection that the peer dialled, on which `data` followed PUNCH.

        Args: goes_on: called with the TLS connection that replaces it.
        """
        if self.stopped or self.mode is PathMode.RELAY:
            transport.abortConnection()
            return
        connection, made = self._new_connection(dialled=False)
        goes_on(connection)
        made.addCallbacks(lambda connection: self._good(connection, None), _unimportant)
        connection.start(transport, data)

    def chosen(self, connection: SecurePeerConnection) -> None:
        """Note that the peer has sent CHAT on `connection`."""
        self._apply(self.race.chosen(connection, self._now()))

    def lost(self, connection: SecurePeerConnection) -> None:
        """Tell the race that one of its connections has ended."""
        if connection in self._open:
            self._open.remove(connection)
            self._apply(self.race.lost(connection, self._now()))

    def stop(self) -> None:
        """Stop dialling, and close connections that carry no conversation."""
        if self.stopped:
            return
        self.stopped = True
        self._timers.stop()
        self._stop_dialling()
        for connection in self._open:
            if connection is not self.race.picked:
                connection.drop()

    # Effects and events of the race.

    def _due(self) -> None:
        self._apply(self.race.due(self._now()))

    def _apply(self, effects: list[Effect[SecurePeerConnection]]) -> None:
        """Apply the effects of the race, and set the timer for its next deadline."""
        for effect in effects:
            if not self.stopped:
                self._apply_one(effect)
        self._timers.stop()
        deadline = self.race.deadline
        if deadline is not None and not self.stopped:
            self._timers.after("race", max(0.0, deadline - self._now()), self._due)

    def _apply_one(self, effect: Effect[SecurePeerConnection]) -> None:
        match effect:
            case Dial(address):
                self._dial(address)
            case JoinRelay():
                self._join()
            case Pick(connection):
                self._pick(connection)
            case CloseConnection(connection):
                connection.drop()
            case CancelDials():
                self._stop_dialling()
            case AskAgain():
                self._look_again(self)
            case GiveUp(reasons):
                if not self.found.called and self._role is RaceRole.CALLER:
                    relayed = self.introduction.ticket and self.mode is not PathMode.DIRECT
                    told = [one for one in reasons if one[0] is not None or relayed]
                    self.found.errback(PeerUnreachable(_why(told or list(reasons))))

    def _new_connection(
        self, *, dialled: bool, relayed: bool = False
    ) -> tuple[SecurePeerConnection, Deferred[SecurePeerConnection]]:
        one, call = self.introduction, self.introduction.call
        server = is_tls_server(
            key_bytes(self._trust.own_key),
            key_bytes(one.key) if one.key else b"",
            self._role,
            punch=bool(call),
            relayed=relayed,
            dialled=dialled,
        )
        connection = self._secure.new(
            self._trust.handshake(self._judge),
            called=self._role is RaceRole.CALLEE,
            tls_server=server,
            punch=call if dialled and not relayed else "",
            attempt=self,
        )
        connection.relayed = relayed
        return connection, self._secure.made(connection)

    def _judge(self, shown: str) -> str | None:
        """Refuse any key but the peer's; with no known key, only our own. Return the reason, a `Cause`."""
        wanted = self.introduction.key
        if shown == self._trust.own_key:
            return OWN_KEY()
        if wanted and shown != wanted:
            return KEY_OF_ANOTHER(peer=self.introduction.client_id, shown=shown)
        return None

    def _dial(self, address: Address) -> None:
        connection, made = self._new_connection(dialled=True)
        dialled = self._dialer.dial_secure(
            *address, connection, as_heard=bool(self.introduction.call)
        )

        def give_up() -> None:
            dialled.cancel()
            self._secure.forget(connection)

        self._under_way[address] = give_up

        def failed(failure: Failure) -> None:
            self._failed(address, failure)
            self._secure.forget(connection)

        # Before the errback below: the dial may have failed already, and is then forgotten at once.
        made.addCallbacks(
            lambda connection: self._good(connection, address),
            lambda why: self._failed(address, why),
        )
        made.addErrback(_log)
        dialled.addErrback(failed)

    def _join(self) -> None:
        where = self._own_addresses.filtered(self.introduction.relay)
        near = self._own_addresses.is_local or where == self._own_addresses.server
        if where is None:
            self._apply(self.race.failed(None, NO_SERVER_TO_RELAY(), self._now()))
            return
        joining = self._dialer.join_relay(*where, self.introduction.ticket, near)
        self._under_way[None] = joining.cancel
        joining.addCallbacks(self._piped, lambda failure: self._failed(None, failure))
        joining.addErrback(_log)

    def _piped(self, end: RelayEnd) -> None:
        if self.stopped or None not in self._under_way:
            end.give_up()
            return
        connection, made = self._new_connection(dialled=True, relayed=True)
        self._under_way[None] = lambda: self._secure.forget(connection)
        made.addCallbacks(
            lambda connection: self._good(connection, None), lambda why: self._failed(None, why)
        )
        made.addErrback(_log)
        end.hand_to(connection)

    def _good(self, connection: SecurePeerConnection, name: Address | None) -> None:
        """Report to the race that a handshake showed the right key."""
        if name is not None or connection.relayed:
            self._under_way.pop(name, None)
        if self.stopped:
            connection.drop()
            return
        self._open.append(connection)
        self._apply(self.race.good(connection, name, self._now(), relayed=connection.relayed))

    def _failed(self, name: Address | None, failure: Failure) -> None:
        if name not in self._under_way:
            return  # cancelled
        del self._under_way[name]
        error, code = failure.value, Reason.UNREACHABLE
        match error:
            case PeerUnreachable():
                code = error.reason
            case NoRelay() | CancelledError():
                pass
            case _:
                log.failure("a way could not be tried", failure=failure)
        why = str(error) or type(error).__name__
        self._apply(self.race.failed(name, Cause(code, why), self._now()))

    def _pick(self, connection: SecurePeerConnection) -> None:
        if self.found.called:
            self._better(self, connection)
        else:
            self.found.callback(connection)

    def _stop_dialling(self) -> None:
        under_way, self._under_way = self._under_way, {}
        for give_up in under_way.values():
            give_up()


def _why(reasons: list[tuple[Address | None, str]]) -> Cause:
    """Return one sentence about the failed paths; a failure of TLS decides its code."""
    codes = [reason_of(why) for _, why in reasons]
    code = next((one for one in codes if one in NO_TLS), codes[0] if codes else Reason.NO_ADDRESS)
    told: dict[str, str] = {}  # a reason shared by several addresses appears once
    for address, why in reasons:
        where = "relay" if address is None else host_port(*address)
        told.setdefault(why, why if where in why or len(reasons) == 1 else f"{where}: {why}")
    sentence = "; ".join(list(told.values())[:SHOWN])
    return Cause(code, sentence) if sentence else Cause(Reason.NO_ADDRESS)


def _unimportant(failure: Failure) -> None:
    """Ignore the failure of a connection that the peer dialled; the race has other paths."""
    failure.trap(PeerUnreachable)
