"""Parser for the sub-commands of chatserver that run without Twisted."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NoReturn

from chatproto.cli.exit_codes import WRONG_OPTIONS


class Parser(ArgumentParser):
    """Argument parser with one-line errors."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_OPTIONS, f"{self.prog}: {message} ({self.prog} --help lists the options)\n")
