"""Tab in real shells: ids that the client in the home of the command lists, values of options, folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chatproto.cli import shell_completion
from chatproto.cli.shell_completion import script
from tests.e2e.harness import Stage
from tests.e2e.screens import ScreenProgram
from tests.e2e.scripts import CHATCLIENT, Person

SHELLS = {
    "bash": (["bash", "--norc", "-i"], "true"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -D"),
    "fish": (["fish", "--no-config", "-i"], "true"),
}
"""How each shell is started without files of the person, and what its completion needs first."""


def complete(screen: ScreenProgram, begin: str, typed: str, whole: str) -> None:
    """Type the beginning of a word and Tab, and wait for the whole word."""
    screen.type(f"{begin}{typed}\t")
    screen.wait_for(lambda: screen.prompt.split(begin)[-1].rstrip() == whole, whole)
    screen.type("\x15")


def test_ids_values_and_folders_are_completed(stage: Stage) -> None:
    if missing := [shell for shell in SHELLS if shutil.which(shell) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    _, port = stage.server()
    person = Person(stage, "bob", port)
    person.client()
    environment = {
        "PATH": f"{Path(CHATCLIENT[0]).parent}:/usr/local/bin:/usr/bin:/bin",
        "PS1": "> ",
    }
    begin, name = f"chatclient send --home {person.home} ", f"{person.home.name}/"
    for shell, (command, needs) in SHELLS.items():
        place = stage.place(shell)
        made = script("chatclient", shell, shell_completion._commands("chatclient"))
        (place / "script").write_text(made)
        screen = ScreenProgram(place, command, 120, 24, environment)
        try:
            screen.enter(f"{needs}; source ./script; echo read''y")
            screen.expect("ready")
            complete(screen, begin, "bo", "bob")
            complete(screen, "chatclient --ui ", "pl", "plain")
            if shell != "fish":  # which goes on to the first file in the folder
                home = f"chatclient receive --home {person.home.parent}/"
                complete(screen, home, name[:-3], name)
        finally:
            screen.hang_up()
            screen.end()
