"""Parse MODE of a channel: changes, each with its sign, letter and argument."""

from __future__ import annotations

import re

from chatproto.wire.values import value_class

WITH_ARGUMENT = "bqkoO"
"""Letters that take a parameter; `b` and `q` without one request a list."""
LETTERS = f"{WITH_ARGUMENT}i"
_MASK = re.compile(r"(?P<nick>[^!@]*)(?:!(?P<user>[^@]*))?(?:@(?P<host>.*))?")
_WILD = re.compile(r"[*?]")
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")


@value_class
class Change:
    """One change: `sign` is + or -."""

    sign: str
    letter: str
    argument: str = ""


def changes(parameters: tuple[str, ...]) -> list[Change]:
    """Return the changes in the parameters of MODE after the channel."""
    found: list[Change] = []
    rest = list(parameters[1:])
    sign = "+"
    for letter in parameters[0] if parameters else "":
        if letter in "+-":
            sign = letter
        elif letter in WITH_ARGUMENT and rest:
            found.append(Change(sign, letter, rest.pop(0)))
        else:
            found.append(Change(sign, letter))
    return found


@value_class
class Barred:
    """Meaning of a mask: a nickname, else an id, else a key or an address; all empty for everyone."""

    nick: str = ""
    other: str = ""


def barred(mask: str) -> Barred:
    """Return the meaning of `mask`: `bob!*@*`, `*!bob@*` (an id), `*!*@192.0.2.7` or a key."""
    found = _MASK.fullmatch(mask)
    if found is None or mask.startswith("sha256:") or _ADDRESS.fullmatch(mask):
        return Barred(other=mask)
    nick, user, host = (found[part] or "" for part in ("nick", "user", "host"))
    if nick and not _WILD.search(nick):
        return Barred(nick=nick)
    user = user.lstrip("~*")
    if user and not _WILD.search(user):
        return Barred(other=user)
    return Barred(other=host if _ADDRESS.fullmatch(host) else "")
