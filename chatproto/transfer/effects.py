"""Effects that the rules of transfers return: messages to send, work for the disk, news."""

from __future__ import annotations

from chatproto.transfer.hashes import SHA_256
from chatproto.transfer.offer import AnyOffer
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_files import Piece
from chatproto.wire.values import value_class


@value_class
class SendMessage:
    """Say `message` to the other side."""

    message: Bcp2Message


@value_class
class TransferChanged:
    """The state has changed, or `text`, one sentence, is worth knowing."""

    text: str = ""


@value_class
class Keep:
    """Write the transfer's record to the disk, and apply `then` once it is there.

    Receiving, without `then`: it may be written together with the work that follows at once.
    """

    then: tuple[Effect, ...] = ()


@value_class
class Forget:
    """Delete the transfer's record and close its files."""


@value_class
class Release:
    """Let go of its files for now."""


@value_class
class Begin:
    """Sending: go to `offset` in the source, hash what lies before it with `hash`, and read the next
    `size` bytes; then `begun`.
    """

    offset: int
    size: int
    hash: str = SHA_256


@value_class
class Read:
    """Sending: read the next `size` bytes, from `offset`; then `read`."""

    offset: int
    size: int


@value_class
class Look:
    """Sending: find out anew what there is; then `looked`."""


@value_class
class Open:
    """Receiving: write the record, with the name of the part, open the part and hash what is there;
    then `opened`.

    `hash`: the function. `digest`: what the whole should have, where it is known; `anew`: what is
    there is of no use.
    """

    offer: AnyOffer
    hash: str = SHA_256
    digest: str = ""
    anew: bool = False


@value_class
class Write:
    """Receiving: put `pieces` at `offset`; then `written`. `anew`: throw away what is there before."""

    offset: int
    pieces: tuple[Piece, ...]
    anew: bool = False


@value_class
class Finish:
    """Receiving: if the whole has this hash, give it its name; then `finished`."""

    digest: str


@value_class
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
