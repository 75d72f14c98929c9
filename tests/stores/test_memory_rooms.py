"""Rooms in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.history import RoomStore
from chatproto.stores.memory_rooms import LINE_BYTES, MemoryRooms
from chatproto.wire.errors import RemoteError
from tests.contracts.rooms import NOW, RoomsContract
from tests.limits import Limits

steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 40)),
        st.tuples(st.just("whisper"), st.just(0)),
        st.tuples(st.just("expire"), st.integers(0, 50)),
    ),
    max_size=50,
)


class RoomsInMemory(RoomsContract, SynchronousTestCase):
    def make(self, limits: Limits) -> RoomStore:
        return MemoryRooms(limits)

    def test_lose_half_of_the_room_with_most_when_all_is_too_much(self) -> None:
        rooms = MemoryRooms(Limits(history_bytes=10 * (LINE_BYTES + 100)))
        rooms.append("#mud", "bob", NOW, "m" * 100)
        for number in range(9):
            rooms.append("#tea", "bob", NOW, f"{number}" * 100)
        self.assertEqual(len(rooms.page("#tea", None, None, 99, 2**20).lines), 9)
        rooms.append("#mud", "bob", NOW, "m" * 100)
        self.assertEqual(len(rooms.page("#tea", None, None, 99, 2**20).lines), 4)
        self.assertEqual(len(rooms.page("#mud", None, None, 99, 2**20).lines), 2)

    @given(steps, st.integers(1, 5), st.integers(1, 100))
    def test_pages_together_contain_every_line(
        self, some: list[tuple[str, int]], limit: int, size: int
    ) -> None:
        rooms = MemoryRooms(Limits(room_history=12, history_bytes=4000))
        said: list[int] = []
        for now, (what, number) in enumerate(some):
            if what == "expire":
                rooms.expire(NOW + number)
            else:
                said.append(rooms.append("#tea", "a", NOW + now, "x" * number, what == "say"))
        kept = [line.number for line in rooms.page("#tea", None, None, 99, 2**20).lines]
        self.assertEqual(kept, [one for one in said if kept and one >= kept[0]][: len(kept)])
        for after in said:
            try:
                page = rooms.page("#tea", after, None, limit, size)
            except RemoteError:
                continue
            found = list(page.lines)
            while page.more:
                page = rooms.page("#tea", found[-1].number, None, limit, size)
                found += page.lines
            self.assertEqual([line.number for line in found], [one for one in said if one > after])
        found = list(rooms.page("#tea", None, None, limit, size).lines)
        while found:
            page = rooms.page("#tea", None, found[0].number, limit, size)
            if not page.lines:
                break
            found = [*page.lines, *found]
        self.assertEqual([line.number for line in found], kept)
