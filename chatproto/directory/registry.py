"""Store interface of the classic directory's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from chatproto.directory.classic_registration import ClassicRegistration


class Registry(Protocol):
    """Leases by id, in the order they were heard of, and who waits for whom.

    A store keeps its bounds by itself: so many leases in all and for one `lease.network` (loopback
    not counted), so many partners; the longest silent go first, but nobody whose
    connection lives. Times are seconds of any one clock.

    One that lasts has kept what it was told when the call returns, but when somebody was heard of,
    which may come to it a little later. Where it cannot, `keep` and `forget` raise StoreTrouble and
    change nothing; `expire` forgets nobody.
    """

    def find(self, client_id: str) -> ClassicRegistration | None:
        """The lease of `client_id`."""

    def heard_at(self, client_id: str) -> float:
        """Return the time of the last request from the client; minus infinity without a registration."""

    def keep(self, lease: ClassicRegistration, now: float) -> None:
        """Register: put `lease` in, or in the place of the former of that id. It is heard of, and
        free. Whoever must go to make room goes without a word. Raises RemoteError 503 if nobody can go."""

    def touch(self, client_id: str, now: float) -> None:
        """Note a request from the client; ignored without a registration."""

    def forget(self, client_id: str) -> bool:
        """Take the lease out, with its place in the queue; False if there is none."""

    def expire(self, before: float, most: int = 1_000_000) -> int:
        """Forget who was last heard of before `before`, at most `most` of them; looks at those alone.

        Returns: how many went.
        """

    def listed(self, most: int) -> list[ClassicRegistration]:
        """The first `most` leases in the order in which they registered."""

    def ids(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """The ids that begin with `prefix` and come after `after`, in order."""

    def __len__(self) -> int:
        """Return the number of registrations."""

    def partner_of(self, client_id: str) -> str | None:
        """With whom `client_id` was last paired, whether either has a lease or not."""

    def first_waiting(self, asker: str) -> ClassicRegistration | None:
        """Of those who wait, `asker` not among them, the first."""

    def last_free(self, asker: str) -> ClassicRegistration | None:
        """Of the free, `asker` not among them, the one heard of last. Only leases without a key."""

    def pair(self, asker: str, peer: str) -> None:
        """Make two clients each other's partner, and neither free nor waiting."""

    def wait(self, asker: str) -> None:
        """`asker`, if it has a lease without a key, waits; in its old place if it did already."""
