"""Read a command that is given as values, a JSON object, instead of a typed line.

    {"do": "msg", "to": "bob", "text": "hello"}
    {"do": "send", "to": "bob", "paths": ["/tmp/a file"]}

`do` is the command without its slash; `CommandRow.fields` in the table of commands (`ui.commands.ROWS`)
lists its values. Values are never parsed: quotes, blanks, `~`, `@` and line ends in them have no
special meaning.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from chatproto.ui.arguments import NUMBER, Misused, shortened
from chatproto.wire.values import value_class

Values = Mapping[str, Any]
"""One command as an object: `do`, and the fields of its row."""

VALUE = 64 * 1024
"""Largest number of characters of a name, key or mode; texts and paths have limits of their own."""
_REFERENCE = re.compile(r'\s*\{\s*"ref"\s*:\s*(-?\d{1,64}|"[^"\\]{0,64}")\s*,')
_NAMES_A_COMMAND = re.compile(r'"do"\s*:')


@value_class
class Field:
    """Value of a command's JSON form: its name, and its conversion into arguments of `run`.

    `read` raises Misused. `missing`: the arguments if the value is left out or null; None: required.
    """

    name: str
    read: Callable[[object], tuple[str, ...]]
    missing: tuple[str, ...] | None = ("",)


Arrange = Callable[[dict[str, tuple[str, ...]]], tuple[str, ...]]
"""Function that returns the arguments from the given fields, if these do not simply follow each other."""


def word(value: object) -> tuple[str, ...]:
    """Read a name: an id, `#room`, address, key or dialect."""
    if not isinstance(value, str):
        raise Misused("must be a string")
    if len(value) > VALUE:
        raise Misused(f"must have at most {VALUE} characters")
    return (_unicode(value),)


def name(value: object) -> tuple[str, ...]:
    """Read a name that is not empty."""
    if value == "":
        raise Misused("must not be empty")
    return word(value)


def text(value: object) -> tuple[str, ...]:
    """Read a text that is not blank."""
    if not isinstance(value, str):
        raise Misused("must be a string")
    if not value.strip():
        raise Misused("must not be empty")
    return (_unicode(value),)


def any_text(value: object) -> tuple[str, ...]:
    """Read a text, which may be empty."""
    return ("",) if value == "" else text(value)


def number(value: object) -> tuple[str, ...]:
    """Read a number from 1 on, or its digits in a string."""
    digits = str(value) if _is_number(value) else value
    if not isinstance(digits, str) or NUMBER.fullmatch(digits) is None:
        raise Misused("must be a number of at least 1")
    return (digits,)


def asker(value: object) -> tuple[str, ...]:
    """Read an id in a string, or the number of a file; as in `arguments.asker`, an id of digits has an
    `@`.
    """
    if _is_number(value):
        return number(value)
    (found,) = name(value)
    return (f"@{found}",) if found.isdecimal() else (found,)


def flag(value: object) -> tuple[str, ...]:
    """Read `true` or `false`; return `yes` or `no`."""
    if not isinstance(value, bool):
        raise Misused("must be true or false")
    return ("yes" if value else "no",)


def one_of(*known: str) -> Callable[[object], tuple[str, ...]]:
    """Return a reader that accepts one of some words."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, str) or value not in known:
            raise Misused(f"must be {' or '.join(known)}")
        return (value,)

    return read


def paths(value: object) -> tuple[str, ...]:
    """Read paths of the file system: bytes that are not UTF-8 in the form of `os.fsdecode`."""
    if not isinstance(value, list) or not value:
        raise Misused("must be a list of paths")
    return tuple(_path(one) for one in value)


def folder(value: object) -> tuple[str, ...]:
    """Read the absolute path of a folder: the current folder of the sender is unknown."""
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise Misused("must be an absolute path")
    return (_path(value),)


def _path(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise Misused("must be a list of paths, and no path may be empty")
    try:
        if b"\0" in os.fsencode(value):
            raise Misused("must not have a NUL byte in a path")
    except UnicodeEncodeError:
        raise Misused("must not have a lone surrogate in a path") from None
    return value


def _is_number(value: object) -> bool:
    # Not a bool, and not so long that Python refuses to write it.
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18


def is_unicode(value: str) -> bool:
    """Return True if `value` can be written as UTF-8: it has no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unicode(value: str) -> str:
    if not is_unicode(value):
        raise Misused("must be valid Unicode text")
    return value


def arguments(given: Values, fields: tuple[Field, ...], arrange: Arrange) -> tuple[str, ...]:
    """Return the arguments of a row's `run` for the values `given`. Raises Misused."""
    names = {field.name for field in fields}
    for key in given:
        if key != "do" and key not in names:
            raise Misused(f'has no field "{shortened(key)}"')
    found: dict[str, tuple[str, ...]] = {}
    for field in fields:
        value = given.get(field.name)
        if value is None and field.missing is None:
            raise Misused(f'needs "{field.name}"')
        try:
            found[field.name] = field.missing or () if value is None else field.read(value)
        except Misused as wrong:
            raise Misused(f'has a wrong "{field.name}", which {wrong}') from None
    return arrange(found)


def in_order(found: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the fields one after another."""
    return tuple(argument for part in found.values() for argument in part)


def read_object(line: str) -> dict[str, Any] | None:
    """Return the object in `line`, if that is a command given as values; None if it is anything else.

    An object with `ref` and without `do` counts as a command too: a text has no reference. Raises
    Misused for input that can only be meant as such a command and cannot be read.
    """
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        if _NAMES_A_COMMAND.search(line) is None:
            return None
        raise Misused('a line with "do" must be one whole JSON object') from None
    if not isinstance(found, dict) or found.keys().isdisjoint(("do", "ref")):
        return None
    return found


def reference_in(line: str) -> object:
    """Return the `ref` at the start of a line that cannot be parsed as a whole; None if there is none."""
    found = _REFERENCE.match(line)
    try:
        return json.loads(found[1]) if found is not None else None
    except ValueError:
        return None


def _without_doubles(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"two values for {key}")
        found[key] = value
    return found
