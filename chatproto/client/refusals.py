"""Refusals by a server, as they are told to programs."""

from __future__ import annotations

from typing import Any


def refusal_fields(error: Exception | str | None) -> dict[str, Any]:
    """`status` and `retry_after` of what went wrong, as the event `Failed` has them."""
    return {name: getattr(error, name, None) for name in ("status", "retry_after")}
