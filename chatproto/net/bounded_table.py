"""Remember entries in the order of their last use, and a bounded number of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def remember(table: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> Value:
    """Put `value` into `table` as the latest; the oldest is forgotten if there are more than `most`."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)
    return value
