"""Write docs/reference.md and the manual pages in docs/man from the code: `python misc/manual.py`.

Both are made from what `--help` prints: the options, the commands and their descriptions. The exit
codes are those of the tables in docs/operations.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from twisted.python.usage import Options

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from chatproto.cli import backup, ctl  # noqa: E402
from chatproto.cli.client_options import Options as ClientOptions  # noqa: E402
from chatproto.cli.convert import ConvertOptions  # noqa: E402
from chatproto.cli.doctor import DoctorOptions  # noqa: E402
from chatproto.cli.limit_help import GROUPS  # noqa: E402
from chatproto.cli.main import CHATPROTO_USAGE  # noqa: E402
from chatproto.cli.oneshot import COMMANDS  # noqa: E402
from chatproto.cli.passwd import PasswdOptions  # noqa: E402
from chatproto.cli.server_options import ServerOptions  # noqa: E402
from chatproto.cli.shell_completion import options_of  # noqa: E402
from chatproto.server.metrics import HELP  # noqa: E402
from chatproto.server.terminal import USAGES  # noqa: E402
from chatproto.ui.commands import ROWS  # noqa: E402
from chatproto.wire.limits import SERVER_DEFAULTS  # noqa: E402

PAGE = ROOT / "docs" / "reference.md"
FOLDER = ROOT / "docs" / "man"
OPERATIONS = ROOT / "docs" / "operations.md"
Rows = list[tuple[str, str]]
HEAD = """# Options and metrics

`python misc/manual.py` makes this page and the manual pages (`man chatserver`) from the code.
[Running it](operations.md) explains them.
"""
LIMITS_HEAD = """## Limits of the server

