"""The correspondence with every key, and what of it outlives a conversation."""

from __future__ import annotations

from typing import Protocol

from chatproto.client.trust_store import TrustStore
from chatproto.net.keys import key_bytes
from chatproto.session.delivery import Delivery
from chatproto.session.ledger import MSG, Ledger
from chatproto.wire.limits import Limits


class Random(Protocol):
    """Where randomness comes from; `random.SystemRandom`, or in a simulation a seeded one."""

    def random(self) -> float:
        """A number from 0 to 1."""

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits."""


class OutboundStreams:
    """One correspondence a key, however many conversations come and go, in one ledger."""

    def __init__(self, ledger: Ledger, known: TrustStore, random: Random, limits: Limits) -> None:
        self.ledger = ledger
        self._known = known
        self._random = random
        self._limits = limits
        self._posts: dict[str, Delivery] = {}

    def of(self, key: str, name: str) -> Delivery:
        """The one with `key`, who is called `name`."""
        post = self._posts.get(key)
        if post is None:
            smaller = key_bytes(self._known.own_key) < key_bytes(key)
            post = Delivery(self.ledger, key, name, smaller, self._new_stream, self._limits)
            self._posts[key] = post
        post.name = name
        return post

    def unsettled(self, key: str) -> bool:
        """Return True if the outcome of some message to `key` is still open."""
        post = self._posts.get(key)
        if post is not None:
            return bool(post.unsettled)
        return any(one.kind == MSG for one in self.ledger.entries(key))

    def lasts(self, key: str) -> bool:
        """Whether what waits for `key` outlives the conversation: only if the key is pinned."""
        return self._known.knows(key)

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        """Every key for which messages are kept, what they were called, and how many there are."""
        return self.ledger.waiting()

    def _new_stream(self) -> str:
        return f"{self._random.getrandbits(64):016x}"
