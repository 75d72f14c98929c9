"""Rules of the raw-text lobby: each line goes to all other members (seed 003; dialects, section 5).

Pure; `lobby_port.py` sends and receives the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import field
from itertools import chain, islice

from chatproto.stdio.printable import printable
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import ID, fold
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from chatproto.wire.values import value_class

_COMMAND = re.compile(r"/[A-Za-z]+\Z")
OPERATOR = "server"
"""Name of the server's operator in the lobby; reserved there."""
_ENDS = ("quit", "over")


@value_class
class ToOne:
    """Send `text`, one line without its end, to one member."""

    member: int
    text: str


@value_class
class RawJoined:
    """Event: raw-text client `name` has joined the lobby."""

    name: str


@value_class
class RawLeft:
    """Event: raw-text client `name` has left the lobby."""

    name: str
    reason: str = ""


@value_class
class Spoke:
    """Event: raw-text client `name` has sent the line `text`."""

    name: str
    text: str


@value_class
class ToOthers:
    """Send `text` to all raw-text members except `member`; `events` say the same to members with a key."""

    member: int
    text: str
    events: tuple[RawJoined | RawLeft | Spoke, ...] = field(default=(), compare=False)


@value_class
class CloseMember:
    """Close a member's connection after the lines that were sent to it before."""

    member: int


Effect = ToOne | ToOthers | CloseMember


def name_wanted(text: str) -> str:
    """Return the name that `text` requests with /nick; "" for any other line."""
    word, _, rest = text.partition(" ")
    return rest.strip() if word.lower() == "/nick" else ""


class LobbyMembers:
    """Members of the raw-text lobby, as numbers, and their names.

    Args: owned: tells whether a key owns a name; raw-text clients may not take it. others: returns the ids
    of the lobby's members with a key. may_speak: tells whether a name is not muted.
    """

    def __init__(
        self,
        limits: ServerLimits = SERVER_DEFAULTS,
        owned: Callable[[str], bool] = lambda name: False,
        others: Callable[[], Collection[str]] = tuple,
        may_speak: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._limits = limits
        self._owned = owned
        self._others = others
        self._may_speak = may_speak
        self._names: dict[int, str] = {}
        self._taken: dict[str, int] = {}  # by folded name
        self._last = 0
        self._commands: dict[str, Callable[[int, str], list[Effect]]] = {
            "/nick": self._nick,
            "/msg": self._msg,
            "/names": self._list,
            "/help": self._help,
            "/quit": self._quit,
        }

    def __len__(self) -> int:
        return len(self._names)

    def names(self) -> list[str]:
        """Return the members' names in the order of joining."""
        return list(self._names.values())

    def member_called(self, name: str) -> int | None:
        """Return the member with exactly this name, or None."""
        member = self._taken.get(fold(name))
        return member if member is not None and self._names[member] == name else None

    def join(self) -> tuple[int, list[Effect]]:
        """Add a member; return it and the effects. Raises RemoteError 503 if the lobby is full."""
        if len(self._names) >= self._limits.lobby_members:
            raise RemoteError(503, "the lobby is full")
        self._last += 1
        while not self._is_free(name := f"guest-{self._last}"):
            self._last += 1
        member = self._last
        others = len(self._names) + len(self._others())
        self._names[member] = name
        self._taken[fold(name)] = member
        here = {0: "nobody else is", 1: "1 other is"}.get(others, f"{others} others are")
        greeting = f"* welcome, {name}: {here} here; /help lists commands"
        return member, [
            ToOne(member, greeting),
            ToOthers(member, f"* {name} joined", (RawJoined(name),)),
        ]

    def say(self, member: int, text: str) -> list[Effect]:
        """Return the effects of one message, given without its line end."""
        if text.lower() in _ENDS:
            return self._quit(member, "")
        word, _, rest = text.partition(" ")
        if _COMMAND.match(word):
            command = self._commands.get(word.lower())
            if command is None:
                return [ToOne(member, f"* unknown command {word}: /help lists the commands")]
            return command(member, rest.strip())
        name = self._names[member]
        if not self._may_speak(name):
            return [ToOne(member, "* not sent: you are muted in the lobby")]
        return [ToOthers(member, f"{name}: {printable(text)}", (Spoke(name, text),))]

    def left(self, member: int, reason: str = "") -> list[Effect]:
        """Remove a member, if it is there; return the line to the others, with `reason`."""
        name = self._names.pop(member, None)
        if name is None:
            return []
        del self._taken[fold(name)]
        line = f"* {name} left ({reason})" if reason else f"* {name} left"
        return [ToOthers(member, line, (RawLeft(name, reason),))]

    def refused(self, member: int, error: RemoteError) -> list[Effect]:
        """Return the effects of input over a limit: one line to the member, then its removal."""
        left = self.left(member, "sent too much at once")
        return [ToOne(member, f"* disconnected: {error.detail}"), CloseMember(member), *left]

    def _is_free(self, name: str, member: int = 0) -> bool:
        """Return True if `member` may have `name`: no other name looks like it."""
        taken = self._taken.get(fold(name), member) != member or fold(name) == fold(OPERATOR)
        return not taken and not self._owned(name)

    def _nick(self, member: int, name: str) -> list[Effect]:
        if not ID.fullmatch(name):
            return [ToOne(member, "* a name has at most 64 letters, digits, '.', '_' and '-'")]
        old = self._names[member]
        if name == old:
            return [ToOne(member, f"* you are {name}")]
        if not self._is_free(name, member):
            return [
                ToOne(
                    member,
                    f'* the name "{name}", or one that looks like it, is taken: choose another',
                )
            ]
        del self._taken[fold(old)]
        self._taken[fold(name)] = member
        self._names[member] = name
        renamed = RawLeft(old, f"is now {name}"), RawJoined(name)
        line = f"* {old} is now {name}"
        return [ToOne(member, f"* you are {name}"), ToOthers(member, line, renamed)]

    def _msg(self, member: int, rest: str) -> list[Effect]:
        name, _, text = rest.partition(" ")
        if not text.strip():
            return [ToOne(member, "* /msg NAME TEXT sends a private message")]
        other = self.member_called(name)
        if other is None and name in self._others():
            return [
                ToOne(member, f'* not sent: "{name}" accepts private messages only from chatclient')
            ]
        if other is None:
            return [
                ToOne(
                    member, f'* nobody here is called "{printable(name)}": /names lists who is here'
                )
            ]
        return [ToOne(other, f"{self._names[member]} (private): {printable(text)}")]

    def _list(self, member: int, _: str) -> list[Effect]:
        others = self._others()
        number = len(self._names) + len(others)
        shown = ", ".join(islice(chain(self._names.values(), others), 100))
        more = f" and {number - 100} more" if number > 100 else ""
        return [ToOne(member, f"* here: {shown}{more}")]

    def _quit(self, member: int, _: str) -> list[Effect]:
        return [*self.left(member), CloseMember(member)]

    def _help(self, member: int, _: str) -> list[Effect]:
        return [ToOne(member, "* /nick NAME, /msg NAME TEXT, /names; quit or over leaves")]
