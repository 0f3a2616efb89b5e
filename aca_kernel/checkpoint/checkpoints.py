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
from typing import Any, NamedTuple

from ..environment.near_files import NearFiles
from ..errors import (
    AcaKernelError,
    CheckpointDamaged,
    CheckpointFailed,
    CheckpointSuperseded,
    EnvironmentGone,
)
from ..messaging.inbox import Inbox
from ..settings import AcaKernel
from . import leftovers, limits, wording
from .carrier import Carrier
from .collecting import Collecting, checked_pack, named
from .leftovers import Leftovers
from .putting import Putting, all_of
from .store import Store

_KNOWN = "state/known"
_LOADING = "state/loading"

# Names of variables are no longer than this.
_LONGEST_LOADING_BYTES = 1024 * 1024


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
        # By which the remote kernel knows a request that has been superseded, and where it writes.
        self._number = 0
        # When the running cell asked for what it stores or restores.
        self._claimed_at = 0.0
        # Whether the last one left out what the next one can store.
        self._has_deferred = False
        self._putting = Putting(store, carrier)
        self._collecting = Collecting(store, carrier)
        # What the store holds and the environment does not; None: all of it.
        self._left: Leftovers | None = Leftovers()
        # Names of variables that ended the remote kernel when they were brought back.
        self._deadly: set[str] = set()
        # Which notebook's state this is, told apart by what `clear` makes of it; and which
        # remote kernel there is: an answer may be late for both.
        self._history = object()
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

    def begin_environment(self, files: NearFiles) -> None:
        """There is an environment; files: its agent's, where they need not go through calls."""
        self._carrier.near = files

    def forget_environment(self) -> None:
        """There will be another environment, which knows nothing yet."""
        self._carrier.near = None
        self._putting.forget_environment()
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
        names = await asyncio.to_thread(self._store.names)
        self._number += 1
        number = str(self._number)
        known = "\n".join([number, *names]).encode("ascii")
        # In one exchange.
        await all_of(self._putting.send_sources(), self._putting.put(_KNOWN, known))
        return {"number": number, "limits": limits.of_settings(self._settings)}

    async def _finish_taking(self, started: float, cells: int) -> str:
        folder = f"state/{self._number}"
        manifest, sent = await self._collecting.manifest(folder)
        pack = checked_pack(manifest, limits.largest_pack_bytes(self._settings))
        used = leftovers.references(manifest)
        history, variables = self._history, self._variables
        wanted = {name: pack[name] for name in used if name in pack}
        # A cell that stores waits for all of it anyway; another one must not.
        sent += await self._collecting.fetch(f"{folder}/pack", wanted, is_awaited=self.is_claimed)
        del manifest["pack"]
        manifest["named"] = named(manifest)
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
        self._drop_later([f"{folder}/pack", f"{folder}/manifest"])
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

    def _drop_later(self, names: list[str]) -> None:
        """Remove files with the next exchange, which nobody waits for."""

        async def drop() -> None:
            # If it cannot be done, the environment keeps some space on its disk.
            with contextlib.suppress(AcaKernelError):
                await self._carrier.drop(names)

        task = asyncio.ensure_future(drop())
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

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
            reply = await self._putting.put_checkpoint(self._deadly, is_restored=True)
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
        if not 0 < size <= _LONGEST_LOADING_BYTES:
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
            if await self._putting.put_checkpoint() is None:
                self._set_has_any(False)
                return False
            # Until the cell tells what came of it.
            self._left = None
            self._set_has_any(True)
            return True

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


def _superseded() -> CheckpointSuperseded:
    return CheckpointSuperseded("The running cell stores or restores variables itself.")
