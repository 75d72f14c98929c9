"""Define value classes: quick to define and to create, immutable, and equal only within one class."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

FROZEN = "CHATPROTO_FROZEN" in os.environ
"""True if value objects refuse changes, as in the tests."""

_same_items: Any = tuple.__eq__
Kind = TypeVar("Kind", bound=type)
Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(kind: type[Value]) -> type[Value]:
    """Make `kind` a dataclass with slots whose values never change.

    The type checker refuses changes, and so do the values in the tests, which run with CHATPROTO_FROZEN
    in the environment. Programs do without: a frozen dataclass takes four times as long to define, and
    a program has some 220 of them; its values take four times as long to create.

    Equality, hash and text are those of a frozen dataclass, but not compiled anew for each class.
    """
    return _made(kind, slots=True)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def mixed_value_class(kind: type[Value]) -> type[Value]:
    """Make `kind` a value class without slots, so that a class may inherit from several of them."""
    return _made(kind, slots=False)


def _made(kind: type[Value], slots: bool) -> type[Value]:
    made: Any = dataclass(frozen=FROZEN, slots=slots, eq=False, repr=False)(kind)
    _compare(made, [one.name for one in fields(made) if one.compare])
    made.__repr__ = _show([one.name for one in fields(made) if one.repr])
    return made  # type: ignore[no-any-return]


def _compare(kind: Any, names: list[str]) -> None:
    """Give `kind` an equality and a hash by the attributes `names`."""
    held: Callable[[Any], object] = attrgetter(*names) if names else lambda one: ()

    def equal(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return held(self) == held(other)

    def hashed(self: Any) -> int:
        return hash(held(self))

    kind.__eq__, kind.__hash__ = equal, hashed


def _show(names: list[str]) -> Callable[[Any], str]:
    """Return a `__repr__` that shows the attributes `names`."""

    def shown(self: Any) -> str:
        held = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({held})"

    return shown


def distinct(kind: Kind) -> Kind:
    """Make the values of the NamedTuple `kind` equal only to values of the same class.

    A named tuple is quicker to create than a frozen dataclass, but equals any tuple with the same
    items, so that a dictionary would take one kind of message for another.
    """

    def equal(self: Any, other: object) -> bool:
        return other.__class__ is self.__class__ and _same_items(self, other)

    def unequal(self: Any, other: object) -> bool:
        return not equal(self, other)

    made: Any = kind
    made.__eq__, made.__ne__, made.__hash__ = equal, unequal, tuple.__hash__
    return kind
