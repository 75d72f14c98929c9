"""Values of different classes are never equal, whatever they hold, and none is ever changed."""

from __future__ import annotations

import dataclasses
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import chatproto
from chatproto.wire.classic import ClassicRegAck
from chatproto.wire.values import value_class
from tests.fresh_python import fresh_python

Held = tuple[int, str, tuple[int, ...], bool]
SOME = st.tuples(
    st.integers(0, 2), st.sampled_from("ab"), st.tuples(st.integers(0, 1)), st.booleans()
)


@value_class
class Example:
    """A value with a part that is not compared, and one that is not shown."""

    number: int
    text: str
    parts: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    secret: bool = dataclasses.field(default=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """The same, made by the library."""

    number: int
    text: str
    parts: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    secret: bool = dataclasses.field(default=False, repr=False)


@value_class
class Bare:
    """A value that holds nothing."""


def value_classes() -> list[type[Any]]:
    """Every named tuple and value class of the package."""
    found: dict[type[Any], None] = {}
    for module in pkgutil.walk_packages(chatproto.__path__, "chatproto."):
        for kind in vars(import_module(module.name)).values():
            if isinstance(kind, type) and kind.__module__.startswith("chatproto."):
                by_value = vars(kind).get("__hash__") is not None
                if hasattr(kind, "_fields") or (dataclasses.is_dataclass(kind) and by_value):
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

    def test_values_are_frozen_in_tests_so_that_whatever_changes_one_fails(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            Example(1, "text").number = 2  # type: ignore[misc]
        for kind in value_classes():
            if not hasattr(kind, "_fields"):
                self.assertTrue(kind.__dataclass_params__.frozen, kind)

    def test_every_value_of_the_package_is_made_by_the_one_name_for_it(self) -> None:
        for path in Path(chatproto.__file__).parent.rglob("*.py"):
            # Values of the library are frozen in every program, not only in the tests.
            if path.name != "values.py" and path.parent.name != "api":
                self.assertNotIn("frozen=True", path.read_text(encoding="utf-8"), path)

    def test_programs_have_value_classes_that_are_cheap_to_make(self) -> None:
        lines = [
            "from chatproto.client.events import Event",
            "from chatproto.wire.limits import ServerLimits",
            "from chatproto.wire.values import FROZEN",
            "print(FROZEN, Event.__dataclass_params__.frozen, ServerLimits.__dataclass_params__.frozen)",
        ]
        self.assertEqual(fresh_python("\n".join(lines)), "False False False\n")

    @given(SOME, SOME)
    def test_a_value_class_behaves_as_a_frozen_dataclass(self, one: Held, other: Held) -> None:
        ours, frozen = (Example(*one), Example(*other)), (Model(*one), Model(*other))
        self.assertEqual(ours[0] == ours[1], frozen[0] == frozen[1])
        self.assertEqual(ours[0] != ours[1], frozen[0] != frozen[1])
        self.assertEqual(repr(ours[0]), repr(frozen[0]).replace("Model", "Example"))
        if ours[0] == ours[1]:
            self.assertEqual(hash(ours[0]), hash(ours[1]))
        self.assertNotEqual(ours[0], frozen[0])
        self.assertEqual(dataclasses.replace(ours[0], number=5).number, 5)
        self.assertEqual(dataclasses.asdict(ours[0]), dataclasses.asdict(frozen[0]))
        self.assertFalse(hasattr(ours[0], "__dict__"))
        self.assertEqual((Bare(), hash(Bare()), repr(Bare())), (Bare(), hash(()), "Bare()"))
