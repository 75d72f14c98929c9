"""Tests of what the person is asked: whether yes and no go to the call or the file that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.conversation import Conversation
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.settings import ClientSettings
from chatproto.session.state import SessionState
from chatproto.wire.dialects import CANON
from chatproto.wire.errors import LocalError
from tests.client.typing_person import made
from tests.net import Net


class Offered:
    """Files that wait for an answer, by number: from whom."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.waiting: dict[int, str] = {}
        self.answers: list[tuple[int, bool | Path]] = []

    def comes(self, name: str) -> int:
        number: int = self._node.calls.all.new_number()
        self.waiting[number] = name
        return number

    def has(self, number: int) -> bool:
        return number in self.waiting

    def offered(self, name: str = "") -> list[int]:
        return [number for number, who in self.waiting.items() if name in ("", who)]

    def accept(self, number: int, folder: Path | None = None) -> bool:
        self.answers.append((number, True if folder is None else folder))
        return True

    def decline(self, number: int) -> bool:
        self.answers.append((number, False))
        return True


class QuestionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node: Any = made(Net(), ClientSettings("alice"))
        self.files = cast(Any, Offered(self.node))
        self.questions = ConversationOrders(self.node.context, self.node.calls, self.files)

    def rings(self, name: str) -> SessionState:
        """`name` calls; what becomes of it is read off `state`."""
        conversation: Conversation = self.node.calls.begin(name, CANON)
        conversation.session.state = SessionState.RINGING
        return conversation.state

    def states(self) -> dict[str, SessionState]:
        return {one.name: one.state for one in self.node.calls.all}

    def test_answer_without_a_name_is_for_the_latest_question(self) -> None:
        self.rings("bob")
        number = self.files.comes("carol")
        self.questions.accept("")
        self.assertEqual(self.files.answers, [(number, True)])
        self.rings("dave")
        self.questions.decline("")
        self.assertEqual(self.files.answers, [(number, True)])
        self.assertEqual(self.states(), {"bob": SessionState.RINGING})

    def test_answer_with_a_name_is_for_its_latest_question(self) -> None:
        number = self.files.comes("bob")
        self.rings("carol")
        self.questions.decline("bob")
        self.assertEqual(self.files.answers, [(number, False)])
        self.questions.decline("carol")
        self.assertEqual((len(self.files.answers), self.states()), (1, {}))

    def test_a_number_is_that_of_a_file_or_of_a_call(self) -> None:
        first = self.files.comes("bob")
        self.rings("bob")
        self.files.comes("bob")
        self.questions.accept(str(first))
        self.assertEqual(self.files.answers, [(first, True)])
        self.questions.decline(str(first + 1))
        self.assertEqual(self.states(), {})

    def test_a_folder_is_for_a_file_only(self) -> None:
        number = self.files.comes("bob")
        self.questions.accept("bob", "/srv/in")
        self.assertEqual(self.files.answers, [(number, Path("/srv/in"))])
        self.rings("carol")
        self.assertRaises(LocalError, self.questions.accept, "carol", "/srv/in")
        self.assertEqual(self.states(), {"carol": SessionState.RINGING})

    def test_number_means_a_call_without_files(self) -> None:
        self.rings("bob")
        questions = ConversationOrders(self.node.context, self.node.calls, None)
        questions.decline("")
        self.assertEqual(self.states(), {})
        self.assertRaises(LocalError, questions.accept, "")
