"""Groups of similar ids as several servers share them, and the notices between servers. Pure.

Times are seconds since 1970. A store shared by several servers returns a group as a value with a
version, and accepts a new value only if the version has not changed meanwhile. Servers of two versions
may write the same group: fields unknown to one of them are stored in `unknown`.
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
    the id is used again. trial: it was only registered. allow: keys that may see it; None: all.
    """

    since: float
    until: float
    trial: bool = False
    allow: tuple[str, ...] | None = None
    unknown: Unknown = field(default_factory=dict)


@value_class
class SharedPresence:
    """A registration with a key; its client has the node and the number of its connection.

    Args: made: when it was made, which defines the newest.
    """

    registration: Registration
    made: float
    unknown: Unknown = field(default_factory=dict)


@value_class
class SharedLease:
    """A classic registration by the connection `number` of the server `node`.

    Its source is alive only if the connection has lasted: most of them end at once. Args: made: time of
    the first registration, which defines the order of lists. heard: its last request, as far as it was
    stored.
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
    """State of the ids that fold to `fold`.

    Args: version: 0 for a group that was never written. watching: servers with clients that watch one
    of the ids.
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
    """Return the version of the successor of `state`.

    A group that was never written, or that was empty and removed, starts with the time in microseconds:
    no version occurs twice, and a server that has seen the former group does not mistake the new one
    for it.
    """
    return state.version + 1 if state.version else int(now * 1e6)


@distinct
class ListedClient(NamedTuple):
    """A connected and listed client with a key, or a classic one (`key` is "" then), as INFO lists it.

    `node`: its server; "" for a classic client.
    """

    client_id: str
    host: str
    port: int
    key: str
    node: str


@value_class
class ClassicCrowd:
    """Classic clients from one address, and from all.

    Args: there, all: their numbers. silent_there, silent: the longest silent of them.
    """

    there: int
    all: int
    silent_there: tuple[str, ...]
    silent: tuple[str, ...]


@value_class
class PairingFacts:
    """Ids on which a classic BRIDGE is decided.

    Args: partner: the last partner of the asker, or None. waiting, free: the longest waiting clients,
    and the free ones with the latest requests; at most two of each, without the asker.
    """

    partner: str | None
    waiting: tuple[str, ...]
    free: tuple[str, ...]


@value_class
class ToClient:
    """`text`, a BCP/2 message, for the client with the connection `number`; `ends`: the connection then
    ends.
    """

    number: int
    text: str
    ends: bool = False


@value_class
class PresenceNotice:
    """`client_id` has registered, has left, or has a changed registration.

    Args: version: that of its group since then. presence: its registration; None if it has ended.
    """

    client_id: str
    version: int
    presence: SharedPresence | None


Notice = ToClient | PresenceNotice
