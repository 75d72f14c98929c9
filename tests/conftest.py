"""What all tests have in common."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="the full counts, as `nox -s long` runs them"
    )
