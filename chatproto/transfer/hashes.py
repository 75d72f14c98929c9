"""Hash functions that verify a file: SHA-256, and BLAKE3 if its package is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from chatproto.wire.bcp2_files import BLAKE3_TAG, Piece

try:
    import blake3
except ImportError:  # the extra of that name is not installed
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

SHA_256 = "SHA-256"
BLAKE3 = "BLAKE3"
OWN: tuple[str, ...] = (BLAKE3,) if IS_INSTALLED else ()
"""Functions besides SHA-256 that this program supports, the fastest first."""


class Hasher:
    """Hash bytes with the function `name`."""

    def __init__(self, name: str = SHA_256) -> None:
        self._name = name
        self._hash: Any = hashlib.sha256() if name == SHA_256 else blake3.blake3()
        self.update: Callable[[Piece], object] = self._hash.update
        """Add bytes."""

    def digest(self) -> str:
        """Return the hex digest of all bytes so far, with the prefix `blake3:` if it is of BLAKE3."""
        tag = "" if self._name == SHA_256 else BLAKE3_TAG
        return f"{tag}{self._hash.hexdigest()}"


def function_of(digest: str) -> str:
    """Return the name of the function that made `digest`."""
    return BLAKE3 if digest.startswith(BLAKE3_TAG) else SHA_256


def choose(begun: str, common: tuple[str, ...]) -> str:
    """Return the hash function for a partial file.

    Args: begun: function that the part was begun with, or "". common: functions besides SHA-256 that
    both ends support, the fastest first.
    """
    if begun == SHA_256 or begun in common:
        return begun
    return common[0] if common else SHA_256
