"""Recognise `/msg al hello`, where the @ before a name may have been forgotten."""

from __future__ import annotations

from typing import Protocol

from chatproto.client.calls import Calls
from chatproto.client.rooms import JoinedRooms
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import TrustStore


class ForgottenAtOwner(Protocol):
    """The parts of the client in which a name is looked up."""

    settings: ClientSettings
    acquaintances: TrustStore | None
    calls: Calls
    rooms: JoinedRooms


def refusal(client: ForgottenAtOwner, word: str) -> str:
    """Return why `/msg WORD ...` is not sent, with both ways to send it; empty if it is a text.

    WORD names somebody if it is, byte for byte, a pinned id, an id in the current room, a
    conversation, or `#room` for a room that this client is in. The command is a plain text of the
    assignment with `--plain`, whoever is named.
    """
    if client.settings.plain or not _names_somebody(client, word):
        return ""
    here = client.calls.all.target_name
    without = f"; without /msg the same line goes to {here}" if here else ""
    return f"that was not sent, for {word} is a name: /msg @{word} text goes to {word}{without}"


def _names_somebody(client: ForgottenAtOwner, word: str) -> bool:
    known, current = client.acquaintances, client.calls.all.room
    return (
        (known is not None and known.has_pin_of(word))
        or client.calls.all.named(word) is not None
        or client.rooms.has(word)
        or (bool(current) and client.rooms.is_member(current, word))
    )
