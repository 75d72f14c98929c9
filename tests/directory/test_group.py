"""Tests of the decisions about ids that look alike, over values alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.group import Group, KeyIds
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.wire.bcp2_server import Register
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact
from tests.limits import Limits

HERE, THERE = Origin("192.0.2.1", 1, False), Origin("192.0.2.2", 2, False)
LIMITS = Limits(names_per_key=2, takeover_wait=100.0)


def client(key: str = "A", number: int = 1, **more: Any) -> ClientConnection:
    return ClientConnection(key, "192.0.2.1", 4000, number=number, **more)


def presence(client_id: str, client: ClientConnection, **more: Any) -> Registration:
    return Registration(client_id, client.key, 5000, (), 60, True, (), client, **more)


class GroupCase(SynchronousTestCase):
    def refused(self, status: int, call: Any, *values: Any) -> None:
        self.assertEqual(self.assertRaises(RemoteError, call, *values).status, status)


class AKeyedRegister(GroupCase):
    def test_of_a_free_id_is_on_trial(self) -> None:
        group, ann = Group(), client()
        self.assertTrue(group.admits("ann", ann, new=True))
        made = group.decide_register(Register(1, "ann", 5000, away="tea"), ann, KeyIds(), LIMITS)
        wanted = presence("ann", ann, proven=False, away="tea")
        self.assertEqual(made.presence, replace(wanted, expires=LIMITS.lease))
        self.assertEqual((made.lost, made.replaced), ((), None))

    def test_has_a_lease_within_the_limits(self) -> None:
        for asked, granted in ((1, LIMITS.lease_least), (10**9, LIMITS.lease_most), (77, 77)):
            message = Register(1, "ann", 5000, expires=asked)
            made = Group().decide_register(message, client(), KeyIds(), LIMITS)
            self.assertEqual(made.presence.expires, granted)

    def test_is_refused_while_another_client_uses_the_id(self) -> None:
        lease = ClassicRegistration("ann", "192.0.2.1", 3000, HERE)
        self.refused(409, Group(classic={"ann": lease}).admits, "ann", client(), True)
        ended = replace(lease, source=Origin("192.0.2.1", 1, False, alive=False))
        self.refused(409, Group(classic={"ann": ended}).admits, "ann", client(), True, True)
        for former in (client("B"), client("B", 9)):
            held = Group("B", ("ann",), {"ann": presence("ann", former)})
            self.refused(409, held.admits, "ann", client(), True)
            self.refused(409, held.admits, "ann", client(number=5), True)
        self.refused(409, Group().admits, "SERVER", client(), True)
        self.assertTrue(Group().admits("server", client(), new=False))

    def test_of_an_older_connection_is_superseded(self) -> None:
        group = Group("A", ("ann",), {"ann": presence("ann", client(number=5))})
        self.assertFalse(group.admits("ann", client(number=4), new=False))
        self.assertTrue(group.admits("ann", client(number=6), new=False))
        away = Group("A", ("ann",), {"ann": presence("ann", client(number=5)).left(0.0)})
        self.assertTrue(away.admits("ann", client(number=4), new=False))

    def test_replaces_the_former_connection_and_ends_the_trial(self) -> None:
        former, later = client(client_id="ann"), client(number=2)
        group = Group("A", ("ann",), {"ann": presence("ann", former, proven=False)})
        ids, message = KeyIds(("ann",)), Register(1, "ann", 5000)
        made = group.decide_register(message, later, ids, LIMITS)
        self.assertEqual((made.replaced, made.presence.proven), (former, True))
        again = group.decide_register(message, former, ids, LIMITS)
        self.assertEqual((again.replaced, again.presence.proven), (None, False))

    def test_of_another_key_s_id_needs_the_account_of_that_name(self) -> None:
        group, message = Group("B", ("ann", "Ann")), Register(1, "ann", 5000)
        self.refused(409, group.decide_register, message, client(), KeyIds(), LIMITS)
        made = group.decide_register(message, client(user="ann"), KeyIds(), LIMITS)
        self.assertEqual(made.lost, ("Ann",))
        other = Register(1, "aNN", 5000)
        self.refused(409, group.decide_register, other, client(user="aNN"), KeyIds(), LIMITS)

    def test_of_a_silent_classic_client_s_id_needs_the_account(self) -> None:
        ann = client(user="ann")
        for alive, silent in product((True, False), repeat=2):
            lease = ClassicRegistration("ann", "x", 1, Origin("192.0.2.1", 1, False, alive))
            group = Group(classic={"ann": lease})
            self.refused(409, group.admits, "ann", client(user="bob"), True, silent)
            if not silent:
                self.refused(409, group.admits, "ann", ann, True, silent)
                continue
            self.assertTrue(group.admits("ann", ann, True, silent))
            made = group.decide_register(Register(1, "ann", 5000), ann, KeyIds(), LIMITS)
            self.assertTrue(made.ousts)
        made = Group().decide_register(Register(1, "ann", 5000), ann, KeyIds(), LIMITS)
        self.assertFalse(made.ousts)

    def test_is_refused_beyond_the_names_of_a_key_and_of_the_server(self) -> None:
        message = Register(1, "ann", 5000)
        for status, ids in ((403, KeyIds(("b", "c"))), (503, KeyIds(("b",), room=False))):
            self.refused(status, Group().decide_register, message, client(), ids, LIMITS)
        for ids in (KeyIds(("ann", "b")), KeyIds(("ann",), room=False)):
            Group("A", ("ann",)).decide_register(message, client(), ids, LIMITS)


class ABridge(GroupCase):
    def test_is_to_a_connected_and_visible_client(self) -> None:
        here = presence("bob", client("B"))
        unlisted = replace(here, listed=False, allow=("C",))
        self.assertIs(Group(presences={"bob": here}).decide_bridge("bob", "A"), here)
        hidden = Group(presences={"bob": unlisted})
        self.refused(404, hidden.decide_bridge, "bob", "A")
        for key in ("B", "C"):
            self.assertIs(hidden.decide_bridge("bob", key), unlisted)
        self.refused(480, Group(presences={"bob": here.left(5.0)}).decide_bridge, "bob", "A")
        self.refused(404, Group().decide_bridge, "bob", "A")

    def test_is_to_a_classic_client_if_no_key_has_the_id(self) -> None:
        classic = {"bob": ClassicRegistration("bob", "192.0.2.1", 3000, HERE)}
        found = Group(classic=classic).decide_bridge("bob", "A")
        self.assertEqual(found, Contact("bob", "192.0.2.1", 3000))
        hidden = {"bob": replace(presence("bob", client("B")), listed=False)}
        self.refused(404, Group(presences=hidden, classic=classic).decide_bridge, "bob", "A")


class AClassicRegister(GroupCase):
    def decide(self, group: Group, heard: float = 0.0) -> ClassicRegistration:
        asked = ("ann", "192.0.2.2", 3000, THERE)
        return group.decide_classic(*asked, heard, 200.0, LIMITS.takeover_wait)

    def test_is_refused_if_a_key_owns_a_similar_id(self) -> None:
        self.assertEqual(self.decide(Group()).ip, "192.0.2.2")
        self.refused(409, self.decide, Group("A"))

    def test_takes_over_from_a_client_that_has_been_silent_for_long(self) -> None:
        for alive, heard, taken in (
            (False, 100.0, True),
            (False, 101.0, False),
            (True, 0.0, False),
        ):
            source = Origin("192.0.2.1", 1, False, alive)
            held = Group(classic={"ann": ClassicRegistration("ann", "x", 1, source)})
            if taken:
                self.decide(held, heard)
            else:
                self.refused(409, self.decide, held, heard)
        same = Group(classic={"ann": ClassicRegistration("ann", "x", 1, THERE)})
        self.decide(same, 200.0)


class ARegistration(SynchronousTestCase):
    def test_changes_by_becoming_another_value(self) -> None:
        here = presence("ann", client(), proven=False)
        self.assertEqual((here.left(100.0).until, here.until), (160.0, None))
        self.assertEqual((here.used().proven, here.proven), (True, False))
        self.assertEqual(here.resumed(100.0).until, 160.0)
        for until, resumed in ((150.0, 150.0), (170.0, 160.0)):
            self.assertEqual(replace(here, until=until).resumed(100.0).until, resumed)
