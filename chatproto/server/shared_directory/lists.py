"""List the clients of all servers: INFO in both dialects, and clients that accept plain text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import OPEN_TRIED, info_answer, info_limit, open_contact
from chatproto.directory.shared import ListedClient
from chatproto.net.addresses import is_loopback
from chatproto.server.shared_directory.groups import DirectoryContext
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.fields import Contact

PAGE = 200
"""Clients that one call of the store returns."""
MOST_PAGES = 20
"""Pages that one answer reads at most; clients of servers that have ended are skipped."""


class SharedLists:
    """Lists of clients whose servers are alive."""

    def __init__(self, context: DirectoryContext) -> None:
        self._context = context
        self._next_open = 0

    async def info(self, message: bcp2_server.Info) -> Bcp2Message:
        """Return the answer to INFO of a client with a key."""
        limit = info_limit(message, self._context.limits)
        found: list[Contact] = []
        after, size = message.after, limit + 1
        for _ in range(MOST_PAGES):
            page = await self._context.store.listed(message.prefix, after, size)
            found += [_contact(one) for one in page if await self._is_there(one)]
            if len(found) > limit or len(page) < size:
                return info_answer(message, found, limit)
            after = page[-1].client_id
        return bcp2_server.InfoAck(message.cseq, tuple(found), after)

    async def list_clients(self, prefix: str) -> AsyncIterator[Contact]:
        """Yield all listed clients whose ids begin with `prefix`, by id, with keys and without."""
        after = ""
        while True:
            page = await self._context.store.listed(prefix, after, PAGE)
            for one in page:
                after = one.client_id
                if await self._is_there(one):
                    yield _contact(one)
            if len(page) < PAGE:
                return

    async def newest(self, wanted: Callable[[ListedClient], Awaitable[bool]]) -> bool:
        """Call `wanted` with clients with keys, the newest first; return True as soon as it does."""
        for page in range(MOST_PAGES):
            found = await self._context.store.newest(page * PAGE, PAGE)
            for one in found:
                if await self._is_there(one) and await wanted(one):
                    return True
            if len(found) < PAGE:
                break
        return False

    async def classic(self, source: Origin) -> tuple[Contact, ...]:
        """Return the clients that INFO of a classic client lists."""
        most = self._context.limits.info_lines
        found = [Contact(*one[:3]) for one in await self._context.store.classics(most)]
        if len(found) < most:
            for one in await self._context.store.open(0, most - len(found) + OPEN_TRIED):
                contact = await self._open_contact(one, source)
                if contact is not None and len(found) < most:
                    found.append(contact)
        return tuple(found)

    async def next_open(self, asker: str, source: Origin) -> Contact | None:
        """Return a client with a key that accepts plain text; the next call returns another one."""
        first = self._next_open
        page = await self._context.store.open(first, OPEN_TRIED)
        if first:
            page += await self._context.store.open(0, min(first, OPEN_TRIED))
        for number, one in enumerate(page):
            contact = await self._open_contact(one, source) if one.client_id != asker else None
            if contact is not None:
                self._next_open = (first + number + 1) % max(first + 1, len(page))
                return contact
        self._next_open = 0
        return None

    async def _open_contact(self, one: ListedClient, source: Origin) -> Contact | None:
        if not await self._is_there(one):
            return None
        if not is_loopback(one.host) or source.local:
            return Contact(one.client_id, one.host, one.port)
        presence = await self._context.groups.connected(one.client_id)
        return open_contact(presence, source) if presence is not None else None

    async def _is_there(self, one: ListedClient) -> bool:
        return not one.node or await self._context.store.left_at(one.node) is None


def _contact(one: ListedClient) -> Contact:
    return Contact(one.client_id, one.host, one.port, one.key or None)
