"""Load the file of `--allow-keys`: the keys that may connect, without a password."""

from __future__ import annotations

import stat
from pathlib import Path

from chatproto.accounts.files import AccountTrouble, read
from chatproto.wire.bcp2_common import read_key
from chatproto.wire.errors import RemoteError

MOST_BYTES = 8 * 1024 * 1024


def read_allowed(text: str, where: str = "keys") -> frozenset[str]:
    """The keys in `text`, one a line; what stands behind a `#` says nothing.

    Raises AccountTrouble for a line that is no key: it may have been somebody's.
    """
    keys = set()
    for number, line in enumerate(text.splitlines(), 1):
        key = line.partition("#")[0].strip()
        if key:
            try:
                keys.add(read_key(key))
            except RemoteError:
                raise AccountTrouble(
                    f"{where}, line {number}: not a key: write sha256: and its 52 characters"
                ) from None
    return frozenset(keys)


def load_allowed(path: Path) -> frozenset[str]:
    """The keys in the file `path`. Raises AccountTrouble."""
    return read_allowed(read(path, MOST_BYTES, stat.S_IWOTH), str(path))
