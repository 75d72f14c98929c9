"""Test the text of introductions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.calls.rendezvous import path_of, tried
from chatproto.net.keys import key_bytes


class IntroductionTests(SynchronousTestCase):
    def test_keys_are_ordered_by_their_32_bytes(self) -> None:
        small, large = "sha256:" + "A" * 52, "sha256:" + "7" * 51 + "Q"
        self.assertEqual((key_bytes(small), len(key_bytes(large))), (bytes(32), 32))
        self.assertLess(key_bytes(small), key_bytes(large))
        self.assertGreater(small, large)  # as texts they are the other way round

    def test_each_path_has_its_word(self) -> None:
        for host, relayed, both, word in (
            ("198.41.0.4", False, False, "direct"),
            ("198.41.0.4", False, True, "punched"),
            ("192.168.1.4", False, True, "lan"),
            ("fe80::1%eth0", False, False, "lan"),
            ("198.41.0.4", True, False, "relay"),
            ("192.168.1.4", True, False, "relay"),
            ("127.0.0.1", False, False, "direct"),
            ("::1", False, False, "direct"),
            ("chat.example", False, False, "direct"),
        ):
            self.assertEqual(path_of(host, relayed, both), word, host)

    def test_attempts_are_listed_by_name(self) -> None:
        found = tried({("2606:4700::7", 4000): "no answer", None: "refused"})
        self.assertEqual(found, {"[2606:4700::7]:4000": "no answer", "relay": "refused"})
