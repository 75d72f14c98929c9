from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.lobby import CloseMember, LobbyMembers, ToOne, ToOthers
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import fold
from tests.limits import Limits


class LobbyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lobby = LobbyMembers(Limits(lobby_members=3), owned=lambda name: name == "owned")
        self.ann, _ = self.lobby.join()
        self.bob, _ = self.lobby.join()

    def said(self, text: str) -> list[object]:
        return list(self.lobby.say(self.ann, text))

    def test_a_newcomer_is_greeted_and_announced(self) -> None:
        cid, effects = self.lobby.join()
        self.assertEqual(
            effects,
            [
                ToOne(cid, "* welcome, guest-3: 2 others are here; /help lists commands"),
                ToOthers(cid, "* guest-3 joined"),
            ],
        )

    def test_full_lobby_refuses_clients(self) -> None:
        self.lobby.join()
        with self.assertRaises(RemoteError) as caught:
            self.lobby.join()
        self.assertEqual(caught.exception.status, 503)
        self.lobby.left(self.ann)
        self.lobby.join()

    def test_text_goes_to_all_other_members(self) -> None:
        self.assertEqual(self.said("hi there"), [ToOthers(self.ann, "guest-1: hi there")])

    def test_text_cannot_move_a_cursor(self) -> None:
        self.assertEqual(self.said("\x1b[2J"), [ToOthers(self.ann, "guest-1: \u241b[2J")])

    def test_quit_and_over_leave_as_whole_lines_in_any_case(self) -> None:
        for word in ("quit", "OVER"):
            self.setUp()
            self.assertEqual(
                self.said(word), [ToOthers(self.ann, "* guest-1 left"), CloseMember(self.ann)]
            )
            self.assertEqual(self.lobby.names(), ["guest-2"])

    def test_quit_with_more_text_is_a_message(self) -> None:
        for text in ("quit now", " quit", "over "):
            self.assertEqual(self.said(text), [ToOthers(self.ann, f"guest-1: {text}")])

    def test_leave_is_reported_once_with_its_reason(self) -> None:
        self.assertEqual(
            self.lobby.left(self.ann, "why"), [ToOthers(self.ann, "* guest-1 left (why)")]
        )
        self.assertEqual(self.lobby.left(self.ann), [])

    def test_nick_changes_a_name(self) -> None:
        self.assertEqual(
            self.said("/nick ann"),
            [ToOne(self.ann, "* you are ann"), ToOthers(self.ann, "* guest-1 is now ann")],
        )
        self.assertEqual(self.said("hi"), [ToOthers(self.ann, "ann: hi")])

    def test_a_name_is_an_id(self) -> None:
        for name in ("", "a b", "ä", "x" * 65, "-a", "a:b", "\x1b"):
            (effect,) = self.said(f"/nick {name}")
            self.assertIsInstance(effect, ToOne)
        self.assertEqual(self.lobby.names(), ["guest-1", "guest-2"])

    def test_names_that_look_alike_are_refused(self) -> None:
        self.lobby.say(self.bob, "/nick bill")
        for name in ("bill", "BILL", "biII", "b1ll", "owned"):
            (effect,) = self.said(f"/nick {name}")
            self.assertIn("is taken", getattr(effect, "text", ""))

    def test_one_may_respell_ones_own_name(self) -> None:
        self.said("/nick ann")
        self.assertIn(ToOne(self.ann, "* you are Ann"), self.said("/nick Ann"))
        self.assertEqual(self.said("/nick Ann"), [ToOne(self.ann, "* you are Ann")])

    def test_taken_guest_number_is_skipped(self) -> None:
        self.said("/nick guest-3")
        self.lobby.join()
        self.assertEqual(self.lobby.names()[-1], "guest-4")

    def test_name_is_free_after_its_member_leaves(self) -> None:
        self.lobby.say(self.bob, "/nick bill")
        self.lobby.left(self.bob)
        self.said("/nick bill")
        self.assertEqual(self.lobby.names(), ["bill"])

    def test_msg_is_for_one(self) -> None:
        self.assertEqual(
            self.said("/msg guest-2 a secret \x07"),
            [ToOne(self.bob, "guest-1 (private): a secret \u2407")],
        )

    def test_msg_needs_a_recipient_and_a_text(self) -> None:
        self.assertEqual(
            self.said("/msg nobody hi"),
            [ToOne(self.ann, '* nobody here is called "nobody": /names lists who is here')],
        )
        self.assertEqual(
            self.said("/msg guest-2"),
            [ToOne(self.ann, "* /msg NAME TEXT sends a private message")],
        )

    def test_mistyped_command_is_not_sent(self) -> None:
        self.assertEqual(
            self.said("/mgs guest-2 secret"),
            [ToOne(self.ann, "* unknown command /mgs: /help lists the commands")],
        )

    def test_path_is_a_message(self) -> None:
        self.assertEqual(self.said("/etc/motd"), [ToOthers(self.ann, "guest-1: /etc/motd")])

    def test_names_and_help_answer_the_asker_alone(self) -> None:
        self.assertEqual(self.said("/names"), [ToOne(self.ann, "* here: guest-1, guest-2")])
        (effect,) = self.said("/help")
        self.assertIsInstance(effect, ToOne)

    def test_the_names_of_many_are_cut(self) -> None:
        lobby = LobbyMembers()
        for _ in range(150):
            member, _effects = lobby.join()
        (effect,) = lobby.say(member, "/names")
        assert isinstance(effect, ToOne)
        self.assertTrue(effect.text.endswith("guest-100 and 50 more"))

    def test_member_over_a_limit_is_notified_before_the_close(self) -> None:
        effects = self.lobby.refused(self.ann, RemoteError(413, "a line of more than 5 bytes"))
        self.assertEqual(
            effects,
            [
                ToOne(self.ann, "* disconnected: a line of more than 5 bytes"),
                CloseMember(self.ann),
                ToOthers(self.ann, "* guest-1 left (sent too much at once)"),
            ],
        )


class LobbyMachine(RuleBasedStateMachine):
    """Whatever is said, every member has one name and no two look alike."""

    def __init__(self) -> None:
        super().__init__()
        self.lobby = LobbyMembers(Limits(lobby_members=5))
        self.members: set[int] = set()

    @rule()
    def join(self) -> None:
        try:
            self.members.add(self.lobby.join()[0])
        except RemoteError:
            assert len(self.members) == 5

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.members:
            member = data.draw(st.sampled_from(sorted(self.members)))
            self.lobby.left(member)
            self.members.discard(member)

    @rule(
        data=st.data(),
        text=st.text(max_size=12)
        | st.sampled_from(["quit", "/nick bob", "/nick b0b", "/nick guest-4", "/msg bob hi"]),
    )
    def say(self, data: st.DataObject, text: str) -> None:
        if not self.members:
            return
        member = data.draw(st.sampled_from(sorted(self.members)))
        for effect in self.lobby.say(member, text):
            if isinstance(effect, CloseMember):
                self.members.discard(effect.member)
            else:
                assert (
                    effect.text.isprintable()
                    or "\u200d" in effect.text
                    or not effect.text.isascii()
                )
                assert "\n" not in effect.text

    @invariant()
    def names_are_apart(self) -> None:
        names = self.lobby.names()
        assert len(names) == len(self.members) == len(self.lobby)
        assert len({fold(name) for name in names}) == len(names)
        assert all(self.lobby.member_called(name) in self.members for name in names)


class LobbyMachineTests(SynchronousTestCase):
    def test_names_stay_apart(self) -> None:
        run_state_machine_as_test(
            LobbyMachine, settings=settings(max_examples=60, stateful_step_count=30)
        )
