"""Test the library of asyncio against a small server that speaks the lines of control.sock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproto.api import asyncio as api
from chatproto.api.asking import Fields, Sending
from chatproto.api.commands import Contact
from chatproto.api.connection import MOST_WAITING
from chatproto.api.errors import Refused
from chatproto.api.events import Bye, Event, FileChanged, Lagged, Message
from chatproto.wire.limits import CLIENT_DEFAULTS
from tests.fresh_python import fresh_python

Answer = Callable[[dict[str, Any]], list[Fields] | None]
"""Events for a command, without `ref`; None: the client goes away."""
OK: Fields = {"event": "done", "code": "ok", "done": True}
ID: Fields = {"event": "answer", "command": "id", "id": "echo"}
HI = {"event": "message", "from": "bob", "text": "hi", "room": "#tea"}


class Running:
    """A client of which control.sock alone is there; `asked` has the commands."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                form = json.loads(line)
                self.asked.append({name: value for name, value in form.items() if name != "ref"})
                events = [ID, OK] if form["do"] == "id" else self._answer(form)
                if events is None:
                    break
                for event in events:
                    mark = {} if event.get("event") == "message" else {"ref": form["ref"]}
                    writer.write(json.dumps({**event, **mark}).encode() + b"\n")
        except ConnectionError:
            pass
        finally:
            writer.close()


def run(
    home: Path, answer: Answer, use: Callable[[api.Client], Awaitable[object]], **how: Any
) -> list[dict[str, Any]]:
    """Run `use` with an attached client; return what it asked."""
    running = Running(answer)

    async def main() -> None:
        server = await asyncio.start_unix_server(running.serve, home / "control.sock")
        async with server, await api.attach(home=home, **how) as me:
            await asyncio.wait_for(use(me), 60)

    asyncio.run(main())
    return running.asked[1:]


def answering(*events: Fields) -> Answer:
    return lambda form: list(events)


def failing(code: str) -> Answer:
    return answering({"event": "error", "code": code, "text": "why"}, {**OK, "code": code})


async def refused(asked: Awaitable[object]) -> str:
    with pytest.raises(Refused) as found:
        await asked
    return found.value.code


def test_nothing_of_twisted_is_imported() -> None:
    code = "import sys, chatproto.api.asyncio; print([n for n in sys.modules if 'twisted' in n])"
    assert fresh_python(code).strip() == "[]"


def test_a_home_without_a_client_is_refused(tmp_path: Path) -> None:
    assert asyncio.run(refused(api.attach(home=tmp_path))) == "not-found"
    with pytest.raises(ValueError):
        asyncio.run(api.attach())


def test_the_home_is_found_by_the_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    home = tmp_path / "chatproto" / "echo"
    home.mkdir(parents=True)

    async def main() -> None:
        running = Running(answering(OK))
        server = await asyncio.start_unix_server(running.serve, home / "control.sock")
        async with server, await api.attach(id="echo") as me:
            assert running.asked == [{"do": "id"}]
            assert me.id == "echo"

    asyncio.run(main())


def test_a_client_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_unix_server(silent, tmp_path / "control.sock"):
            assert await refused(api.attach(home=tmp_path, wait=0.01)) == "timeout"

    asyncio.run(main())


