"""From the text of `--store` to a store."""

from __future__ import annotations

from chatproto.stores.memory import MemoryRegistry
from chatproto.wire.limits import DEFAULTS, Limits


def open_store(text: str, limits: Limits = DEFAULTS) -> MemoryRegistry:
    """The store that `text` names: `memory:`. Raises ValueError (one sentence) for anything else."""
    if text == "memory:":
        return MemoryRegistry(limits)
    raise ValueError(f"there is no store named {text!r}; there is memory:")
