"""How somebody is spoken to, as far as a session cares: a row of the plain dialects, or `SECURE`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Capabilities(Protocol):
    """How somebody is spoken to, as far as a session cares; `wire.dialects.Dialect` is one."""

    @property
    def name(self) -> str: ...
    @property
    def takes_turns(self) -> bool: ...
    @property
    def strict_turns(self) -> bool: ...
    @property
    def dials_back(self) -> bool: ...
    @property
    def has_id(self) -> bool: ...
    @property
    def farewells(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Secure:
    """The manner of BCP/2: turns are taken only if either wants it."""

    name: str = "bcp/2"
    takes_turns: bool = False
    strict_turns: bool = False
    dials_back: bool = False
    has_id: bool = True
    farewells: frozenset[str] = frozenset()


SECURE = Secure()
