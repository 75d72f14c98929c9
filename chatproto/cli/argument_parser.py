"""Parser for the sub-commands of chatserver that run without Twisted."""

from __future__ import annotations

from argparse import Action, ArgumentParser
from typing import Any, NoReturn

from chatproto.cli.exit_codes import WRONG_OPTIONS


class Parser(ArgumentParser):
    """Argument parser with one-line errors; `rows` has each argument with its help, for the manual."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.rows: list[tuple[str, str]] = []
        super().__init__(*arguments, **options)

    def add_argument(self, *names: Any, **options: Any) -> Action:
        action = super().add_argument(*names, **options)
        flags = ", ".join(action.option_strings)
        value = "" if action.nargs == 0 or not flags else "="
        self.rows.append((f"{flags}{value}" or str(action.metavar), action.help or ""))
        return action

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_OPTIONS, f"{self.prog}: {message} ({self.prog} --help lists the options)\n")
