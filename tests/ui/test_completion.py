"""Test that completions continue the typed text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.commands import ROWS
from chatproto.ui.completion import completions


class CompletionTests(SynchronousTestCase):
    def test_a_beginning_completes_to_the_commands(self) -> None:
        self.assertEqual(completions("/re"), ["/register", "/resend "])
        self.assertEqual(completions("/i"), ["/id", "/info ", "/ignore ", "/invite "])
        self.assertEqual(len(completions("/")), len(ROWS))

    def test_every_command_completes(self) -> None:
        for name in ROWS:
            self.assertIn(f"/{name}", [whole.rstrip() for whole in completions(f"/{name[:2]}")])

    def test_an_argument_completes_to_what_the_command_takes(self) -> None:
        self.assertEqual(completions("/mode h"), ["/mode half"])
        self.assertEqual(completions("/help ch"), ["/help chat"])
        self.assertEqual(completions("/chat --"), ["/chat --as"])
        self.assertEqual(completions("/chat b", ["bob", "alice"]), ["/chat bob"])
        self.assertEqual(completions("/chat --as raw b", ["bob"]), ["/chat --as raw bob"])
        self.assertEqual(completions("/msg @", ["bob", "alice"]), ["/msg @bob", "/msg @alice"])

    def test_no_completion_where_nothing_is_known(self) -> None:
        for text in ("", "hello", "//re", "/nix ", "/id ", "/mode full", "/msg @bob b", "/msg b"):
            self.assertEqual(completions(text, ["bob"]), [], text)

    @given(st.text().map("/".__add__), st.lists(st.sampled_from(["bob", "alice"])))
    def test_completions_continue_the_typed_text(self, text: str, ids: list[str]) -> None:
        for whole in completions(text, ids):
            self.assertTrue(whole.lower().startswith(text.lower()))
