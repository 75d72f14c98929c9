"""Tests of what is done in rooms by those who may: owners, ops, the server's operator."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.effects import PutOut, Spread
from chatproto.rooms.moderation import NO_TARGET, Actor, Moderation, TargetClient
from chatproto.rooms.policy import FOREVER, BanRecord, RoomPolicy, subject
from chatproto.rooms.room import LOBBY
from chatproto.wire import bcp2_rooms
from chatproto.wire.errors import RemoteError
from chatproto.wire.room_fields import Occupant
from tests.limits import DEFAULTS
from tests.rooms.hall import LONG_AGO, NOW, Person, Rooms
from tests.wire.bcp2_samples import KEY


class TheOwner(Rooms):
    def changed(self, what: str, by: str = "alice", **values: str) -> bcp2_rooms.Changed:
        return bcp2_rooms.Changed("#tea", what, by, **values)

    def test_sets_the_topic(self) -> None:
        changed = self.changed("topic", text="hot, sweet")
        self.assertEqual(
            self.gets(self.alice, bcp2_rooms.Topic(2, "#tea", " hot, sweet ")),
            [("alice", bcp2_rooms.TopicAck(2, "#tea")), ("bob", changed), ("carol", changed)],
        )
        ack = self.gets(self.bob, bcp2_rooms.Join(3, "#tea"))[0][1]
        assert isinstance(ack, bcp2_rooms.JoinAck)
        self.assertEqual(ack.topic, "hot, sweet")
        self.assert_refused(400, self.alice, bcp2_rooms.Topic(2, "#tea", "two\nlines"))
        self.assert_refused(400, self.alice, bcp2_rooms.Topic(2, "#tea", "two\x85lines"))
        self.assert_refused(413, self.alice, bcp2_rooms.Topic(2, "#tea", "ü" * 201))
        self.does(self.alice, bcp2_rooms.Topic(2, "#tea", "ü" * 200))

    def test_kicks_a_member_that_may_return(self) -> None:
        changed, parted = (
            self.changed("kick", peer_id="bob"),
            bcp2_rooms.Parted("#tea", "bob", "kicked"),
        )
        self.assertEqual(
            self.gets(self.alice, bcp2_rooms.Kick(2, "#tea", "bob")),
            [
                ("alice", bcp2_rooms.KickAck(2, "#tea")),
                ("bob", changed),
                ("bob", parted),
                ("carol", changed),
                ("alice", parted),
                ("carol", parted),
            ],
        )
        self.assert_refused(404, self.bob, bcp2_rooms.Say(3, "#tea", "x"))
        self.assert_refused(404, self.alice, bcp2_rooms.Kick(2, "#tea", "bob"))
        self.does(self.bob, bcp2_rooms.Join(4, "#tea"))
        self.assertTrue(self.is_in(self.bob))

    def test_kicks_an_invited_member_that_may_not_return(self) -> None:
        self.does(self.alice, bcp2_rooms.Settings(2, "#tea", invited=True))
        self.does(self.alice, bcp2_rooms.Invite(3, "#tea", "bob"))
        self.does(self.bob, bcp2_rooms.Part(4, "#tea"))
        self.does(self.bob, bcp2_rooms.Join(5, "#tea"))
        self.does(self.alice, bcp2_rooms.Kick(6, "#tea", "bob"))
        self.assert_refused(403, self.bob, bcp2_rooms.Join(7, "#tea"), "invitation")

    def test_refuses_clients_with_a_reason(self) -> None:
        self.does(self.bob, bcp2_rooms.Part(1, "#tea"))
        for settings, why in (
            (bcp2_rooms.Settings(2, "#tea", secret="sesame"), "key"),
            (bcp2_rooms.Settings(2, "#tea", invited=True), "invitation"),
            (bcp2_rooms.Ban(2, "#tea", "bob"), "banned"),
        ):
            self.does(self.alice, settings)
            self.assert_refused(403, self.bob, bcp2_rooms.Join(3, "#tea", "open"), why)

    def test_bans_by_id_key_and_address(self) -> None:
        self.carol.host = "10.0.0.2"
        for ban in (
            bcp2_rooms.Ban(2, "#tea", "carol"),
            bcp2_rooms.Ban(2, "#tea", address="10.0.0.2"),
        ):
            self.does(self.carol, bcp2_rooms.Join(4, "#tea"))
            sent = self.gets(self.alice, ban)
            self.assertEqual(sent[0], ("alice", bcp2_rooms.BanAck(2, "#tea")))
            changed = self.changed("ban", peer_id=ban.peer_id, address=ban.address)
            parted = bcp2_rooms.Parted("#tea", "carol", "banned")
            self.assertEqual(sent[1:3], [("carol", changed), ("carol", parted)])
            self.assertIn(("bob", changed), sent)
            self.assertIn(("bob", parted), sent)
            self.assert_refused(403, self.carol, bcp2_rooms.Join(4, "#tea"))
            self.assertTrue(self.is_in(self.bob))
            self.does(self.alice, bcp2_rooms.Unban(3, "#tea", ban.peer_id, ban.key, ban.address))
        self.does(self.carol, bcp2_rooms.Join(4, "#tea"))
        self.assertTrue(self.is_in(self.carol))

    def test_bans_a_key(self) -> None:
        mallory = Person("mallory", KEY)
        self.does(mallory, bcp2_rooms.Join(1, "#tea"))
        self.does(self.alice, bcp2_rooms.Ban(2, "#tea", key=KEY))
        self.assert_refused(403, mallory, bcp2_rooms.Join(2, "#tea"))

    def test_bans_with_an_end(self) -> None:
        self.does(self.alice, bcp2_rooms.Ban(2, "#tea", "bob", until=date_of(Wall(NOW + 60))))
        self.assert_refused(403, self.bob, bcp2_rooms.Join(4, "#tea"))
        self.now += 60
        self.does(self.bob, bcp2_rooms.Join(4, "#tea"))
        self.assertTrue(self.is_in(self.bob))

    def test_refuses_a_ban_that_is_over(self) -> None:
        for end in (NOW - 60, NOW):
            self.assert_refused(
                400, self.alice, bcp2_rooms.Ban(2, "#tea", "bob", until=date_of(Wall(end)))
            )
        self.assertTrue(self.is_in(self.bob))

    def test_bans_exactly_one_of_id_key_and_address(self) -> None:
        self.assert_refused(400, self.alice, bcp2_rooms.Ban(2, "#tea"))
        self.assert_refused(400, self.alice, bcp2_rooms.Ban(2, "#tea", "bob", address="10.0.0.1"))
        self.assert_refused(404, self.alice, bcp2_rooms.Unban(2, "#tea", "bob"))

    def test_mutes(self) -> None:
        changed = self.changed("mute", peer_id="bob", until=date_of(Wall(NOW + 60)))
        sent = self.gets(self.alice, bcp2_rooms.Mute(2, "#tea", "bob", date_of(Wall(NOW + 60))))
        self.assertEqual(
            sent, [("alice", bcp2_rooms.MuteAck(2, "#tea")), ("bob", changed), ("carol", changed)]
        )
        self.assert_refused(403, self.bob, bcp2_rooms.Say(3, "#tea", "x"))
        self.assertIn(Occupant("bob", "muted"), self.names())
        self.does(self.bob, bcp2_rooms.Part(3, "#tea"))
        self.does(self.bob, bcp2_rooms.Join(3, "#tea"))
        self.assert_refused(403, self.bob, bcp2_rooms.Say(3, "#tea", "x"))
        self.does(self.alice, bcp2_rooms.Mute(2, "#tea", "bob", LONG_AGO))
        self.assertEqual(len(self.gets(self.bob, bcp2_rooms.Say(3, "#tea", "x"))), 3)

    def test_makes_ops_that_can_kick_members_but_no_ops(self) -> None:
        self.does(self.alice, bcp2_rooms.Op(2, "#tea", "bob"))
        for message in (
            bcp2_rooms.Op(3, "#tea", "carol"),
            bcp2_rooms.Settings(3, "#tea", "x"),
            bcp2_rooms.Kick(3, "#tea", "alice"),
            bcp2_rooms.Ban(3, "#tea", "alice"),
        ):
            self.assert_refused(403, self.bob, message)
        self.does(self.bob, bcp2_rooms.Kick(3, "#tea", "carol"))
        self.assertFalse(self.is_in(self.carol))
        self.does(self.carol, bcp2_rooms.Join(4, "#tea"))
        self.does(self.alice, bcp2_rooms.Op(2, "#tea", "carol"))
        self.assert_refused(403, self.bob, bcp2_rooms.Kick(3, "#tea", "carol"))
        self.does(self.alice, bcp2_rooms.Op(2, "#tea", "bob", LONG_AGO))
        self.assert_refused(403, self.bob, bcp2_rooms.Topic(3, "#tea", "x"))
        self.assert_refused(404, self.alice, bcp2_rooms.Op(2, "#tea", "nobody"))
        self.does(self.alice, bcp2_rooms.Op(2, "#tea", "away"))

    def test_is_not_removed_by_a_ban_of_its_address(self) -> None:
        self.does(self.alice, bcp2_rooms.Op(2, "#tea", "bob"))
        self.does(self.bob, bcp2_rooms.Ban(3, "#tea", address="10.0.0.1"))
        self.assertEqual([self.is_in(one) for one in self.people], [True, True, False])

    def test_lets_in_by_invitation(self) -> None:
        dave = Person("dave")
        self.people.append(dave)
        changed = self.changed("settings")
        self.assertEqual(
            self.gets(self.alice, bcp2_rooms.Settings(2, "#tea", "", True)),
            [
                ("alice", bcp2_rooms.SettingsAck(2, "#tea", False, True, True)),
                ("bob", changed),
                ("carol", changed),
            ],
        )
        self.assert_refused(403, dave, bcp2_rooms.Join(3, "#tea"))
        self.assertEqual(
            self.gets(self.alice, bcp2_rooms.Invite(4, "#tea", "dave")),
            [
                ("alice", bcp2_rooms.InviteAck(4, "#tea")),
                ("dave", bcp2_rooms.Invited("#tea", "alice")),
            ],
        )
        self.does(dave, bcp2_rooms.Join(5, "#tea"))
        self.assertTrue(self.is_in(dave))
        self.assertEqual(
            self.gets(self.alice, bcp2_rooms.Invite(4, "#tea", "dave", LONG_AGO)),
            [("alice", bcp2_rooms.InviteAck(4, "#tea"))],
        )
        self.assert_refused(404, self.alice, bcp2_rooms.Invite(4, "#tea", "nobody"))

    def test_locks_the_room(self) -> None:
        self.does(self.alice, bcp2_rooms.Settings(2, "#tea", "sesame"))
        self.assertEqual(
            self.gets(self.alice, bcp2_rooms.Settings(3, "#tea")),
            [("alice", bcp2_rooms.SettingsAck(3, "#tea", True, False, True))],
        )
        dave = Person("dave")
        self.assert_refused(403, dave, bcp2_rooms.Join(3, "#tea", "wrong"))
        self.assertEqual(len(self.gets(dave, bcp2_rooms.Join(3, "#tea", "sesame"))), 4)
        self.assertNotIn("sesame", repr(list(self.store.rooms())))

    def test_with_a_key_from_the_start_admits_no_other_client(self) -> None:
        self.does(self.alice, bcp2_rooms.Join(2, "#den", "sesame"))
        self.assert_refused(403, self.bob, bcp2_rooms.Join(3, "#den"))

    def test_changes_nothing_that_cannot_be_stored(self) -> None:
        self.store.fails = True
        for message in (
            bcp2_rooms.Topic(2, "#tea", "hot"),
            bcp2_rooms.Ban(2, "#tea", "bob"),
            bcp2_rooms.Op(2, "#tea", "bob"),
            bcp2_rooms.Settings(2, "#tea", "x"),
        ):
            self.assert_refused(503, self.alice, message)
        self.assert_refused(503, self.alice, bcp2_rooms.Join(2, "#new"))
        self.assertTrue(self.is_in(self.bob))
        self.store.fails = False
        self.assertEqual([one.topic for one in self.store.rooms()], [""])
        ack = self.gets(self.bob, bcp2_rooms.Join(3, "#tea"))[0][1]
        assert isinstance(ack, bcp2_rooms.JoinAck)
        self.assertEqual((ack.role, ack.topic), ("member", ""))

    def test_is_the_only_one_with_these_rights(self) -> None:
        for message in (
            bcp2_rooms.Topic(2, "#tea", "x"),
            bcp2_rooms.Kick(2, "#tea", "carol"),
            bcp2_rooms.Ban(2, "#tea", "carol"),
            bcp2_rooms.Unban(2, "#tea", "carol"),
            bcp2_rooms.Mute(2, "#tea", "carol"),
            bcp2_rooms.Op(2, "#tea", "bob"),
            bcp2_rooms.Invite(2, "#tea", "carol"),
            bcp2_rooms.Settings(2, "#tea"),
        ):
            self.assert_refused(403, self.bob, message)


class TheOperator(Rooms):
    def test_has_all_rights_in_every_room(self) -> None:
        effects, _ = self.rooms.operate(bcp2_rooms.Kick(0, "#tea", "alice"), self.now)
        changed = bcp2_rooms.Changed("#tea", "kick", peer_id="alice")
        self.assertIn(("alice", changed), self.sent(effects))
        self.assertFalse(self.is_in(self.alice))
        self.rooms.operate(bcp2_rooms.Op(0, "#tea", "bob"), self.now)
        self.assertEqual(len(self.gets(self.bob, bcp2_rooms.Topic(2, "#tea", "x"))), 2)
        self.rooms.operate(bcp2_rooms.Ban(0, LOBBY, "bob"), self.now)
        self.assert_refused(403, self.bob, bcp2_rooms.Join(2, LOBBY))

    def test_keeps_the_lobby_open(self) -> None:
        for message in (
            bcp2_rooms.Settings(0, LOBBY, "x"),
            bcp2_rooms.Settings(0, LOBBY, invited=True),
        ):
            error = self.assertRaises(RemoteError, self.rooms.operate, message, self.now)
            self.assertEqual(error.status, 403)

    def test_sees_every_room(self) -> None:
        self.does(self.alice, bcp2_rooms.Topic(2, "#tea", "hot"))
        self.does(self.bob, bcp2_rooms.Join(2, "#den", "x"))
        self.assertEqual(
            list(self.rooms.lines()),
            ["#den: 1 member, not open to all", "#lobby: 0 members", "#tea: 3 members, topic: hot"],
        )


class TheLobby(Rooms):
    def setUp(self) -> None:
        super().setUp()
        self.does(self.bob, bcp2_rooms.Join(1, LOBBY))

    def test_contains_raw_text_clients(self) -> None:
        (effect,) = self.rooms.raw_joined("guest-1")
        self.assertEqual(
            effect,
            Spread(self.rooms.lobby, bcp2_rooms.Joined(LOBBY, "guest-1", "open"), plain=False),
        )
        self.assertEqual(self.names(LOBBY), [Occupant("bob"), Occupant("guest-1", "open")])
        (talk,) = self.rooms.raw_message("guest-1", "hi", self.now)
        number = self.store.last(LOBBY)
        said = bcp2_rooms.Said(LOBBY, "guest-1", number, date_of(Wall(NOW)), "hi")
        self.assertEqual(self.sent([talk]), [("bob", said)])
        self.assertEqual(
            self.sent(self.rooms.raw_left("guest-1", "bye")),
            [("bob", bcp2_rooms.Parted(LOBBY, "guest-1", "bye"))],
        )
        self.assertEqual(self.rooms.raw_left("guest-1", "bye"), [])

    def test_has_no_owner(self) -> None:
        self.assertEqual(self.names(LOBBY), [Occupant("bob")])
        self.assert_refused(403, self.bob, bcp2_rooms.Topic(2, LOBBY, "mine"))

    def test_has_no_similar_names(self) -> None:
        self.rooms.raw_joined("Car0l")
        self.assert_refused(409, self.carol, bcp2_rooms.Join(2, LOBBY))
        self.assertFalse(self.rooms.admits("B0B", "", self.now))
        self.assertTrue(self.rooms.admits("guest-2", "", self.now))

    def test_puts_out_and_mutes_those_in_bare_text_too(self) -> None:
        self.rooms.raw_joined("guest-1")
        self.rooms.operate(bcp2_rooms.Mute(0, LOBBY, "guest-1"), self.now)
        self.assertFalse(self.rooms.may_speak("guest-1", self.now))
        self.assertTrue(self.rooms.may_speak("guest-2", self.now))
        effects, _ = self.rooms.operate(bcp2_rooms.Kick(0, LOBBY, "guest-1"), self.now)
        self.assertIn(PutOut("guest-1"), effects)
        self.assertEqual(self.names(LOBBY), [Occupant("bob")])
        self.rooms.raw_joined("guest-3")
        self.assertIn(
            PutOut("guest-3"),
            self.rooms.operate(bcp2_rooms.Ban(0, LOBBY, "guest-3"), self.now)[0],
        )
        self.assertFalse(self.rooms.admits("Guest-3", "", self.now))
        self.rooms.operate(bcp2_rooms.Ban(0, LOBBY, address="10.0.0.7"), self.now)
        self.assertFalse(self.rooms.admits("", "10.0.0.7", self.now))

    def test_is_never_removed(self) -> None:
        self.does(self.bob, bcp2_rooms.Part(2, LOBBY))
        self.rooms.due(self.now + 1e9)
        self.does(self.bob, bcp2_rooms.Join(2, LOBBY))


class ADecision(SynchronousTestCase):
    """Decisions over values: no store, no members, and nothing that is changed."""

    def setUp(self) -> None:
        self.decide = Moderation(DEFAULTS).decide
        self.room = RoomPolicy("#tea", "A", ops={"B": FOREVER}, version=3)
        self.owner, self.op = Actor("alice", "A"), Actor("bob", "B")

    def test_has_the_next_version_of_the_policy(self) -> None:
        kept = repr(self.room)
        made = self.decide(bcp2_rooms.Topic(1, "#tea", "hot"), self.room, self.op, NO_TARGET, NOW)
        self.assertEqual((made.policy.topic, made.policy.version), ("hot", 4))
        self.assertEqual(made.ack, bcp2_rooms.TopicAck(1, "#tea"))
        self.assertEqual(made.news, bcp2_rooms.Changed("#tea", "topic", "bob", text="hot"))
        self.assertEqual(repr(self.room), kept)

    def test_has_the_same_policy_if_nothing_changes(self) -> None:
        for message, target in (
            (bcp2_rooms.Topic(1, "#tea", ""), NO_TARGET),
            (bcp2_rooms.Kick(1, "#tea", "carol"), TargetClient("C", inside=True)),
            (bcp2_rooms.Settings(1, "#tea"), NO_TARGET),
            (bcp2_rooms.Op(1, "#tea", "bob"), TargetClient("B", inside=True)),
        ):
            made = self.decide(message, self.room, self.owner, target, NOW)
            self.assertIs(made.policy, self.room, message)

    def test_lists_removed_and_invited_members(self) -> None:
        carol = TargetClient("C", inside=True)
        made = self.decide(bcp2_rooms.Kick(1, "#tea", "carol"), self.room, self.op, carol, NOW)
        self.assertEqual((made.kicked, made.ban), ("carol", None))
        made = self.decide(bcp2_rooms.Ban(1, "#tea", "Carol"), self.room, self.op, carol, NOW)
        self.assertEqual((made.kicked, made.ban), ("", BanRecord("id", "carol", FOREVER, "C")))
        for until, invited in (("", "carol"), (LONG_AGO, "")):
            invite = bcp2_rooms.Invite(1, "#tea", "carol", until)
            made = self.decide(invite, self.room, self.op, carol, NOW)
            self.assertEqual(made.invited, invited)

    def test_tells_the_reason_of_a_kick(self) -> None:
        carol = TargetClient("C", inside=True)
        kick = bcp2_rooms.Kick(1, "#tea", "carol", " too loud ")
        made = self.decide(kick, self.room, self.op, carol, NOW)
        self.assertEqual(
            made.news, bcp2_rooms.Changed("#tea", "kick", "bob", "carol", text="too loud")
        )

    def test_bans_an_unregistered_id_with_a_notice(self) -> None:
        for target, known in (
            (TargetClient("C"), True),
            (TargetClient(inside=True), True),
            (TargetClient(), False),
            (TargetClient("C", known=False), False),  # as if there were no such id
        ):
            made = self.decide(bcp2_rooms.Ban(1, "#tea", "carol"), self.room, self.op, target, NOW)
            self.assertEqual(made.ack, bcp2_rooms.BanAck(1, "#tea", known))
        by_key = bcp2_rooms.Ban(1, "#tea", key=KEY)
        made = self.decide(by_key, self.room, self.op, NO_TARGET, NOW)
        self.assertEqual(made.ack, bcp2_rooms.BanAck(1, "#tea"))

    def test_ends_the_mute_of_an_unregistered_id(self) -> None:
        muted = self.room.with_mute(subject("guest-1", ""), FOREVER, NOW, 9)
        unmute = bcp2_rooms.Mute(1, "#tea", "guest-1", LONG_AGO)
        made = self.decide(unmute, muted, self.owner, TargetClient(), NOW)
        self.assertEqual(made.policy.mutes, {})

    def test_is_a_refusal_by_role_before_anything_else(self) -> None:
        carol = TargetClient("C", inside=True)
        for message, actor, target, status in (
            (bcp2_rooms.Topic(1, "#tea", "x" * 999), Actor("carol", "C"), NO_TARGET, 403),
            (bcp2_rooms.Op(1, "#tea", "carol"), self.op, TargetClient("C"), 403),
            (bcp2_rooms.Kick(1, "#tea", "carol"), self.op, TargetClient("C"), 404),
            (bcp2_rooms.Kick(1, "#tea", "alice"), self.op, TargetClient("A", inside=True), 403),
            (bcp2_rooms.Op(1, "#tea", "carol"), self.owner, TargetClient("C", known=False), 404),
            (bcp2_rooms.Op(1, "#tea", "carol"), self.owner, TargetClient(), 404),
            (bcp2_rooms.Say(1, "#tea", "x"), self.owner, NO_TARGET, 405),
            (bcp2_rooms.Mute(1, "#tea", "nobody"), self.owner, TargetClient(), 404),
            (bcp2_rooms.Mute(1, "#tea", "carol"), self.op, TargetClient("C", known=False), 404),
            (bcp2_rooms.Kick(1, "#tea", "carol", "x" * 401), self.op, carol, 413),
            (bcp2_rooms.Kick(1, "#tea", "carol", "two\nlines"), self.op, carol, 400),
        ):
            error = self.assertRaises(
                RemoteError, self.decide, message, self.room, actor, target, NOW
            )
            self.assertEqual(error.status, status, message)

    def test_follows_the_given_policy(self) -> None:
        """A store that finds the room changed asks again with what it has become."""
        message = bcp2_rooms.Topic(1, "#tea", "hot")
        later = self.room.with_ban(BanRecord("key", "B"), NOW, 9)
        self.decide(message, self.room, self.op, NO_TARGET, NOW)
        self.assertRaises(RemoteError, self.decide, message, later, self.op, NO_TARGET, NOW)
