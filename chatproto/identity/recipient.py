"""Decide whom a message is for, and whether an answer or a connection belongs to that recipient.

A conversation, a queued message and a call carry a `Recipient` from the moment the person names
somebody. A recipient changes only as `answered` and `carried` say; everything else is a `Mismatch`.
The rules are pure: what was said for one key can never come to be for another.
"""

from __future__ import annotations

from typing import ClassVar

from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class


@value_class
class KeyedPerson:
    """The owner of an identity key, under whatever id and at whatever address."""

    key: str


@value_class
class FirstContact:
    """An id without a known key; `server` is the server's key, None if that is not known.

    An empty `client_id` stands for whomever the server answers with.
    """

    server: str | None
    client_id: str
    key: ClassVar[None] = None


@value_class
class Dialled:
    """Peer that answers at an address that the person typed."""

    host: str
    port: int
    key: ClassVar[None] = None


@value_class
class OpenPeer:
    """The peer of the plain-text conversation `number` of this run of the program."""

    number: int
    key: ClassVar[None] = None


Recipient = KeyedPerson | FirstContact | Dialled | OpenPeer
"""Each has a `key`: the identity key that it must show, None while that is not known."""


class Mismatch(CodedError):
    """An answer or a connection does not belong to the recipient."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence, reason)


def may_be(recipient: Recipient, key: str) -> bool:
    """Return True if whoever proves `key` may be `recipient`: nothing is known of a typed address."""
    match recipient:
        case Dialled():
            return True
        case KeyedPerson(known):
            return known == key
    return False


def answered(
    recipient: Recipient, asked: str, client_id: str, key: str | None, open_peer: OpenPeer | None
) -> Recipient:
    """Return the recipient after somebody was found for it.

    Args: asked: the id that a server was asked for, empty for anybody. client_id, key: who was found;
    a beacon or an address that was remembered counts as well. open_peer: what it becomes in plain
    text, None where plain text is not allowed (without --open and --as, or if the id has a pin).
    Raises: Mismatch.
    """
    if asked and client_id != asked:
        raise Mismatch(Reason.OTHER_ID)
    match recipient:
        case KeyedPerson(known):
            if key not in (None, known):
                raise Mismatch(Reason.OTHER_KEY)
        case FirstContact(_, wanted):
            if wanted and client_id != wanted:
                raise Mismatch(Reason.OTHER_ID)
            if key is not None:
                return KeyedPerson(key)
            if open_peer is None:
                raise Mismatch(Reason.NO_KEY)
            return open_peer
    return recipient


def carried(recipient: Recipient, key: str | None, open_peer: OpenPeer) -> Recipient:
    """Return the recipient after a connection is joined to its conversation.

    Args: key: what TLS proved, None for a connection in plain text. open_peer: the conversation, as
    what it may be in plain text. Raises: Mismatch: the connection must not carry it.
    """
    match recipient:
        case KeyedPerson(known) if key == known:
            return recipient
        case Dialled():
            return open_peer if key is None else KeyedPerson(key)
        case OpenPeer() if key is None and recipient == open_peer:
            return recipient
    raise Mismatch(Reason.NOT_THEIRS)


def caller(key: str | None, open_peer: OpenPeer) -> Recipient:
    """Return whom an incoming call comes from: its key, whatever id it claims."""
    return open_peer if key is None else KeyedPerson(key)
