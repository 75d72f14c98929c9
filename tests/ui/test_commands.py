"""Test that each line becomes a call of the client, or one sentence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput, Failed
from chatproto.ui.commands import (
    ROWS,
    BadCommand,
    Command,
    TypedText,
    help_answer,
    parse,
    run,
    run_for,
    run_line,
    run_typed,
)
from chatproto.ui.common_words import ALIASES, OURS
from chatproto.ui.topics import FIRST, TOPICS
from chatproto.wire.reasons import Reason
from tests.ui.asked import asked_client

WRITTEN: dict[str, tuple[object, ...]] = {
    "/join den": ("join", "den", ""),
    "/join #den 'key=its key'": ("join", "#den", "its key"),
    "/join den key=": ("join", "den", ""),
    "/part": ("part", ""),
    "/part #den": ("part", "#den"),
    "/rooms": ("rooms",),
    "/names": ("names", ""),
    "/names #den": ("names", "#den"),
    "/topic": ("topic", None, ""),
    "/topic @#den": ("topic", None, "#den"),
    "/topic what it's about": ("topic", "what it's about", ""),
    "/topic @#den #1 of all": ("topic", "#1 of all", "#den"),
    '/topic ""': ("topic", "", ""),
    "/kick bob": ("kick", "bob", "", ""),
    "/kick #den @bob": ("kick", "bob", "#den", ""),
    "/kick bob #den too  loud": ("kick", "bob", "#den", "too loud"),
    "/kick bob don't shout": ("kick", "bob", "", "don't shout"),
    "/ban bob": ("ban", "bob", "", ""),
    "/ban 10.0.0.1 2h #den": ("ban", "10.0.0.1", "7200", "#den"),
    "/ban bob 7d": ("ban", "bob", "604800", ""),
    "/unban sha256:X": ("unban", "sha256:X", ""),
    "/mute bob 30m": ("mute", "bob", "1800", ""),
    "/mute bob 0": ("mute", "bob", "0", ""),
    "/op bob #den": ("op", "bob", "", "#den"),
    "/invite bob": ("invite", "bob", ""),
    "/settings": ("settings", "", None, None, None),
    "/settings key= invited=no #den": ("settings", "#den", "", False, None),
    "/settings 'key=it is' kept=yes": ("settings", "", "it is", None, True),
    "/search two words": ("search", "two words"),
    "/history": ("history", "20"),
    "/history 5": ("history", "5"),
    "/history bob": ("history", "20", "bob"),
    "/history @bob 5": ("history", "5", "bob"),
    "/history #den 5": ("history", "5", "#den"),
    "/history @5": ("history", "20", "5"),
    "/outbox": ("outbox",),
    "/unsend 3": ("unsend", "3", ""),
    "/unsend 3 @bob": ("unsend", "3", "bob"),
    "/send a.txt 'my files'": ("send", "a.txt", "my files"),
    "/files": ("files",),
    "/cancel 2": ("cancel", "2"),
    "/msg @#den hello": ("msg", "hello", "#den"),
    "/verify": ("verify", "", ""),
    "/verify @bob": ("verify", "bob", ""),
    "/verify bob yes": ("verify", "bob", "yes"),
    "/trust bob sha256:X": ("trust", "bob", "sha256:X"),
    "/id": ("id",),
    "/ID": ("id",),
    "/id  ": ("id",),
    "/register": ("register",),
    "/info": ("info", ""),
    "/info al": ("info", "al"),
    "/bridge": ("bridge", ""),
    "/bridge bob": ("bridge", "bob"),
    "/bridge @bob": ("bridge", "bob"),
    "/chat": ("chat", "", ""),
    "/chat bob": ("chat", "bob", ""),
    "/chat @bob": ("chat", "bob", ""),
    "/chat 127.0.0.1:5557": ("chat", "127.0.0.1:5557", ""),
    "/chat [::1]:5557": ("chat", "[::1]:5557", ""),
    "/chat --as raw 127.0.0.1:5557": ("chat", "127.0.0.1:5557", "raw"),
    "/chat 127.0.0.1:5557 --as=raw": ("chat", "127.0.0.1:5557", "raw"),
    "/chat --as chatreq": ("chat", "", "chatreq"),
    '/chat "bob"': ("chat", "bob", ""),
    "/msg Hello Bob!": ("msg", "Hello Bob!", "", "Hello"),
    "/msg hello": ("msg", "hello", ""),
    '/msg @bob it\'s "fine"': ("msg", 'it\'s "fine"', "bob"),
    "/msg @bob two  blanks ": ("msg", "two  blanks ", "bob"),
    "/msg  indented": ("msg", " indented", ""),
    "/msg  @bob  indented": ("msg", " indented", "bob"),
    "/msg @ home": ("msg", "@ home", "", "@"),
    "/msg mail me@home": ("msg", "mail me@home", "", "mail"),
    "/msg @bob\nfrom a\nfile": ("msg", "from a\nfile", "bob"),
    "/msg \\n 'quoted": ("msg", "\\n 'quoted", "", "\\n"),
    "/away": ("away", ""),
    "/away back at 5": ("away", "back at 5"),
    "/me waves  twice": ("me", "waves  twice"),
    "/quit": ("quit",),
    "/exit": ("quit",),
    "/leave": ("leave", ""),
    "/leave #den": ("leave", "#den"),
    "/leave @bob": ("leave", "bob"),
    "/Query bob": ("switch", "bob"),
    "/list": ("rooms",),
    "/accept": ("accept", ""),
    "/accept bob": ("accept", "bob"),
    "/accept 3": ("accept", "3"),
    "/accept 3 '/srv/a b'": ("accept", "3", "/srv/a b"),
    "/accept @bob /srv": ("accept", "bob", "/srv"),
    "/decline": ("decline", ""),
    "/decline bob": ("decline", "bob"),
    "/who": ("who",),
    "/switch bob": ("switch", "bob"),
    "/switch #den": ("switch", "#den"),
    "/mode full": ("mode", "full"),
    "/mode HALF": ("mode", "half"),
    "/over": ("over",),
    "/status": ("status",),
    "/nearby": ("nearby",),
    "/path": ("path", ""),
    "/path @bob": ("path", "bob"),
    "/ignore bob": ("ignore", "bob"),
    "/ignore": ("list_ignored",),
    "/ignore off": ("ignore", "off"),
    "/ignore off @bob": ("unignore", "bob"),
    "/resend bob": ("resend", "bob"),
    "/who @bob": ("who", "bob"),
    "hello": ("say", "hello"),
    '  it\'s "as" typed ': ("say", '  it\'s "as" typed '),
    " /quit": ("say", " /quit"),
    "//quit is a command": ("say", "/quit is a command"),
    "//": ("say", "/"),
    "two\nlines": ("say", "two\nlines"),
    "@bob hello": ("say", "@bob hello"),
}

REFUSED: dict[str, str] = {
    "/join": "/join takes one room and an optional key=KEY: write /join room [key=KEY]",
    "/join #bad name": "/join takes the key of a room as key=KEY: write /join room [key=KEY]",
    "/part a b": "/part takes one room: write /part [#room]",
    "/kick": "/kick needs a name: write /kick id [#room] [reason]",
    "/kick bob #a #b": "/kick takes one room: write /kick id [#room] [reason]",
    "/kick @": "/kick needs a name: write /kick id [#room] [reason]",
    "/mute bob soon": "/mute takes a time such as 30m, 2h or 7d: write /mute id [time] [#room]",
    "/mute #den": (
        "/mute takes one name, an optional time and an optional room: write /mute id [time] [#room]"
    ),
    "/search": "/search needs words to search for: write /search words",
    "/settings open": (
        "/settings has no setting open: write /settings [key=KEY] [invited=yes|no] [kept=yes|no] [#room]"
    ),
    "/settings kept=maybe": (
        "/settings takes kept=yes or kept=no: "
        "write /settings [key=KEY] [invited=yes|no] [kept=yes|no] [#room]"
    ),
    "/verify bob carol": "/verify takes one name and an optional yes: write /verify [id] [yes]",
    "/trust bob": "/trust takes a name and a key: write /trust id KEY",
    "/regster": "unknown command /regster: did you mean /register?",
    "/reg": "unknown command /reg: did you mean /register?",
    "/QIUT": "unknown command /QIUT: did you mean /quit?",
    "/leave #a #b": "/leave takes one name: write /leave [id|#room]",
    "/me": "/me needs a text: write /me text",
    "/query": "/switch needs a name: write /switch id|#room",
    "/bye": "unknown command /bye: did you mean /quit?",
    "/nick bob": "unknown command /nick: start with --id NAME to choose your id",
    "/call bob": "unknown command /call: /chat calls a peer",
    "/users": "unknown command /users: did you mean /info?",
    "/xyz": "unknown command /xyz: /help lists the commands",
    "/home/bob/notes": "unknown command /home/bob/notes: /help lists the commands",
    "/": "type a command after the /: /help lists them",
    "/ id": "type a command after the /: /help lists them",
    "/id bob": "/id takes no arguments: write /id",
    "/info a b": "/info takes one name: write /info [prefix]",
    "/switch": "/switch needs a name: write /switch id|#room",
    "/switch ''": "/switch needs a name: write /switch id|#room",
    "/switch @": "/switch needs a name: write /switch id|#room",
    "/ignore a b": "/ignore takes one name, with off before it to end it: write /ignore [off] [id]",
    "/mode": "/mode takes full or half: write /mode full|half",
    "/mode quarter": "/mode takes full or half: write /mode full|half",
    "/mode full half": "/mode takes full or half: write /mode full|half",
    "/msg": "/msg needs a text: write /msg [@id] text",
    "/msg @bob": "/msg needs a text: write /msg [@id] text",
    "/msg @bob  ": "/msg needs a text: write /msg [@id] text",
    "/chat a b": "/chat calls one peer at a time: write /chat [--as DIALECT] [id | host:port]",
    "/chat --as": "/chat needs a dialect after --as: write /chat [--as DIALECT] [id | host:port]",
    "/chat --like raw": ("/chat has no option --like: write /chat [--as DIALECT] [id | host:port]"),
    "/bridge it's": "/bridge has a quote without its end: write /bridge [id]",
    "/bridge bob\\": "/bridge ends in a single backslash: write /bridge [id]",
    "/help regster": "unknown command /regster: did you mean /register?",
}


def asked(line: str) -> list[tuple[object, ...]]:
    """Return the client's calls after `line` is typed."""
    node = asked_client()
    assert run_line(line, node) is None
    given: list[tuple[object, ...]] = node.asked
    return given


