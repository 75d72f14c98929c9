"""Values between our own programs: names, texts and paths that are no plain words, with real processes."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, Stage
from tests.e2e.scripts import Person

ODD = [
    b"\xff\xfe.bin",
    b"line\nend",
    b"-rf ~ 'quoted\" \\",
    b'#den @bob {"do": 1}',
    "ünïcødé 😀".encode(),
]
"""Names of files that a line of words could not carry."""


@pytest.fixture(scope="module")
def people(shared_stage: Stage) -> tuple[Person, Person]:
    """Alice, whose client runs, and bob, whose client takes everything."""
    _, port = shared_stage.server()
    alice, bob = Person(shared_stage, "alice", port), Person(shared_stage, "bob", port)
    bob.his = bob.client("--answer", "all", "--accept", "known")  # type: ignore[attr-defined]
    alice.hers = alice.client()  # type: ignore[attr-defined]
    assert alice.do("send", "bob", "hello") == (0, "")
    bob.his.event("message", text="hello")  # type: ignore[attr-defined]
    return alice, bob


def test_file_of_any_name_is_sent_by_the_running_client(
    people: tuple[Person, Person], tmp_path: Path
) -> None:
    alice, bob = people
    paths = [os.fsencode(tmp_path) + b"/" + name for name in ODD]
    for number, path in enumerate(paths):
        Path(os.fsdecode(path)).write_bytes(bytes([number]))
    names = [os.fsdecode(path) for path in paths]
    assert alice.do("send-file", "--timeout", "20", "bob", *names) == (0, "")
    came = sorted(path.read_bytes() for path in bob.downloads.iterdir())
    assert came == [bytes([number]) for number in range(len(ODD))]


def test_text_that_grows_when_escaped_passes_everywhere(
    people: tuple[Person, Person],
) -> None:
    alice, bob = people
    his, hers = bob.his, alice.hers  # type: ignore[attr-defined]
    text = "ab\x01\x02\x03\x04é😀" * 2000
    line = json.dumps({"do": "msg", "to": "bob", "text": text})
    assert len(text.encode()) < 24 * 1024 < 64 * 1024 < len(line)
    hers.send_line(line)
    his.event("message", text=text)
    with alice.control() as script:
        script.say(line)
        his.event("message", text=text)
        script.say(json.dumps({"do": "msg", "to": "bob", "text": "x" * 65537}))
        assert script.event("error", command="msg")["status"] == 413
    assert alice.do("send", "bob", text=b"/quit\n/send ~nobody/x \\ '\"") == (0, "")
    his.event("message", text="/quit\n/send ~nobody/x \\ '\"")
    hers.send_line('{"do": "id"')
    assert "JSON" in hers.event("error", status=400)["text"]
    hers.send_line('{"do": "id"}')
    hers.event("answer", command="id")


def test_unknown_home_folder_is_one_line(
    people: tuple[Person, Person],
) -> None:
    alice, _ = people
    hers = alice.hers  # type: ignore[attr-defined]
    with alice.control() as script:
        for say in (script.say, hers.send_line):
            say("/send ~nosuchuser/x")
        assert "~nosuchuser" in script.event("error", command="send")["text"]
        assert "~nosuchuser" in hers.event("error", command="send")["text"]
        script.say('{"do": "id"}')
        script.event("answer", command="id")


def test_a_client_of_an_older_version_is_one_line(stage: Stage) -> None:
    alice = Person(stage, "alice", 1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(alice.home / "control.sock"))
        listening.listen()

        def older() -> None:
            """Do as f9d4db7 does with a line that it takes for a text."""
            for _ in range(2):
                made, _ = listening.accept()
                with made, made.makefile("rwb") as lines:
                    lines.readline()
                    told = {
                        "event": "error",
                        "text": "you are in no conversation",
                        "command": "say",
                    }
                    lines.write(json.dumps(told).encode() + b"\n")

        thread = threading.Thread(target=older)
        thread.start()
        for words in (("send", "bob", "x"), ("info",)):
            code, line = alice.do(*words)
            assert (code, "older version" in line) == (2, True), line
        thread.join(LIMIT)
