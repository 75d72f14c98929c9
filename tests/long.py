"""Tests that only the long run carries out, with `--long`: more cases of what the gate tries too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

LONG = pytest.mark.long


def some(count: int, cases: Iterable[Any]) -> list[Any]:
    """Return `cases` for `parametrize`; the gate runs the first `count` of them, the long run all.

    A tuple is the values of several parameters, anything else the value of one.
    """

    def rest(case: Any) -> Any:
        return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=LONG)

    return [case if number < count else rest(case) for number, case in enumerate(cases)]
