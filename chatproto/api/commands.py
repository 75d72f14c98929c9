"""Methods for programs: each sends one command, and returns its result as a value."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from chatproto.api.asking import (
    WAIT,
    Asker,
    Fields,
    Outcome,
    Sending,
    accepting,
    nothing,
    sending,
)
from chatproto.api.events import FileChanged, Message, parse

Progress = Callable[[FileChanged], object]
"""Function that is called each time that a file has made progress."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A registered client: `key` is None if the server sends none."""

    id: str
    host: str
    port: int
    key: str | None = None


class Commands(Asker):
    """The commands of a client. Every method raises Refused, and ends after `wait` seconds if not before."""

    def join(self, room: str, key: str | None = None) -> Awaitable[Room]:
        """Join a room, or open it: then this client owns it."""
        form = {"do": "join", "room": room} | ({} if key is None else {"key": key})
        return self.ask(form, lambda outcome: Room(room, _members(outcome), self))

    def send(self, to: str, text: str, wait: float | None = WAIT) -> Awaitable[Sending]:
        """Send a message to a peer, or to a room that this client is in (`to` begins with `#`).

        Returns when the peer has stored it, or with `queued` if it waits for the peer or for our turn.
        """
        return self.ask({"do": "msg", "to": to, "text": text}, sending(to), wait)

    def send_file(
        self,
        to: str,
        *paths: str | os.PathLike[str],
        progress: Progress | None = None,
        wait: float | None = None,
    ) -> Awaitable[None]:
        """Send files or folders, until the last has arrived. Without `wait` there is no time limit.

        The client reads them; a relative path belongs to this program.
        """

        def moved(fields: Fields) -> None:
            event = parse(fields, self)
            if progress is not None and isinstance(event, FileChanged):
                progress(event)

        absolute = [str(Path(path).absolute()) for path in paths]
        return self.ask({"do": "send", "to": to, "paths": absolute}, nothing, wait, moved)

    def accept(
        self, offer: str | int, folder: str | os.PathLike[str] | None = None
    ) -> Awaitable[None]:
        """Take the call or invitation of an id, or a file by its number.

        Args: folder: for this one file, instead of the client's folder for downloads.
        """
        return self.ask(accepting(offer, folder), nothing)

    def decline(self, offer: str | int) -> Awaitable[None]:
        """Refuse the call or invitation of an id, or a file by its number."""
        return self.ask({"do": "decline", "id": offer}, nothing)

    def leave(self, of: str) -> Awaitable[None]:
        """Leave a room, or the conversation with a peer."""
        return self.ask({"do": "leave", "room" if of.startswith("#") else "to": of}, nothing)

    def info(self, prefix: str | None = None) -> Awaitable[tuple[Contact, ...]]:
        """Return the registered clients whose id begins with `prefix`."""
        return self.ask({"do": "info"} | ({} if prefix is None else {"prefix": prefix}), _contacts)

    def who(self, id: str | None = None) -> Awaitable[Fields]:
        """Return the conversations and rooms of the client, as JSON fields; or what it knows of `id`."""
        form = {"do": "who"} | ({} if id is None else {"id": id})
        return self.ask(form, lambda outcome: outcome.last.get("answer", {}))

    @abstractmethod
    def messages(self, of: str | None = None) -> AsyncIterator[Message]:
        """Yield new messages, until the connection ends."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room that this client is in. `members`: its members at the time of joining."""

    name: str
    members: tuple[str, ...]
    _commands: Commands

    def send(self, text: str) -> Awaitable[Sending]:
        """Send `text` to the room."""
        return self._commands.send(self.name, text)

    def messages(self) -> AsyncIterator[Message]:
        """Yield messages of other members from now on, as `Client.messages`."""
        return self._commands.messages(self.name)

    def leave(self) -> Awaitable[None]:
        """Leave the room."""
        return self._commands.leave(self.name)

    def topic(self, text: str) -> Awaitable[None]:
        """Set the topic; an empty text removes it."""
        return self._ask("topic", text=text)

    def invite(self, id: str) -> Awaitable[None]:
        """Invite a peer."""
        return self._ask("invite", id=id)

    def kick(self, id: str, reason: str | None = None) -> Awaitable[None]:
        """Remove a member, who may join again; all members receive the `reason`."""
        return self._ask("kick", id=id, reason=reason)

    def ban(self, id: str, seconds: int | None = None) -> Awaitable[None]:
        """Remove a member and refuse it, permanently or for some seconds."""
        return self._ask("ban", id=id, time=seconds)

    def unban(self, id: str) -> Awaitable[None]:
        """Lift a ban."""
        return self._ask("unban", id=id)

    def mute(self, id: str, seconds: int | None = None) -> Awaitable[None]:
        """Refuse messages of a member; 0 seconds end it."""
        return self._ask("mute", id=id, time=seconds)

    def op(self, id: str) -> Awaitable[None]:
        """Make a member a moderator."""
        return self._ask("op", id=id)

    def _ask(self, do: str, **fields: str | int | None) -> Awaitable[None]:
        given = {name: value for name, value in fields.items() if value is not None}
        return self._commands.ask({"do": do, "room": self.name, **given}, nothing)


def _members(outcome: Outcome) -> tuple[str, ...]:
    members = outcome.field("room", "members")
    return (
        tuple(one for one in members if isinstance(one, str)) if isinstance(members, list) else ()
    )


def _contacts(outcome: Outcome) -> tuple[Contact, ...]:
    found = outcome.field("contacts", "list")
    contacts = []
    for one in found if isinstance(found, list) else ():
        match one:
            case {"id": str(id), "host": str(host), "port": int(port)}:
                key = one.get("key")
                contacts.append(Contact(id, host, port, key if isinstance(key, str) else None))
    return tuple(contacts)