class ParseTests(SynchronousTestCase):
    def test_each_syntax_calls_the_client_once(self) -> None:
        for line, expected in WRITTEN.items():
            self.assertEqual(asked(line), [expected], line)

    def test_every_command_is_tried_here(self) -> None:
        tried = {line[1:].split()[0].lower() for line in WRITTEN if line[:2] not in ("//", "/ ")}
        self.assertEqual(set(ROWS) - tried, {"help", "drop"})

    def test_a_word_of_another_program_is_no_command_of_ours_as_well(self) -> None:
        self.assertEqual([word for word in (*ALIASES, *OURS) if word in ROWS], [])
        self.assertEqual([word for word in ALIASES if word in OURS], [])
        self.assertEqual([known for known in ALIASES.values() if known not in ROWS], [])

    def test_a_command_behind_a_blank_is_refused_at_a_terminal_and_text_elsewhere(self) -> None:
        for typed, line, refused in (
            (True, " /help", True),
            (True, "\t /Q now", True),
            (True, " /usr/bin is full", False),
            (True, " //help", False),
            (False, " /help", False),
        ):
            node = asked_client()
            node.conversations.typed = typed
            shown = run_typed(line, node)
            self.assertEqual(isinstance(shown, Failed), refused, line)
            self.assertEqual(node.asked, [] if refused else [("say", line)], line)

    def test_bare_word_is_a_command_only_without_a_recipient(self) -> None:
        for word, expected in {"quit": ("quit",), " EXIT ": ("quit",)}.items():
            node = asked_client()
            node.conversations.target = None
            self.assertIsNone(run_typed(word, node))
            self.assertIsNone(run_for(None, word, node))
            self.assertEqual(node.asked, [expected] * 2)
            node = asked_client()
            run_typed(word, node)
            self.assertEqual(node.asked, [("say", word)])
        node = asked_client()
        node.conversations.target = None
        for word in ("help", "?"):
            self.assertEqual(run_typed(word, node), help_answer())
        run_typed("help me", node)
        run_line("quit", node)  # a program may pass on the words of others
        run_for(None, TypedText("quit"), node)
        self.assertEqual(node.asked, [("say", "help me"), ("say", "quit"), ("say", "quit")])

    def test_impossible_command_is_one_sentence_and_calls_nothing(self) -> None:
        for line, sentence in REFUSED.items():
            node = asked_client()
            shown = run_line(line, node)
            assert isinstance(shown, Failed), line
            self.assertEqual(shown.text, sentence)
            self.assertEqual(node.asked, [])

    def test_a_failure_names_the_command_that_was_typed(self) -> None:
        for line, command in {"/regster": "regster", "/mode": "mode", "/help nix": "help"}.items():
            shown = run_line(line, asked_client())
            assert isinstance(shown, Failed)
            self.assertEqual(shown.command, command)

    def test_blank_line_is_ignored(self) -> None:
        for line in ("", " ", "\t", "\n"):
            self.assertIsNone(parse(line))
            self.assertEqual(asked(line), [])

    def test_values_compare(self) -> None:
        self.assertEqual(parse("hello"), TypedText("hello"))
        self.assertEqual(parse("/msg @bob hi"), Command("msg", ("hi", "bob")))

    def test_a_pasted_word_does_not_fill_the_screen(self) -> None:
        for line in ("/" + "x" * 60_000, "/chat --" + "x" * 60_000, "/help " + "x" * 60_000):
            with self.assertRaises(BadCommand) as caught:
                said = parse(line)
                assert said is not None
                run(said, asked_client())
            self.assertLess(len(str(caught.exception)), 150)
            self.assertLess(len(caught.exception.command or ""), 50)

    @given(
        st.one_of(
            st.text(),
            st.text().map("/".__add__),
            st.builds("/{} {}".format, st.sampled_from(sorted(ROWS)), st.text()),
            st.builds("/chat --as{}".format, st.text()),
            st.builds("/msg @{}".format, st.text()),
        )
    )
    def test_no_line_raises_anything_but_bad_command(self, line: str) -> None:
        try:
            said = parse(line)
        except BadCommand as wrong:
            self.assertNotIn("\n", str(wrong).replace(line, ""))
        else:
            self.assertEqual(said is None, not line.strip())

    @given(st.text().filter(str.strip))
    def test_any_text_can_be_sent_unchanged(self, text: str) -> None:
        line = f"/{text}" if text.startswith("/") else text
        self.assertEqual(parse(line), TypedText(text))
        self.assertEqual(parse(f"/msg @bob {text}"), Command("msg", (text, "bob")))


