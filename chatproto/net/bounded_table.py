"""Store a bounded number of entries in the order of their last use."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def remember(table: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> Value:
    """Put `value` into `table` as the latest entry; the oldest is removed if there are more than
    `most`.
    """
    table[key] = value
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)
    return value
