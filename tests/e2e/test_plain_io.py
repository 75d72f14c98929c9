"""Real programs whose TCP and TLS are the plain library's, as with libraries that are not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.movers import MIB, MakeWay, noise


def test_messages_and_a_file_arrive_without_the_fast_paths(
    make_way: MakeWay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATPROTO_PLAIN_IO", "1")
    big = tmp_path / "big.bin"
    expected = noise(big, 8 * MIB)
    way = make_way(bob=("--accept", "known"))
    way.alice.say("there")
    way.bob.now.hear(1)
    way.alice.send(big)
    way.bob.say("back")
    way.alice.now.hear(1)
    way.bob.done()
    way.alice.done()
    way.bob.assert_whole({"big.bin": expected})
