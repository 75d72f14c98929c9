"""The harness against small programs: what it waits for, what it notices, and that it ends them."""

from __future__ import annotations

import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import JsonClient, Program
from tests.ports import free_port

ECHO = "import sys\nfor line in sys.stdin: print('said', line.strip(), flush=True)\nprint('end')"


def program(tmp_path: Path, text: str, terminal: bool = False) -> Program:
    return Program([sys.executable, "-c", text], tmp_path, terminal=terminal)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_line_is_sent_and_awaited(tmp_path: Path, terminal: bool) -> None:
    echo = program(tmp_path, ECHO, terminal=terminal)
    echo.send_line("one")
    echo.send_line("grüße")
    assert echo.expect(re.compile("said (.*)"))[1] == "one"
    echo.expect("said grüße")
    if terminal:
        echo.send(b"\x04")
    else:
        echo.end_input()
    echo.expect("end")
    assert echo.wait() == 0
    assert echo.end() == 0


def test_reserved_port_is_free_only_for_the_program_that_is_told_it() -> None:
    port = free_port()
    with socket.socket() as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", port))
    for _ in range(2):  # a server, and the same server started again
        with socket.create_server(("127.0.0.1", port)), socket.socket() as caller:
            caller.connect(("127.0.0.1", port))


def test_control_c_on_a_terminal_is_a_signal(tmp_path: Path) -> None:
    text = "import signal; print('up', flush=True); signal.pause()"
    waiting = program(
        tmp_path, f"import signal; signal.signal(2, signal.SIG_DFL); {text}", terminal=True
    )
    waiting.expect("up")
    waiting.send(b"\x03")
    assert waiting.wait() == -signal.SIGINT
    waiting.end()


def test_wait_ends_when_the_program_has_ended(tmp_path: Path) -> None:
    short = program(tmp_path, "print('one'); print('two')")
    with pytest.raises(AssertionError, match=r"(?s)it ended.*\| one\n  \| two"):
        short.expect("three")
    short.end()


def test_running_programs_are_ended(tmp_path: Path) -> None:
    deaf = program(
        tmp_path,
        "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()",
    )
    deaf.expect("up")
    with pytest.raises(AssertionError, match="SIGTERM did not end it"):
        deaf.end(timeout=0.5)
    assert not deaf.running


@pytest.mark.parametrize("where", ["sys.stdout", "sys.stderr", "open('client.log', 'w')"])
def test_a_traceback_anywhere_is_noticed(tmp_path: Path, where: str) -> None:
    text = f"import sys; print('Traceback (most recent call last):', file={where})"
    wrong = program(tmp_path, text)
    assert wrong.wait() == 0
    with pytest.raises(AssertionError, match="Traceback"):
        wrong.end()


def test_an_event_is_taken_once_and_out_of_order(tmp_path: Path) -> None:
    text = (
        """print('{"event": "a", "n": 1}\\n{"event": "b", "from": "x"}\\n{"event": "a", "n": 2}')"""
    )
    client = JsonClient([sys.executable, "-c", text], tmp_path)
    assert client.event("b", from_="x") == {"event": "b", "from": "x"}
    assert client.event("a")["n"] == 1
    assert client.event("a", n=lambda n: n > 0)["n"] == 2
    with pytest.raises(AssertionError, match="it ended"):
        client.event("a")
    client.end()
