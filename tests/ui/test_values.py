"""Commands as objects: the same arguments as typed, and every value comes out as it went in."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Event, Failed
from chatproto.ui.commands import ROWS, parse_values
from chatproto.ui.jsonlines import run_json
from chatproto.ui.oneshot import SendText
from chatproto.ui.oneshot_files import SendFiles
from chatproto.ui.references import Marks, References
from chatproto.wire.reasons import Reason
from tests.limits import DEFAULTS
from tests.ui.asked import asked_client

WRITTEN: list[tuple[str, dict[str, Any]]] = [
    ("/id", {"do": "id"}),
    ("/register", {"do": "register"}),
    ("/info", {"do": "info"}),
    ("/info al", {"do": "info", "prefix": "al"}),
    ("/bridge", {"do": "bridge"}),
    ("/bridge bob", {"do": "bridge", "id": "bob"}),
    ("/chat", {"do": "chat"}),
    ("/chat bob", {"do": "chat", "to": "bob"}),
    ("/chat --as raw [::1]:5557", {"do": "chat", "to": "[::1]:5557", "dialect": "raw"}),
    ("/msg hello", {"do": "msg", "text": "hello"}),
    ("/msg @bob hello", {"do": "msg", "to": "bob", "text": "hello"}),
    ("/msg @#den hello", {"do": "msg", "to": "#den", "text": "hello"}),
    ("/quit", {"do": "quit"}),
    ("/accept", {"do": "accept"}),
    ("/accept bob", {"do": "accept", "id": "bob"}),
    ("/accept 3", {"do": "accept", "id": 3}),
    ("/accept 3 /srv/in", {"do": "accept", "id": 3, "folder": "/srv/in"}),
    ("/accept @3", {"do": "accept", "id": "3"}),
    ("/decline bob", {"do": "decline", "id": "bob"}),
    ("/who", {"do": "who"}),
    ("/who bob", {"do": "who", "id": "bob"}),
    ("/switch #den", {"do": "switch", "to": "#den"}),
    ("/mode half", {"do": "mode", "mode": "half"}),
    ("/over", {"do": "over"}),
    ("/send a 'b c'", {"do": "send", "paths": ["a", "b c"]}),
    ("/files", {"do": "files"}),
    ("/cancel 2", {"do": "cancel", "id": 2}),
    ("/unsend 3", {"do": "unsend", "id": 3}),
    ("/unsend 3 bob", {"do": "unsend", "id": "3", "to": "bob"}),
    ("/history", {"do": "history"}),
    ("/history 5", {"do": "history", "count": 5}),
    ("/history #den", {"do": "history", "id": "#den"}),
    ("/history bob 5", {"do": "history", "id": "bob", "count": 5}),
    ("/outbox", {"do": "outbox"}),
    ("/status", {"do": "status"}),
    ("/path bob", {"do": "path", "id": "bob"}),
    ("/nearby", {"do": "nearby"}),
    ("/verify bob", {"do": "verify", "id": "bob"}),
    ("/verify bob yes", {"do": "verify", "id": "bob", "same": True}),
    ("/trust bob sha256:X", {"do": "trust", "id": "bob", "key": "sha256:X"}),
    ("/ignore bob", {"do": "ignore", "id": "bob"}),
    ("/ignore off bob", {"do": "ignore", "id": "bob", "off": True}),
    ("/ignore", {"do": "ignore"}),
    ("/resend bob", {"do": "resend", "id": "bob"}),
    ("/join #den key=KEY", {"do": "join", "room": "#den", "key": "KEY"}),
    ("/part", {"do": "part"}),
    ("/part #den", {"do": "part", "room": "#den"}),
    ("/away back soon", {"do": "away", "text": "back soon"}),
    ("/away", {"do": "away"}),
    ("/me waves", {"do": "me", "text": "waves"}),
    ("/leave #den", {"do": "leave", "room": "#den"}),
    ("/leave", {"do": "leave"}),
    ("/leave bob", {"do": "leave", "to": "bob"}),
    ("/rooms", {"do": "rooms"}),
    ("/names #den", {"do": "names", "room": "#den"}),
    ("/topic", {"do": "topic"}),
    ('/topic @#den ""', {"do": "topic", "room": "#den", "text": ""}),
    ("/topic new", {"do": "topic", "text": "new"}),
    ("/kick bob #den", {"do": "kick", "id": "bob", "room": "#den"}),
    ("/kick bob don't shout", {"do": "kick", "id": "bob", "reason": "don't shout"}),
    ("/ban bob 30m", {"do": "ban", "id": "bob", "time": 1800}),
    ("/ban bob 30m", {"do": "ban", "id": "bob", "time": "30m"}),
    ("/ban bob 2h #den", {"do": "ban", "id": "bob", "time": "2h", "room": "#den"}),
    ("/unban sha256:X #den", {"do": "unban", "id": "sha256:X", "room": "#den"}),
    ("/mute bob 1h #den", {"do": "mute", "id": "bob", "time": "1h", "room": "#den"}),
    ("/op bob 1h #den", {"do": "op", "id": "bob", "time": 3600, "room": "#den"}),
    ("/invite bob #den", {"do": "invite", "id": "bob", "room": "#den"}),
    ("/mute bob 0", {"do": "mute", "id": "bob", "time": 0}),
    ("/op bob", {"do": "op", "id": "bob"}),
    ("/invite bob", {"do": "invite", "id": "bob"}),
    ("/settings", {"do": "settings"}),
    ("/settings key= kept=yes #den", {"do": "settings", "room": "#den", "key": "", "kept": True}),
    ("/settings invited=no", {"do": "settings", "invited": False}),
    ("/search two words", {"do": "search", "text": "two words"}),
]
"""A line, and the object that asks the same."""

REFUSED: list[tuple[str, str]] = [
    ('{"do": "nonsense"}', "unknown command /nonsense"),
    ('{"do": "call", "to": "bob"}', "unknown command /call"),
    ('{"do": 5}', '"do" must be the name of a command'),
    ('{"do": "id"', "one whole JSON object"),
    ('{"to": "bob", "do": "msg", "text": "x"} and more', "one whole JSON object"),
    ('{"do": "msg", "text": "a", "text": "b"}', "one whole JSON object"),
    ('{"do": "msg", "text": ' + "[" * 100_000, "one whole JSON object"),
    ('{"do": "msg"}', 'needs "text"'),
    ('{"do": "msg", "text": ""}', "must not be empty"),
    ('{"do": "msg", "text": " \\n"}', "must not be empty"),
    ('{"do": "msg", "to": "", "text": "x"}', "must not be empty"),
    ('{"do": "msg", "text": 5}', "must be a string"),
    ('{"do": "msg", "text": "\\ud800"}', "valid Unicode"),
    ('{"do": "msg", "txt": "x", "text": "x"}', 'has no field "txt"'),
    ('{"do": "id", "of": "bob"}', "it takes nothing"),
    ('{"do": "send", "paths": "a"}', "a list of paths"),
    ('{"do": "send", "paths": []}', "a list of paths"),
    ('{"do": "send", "paths": [""]}', "no path may be empty"),
    ('{"do": "send", "paths": ["a\\u0000b"]}', "NUL"),
    ('{"do": "send", "paths": ["\\ud800"]}', "surrogate"),
    ('{"do": "cancel", "id": 0}', "number of at least 1"),
    ('{"do": "cancel", "id": true}', "number of at least 1"),
    ('{"do": "cancel", "id": 1.5}', "number of at least 1"),
    ('{"do": "cancel", "id": 1' + "0" * 5000 + "}", "one whole JSON object"),
    ('{"do": "accept", "id": ""}', "must not be empty"),
    ('{"do": "accept", "folder": "in"}', "absolute path"),
    ('{"do": "accept", "folder": 5}', "absolute path"),
    ('{"do": "accept", "folder": "/\\u0000"}', "NUL"),
    ('{"do": "mode", "mode": "quarter"}', "full or half"),
    ('{"do": "verify", "same": "yes"}', "true or false"),
    ('{"do": "mute", "id": "bob", "time": "soon"}', "a time such as 30m"),
    ('{"do": "mute", "id": "bob", "time": -1}', "a time such as 30m"),
    ('{"do": "join"}', 'needs "room"'),
]

PATHS = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name).map(os.fsdecode)
TEXTS = st.text(min_size=1).filter(str.strip)


def carried_out(line: str) -> tuple[list[tuple[object, ...]], Event | None]:
    node = asked_client()
    shown = run_json(line, node, References(lambda event, ref: None))
    return node.asked, shown


def told_of(line: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return what the client is asked, and the kind, `ref` and `code` of each event with a reference."""
    node, told = asked_client(), list[tuple[object, ...]]()

    def tell(event: Event, marks: Marks) -> None:
        told.append((event.event, marks.get("ref"), getattr(event, "code", None)))

    assert run_json(line, node, References(tell)) is None
    return node.asked, told


