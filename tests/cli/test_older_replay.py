"""The log of an older version, carried out again."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.older_replay import OlderReplay
from chatproto.cli.take_over import SavedId, shared_groups
from chatproto.wire.limits import SERVER_DEFAULTS
from tests import old
from tests.old.make_log import MADE, key

LOG = json.loads((Path(old.__file__).parent / "redis-log-3.json").read_text(encoding="utf-8"))
END = MADE + 11.0
"""Time of the last entry."""


def replayed() -> OlderReplay:
    replay = OlderReplay(SERVER_DEFAULTS)
    replay.load(LOG["picture"])
    for at, line in LOG["entries"]:
        replay.read(at, line)
    return replay


class OlderReplayTests(SynchronousTestCase):
    def test_ids_belong_to_their_keys(self) -> None:
        self.assertEqual(
            sorted(replayed().saved().ids),
            [
                SavedId("alice", key(1), MADE + 4, False, None),
                SavedId("bob", key(2), END, True, (key(1),)),
                SavedId("frank", key(4), MADE + 9, True, None),
            ],
        )

    def test_registrations_are_as_their_servers_left_them(self) -> None:
        found = {one.client_id: one for one in replayed().saved().registrations}
        ends = {client_id: one.until for client_id, one in found.items()}
        self.assertEqual(ends, {"alice": None, "bob": END + 600, "frank": None})
        self.assertEqual((found["bob"].listed, found["bob"].allow), (False, (key(1),)))
        self.assertEqual(found["alice"].client.address, ("192.0.2.1", 4001))

    def test_classic_clients_are_in_their_order(self) -> None:
        leases = replayed().saved().leases
        self.assertEqual(
            [(one.client_id, one.port, one.source.alive, heard) for one, heard in leases],
            [("dave", 3002, False, MADE + 8), ("erin", 3001, False, MADE + 7)],
        )

    def test_groups_contain_everything_that_has_not_expired(self) -> None:
        saved = replayed().saved()
        groups = {one.fold: one for one in shared_groups(saved, END, SERVER_DEFAULTS)}
        self.assertEqual(sorted(groups), ["allce", "bob", "dave", "erln", "frank"])
        alice = groups["allce"]
        self.assertEqual((alice.owner, [*alice.owned], alice.version), (key(1), ["alice"], 0))
        self.assertEqual(alice.presences["alice"].registration.until, END + SERVER_DEFAULTS.lease)
        made = [
            groups[one].classic[name].made for one, name in (("dave", "dave"), ("erln", "erin"))
        ]
        self.assertLess(made[0], made[1])
        later = shared_groups(saved, END + SERVER_DEFAULTS.keep_unused, SERVER_DEFAULTS)
        self.assertEqual(sorted(one.fold for one in later), ["allce", "frank"])
        much_later = shared_groups(saved, END + SERVER_DEFAULTS.keep_names, SERVER_DEFAULTS)
        self.assertEqual([one.fold for one in much_later], ["allce", "frank"])

    def test_entries_of_other_programs_and_gaps_are_left_out(self) -> None:
        replay = replayed()
        before = replay.saved()
        ask = json.dumps(["one", 9, [["expel", "alice", True]]])  # 7 and 8 are missing
        for line in ("", "[", "[" * 100_000, '["one", 7, []]', '["one", 7, [["expel"]]]', ask):
            replay.read(END + 1, line)
        self.assertEqual(replay.saved().ids, before.ids)
        replay.read(END + 1, json.dumps(["one", 7, [["expel", "alice", True]]]))
        self.assertEqual(len(replay.saved().ids), 2)

    @given(some.lists(some.text(max_size=40), min_size=1, max_size=4))
    def test_a_poisoned_snapshot_is_refused(self, lines: list[str]) -> None:
        self.assertRaises(ValueError, OlderReplay(SERVER_DEFAULTS).load, lines)

    @given(some.data())
    def test_a_snapshot_with_other_values_is_refused_or_read(self, data: some.DataObject) -> None:
        parts = [json.loads(line) for line in LOG["picture"]]
        part = data.draw(some.sampled_from(parts))
        poison = data.draw(some.sampled_from([[], [1], [[1]], [[]], [None], [{}], ["x"]]))
        part[1] = poison
        try:
            OlderReplay(SERVER_DEFAULTS).load(json.dumps(one) for one in parts)
        except ValueError:
            pass
