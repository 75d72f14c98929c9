"""Carry out the lines of a registered IRC client; `TABLE` lists all commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from chatproto.client.events import Event, Failed, Notice
from chatproto.client.requests import OK, PendingRequest
from chatproto.client.targets import RoomTarget
from chatproto.ui.arguments import Misused, paths
from chatproto.ui.commands import ROWS, run_line, run_values
from chatproto.ui.common_words import ALIASES
from chatproto.ui.irc import numerics
from chatproto.ui.irc.answers import Answer
from chatproto.ui.irc.channels import Channel
from chatproto.ui.irc.connection import IrcConnection
from chatproto.ui.irc.events import with_hints
from chatproto.ui.irc.face import IrcFace, no_lines
from chatproto.ui.irc.lines import CHAT, fail, reply, typed_text
from chatproto.ui.irc.modes import LETTERS, Change, barred, changes
from chatproto.ui.irc.queries import END_OF_LISTS, QUERIES, channel_modes
from chatproto.ui.irc.welcome import MODES, TARGETS
from chatproto.ui.values import Values
from chatproto.wire.actions import ACTION
from chatproto.wire.irc import IrcLine
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class

NOT_THERE = (Reason.NOT_FOUND, Reason.UNKNOWN_NAME, Reason.AMBIGUOUS)
"""Failures of a message whose recipient is unknown or ambiguous."""
NOT_JOINED = {
    400: numerics.NO_SUCH_CHANNEL,
    403: numerics.INVITATION_ONLY,  # an older server does not send the reason
    413: numerics.TOO_MANY_CHANNELS,
    503: numerics.CHANNEL_FULL,
}
"""Numeric of a refused JOIN, by status."""
NOT_ADMITTED = {
    "banned": numerics.BANNED,
    "invitation": numerics.INVITATION_ONLY,
    "key": numerics.WRONG_CHANNEL_KEY,
}
"""Numeric of a JOIN refused with 403, by what the room requires."""
RANKS = {"+": "", "-": "0"}
LEFT_SHOWN = 200
"""Characters of the failed changes that an answer repeats."""
NAMES_READ = 2
"""Number of words after a command to `*chat` that may be nicknames."""


@value_class
class IrcCommand:
    """One line of one client, with the objects needed to carry it out."""

    face: IrcFace
    who: IrcConnection
    line: IrcLine
    answer: Answer

    @property
    def own(self) -> str:
        """Return our nickname."""
        return self.face.people.own_id

    def tell(self, numeric: str, *parameters: str) -> None:
        """Answer with a numeric."""
        self.answer.tell([reply(self.own, numeric, *parameters)])

    def ask(
        self,
        form: Values,
        failed: Callable[[Failed], Iterable[IrcLine]],
        ended: Callable[[PendingRequest], Iterable[IrcLine]] = no_lines,
    ) -> None:
        """Carry out a command given as an object with `do`."""
        work = partial(run_values, form, self.face.client)
        self.face.ask(self.who, self.answer, str(form["do"]), work, failed, ended)

    def channel(self, name: str) -> Channel | None:
        """Return the channel `name`; None, after an answer, if we are not in it."""
        found = self.face.channels.get(name)
        if found is None:
            self.tell(numerics.NOT_IN_CHANNEL, name, "You're not on that channel")
        return found

    def member(self, channel: Channel, nick: str) -> str | None:
        """Return the id of a member of `channel`; None, after an answer, if there is none."""
        found = channel.by_nick(nick, self.face.people)
        if found is None:
            self.tell(numerics.NOT_A_MEMBER, nick, channel.name, "They aren't on that channel")
        return found

    def refused(self, event: Failed) -> Iterable[IrcLine]:
        """Return the line for a failure without a numeric in IRC."""
        code = event.code.code.upper().replace("-", "_")
        return [fail(self.line.command, code, *self.line.parameters[:1], with_hints(event.text))]

    def not_operator(self, channel: str, event: Failed) -> Iterable[IrcLine]:
        """Return the line for a refused order in `channel`."""
        if event.status == Reason.REFUSED.status:
            return [reply(self.own, numerics.NOT_OPERATOR, channel, with_hints(event.text))]
        return self.refused(event)


def take(face: IrcFace, who: IrcConnection, line: IrcLine, answer: Answer) -> None:
    """Carry out a line."""
    if line.command in QUERIES:
        needs, query = QUERIES[line.command]
        work = partial(query, face, line, answer)
    elif line.command in TABLE:
        needs, handler = TABLE[line.command]
        work = partial(handler, IrcCommand(face, who, line, answer))
    else:
        unknown = reply(
            face.people.own_id, numerics.UNKNOWN_COMMAND, line.command, "Unknown command"
        )
        answer.tell([unknown])
        return
    if len(line.parameters) < needs:
        few = (line.command, "Not enough parameters")
        answer.tell([reply(face.people.own_id, numerics.MORE_PARAMETERS, *few)])
        return
    work()


# Messages.


def message(call: IrcCommand) -> None:
    """Handle PRIVMSG and NOTICE: to a room, to a peer, or a command to `*chat`."""
    if len(call.line.parameters) < 2 or not call.line.parameters[1]:
        call.tell(numerics.NO_TEXT, "No text to send")
        return
    targets, text = call.line.parameters[0], call.line.parameters[1]
    for number, target in enumerate(targets.split(",")):
        if number >= TARGETS:
            call.tell(numerics.TOO_MANY_TARGETS, target, f"At most {TARGETS} recipients, not sent")
        elif target == CHAT:
            _command(call, text)
        else:
            _say(call, target, text)


def _say(call: IrcCommand, target: str, text: str) -> None:
    typed = typed_text(text)
    if typed is None:
        return  # other CTCP requests concern the other program: nothing is passed on
    said, kind = typed
    if not said.strip():
        call.tell(numerics.NO_TEXT, "No text to send")
        return
    room = target.startswith("#")
    to = target.lower()
    if not room:
        people = call.face.people
        try:
            gone = people.gone(target)
            if gone is not None:
                raise gone
            to = people.address(target)
            stranger = people.is_stranger(to)
            conversation = call.face.client.conversations.conversation_for(to)
        except CodedError as error:
            call.tell(numerics.NO_SUCH_NICK, target, with_hints(error.sentence))
            return
        if conversation is not None:
            call.who.target.choose(conversation)
        if stranger:
            call.ask(
                {"do": "chat", "to": to},
                lambda event: [] if event.code in NOT_THERE else call.refused(event),
                partial(_not_called, call, target),
            )
    elif call.face.channels.get(target) is not None:
        call.who.target.choose(RoomTarget(to))
    form = {"do": "me" if kind == ACTION else "msg", "to": to, "text": said}
    call.ask(form, partial(_not_said, call, target))


def _not_called(call: IrcCommand, target: str, asked: PendingRequest) -> Iterable[IrcLine]:
    """Return the line about an unknown peer that is away, once, whether or not a call was shown."""
    if asked.code not in {one.code for one in NOT_THERE}:
        return []
    return [reply(call.own, numerics.NO_SUCH_NICK, target, with_hints(asked.text or ""))]


def _not_said(call: IrcCommand, target: str, event: Failed) -> Iterable[IrcLine]:
    if target.startswith("#"):
        return [reply(call.own, numerics.CANNOT_SEND, target, with_hints(event.text))]
    if event.code in NOT_THERE:
        return [reply(call.own, numerics.NO_SUCH_NICK, target, with_hints(event.text))]
    return call.refused(event)


def _command(call: IrcCommand, text: str) -> None:
    """Carry out one of our commands, written to `*chat` with or without its slash."""
    face = call.face
    name, _, rest = text.strip().removeprefix("/").partition(" ")
    name = ALIASES.get(name.lower(), name.lower())

    def answered(event: Event) -> Iterable[IrcLine]:
        return face.events.chat(event).lines

    def work() -> Event | None:
        if name == "send" and rest.startswith("@"):
            return _send(call, *rest[1:].partition(" ")[::2])
        return run_line(f"/{name} {_with_names(call, name, rest)}", face.client)

    def ended(asked: PendingRequest) -> Iterable[IrcLine]:
        if name != "switch" or asked.code != OK:
            return ()
        return face.events.chat(Notice(f"commands that name nobody are about {rest.strip()}")).lines

    face.ask(call.who, call.answer, name, work, answered, ended, answered)


def _send(call: IrcCommand, nick: str, rest: str) -> Event | None:
    """Handle `send @bob path`: offer files to a peer."""
    try:
        to = call.face.people.address(nick)
        _, *found = paths(rest, str)
    except Misused as wrong:
        return Failed(f"send {wrong}", status=400, command="send", code=Reason.MALFORMED)
    except CodedError as error:
        return Failed.of(error, "send")
    return run_values({"do": "send", "to": to, "paths": found}, call.face.client)


def _with_names(call: IrcCommand, command: str, rest: str) -> str:
    """Return the arguments of a command with IRC nicknames replaced by names."""
    row = ROWS.get(command)
    if row is None or row.ids is None:
        return rest
    words = rest.split(" ")
    for at, word in enumerate(words[: 1 if row.text else NAMES_READ]):
        mark, nick = ("@", word[1:]) if word.startswith("@") else ("", word)
        if nick and call.face.people.is_known(nick):
            words[at] = mark + call.face.people.name(nick)
    return " ".join(words)


# Channels.


def join(call: IrcCommand) -> None:
    """Handle JOIN #a,#b key,key; JOIN 0 leaves all channels (RFC 2812, section 3.2.1)."""
    if call.line.parameters[0] == "0":
        for channel in call.face.channels:
            call.ask({"do": "part", "room": channel.name}, call.refused)
        return
    names = call.line.parameters[0].split(",")
    keys = call.line.parameters[1].split(",") if len(call.line.parameters) > 1 else []
    for number, name in enumerate(names):
        key = keys[number] if number < len(keys) else ""
        if call.face.channels.get(name) is None:
            form = {"do": "join", "room": name, **({"key": key} if key else {})}
            call.ask(form, partial(_not_joined, call, name))