class ValuesTests(SynchronousTestCase):
    def test_invalid_line_with_a_reference_has_one_end(self) -> None:
        for line, ref in (
            ('{"ref": 8}', 8),
            ('{"ref": 8, "text": "a secret"}', 8),
            ('{"ref": "a", "do": null}', "a"),
            ('{"ref": 8, "do": 5}', 8),
            ('{"ref": 8, "do": ["msg"]}', 8),
            ('{"ref": 8, "do": "id"', 8),
            ('{"ref": "a", "do": "id", "do": "who"}', "a"),
            ('{"ref": -1, "do": "msg", "text": ' + "[" * 100_000, -1),
            ('{"ref": 8, "do": "id"} and more', 8),
        ):
            self.assertEqual(
                told_of(line),
                ([], [("error", ref, Reason.MALFORMED), ("done", ref, "malformed")]),
                line,
            )
        self.assertEqual(carried_out('{"text": 1}')[0], [("say", '{"text": 1}')])

    def test_each_object_does_the_same_as_its_line(self) -> None:
        for line, values in WRITTEN:
            asked, shown = carried_out(json.dumps(values))
            self.assertIsNone(shown, values)
            self.assertEqual(asked, carried_out(line)[0], line)

    def test_every_command_has_a_json_form(self) -> None:
        self.assertEqual(set(ROWS) - {values["do"] for _, values in WRITTEN}, {"help", "drop"})
        for row in ROWS.values():
            for field in row.fields:
                tried = any(v["do"] == row.name and field.name in v for _, v in WRITTEN)
                elsewhere = (row.name, field.name) in (
                    ("help", "command"),
                    ("send", "to"),
                    ("me", "to"),
                )
                self.assertTrue(tried or elsewhere, (row.name, field.name))

    def test_help_is_one_too(self) -> None:
        _, shown = carried_out('{"do": "help", "command": "msg"}')
        self.assertEqual(getattr(shown, "command", ""), "help")

    def test_invalid_object_is_one_sentence(self) -> None:
        for line, words in REFUSED:
            asked, shown = carried_out(line)
            assert isinstance(shown, Failed), line[:80]
            self.assertIn(words, shown.text, line[:80])
            self.assertLess(len(shown.text), 200)
            self.assertEqual(asked, [], line[:80])

    def test_another_line_that_begins_with_a_brace_is_a_text_as_before(self) -> None:
        for line in ("{", "{hello}", '{"event": "message"}', '{"a": {"do": 1}}', "{}"):
            self.assertEqual(carried_out(line), ([("say", line)], None))

    def test_values_mean_themselves(self) -> None:
        path = "~/'a \"b\\ #c@d\n-x"
        asked, _ = carried_out(json.dumps({"do": "send", "to": "@#-'", "paths": [path]}))
        self.assertEqual(asked, [("send", path, "@#-'")])

    @given(st.lists(PATHS, min_size=1))
    def test_any_path_is_unchanged(self, paths: list[str]) -> None:
        work = SendFiles("bob", tuple(dict.fromkeys(paths)))
        work.heard(
            {"event": "answer", "command": "who", "conversations": [{"id": "bob", "state": "open"}]}
        )
        step = work.heard({"event": "answer", "command": "files", "files": []})
        came = [path for one in step.commands for path in parse_values(one).arguments[1:]]
        self.assertEqual(came, list(dict.fromkeys(paths)))
        for one in step.commands:
            asked, shown = carried_out(json.dumps(one))
            self.assertEqual((asked, shown), ([("send", *one["paths"], "bob")], None))

    @given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
    def test_a_path_in_raw_bytes_too(self, name: bytes) -> None:
        escaped = json.dumps({"do": "send", "paths": ["x"]}, ensure_ascii=False).encode()
        quoted = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        line = escaped.replace(b"x", quoted).decode("utf-8", "surrogateescape")
        asked, shown = carried_out(line)
        if any(byte < 32 for byte in name):
            self.assertIsInstance(shown, Failed)  # JSON wants those escaped
        else:
            self.assertEqual(asked, [("send", os.fsdecode(name))])

    @given(TEXTS)
    def test_any_text_is_unchanged(self, text: str) -> None:
        for given_ in (
            SendText("bob", text)
            .heard(
                {
                    "event": "answer",
                    "command": "who",
                    "conversations": [{"id": "bob", "state": "open"}],
                }
            )
            .commands
        ):
            for ascii in (True, False):
                asked, shown = carried_out(json.dumps(given_, ensure_ascii=ascii))
                self.assertEqual((asked, shown), ([("msg", text, "bob")], None))

    @given(st.text())
    def test_any_name_is_unchanged_or_refused(self, name: str) -> None:
        for do, key in (("chat", "to"), ("switch", "to"), ("ignore", "id"), ("names", "room")):
            asked, shown = carried_out(json.dumps({"do": do, key: name}))
            if name:
                self.assertEqual((asked[0][1], shown), (name, None))
            else:
                self.assertIsInstance(shown, Failed)

    @given(st.binary(max_size=200))
    def test_no_bytes_raise(self, line: bytes) -> None:
        carried_out(line.decode("utf-8", "surrogateescape"))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
        st.sampled_from(sorted(ROWS)),
        st.sampled_from(sorted({field.name for row in ROWS.values() for field in row.fields})),
    )
    def test_no_value_of_any_type_is_a_mistake_of_ours(self, value: Any, do: str, key: str) -> None:
        _, shown = carried_out(json.dumps({"do": do, key: value}))
        self.assertNotEqual(getattr(shown, "status", None), 500)

    def test_a_text_of_the_greatest_size_fits_a_line_however_it_is_escaped(self) -> None:
        for text in (
            "\x01" * DEFAULTS.message,
            "é" * (DEFAULTS.message // 2),
            "😀" * (DEFAULTS.message // 4),
        ):
            line = json.dumps({"do": "msg", "to": "b" * 64, "text": text})
            self.assertLess(len(line), DEFAULTS.control_line)

    def test_a_word_quoted_for_the_typed_form_means_the_same(self) -> None:
        asked, _ = carried_out(f"/send {shlex.quote(' a b')}")
        self.assertEqual(asked, [("send", " a b")])
