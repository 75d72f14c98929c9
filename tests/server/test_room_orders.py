"""Tests of what the operator types about rooms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.server.room_orders import USAGE, read_order
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import LocalError
from chatproto.wire.strict import encode
from tests.wire.bcp2_samples import KEY

DAY_AFTER = "1970-01-02T00:00:00.000Z"


class OrderTests(SynchronousTestCase):
    def test_lines_are_requests(self) -> None:
        rows: dict[str, Bcp2Message] = {
            "/kick bob #Tea": bcp2_rooms.Kick(0, "#tea", "bob"),
            "/kick bob tea": bcp2_rooms.Kick(0, "#tea", "bob"),
            "/ban bob #tea": bcp2_rooms.Ban(0, "#tea", "bob"),
            "/ban 10.0.0.1 #tea 24h": bcp2_rooms.Ban(
                0, "#tea", address="10.0.0.1", until=DAY_AFTER
            ),
            "/ban 2001:DB8::1 #tea": bcp2_rooms.Ban(0, "#tea", address="2001:db8::1"),
            f"/ban {KEY.lower()} #tea 1d": bcp2_rooms.Ban(0, "#tea", key=KEY, until=DAY_AFTER),
            "/unban bob #tea": bcp2_rooms.Unban(0, "#tea", "bob"),
            "/mute bob #tea 1440m": bcp2_rooms.Mute(0, "#tea", "bob", DAY_AFTER),
            "/mute bob tea 0": bcp2_rooms.Mute(0, "#tea", "bob", "1970-01-01T00:00:00.000Z"),
            "/op bob #tea 0s": bcp2_rooms.Op(0, "#tea", "bob", "1970-01-01T00:00:00.000Z"),
            "/invite bob #tea": bcp2_rooms.Invite(0, "#tea", "bob"),
            "/topic #tea hot  and sweet": bcp2_rooms.Topic(0, "#tea", "hot  and sweet"),
            '/topic #tea ""': bcp2_rooms.Topic(0, "#tea", ""),
            "/ban 42 #tea": bcp2_rooms.Ban(0, "#tea", "42"),
            "/ban 1.2.3 #tea": bcp2_rooms.Ban(0, "#tea", "1.2.3"),
            "/set #tea key=a=b invited=YES kept=no": bcp2_rooms.Settings(
                0, "#tea", "a=b", True, False
            ),
            "/say hello  all": bcp2_rooms.Say(0, "#lobby", "hello  all"),
            "/say #tea hello": bcp2_rooms.Say(0, "#tea", "hello"),
            "/say #Tea  #tea is here": bcp2_rooms.Say(0, "#tea", "#tea is here"),
            "/set #tea key=": bcp2_rooms.Settings(0, "#tea", ""),
        }
        for line, message in rows.items():
            command, _, rest = line.partition(" ")
            self.assertEqual(read_order(command, rest, Wall(0.0)), message, line)

    def test_invalid_order_shows_its_usage(self) -> None:
        for line in (
            "/kick bob",
            "/ban #tea",
            "/ban a #tea 1d 2d",
            "/topic",
            "/topic #tea",
            "/set #tea",
            "/set",
        ):
            command, _, rest = line.partition(" ")
            error = self.assertRaises(ValueError, read_order, command, rest, 0.0)
            self.assertEqual(str(error), USAGE[command])
        for rest in ("#tea color=red", "#tea kept=maybe", "#tea kept"):
            self.assertRaises(ValueError, read_order, "/set", rest, 0.0)

    def test_wrong_values_are_named(self) -> None:
        for rest in (
            "bob te/a",
            "10.0.0.999 #tea",
            "300.1.1.1 tea",
            "::x #tea",
            "-bob #tea",
            "bob #tea soon",
            "bob #tea 5",
            "bob #tea -5s",
            "bob #tea 0",
            "10.0.0.0/8 #tea",
            "sha256:abc #tea",
        ):
            error = self.assertRaises(ValueError, read_order, "/ban", rest, 0.0)
            self.assertNotEqual(str(error), USAGE["/ban"])

    @given(st.sampled_from(sorted(USAGE)), st.text(), st.floats(0, 1e12))
    def test_any_line_is_handled(self, command: str, rest: str, now: float) -> None:
        try:
            encode(read_order(command, rest, Wall(now)))
        except (ValueError, LocalError):
            pass