def test_each_method_sends_its_command(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        room = await me.join("#tea", key="k")
        await me.accept("bob")
        await me.decline(3)
        await room.send("hi")
        await room.topic("")
        await room.invite("bob")
        await room.kick("bob", "noise")
        await room.ban("bob", 60)
        await room.unban("bob")
        await room.mute("bob", 0)
        await room.op("bob")
        await room.leave()
        await me.leave("bob")
        await me.who("bob")
        await me.info("b")

    asked = run(tmp_path, answering(OK), use)
    tea = {"room": "#tea"}
    assert asked == [
        {"do": "join", **tea, "key": "k"},
        {"do": "accept", "id": "bob"},
        {"do": "decline", "id": 3},
        {"do": "msg", "to": "#tea", "text": "hi"},
        {"do": "topic", **tea, "text": ""},
        {"do": "invite", **tea, "id": "bob"},
        {"do": "kick", **tea, "id": "bob", "reason": "noise"},
        {"do": "ban", **tea, "id": "bob", "time": 60},
        {"do": "unban", **tea, "id": "bob"},
        {"do": "mute", **tea, "id": "bob", "time": 0},
        {"do": "op", **tea, "id": "bob"},
        {"do": "leave", **tea},
        {"do": "leave", "to": "bob"},
        {"do": "who", "id": "bob"},
        {"do": "info", "prefix": "b"},
    ]


def test_results_are_read_from_the_events_of_the_command(tmp_path: Path) -> None:
    told: dict[str, list[Fields]] = {
        "join": [{"event": "room", "room": "#tea", "change": "joined", "members": ["a", "b"]}, OK],
        "msg": [{"event": "notice", "text": "kept", "id": 7}, {**OK, "code": "queued"}],
        "info": [
            {"event": "contacts", "list": [{"id": "a", "host": "h", "port": 1, "key": None}, 3]},
            OK,
        ],
        "who": [{"event": "answer", "command": "who", "conversations": []}, OK],
    }

    async def use(me: api.Client) -> None:
        assert (await me.join("#tea")).members == ("a", "b")
        assert await me.send("bob", "hi") == Sending("bob", True, 7)
        assert await me.info() == (Contact("a", "h", 1),)
        assert (await me.who())["conversations"] == []

    run(tmp_path, lambda form: told[form["do"]], use)


def test_the_code_of_done_decides(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        assert await refused(me.send("bob", "hi")) == "away"

    run(tmp_path, failing("away"), use)

    async def fine(me: api.Client) -> None:
        await me.send("bob", "hi")

    run(tmp_path, answering({"event": "error", "code": "away", "text": "passing"}, OK), fine)


def test_progress_callback_is_called_and_its_error_raised(tmp_path: Path) -> None:
    moved = {"event": "file", "id": 1, "name": "a", "state": "sending", "offset": 5, "size": 9}
    seen: list[FileChanged] = []

    async def use(me: api.Client) -> None:
        await me.send_file("bob", "a", progress=seen.append)
        with pytest.raises(ZeroDivisionError):
            await me.send_file("bob", "a", progress=lambda _: 1 // 0)
        await me.leave("#tea")

    asked = run(tmp_path, answering(moved, OK), use)
    assert [one.done for one in seen] == [5]
    assert asked[0] == {"do": "send", "to": "bob", "paths": [str(Path("a").absolute())]}


def test_messages_are_those_of_the_room_that_are_new(tmp_path: Path) -> None:
    past, other, direct = {**HI, "history": True}, {**HI, "room": "#den"}, {**HI, "room": None}

    async def use(me: api.Client) -> None:
        room = await me.join("#tea")
        assert await anext(room.messages()) == Message("bob", "hi", "#tea")
        later = me.messages("bob")
        waiting = asyncio.ensure_future(anext(later))
        await asyncio.sleep(0)  # so that the loop begins before the message comes
        await me.join("#tea")
        assert await waiting == Message("bob", "hi")

    run(tmp_path, answering(past, other, HI, direct, OK), use)


def test_slow_reader_learns_how_many_events_it_missed(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        await me.join("#tea")
        events = me.events()
        assert await anext(events) == Lagged(5)
        assert isinstance(await anext(events), Message)

    run(tmp_path, answering(*[HI] * (MOST_WAITING + 5), OK), use)


def test_each_loop_receives_all_events(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        one, other = me.events(), me.events()
        await me.join("#tea")
        assert await anext(one) == await anext(other) == Message("bob", "hi", "#tea")

    run(tmp_path, answering(HI, OK), use)


def test_event_after_the_end_of_its_request_goes_to_loops(tmp_path: Path) -> None:
    late = {"event": "bye", "id": "bob"}

    async def use(me: api.Client) -> None:
        await me.send("bob", "hi")
        assert await anext(me.events()) == Bye("bob")

    run(tmp_path, answering(OK, late), use)


def test_requests_end_when_the_client_exits(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        left = me.events()
        codes = await asyncio.gather(*(refused(me.send("bob", "hi", None)) for _ in range(3)))
        assert codes == ["stopping"] * 3
        assert await refused(me.join("#tea")) == "stopping"
        assert [event async for event in left] == []
        assert [event async for event in me.events()] == []

    run(tmp_path, lambda form: None, use)


def test_requests_end_when_the_connection_is_closed(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        async def read() -> list[Event]:
            return [event async for event in me.events()]

        asked, reading = (
            asyncio.ensure_future(refused(me.join("#a"))),
            asyncio.ensure_future(read()),
        )
        await asyncio.sleep(0)  # so that both have begun
        await me.close()
        assert await asked == "stopping"
        assert await reading == []
        await me.close()

    run(tmp_path, answering(), use)


def test_request_times_out_and_the_next_one_succeeds(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        assert await refused(me.send("bob", "hi", wait=0.01)) == "timeout"
        await me.join("#tea")

    run(tmp_path, lambda form: [] if form["do"] == "msg" else [OK], use)


def test_limits(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        text = "x" * CLIENT_DEFAULTS.control_line
        assert await refused(me.send("bob", text)) == "too-large"
        many = [asyncio.ensure_future(refused(me.send("bob", "", None))) for _ in range(1001)]
        done, _ = await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
        assert [one.result() for one in done] == ["too-many"]
        await me.close()
        assert [await one for one in many] == ["stopping"] * 1000 + ["too-many"]

    run(tmp_path, answering(), use)


def test_an_event_that_is_too_long_ends_the_connection(tmp_path: Path) -> None:
    async def use(me: api.Client) -> None:
        assert await refused(me.join("#tea")) == "too-large"

    run(tmp_path, answering({**HI, "text": "x" * 3000}, OK), use, longest=1000)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["fine", "fails", "silent", "goes"]), max_size=8))
def test_every_request_ends_exactly_once(ends: list[str]) -> None:
    """Also if the client does not answer, or goes."""
    answers: dict[str, list[Fields] | None] = {
        "fine": [OK],
        "fails": [{**OK, "code": "busy"}],
        "silent": [],
        "goes": None,
    }

    def answer(form: dict[str, Any]) -> list[Fields] | None:
        return answers[form["text"]]

    async def use(me: api.Client) -> None:
        asked = (me.send("bob", end, wait=0.01 if end == "silent" else None) for end in ends)
        results = await asyncio.gather(*asked, return_exceptions=True)
        gone = ends.index("goes") if "goes" in ends else len(ends)
        for end, result in list(zip(ends, results, strict=True))[:gone]:
            if end == "fine":
                assert result == Sending("bob")
            else:
                assert isinstance(result, Refused)
                assert result.code in {"fails": ["busy"], "silent": ["timeout", "stopping"]}[end]
        for result in results[gone:]:
            assert isinstance(result, Refused) and result.code in ("stopping", "timeout")

    with TemporaryDirectory() as home:
        run(Path(home), answer, use)
