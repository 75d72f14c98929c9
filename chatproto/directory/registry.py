"""Store interface of the classic directory's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.wire.classic import ClassicRegister


class Registry(Protocol):
    """Classic registrations by id, in the order of their last requests, and waiting clients.

    A store enforces its own limits: registrations in all and per `network` (loopback is not counted),
    and partners. The longest silent are removed first, but none with a live connection. Times are
    seconds of one clock.

    A persistent store has written a change when the call returns, except for times of last requests,
    which may follow later. If it fails, `keep` and `forget` raise StoreTrouble and change nothing;
    `expire` then removes none.
    """

    def find(self, client_id: str) -> ClassicRegistration | None:
        """Return the lease of `client_id`, or None."""

    def heard_at(self, client_id: str) -> float:
        """Return the time of the last request from the client; minus infinity without a registration."""

    def confirm(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        """Renew the lease that `message` repeats, as `keep` does; return False if it differs in
        anything.

        Short cut: a registry that always returns False gives the same answers.
        """

    def renew(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        """Renew the lease that `message` repeats on another connection of the same host, or of
        loopback.

        The lease then belongs to that connection. Returns False if `message` differs in anything. Call
        this only if no key owns the id. Short cut like `confirm`, for clients that connect for each
        request.
        """

    def keep(self, lease: ClassicRegistration, now: float) -> None:
        """Store `lease`, in place of a former one of that id, as free and with the latest request. A
        client that is removed to make room is not notified. Raises RemoteError 503 if none can be
        removed.
        """

    def touch(self, client_id: str, now: float) -> None:
        """Note a request from the client; ignored without a registration."""

    def forget(self, client_id: str) -> bool:
        """Remove the lease, also from the waiting clients; return False if there is none."""

    def expire(self, before: float, most: int = 1_000_000) -> int:
        """Remove clients without a request since `before`, at most `most`; return the number."""

    def listed(self, most: int) -> Iterator[ClassicRegistration]:
        """Return the first `most` of the present leases, in the order of their registration."""

    def ids(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """Return the ids that begin with `prefix` and follow `after`, in order."""

    def __len__(self) -> int:
        """Return the number of registrations."""

    def partner_of(self, client_id: str) -> str | None:
        """Return the last partner of `client_id`; either may be unregistered."""

    def first_waiting(self, asker: str) -> ClassicRegistration | None:
        """Return the first waiting client other than `asker`."""

    def last_free(self, asker: str) -> ClassicRegistration | None:
        """Return the free client with the latest request, other than `asker`. Only leases without a
        key.
        """

    def pair(self, asker: str, peer: str) -> None:
        """Make two clients each other's partner; they are no longer free or waiting."""

    def wait(self, asker: str) -> None:
        """Queue `asker`, if it has a lease without a key, or leave it at its place in the queue."""
