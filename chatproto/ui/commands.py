"""Commands, typed as a line or given as values; `ROWS` is the table of all of them.

`parse` reads a line, `parse_values` an object such as `{"do": "msg", "to": "bob", "text": "hi"}`, and
`run` calls the client. A new command is a row in `ROWS` and a method of the part that it concerns;
help, completion and the suggestion of similar names follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from chatproto.client.app import Client
from chatproto.client.events import CommandOutput, Event, Failed
from chatproto.client.targets import Target
from chatproto.stdio.unexpected import unexpected
from chatproto.ui import values
from chatproto.ui.arguments import (
    MOST_SHOWN,
    Misused,
    ReadText,
    accepted,
    addressed_text,
    asker,
    callee,
    compared,
    full_or_half,
    ignored,
    name_and_key,
    nothing,
    number,
    number_and_name,
    one,
    one_or_none,
    past,
    paths,
    shortened,
    some_text,
    text_or_none,
)
from chatproto.ui.common_words import ALIASES, BARE, ours
from chatproto.ui.room_commands import ROOM_ROWS
from chatproto.ui.row import CommandRow
from chatproto.ui.topics import FIRST, TOPICS
from chatproto.ui.values import Field, Values, flag, name, one_of, text, word
from chatproto.wire.dialects import DIALECTS
from chatproto.wire.reasons import BLANK_BEFORE, NOTHING_PASTED, CodedError, Reason
from chatproto.wire.values import value_class


class BadCommand(Exception):
    """Command that cannot be carried out; the text is one sentence for the user.

    `command`: the name as typed, without the slash; None for a line of text.
    """

    reason = Reason.MALFORMED

    def __init__(self, sentence: str, command: str | None = None) -> None:
        super().__init__(sentence)
        self.command = command


class TargetChanged(BadCommand):
    """Line that was typed for a target other than the present one."""

    reason = Reason.TARGET_CHANGED


@value_class
class TypedText:
    """Text for the current conversation."""

    text: str


@value_class
class Command:
    """Name of a row, and the arguments of its `run`."""

    name: str
    arguments: tuple[str, ...] = ()


LIKE = 0.7
"""Similarity from which a mistyped name gets a hint: `/regster`, but not `/me` for `/mute`."""
_HELP_COLUMN = 24
"""Width in characters of the first column of /help; after a longer usage the help text starts further
right.
"""


def help_answer(asked: str = "") -> CommandOutput:
    """Return the answer to /help: a first screen, the commands of a topic, or one command in full.

    `asked`: `files` is the topic, `/files` the command.

    Raises: BadCommand: there is no topic or command of that name.
    """
    data: dict[str, Any] = {}
    if not asked:
        rows = list(ROWS.values())
        pairs = [(f"/help {name}", topic.about) for name, topic in TOPICS.items()]
        lines = _aligned([*FIRST, *pairs, ("/help COMMAND", "how a command is used")])
        lines.insert(len(FIRST), _ANY_LINE)
        data["topics"] = {name: list(topic.commands) for name, topic in TOPICS.items()}
    elif asked.lower() in TOPICS:
        data["topic"] = asked.lower()
        topic = TOPICS[asked.lower()]
        rows = [ROWS[name] for name in topic.commands]
        lines = [*_aligned([(row.usage, row.help) for row in rows]), *topic.lines]
    else:
        rows = [_row(asked.removeprefix("/"), "help")]
        lines = [line for line in (rows[0].usage, rows[0].help, rows[0].more) if line]
    commands = [{"name": row.name, "usage": row.usage, "help": row.help} for row in rows]
    return CommandOutput("help", tuple(lines), {"commands": commands, **data})


def _aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return usages and help texts in two columns."""
    column = max((len(usage) for usage, _ in pairs if len(usage) <= _HELP_COLUMN), default=0)
    return [f"{usage:{column}}  {about}" for usage, about in pairs]


