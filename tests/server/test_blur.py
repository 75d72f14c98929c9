from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.logger import (
    LogEvent,
    Logger,
    LogPublisher,
    eventAsJSON,
    eventAsText,
    formatEventAsClassicLogText,
)
from twisted.python.failure import Failure
from twisted.python.log import LogPublisher as LegacyPublisher
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.options import blur_log
from chatproto.server.blur import blurred


class BlurTests(SynchronousTestCase):
    def test_last_part_of_an_ipv4_address_is_removed(self) -> None:
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

    def test_other_text_is_unchanged(self) -> None:
        for line in ("BRIDGE\\r\\nclientID: bob", "at 12:30 1.2 a::b is fine?", "IP: ", "a.b.c.d"):
            if "::" not in line:
                self.assertEqual(blurred(line), line)


class BlurredLogTests(SynchronousTestCase):
    """Whatever is logged, for whoever writes it down."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.publisher = LogPublisher()
        blur_log(self.publisher)
        self.publisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.log = Logger("here", observer=self.publisher)

    def assert_blurred(self) -> None:
        [event] = self.events
        texts = (
            eventAsText(event),
            formatEventAsClassicLogText(event) or "",
            eventAsJSON(event),
        )
        for text in texts:
            self.assertIn("192.0.2.x", text)
            self.assertNotIn("192.0.2.17", text)

    def test_fields_and_text(self) -> None:
        self.log.info("not let in: {key} from {host}", key="k", host="192.0.2.17")
        self.assert_blurred()
        self.assertEqual((self.events[0]["host"], self.events[0]["key"]), ("192.0.2.x", "k"))

    def test_fields_that_are_values_of_their_own(self) -> None:
        self.log.info("from {where}", where=IPv4Address("TCP", "192.0.2.17", 3000))
        self.assert_blurred()

    def test_a_failure_with_its_traceback(self) -> None:
        self.log.failure("it went wrong", Failure(ValueError("192.0.2.17 is not there")))
        self.assert_blurred()
        self.assertIn("ValueError", eventAsText(self.events[0]))

    def test_legacy_log_calls_are_blurred(self) -> None:
        publisher = LegacyPublisher(
            observerPublisher=self.publisher, publishPublisher=self.publisher
        )
        publisher.msg("Could not accept 192.0.2.17")
        self.assert_blurred()
