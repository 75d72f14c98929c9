"""JSON of shared groups of ids: nothing is lost, and no poison gets through."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.directory.shared import (
    GroupState,
    ListedClient,
    OwnedId,
    PresenceNotice,
    SharedLease,
    SharedPresence,
    ToClient,
)
from chatproto.stores.redis import group_text
from chatproto.stores.redis.group_text import (
    CLASSIC,
    ENDS,
    FREE,
    HEARD,
    LISTED,
    NEWEST,
    OPEN,
    OWNED,
    POISON,
    PRESENT,
    ListChange,
    list_changes,
    read_group,
    read_listed,
    read_notice,
    write_group,
    write_listed,
    write_notice,
)
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS

KEY = "sha256:" + "A" * 52


def keyed(client_id: str = "ann", **more: Any) -> SharedPresence:
    """A registration at the server `here`."""
    client = ClientConnection(
        KEY, "192.0.2.1", 4000, client_id=client_id, listens=3000, number=7, node="here"
    )
    given_more = {"listed": True, "until": None, "allow": (), **more}
    client.open = given_more.pop("open", False)
    registration = Registration(
        client_id, KEY, 3000, (("192.0.2.1", 3000),), 600, client=client, **given_more
    )
    return SharedPresence(registration, 100.0)


def classic(client_id: str = "bob", host: str = "192.0.2.2", heard: float = 150.0) -> SharedLease:
    """A registration without a key."""
    source = Origin(host, 4001, False, server="192.0.2.9")
    return SharedLease(ClassicRegistration(client_id, host, 3001, source), "here", 8, 120.0, heard)


def state() -> GroupState:
    """A group with everything in it."""
    return GroupState(
        "ann",
        3,
        KEY,
        {"ann": OwnedId(90.0, 900.0, True, (KEY,)), "Ann": OwnedId(91.0, 901.0)},
        {"ann": keyed(away="tea")},
        {"aNN": classic("aNN")},
        frozenset({"here", "there"}),
    )


def fields_of(shared: SharedPresence) -> Any:
    client = shared.registration.client
    return (
        replace(shared.registration, client=ClientConnection("", "", 0)).client_id,
        *(getattr(client, one) for one in ("key", "host", "port", "local", "client_id")),
        *(getattr(client, one) for one in ("listens", "user", "number", "node", "open")),
    )


class GroupTexts(SynchronousTestCase):
    def test_group_is_read_as_written(self) -> None:
        wanted = state()
        found = read_group("ann", 3, write_group(wanted))
        for name in ("fold", "version", "owner", "owned", "watching", "unknown"):
            self.assertEqual(getattr(found, name), getattr(wanted, name))
        one, other = found.presences["ann"], wanted.presences["ann"]
        self.assertEqual(fields_of(one), fields_of(other))
        client = other.registration.client
        self.assertEqual(replace(one.registration, client=client), other.registration)
        lease, former = found.classic["aNN"], wanted.classic["aNN"]
        self.assertEqual(lease, former)
        for name in ("host", "port", "local", "alive", "server"):
            self.assertEqual(getattr(lease.lease.source, name), getattr(former.lease.source, name))

    def test_fields_of_a_newer_version_are_kept_at_each_level(self) -> None:
        fields = json.loads(write_group(state()))
        fields["mood"] = {"a": 1}
        for part, who in (("ids", "Ann"), ("presences", "ann"), ("classic", "aNN")):
            fields[part][who]["mood"] = [part]
        found = read_group("ann", 3, json.dumps(fields))
        used = replace(found.owned["Ann"], until=1000.0)
        again = json.loads(write_group(replace(found, owned={**found.owned, "Ann": used})))
        self.assertEqual(again["ids"]["Ann"].pop("until"), 1000.0)
        del fields["ids"]["Ann"]["until"]
        self.assertEqual(again, fields)

    def test_a_group_of_newer_rules_is_refused_and_one_that_is_tolerant_is_not(self) -> None:
        fields = json.loads(write_group(state()))
        newer = json.dumps({**fields, "least": group_text.PROTOCOL + 1})
        error = self.assertRaises(StoreTrouble, read_group, "ann", 3, newer)
        self.assertIn("newer version", error.detail)
        self.patch(group_text, "PROTOCOL", group_text.PROTOCOL + 1)
        self.assertEqual(json.loads(write_group(read_group("ann", 3, newer)))["least"], 5)

    @given(some.text(max_size=200))
    def test_text_of_another_program_is_poison(self, text: str) -> None:
        self.assertRaises((*POISON, StoreTrouble), read_group, "ann", 1, text)
        self.assertRaises(POISON, read_notice, text)

    @given(some.data())
    def test_values_of_other_types_are_refused(self, data: some.DataObject) -> None:
        fields = json.loads(write_group(state()))
        part = data.draw(some.sampled_from(["owner", "ids", "presences", "classic", "watching"]))
        poison = data.draw(
            some.sampled_from([7, "x", [7], {"x": 7}, {"": {}}, True, {"ann": None}, 1e999])
        )
        if data.draw(some.booleans()) and part not in ("owner", "watching"):
            entry = next(iter(fields[part].values()))
            name = data.draw(some.sampled_from(sorted(entry)))
            wrong = {"a": [1]}
            if isinstance(entry[name], wrong.__class__):
                return
            entry[name] = wrong
        else:
            fields[part] = poison
        self.assertRaises(POISON, read_group, "ann", 1, json.dumps(fields))

    def test_deep_nesting_is_poison(self) -> None:
        self.assertRaises(POISON, read_group, "ann", 1, "[" * 100_000)


class Notices(SynchronousTestCase):
    def test_are_read_as_they_were_written(self) -> None:
        for notice in (ToClient(7, "INTRODUCE…"), ToClient(8, "REPLACED", True)):
            self.assertEqual(read_notice(write_notice(notice)), notice)
        gone = PresenceNotice("ann", 4, None)
        self.assertEqual(read_notice(write_notice(gone)), gone)
        found = read_notice(write_notice(PresenceNotice("ann", 4, keyed(away="tea"))))
        assert isinstance(found, PresenceNotice) and found.presence is not None
        self.assertEqual(fields_of(found.presence), fields_of(keyed()))
        self.assertEqual(found.presence.registration.away, "tea")


class Lists(SynchronousTestCase):
    def test_an_entry_is_read_as_it_was_written_and_ids_are_in_order(self) -> None:
        for client in (
            ListedClient("ann", "2001:db8::1", 3000, KEY, "here"),
            ListedClient("ann-b", "192.0.2.1", 65535, "", ""),
        ):
            self.assertEqual(read_listed(write_listed(client)), client)
        ids = ["Ann", "a", "a-", "a.", "a0", "ab", "z"]
        entries = [write_listed(ListedClient(one, "192.0.2.1", 1, "", "")) for one in ids]
        self.assertEqual(sorted(entries), entries)
        for text in ("", "ann", "ann h x - -", "a b c d e f", "? 192.0.2.1 7 - -"):
            self.assertRaises(POISON, read_listed, text)

    def changes(self, former: GroupState, after: GroupState) -> set[tuple[str, ...]]:
        changes = list_changes(former, after, SERVER_DEFAULTS)
        return {(one.what, one.key, one.member.split(" ")[0]) for one in changes}

    def test_follow_registrations(self) -> None:
        empty = GroupState("ann")
        came = replace(
            empty,
            owner=KEY,
            owned={"ann": OwnedId(1.0, 900.0)},
            presences={"ann": keyed(open=True)},
        )
        lists = {LISTED, NEWEST, OPEN, OWNED, PRESENT, ENDS}
        self.assertEqual(self.changes(empty, came), {("+", one, "ann") for one in lists})
        self.assertEqual(self.changes(came, came), set())
        self.assertEqual(self.changes(came, empty), {("-", one, "ann") for one in lists})
        away = replace(came, presences={"ann": keyed(until=700.0)})
        wanted = {("-", one, "ann") for one in (LISTED, NEWEST, OPEN)} | {("+", ENDS, "ann")}
        self.assertEqual(self.changes(came, away), wanted)
        hidden = replace(came, presences={"ann": keyed(listed=False, open=True)})
        wanted = {("-", one, "ann") for one in (LISTED, NEWEST, OPEN)}
        self.assertEqual(self.changes(came, hidden), wanted)

    def test_follow_classic_clients(self) -> None:
        empty = GroupState("bob")
        came = replace(empty, classic={"bob": classic()})
        here = "chatproto:{a:192.0.2.2}"
        lists = {LISTED, CLASSIC, ENDS, FREE, HEARD, here}
        self.assertEqual(self.changes(empty, came), {("+", one, "bob") for one in lists})
        again = replace(empty, classic={"bob": classic(heard=200.0)})
        wanted = {("+", one, "bob") for one in (ENDS, HEARD, here)}
        self.assertEqual(self.changes(came, again), wanted | {("=", FREE, "bob")})
        registered = replace(empty, classic={"bob": replace(classic(heard=200.0), free=True)})
        self.assertEqual(self.changes(came, registered), wanted | {("+", FREE, "bob")})
        lists.add(group_text.WAITING)
        self.assertEqual(self.changes(came, empty), {("-", one, "bob") for one in lists})
        [local] = [
            one
            for one in list_changes(
                empty, replace(empty, classic={"bob": classic(host="127.0.0.1")}), SERVER_DEFAULTS
            )
            if one.key == ENDS
        ]
        end = 150.0 + SERVER_DEFAULTS.classic_lease
        self.assertEqual(local, ListChange("+", ENDS, "bob", end))
