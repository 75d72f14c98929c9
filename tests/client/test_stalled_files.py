"""A file of which nothing comes any more, from somebody who is there: the connection is made anew."""

from __future__ import annotations

from chatproto.client.events import FileChanged, SessionChanged
from chatproto.client.files import TRANSFER_STALL
from chatproto.wire.bcp2_files import Data, Offer
from tests.client.keyed_program import Case
from tests.client.tls_net import DATE, FarPerson


class StalledFileTests(Case):
    def moving(self) -> FarPerson:
        bob = self.talking()
        bob.tell(Offer(1, "name", 10, DATE, "text/plain"))
        self.work()
        [offered] = [one for one in self.told(FileChanged) if one.state == "offered"]
        self.node.accept(str(offered.id))
        self.work()
        bob.tell(Data(1, 0, b"12345"))
        self.work()
        self.assertEqual(self.told(FileChanged)[-1].state, "moving")
        return bob

    def states(self) -> list[str]:
        return [one.state for one in self.told(SessionChanged)]

    def test_stalled_file_restarts_its_connection(self) -> None:
        bob = self.moving()
        self.net.wait(TRANSFER_STALL - 3.0, 1.0)
        self.assertNotIn("broken", self.states())
        self.net.wait(6.0, 1.0)
        self.work()
        self.assertTrue(bob.ended)
        self.assertIn("broken", self.states())
        self.assertEqual(self.told(FileChanged)[-1].state, "broken")

    def test_slow_file_keeps_its_connection(self) -> None:
        bob = self.moving()
        for number in range(3):
            self.net.wait(TRANSFER_STALL * 0.75, 1.0)
            bob.tell(Data(1, 5 + number, b"x"))
            self.work()
        self.assertNotIn("broken", self.states())

    def test_a_file_that_we_do_not_read_ourselves_is_not_stalled(self) -> None:
        self.moving()
        self.node.connections.hold(True)
        self.net.wait(2 * TRANSFER_STALL, 1.0)
        self.assertNotIn("broken", self.states())
