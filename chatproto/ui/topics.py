"""Group the commands for /help: a first screen, and one list for each topic."""

from __future__ import annotations

from chatproto.ui.screen.keymap import USUAL_KEYS, Keymap
from chatproto.wire.values import value_class


@value_class
class HelpTopic:
    """Group of commands: one line about it, and the names of its commands in the order of the list."""

    about: str
    commands: tuple[str, ...]
    lines: tuple[str, ...] = ()
    """Further lines, about things other than commands."""


FIRST = (
    ("/chat id", "call a peer"),
    ("/msg @id text", "send a message"),
    ("/accept", "accept a call or file"),
    ("/decline", "decline a call or file"),
    ("/join room", "join or open a room"),
    ("/send path...", "send files or folders"),
    ("/switch id", "change conversation"),
    ("/who", "list conversations"),
    ("/quit", "leave it, or end the program"),
)
"""Commands on the first screen of /help: the usual form of each, short enough for 40 columns."""

_KEY_COLUMN = 18
"""Characters for the names of keys in /help keys; after longer ones the help starts further right."""


def key_lines(keys: Keymap) -> tuple[str, ...]:
    """Return the lines of /help keys, with the keys that the user has chosen."""
    answers = " ".join(map(keys.shown, ("accept", "decline", "verify")))
    rows = (
        ("Enter", "send the line"),
        (keys.shown("newline"), "begin another line of the same message"),
        ("Tab", "complete a command, name, room or path"),
        ("Up, Down", "earlier lines (Ctrl-R searches them)"),
        ("Alt-1 to Alt-9", "switch to a conversation or room by its number"),
        (keys.shown("unread"), "switch to the next one with unread lines"),
        (answers, "accept, decline, or verify the caller first"),
        (keys.shown("editor"), "write the line in $EDITOR"),
        ("Ctrl-C", "clear the line, twice within 2 s: quit"),
        ("Ctrl-D", "quit, if the line is empty"),
        ("Ctrl-Z", "suspend the program, fg continues it"),
    )
    lines = (f"{key:{_KEY_COLUMN}} {about}" for key, about in rows)
    return (*lines, "With --ui plain the terminal edits the line, and Ctrl-C or Ctrl-D quits.")


TOPICS: dict[str, HelpTopic] = {
    "talk": HelpTopic(
        "calls and messages",
        (
            *(
                "chat",
                "msg",
                "me",
                "accept",
                "decline",
                "bridge",
                "info",
                "who",
                "switch",
                "history",
            ),
            *(
                "search",
                "outbox",
                "unsend",
                "resend",
                "ignore",
                "away",
                "mode",
                "over",
                "leave",
                "quit",
            ),
        ),
    ),
    "rooms": HelpTopic(
        "rooms and moderation",
        (
            *("join", "part", "rooms", "names", "topic", "invite", "kick", "ban", "unban"),
            *("mute", "op", "settings"),
        ),
    ),
    "files": HelpTopic("files and folders", ("send", "files", "cancel")),
    "keys": HelpTopic("keys of the keyboard", (), key_lines(USUAL_KEYS)),
    "more": HelpTopic(
        "safety, paths, the rest",
        ("verify", "trust", "path", "nearby", "id", "register", "status", "drop", "help"),
    ),
}
"""Every topic of /help by its name; each command is in one of them."""
