"""Read paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Environment variable with the folder of the credentials of systemd (`LoadCredential=`)."""
_CREDENTIAL = (f"${CREDENTIALS}/", f"${{{CREDENTIALS}}}/")


def local_path(text: str) -> Path:
    """Return `text` as a path; `~` and `~name` at its beginning are home folders.

    `$CREDENTIALS_DIRECTORY` at its beginning is replaced by that environment variable: systemd does not
    replace it in options from a file.

    Raises ValueError with one sentence: empty, contains NUL, no such home folder, no credentials, or
    relative to a current folder that was removed.
    """
    if not text:
        raise ValueError("a path is wanted, and there is none")
    if "\0" in text:
        raise ValueError("a path has no NUL in it")
    if text.startswith(_CREDENTIAL):
        folder = os.environ.get(CREDENTIALS)
        if not folder:
            raise ValueError(f"there is no ${CREDENTIALS}: systemd sets it for LoadCredential=")
        return Path(folder) / text.partition("/")[2]
    try:
        path = Path(text).expanduser()
    except (RuntimeError, KeyError):
        raise ValueError(f"there is no home folder {text.partition('/')[0]}") from None
    if not path.is_absolute():
        try:
            Path.cwd()
        except FileNotFoundError:
            raise ValueError("the current folder was removed: go to another one") from None
    return path


def what_is_in_the_way(folder: Path) -> Path | None:
    """Return the part of `folder` that exists and is not a folder; None if `folder` exists or can be
    created.

    A path that may not be examined does not count: the code that uses it reports the reason.
    """
    try:
        there = next(part for part in (folder, *folder.parents) if part.exists())
    except (OSError, StopIteration):
        return None
    return None if there.is_dir() else there
