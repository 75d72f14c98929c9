"""Describe the recipient of the next line, for the prompt and the status line."""

from __future__ import annotations

from chatproto.client.app import Client
from chatproto.ui.legible import inline, name
from chatproto.ui.screen.cells import cut
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.styles import Line, person_style
from chatproto.ui.view import path_words
from chatproto.wire.values import value_class

NARROW = 60
"""Number of columns from which the status line has room for more than a few words."""

_STATES = {
    "calling": "calling",
    "asking": "ringing",
    "ringing": "calls",
    "broken": "reconnecting",
}
"""Words for the states of a session in which a line is not sent at once."""


@value_class
class Here:
    """Recipient of the next line; `name` is the client's name for it, which is shown in legible form
    only.

    `kind`: nobody, peer, room, away or ended. `security`: open, encrypted, verified, or empty without a
    connection. `state`: of the session. `turn`: mine, theirs or both. `count`: members of a room.
    `waiting`: the server looks for a peer to call us (classic BRIDGE). `away`: the peer's text of
    /away.
    """

    kind: str = "nobody"
    name: str = ""
    security: str = ""
    path: str = ""
    state: str = ""
    turn: str = "both"
    count: int = 0
    waiting: bool = False
    away: str = ""


def recipient(client: Client) -> str:
    """Return the name of the recipient of the next line; empty if there is none."""
    all = client.conversations
    return all.current.name if all.current is not None else all.target_name


def here(client: Client, waiting: bool = False) -> Here:
    """Return the recipient of the next line that is typed into `client`."""
    all = client.conversations
    if all.room:
        row = next((one for one in client.rooms.rows() if one["current"]), None)
        outside = "" if client.rooms.is_inside(all.room) else "outside"
        return Here("room", all.room, state=outside, count=(row or {}).get("count") or 0)
    row = next((one for one in all.rows() if one["current"]), None)
    if row is not None:
        state = str(row["state"])
        live = state in ("open", "broken")
        return Here(
            "peer",
            str(row["id"]),
            str(row["security"] or "") if live else "",
            str(row["path"] or ""),
            state,
            str(row["turn"]),
            away=client.calls.away_text(row["key"]),
        )
    if all.away is not None:
        recipient = all.away.recipient
        return Here("away", all.away.name, away=client.calls.away_text(recipient.key))
    target = client.conversations.target
    if target is not None:
        return Here("ended", target.name)
    return Here(waiting=waiting)


def prompt_line(here: Here, glyphs: Glyphs, columns: int, secret: str = "") -> Line:
    """Return the text before the typed line: the recipient, and its security.

    `secret`: sentence that asks for a password.
    """
    if secret:
        return (("warn", cut(f"{secret}: ", max(columns // 2, 12), glyphs.more)),)
    if here.kind == "nobody":
        return (("dim", "waiting to be called> " if here.waiting else "to nobody> "),)
    if here.kind == "ended":
        was = cut(name(here.name), 16, glyphs.more)
        return (("dim", "to nobody "), ("warn", f"(was {was})"), ("dim", "> "))
    style = person_style(here.name)
    head: Line = (
        ("", "to "),
        (style, cut(name(here.name), 20 if columns >= NARROW else 12, glyphs.more)),
    )
    if here.kind == "room":
        return (*head, (style, "> "))
    if here.kind == "away":
        return (*head, ("warn", " away"), (style, "> "))
    note: Line = ()
    if here.security == "open":
        note = (("warn", " open"),)
    elif here.security == "encrypted" and glyphs.lock:
        note = (("", f" {glyphs.lock}"),)
    elif here.security == "verified":
        note = (("good", f" {glyphs.lock}{glyphs.tick}"),)
    if here.state in _STATES:
        note += (("warn", f" {_STATES[here.state]}"),)
    elif here.turn == "mine":
        note += (("good", " your turn"),)
    elif here.turn == "theirs":
        note += (("warn", " their turn, held"),)
    return (*head, *note, (style, "> "))


def status_parts(here: Here, glyphs: Glyphs, columns: int) -> Line:
    """Return the beginning of the status line: the recipient, its security and its path.

    On a terminal of less than `NARROW` columns it is brief, so that there is room for unread counts.
    """
    brief = columns < NARROW
    if here.kind in ("nobody", "ended"):
        hint = "" if brief else ": /chat ID, /join #room, /help"
        return (("", f"no conversation{hint}"),)
    style = person_style(here.name)
    # Unread counts have their place beside it, whatever its length.
    shown = cut(name(here.name), max(columns // 3, 12), glyphs.more)
    parts: list[Line] = [((style, shown),)]
    if here.kind == "room":
        if here.state:
            parts.append((("warn", "waiting" if brief else "not joined yet: lines wait"),))
        elif here.count:
            parts.append((("", f"{here.count} here"),))
        if not brief:
            parts.append((("warn", "server can read"),))
    elif here.kind == "away":
        parts.append((("warn", "away" if brief else "away: lines are queued"),))
    else:
        parts[0] = (*parts[0], *_lock(here, glyphs))
        if here.state != "open":
            parts.append((("warn", _STATES.get(here.state, here.state)),))
        if here.path and not brief:
            parts.append((("", path_words(here.path)),))
        if here.turn != "both":
            mine = here.turn == "mine"
            held = "" if brief else ": your lines are held"
            whose = "your turn" if mine else f"their turn{held}"
            parts.append((("good" if mine else "warn", whose),))
    if here.away:
        said = cut(inline(here.away), max(columns // 4, 12), glyphs.more)
        parts.insert(1, (("warn", f"says: {said}" if here.kind == "away" else f"away: {said}"),))
    joined: list[tuple[str, str]] = []
    for number, part in enumerate(parts):
        joined += [("dim", f" {glyphs.dot} "), *part] if number else list(part)
    return tuple(joined)


def _lock(here: Here, glyphs: Glyphs) -> Line:
    if here.security == "open":
        return (("warn", " open"),)
    if not here.security:
        return ()
    return (("good" if here.security == "verified" else "", f" {glyphs.lock}{here.security}"),)
