"""Store interface of the classic directory's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.wire.classic import ClassicRegister


class Registry(Protocol):
    """Classic registrations by id, in the order of their last requests, and waiting clients.

    A store keeps its own limits: registrations in all and per `network` (loopback is not counted), and
    partners. The longest silent go first, but none with a live connection. Times are seconds of one clock.

    A persistent store has written a change when the call returns, except for times of last requests, which
    may follow later. If it cannot, `keep` and `forget` raise StoreTrouble and change nothing; `expire` then
    forgets none.
    """

    def find(self, client_id: str) -> ClassicRegistration | None:
        """The lease of `client_id`."""

    def heard_at(self, client_id: str) -> float:
        """Return the time of the last request from the client; minus infinity without a registration."""

    def confirm(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        """Keep the lease that `message` repeats, as `keep` does; False if it says anything new.

        Short cut: a registry that always returns False answers the same.
        """

    def renew(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        """Keep the lease that `message` repeats on another connection of the same host, or of loopback.

        False if its own connection lives, or if `message` says anything new. Call this only if no key
        owns the id. Short cut like `confirm`: a client that connects for each request comes here.
        """

    def keep(self, lease: ClassicRegistration, now: float) -> None:
        """Register: put `lease` in, or in the place of the former of that id. It is heard of, and
        free. Whoever must go to make room goes without a word. Raises RemoteError 503 if nobody can go."""

    def touch(self, client_id: str, now: float) -> None:
        """Note a request from the client; ignored without a registration."""

    def forget(self, client_id: str) -> bool:
        """Take the lease out, with its place in the queue; False if there is none."""

    def expire(self, before: float, most: int = 1_000_000) -> int:
        """Forget clients not heard from since `before`, at most `most`; returns the number."""

    def listed(self, most: int) -> Iterator[ClassicRegistration]:
        """The first `most` leases that there are now, in the order in which they registered."""

    def ids(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The ids that begin with `prefix` and come after `after`, in order."""

    def __len__(self) -> int:
        """Return the number of registrations."""

    def partner_of(self, client_id: str) -> str | None:
        """Return the last partner of `client_id`; either may have no registration."""

    def first_waiting(self, asker: str) -> ClassicRegistration | None:
        """Return the first waiting client other than `asker`."""

    def last_free(self, asker: str) -> ClassicRegistration | None:
        """Of the free, `asker` not among them, the one heard of last. Only leases without a key."""

    def pair(self, asker: str, peer: str) -> None:
        """Make two clients each other's partner, and neither free nor waiting."""

    def wait(self, asker: str) -> None:
        """`asker`, if it has a lease without a key, waits; in its old place if it did already."""
