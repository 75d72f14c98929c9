"""The style of `--help` of both programs and of their tables of commands: plain, in 80 columns."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.backup import main as backup
from chatproto.cli.client_options import OF_INTERFACE
from chatproto.cli.client_options import Options as ClientOptions
from chatproto.cli.ctl import main as ctl
from chatproto.cli.doctor import DoctorOptions
from chatproto.cli.oneshot import COMMANDS
from chatproto.cli.passwd import PasswdOptions
from chatproto.cli.server_options import ServerOptions
from chatproto.server.room_orders import USAGE
from chatproto.ui.commands import ROWS, help_answer
from chatproto.ui.topics import TOPICS

PROGRAMS: dict[str, ClientOptions | ServerOptions | PasswdOptions] = {
    "chatclient": ClientOptions(),
    "chatclient doctor": DoctorOptions(),
    **{f"chatclient {name}": make() for name, make in COMMANDS.items()},
    "chatserver": ServerOptions(),
    "chatserver passwd": PasswdOptions(),
}
COLUMNS = 80
INDENT = len("* ")
"""Characters that the plain interface writes before a line of /help."""
VERBS = frozenset(
    (
        "accept",
        "announce",
        "appear",
        "ask",
        "ban",
        "begin",
        "call",
        "cancel",
        "chat",
        "check",
        "configure",
        "decline",
        "discard",
        "display",
        "end",
        "hide",
        "ignore",
        "introduce",
        "invite",
        "join",
        "keep",
        "leave",
        "lift",
        "list",
        "make",
        "manage",
        "mute",
        "pass",
        "print",
        "receive",
        "register",
        "rejoin",
        "remove",
        "resend",
        "ring",
        "search",
        "send",
        "set",
        "show",
        "speak",
        "take",
        "tell",
        "write",
    )
)
"""First words of descriptions, flags and commands. A new command may add its verb."""
RIDDLE = re.compile(r"\b(who|whom|whoever|whatever|(some|any|no|every)body)\b|;", re.IGNORECASE)


def texts() -> Iterator[tuple[str, str]]:
    """Yield every sentence of help with the place where it stands."""
    for program, options in PROGRAMS.items():
        yield program, options.longdesc
        yield from ((f"{program} --{name}", text) for name, text in options.docs.items())
    for row in ROWS.values():
        yield (
            row.usage.removeprefix("/who"),
            f"{row.usage.removeprefix('/who')} {row.help} {row.more}",
        )
    for name, topic in TOPICS.items():
        yield from ((f"/help {name}", line) for line in (topic.about, *topic.lines))
    yield from (("/help", line) for line in help_answer().lines if not line.startswith("/who"))
    yield from USAGE.items()
    yield from (("chatserver backup", help_of(backup)), ("chatserver ctl", help_of(ctl)))


def imperatives() -> Iterator[tuple[str, str]]:
    """Yield the texts that say what a program, a flag or a command does."""
    for program, options in PROGRAMS.items():
        yield program, options.longdesc
        flags = (name for name in options.longOpt if not name.endswith("="))
        yield from ((f"{program} --{name}", options.docs[name]) for name in flags)
    yield from ((row.usage, row.help) for row in ROWS.values())
    yield from ((command, usage.partition(": ")[2]) for command, usage in USAGE.items())


def help_of(main: Callable[[Sequence[str]], int]) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        try:
            main(["--help"])
        except SystemExit:
            pass
    return said.getvalue()


class HelpStyleTests(SynchronousTestCase):
    def test_no_riddles_and_no_chains_of_sentences(self) -> None:
        found = [(where, text) for where, text in texts() if RIDDLE.search(text)]
        self.assertEqual(found, [])

    def test_descriptions_flags_and_commands_begin_with_a_verb(self) -> None:
        found = [
            (where, text)
            for where, text in imperatives()
            if text.split(maxsplit=1)[0].lower().strip(",") not in VERBS
        ]
        self.assertEqual(found, [])

    def test_help_of_the_programs_fits_the_columns(self) -> None:
        shown = [
            f"{options.getSynopsis()}\n{options.getUsage(COLUMNS)}" for options in PROGRAMS.values()
        ]
        shown += [help_of(backup), help_of(ctl)]
        lines = [line for text in shown for line in text.splitlines()]
        self.assertGreater(len(lines), 100)
        self.assertEqual([line for line in lines if len(line) > COLUMNS], [])

    def test_a_command_without_an_interface_names_no_option_of_one(self) -> None:
        for name, make in (*COMMANDS.items(), ("doctor", DoctorOptions)):
            usage = make().getUsage(COLUMNS)
            found = [one for one in OF_INTERFACE if re.search(rf"--{one}[= ]", usage)]
            self.assertEqual((name, found), (name, []))
            self.assertIn("--server=", usage)
            for one in OF_INTERFACE:  # scripts that give them go on
                self.assertTrue({one, f"{one}="} & set(make().longOpt))

    def test_help_of_the_commands_fits_the_columns(self) -> None:
        lines = [line for asked in ("", *TOPICS) for line in help_answer(asked).lines]
        self.assertGreater(len(lines), len(ROWS))
        self.assertEqual([line for line in lines if len(line) > COLUMNS - INDENT], [])
        self.assertEqual([one for one in USAGE.values() if len(one) > COLUMNS - INDENT], [])
