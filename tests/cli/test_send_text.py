"""The text of `chatclient send`: any bytes go out as they came in, or are refused."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.oneshot import SendOptions
from chatproto.ui.oneshot import SendText

NOT_UTF8 = (b"\xff", b"caf\xe9", b"\xc3", b"\xed\xa0\x80", b"ok \xf0\x9f\x98")


class SendTextTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)

    def refused(self, *words: str) -> str:
        """Read the arguments, which are refused with exit code 1; what is said about it."""
        self.errors.truncate(0)
        self.errors.seek(0)
        with self.assertRaises(SystemExit) as ended:
            SendOptions().parseOptions(["bob", *words])
        self.assertEqual(ended.exception.code, 1)
        return self.errors.getvalue()

    def given_on_standard_input(self, data: bytes) -> None:
        self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    def said(self, *words: str) -> str:
        """The text that is sent for these arguments."""
        options = SendOptions()
        options.parseOptions(["bob", *words])
        work: Any = options.work
        self.assertIsInstance(work, SendText)
        (text,) = [given["text"] for given in work._say(()).commands if given["do"] == "msg"]
        return str(text)

    def test_bytes_that_are_not_utf8_are_refused_with_one_sentence(self) -> None:
        for data in NOT_UTF8:
            for words in ((os.fsdecode(data),), (), ("-",)):
                self.given_on_standard_input(data + b"\n")
                sentence = self.refused(*words)
                self.assertIn("not valid UTF-8", sentence)
                self.assertEqual(sentence.count("\n"), 1, sentence)

    @given(st.binary(min_size=1, max_size=60).filter(bytes.strip))
    def test_standard_input_is_sent_unchanged_or_refused(self, data: bytes) -> None:
        self.given_on_standard_input(data + b"\n")
        try:
            text = data.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            self.refused()
        else:
            if text.strip():
                self.assertEqual(self.said(), text)
