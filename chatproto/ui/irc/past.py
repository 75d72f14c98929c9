"""Choose the earlier messages for a client that has connected, and store those that no client has
received.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from chatproto.client.app import Client
from chatproto.client.events import MessageReceived, Sent
from chatproto.client.targets import AwayContact, RoomTarget
from chatproto.identity.recipient import KeyedPerson
from chatproto.net.clock import Wall
from chatproto.ui.irc.channels import Channels
from chatproto.ui.irc.people import People

LINES = 50
"""Messages of one room or peer."""
CONTACTS = 10
"""Peers whose messages are shown."""
LOOKED = 200
"""Peers whose messages are examined: those with the latest nicknames."""
DAYS = 2
"""Largest age in days of messages of peers; those of rooms are as old as the log."""
MOST = 1000
"""Messages that are stored while no client is connected; the oldest is removed first."""
CHARACTERS = 1024 * 1024
"""Characters of all of them, or one message of any length."""


def past_of_room(client: Client, room: str) -> tuple[MessageReceived, ...]:
    """Return the latest messages of `room` in our log, the oldest first."""
    return client.messages.last(RoomTarget(room), LINES)


def past(
    client: Client, people: People, channels: Channels
) -> Iterator[tuple[str, tuple[MessageReceived, ...]]]:
    """Yield each room and nickname with the latest messages in our log, the oldest first."""
    for channel in channels:
        yield channel.name, past_of_room(client, channel.name)
    oldest = client.context.now() - DAYS * 86400
    found: list[tuple[Wall, str, AwayContact]] = []
    for nick, key in people.keyed()[:LOOKED]:
        target = AwayContact(KeyedPerson(key), nick)
        for last in client.messages.last(target, 1):
            if last.said is not None and last.said > oldest:
                found.append((last.said, nick, target))
    latest = sorted(found, key=lambda one: one[0])[-CONTACTS:]
    for _, nick, target in latest:
        lines = client.messages.last(target, LINES)
        yield nick, tuple(one for one in lines if one.said is None or one.said > oldest)


class MissedMessages:
    """Latest messages since `take`, at most `MOST` and `CHARACTERS`."""

    def __init__(self) -> None:
        self._kept: deque[MessageReceived | Sent] = deque()
        self._size = 0

    def add(self, event: MessageReceived | Sent) -> None:
        """Store `event`."""
        self._kept.append(event)
        self._size += len(event.text)
        while len(self._kept) > MOST or (self._size > CHARACTERS and len(self._kept) > 1):
            self._size -= len(self._kept.popleft().text)

    def take(self) -> tuple[MessageReceived | Sent, ...]:
        """Remove and return all stored messages, the oldest first."""
        kept = tuple(self._kept)
        self._kept.clear()
        self._size = 0
        return kept
