"""Open the files of a client's home besides its lock: the key, the pinned keys and the log.

Separate from the options, which are also read for `--help`: this needs cryptography and SQLite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chatproto.identity.keys import KeyTrouble, open_identity
from chatproto.identity.pins import PinFile, PinTrouble
from chatproto.net.clock import counted
from chatproto.session.ledger import LedgerTrouble
from chatproto.stores.sqlite_ledger import SqliteLedger
from chatproto.wire.errors import CannotStart


def open_files(home: Path, log: bool) -> dict[str, Any]:
    """Return `identity`, `pins` and `ledger`, opened in the folder `home`.

    Args: log: texts are stored as well. Raises: CannotStart.
    """
    try:
        return {
            "identity": open_identity(home),
            "pins": PinFile(home / "known_peers"),
            "ledger": SqliteLedger(home / "log.sqlite", log=log, now=counted()),
        }
    except (KeyTrouble, PinTrouble, LedgerTrouble) as error:
        raise CannotStart(str(error)) from None
