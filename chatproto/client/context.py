"""Values that every part of a client uses, and the signals by which parts hear of each other."""

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
"""Parts of requests: a message by the key that it is for and its number there."""


class Signal(Generic[Value]):
    """Call every listener with a value, in the order in which they began to listen."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Value], object]] = []
        self.listen = self._listeners.append
        """Have a listener called with each value from now on."""

    def __call__(self, value: Value) -> None:
        for listener in tuple(self._listeners):
            listener(value)


def _written() -> Deferred[None]:
    """Return a fired Deferred: without a screen every event is shown as soon as it is published."""
    return succeed(None)


def _no_keys() -> TrustStore:
    """Return the trust of a program with --plain, which has no key and believes nobody."""
    return TrustStore(None, NoPins(), lambda: 0.0)


@value_class
class Context:
    """Settings, limits, clocks, the ways to the person, and what is known of others: one for all parts.

    Args: clock: the reactor, for timers and monotonic seconds. now: returns the time of day. publish:
    shows an event to the person and to scripts. settled: some work was finished, so that input that
    was held may go on or the program may end. hold_input: True while no more input may be read.
    flushed: returns a Deferred that fires when all published events are written. messages: those of
    requests whose outcome is not known. place: our addresses. trust: keys and pins. people: addresses of
    others.
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
    place: OwnAddresses = field(default_factory=OwnAddresses)
    trust: TrustStore = field(default_factory=_no_keys)
    people: AddressBook = field(default_factory=AddressBook)
