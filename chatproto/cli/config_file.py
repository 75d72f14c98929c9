"""Read options of the client from a file, `client.toml`, by their names on the command line."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import platformdirs

from chatproto.cli.options import WrongOption
from chatproto.net.private_files import check_owner
from chatproto.wire.errors import CannotStart
from chatproto.wire.values import value_class

MOST_BYTES = 64 * 1024
MOST_VALUES = 100
"""Largest number of values of one option that may be repeated; most of them allow fewer."""
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
LIKE = 0.6
"""Similarity from which a mistyped name gets a hint."""
NOT_HERE = ("config", "help", "version")
"""Options of the command line only."""

TABLES = ("colors", "keys")
"""Tables of the file, which are not options and concern only the full interface."""

Takes = Mapping[str, bool]
"""Long options by name, with True if they take a value."""


@value_class
class ConfigFile:
    """Contents of the file: values as texts by the name of the option, several for a repeated one.

    A flag that is on has no text. `readable`: other users of the machine may read the file. `tables`:
    the tables of `TABLES`, unchanged.
    """

    path: Path
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    readable: bool = False
    tables: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def usual_config() -> Path | None:
    """Return the platform's path of the file; None for a user without a home folder."""
    try:
        folder = Path(platformdirs.user_config_dir("chatproto"))
    except (RuntimeError, KeyError):
        return None
    return folder / "client.toml" if folder.is_absolute() else None


def read_config(path: Path, takes: Takes, needed: bool) -> ConfigFile | None:
    """Read the file `path`; return None if it does not exist and is not `needed`.

    Raises: CannotStart: it cannot be read. WrongOption: it is too large, is not TOML, or contains an
    unknown option.
    """
    data, readable = b"", False
    try:
        check_owner(path)
        with os.fdopen(os.open(path, FLAGS), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise CannotStart(f"cannot read {path}: it is not a regular file")
            data, readable = file.read(MOST_BYTES + 1), bool(mode & (stat.S_IRGRP | stat.S_IROTH))
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise CannotStart(f"cannot read {path}: there is no such file") from None
        return None
    except OSError as error:
        raise CannotStart(f"cannot read {path}: {error.strerror}") from None
    except UnicodeEncodeError:
        raise CannotStart(f"cannot read {str(path)!a}: that is no path") from None
    if len(data) > MOST_BYTES:
        raise WrongOption(f"{path} has more than {MOST_BYTES} bytes")
    import tomllib  # only here: most users have no such file

    try:
        found = tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise WrongOption(f"{path} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise WrongOption(f"{path} is not valid TOML: {error}") from None
    tables = {name: _table(path, name, found.pop(name)) for name in TABLES if name in found}
    values = {name: _texts(path, name, value, takes) for name, value in found.items()}
    return ConfigFile(
        path, {name: one for name, one in values.items() if one is not None}, readable, tables
    )


def _table(path: Path, name: str, value: Any) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise WrongOption(f"{path}: {name} must be a table: [{name}]")
    return value


def _texts(path: Path, name: str, value: Any, takes: Takes) -> tuple[str, ...] | None:
    """Return the texts of an option; None for a flag that is off. Raises WrongOption."""
    if name not in takes or name in NOT_HERE:
        near = get_close_matches(name, set(takes) - set(NOT_HERE), 1, LIKE)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise WrongOption(f"{path}: {name[:40]!r} is not an option for this file{hint}")
    if not takes[name]:
        if not isinstance(value, bool):
            raise WrongOption(f"{path}: {name} must be true or false")
        return () if value else None
    several = value if isinstance(value, list) else [value]
    if len(several) > MOST_VALUES:
        raise WrongOption(f"{path}: {name} has more than {MOST_VALUES} values")
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in several):
        raise WrongOption(f"{path}: {name} must be a text, a number, or a list of them")
    return tuple(map(str, several))