class TargetTests(SynchronousTestCase):
    """Lines that are typed for a target that is none any more."""

    def test_only_commands_on_a_changed_target_are_refused(self) -> None:
        acting: tuple[str, ...] = (
            "hello",
            "/msg hello",
            "/quit",
            "/over",
            "/mode half",
            "/send a",
            "/part",
        )
        acting += ("/kick bob", "/ban bob 2h", "/topic news", "/settings kept=no", "/verify")
        for line in acting:
            node = asked_client()
            node.conversations.gone = (
                "not sent: the conversation with bob has ended (/chat bob calls again)"
            )
            shown = run_for(None, line, node)
            assert isinstance(shown, Failed), line
            self.assertEqual(
                (shown.text, shown.code), (node.conversations.gone, Reason.TARGET_CHANGED)
            )
            self.assertEqual(node.asked, [])
        named: tuple[str, ...] = (
            "/msg @bob hello",
            "/part #den",
            "/kick bob #den",
            "/ban bob 2h #den",
            "/who",
        )
        named += ("/topic @#den news", "/unsend 3 bob", "/verify bob", "/accept", "/chat bob")
        for line in named:
            node = asked_client()
            node.conversations.gone = (
                "not sent: the conversation with bob has ended (/chat bob calls again)"
            )
            self.assertIsNone(run_for(None, line, node), line)
            self.assertEqual(len(node.asked), 1)