Nothing that a client sends is kept, counted or waited for without a limit. `--limits NAME=VALUE` sets a
limit of the server; `chatserver --limits explain` prints these tables. An empty last column means: leave
it. "Answered 429" and the like are [codes of errors](operations.md#codes) that the client gets.
[PROTOCOL.md](PROTOCOL.md#6-limits) has the limits of the client.
"""


@dataclass(frozen=True)
class Command:
    """One command line: `arguments`, `options` and `commands` are pairs of a term and its meaning."""

    name: str
    synopsis: list[str]
    about: str
    options: Rows
    arguments: Rows
    commands: Rows
    exits: Rows
    others: str = ""
    """Whose options it takes as well."""

    @property
    def page(self) -> str:
        """The name of its manual page."""
        return self.name.replace(" ", "-")

    @property
    def summary(self) -> str:
        """The first sentence of its description, without the full stop, in lower case."""
        first = re.split(r"\.(?:\s|$)|, which ", self.about)[0]
        return first[0].lower() + first[1:]


def commands() -> Iterator[Command]:
    """Yield every command, a program before its sub-commands."""
    usual, one_shot = (
        exits("| | |", "## Exit codes"),
        exits("| exit code | of a one-shot command |"),
    )
    typed = [
        (usage, meaning) for usage, _, meaning in (one.partition(": ") for one in USAGES.values())
    ]
    server, client = ServerOptions(), ClientOptions()
    yield _made("chatserver", server, commands=typed, codes=usual)
    yield _made("chatserver passwd", PasswdOptions(), codes=usual[:3])
    yield _made("chatserver convert", ConvertOptions(), codes=usual[:3])
    for parser, codes in (
        (backup.make_parser(), usual[:3]),
        (ctl.make_parser(), exits("| exit code of `ctl` | |")),
    ):
        synopsis = parser.format_usage().removeprefix("usage: ").split("\n\n")[0]
        yield Command(
            parser.prog,
            [" ".join(synopsis.split())],
            parser.description or "",
            [(flags, text) for flags, text in parser.rows if flags.startswith("-")],
            [(name, text) for name, text in parser.rows if not name.startswith("-")],
            typed if parser.prog.endswith("ctl") else [],
            codes,
        )
    slashed = [(row.usage, row.help) for row in ROWS.values()]
    yield _made("chatclient", client, commands=slashed, codes=usual)
    for name, make in (*COMMANDS.items(), ("doctor", DoctorOptions)):
        codes = one_shot if name != "doctor" else []
        yield _made(f"chatclient {name}", make(), client, codes=codes)
    lines = [line.removeprefix("Usage:").split("  ") for line in CHATPROTO_USAGE.splitlines()]
    yield Command(
        "chatproto",
        [next(part.strip() for part in line if part.strip()) for line in lines],
        "Start the server or the client of chatproto, a direct chat for a terminal.",
        [("--version", "Print the version and exit.")],
        [],
        [],
        [],
    )


def _made(
    name: str,
    options: Options,
    beside: Options | None = None,
    commands: Rows | None = None,
    codes: Rows | None = None,
) -> Command:
    """Describe a command with options of Twisted's kind, without those of `beside`."""
    known = set(options_of(beside)) if beside is not None else set()
    rows = []
    for long, row in options_of(options).items():
        if long in known:
            continue
        short = [one for one, other in options.synonyms.items() if other == long and len(one) == 1]
        flags = ", ".join([*(f"-{one}" for one in short), f"--{long}{'=' if row.takes else ''}"])
        default = options.defaults.get(long)
        shown = f" [default: {default}]" if row.takes and default not in (None, "") else ""
        rows.append((flags, " ".join(row.about.split()) + shown))
    lines = [
        line.partition(":")[2].strip()
        for line in options.getSynopsis().splitlines()
        if line.partition(":")[2].strip()
    ]
    others = f"The options of {beside_name(beside)} are accepted as well." if beside else ""
    about = str(getattr(options, "longdesc", ""))  # Twisted's own type does not have it
    return Command(name, lines, about, rows, [], commands or [], codes or [], others)


def beside_name(options: Options) -> str:
    """Return the name of the program that `options` belong to."""
    return "chatserver" if isinstance(options, ServerOptions) else "chatclient"


def exits(head: str, after: str = "") -> Rows:
    """Read the table of exit codes in docs/operations.md whose first line is `head`."""
    text = OPERATIONS.read_text(encoding="utf-8")
    text = text[text.index(after) :]
    rows = text.split(f"\n{head}\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [(code, re.sub(r"\[([^\]]+)\]\([^)]*\)|`", r"\1", text)) for code, text in cells]


# The page.


def page() -> str:
    """Return docs/reference.md."""
    parts = [HEAD]
    for command in commands():
        parts.append(f"## {command.name}\n")
        parts.append("".join(f"    {line}\n" for line in command.synopsis))
        parts.append(f"{_wrapped(command.about)}\n")
        if command.others:
            parts.append(f"{command.others}\n")
        if command.options:
            parts.append("| option | |\n| --- | --- |\n" + _table(command.options))
    parts.append("## Metrics\n")
    rows = [(f"chatserver_{name}", text) for name, text in sorted(HELP.items())]
    parts.append(
        "`/metrics` has these numbers; counters end in `_total`. Those with labels are in\n"
        "[monitoring](operations.md#looking-after-it).\n"
    )
    parts.append("| metric | |\n| --- | --- |\n" + _table(rows))
    parts.append(_limits())
    return "\n".join(parts)


def _limits() -> str:
    """Return the section about the limits, a table for each group."""
    parts = [LIMITS_HEAD]
    for group, explained in GROUPS.items():
        head = "| limit | default | bounds | at the limit | change it |\n| --- | --- | --- | --- | --- |\n"
        rows = [
            f"| `{name}` | {_value(name)} {one.unit} | {one.bounds} | {one.reached} | {one.change} |\n"
            for name, one in explained.items()
        ]
        parts.append(f"### {group}\n\n{head}{''.join(rows)}")
    parts.append(
        _wrapped("[Several servers](operations.md#several-servers) may have different limits.")
    )
    return "\n".join(parts) + "\n"


def _value(name: str) -> str:
    return f"{getattr(SERVER_DEFAULTS, name.replace('-', '_')):.12g}"


def _table(rows: Rows) -> str:
    return "".join(f"| `{term}` | {text.replace('|', chr(92) + '|')} |\n" for term, text in rows)


def _wrapped(text: str) -> str:
    return fill(text, 100, break_on_hyphens=False)


# The manual pages.


def manual(command: Command, every: list[Command]) -> str:
    """Return the manual page of `command` as roff(7)."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    version = config["metadata"]["version"]
    lines = [
        f'.TH {command.page.upper()} 1 "" "chatproto {version}"',
        *(".SH NAME", f"{_roff(command.page)} \\- {_roff(command.summary)}"),
        ".SH SYNOPSIS",
    ]
    for synopsis in command.synopsis:
        lines += [_roff(synopsis), ".br"]
    lines += [".SH DESCRIPTION", _roff(command.about)]
    if command.others:
        lines += [".PP", _roff(command.others)]
    sections = (
        ("ARGUMENTS", command.arguments),
        ("OPTIONS", command.options),
        ("COMMANDS", command.commands),
        ("EXIT STATUS", command.exits),
    )
    for head, rows in sections:
        if rows:
            lines.append(f".SH {head}")
            for term, text in rows:
                lines += [".TP", f"\\fB{_roff(term)}\\fR", _roff(text)]
    program = command.name.split()[0]
    others = [one.page for one in every if one.page != command.page]
    near = [one for one in others if one.split("-")[0] == program or "-" not in one]
    lines += [".SH SEE ALSO", ",\n".join(f".BR {_roff(one)} (1)" for one in sorted(near))]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Escape `text` for a line of roff."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    escaped = escaped.replace("…", "...")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def files() -> dict[Path, str]:
    """Return each file that is made, with its content."""
    every = list(commands())
    pages = {FOLDER / f"{one.page}.1": manual(one, every) for one in every}
    return {PAGE: page(), **pages}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
