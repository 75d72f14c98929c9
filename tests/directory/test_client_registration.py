"""Test the REGISTER that describes ourselves."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.client_registration import ClientRegistration
from chatproto.wire import bcp2_server

HERE = (("10.0.0.1", 5001),)


class RegistrationTests(SynchronousTestCase):
    def test_register_has_all_values_and_no_expiry(self) -> None:
        registration = ClientRegistration("alice", 5001, HERE, False, ("sha256:B",))
        wanted = bcp2_server.Register(7, "alice", 5001, HERE, None, False, ("sha256:B",))
        self.assertEqual(registration.request(7), wanted)

    def test_addresses_that_may_change_are_looked_for_each_time(self) -> None:
        there = iter([HERE, ()])
        registration = ClientRegistration("alice", 5001, HERE, look=lambda: next(there))
        self.assertEqual([registration.request(n).addresses for n in (1, 2)], [HERE, ()])
