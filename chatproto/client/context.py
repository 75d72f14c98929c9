"""Values that every part of a client uses, and the signals between the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from random import Random, SystemRandom
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from chatproto.client.address_book import AddressBook
from chatproto.client.events import Event
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.requests import AskedPart
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import NoPins, TrustStore
from chatproto.net.clock import Wall
from chatproto.wire.limits import ClientLimits
from chatproto.wire.values import value_class

Value = TypeVar("Value")
MessageParts = dict[tuple[str, int], AskedPart]
"""Parts of requests, by the recipient's key and the number of the message."""


class Signal(Generic[Value]):
    """Call every listener with a value, in the order in which they were added."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Value], object]] = []
        self.listen = self._listeners.append
        """Add a listener that is called with each later value."""

    def __call__(self, value: Value) -> None:
        for listener in tuple(self._listeners):
            listener(value)


def _written() -> Deferred[None]:
    """Return a fired Deferred: without a screen every event is shown as soon as it is published."""
    return succeed(None)


def _no_keys() -> TrustStore:
    """Return the trust store of a program with --plain, which has no key and trusts no one."""
    return TrustStore(None, NoPins(), lambda: 0.0)


@value_class
class Context:
    """Settings, limits, clocks, signals to the user interface, and stored knowledge: shared by all parts.

    Args: clock: the reactor, for timers and monotonic seconds. now: returns the time of day. publish:
    shows an event to the user and to scripts. settled: some work is finished, so held input may resume
    or the program may end. hold_input: True to pause input, False to resume. flushed: returns a Deferred
    that fires when all published events are written. messages: request parts of messages with an open
    outcome. own_addresses: where we can be reached. trust: keys and pins. address_book: where contacts can.
    """

    settings: ClientSettings
    limits: ClientLimits
    clock: IReactorTime
    now: Callable[[], Wall]
    random: Random = field(default_factory=SystemRandom)
    publish: Signal[Event] = field(default_factory=Signal)
    settled: Signal[None] = field(default_factory=Signal)
    hold_input: Signal[bool] = field(default_factory=Signal)
    flushed: Callable[[], Deferred[None]] = _written
    messages: MessageParts = field(default_factory=dict)
    own_addresses: OwnAddresses = field(default_factory=OwnAddresses)
    trust: TrustStore = field(default_factory=_no_keys)
    address_book: AddressBook = field(default_factory=AddressBook)
