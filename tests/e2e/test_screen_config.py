"""The full interface with a file of options, and in its rooms again at the next start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Stage, staged
from tests.e2e.screens import ScreenClient


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def test_options_keys_colours_and_rooms_of_the_file_hold_at_each_start(stage: Stage) -> None:
    _, port = stage.server()
    where = f"127.0.0.1:{port}"
    home = stage.place("alice")
    file = home / "client.toml"
    file.write_text(
        f"""
        id = "alice"
        server = "{where}"
        port = "tcp:0:interface=127.0.0.1"
        autojoin = "tea"
        time-format = "%Hh%M"
        [keys]
        accept = "f5"
        [colors]
        you = 208
        """
    )
    alice = ScreenClient(home, "--config", str(file), columns=120)
    try:
        alice.expect("in #tea, with nobody else")
        alice.enter("/status")
        alice.expect("autojoin tea")
        alice.enter("/join den")
        alice.expect("in #den, with nobody else")
        alice.wait_for(lambda: alice.prompt == "to #den>", "the prompt for the room")
        bob = stage.open_client("bob", where, "--answer", "all")
        bob.event("registered")
        bob.send_line("/chat alice")
        alice.expect("? bob calls (encrypted): F5 accept, Alt-d decline, Alt-v verify")
        alice.type("\x1b[15~")
        bob.event("session", id="alice", state="open")
        alice.wait_for(lambda: alice.prompt == "to bob 🔒>", "the prompt for bob")
        alice.enter("hello")
        bob.event("message", text="hello")
        alice.wait_for(lambda: b"\x1b[38;5;208myou" in alice.raw, "one's own colour")
        alice.type("\x04")
        assert alice.wait() == 0
    finally:
        alice.end()
    again = ScreenClient(home, "--config", str(file))
    try:
        again.expect("in #tea, with nobody else")
        again.expect("in #den, with nobody else")
        again.wait_for(lambda: again.prompt == "to nobody>", "the prompt")
        again.type("\x04")
        assert again.wait() == 0
    finally:
        again.end()
