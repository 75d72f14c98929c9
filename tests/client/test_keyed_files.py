"""Test which files are accepted, asked about or refused, and on which connection."""

from __future__ import annotations

from hashlib import sha256

from chatproto.client import files
from chatproto.client.events import CommandOutput, FileChanged
from chatproto.transfer import transfers
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, Data, Offer, OfferAck
from chatproto.wire.reasons import FILE_GOES_ON
from tests.client.keyed_program import Case
from tests.client.tls_net import DATE, FarPerson

OFFER = Offer(1, "name.txt", 10, DATE, "text/plain")


class OfferTests(Case):
    """Incoming offers."""

    def offers(self, other: FarPerson) -> list[FileChanged]:
        """Offer a file; return what the person was told."""
        self.events.clear()
        other.tell(OFFER)
        self.work()
        self.net.wait(0.1)
        self.work()
        return self.told(FileChanged)

    def a_stranger(self) -> FarPerson:
        """Accept a call of a peer without a pin."""
        eve = self.called("eve")
        self.node.accept()
        self.net.settle()
        return eve

    def test_offer_needs_confirmation(self) -> None:
        bob = self.called("bob")
        [told] = self.offers(bob)
        self.assertEqual((told.from_, told.name, told.ask), ("bob", "name.txt", True))
        self.node.accept()
        self.work()
        self.assertEqual(len(bob.heard(OfferAck)), 1)

    def test_a_declined_offer_is_refused(self) -> None:
        bob = self.called("bob")
        self.offers(bob)
        self.node.decline()
        self.work()
        self.assertEqual([one.status for one in bob.heard(Error)], [603])

    def test_files_of_pinned_peers_are_accepted_with_accept_known(self) -> None:
        self.begin(accept="known")
        bob = self.called("bob")
        self.assertFalse(any(one.ask for one in self.offers(bob)))
        self.assertEqual(len(bob.heard(OfferAck)), 1)

    def test_files_of_unknown_peers_need_confirmation_anyway(self) -> None:
        for accept in ("known", "verified"):
            self.begin(accept=accept)
            eve = self.a_stranger()
            self.assertTrue(self.offers(eve)[0].ask)
            self.assertEqual(eve.heard(OfferAck), [])

    def test_offer_shows_the_peer_s_present_name(self) -> None:
        eve = self.a_stranger()
        self.assertEqual(self.offers(eve)[0].from_, "eve?")
        conversations = self.node.client.conversations
        for one in conversations:
            conversations.rename(one, "mallory", named=True)
        self.node.client.need_files().list()
        [listed] = self.told(CommandOutput)
        assert listed.data is not None
        self.assertEqual([row["from"] for row in listed.data["files"]], ["mallory"])

    def test_files_of_unverified_peers_need_confirmation(self) -> None:
        self.begin(accept="verified")
        bob = self.called("bob")
        self.assertTrue(self.offers(bob)[0].ask)
        self.assertEqual(bob.heard(OfferAck), [])

    def test_files_of_verified_peers_are_accepted_with_accept_verified(self) -> None:
        self.begin(accept="verified")
        self.node.verify("bob", "yes")
        bob = self.called("bob")
        self.assertFalse(any(one.ask for one in self.offers(bob)))
        self.assertEqual(len(bob.heard(OfferAck)), 1)

    def test_files_are_declined_with_accept_none(self) -> None:
        self.begin(accept="none")
        bob = self.called("bob")
        self.offers(bob)
        self.assertEqual([one.status for one in bob.heard(Error)], [603])

    def test_offer_on_an_unused_connection_is_ignored(self) -> None:
        first = self.called("bob")
        first.deaf = True
        second = self.called("bob")  # waits until it is clear whether the first one lives
        self.assertEqual(len(self.offers(second)), 0)
        first.deaf = False
        self.assertEqual(len(self.offers(first)), 1)

    def test_ended_conversation_carries_no_files(self) -> None:
        self.called("bob")
        [one] = self.node.client.conversations
        connection = one.session.connection
        self.assertIsNotNone(connection.files)
        self.node.quit()
        self.assertEqual((connection.source, connection.sink, connection.files), (None, None, None))


class PausedTests(Case):
    """Transfers that are not complete when the connection ends."""

    def send(self) -> FarPerson:
        """Offer a file to Bob, who accepts it."""
        bob = self.talking()
        path = self.home / "name.txt"
        path.write_bytes(bytes(1_000_000))
        self.node.send([str(path)])
        self.work()
        (offer,) = bob.heard(Offer)
        bob.tell(OfferAck(offer.id, 0, sha256(b"").hexdigest()))
        self.net.settle()
        self.events.clear()
        return bob

    def paused(self) -> list[str | None]:
        """Return the reasons with which it was told that the file is paused."""
        return [one.reason for one in self.told(FileChanged) if one.state == "broken"]

    def test_resumes_in_the_next_conversation_with_a_notice(self) -> None:
        for ends in (lambda bob: bob.leaves(), lambda bob: self.node.quit()):
            self.begin()
            ends(self.send())
            self.work()
            self.assertEqual(self.paused(), [FILE_GOES_ON(peer="bob")])
            again = self.called("bob")
            self.work()
            self.assertEqual(len(again.heard(Offer)), 1)

    def test_resumes_automatically_until_the_conversation_ends(self) -> None:
        bob = self.send()
        bob.cut()
        self.work()
        self.assertEqual(self.paused(), [None])
        self.node.quit()
        self.assertEqual(self.paused(), [None, FILE_GOES_ON(peer="bob")])


class HeldTests(Case):
    """A connection of which nothing is read, because the disk has too much to write."""

    def test_is_read_again_when_it_carries_no_files(self) -> None:
        self.patch(transfers, "UNWRITTEN", 5)
        bob = self.talking()
        bob.tell(OFFER)
        self.work()
        self.node.accept()
        self.work()
        [one] = self.node.client.conversations
        connection = one.session.connection
        for offset in (0, 5):  # the first is being written when the second comes
            bob.tell(Data(1, offset, b"12345"))
        self.net.settle()
        self.assertTrue(connection.held)
        self.node.quit()
        self.assertFalse(connection.held)


class StopTests(Case):
    """The end of the program."""

    def test_no_timer_is_left(self) -> None:
        self.talking().tell(OFFER)
        self.work()
        self.node.client.stop()
        self.net.wait(10.0, 1.0)
        self.assertEqual(self.net.getDelayedCalls(), [])


class UnansweredTests(Case):
    """Outgoing offers."""

    def test_unanswered_offer_is_cancelled_with_a_notice(self) -> None:
        self.patch(files, "SWEPT_EVERY", 2.0)
        self.patch(transfers, "OFFER_WAIT", 10.0)
        self.begin()
        bob = self.talking()
        (self.home / "name.txt").write_bytes(b"0123456789")
        self.node.send([str(self.home / "name.txt")])
        self.work()
        self.net.wait(8.0, 1.0)
        self.work()
        self.assertEqual(len(bob.heard(Offer)), 1)
        self.assertEqual(self.told(FileChanged)[-1].state, "offered")
        self.net.wait(6.0, 1.0)
        self.work()
        last = self.told(FileChanged)[-1]
        self.assertEqual(
            (last.state, last.reason), ("cancelled", "the peer did not answer the offer")
        )
        self.assertEqual(len(bob.heard(Cancel)), 1)
