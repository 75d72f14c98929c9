"""Effects that the rules of transfers return: messages to send, work for the disk, news."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.transfer.offer import AnyOffer
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_files import Piece


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Say `message` to the other side."""

    message: Bcp2Message


@dataclass(frozen=True, slots=True)
class TransferChanged:
    """The state has changed, or `text`, one sentence, is worth knowing."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """Write the transfer's record to the disk, and apply `then` once it is there."""

    then: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the transfer's record and close its files."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of its files for now."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Sending: go to `offset` in the source and hash what lies before it; then `begun`."""

    offset: int


@dataclass(frozen=True, slots=True)
class Read:
    """Sending: read the next `size` bytes, from `offset`; then `read`."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Look:
    """Sending: find out anew what there is; then `looked`."""


@dataclass(frozen=True, slots=True)
class Open:
    """Receiving: open the part and hash what is there; then `opened`.

    `sha256`: what the whole should have, where it is known; `anew`: what is there is of no use.
    """

    offer: AnyOffer
    sha256: str = ""
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Receiving: put `pieces` at `offset`; then `written`. `anew`: throw away what is there before."""

    offset: int
    pieces: tuple[Piece, ...]
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Receiving: if the whole has this hash, give it its name; then `finished`."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Receiving: remove the part."""


Effect = (
    SendMessage
    | TransferChanged
    | Keep
    | Forget
    | Release
    | Begin
    | Read
    | Look
    | Open
    | Write
    | Finish
    | Discard
)
