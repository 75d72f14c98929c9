"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path


def local_path(text: str) -> Path:
    """`text` as a path; `~` and `~name` at its beginning are home folders.

    Raises ValueError with one sentence: empty, a NUL in it, or no such home folder.
    """
    if not text:
        raise ValueError("a path is wanted, and there is none")
    if "\0" in text:
        raise ValueError("a path has no NUL in it")
    try:
        return Path(text).expanduser()
    except (RuntimeError, KeyError):
        raise ValueError(f"there is no home folder {text.partition('/')[0]}") from None


def what_is_in_the_way(folder: Path) -> Path | None:
    """The part of `folder` that is there and is no folder; None if it is one or can be made.

    What may not be looked at is in nobody's way: whoever uses it says why.
    """
    try:
        there = next(part for part in (folder, *folder.parents) if part.exists())
    except (OSError, StopIteration):
        return None
    return None if there.is_dir() else there