def _not_joined(call: IrcCommand, name: str, event: Failed) -> Iterable[IrcLine]:
    numeric = NOT_ADMITTED.get(event.why or "") or NOT_JOINED.get(event.status or 0)
    return (
        [reply(call.own, numeric, name, with_hints(event.text))] if numeric else call.refused(event)
    )


def part(call: IrcCommand) -> None:
    """Handle PART #a,#b."""
    for name in call.line.parameters[0].split(","):
        channel = call.channel(name)
        if channel is not None:
            call.ask({"do": "part", "room": channel.name}, call.refused)


def topic(call: IrcCommand) -> None:
    """Handle TOPIC #room, or TOPIC #room :text."""
    channel = call.channel(call.line.parameters[0])
    if channel is None:
        return
    if len(call.line.parameters) > 1:
        form = {"do": "topic", "room": channel.name, "text": call.line.parameters[1]}
        call.ask(form, partial(call.not_operator, channel.name))
    elif channel.topic:
        call.tell(numerics.TOPIC, channel.name, channel.topic)
    else:
        call.tell(numerics.NO_TOPIC, channel.name, "No topic is set")


def kick(call: IrcCommand) -> None:
    """Handle KICK #room nick, or KICK #room nick :reason."""
    channel = call.channel(call.line.parameters[0])
    who = call.member(channel, call.line.parameters[1]) if channel is not None else None
    if channel is not None and who is not None:
        form = {"do": "kick", "id": who, "room": channel.name}
        form |= {"reason": reason} if (reason := "".join(call.line.parameters[2:3])) else {}
        call.ask(form, partial(call.not_operator, channel.name))


