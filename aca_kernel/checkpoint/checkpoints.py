"""Takes and restores checkpoints of one kernel, in whatever environment it has.

Taking: the remote kernel is asked to fork a copy that writes pack and manifest; then new
pieces are fetched in pages, so that a cell that is submitted meanwhile waits for one page at
the most, and at last the store changes over to the new manifest. Restoring: pieces and
manifest are put into the environment, and the remote kernel is asked to load them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import (
    AcaKernelError,
    CheckpointDamaged,
    CheckpointFailed,
    CheckpointSuperseded,
    EnvironmentGone,
)
from . import leftovers, limits, wording
from .intact import is_intact
from .leftovers import Leftovers
from .store import Store, remove_abandoned
from .window import Window

if TYPE_CHECKING:
    from ..messaging.inbox import Inbox
    from ..settings import AcaKernel
    from .carrier import Carrier

# A page that is fetched takes some tens of milliseconds, which is what a cell may have to wait
# for it. Where a cell waits anyway: the larger the better.
_PAGE_BYTES = 1024 * 1024
_LARGE_PAGE_BYTES = 3 * 1024 * 1024
# So many of them are under way then: an exchange carries as many as fit.
_MOST_PAGES = 8
# The first exchange of a restore waits until so much is read, or all.
_GATHERED_BYTES = 4 * _LARGE_PAGE_BYTES

_KNOWN = "state/known"
_PACK = "state/pack"
_MANIFEST = "state/manifest"
_LOADING = "state/loading"

# While the copy is at work it is looked after at these intervals, the last one repeated.
_LOOK_SECONDS = (0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)

# The copy gives up after 180 s; fetching is not counted.
_LONGEST_SECONDS = 200.0


class CheckpointKept(NamedTuple):
    """There is a checkpoint that can be brought back, or none any more (`has_any`)."""

    now: float
    has_any: bool


class Checkpoints:
    """The state of one notebook.

    cells_since: cells that have run since the last checkpoint, or since the start.
    skipped, missing: names that the last one left out, and that did not come back last, with why.
    inbox: told of `has_any`, whether there is something to bring back.
    """

    def __init__(
        self,
        store: Store,
        carrier: Carrier,
        settings: AcaKernel,
        inbox: Inbox[CheckpointKept],
        log: logging.Logger,
    ) -> None:
        self.cells_since = 0
        self.has_any = False
        self.skipped: list[tuple[str, str]] = []
        self.missing: list[tuple[str, str]] = []
        self.is_busy = False
        self._store = store
        self._carrier = carrier
        self._settings = settings
        self._inbox = inbox
        self._log = log
        self._lock = asyncio.Lock()
        self._has_sources = False
        # By which the remote kernel knows a request that has been superseded, and where it writes.
        self._number = 0
        # When the running cell asked for what it stores or restores.
        self._claimed_at = 0.0
        # Whether the last one left out what the next one can store.
        self._has_deferred = False
        # Names of pieces that are not what they were: they are to be sent again.
        self._damaged: set[str] = set()
        # What the store holds and the environment does not; None: all of it.
        self._left: Leftovers | None = Leftovers()
        # Names of variables that ended the remote kernel when they were brought back.
        self._deadly: set[str] = set()
        # Which notebook's state this is, told apart by what `clear` makes of it; and which
        # environment and remote kernel there are: an answer may be late for both.
        self._history = object()
        self._environment = object()
        self._variables = object()
        self._dropping: set[asyncio.Task[None]] = set()

    @property
    def is_claimed(self) -> bool:
        """Whether the running cell stores or restores, and nothing else is to be begun."""
        return self._carrier.is_urgent

    def _set_has_any(self, has_any: bool) -> None:
        self.has_any = has_any
        self._inbox.put_nowait(CheckpointKept(time.monotonic(), has_any))

    async def await_question(self, most_seconds: float) -> None:
        """Wait for the next question of what the running cell waits for; see the carrier."""
        await self._carrier.await_question(most_seconds)

    def ran_cell(self) -> None:
        """A cell has ended."""
        self.cells_since += 1
        self._carrier.is_urgent = False

    def forget_environment(self) -> None:
        """There will be another environment, which knows nothing yet."""
        self._has_sources = False
        self._environment = object()
        self.lose_variables()

    def lose_variables(self) -> None:
        """There is another remote kernel in the same environment, whose files are as they were."""
        self._carrier.is_urgent = False
        self._left = None
        self._variables = object()

    # -- taking --------------------------------------------------------------------

    async def take(self) -> str:
        """Take a checkpoint between cells; return a sentence about it.

        Raises CheckpointFailed, EnvironmentGone.
        """
        try:
            return await self._take()
        except CheckpointDamaged:
            # Nothing is known any more, and all is sent.
            return await self._take()

    async def _take(self) -> str:
        async with self._at_work():
            told = await self._take_once()
            if self._has_deferred:
                # What its copy could not store, the remote kernel now prepares itself.
                with contextlib.suppress(CheckpointFailed):
                    told = await self._take_once()
            return told

    async def _take_once(self) -> str:
        started, cells = time.monotonic(), 0
        asked = await self._prepare_taking()
        if self.is_claimed:
            raise _superseded()

        def count() -> None:
            nonlocal cells
            cells = self.cells_since

        # Not before: cells that wait over there already run before it.
        await self._carrier.request({"op": "take", **asked}, count)
        return await self._finish_taking(started, cells)

    async def begin(self) -> dict[str, Any]:
        """Prepare a checkpoint that a running cell takes itself; return what it needs for that.

        Raises CheckpointFailed, EnvironmentGone.
        """
        self._claim()
        self._claimed_at = time.monotonic()
        async with self._at_work():
            return await self._prepare_taking()

    async def end(self) -> str:
        """Fetch what a running cell has taken; return a sentence about it."""
        async with self._at_work():
            return await self._finish_taking(self._claimed_at, self.cells_since)

    def _claim(self) -> None:
        """The running cell is to do it, until `ran_cell`."""
        self._carrier.is_urgent = True
        if self._carrier.awaits_reply:
            # That comes when the cell has ended, and the cell would wait for it.
            self._carrier.fail(_superseded())

    async def _prepare_taking(self) -> dict[str, Any]:
        names = set(await asyncio.to_thread(self._store.names)) - self._damaged
        self._number += 1
        number = str(self._number)
        known = "\n".join([number, *names]).encode("ascii")
        # In one exchange.
        await _all_of(self._send_sources(), self._put(_KNOWN, known))
        return {"number": number, "limits": limits.of_settings(self._settings)}

    async def _finish_taking(self, started: float, cells: int) -> str:
        manifest = await self._manifest()
        pack = _checked_pack(manifest, limits.largest_pack_bytes(self._settings))
        used = leftovers.references(manifest)
        sent = manifest.pop("size")
        history, variables = self._history, self._variables
        sent += await self._fetch({name: pack[name] for name in used if name in pack})
        del manifest["pack"]
        manifest["named"] = _named(manifest)
        what, skipped = wording.what_of(manifest), wording.pairs(manifest["skipped"])
        left = await asyncio.to_thread(self._commit, manifest)
        if history is not self._history:  # it was cleared meanwhile
            await asyncio.to_thread(self._store.clear)
            raise EnvironmentGone("The session environment was given up meanwhile.")
        if variables is self._variables:
            self._left = left
        # Cells that ran meanwhile are not in it.
        self.cells_since -= cells
        self.skipped = skipped
        self._has_deferred = bool(manifest.get("deferred"))
        self._set_has_any(True)
        self._log.info("checkpoint taken, %s bytes sent", sent)
        self._drop_later([self._taken("pack"), self._taken("manifest")])
        return wording.stored(what, skipped, sent, time.monotonic() - started)

    def _commit(self, manifest: dict[str, Any]) -> Leftovers:
        """Keep a new checkpoint, and what is left in the one before it; return the latter."""
        carried = Leftovers()
        before = self._store.manifest() if self.has_any else None
        if before is not None and self._settings.restore != "off":
            left = leftovers.all_of(before) if self._left is None else self._left
            most_bytes = limits.largest_pack_bytes(self._settings)
            carried = leftovers.carry_over(manifest, before, left, self._store.sizes(), most_bytes)
        # Stored anew, something may be another thing.
        self._deadly &= carried.names
        self._store.commit(manifest, leftovers.references(manifest))
        return carried

    def _taken(self, name: str) -> str:
        """Return what the request that was made last writes under this name."""
        return f"state/{self._number}/{name}"

    def _drop_later(self, names: list[str]) -> None:
        """Remove files with the next exchange, which nobody waits for."""

        async def drop() -> None:
            # If it cannot be done, the environment keeps some space on its disk.
            with contextlib.suppress(AcaKernelError):
                await self._carrier.drop(names)

        task = asyncio.ensure_future(drop())
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def _manifest(self) -> dict[str, Any]:
        size, data = await self._await_manifest()
        ranges = _ranges(len(data), size, _PAGE_BYTES)
        path = self._taken("manifest")
        parts = [data, *[await self._carrier.get(path, [one]) for one in ranges]]
        try:
            manifest = json.loads(b"".join(parts))
            leftovers.references(manifest), _named(manifest), float(manifest["taken"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CheckpointFailed("The environment's checkpoint cannot be read.") from None
        return {**manifest, "size": size}

    async def _await_manifest(self) -> tuple[int, bytes]:
        """Wait until the checkpoint is taken; return the manifest's size and its beginning."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        looks = 0
        paths = [self._taken("manifest"), self._taken("failure")]
        while True:
            (size, failure), data = await self._carrier.sizes_and_start(paths, _PAGE_BYTES)
            if size >= 0:
                break
            if failure >= 0:
                reason = await self._carrier.get(paths[1], [(0, min(failure, 500))])
                text = reason.decode("utf-8", "replace").strip() or "it does not say why"
                raise CheckpointFailed(f"The checkpoint could not be taken: {text}.")
            if time.monotonic() > deadline:
                raise CheckpointFailed("The checkpoint could not be taken: it took too long.")
            await asyncio.sleep(_LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)])
            looks += 1
        if size > limits.LARGEST_MANIFEST_BYTES:
            raise CheckpointFailed("The checkpoint could not be taken: there is too much in it.")
        return size, data[:size]

    async def _fetch(self, pack: dict[str, tuple[int, int]]) -> int:
        """Fetch pieces and keep them; return how many bytes they are."""
        sent = 0
        storing: asyncio.Task[None] | None = None
        # A cell that stores waits for all of it anyway; another one must not.
        count = _MOST_PAGES if self.is_claimed else 1
        pages = list(_pages(pack, _LARGE_PAGE_BYTES if self.is_claimed else _PAGE_BYTES))
        path = self._taken("pack")
        window: Window[bytes] = Window(count)
        answers = window.results(
            self._carrier.get(path, [pack[name] for name in names]) for names in pages
        )
        try:
            for names in pages:
                data = await answers.__anext__()
                sent += len(data)
                # The next pages come while this one is written.
                if storing is not None:
                    await storing
                pieces = list(_cut(names, [pack[name] for name in names], data))
                storing = asyncio.ensure_future(asyncio.to_thread(self._add, pieces))
        finally:
            await window.close()
            if storing is not None:
                await storing
        return sent

    def _add(self, pieces: list[tuple[str, bytes]]) -> None:
        if not all(is_intact(name, data) for name, data in pieces):
            raise CheckpointFailed("A part of the checkpoint was damaged on its way.")
        self._store.add(pieces)
        self._damaged.difference_update(name for name, _ in pieces)

    # -- restoring -----------------------------------------------------------------

    async def restore(self, *, after_death: bool = False) -> dict[str, Any] | None:
        """Bring the last checkpoint back between cells; return the report, None if there is none.

        after_death: the remote kernel ended when this was tried, and there is another one; what
        was being loaded then is left out. Raises CheckpointFailed, EnvironmentGone.
        """
        async with self._at_work():
            started = time.monotonic()
            if after_death:
                self._deadly |= await self._names_of_death()
            self._carrier.gather()
            reply = await self._put_checkpoint(self._deadly, is_restored=True)
            if reply is None:
                self._set_has_any(False)
                return None
            report = reply.get("report")
            report = dict(report) if isinstance(report, dict) else {}
            report["seconds"] = time.monotonic() - started
            if report.get("is_interrupted"):
                return report
            self.restored(report)
            if self._left is not None:
                self._left.names |= self._deadly
            return report

    async def _names_of_death(self) -> set[str]:
        (size,) = await self._carrier.sizes([_LOADING])
        if not 0 < size <= _PAGE_BYTES:
            raise CheckpointFailed("The remote kernel ended meanwhile.")
        return {str(name) for name in json.loads(await self._carrier.get(_LOADING, [(0, size)]))}

    def restored_in_cell(self, report: dict[str, Any]) -> dict[str, Any]:
        """Note what the running cell has restored; return the report with the whole time."""
        self.restored(report)
        return {**report, "seconds": time.monotonic() - self._claimed_at}

    def restored(self, report: dict[str, Any]) -> None:
        """The checkpoint has been brought back, as far as this report of the environment's says."""
        self._left = leftovers.of_report(report)
        self.missing = wording.pairs(report.get("missing"))

    async def begin_restoring(self) -> bool:
        """Put the last checkpoint where a running cell can load it; tell whether there is one."""
        self._claim()
        self._claimed_at = time.monotonic()
        async with self._at_work():
            await asyncio.to_thread(self._store.adopt)
            # What has been superseded is not to be begun later, over what is put there now.
            self._drop_later([_KNOWN])
            if await self._put_checkpoint() is None:
                self._set_has_any(False)
                return False
            # Until the cell tells what came of it.
            self._left = None
            self._set_has_any(True)
            return True

    async def _put_checkpoint(
        self, without: Collection[str] = (), *, is_restored: bool = False
    ) -> dict[str, Any] | None:
        """Put the last checkpoint there; return None if there is none.

        is_restored: have it restored behind that, and return the remote kernel's reply.
        """
        manifest = await asyncio.to_thread(self._store.manifest)
        if manifest is None:
            return None
        leftovers.leave_out(manifest, without, "bringing it back ends the remote kernel")
        pieces = self._noted(self._store.pieces(sorted(leftovers.references(manifest))))
        index: dict[str, tuple[int, int]] = {}
        asking: Window[None] = Window(_MOST_PAGES)
        restoring: asyncio.Task[dict[str, Any]] | None = None
        reading: asyncio.Future[list[tuple[str, bytes]]] | None = None
        try:
            environment = self._environment
            await asking.ask(self._finish_sources(environment, await self._ask_sources()))
            end = 0
            reading = asyncio.ensure_future(asyncio.to_thread(_read_page, pieces))
            while page := await reading:
                # The next page is read while this one is on its way.
                reading = asyncio.ensure_future(asyncio.to_thread(_read_page, pieces))
                start = end
                for name, data in page:
                    index[name] = (end, len(data))
                    end += len(data)
                if end > _GATHERED_BYTES:
                    self._carrier.gathered()
                await asking.ask(self._carrier.put(_PACK, start, *(data for _, data in page)))
            if not index:
                await asking.ask(self._carrier.put(_PACK, 0, b""))
            content = json.dumps({**manifest, "pack": index}).encode("ascii")
            await asking.ask(self._put(_MANIFEST, content, needs=_PACK))
            if is_restored:
                # In the same exchange as what it needs; without that there is no manifest there.
                if len(content) > _LARGE_PAGE_BYTES:
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
            # It holds the store, and must not outlive this.
            if reading is not None:
                await asyncio.gather(reading, return_exceptions=True)

    def _noted(self, pieces: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """Yield pieces; note those that are damaged, which the environment will name."""
        for name, data in pieces:
            if not is_intact(name, data):
                self._damaged.add(name)
            yield name, data

    # -- common --------------------------------------------------------------------

    async def clear(self) -> None:
        """There is nothing any more to bring back."""
        self.cells_since = 0
        self._set_has_any(False)
        self._left, self._history = Leftovers(), object()
        self.skipped, self.missing = [], []
        await asyncio.to_thread(self._store.clear)

    def close(self) -> None:
        """The kernel ends."""
        self._store.close(keep=self._settings.checkpoint_keep)

    async def _send_sources(self) -> None:
        """Put our code there, if it is not yet."""
        await self._finish_sources(self._environment, await self._ask_sources())

    async def _ask_sources(self) -> list[asyncio.Task[None]]:
        """Ask for that, and return what is to be finished; what is asked later follows it."""
        if self._has_sources:
            return []
        files = await asyncio.to_thread(limits.remote_files)
        # All in one exchange: on a slow line each would take its time.
        asked = [asyncio.ensure_future(self._put(name, data)) for name, data in files.items()]
        await asyncio.sleep(0)
        return asked

    async def _finish_sources(self, environment: object, asked: list[asyncio.Task[None]]) -> None:
        if not asked:
            return
        await _all_of(*asked)
        # What was sent to another one, this one does not have; the carrier ends the work then.
        self._has_sources = environment is self._environment
        # Once for each environment is more than often enough.
        await asyncio.to_thread(remove_abandoned, self._store.path)

    async def _put(self, name: str, data: bytes, needs: str = "") -> None:
        for start in range(0, max(1, len(data)), _LARGE_PAGE_BYTES):
            page = data[start : start + _LARGE_PAGE_BYTES]
            await self._carrier.put(name, start, page, needs=needs)

    @contextlib.asynccontextmanager
    async def _at_work(self) -> Any:
        async with self._lock:
            self.is_busy = True
            self._carrier.begin(is_for_cell=self.is_claimed)
            try:
                yield
            except CheckpointDamaged:
                self._left = Leftovers()
                self._set_has_any(False)
                raise
            except AcaKernelError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                # Something that the environment has said is not what it must be.
                raise CheckpointFailed(
                    "The environment's checkpoint cannot be read.", detail=repr(error)
                ) from error
            finally:
                self.is_busy = False
                self._carrier.end()


async def _all_of(*work: Awaitable[None]) -> None:
    """Ask for several things in one exchange; raises for the first that fails, when all ended."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _ranges(start: int, end: int, most_bytes: int) -> list[tuple[int, int]]:
    """Return places and lengths of the pages between two places."""
    return [(one, min(most_bytes, end - one)) for one in range(start, end, most_bytes)]


def _superseded() -> CheckpointSuperseded:
    return CheckpointSuperseded("The running cell stores or restores variables itself.")


def _named(manifest: dict[str, Any]) -> int:
    """Return how many variables and modules there are that the user has named."""
    names = [name for group in manifest["groups"] for alias in group["names"] for name in alias]
    return len(manifest["imports"]) + sum(not name.startswith(("_", "Out[")) for name in names)


def _checked_pack(manifest: dict[str, Any], most_bytes: int) -> dict[str, tuple[int, int]]:
    pack = {str(name): (int(place), int(size)) for name, (place, size) in manifest["pack"].items()}
    sizes = [size for _, size in pack.values()]
    if any(not 0 < size <= limits.LARGEST_PIECE_BYTES for size in sizes) or sum(sizes) > most_bytes:
        raise CheckpointFailed("The environment's checkpoint is larger than it may be.")
    return pack


def _read_page(pieces: Iterator[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the next pieces that make a page together, none at the end."""
    page: list[tuple[str, bytes]] = []
    size = 0
    while size < _LARGE_PAGE_BYTES and (piece := next(pieces, None)) is not None:
        page.append(piece)
        size += len(piece[1])
    return page


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


def _cut(
    names: list[str], ranges: list[tuple[int, int]], data: bytes
) -> Iterator[tuple[str, bytes]]:
    end = 0
    for name, (_, length) in zip(names, ranges, strict=True):
        yield name, data[end : end + length]
        end += length
