"""Entries of the shared log that no server of ours has written."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server import commands as told
from chatproto.server.commands import KINDS, CommandBatch

POISON = [
    "",
    "null",
    "[" * 100_000,
    '["a",1,' + "[" * 50_000 + "]" * 50_000 + "]",
    '["a",1,[["ask",1,{"x":' * 1000,
    '["a",1,[]]',
    '["a",true,[["end"]]]',
    '["a",1.5,[["end"]]]',
    f'["a",{"9" * 5000},[["end"]]]',
    f'["a",{2**64},[["end"]]]',
    '["a",-1,[["end"]]]',
    '["a",1,[["none"]]]',
    '["a",1,[["end",1]]]',
    '["a",1,[[["end"]]]]',
    '["a",1,[["gone",[],"x"]]]',
    '["a",1,[["gone","1","x"]]]',
    '["a",1,[["beat",7]]]',
    '["a",1,[["beat","\\ud800"]]]',
    '["\\udfff",1,[["end"]]]',
    '["a",1,[["come",1,"k","h",1e400,true,null]]]',
    '["a",1,[["come",1,"k","h",1,1,null]]]',
    '["a",1,{"end":1}]',
]
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(0, 2**63 - 1),
    str: st.text(st.characters(exclude_categories=["Cs"])),
    bool: st.booleans(),
    str | None: st.none() | st.text(st.characters(exclude_categories=["Cs"])),
}
COMMANDS: st.SearchStrategy[told.Command] = st.one_of(
    *(
        st.builds(kind, *(VALUES[field] for field in get_type_hints(kind).values()))
        for kind in KINDS.values()
    )
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class CommandTests(SynchronousTestCase):
    def test_poison_is_refused_in_a_sentence(self) -> None:
        for line in POISON:
            said = str(self.assertRaises(ValueError, told.read, line))
            self.assertIn("not a batch", said, line[:40])

    def test_an_entry_that_is_too_long_is_not_looked_at(self) -> None:
        self.assertRaises(ValueError, told.read, "[" + " " * told.MOST_BYTES)

    @given(st.text(), st.integers(1, 2**40), st.lists(COMMANDS, min_size=1, max_size=4))
    def test_a_batch_comes_back_as_it_was_written(
        self, node: str, number: int, commands: list[told.Command]
    ) -> None:
        batch = CommandBatch(node, number, tuple(commands))
        self.assertEqual(told.read(told.write(batch)), batch)

    @given(JSON)
    def test_any_json_is_a_batch_or_a_value_error(self, value: Any) -> None:
        try:
            told.read(json.dumps(value))
        except ValueError as error:
            self.assertIn("not a batch", str(error))
