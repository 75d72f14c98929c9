"""Questions to the person: calls that ring and files that are offered, in one numbering."""

from __future__ import annotations

from pathlib import Path

from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.conversations import Conversations
from chatproto.client.files import Files
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import FOLDER_FOR_NO_FILE


class Questions:
    """Answer a call or an offer of a file.

    `what` is a number, a name (of digits: with `@` before it), or empty: what was asked last. Each
    method raises LocalError if that asks nothing.
    """

    def __init__(
        self, conversations: Conversations, talk: ConversationOrders, files: Files | None
    ) -> None:
        self._conversations = conversations
        self._talk = talk
        self._files = files

    def accept(self, what: str = "", folder: str = "") -> None:
        """Say yes. Args: folder: absolute path for an offered file, instead of the usual one."""
        number = self._offered(what)
        if self._files is None or number is None:
            if folder:
                raise LocalError(400, FOLDER_FOR_NO_FILE())
            self._talk.accept(what.removeprefix("@"))
        else:
            self._files.accept(number, Path(folder) if folder else None)

    def decline(self, what: str = "") -> None:
        """Say no."""
        number = self._offered(what)
        if self._files is None or number is None:
            self._talk.decline(what.removeprefix("@"))
        else:
            self._files.decline(number)

    def _offered(self, what: str) -> int | None:
        """Return the number of the offered file that `what` means; None: it means a call."""
        if self._files is None:
            return None
        if what.isdecimal() and self._files.has(int(what)):
            return int(what)
        name = what.removeprefix("@")
        offered, rings = self._files.offered(name), self._conversations.rings(name)
        if not offered or (rings and rings[-1].number > offered[-1]):
            return None
        return offered[-1]
