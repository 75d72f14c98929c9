"""The limits of a server, of a client, and those that both have."""

from __future__ import annotations

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.limits import CLIENT_DEFAULTS, DEFAULTS, SERVER_DEFAULTS, Limits


def names(limits: Limits) -> set[str]:
    return {field.name for field in fields(limits)}


class LimitsTests(SynchronousTestCase):
    def test_server_and_client_share_the_limits_of_messages_only(self) -> None:
        shared = names(SERVER_DEFAULTS) & names(CLIENT_DEFAULTS)
        self.assertEqual(shared, names(DEFAULTS))
        self.assertLess(len(shared), 30)
        for name in shared:
            values = {getattr(one, name) for one in (SERVER_DEFAULTS, CLIENT_DEFAULTS, DEFAULTS)}
            self.assertEqual(len(values), 1, name)

    def test_a_value_is_read_by_name_with_dashes_or_underscores(self) -> None:
        changed = SERVER_DEFAULTS.with_values(["info-lines=4", "new_rate=1.5"])
        self.assertEqual((changed.info_lines, changed.new_rate), (4, 1.5))

    def test_a_limit_of_another_program_is_checked_and_changes_nothing(self) -> None:
        others = CLIENT_DEFAULTS.kinds()
        self.assertEqual(SERVER_DEFAULTS.with_values(["ringing=3"], others), SERVER_DEFAULTS)
        for wrong in ("ringing=x", "ringing=-1", "ringed=3"):
            self.assertRaises(ValueError, SERVER_DEFAULTS.with_values, [wrong], others)
        self.assertRaises(ValueError, SERVER_DEFAULTS.with_values, ["ringing=3"])
