"""Peers on the local network: send our beacons, receive theirs, and look peers up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatproto.client.context import Context, Signal
from chatproto.client.events import CommandOutput, Notice
from chatproto.nearby.messages import Beacon, Seek, read_datagram
from chatproto.nearby.table import Neighbour, Rhythm, Table
from chatproto.net.addresses import LEAST_PORT
from chatproto.net.rate_limiter import RateLimiter
from chatproto.net.timers import Timers
from chatproto.wire.bcp2_common import Address
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact, host_port
from chatproto.wire.strict import encode

if TYPE_CHECKING:  # loaded when beacons start
    from chatproto.nearby.ports import Ports

BEACON_BURST = 64
"""Most datagrams that are read at once."""
BEACON_RATE = 32.0
"""Datagrams per second after a burst."""


class Neighbours:
    """Announce us on the local network from `start` to `stop`, and remember the peers heard.

    A beacon is only a claim until TLS proves the key: its content is neither pinned nor trusted.
    """

    def __init__(
        self,
        context: Context,
        came: Signal[str],
        make: Callable[[Callable[[bytes, str], None], int], Ports],
    ) -> None:
        self._context = context
        self._id = context.settings.client_id
        self._known = context.trust
        self._came = came
        self._ears = make(self.datagram_received, context.limits.beacon)
        self._table = Table()
        now = context.clock.seconds()
        self._limiter = RateLimiter(BEACON_RATE, BEACON_BURST)
        self._rhythm = Rhythm(now)
        self._at: Address | None = None
        self._timers = Timers(context.clock)

    def start(self, host: str, port: int) -> None:
        """Start beacons for our port at `host:port`; `0.0.0.0` and `::` stand for every address."""
        self._at = (host, port)
        if port < LEAST_PORT:
            self._complain(f"--port must be at least {LEAST_PORT}")
            return
        self._ears.look()
        if not len(self._ears):
            self._complain(self._ears.trouble or "this machine is on no network")
        self._ears.say(encode(Seek(f"{self._context.random.getrandbits(64):016x}")))
        self._speak()

    def stop(self) -> None:
        """Stop sending; peers forget us after their timeout."""
        self._at = None
        self._timers.stop()
        self._ears.close()

    def datagram_received(self, data: bytes, host: str) -> None:
        """Handle any datagram that was received from `host`."""
        now = self._context.clock.seconds()
        if self._at is None or not self._limiter.allow(now):
            return
        try:
            message = read_datagram(data, self._context.limits.beacon)
        except RemoteError:
            return  # any program may send anything to a group
        match message:
            case Beacon(key=self._known.own_key):
                return
            case Beacon():
                if not self._table.store(message, host, now):
                    return
                self._greet(message)
        self._rhythm.hasten(now, self._context.random.random())
        self._wait()

    def find(self, client_id: str) -> tuple[Neighbour, ...]:
        """Return the peers whose beacons claim `client_id`."""
        return self._table.neighbours(self._context.clock.seconds(), client_id)

    def ids(self) -> tuple[str, ...]:
        """Return the ids that beacons claim now."""
        return tuple(one.client_id for one in self._table.neighbours(self._context.clock.seconds()))

    def with_key(self, key: str) -> tuple[Neighbour, ...]:
        """Return the peers whose beacons claim `key`, under any id."""
        found = self._table.neighbours(self._context.clock.seconds())
        return tuple(one for one in found if one.key == key)

    def contact(self, near: Neighbour) -> Contact:
        """Return the contact; it is named `bob?` if only the beacon claims the id `bob`."""
        host, port = near.addresses[0]
        doubt = "" if self._known.knows(near.key) else "?"
        return Contact(f"{near.client_id}{doubt}", host, port, near.key)

    def show(self) -> None:
        """Publish the peers nearby (/nearby)."""
        now = self._context.clock.seconds()
        neighbours = self._table.neighbours(now)
        rows = [
            {
                "id": one.client_id,
                "host": one.addresses[0][0],
                "port": one.addresses[0][1],
                "key": one.key,
                "standing": self._status(one),
                "seen": round(now - one.seen, 1),
            }
            for one in neighbours
        ]
        lines = tuple(
            f"{row['id']} {_where(one)}: {row['standing']}"
            for row, one in zip(rows, neighbours, strict=True)
        )
        nobody = "nobody is nearby: other clients need --beacon too, and a few seconds"
        self._context.publish(CommandOutput("nearby", lines or (nobody,), {"people": rows}))

    def _status(self, one: Neighbour) -> str:
        if self._known.knows(one.key):
            return "verified" if self._known.is_verified(one.key) else "known"
        if self._known.has_pin_of(one.client_id):
            return "another key than the known one"
        return "unconfirmed"

    def _greet(self, beacon: Beacon) -> None:
        """Deliver queued messages if a newly heard peer may be a known contact."""
        for client_id in self._known.ids_of(beacon.key):
            self._came(client_id)

    def _speak(self) -> None:
        if self._at is None:
            return
        host, port = self._at
        self._ears.look()  # interfaces may have changed
        self._ears.say(encode(Beacon(self._id, self._known.own_key, port)), host)
        self._rhythm.sent(self._context.clock.seconds(), self._context.random.random())
        self._wait()

    def _wait(self) -> None:
        """Set the timer for the next beacon."""
        wait = max(0.0, self._rhythm.due - self._context.clock.seconds())
        self._timers.after("beacon", wait, self._speak)

    def _complain(self, why: str) -> None:
        self._context.publish(Notice(f"--beacon does not work, nobody nearby can find you: {why}"))


def _where(one: Neighbour) -> str:
    return host_port(*one.addresses[0])
