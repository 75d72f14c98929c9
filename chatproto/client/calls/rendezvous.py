"""Rendezvous arranged by a server, and the names of their paths for the user."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.interfaces import IReactorTime

from chatproto.session.candidates import Route, route_of
from chatproto.session.paths import AGAIN_FOR
from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import host_port
from chatproto.wire.values import value_class

MOST = 256
"""Most rendezvous at once, and most stored answers of the server."""


@value_class
class Rendezvous:
    """Rendezvous with a peer: its addresses, and the id of the introduction (PROTOCOL.md, section 5).

    `call`: id of the introduction; empty if no server arranged it and only we dial. `key`: expected key;
    empty to accept any. `ticket`: for the relay, or empty. `relay`: its address; None for the server, as
    we reach it. `typed`: the user gave the address, so it is not filtered.
    """

    client_id: str
    key: str
    addresses: tuple[Address, ...] = ()
    call: str = ""
    ticket: str = ""
    relay: Address | None = None
    typed: bool = False


class ServerAnswers:
    """Store the server's answers to BRIDGE until the call that they are for; `clock`: the reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._answers: dict[str, tuple[Rendezvous, float]] = {}  # by key

    def store(self, answer: Rendezvous) -> None:
        """Store `answer` in place of an older one for its key; the peer dials us already."""
        self._answers.pop(answer.key, None)
        self._answers[answer.key] = answer, self._clock.seconds()
        if len(self._answers) > MOST:
            del self._answers[next(iter(self._answers))]

    def take(self, key: str) -> Rendezvous | None:
        """Remove and return the answer for `key` if it is at most `AGAIN_FOR` seconds old, else None."""
        answer, at = self._answers.pop(key, (None, 0.0))
        fresh = self._clock.seconds() - at < AGAIN_FOR
        return answer if fresh else None


def path_of(host: str, relayed: bool, both_dialled: bool) -> str:
    """Return the name of the path of a connection with `host`, as in `session` events."""
    try:
        if not relayed and ip_address(host).is_loopback:
            return Route.DIRECT.value
    except ValueError:
        pass  # not an IP address, as in a test
    return route_of(host, relayed, both_dialled).value


def tried(reasons: dict[Address | None, str]) -> dict[str, str]:
    """Return the result of each attempted path, by its name."""
    return {
        "relay" if address is None else host_port(*address): why for address, why in reasons.items()
    }
