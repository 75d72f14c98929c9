"""Parse the arguments of room commands, as `ui.arguments` does for the others.

A word with `#` is a room; without one the room is "", which stands for the current room.
"""

from __future__ import annotations

import re

from chatproto.ui.arguments import Misused, ReadText, shortened, split_words

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MOST_SECONDS = 10**11
"""More seconds than anybody types; a date that far away does not exist."""
_TIME = re.compile(r"([0-9]{1,6})([smhd])")
_TO_ROOM = re.compile(r"\s*@(#\S*)(?:\s|\Z)")
SETTINGS = ("key", "invited", "kept")


def room_and_key(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a room, with or without its `#`, and its key (`key=KEY`) or ""."""
    words = split_words(rest)
    if not 1 <= len(words) <= 2 or not words[0]:
        raise Misused("takes one room and an optional key=KEY")
    if len(words) == 2 and not words[1].startswith("key="):
        raise Misused("takes the key of a room as key=KEY")
    return words[0], words[1].removeprefix("key=") if len(words) == 2 else ""


def room_or_none(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a room, or return ""."""
    words = split_words(rest)
    if len(words) > 1:
        raise Misused("takes one room")
    return (words[0] if words else "",)


def somebody(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a name, and a room or ""."""
    words, room = _apart(rest)
    if len(words) != 1:
        raise Misused("takes one name and an optional room")
    return words[0], room


def kicked(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a name, a room or "", and the reason after them or ""."""
    who, room, words = "", "", rest.split()
    while words and not (who and room):
        if words[0].startswith("#") and not room:
            room = words.pop(0)
        elif not who:
            who = words.pop(0).removeprefix("@")
            if not who:
                break
        else:
            break
    if not who:
        raise Misused("needs a name")
    if words and words[0].startswith("#"):
        raise Misused("takes one room")
    return who, room, " ".join(words)


def somebody_for_a_time(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a name; seconds, `0`, or "" for no end; and a room or ""."""
    words, room = _apart(rest)
    if not 1 <= len(words) <= 2:
        raise Misused("takes one name, an optional time and an optional room")
    return words[0], _seconds(words[1]) if len(words) == 2 else "", room


def topic(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Return `show` or `set`, a text, and a room (`@#room` before it) or ""; the text `""` stands for
    no topic.
    """
    room = ""
    if found := _TO_ROOM.match(rest):
        room = found[1]
        rest = rest[found.end() :]
    if not rest.strip():
        return "show", "", room
    return "set", "" if rest.strip() == '""' else read_text(rest), room


def settings(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse a room or "", then `name=value` words with a name of `SETTINGS`."""
    words, room = _apart(rest)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in SETTINGS or not equals:
            raise Misused(f"has no setting {shortened(word)}")
        if name != "key" and value not in ("yes", "no"):
            raise Misused(f"takes {name}=yes or {name}=no")
    return room, *words


def words(rest: str, read_text: ReadText) -> tuple[str, ...]:
    """Parse search words."""
    text = read_text(rest).strip()
    if not text:
        raise Misused("needs words to search for")
    return (text,)


def _apart(rest: str) -> tuple[list[str], str]:
    """Return the words, and the room among them."""
    found = split_words(rest)
    rooms = [word for word in found if word.startswith("#")]
    if len(rooms) > 1:
        raise Misused("takes one room")
    others = [word.removeprefix("@") for word in found if not word.startswith("#")]
    if not all(others):
        raise Misused("needs a name")
    return others, rooms[0] if rooms else ""


def duration(value: object) -> tuple[str, ...]:
    """Parse a number of seconds, or a time as it is typed; 0 ends an earlier order."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_SECONDS:
        return (str(value),)
    if not isinstance(value, str):
        raise Misused("must be a number of seconds or a time such as 30m")
    try:
        return (_seconds(value) if value else "",)
    except Misused:
        raise Misused("must be a number of seconds or a time such as 30m") from None


def _seconds(word: str) -> str:
    if word == "0":
        return word
    found = _TIME.fullmatch(word)
    if found is None:
        raise Misused("takes a time such as 30m, 2h or 7d")
    return str(int(found[1]) * UNITS[found[2]])
