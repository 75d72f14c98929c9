"""One or more of every message of BCP/2, by who may say it."""

from __future__ import annotations

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import (
    bcp2_common,
    bcp2_files,
    bcp2_peer,
    bcp2_rooms,
    bcp2_server,
)
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact
from chatproto.wire.room_fields import Listed, Occupant

KEY = "sha256:" + "A2" * 26
V6 = ("2001:db8::1", 5556)
DATE = "2026-11-21T05:00:00.123Z"
AT = 1795237200.123
"""The same moment, in seconds since 1970."""
STREAM = "0123456789abcdef"
MESSAGES: dict[Sender, list[Bcp2Message]] = {
    Sender.CLIENT: [
        bcp2_server.Login(1, "al@example.org", "pässwörd\r\n"),
        bcp2_server.Register(1, "alice", 5556),
        bcp2_server.Register(2, "alice", 5556, (("10.0.0.1", 5556), V6), 0, False, (KEY, KEY)),
        bcp2_server.Bridge(3),
        bcp2_server.Bridge(4, "bob"),
        bcp2_server.Info(5),
        bcp2_server.Info(6, "a", "alice", 10),
        bcp2_server.Watch(7, "bob"),
        bcp2_server.Unwatch(8, "bob"),
        bcp2_server.Observe(9),
        bcp2_common.Ping(9),
        bcp2_common.PingAck(),
        bcp2_rooms.Join(10, "#tea"),
        bcp2_rooms.Join(11, "#tea", "schlüssel"),
        bcp2_rooms.Part(12, "#tea"),
        bcp2_rooms.Say(13, "#tea", "grüße\r\n\r\nSAY\r\n"),
        bcp2_rooms.Say(13, "#tea", "waves", "action"),
        bcp2_rooms.History(14, "#tea"),
        bcp2_rooms.History(15, "#tea", 2**53, 0, 1000),
        bcp2_rooms.Names(16, "#tea"),
        bcp2_rooms.Names(17, "#tea", "alice", 3),
        bcp2_rooms.Topic(18, "#tea", "tea, grün"),
        bcp2_rooms.Kick(19, "#tea", "bob"),
        bcp2_rooms.Kick(19, "#tea", "bob", "too loud"),
        bcp2_rooms.Ban(20, "#tea", "bob", until=DATE),
        bcp2_rooms.Ban(21, "#tea", key=KEY),
        bcp2_rooms.Unban(22, "#tea", address="2001:db8::1"),
        bcp2_rooms.Mute(23, "#tea", "bob", DATE),
        bcp2_rooms.Op(24, "#tea", "bob"),
        bcp2_rooms.Invite(25, "#tea", "bob"),
        bcp2_rooms.Settings(26, "#tea"),
        bcp2_rooms.Settings(27, "#tea", "", True, False),
        bcp2_rooms.Rooms(28),
        bcp2_rooms.Rooms(29, "#tea", 5),
    ],
    Sender.SERVER: [
        bcp2_server.LoginAck(1, "al@example.org"),
        bcp2_server.RegAck(1, "alice", 3600, V6),
        bcp2_server.ObserveAck(9, V6, DATE),
        bcp2_server.BridgeAck(2),
        bcp2_server.BridgeAck(
            3, "bob", KEY, (("10.0.0.1", 1),), "call7", "TICKET", ("relay.example", 5555)
        ),
        bcp2_server.BridgeAck(3, "bob", KEY, relay=V6),
        bcp2_server.InfoAck(4),
        bcp2_server.InfoAck(
            5, (Contact("bob", "10.0.0.1", 1, KEY), Contact("al", "::1", 2)), "bob"
        ),
        bcp2_server.WatchAck(6, "bob"),
        bcp2_server.UnwatchAck(7, "bob"),
        bcp2_common.Ping(),
        bcp2_common.PingAck(8),
        bcp2_common.Error(404),
        bcp2_common.Error(403, 9, why="invitation"),
        bcp2_common.Error(429, 9, retry_after=5),
        bcp2_server.Introduce("alice", KEY, (("10.0.0.1", 1),), "call7"),
        bcp2_server.Presence("bob", "online"),
        bcp2_server.Presence("bob", "online", "zurück um fünf"),
        bcp2_server.Closing(3),
        bcp2_server.Replaced(),
        bcp2_rooms.JoinAck(10, "#tea", 1, 0, "owner"),
        bcp2_rooms.JoinAck(
            11,
            "#tea",
            9,
            2**53,
            "op",
            "tea, grün",
            "bob",
            (Occupant("al"), Occupant("bob", "muted")),
        ),
        bcp2_rooms.PartAck(12, "#tea"),
        bcp2_rooms.SayAck(13, "#tea", 7, DATE),
        bcp2_rooms.Said("#tea", "alice", 7, DATE, "grüße\r\n\r\nSAID\r\n"),
        bcp2_rooms.Said("#tea", "alice", 7, DATE, "", 14),
        bcp2_rooms.Said("#tea", "alice", 7, DATE, "waves", 14, "action"),
        bcp2_rooms.HistoryAck(14, "#tea", 0),
        bcp2_rooms.HistoryAck(15, "#tea", 1000, True),
        bcp2_rooms.NamesAck(16, "#tea", 2, "b", (Occupant("b", "owner"),)),
        bcp2_rooms.TopicAck(18, "#tea"),
        bcp2_rooms.KickAck(19, "#tea"),
        bcp2_rooms.BanAck(20, "#tea"),
        bcp2_rooms.BanAck(20, "#tea", known=False),
        bcp2_rooms.UnbanAck(22, "#tea"),
        bcp2_rooms.MuteAck(23, "#tea"),
        bcp2_rooms.OpAck(24, "#tea"),
        bcp2_rooms.InviteAck(25, "#tea"),
        bcp2_rooms.SettingsAck(26, "#tea", True, False, True),
        bcp2_rooms.RoomsAck(28),
        bcp2_rooms.RoomsAck(29, "#tea", (Listed("#tea", 3, "tea, grün"), Listed("#x", 0))),
        bcp2_rooms.Joined("#tea", "bob"),
        bcp2_rooms.Joined("#tea", "bob", "op"),
        bcp2_rooms.Parted("#tea", "bob"),
        bcp2_rooms.Parted("#tea", "bob", "did not read"),
        bcp2_rooms.Changed("#tea", "topic", "alice", text="tea"),
        bcp2_rooms.Changed("#tea", "ban", address="10.0.0.1", until=DATE),
        bcp2_rooms.Changed("#tea", "kick", "alice", "bob", KEY),
        bcp2_rooms.Invited("#tea", "alice"),
        bcp2_rooms.Invited("#tea"),
    ],
    Sender.PEER: [
        bcp2_peer.Chat("alice", "full", STREAM),
        bcp2_peer.ChatAck("bob", "half", STREAM, ("fedcba9876543210", 77)),
        bcp2_peer.Msg(1, AT, "grüße\r\n\r\nMSG\r\n"),
        bcp2_peer.Msg(2, AT, ""),
        bcp2_peer.Msg(3, AT, "waves", "action"),
        bcp2_peer.MsgAck(2),
        bcp2_peer.Turn(3),
        bcp2_peer.Mode(4, "half"),
        bcp2_peer.Quit(),
        bcp2_peer.Quit("späti"),
        bcp2_files.Offer(1, "päper.pdf", 12, DATE, "application/pdf"),
        bcp2_files.Offer(3, "a", 5, DATE, "text/plain", (), ("BLAKE3", "SHA3-256")),
        bcp2_files.Offer(2, "a b", 5, DATE, "folder", ((5, "c d/e"), (0, "ü"))),
        bcp2_files.OfferAck(1, 4, "0f" * 32),
        bcp2_files.OfferAck(1, 4, blake3="0f" * 32),
        bcp2_files.Data(1, 4, b"\x00\xffDATA\r\n\r\n"),
        bcp2_files.Data(1, 2**53, b""),
        bcp2_files.Done(1, "0f" * 32),
        bcp2_files.Done(1, blake3="0f" * 32),
        bcp2_files.DoneAck(1),
        bcp2_files.Cancel(1),
        bcp2_files.Cancel(1, "OFFER"),
        bcp2_common.Ping(),
        bcp2_common.PingAck(),
        bcp2_common.Error(603, about="CHAT", id=5),
    ],
}


def decode(sender: Sender, data: bytes) -> list[Bcp2Message | RemoteError]:
    """Decode `data` with a new decoder."""
    return StrictReceiver(sender).read(data)
