"""The correspondence with every key: which ledger it is kept in, and what waits there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatproto.identity.keys import key_bytes
from chatproto.node.acquaintances import Acquaintances
from chatproto.peer.correspondence import Correspondence
from chatproto.peer.ledger import Ledger
from chatproto.wire.limits import Limits


class Random(Protocol):
    """Where randomness comes from; `random.SystemRandom`, or in a simulation a seeded one."""

    def random(self) -> float:
        """A number from 0 to 1."""

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits."""


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Where correspondence is kept: with people whose key is pinned, and, for as long as the program
    runs, with all others."""

    kept: Ledger
    passing: Ledger


class Posts:
    """One correspondence a key, however many conversations come and go."""

    def __init__(
        self, ledgers: Ledgers, known: Acquaintances, random: Random, limits: Limits
    ) -> None:
        self.kept = ledgers.kept
        self._passing = ledgers.passing
        self._known = known
        self._random = random
        self._limits = limits
        self._posts: dict[tuple[str, bool], Correspondence] = {}

    def of(self, key: str, name: str, lasting: bool = False) -> Correspondence:
        """The one with `key`, who is called `name`; it lasts if the key is pinned or is about to be."""
        lasting = lasting or self._known.knows(key)
        post = self._posts.get((key, lasting))
        if post is None:
            smaller = key_bytes(self._known.own_key) < key_bytes(key)
            ledger = self.kept if lasting else self._passing
            post = Correspondence(ledger, key, name, smaller, self._new_stream, self._limits)
            self._posts[key, lasting] = post
        post.name = name
        return post

    def lasts(self, post: Correspondence) -> bool:
        """Whether what waits there outlives the conversation."""
        return self._posts.get((post.key, True)) is post

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        """Every key for which messages are kept, what they were called, and how many there are."""
        return self.kept.waiting()

    def _new_stream(self) -> str:
        return f"{self._random.getrandbits(64):016x}"