_ANY_LINE = "any other line is sent, //x sends /x"
"""Line below the commands on the first screen of /help."""


def _verify(found: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return (*found["id"], "yes" if found["same"] == ("yes",) else "")


ROWS: dict[str, CommandRow] = {
    row.name: row
    for row in (
        CommandRow(
            "help",
            "/help [topic]",
            "list the commands by topic, or explain one",
            one_or_none,
            None,
            answer=lambda given: help_answer(*given),
            fields=(Field("command", word),),
        ),
        CommandRow("id", "/id", "show your id", nothing, lambda client, given: client.status.id()),
        CommandRow(
            "register",
            "/register",
            "register with the server, also after a refusal",
            nothing,
            lambda client, given: client.directory.register(),
        ),
        CommandRow(
            "info",
            "/info [prefix]",
            "list registered clients",
            one_or_none,
            lambda client, given: client.directory.info(*given),
            more="With a prefix: clients whose id begins with it.",
            ids="",
            fields=(Field("prefix", word),),
        ),
        CommandRow(
            "bridge",
            "/bridge [id]",
            "ask the server for a peer",
            one_or_none,
            lambda client, given: client.directory.bridge(*given),
            more="If no peer is free, you wait to be called.",
            ids="",
            fields=(Field("id", name),),
        ),
        CommandRow(
            "chat",
            "/chat [--as DIALECT] [id | host:port]",
            "call a peer",
            callee,
            lambda client, given: client.outgoing.chat(*given),
            more="Without a name: the peer that /bridge found. --as: in plain text, in the way their program "
            f"speaks, one of {', '.join(DIALECTS)}.",
            options={"--as": tuple(DIALECTS)},
            ids="",
            fields=(
                Field("to", name),
                Field("dialect", name),
            ),
        ),
        CommandRow(
            "msg",
            "/msg [@id] text",
            "send a message, here or to @id",
            addressed_text,
            lambda client, given: client.messages.msg(*given),
            more="/msg @#room text writes to a room. A peer that is not a contact is called first.",
            ids="@",
            fields=(
                Field("text", text, missing=None),
                Field("to", name),
            ),
            target=1,
            rooms="@",
            text=True,
        ),
        CommandRow(
            "me",
            "/me text",
            "send an action: /me waves",
            some_text,
            lambda client, given: client.messages.me(*given),
            more="Programs that know no such messages show the text.",
            text=True,
            fields=(
                Field("text", text, missing=None),
                Field("to", name),
            ),
            target=1,
        ),
        CommandRow(
            "drop",
            "/drop",
            "discard pasted lines that begin with /",
            nothing,
            None,
            answer=lambda given: Failed(NOTHING_PASTED(), 404, "drop", code=Reason.NOT_FOUND),
            more="On a terminal, a paste never runs commands after a text: you are asked first.",
        ),
        CommandRow(
            "quit",
            "/quit",
            "leave the conversation or room, else end the program",
            nothing,
            lambda client, given: client.quit(),
            target=0,
        ),
        CommandRow(
            "leave",
            "/leave [id|#room]",
            "leave the conversation or room, not the program",
            one_or_none,
            lambda client, given: client.leave(*given),
            more="With an id: the conversation with this peer, wherever you type.",
            ids="",
            rooms="",
            fields=(Field("room", name, missing=()), Field("to", name, missing=())),
            arrange=lambda found: found["room"] or found["to"] or ("",),
            target=0,
        ),
        CommandRow(
            "accept",
            "/accept [id|n] [folder]",
            "accept the latest call, file or invitation",
            accepted,
            lambda client, given: client.talk.accept(*given),
            more="With an id: that of this peer. With a number: that file. A folder is for this one file.",
            ids="",
            fields=(Field("id", values.asker), Field("folder", values.folder)),
        ),
        CommandRow(
            "decline",
            "/decline [id|n]",
            "decline the latest call, file or invitation",
            asker,
            lambda client, given: client.talk.decline(*given),
            more="With an id: that of this peer. With a number: that file.",
            ids="",
            fields=(Field("id", values.asker),),
        ),
        CommandRow(
            "who",
            "/who [id]",
            "list your conversations and rooms",
            one_or_none,
            lambda client, given: client.status.who(*given),
            more="With an id: also the name and key that it stands for.",
            ids="",
            fields=(Field("id", name),),
        ),
        CommandRow(
            "switch",
            "/switch id|#room",
            "send what you type to another conversation or room",
            one,
            lambda client, given: client.messages.switch(*given),
            ids="",
            fields=(Field("to", name, missing=None),),
            rooms="",
        ),
        CommandRow(
            "mode",
            "/mode full|half",
            "send at any time, or take turns",
            full_or_half,
            lambda client, given: client.talk.set_half(given[0] == "half"),
            words=("full", "half"),
            fields=(Field("mode", one_of("full", "half"), missing=None),),
            target=1,
        ),
        CommandRow(
            "over",
            "/over",
            "pass the turn to the peer",
            nothing,
            lambda client, given: client.talk.over(),
            target=0,
        ),
        CommandRow(
            "send",
            "/send path...",
            "send files or folders",
            paths,
            lambda client, given: client.talk.send(list(given[1:]), given[0]),
            more="The peer is asked first. Quote a path with blanks, as in a shell.",
            fields=(
                Field("to", name),
                Field("paths", values.paths, missing=None),
            ),
            target=0,
            files=True,
        ),
        CommandRow(
            "files",
            "/files",
            "list file transfers",
            nothing,
            lambda client, given: client.need_files().list(),
        ),
        CommandRow(
            "cancel",
            "/cancel n",
            "cancel file transfer n",
            number,
            lambda client, given: client.need_files().cancel(int(given[0])),
            more="The part received stays for a week. Sending the file again continues there.",
            fields=(Field("id", values.number, missing=None),),
        ),
        CommandRow(
            "unsend",
            "/unsend n [id]",
            "cancel queued message n",
            number_and_name,
            lambda client, given: client.outbox.unsend(int(given[0]), *given[1:]),
            more="If it may have been sent already, you learn later whether it arrived.",
            ids="",
            fields=(
                Field("id", values.number, missing=None),
                Field("to", name),
            ),
            target=1,
        ),
        CommandRow(
            "history",
            "/history [id|#room] [n]",
            "show the latest n messages, here or with a peer",
            past,
            lambda client, given: client.messages.history(*given),
            more="Messages with a contact come from your own log.",
            ids="",
            fields=(
                Field("count", values.number, missing=(MOST_SHOWN,)),
                Field("id", name, missing=()),
            ),
            rooms="",
        ),
        CommandRow(
            "outbox",
            "/outbox",
            "list queued messages",
            nothing,
            lambda client, given: client.messages.list_waiting(),
            more="/unsend n id cancels one.",
        ),
        CommandRow(
            "away",
            "/away [text]",
            "tell that you are away (without a text: back again)",
            text_or_none,
            lambda client, given: client.directory.away(*given),
            more="Peers that talk with you or wait for you see the text. The server can read it.",
            fields=(Field("text", values.any_text),),
        ),
        CommandRow(
            "status",
            "/status",
            "show your address and the state of the server",
            nothing,
            lambda client, given: client.status.status(),
        ),
        CommandRow(
            "path",
            "/path [id]",
            "show the path to a peer, and why no better one works",
            one_or_none,
            lambda client, given: client.status.path(*given),
            more="Paths: direct, same network, punched (through both routers), relayed.",
            ids="",
            fields=(Field("id", name),),
        ),
        CommandRow(
            "nearby",
            "/nearby",
            "list peers on this network (needs --beacon)",
            nothing,
            lambda client, given: client.need_neighbours().show(),
            more="Ids are unconfirmed unless you know the key.",
        ),
        CommandRow(
            "verify",
            "/verify [id] [yes]",
            "show the safety number to compare with a peer",
            compared,
            lambda client, given: client.contacts.verify(*given),
            more="Compare it by phone or in person. If it is the same, add yes to remember that.",
            ids="",
            fields=(
                Field("id", name),
                Field("same", flag),
            ),
            arrange=_verify,
            target=0,
            words=("yes",),
        ),
        CommandRow(
            "trust",
            "/trust id KEY",
            "accept KEY as the identity key of id",
            name_and_key,
            lambda client, given: client.contacts.trust(*given),
            more="Messages queued for the old key are not sent to the new one: see /resend.",
            ids="",
            registered=True,
            fields=(
                Field("id", name, missing=None),
                Field("key", name, missing=None),
            ),
        ),
        CommandRow(
            "resend",
            "/resend id",
            "send messages again that /trust stopped",
            one,
            lambda client, given: client.messages.resend(*given),
            ids="",
            fields=(Field("id", name, missing=None),),
        ),
        CommandRow(
            "ignore",
            "/ignore [off] [id]",
            "ignore calls of a peer (lasts until /ignore off)",
            ignored,
            lambda client, given: _ignore(client, *given),
            more="/ignore off id takes their calls again. /ignore lists the ignored peers.",
            words=("off",),
            ids="",
            fields=(Field("id", name), Field("off", flag, missing=("no",))),
        ),
        *ROOM_ROWS,
    )
}
"""All commands by name, in the order of /help."""


def _ignore(client: Client, who: str, off: str) -> None:
    if off == "yes":
        client.contacts.unignore(who)
    elif who:
        client.contacts.ignore(who)
    else:
        client.contacts.list_ignored()


def _row(name: str, command: str) -> CommandRow:
    """Return the row of that name. Raises BadCommand, with the most similar name if there is one."""
    row = ROWS.get(ALIASES.get(name.lower(), name.lower()))
    if row is not None:
        return row
    if not name:
        raise BadCommand("type a command after the /: /help lists them", command)
    name = shortened(name)
    near = [known for known in ROWS if known.startswith(name.lower())]
    near = near or get_close_matches(name.lower(), ROWS, 1, LIKE)
    hint = f"did you mean /{near[0]}?" if near else "/help lists the commands"
    hint = ours(name) or hint
    raise BadCommand(f"unknown command /{name}: {hint}", command)


_COMMAND = re.compile(r"/(\S*)(?:\s(.*))?", re.DOTALL)


def parse(line: str, read_text: ReadText = str) -> TypedText | Command | None:
    """Parse a line: text, or a command if it begins with a slash; None for a blank line.

    `//text` is the text `/text`. Raises: BadCommand.
    """
    if not line.startswith("/"):
        text = read_text(line)
        return TypedText(text) if text.strip() else None
    if line.startswith("//"):
        return TypedText(line[1:])
    found = _COMMAND.fullmatch(line)
    assert found is not None, "a slash, then no blank, then anything"
    row = _row(found[1], shortened(found[1]))
    try:
        return Command(row.name, row.read(found[2] or "", read_text))
    except Misused as wrong:
        raise BadCommand(f"/{row.name} {wrong}: write {row.usage}", row.name) from None
    except BadCommand as wrong:  # from `read_text`, which does not know the command
        raise BadCommand(str(wrong), row.name) from None


def parse_values(given: Values) -> Command:
    """Return the command in `given`, an object with `do`. Raises BadCommand, and nothing else."""
    if not isinstance(given.get("do"), str):
        raise BadCommand('"do" must be the name of a command')
    row = _row(given["do"].removeprefix("/"), shortened(given["do"]))
    try:
        return Command(row.name, values.arguments(given, row.fields, row.arrange))
    except Misused as wrong:
        known = ", ".join(f'"{field.name}"' for field in row.fields) or "nothing"
        raise BadCommand(f'"{row.name}" {wrong}: it takes {known}', row.name) from None


def run(said: TypedText | Command, client: Client) -> Event | None:
    """Make `client` carry out `said`; return an answer to be shown that needed no client.

    Raises BadCommand for help on an unknown topic.
    """
    if isinstance(said, TypedText):
        attempt(client, "say", lambda: client.messages.say(said.text))
        return None
    row = ROWS[said.name]
    if row.answer is not None:
        return row.answer(said.arguments)
    work = row.run
    assert work is not None
    attempt(client, row.name, lambda: work(client, said.arguments))
    return None


def attempt(client: Client, command: str, work: Callable[[], object]) -> None:
    """Call `work` for `command`; an error is one `Failed` with one sentence."""
    try:
        work()
    except CodedError as error:
        client.requests.fail(command, error)
    except Exception:  # a defect of this program, which continues
        client.requests.mistaken(command)
    client.context.settled(None)


def run_line(line: str, client: Client, read_text: ReadText = str) -> Event | None:
    """Read `line` and run it; return an event to be shown: an answer, or why it failed."""
    return _run_line(lambda: parse(line, read_text), client)


def run_typed(line: str, client: Client) -> Event | None:
    """Do the same for a typed line: without a conversation, a bare `help` or `quit` is a command."""
    return _run_line(lambda: _meant(line, client), client)


_BLANK_BEFORE = re.compile(r"\s+/([^\s/]+)(?:\s.*)?", re.DOTALL)


def command_behind_blank(line: str, client: Client) -> str:
    """Return the command in a typed `line` that begins with a blank, with its slash; or "".

    From scripts and pipes, and with `--plain`, such a line is a text.
    """
    found = _BLANK_BEFORE.fullmatch(line)
    if found is None or not client.conversations.typed:
        return ""
    word = found[1].lower()
    return f"/{found[1]}" if ALIASES.get(word, word) in ROWS else ""


def _meant(line: str, client: Client) -> TypedText | Command | None:
    """Read a typed line: without a recipient, a bare `help` is a command.

    Raises: BadCommand: also for a command after a blank.
    """
    if command := command_behind_blank(line, client):
        raise BadCommand(BLANK_BEFORE(command=command))
    said = parse(line)
    if isinstance(said, TypedText) and client.conversations.target is None:
        name = BARE.get(said.text.strip().lower())
        return Command(name) if name is not None else said
    return said


def run_for(intended: Target | None, line: str | TypedText, client: Client) -> Event | None:
    """Carry out a line, or an unparsed text, that was typed while `intended` was the target.

    If the target has changed or ended since then, a text and a command that acts on the target are not
    carried out: the event is a `Failed` with `Reason.TARGET_CHANGED`.
    """

    def read() -> TypedText | Command | None:
        said = line if isinstance(line, TypedText) else _meant(line, client)
        here = isinstance(said, TypedText) or (
            said is not None and ROWS[said.name].acts_on_target(said.arguments)
        )
        why = client.conversations.why_not_for(intended) if here else ""
        if why:
            raise TargetChanged(why, said.name if isinstance(said, Command) else None)
        return said

    return _run_line(read, client)


def run_values(given: Values, client: Client) -> Event | None:
    """Do the same for a command that is given as an object with `do`."""
    return _run_line(lambda: parse_values(given), client)


def _run_line(read: Callable[[], TypedText | Command | None], client: Client) -> Event | None:
    said: TypedText | Command | None = None
    try:
        said = read()
        return None if said is None else run(said, client)
    except BadCommand as wrong:
        return Failed(str(wrong), command=wrong.command, code=wrong.reason)
    except Exception:
        command = said.name if isinstance(said, Command) else "say"
        return Failed(unexpected(command), status=500, command=command, code=Reason.INTERNAL)