class HelpTests(SynchronousTestCase):
    def test_every_command_stands_in_one_topic_and_the_first_screen_is_short(self) -> None:
        listed = [name for topic in TOPICS.values() for name in topic.commands]
        self.assertEqual(sorted(listed), sorted(ROWS))
        answer = help_answer()
        self.assertLessEqual(len(answer.lines), 20)
        for usage in (*(usage for usage, _ in FIRST), *(f"/help {topic}" for topic in TOPICS)):
            self.assertTrue(any(line.startswith(f"{usage} ") for line in answer.lines), usage)
            self.assertIn(usage.split()[0].removeprefix("/"), ROWS)
        self.assertEqual([command["name"] for command in answer.data["commands"]], list(ROWS))
        self.assertEqual(list(answer.data["topics"]), ["talk", "rooms", "files", "keys", "more"])

    def test_a_topic_has_a_line_for_each_of_its_commands(self) -> None:
        for name, topic in TOPICS.items():
            answer = help_answer(name)
            for command in topic.commands:
                usage = ROWS[command].usage
                lines = [line for line in answer.lines if line.startswith(f"{usage} ")]
                self.assertEqual(len(lines), 1, usage)
            self.assertTrue(answer.lines, name)

    def test_a_line_of_help_fits_a_terminal_beside_its_mark(self) -> None:
        for topic in ("", *TOPICS):
            for line in help_answer(topic).lines:
                self.assertLessEqual(len(f"* {line}"), 80)

    def test_help_on_one_command_shows_how_it_is_written(self) -> None:
        for name, row in ROWS.items():
            for topic in (f"/{name}", name.upper(), name):
                if topic.lower() not in TOPICS:
                    answer = help_answer(topic)
                    self.assertEqual(answer.lines[:2], (row.usage, row.help))
                    self.assertEqual(len(answer.data["commands"]), 1)

    def test_help_needs_no_client(self) -> None:
        node = asked_client()
        shown = run_line("/help chat", node)
        assert isinstance(shown, CommandOutput)
        self.assertEqual(shown.command, "help")
        self.assertEqual(node.asked, [])

    def test_every_usage_begins_with_the_command(self) -> None:
        for name, row in ROWS.items():
            self.assertEqual(row.name, name)
            self.assertEqual(row.usage.split()[0], f"/{name}")
            self.assertTrue(row.help)
