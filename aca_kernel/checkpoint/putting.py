"""Puts a checkpoint, and our code, where an environment can load them.

A checkpoint becomes two files: the pack, with all pieces, and a manifest that says where each of
them is. The pack goes in pages, or beside the calls where this machine sees the agent's folder
(environment/near_files.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterator
from contextlib import aclosing, suppress
from typing import Any

from . import leftovers, limits
from .carrier import Carrier
from .intact import is_intact
from .store import Store, remove_abandoned
from .window import Window

# So many pages are under way: an exchange carries as many as fit.
_PAGE_BYTES = 3 * 1024 * 1024
_MOST_PAGES = 8
# The first exchange of a restore waits until so much is read, or all.
_GATHERED_BYTES = 4 * _PAGE_BYTES

_PACK = "state/pack"
# What is written beside the calls; in a folder that is there.
_NEAR_PACK = "pack"
_MANIFEST = "state/manifest"


_Page = list[tuple[str, bytes]]
# Place and length of each piece in the pack.
_Index = dict[str, tuple[int, int]]


class Putting:
    """What has been put into the present environment of a kernel."""

    def __init__(self, store: Store, carrier: Carrier) -> None:
        self._store = store
        self._carrier = carrier
        self._has_sources = False
        # Told apart by identity: an answer may be late for it.
        self._environment = object()

    def forget_environment(self) -> None:
        """There will be another environment, which has nothing yet."""
        self._has_sources = False
        self._environment = object()

    async def send_sources(self) -> None:
        """Put our code there, if it is not yet."""
        await self._finish_sources(self._environment, await self._ask_sources())

    async def _ask_sources(self) -> list[asyncio.Task[None]]:
        """Ask for that, and return what is to be finished; what is asked later follows it."""
        if self._has_sources:
            return []
        files = await asyncio.to_thread(limits.remote_files)
        # All in one exchange: on a slow line each would take its time.
        asked = [asyncio.ensure_future(self.put(name, data)) for name, data in files.items()]
        await asyncio.sleep(0)
        return asked

    async def _finish_sources(self, environment: object, asked: list[asyncio.Task[None]]) -> None:
        if not asked:
            return
        await all_of(*asked)
        # What was sent to another one, this one does not have; the carrier ends the work then.
        self._has_sources = environment is self._environment
        # Once for each environment is more than often enough.
        await asyncio.to_thread(remove_abandoned, self._store.path)

    async def put(self, name: str, data: bytes, needs: str = "") -> None:
        """Put a file there; needs: see remote/depot.py."""
        for start in range(0, max(1, len(data)), _PAGE_BYTES):
            page = data[start : start + _PAGE_BYTES]
            await self._carrier.put(name, start, page, needs=needs)

    async def put_checkpoint(
        self, without: Collection[str] = (), *, is_restored: bool = False
    ) -> dict[str, Any] | None:
        """Put the last checkpoint there; return None if there is none.

        without: names that are left out. is_restored: have it restored behind that, and return
        the remote kernel's reply.
        """
        manifest = await asyncio.to_thread(self._store.manifest)
        if manifest is None:
            return None
        leftovers.leave_out(manifest, without, "bringing it back ends the remote kernel")
        asking: Window[None] = Window(_MOST_PAGES)
        restoring: asyncio.Task[dict[str, Any]] | None = None
        try:
            await asking.ask(self._finish_sources(self._environment, await self._ask_sources()))
            names = sorted(leftovers.references(manifest))
            index = await self._write_pack(names)
            if index is not None:
                manifest["file"] = _NEAR_PACK
                # As it was checked, so it was written: it need not be hashed once more there.
                manifest["damaged"] = sorted(self._store.damaged.intersection(index))
            else:
                index = await self._ask_pack(names, asking)
            content = json.dumps({**manifest, "pack": index}).encode("ascii")
            needs = _PACK if "file" not in manifest else ""
            await asking.ask(self.put(_MANIFEST, content, needs=needs))
            if is_restored:
                # In the same exchange as what it needs; without that there is no manifest there.
                if len(content) > _PAGE_BYTES:
                    await asking.finish()  # whose pages are asked for one after the other
                restoring = asyncio.ensure_future(self._carrier.request({"op": "restore"}))
                await asyncio.sleep(0)
            self._carrier.gathered()
            await asking.finish()
            return {} if restoring is None else await restoring
        finally:
            await asking.close()
            if restoring is not None:
                restoring.cancel()
                await asyncio.gather(restoring, return_exceptions=True)

    async def _write_pack(self, names: list[str]) -> _Index | None:
        """Write the pack beside the calls and return its index; None: it must go in calls."""
        near = self._carrier.near
        file = await asyncio.to_thread(near.create, _NEAR_PACK) if near is not None else None
        if file is None:
            return None
        index: _Index = {}
        end = 0
        writing: asyncio.Future[None] | None = None
        try:
            async with aclosing(self._pages(names)) as pages:
                async for page in pages:
                    end = _enter(index, page, end)
                    if end > _GATHERED_BYTES:
                        self._carrier.gathered()
                    parts = [data for _, data in page]
                    if writing is not None:
                        await asyncio.shield(writing)
                    writing = asyncio.ensure_future(asyncio.to_thread(file.writelines, parts))
            if writing is not None:
                await asyncio.shield(writing)
            await asyncio.to_thread(file.flush)
        except OSError:  # there is no room, or the environment has ended: calls will tell
            return None
        finally:
            await asyncio.gather(*([writing] if writing else []), return_exceptions=True)
            with suppress(OSError):  # as it was when it was written
                file.close()
        return index

    async def _ask_pack(self, names: list[str], asking: Window[None]) -> _Index:
        """Ask for all pages, and return the index of the pack."""
        index: _Index = {}
        end = 0
        async with aclosing(self._pages(names)) as pages:
            async for page in pages:
                start, end = end, _enter(index, page, end)
                if end > _GATHERED_BYTES:
                    self._carrier.gathered()
                await asking.ask(self._carrier.put(_PACK, start, *(data for _, data in page)))
        if not index:
            await asking.ask(self._carrier.put(_PACK, 0, b""))
        return index

    async def _pages(self, names: list[str]) -> AsyncGenerator[_Page, None]:
        """Yield pieces of the store; the next page is read while one is on its way."""
        pieces = self._noted(self._store.pieces(names))
        reading = asyncio.ensure_future(asyncio.to_thread(_read_page, pieces))
        try:
            while page := await asyncio.shield(reading):
                reading = asyncio.ensure_future(asyncio.to_thread(_read_page, pieces))
                yield page
        finally:
            # It holds the store, and must not outlive this.
            await asyncio.gather(reading, return_exceptions=True)

    def _noted(self, pieces: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """Yield pieces; note those that are damaged, which the environment will name."""
        for name, data in pieces:
            if not is_intact(name, data):
                self._store.damaged.add(name)
            yield name, data


async def all_of(*work: Awaitable[None]) -> None:
    """Ask for several things in one exchange; raises for the first that fails, when all ended."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _read_page(pieces: Iterator[tuple[str, bytes]]) -> _Page:
    """Return the next pieces that make a page together, none at the end."""
    page: _Page = []
    size = 0
    while size < _PAGE_BYTES and (piece := next(pieces, None)) is not None:
        page.append(piece)
        size += len(piece[1])
    return page


def _enter(index: _Index, page: _Page, end: int) -> int:
    """Note where the pieces of a page are, of which the first begins at `end`; return their end."""
    for name, data in page:
        index[name] = (end, len(data))
        end += len(data)
    return end
