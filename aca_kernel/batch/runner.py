"""Concurrent runs of all notebooks of a batch, until they are done or it is stopped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from .finding import Job
from .kernels import Kernels
from .notebook import NotebookRun, Options
from .outcomes import Outcome, Status
from .progress import Progress


class Runner:
    """Runs notebooks, so many at a time.

    is_stopped: `stop` was called, or a notebook failed with --fail-fast.
    is_running: `run` is under way.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        options: Options,
        kernels: Kernels,
        progress: Progress,
        *,
        fail_fast: bool,
    ) -> None:
        self._runs = [NotebookRun(job, options, kernels, progress) for job in jobs]
        self._waiting = deque(self._runs)
        self._running: dict[NotebookRun, asyncio.Task[None]] = {}
        self._progress = progress
        self._fail_fast = fail_fast
        self._kills: set[asyncio.Task[None]] = set()
        self.is_stopped = False
        self.is_running = False

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes, in the order of the jobs."""
        return [run.outcome for run in self._runs]

    async def run(self, parallel: int) -> None:
        """Run all; return when no kernel is left."""
        self.is_running = True
        try:
            await asyncio.gather(*(self._work() for _ in range(min(parallel, len(self._runs)))))
            await asyncio.gather(*self._kills)
        finally:
            self.is_running = False

    def stop(self) -> None:
        """Start no other notebook, and interrupt and save those that run."""
        self.is_stopped = True
        self._waiting.clear()
        for run, task in self._running.items():
            if not run.interrupt():
                task.cancel()

    def stop_at_once(self) -> None:
        """Kill the kernels; saved outputs stay."""
        self.stop()
        for run, task in self._running.items():
            self._kills.add(asyncio.ensure_future(_kill(run, task)))

    async def _work(self) -> None:
        while self._waiting:
            run = self._waiting.popleft()
            self._progress.begin(run.outcome)
            task = self._running[run] = asyncio.ensure_future(run.run())
            try:
                await task
            except asyncio.CancelledError:
                if not self.is_stopped:
                    raise
                # Stopped ahead of its first step: it has not run.
            finally:
                del self._running[run]
            self._progress.end(run.outcome)
            if self._fail_fast and run.outcome.status is Status.FAILED and not self.is_stopped:
                self.stop()


async def _kill(run: NotebookRun, task: asyncio.Task[None]) -> None:
    await run.kill()
    task.cancel()
