"""Greet a client that has registered: 001 to 005, and the message of the day."""

from __future__ import annotations

from chatproto.ui.irc import nicks, numerics
from chatproto.ui.irc.lines import CHAT, FACE, reply
from chatproto.wire.irc import LINE_BYTES, IrcLine
from chatproto.wire.limits import ClientLimits

TARGETS = 4
"""Recipients of one PRIVMSG."""
MODES = 6
"""Changes in one MODE."""
TOKENS = 10
"""Tokens of one 005; a line has 15 parameters at most."""
CHANNEL_MODES = "bq,k,,i"
PREFIXES = {"owner": ("O", "~"), "op": ("o", "@")}
"""Letter of the mode, and prefix of a nickname, by role in a room."""
MOTD = (
    "This is your own chat client; it ends encryption on this machine.",
    f"/msg {CHAT} help lists its commands: calls, files, keys and rooms.",
    "/join #room enters a room, /query NAME writes to somebody.",
)


def greeting(nick: str, limits: ClientLimits) -> list[IrcLine]:
    """Return the lines that confirm the registration of a client `nick`."""
    letters = "".join(letter for letter, _ in PREFIXES.values())
    signs = "".join(sign for _, sign in PREFIXES.values())
    tokens = (
        "CASEMAPPING=ascii",
        "UTF8ONLY",
        "NETWORK=chatproto",
        "CHANTYPES=#",
        f"CHANMODES={CHANNEL_MODES}",
        f"PREFIX=({letters}){signs}",
        f"CHANLIMIT=#:{limits.rooms_per_client}",
        "CHANNELLEN=64",
        f"NICKLEN={nicks.LONGEST}",
        f"LINELEN={LINE_BYTES}",
        f"MODES={MODES}",
        f"TARGMAX=PRIVMSG:{TARGETS},NOTICE:{TARGETS},JOIN:,PART:",
    )
    return [
        reply(nick, numerics.WELCOME, f"Welcome to chatproto, {nick}"),
        reply(nick, numerics.YOUR_HOST, "Your host is your own client"),
        reply(nick, numerics.CREATED, "It runs as long as you let it"),
        reply(nick, numerics.MY_INFO, FACE, "chatproto", "i", f"bikq{letters}", f"bkq{letters}"),
        *(
            reply(nick, numerics.SUPPORTED, *tokens[at : at + TOKENS], "are supported here")
            for at in range(0, len(tokens), TOKENS)
        ),
        *message_of_the_day(nick),
    ]


def message_of_the_day(nick: str) -> list[IrcLine]:
    """Return the answer to MOTD."""
    return [
        reply(nick, numerics.MOTD_START, f"- {FACE} -"),
        *(reply(nick, numerics.MOTD, f"- {line}") for line in MOTD),
        reply(nick, numerics.END_OF_MOTD, "End of the message of the day"),
    ]
