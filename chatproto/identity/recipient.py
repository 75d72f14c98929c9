"""Decide which peer a message is for, and whether an answer or a connection belongs to it.

A conversation, a queued message and a call have a `Recipient` from the moment the user names a peer.
Only `answered` and `carried` change a recipient; they raise `Mismatch` for any other peer.
The rules are pure functions: a message for one key can never become one for another key.
"""

from __future__ import annotations

from typing import ClassVar

from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class


@value_class
class KeyedPerson:
    """Owner of an identity key, under any id and at any address."""

    key: str


@value_class
class FirstContact:
    """An id without a known key. `server`: key of the server, None if unknown.

    An empty `client_id` stands for any peer that the server picks.
    """

    server: str | None
    client_id: str
    key: ClassVar[None] = None


@value_class
class Dialled:
    """Peer that answers at an address that the user typed."""

    host: str
    port: int
    key: ClassVar[None] = None


@value_class
class OpenPeer:
    """Peer of the plain-text conversation `number` of this run of the program."""

    number: int
    key: ClassVar[None] = None


Recipient = KeyedPerson | FirstContact | Dialled | OpenPeer
"""Any recipient; its `key` is the identity key that the peer must prove, None while unknown."""


class Mismatch(CodedError):
    """An answer or a connection does not belong to the recipient."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence, reason)


def may_be(recipient: Recipient, key: str) -> bool:
    """Return True if the owner of `key` may be `recipient`; a typed address allows any key."""
    match recipient:
        case Dialled():
            return True
        case KeyedPerson(known):
            return known == key
    return False


def answered(
    recipient: Recipient, asked: str, client_id: str, key: str | None, open_peer: OpenPeer | None
) -> Recipient:
    """Return the recipient after a peer was found for it.

    Args: asked: id that the server was asked for, "" for any. client_id, key: id and key of the peer
    found, also by a beacon or a stored address. open_peer: recipient for plain text, None if plain text
    is not allowed (without --open and --as, or if the id has a pin).
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

    Args: key: key that TLS proved, None for plain text. open_peer: recipient of the conversation if it
    is in plain text. Raises: Mismatch: the connection belongs to another peer.
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
    """Return the recipient for an incoming call: the owner of its key, whatever id it claims."""
    return open_peer if key is None else KeyedPerson(key)
