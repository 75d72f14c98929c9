"""Answer queries of an IRC client about channels and users."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred

from chatproto.ui.irc import numerics
from chatproto.ui.irc.answers import Answer
from chatproto.ui.irc.channels import Channel, Present
from chatproto.ui.irc.face import IrcFace
from chatproto.ui.irc.lines import FACE, fail, packed, reply
from chatproto.ui.irc.welcome import message_of_the_day
from chatproto.ui.legible import inline
from chatproto.wire.irc import IrcLine
from chatproto.wire.reasons import CodedError

ASKED = 10
"""Names in one USERHOST or ISON."""
END_OF_LISTS = {"b": numerics.END_OF_BANS, "q": numerics.END_OF_MUTES}


def ping(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer PING."""
    answer.tell([IrcLine("PONG", (FACE, line.parameters[0]), source=FACE)])


def motd(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer MOTD."""
    answer.tell(message_of_the_day(face.people.own_id))


def names(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer NAMES #room; without a name, of all channels."""
    asked = (
        line.parameters[0].split(",") if line.parameters else [one.name for one in face.channels]
    )
    for name in asked or ["*"]:
        channel = face.channels.get(name)
        end = reply(face.people.own_id, numerics.END_OF_NAMES, name, "End of NAMES")
        answer.tell(face.channels.names(channel) if channel is not None else [end])


def who(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer WHO #room or WHO nick."""
    own, mask = face.people.own_id, line.parameters[0] if line.parameters else "*"
    channel = face.channels.get(mask)
    if channel is not None:
        answer.tell(_row(face, channel.name, one) for one in channel.members.values())
    elif not mask.startswith("#") and face.people.is_known(mask):
        answer.tell([_row(face, "*", Present(face.people.spelling(mask)))])
    answer.tell([reply(own, numerics.END_OF_WHO, mask, "End of WHO")])


def _row(face: IrcFace, channel: str, one: Present) -> IrcLine:
    people = face.people
    about = f"0 {people.key(one.nick) or 'no key known'}"
    row = (channel, people.user(one.nick), FACE, FACE, one.nick, f"H{one.sign}", about)
    return reply(people.own_id, numerics.WHO, *row)


def whois(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer WHOIS nick: the id, the key, and whether it was verified."""
    people, own = face.people, face.people.own_id
    nick = line.parameters[-1].split(",")[0]
    end = reply(own, numerics.END_OF_WHOIS, nick, "End of WHOIS")
    if not people.is_known(nick):
        answer.tell([reply(own, numerics.NO_SUCH_NICK, nick, "No such nick"), end])
        return
    nick = people.spelling(nick)
    shown, key = inline(people.name(nick)), people.key(nick)
    lines = [
        reply(own, numerics.WHOIS_USER, nick, people.user(nick), FACE, "*", shown),
        *packed(numerics.WHOIS_CHANNELS, (nick,), _channels_of(face, nick), own),
        reply(own, numerics.WHOIS_SERVER, nick, FACE, "your own client"),
    ]
    if key is not None:
        lines.append(reply(own, numerics.WHOIS_SPECIAL, nick, f"has the identity key {key}"))
    conversation = face.client.conversations.named(people.name(nick))
    if conversation is not None and conversation.was_open and conversation.security() != "open":
        lines.append(reply(own, numerics.WHOIS_SECURE, nick, "is using a secure connection"))
    account = people.account(nick)
    if account:
        lines.append(reply(own, numerics.WHOIS_ACCOUNT, nick, account, "is verified as"))
    answer.tell([*lines, end])


def _channels_of(face: IrcFace, nick: str) -> Iterable[str]:
    for channel in face.channels:
        for one in channel.members.values():
            if one.nick == nick:
                yield f"{one.sign}{channel.name}"


def userhost(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer USERHOST."""
    people = face.people
    known = [people.spelling(nick) for nick in line.parameters[:ASKED] if people.is_known(nick)]
    words = (f"{nick}=+{people.user(nick)}@{FACE}" for nick in known)
    answer.tell([reply(people.own_id, numerics.USERHOST, " ".join(words))])


def is_on(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer ISON: which peers are in a conversation or a channel with us."""
    here = {face.people.of_name(one.name) for one in face.client.conversations if one.was_open}
    for channel in face.channels:
        here |= {one.nick for one in channel.members.values()}
    asked = " ".join(line.parameters).split()[:ASKED]
    on = (nick for nick in asked if face.people.spelling(nick) in here)
    answer.tell([reply(face.people.own_id, numerics.IS_ON, " ".join(on))])


def list_rooms(face: IrcFace, line: IrcLine, answer: Answer) -> None:
    """Answer LIST with the rooms of the server; LIST #a,#b with the existing ones of them."""
    own = face.people.own_id
    named = line.parameters[0].lower().split(",") if line.parameters else []
    wanted = {one for one in named if one.startswith("#")}

    async def work() -> None:
        try:
            found = await face.client.rooms.client.rooms()
        except CodedError as error:
            answer.tell([fail("LIST", code_of(error), error.sentence)])
            found = ()
        answer.tell([reply(own, numerics.LIST_START, "Channel", "Users  Name")])
        for one in found:
            if wanted and one.room not in wanted:
                continue
            answer.tell([reply(own, numerics.LIST, one.room, str(one.members), inline(one.topic))])
        answer.tell([reply(own, numerics.END_OF_LIST, "End of LIST")])
        answer.end()

    answer.parts += 1
    Deferred.fromCoroutine(work())


def channel_modes(face: IrcFace, channel: Channel, answer: Answer) -> None:
    """Answer MODE #room with its settings: locked by a key, by invitation only."""
    own = face.people.own_id

    async def work() -> None:
        modes = "+"
        try:
            ack = await face.client.rooms.client.settings(channel.name)
            modes += ("i" if ack.invited else "") + ("k" if ack.locked else "")
        except CodedError:
            pass  # only moderators may ask; others are shown no modes
        answer.tell([reply(own, numerics.CHANNEL_MODE, channel.name, modes)])
        answer.end()

    answer.parts += 1
    Deferred.fromCoroutine(work())


def code_of(error: CodedError) -> str:
    """Return the code of `error` in the form of a standard reply."""
    return error.reason.code.upper().replace("-", "_")


Query = Callable[[IrcFace, IrcLine, Answer], None]
QUERIES: dict[str, tuple[int, Query]] = {
    "PING": (1, ping),
    "MOTD": (0, motd),
    "NAMES": (0, names),
    "WHO": (0, who),
    "WHOIS": (1, whois),
    "USERHOST": (1, userhost),
    "ISON": (1, is_on),
    "LIST": (0, list_rooms),
}
"""Functions by command, each with the number of parameters that it needs."""
