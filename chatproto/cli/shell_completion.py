"""Completion of the command line in bash, zsh and fish, made from the options themselves.

`chatclient --completion bash` prints a script for the shell. For an id, the script runs `chatclient
--completion names WORDS`, which asks the client that runs in that home.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs
from twisted.python.usage import Options

from chatproto.cli.argument_parser import Parser
from chatproto.cli.exit_codes import WRONG_OPTIONS
from chatproto.ui.control import NAME
from chatproto.wire.fields import ID
from chatproto.wire.values import value_class

SHELLS = ("bash", "zsh", "fish")
NAMES = "names"
"""Word with which the scripts request the ids that a running client lists."""
ASKED_FOR = 1.0
"""Seconds for the answer of the running client: the user waits for it."""
MOST_READ = 1 << 20
"""Largest number of bytes of its answer."""
NAMED = ("send", "send-file", "receive", "info")
"""Commands of chatclient that take an id; none takes a room."""


@value_class
class OptionRow:
    """Option in `--help`: its help, True if it takes a value, and its possible values."""

    about: str
    takes: bool
    choices: tuple[str, ...] = ()


Words = Mapping[str, Mapping[str, OptionRow]]
"""Options of each sub-command by name; those of the program itself have the name ""."""


def script(program: str, shell: str, words: Words) -> str:
    """Return the completion script of `program` for `shell`."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](program, words)


def options_of(options: Options) -> dict[str, OptionRow]:
    """Return each long option that `--help` shows."""
    hidden: frozenset[str] = getattr(options, "hidden", frozenset())
    choices: Mapping[str, tuple[str, ...]] = getattr(options, "choices", {})
    found = {}
    for long in sorted(options.longOpt):
        name = long.removesuffix("=")
        about = str(options.docs.get(name) or options.docs.get(name.replace("-", "_")) or "")
        if about and name not in hidden:
            found[name] = OptionRow(about, long.endswith("="), choices.get(name, ()))
    return found


def arguments_of(parser: Parser) -> dict[str, OptionRow]:
    """Return each long option of `parser`."""
    rows = ((text.rpartition("--")[2], about) for text, about in parser.rows if "--" in text)
    return {name.removesuffix("="): OptionRow(about, name.endswith("=")) for name, about in rows}


def _valued(words: Words) -> dict[str, tuple[str, ...]]:
    """Return the options with a value, and their possible values."""
    found: dict[str, tuple[str, ...]] = {}
    for rows in words.values():
        found |= {f"--{name}": row.choices for name, row in rows.items() if row.takes}
    return found


def _bash(program: str, words: Words) -> str:
    function = f"_{program}"
    cases = "\n".join(
        f"    {name}) words={shlex.quote(' '.join(f'--{one}' for one in words[name]))} ;;"
        for name in words
        if name
    )
    usual = shlex.quote(" ".join(f"--{one}" for one in words[""]))
    names = " ".join(name for name in words if name)
    valued = _valued(words)
    chosen = "\n".join(
        f"    {name}) COMPREPLY=($(compgen -W {shlex.quote(' '.join(values))} -- "
        f'"$current")); return ;;'
        for name, values in valued.items()
        if values
    )
    free = "|".join(name for name, values in valued.items() if not values)
    return f"""# Completion of {program} for bash: eval "$({program} --completion bash)"
{function}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words
  COMPREPLY=()
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD-2]}}
  fi
  case $before in
{chosen or "    '') ;;"}
    {free}) return ;;
  esac
  case ${{COMP_WORDS[1]}} in
{cases or "    '') ;;"}
    *) words={usual} ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  elif [[ $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W {shlex.quote(names)} -- "$current"))
  elif [[ " {" ".join(NAMED)} " == *" ${{COMP_WORDS[1]}} "* ]]; then
    COMPREPLY=($(compgen -W "$({program} --completion names "${{COMP_WORDS[@]:1}}" 2>/dev/null)" \\
      -- "$current"))
  fi
}}
complete -o default -F {function} {program}
"""


def _zsh(program: str, words: Words) -> str:
    def described(rows: Mapping[str, OptionRow]) -> str:
        return " ".join(shlex.quote(f"--{name}:{row.about}") for name, row in rows.items())

    cases = "\n".join(
        f"    {name}) options=({described(words[name])}) ;;" for name in words if name
    )
    names = " ".join(name for name in words if name)
    valued = _valued(words)
    chosen = "\n".join(
        f"    {name}) compadd -- {' '.join(values)}; return ;;"
        for name, values in valued.items()
        if values
    )
    free = "|".join(name for name, values in valued.items() if not values)
    return f"""#compdef {program}
# Completion of {program} for zsh: eval "$({program} --completion zsh)"
_{program}() {{
  local -a options
  local before=$words[CURRENT-1]
  if [[ $words[CURRENT] == --*=* ]]; then
    before=${{words[CURRENT]%%=*}}
    compset -P '*='
  fi
  case $before in
{chosen or "    '') ;;"}
    {free}) _files; return ;;
  esac
  case $words[2] in
{cases or "    '') ;;"}
    *) options=({described(words[""])}) ;;
  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe option options
  elif (( CURRENT == 2 )); then
    compadd -- {names}
    _files
  elif [[ " {" ".join(NAMED)} " == *" $words[2] "* ]]; then
    compadd -- ${{(f)"$({program} --completion names ${{words[2,-1]}} 2>/dev/null)"}}
    _files
  else
    _files
  fi
}}
compdef _{program} {program}
"""


