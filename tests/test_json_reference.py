"""docs/json.md says what the code does."""

from __future__ import annotations

import json

import pytest

from chatproto.ui.commands import ROWS, parse_values
from chatproto.ui.references import ENDS
from misc import json_reference


def test_the_page_is_made_from_this_code() -> None:
    wanted = json_reference.page()
    assert json_reference.PAGE.read_text(encoding="utf-8") == wanted, (
        "python misc/json_reference.py makes it anew"
    )


@pytest.mark.parametrize("name", list(ROWS))
def test_the_example_of_each_command_is_accepted(name: str) -> None:
    [example] = [row[3] for row in json_reference.commands() if row[0] == name]
    assert parse_values(example).name == name


def test_each_event_has_an_example_that_is_written_like_that() -> None:
    for kind in json_reference.event_classes():
        example = json.loads(json_reference.example_of(kind))
        assert example["event"] == kind.event


def test_ends_are_of_commands_that_there_are() -> None:
    assert set(ENDS) <= set(ROWS)
