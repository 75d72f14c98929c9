"""A copy of a file of SQLite, made while a program uses it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from chatproto.stores.sqlite_file import Kind, reason
from chatproto.wire.errors import StoreTrouble


def back_up(source: Path, target: Path, kind: Kind) -> None:
    """Make the new file `target`, mode 0600, whole and on the disk, of all that is in `source` now.

    Whoever writes `source` goes on meanwhile. Raises StoreTrouble, and there is no `target` then.
    """
    if not source.is_file():
        raise StoreTrouble(f"no store at {source}: name it with --home or --store")
    if os.path.lexists(target):
        raise StoreTrouble(f"{target} exists already: name another file for the backup")
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            _copy(source, part, kind)
            _sync(part)
            part.rename(target)
            _sync(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise StoreTrouble(f"cannot back up {source} to {target}: {reason(error, kind)}") from None


def _copy(source: Path, part: Path, kind: Kind) -> None:
    """Copy all pages at once, as of this moment; in WAL mode, readers do not block the server."""
    place = f"{source.absolute().as_uri()}?mode=rw"  # SQLite keeps its readers' places in a file
    with (
        closing(sqlite3.connect(place, uri=True, timeout=kind.opening_wait)) as live,
        closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        live.execute("PRAGMA query_only = 1")
        if live.execute("PRAGMA application_id").fetchone() != (kind.application,):
            raise StoreTrouble(f"{source} is not a store of a {kind.program}: name another file")
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, and nothing beside it
        if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StoreTrouble(f"{source} is damaged: keep the backups that you have")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