def invite(call: IrcCommand) -> None:
    """Handle INVITE nick #room."""
    nick, name = call.line.parameters[:2]
    channel = call.channel(name)
    if channel is None:
        return

    def ended(asked: PendingRequest) -> Iterable[IrcLine]:
        done = asked.code == OK
        return [reply(call.own, numerics.INVITING, nick, channel.name)] if done else []

    form = {"do": "invite", "id": call.face.people.id_here(nick), "room": channel.name}
    call.ask(form, partial(call.not_operator, channel.name), ended)


def mode(call: IrcCommand) -> None:
    """Handle MODE of a channel: b, q, o, k, i; there are none of users."""
    name, *rest = call.line.parameters
    if not name.startswith("#"):
        if call.face.people.is_own(name):
            call.tell(numerics.MODE_IS, "+")
        else:
            call.tell(numerics.FOREIGN_MODES, "Cannot change the modes of others")
        return
    channel = call.channel(name)
    if channel is None:
        return
    if not rest:
        channel_modes(call.face, channel, call.answer)
        return
    asked = changes(tuple(rest))
    for change in asked[:MODES]:
        _change(call, channel, change)
    if asked[MODES:]:
        left = " ".join(f"{one.sign}{one.letter} {one.argument}".strip() for one in asked[MODES:])
        why = f"At most {MODES} changes in one line, not done: {left[:LEFT_SHOWN]}"
        call.answer.tell([fail("MODE", "TOO_MANY", channel.name, why)])


