"""The limits that servers of one log must have in common."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.shared_side import DECIDING, rules_of
from tests.limits import DEFAULTS

PACKAGE = Path(__file__).parent.parent.parent / "chatproto"
RULES = (
    "directory/answers.py",
    "directory/id_owners.py",
    "directory/introductions.py",
    "directory/keyed.py",
    "relay/tickets.py",
    "server/replica.py",
    "stores/memory.py",
)
"""Files in which a replica decides."""
COUNTED_ALONE = {"new_ids_per_address"}


class RulesTests(SynchronousTestCase):
    def test_a_limit_that_decides_makes_other_rules(self) -> None:
        for name in DECIDING:
            changed = replace(DEFAULTS, **{name: getattr(DEFAULTS, name) + 1})
            self.assertNotEqual(rules_of(changed), rules_of(DEFAULTS), name)

    def test_a_limit_of_one_connection_may_differ(self) -> None:
        others = {field.name for field in fields(DEFAULTS)} - set(DECIDING)
        changed = replace(DEFAULTS, **{name: getattr(DEFAULTS, name) + 1 for name in others})
        self.assertEqual(rules_of(changed), rules_of(DEFAULTS))

    def test_each_limit_by_which_a_replica_decides_is_among_them(self) -> None:
        known = {field.name for field in fields(DEFAULTS)}
        for path in RULES:
            source = (PACKAGE / path).read_text(encoding="utf-8")
            read = set(re.findall(r"limits\.(\w+)", source)) & known
            self.assertEqual(read - set(DECIDING) - COUNTED_ALONE, set(), path)