def _fish(program: str, words: Words) -> str:
    lines = [f"# Completion of {program} for fish: {program} --completion fish | source"]
    names = [name for name in words if name]
    for name in names:
        lines.append(f"complete -c {program} -n __fish_use_subcommand -a {name}")
    for name, rows in words.items():
        where = f"-n '__fish_seen_subcommand_from {name}'" if name else "-n __fish_use_subcommand"
        for option, row in rows.items():
            value = " -r" if row.takes else ""
            if row.choices:
                value = f" -x -a {shlex.quote(' '.join(row.choices))}"
            about = shlex.quote(row.about)
            lines.append(f"complete -c {program} {where} -l {option}{value} -d {about}")
    if set(NAMED) & set(names):
        asked = f"({program} --completion names (commandline -opc)[2..] 2>/dev/null)"
        lines.append(
            f"complete -c {program} -n '__fish_seen_subcommand_from {' '.join(NAMED)}'"
            f" -a {shlex.quote(asked)}"
        )
    return "\n".join(lines) + "\n"


def names_at(path: Path, seconds: float = ASKED_FOR) -> list[str]:
    """Return the ids that the client at the control socket `path` lists.

    None of them if no client answers within `seconds`, or its answer cannot be parsed.
    """
    found: set[str] = set()
    end = time.monotonic() + seconds
    with (
        # AttributeError: for a line that is not an object.
        contextlib.suppress(OSError, ValueError, AttributeError),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(seconds)
        client.connect(str(path))
        client.sendall(b'{"ref": "info", "do": "info"}\n')
        over, data = False, b""
        while not over and len(data) < MOST_READ and (wait := end - time.monotonic()) > 0:
            client.settimeout(wait)
            got = client.recv(65536)
            if not got:
                break
            *lines, data = (data + got).split(b"\n")
            for line in lines:
                event = json.loads(line)
                if event.get("ref") is not None:
                    over = over or bool(event.get("done"))
                    found.update(_ids_in(event))
    return sorted(found)


def _ids_in(event: dict[str, Any]) -> list[str]:
    """Return the plain ids in the answer to `info`."""
    rows = event.get("list") or ()
    names = [str(row.get("id") or "") for row in rows if isinstance(row, dict)]
    return [name for name in names if ID.fullmatch(name)]


def home_in(words: Sequence[str], usual_id: str, homes: Path) -> Path:
    """Return the home that the options in `words` name; `homes` has one for each id."""
    given = {"--home": "", "--id": ""}
    for word, after in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name in given:
            given[name] = value if equals else after
    named = os.path.expanduser(given["--home"])  # noqa: PTH111 (never fails, as Path's does)
    return Path(named) if named else homes / (given["--id"] or usual_id)


def main(program: str, words: Sequence[str]) -> int:
    """Print a script, or names, one a line; the exit code is 1 for another word."""
    if words[:1] == [NAMES]:
        from chatproto.cli.client_options import login_id

        homes = Path(platformdirs.user_data_dir("chatproto"))
        home = home_in(words[1:], login_id(), homes)
        print("\n".join(names_at(home / NAME)))
        return 0
    if len(words) != 1 or words[0] not in SHELLS:
        known = ", ".join(SHELLS)
        sys.stderr.write(f"{program}: --completion takes one of {known}\n")
        return WRONG_OPTIONS
    sys.stdout.write(script(program, words[0], _commands(program)))
    return 0


def _commands(program: str) -> Words:
    if program == "chatserver":
        from chatproto.cli import backup, convert, ctl, passwd, server_options

        return {
            "": options_of(server_options.ServerOptions()),
            "backup": arguments_of(backup.make_parser()),
            "convert": options_of(convert.ConvertOptions()),
            "ctl": arguments_of(ctl.make_parser()),
            "passwd": options_of(passwd.PasswdOptions()),
        }
    from chatproto.cli import client_options, doctor, oneshot

    return {
        "": options_of(client_options.Options()),
        **{name: options_of(make()) for name, make in oneshot.COMMANDS.items()},
        "doctor": options_of(doctor.DoctorOptions()),
    }