def _change(call: IrcCommand, channel: Channel, change: Change) -> None:
    if change.letter in END_OF_LISTS and not change.argument:
        call.tell(END_OF_LISTS[change.letter], channel.name, "The list is kept by the server only")
        return
    form: dict[str, object] | None = None
    match change.letter:
        case "b":
            form = _ban(call, channel, change)
        case "q" | "o" if change.argument:
            whom = barred(change.argument)
            who = whom.other or call.member(channel, whom.nick)
            if who is None:
                return
            form = {"do": "mute" if change.letter == "q" else "op", "id": who}
            form |= {"time": "0"} if change.sign == "-" else {}
        case "k":
            form = {"do": "settings", "key": change.argument if change.sign == "+" else ""}
        case "i":
            form = {"do": "settings", "invited": change.sign == "+"}
    if form is None:
        known = change.letter in LETTERS
        why = "That cannot be changed" if known else "No such mode"
        call.tell(numerics.UNKNOWN_MODE, change.letter, why)
        return

    def ended(asked: PendingRequest) -> Iterable[IrcLine]:
        if asked.code != OK or change.letter not in "ik":
            return []  # all others are shown as changes of the room
        words = (f"{change.sign}{change.letter}", *([change.argument] if change.argument else []))
        return [IrcLine("MODE", (channel.name, *words), source=call.face.people.own_source)]

    call.ask({**form, "room": channel.name}, partial(call.not_operator, channel.name), ended)


def _ban(call: IrcCommand, channel: Channel, change: Change) -> dict[str, object] | None:
    """Return the form of a ban: of a member by nickname or id, of a key or an address."""
    whom = barred(change.argument)
    who = channel.by_nick(whom.nick, call.face.people) if whom.nick else whom.other
    who = who or call.face.people.id_here(whom.nick)
    do = "ban" if change.sign == "+" else "unban"
    return {"do": do, "id": who} if who else None


# Our own client.


def nick(call: IrcCommand) -> None:
    """Handle NICK: our nickname is our id, which stays."""
    call.answer.tell([IrcLine("NICK", (call.own,), source=call.face.people.own_source)])


def away(call: IrcCommand) -> None:
    """Handle AWAY with a text, or without one to be back."""
    text = call.line.parameters[0] if call.line.parameters else ""

    def ended(asked: PendingRequest) -> Iterable[IrcLine]:
        if asked.code != OK:
            return []
        if text:
            return [reply(call.own, numerics.NOW_AWAY, "You have been marked as being away")]
        return [reply(call.own, numerics.NOT_AWAY, "You are no longer marked as being away")]

    call.ask({"do": "away", "text": text}, call.refused, ended)


def leave(call: IrcCommand) -> None:
    """Handle QUIT: close the connection; the program continues."""
    call.who.close("you left")


def capabilities(call: IrcCommand) -> None:
    """Handle CAP after the registration."""
    call.answer.tell(call.who.capabilities.take(call.line, call.own))


def registered(call: IrcCommand) -> None:
    """Refuse a second PASS or USER."""
    call.tell(numerics.ALREADY_REGISTERED, "You are registered already")


def nothing(call: IrcCommand) -> None:
    """Ignore PONG and TAGMSG."""


TABLE: dict[str, tuple[int, Callable[[IrcCommand], None]]] = {
    "PRIVMSG": (1, message),
    "NOTICE": (1, message),
    "TAGMSG": (0, nothing),
    "JOIN": (1, join),
    "PART": (1, part),
    "TOPIC": (1, topic),
    "KICK": (2, kick),
    "INVITE": (2, invite),
    "MODE": (1, mode),
    "NICK": (0, nick),
    "AWAY": (0, away),
    "QUIT": (0, leave),
    "CAP": (0, capabilities),
    "PASS": (0, registered),
    "USER": (0, registered),
    "PONG": (0, nothing),
}
"""Handlers by command, each with the number of parameters that it needs."""
