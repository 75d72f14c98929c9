"""The ids that look alike, as several servers share them, and the news that servers send each other. Pure.

Times are seconds since 1970. A store that several servers share gives out a group as a value with a
version, and takes another one only if nobody has changed it meanwhile. Servers of two versions may write
the same group: what one of them does not know is kept in `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, NamedTuple

from chatproto.directory.classic_registration import ClassicRegistration
from chatproto.directory.registrations import Registration
from chatproto.wire.values import distinct, value_class

Unknown = Mapping[str, Any]


@value_class
class OwnedId:
    """An id that belongs to the owner of its group.

    Args: since: when it was reserved; the older reservation counts. until: end of the ownership, unless
    the id is used again. trial: it was only registered. allow: keys that may know of it; None: all.
    """

    since: float
    until: float
    trial: bool = False
    allow: tuple[str, ...] | None = None
    unknown: Unknown = field(default_factory=dict)


@value_class
class SharedPresence:
    """A registration with a key; its client has the node and the number of its connection.

    Args: made: when it was made, by which the newest is found.
    """

    registration: Registration
    made: float
    unknown: Unknown = field(default_factory=dict)


@value_class
class SharedLease:
    """A classic registration, by the connection `number` of the server `node`.

    Its source is alive only if the connection has lasted: most of them end at once. Args: made: when the
    client registered first, by which they are listed. heard: its last request.
    free: the client has just registered, so BRIDGE may return it (again); this is not stored.
    """

    lease: ClassicRegistration
    node: str
    number: int
    made: float
    heard: float
    unknown: Unknown = field(default_factory=dict)
    free: bool = field(default=False, compare=False)


@value_class
class GroupState:
    """All that is known of the ids that fold to `fold`.

    Args: version: 0 for a group that nobody has written yet. watching: servers at which somebody watches
    one of the ids.
    """

    fold: str
    version: int = 0
    owner: str | None = None
    owned: Mapping[str, OwnedId] = field(default_factory=dict)
    presences: Mapping[str, SharedPresence] = field(default_factory=dict)
    classic: Mapping[str, SharedLease] = field(default_factory=dict)
    watching: frozenset[str] = frozenset()
    unknown: Unknown = field(default_factory=dict)


def next_version(state: GroupState, now: float) -> int:
    """Return the version of what follows `state`.

    A group that nobody has written, or that was empty and is gone, begins with the time in microseconds:
    so it has no version for a second time, and a server that has seen the former one takes it for no other.
    """
    return state.version + 1 if state.version else int(now * 1e6)


@distinct
class ListedClient(NamedTuple):
    """A connected and listed client with a key, or a classic one (`key` is "" then), as INFO shows it.

    `node`: the server at which it is; "" for a classic one.
    """

    client_id: str
    host: str
    port: int
    key: str
    node: str


@value_class
class ClassicCrowd:
    """Classic clients from one address, and from all.

    Args: there, all: their numbers. silent_there, silent: those of them that were silent for longest.
    """

    there: int
    all: int
    silent_there: tuple[str, ...]
    silent: tuple[str, ...]


@value_class
class PairingFacts:
    """Ids that a classic BRIDGE is decided upon.

    Args: partner: the last partner of the asker, or None. waiting, free: the first that wait, and those
    that were heard of last; two at most of each, the asker not among them.
    """

    partner: str | None
    waiting: tuple[str, ...]
    free: tuple[str, ...]


@value_class
class ToClient:
    """`text`, a BCP/2 message, is for the client with the connection `number`; `ends`: and that ends it."""

    number: int
    text: str
    ends: bool = False


@value_class
class PresenceNotice:
    """`client_id` has come, has gone, or has another registration.

    Args: version: that of its group since then. presence: its registration; None if it has ended.
    """

    client_id: str
    version: int
    presence: SharedPresence | None


Notice = ToClient | PresenceNotice
