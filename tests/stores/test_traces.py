"""The same traces on every store: what is answered is the same, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from chatproto.stores.open import MemoryStore
from chatproto.stores.sqlite import SqliteStore
from tests.contracts.names import key
from tests.contracts.traces import LIMITS, TRACES, Row, Step, replay
from tests.long import LONG

RECORDED = Path(__file__).parent.parent / "contracts" / "traces.json"
"""Traces with the answers that the program gave when its rules were still spread over its stores."""


@contextmanager
def in_memory() -> Iterator[Row]:
    yield Row(MemoryStore(LIMITS))


@contextmanager
def in_sqlite() -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "server.sqlite", key(9), LIMITS)
        yield Row(store)
        store.close()


ROWS = {"memory": in_memory, "sqlite": in_sqlite}
"""Every store. The first one is what the others are compared with."""
OTHERS = list(ROWS)[1:]


def answers(name: str, trace: list[Step]) -> list[list[str]]:
    with ROWS[name]() as row:
        return replay(row, trace)


def compare(name: str, trace: list[Step]) -> None:
    wanted, found = answers("memory", trace), answers(name, trace)
    for step, one, other in zip(trace, wanted, found, strict=True):
        assert other == one, step


@pytest.mark.parametrize("name", OTHERS)
def test_every_store_answers_as_memory_does(name: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(TRACES)
    def each(trace: list[Step]) -> None:
        compare(name, trace)

    each()


@LONG
@pytest.mark.parametrize("name", OTHERS)
def test_every_store_answers_as_memory_does_in_many_traces(name: str) -> None:
    @settings(max_examples=300, deadline=None)
    @given(TRACES)
    def each(trace: list[Step]) -> None:
        compare(name, trace)

    each()


@pytest.mark.parametrize("name", ROWS)
def test_recorded_traces_are_answered_as_they_were(name: str) -> None:
    for trace in json.loads(RECORDED.read_text(encoding="utf-8")):
        steps = [tuple(step) for step, _ in trace]
        found = answers(name, steps)
        for (step, wanted), sent in zip(trace, found, strict=True):
            assert sent == wanted, step
