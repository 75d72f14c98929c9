"""Each kind of target of typed lines answers for itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.targets import TAKEOVER, AwayContact, EndedTarget, RoomTarget, Target
from chatproto.identity.recipient import KeyedPerson, Recipient

BOB = KeyedPerson("sha256:" + "B" * 52)


class Talk(Target):
    """A conversation with `addressee`, as far as other targets look at one."""

    def __init__(self, addressee: Recipient, was_open: bool) -> None:
        self.name = "bob"
        self._addressee = addressee
        self._was_open = was_open

    @property
    def addressee(self) -> Recipient:
        return self._addressee

    @property
    def was_open(self) -> bool:
        return self._was_open


class TargetTests(SynchronousTestCase):
    def test_away_target_ends_with_its_open_conversation(self) -> None:
        away = AwayContact(BOB, "bob")
        self.assertTrue(away.ends_with(Talk(BOB, was_open=True)))
        self.assertFalse(away.ends_with(Talk(BOB, was_open=False)))
        self.assertFalse(away.ends_with(Talk(KeyedPerson("another"), was_open=True)))
        self.assertFalse(away.ends_with(RoomTarget("#den")))
        self.assertTrue(away.ends_with(AwayContact(BOB, "bob")))

    def test_ended_target_is_replaced_by_a_caller_after_a_while(self) -> None:
        ended = EndedTarget("bob", 100.0)
        for seconds, way in ((0.0, False), (TAKEOVER - 0.1, False), (TAKEOVER, True)):
            self.assertEqual(ended.may_be_replaced(100.0 + seconds, typed=True), way)
        self.assertTrue(ended.may_be_replaced(100.0, typed=False))
        self.assertFalse(RoomTarget("#den").may_be_replaced(1e9, typed=False))

    def test_only_an_ended_target_takes_no_lines(self) -> None:
        targets = (RoomTarget("#den"), AwayContact(BOB, "bob"), EndedTarget("bob", 0.0))
        self.assertEqual([one.is_live for one in targets], [True, True, False])
        self.assertEqual([one.room for one in targets], ["#den", "", ""])
        self.assertEqual([one.log_key for one in targets], ["#den", BOB.key, None])
        self.assertEqual([one.addressee for one in targets], [None, BOB, None])

    def test_line_for_an_ended_target_names_the_reason(self) -> None:
        self.assertEqual(
            RoomTarget("#den").why_not_sent("hint"), EndedTarget("#den", 0.0).why_not_sent("hint")
        )
        self.assertNotEqual(
            EndedTarget("den", 0.0).why_not_sent("hint"),
            EndedTarget("#den", 0.0).why_not_sent("hint"),
        )
        for name, step in (
            ("den", "(/chat den calls again)"),
            ("#den", "(/join #den enters it again)"),
            ("den?", "(/chat ID calls a peer)"),
            ("den~open", "(/chat ID calls a peer)"),
        ):
            self.assertIn(step, EndedTarget(name, 0.0).why_not_sent())
