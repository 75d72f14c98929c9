"""Completion of the command line: scripts made from the options, and names from a running client."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproto.cli import shell_completion
from chatproto.cli.client_options import Options
from chatproto.cli.shell_completion import SHELLS, home_in, names_at, options_of, script

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", ["chatclient", "chatserver"])
def test_each_option_of_a_program_is_in_its_script(
    program: str, shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell_completion.main(program, [shell]) == 0
    printed = capsys.readouterr().out
    options = shell_completion._commands(program)[""]
    for name in options:
        assert f"-l {name} " in printed if shell == "fish" else f"--{name}" in printed
    assert {"home", "limits"} <= set(options) or program == "chatclient"


def test_another_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["tcsh"], ["bash", "zsh"]):
        assert shell_completion.main("chatclient", words) == 1
        assert "--completion takes one of bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("chatclient se", "send send-file"),
        ("chatclient --time", "--time --time-format"),
        ("chatclient send --time", "--timeout"),  # what has no effect there is left out
        ("chatclient --hom", "--home"),
        ("chatclient receive --onc", "--once"),
        ("chatclient --ui ''", "auto full plain json none"),
        ("chatclient --plain --dialect ra", "raw"),
        ("chatclient --answer = no", "none"),
        ("chatclient receive --accept ve", "verified"),
        ("chatclient send --home ''", ""),  # files, which bash offers then
        ("chatclient --ui full --ans", "--answer"),
        ("chatserver --require l", "login"),
        ("chatserver backup --st", "--store"),
        ("chatserver passwd --fi", "--file"),
        ("chatserver ctl --js", "--json"),
    ],
)
def test_bash_completes(words: str, wanted: str) -> None:
    program = words.split(" ")[0]
    made = script(program, "bash", shell_completion._commands(program))
    typed = words.split()
    asked = (
        f'COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _{program}; echo "${{COMPREPLY[@]}}"'
    )
    shown = subprocess.run(
        ["bash", "-c", f"{made}\n{asked}"], capture_output=True, text=True, check=True, timeout=60
    )
    assert (shown.stdout.strip(), shown.stderr) == (wanted, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_read_its_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    for program in ("chatclient", "chatserver"):
        made = script(program, shell, shell_completion._commands(program))
        read = subprocess.run([shell, "-n"], input=made, capture_output=True, text=True, timeout=60)
        assert (read.returncode, read.stderr) == (0, "")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "control.sock"


def answering(path: Path, *sent: bytes) -> threading.Thread:
    """Listen at `path`, and answer the first connection like this."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(1)

    def work() -> None:
        with listening, listening.accept()[0] as one:
            one.recv(4096)
            for data in sent:
                one.sendall(data)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_names_are_those_that_the_running_client_tells(place: Path) -> None:
    thread = answering(
        place,
        b'{"event": "contacts", "ref": "info", "list": [{"id": "bob"}, {"id": "#tea"}, {}]}\n'
        b'{"event": "contacts", "ref": "info", "list": [{"id": "$(rm x)"}]}\n'
        b'{"event": "message", "from": "eve", "text": "x"}\n{"event": "done", "ref": "info", "do',
        b'ne": true}\n',
    )
    assert names_at(place, 30.0) == ["bob"]
    thread.join(30)


def test_no_answer_means_no_names(place: Path) -> None:
    assert names_at(place) == []
    thread = answering(place, b"[]\nnonsense\n")
    assert names_at(place, 30.0) == []
    thread.join(30)


def test_the_home_is_that_of_the_options() -> None:
    homes = Path("/homes")
    assert home_in([], "me", homes) == Path("/homes/me")
    assert home_in(["send", "--id", "bob"], "me", homes) == Path("/homes/bob")
    assert home_in(["--id=bob", "--home=/there"], "me", homes) == Path("/there")


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_name_some_home(words: list[str]) -> None:
    assert isinstance(home_in(words, "me", Path("/homes")), Path)


def test_options_without_help_are_left_out() -> None:
    rows = options_of(Options())
    assert all(row.about for row in rows.values())
    assert rows["id"].takes
    assert not rows["plain"].takes
