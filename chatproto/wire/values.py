"""Give named tuples an equality of their own."""

from __future__ import annotations

from typing import Any, TypeVar

_same_items: Any = tuple.__eq__
Kind = TypeVar("Kind", bound=type)


def distinct(kind: Kind) -> Kind:
    """Make the values of the NamedTuple `kind` equal only to values of the same class.

    A named tuple is quicker to make than a frozen dataclass, but equals any tuple with the same
    items, so that a dictionary takes one kind of message for another.
    """

    def equal(self: Any, other: object) -> bool:
        return other.__class__ is self.__class__ and _same_items(self, other)

    def unequal(self: Any, other: object) -> bool:
        return not equal(self, other)

    made: Any = kind
    made.__eq__, made.__ne__, made.__hash__ = equal, unequal, tuple.__hash__
    return kind
