"""Collects what the remote kernel's copy has written of a checkpoint, and keeps its pieces.

It comes in pages, so that a cell that is submitted meanwhile waits for one page at the most; or
beside the calls, where this machine sees the files (environment/near_files.py).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

from ..environment.near_files import NearFiles
from ..errors import CheckpointFailed
from . import leftovers, limits
from .carrier import Carrier
from .intact import is_intact
from .store import Store
from .window import Window

# A page that is fetched takes some tens of milliseconds, which is what a cell may have to wait
# for it. Where a cell waits anyway: the larger the better.
_PAGE_BYTES = 1024 * 1024
_LARGE_PAGE_BYTES = 3 * 1024 * 1024
# So many of them are under way then: an exchange carries as many as fit.
_MOST_PAGES = 8

# While the copy is at work it is looked after at these intervals, the last one repeated.
_LOOK_SECONDS = (0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)

# The copy gives up after 180 s; fetching is not counted.
_LONGEST_SECONDS = 200.0


_Pieces = list[tuple[str, bytes]]


class Collecting:
    """Fetches from the present environment of a kernel."""

    def __init__(self, store: Store, carrier: Carrier) -> None:
        self._store = store
        self._carrier = carrier

    async def manifest(self, folder: str) -> tuple[dict[str, Any], int]:
        """Return the manifest in a folder as soon as it is there, and its size.

        Raises CheckpointFailed: there will be none, or it cannot be read.
        """
        path = f"{folder}/manifest"
        size, data = await self._await_manifest(path, f"{folder}/failure")
        parts = [data]
        for start in range(len(data), size, _PAGE_BYTES):
            length = min(_PAGE_BYTES, size - start)
            parts.append(await self._carrier.get(path, [(start, length)]))
        try:
            manifest = json.loads(b"".join(parts))
            leftovers.references(manifest), named(manifest), float(manifest["taken"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CheckpointFailed("The environment's checkpoint cannot be read.") from None
        return manifest, size

    async def _await_manifest(self, path: str, failure_path: str) -> tuple[int, bytes]:
        """Wait until the checkpoint is taken; return the manifest's size and its beginning."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        looks = 0
        paths = [path, failure_path]
        while True:
            (size, failure), data = await self._carrier.sizes_and_start(paths, _PAGE_BYTES)
            if size >= 0:
                break
            if failure >= 0:
                reason = await self._carrier.get(failure_path, [(0, min(failure, 500))])
                text = reason.decode("utf-8", "replace").strip() or "it does not say why"
                raise CheckpointFailed(f"The checkpoint could not be taken: {text}.")
            if time.monotonic() > deadline:
                raise CheckpointFailed("The checkpoint could not be taken: it took too long.")
            await asyncio.sleep(_LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)])
            looks += 1
        if size > limits.LARGEST_MANIFEST_BYTES:
            raise CheckpointFailed("The checkpoint could not be taken: there is too much in it.")
        return size, data[:size]

    async def fetch(self, path: str, pack: dict[str, tuple[int, int]], *, is_awaited: bool) -> int:
        """Fetch pieces and keep them; return how many bytes they are.

        is_awaited: a cell waits for all of it.
        """
        storing: asyncio.Task[None] | None = None
        count, size = (_MOST_PAGES, _LARGE_PAGE_BYTES) if is_awaited else (1, _PAGE_BYTES)
        window: Window[_Pieces] = Window(count)
        pages = window.results(
            self._page(path, {name: pack[name] for name in names}) for names in _pages(pack, size)
        )
        try:
            async for pieces in pages:
                # The next pages come while this one is written.
                if storing is not None:
                    await storing
                storing = asyncio.ensure_future(asyncio.to_thread(self._store.add, pieces))
        finally:
            await window.close()
            if storing is not None:
                await storing
        return sum(size for _, size in pack.values())

    async def _page(self, path: str, where: dict[str, tuple[int, int]]) -> _Pieces:
        """Return pieces that are what they are called by. Raises CheckpointFailed."""
        if self._carrier.near is not None:
            pieces = await asyncio.to_thread(_read, self._carrier.near, path, where)
            if pieces is not None:
                return pieces
        data = await self._carrier.get(path, list(where.values()))
        return await asyncio.to_thread(_checked, where, data)


def named(manifest: dict[str, Any]) -> int:
    """Return how many variables and modules there are that the user has named."""
    names = [name for group in manifest["groups"] for alias in group["names"] for name in alias]
    return len(manifest["imports"]) + sum(not name.startswith(("_", "Out[")) for name in names)


def checked_pack(manifest: dict[str, Any], most_bytes: int) -> dict[str, tuple[int, int]]:
    """Return where the new pieces are. Raises CheckpointFailed: there is too much of them."""
    pack = {str(name): (int(place), int(size)) for name, (place, size) in manifest["pack"].items()}
    sizes = [size for _, size in pack.values()]
    if any(not 0 < size <= limits.LARGEST_PIECE_BYTES for size in sizes) or sum(sizes) > most_bytes:
        raise CheckpointFailed("The environment's checkpoint is larger than it may be.")
    return pack


def _pages(pack: dict[str, tuple[int, int]], most_bytes: int) -> Iterator[list[str]]:
    """Yield names of pieces that make a page together, in the order of the pack."""
    page: list[str] = []
    size = 0
    for name in sorted(pack, key=lambda one: pack[one][0]):
        page.append(name)
        size += pack[name][1]
        if size >= most_bytes:
            yield page
            page, size = [], 0
    if page:
        yield page


def _read(files: NearFiles, path: str, where: dict[str, tuple[int, int]]) -> _Pieces | None:
    """Return pieces beside the calls, None if one of them cannot be had so."""
    found = files.read(path, list(where.values()))
    if found is None:
        return None
    pieces = list(zip(where, found, strict=True))
    return pieces if all(is_intact(name, data) for name, data in pieces) else None


def _checked(where: dict[str, tuple[int, int]], data: bytes) -> _Pieces:
    pieces, end = [], 0
    for name, (_, length) in where.items():
        pieces.append((name, data[end : end + length]))
        end += length
    if not all(is_intact(name, one) for name, one in pieces):
        raise CheckpointFailed("A part of the checkpoint was damaged on its way.")
    return pieces
