"""Commands of other chat programs, and their equivalents here."""

from __future__ import annotations

ALIASES: dict[str, str] = {
    "query": "switch",
    "list": "rooms",
    "exit": "quit",
    "q": "quit",
    "j": "join",
    "whoami": "id",
    "?": "help",
}
"""Commands of other programs that mean exactly one of ours: they are carried out."""

BARE: dict[str, str] = {"help": "help", "?": "help", "quit": "quit", "exit": "quit"}
"""Words that are commands without a slash if there is no conversation."""

OURS: dict[str, str] = {
    **dict.fromkeys(("nick", "name", "nickname", "user"), "start with --id NAME to choose your id"),
    **dict.fromkeys(("action", "emote"), "/me text"),
    **dict.fromkeys(("call", "dial", "talk", "ring", "phone"), "/chat calls a peer"),
    **dict.fromkeys(
        ("connect", "reconnect", "server"), "start with --server HOST:PORT, or try /register"
    ),
    **dict.fromkeys(("disconnect", "hangup", "hang", "close"), "/leave"),
    **dict.fromkeys(("bye", "logout", "end", "signoff", "x"), "/quit"),
    **dict.fromkeys(("h", "man", "commands", "usage"), "/help"),
    **dict.fromkeys(
        ("m", "dm", "pm", "tell", "w", "whisper", "say", "notice", "reply", "r"), "/msg @id text"
    ),
    **dict.fromkeys(("channels", "ls"), "/rooms lists rooms, /info lists clients"),
    **dict.fromkeys(
        ("users", "people", "contacts", "friends", "online", "peers", "buddies"), "/info"
    ),
    **dict.fromkeys(("whois", "ping", "trace", "lookup"), "/path id, or /info prefix"),
    **dict.fromkeys(
        ("file", "sendfile", "upload", "dcc", "attach", "put", "transfer"), "/send path"
    ),
    **dict.fromkeys(
        ("get", "download", "receive", "downloads", "transfers"), "/files, and /accept n"
    ),
    **dict.fromkeys(("yes", "y", "ok", "answer", "take", "pickup"), "/accept"),
    **dict.fromkeys(("no", "n", "reject", "deny", "refuse"), "/decline"),
    **dict.fromkeys(("block", "unignore", "unblock"), "/ignore id, and /ignore off id ends it"),
    **dict.fromkeys(("create", "channel", "room", "open"), "/join room"),
    **dict.fromkeys(("members", "participants", "roster"), "/names"),
    **dict.fromkeys(("unmute", "deop", "unop"), "/mute id 0, /op id 0"),
    **dict.fromkeys(("admin", "mod", "moderator"), "/op id"),
    **dict.fromkeys(("find", "grep"), "/search words"),
    **dict.fromkeys(("log", "scrollback", "last", "messages"), "/history"),
    **dict.fromkeys(("undo", "delete", "retract", "recall", "revoke"), "/unsend n"),
    **dict.fromkeys(("abort", "stop"), "/cancel n ends a transfer, /quit a conversation"),
    **dict.fromkeys(("key", "fingerprint", "verified", "safety"), "/verify id"),
    **dict.fromkeys(
        ("login", "account", "password", "identify"), "start with --user NAME to log in"
    ),
    **dict.fromkeys(("version", "about"), "chatclient --version shows it"),
    **dict.fromkeys(("stats", "state"), "/status"),
    **dict.fromkeys(("buffer", "window", "win", "b"), "Alt-1 to Alt-9, or /switch id"),
    **dict.fromkeys(("clear", "cls"), "Ctrl-L clears the screen"),
    **dict.fromkeys(("set", "option", "bind"), "options and keys are set in client.toml"),
}
"""By word without the slash, in lower case: one of our commands, or what to do instead."""


def ours(word: str) -> str | None:
    """Return a hint at our name for a command known elsewhere as `word`, or None."""
    found = OURS.get(word.lower())
    if found is None:
        return None
    lone = found.startswith("/") and " " not in found
    return f"did you mean {found}?" if lone else found
