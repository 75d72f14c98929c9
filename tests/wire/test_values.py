"""Values of different classes are never equal, whatever they hold."""

from __future__ import annotations

import dataclasses
import pkgutil
from importlib import import_module
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import chatproto
from chatproto.wire.classic import ClassicRegAck


def value_classes() -> list[type[Any]]:
    """Every named tuple and frozen dataclass of the package."""
    found: dict[type[Any], None] = {}
    for module in pkgutil.walk_packages(chatproto.__path__, "chatproto."):
        for kind in vars(import_module(module.name)).values():
            if isinstance(kind, type) and kind.__module__.startswith("chatproto."):
                frozen = getattr(kind, "__dataclass_params__", None)
                if hasattr(kind, "_fields") or (frozen is not None and frozen.eq):
                    found[kind] = None
    return list(found)


def made(kind: Any, value: int) -> Any:
    """A value of `kind` with `value` in each field."""
    if hasattr(kind, "_fields"):
        return kind(*[value for _ in kind._fields])
    one = object.__new__(kind)
    for field in dataclasses.fields(kind):
        object.__setattr__(one, field.name, value)
    return one


class ValueTests(SynchronousTestCase):
    def test_values_of_different_classes_are_never_equal(self) -> None:
        kinds = value_classes()
        self.assertGreater(len(kinds), 150)
        self.assertIn(ClassicRegAck, kinds)
        for value in (0, 1):
            values = [made(kind, value) for kind in kinds]
            for one in values:
                same = [other for other in values if one == other or other == one]
                self.assertEqual([type(other) for other in same], [type(one)])
                self.assertFalse(any(one == (value,) * size for size in range(10)))
                self.assertFalse(any((value,) * size == one for size in range(10)))

    def test_values_of_one_class_are_equal_by_what_they_hold(self) -> None:
        for kind in value_classes():
            if hasattr(kind, "_fields"):
                self.assertEqual(made(kind, 1), made(kind, 1))
                self.assertEqual(hash(made(kind, 1)), hash(made(kind, 1)))
                self.assertEqual(made(kind, 1) != made(kind, 2), bool(kind._fields))
