"""Kernels whose environments end when a test wants it, and what they keep on this machine."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.jsonutil import parse_date

from ..support import TIMEOUT, Cell, Client, Pool, eventually, running_kernel, running_pool

# The kernel believes that its environments live for a second, so that it takes checkpoints
# after half of one; the pool's live on until they are told to expire.
SHORT = ("--AcaKernel.cooldown_seconds=1",)

# A checkpoint after each cell, at once: nobody has to wait for the cooldown.
AFTER_EACH_CELL = ("--AcaKernel.checkpoint_after_seconds=1e-9",)

RELEASED = r"The session environment was released after \d+ s without use"


@dataclass
class Notebook:
    """A kernel, its pool, and where it keeps things."""

    kernel: Client
    pool: Pool
    data: Path
    started: float = 0.0

    def run(self, code: str) -> Cell:
        cell = self.kernel.run(code)
        # As the environment says: what is stored meanwhile is of the cell before.
        started = cell.reply["metadata"].get("started")
        self.started = parse_date(started).timestamp() if started else time.time()
        return cell

    @property
    def files(self) -> list[Path]:
        return list((self.data / "aca-kernel" / "checkpoints").glob("*.sqlite"))

    def manifest(self) -> dict[str, Any]:
        for path in self.files:
            query = "SELECT value FROM about WHERE key = 'manifest'"
            try:
                with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                    row = connection.execute(query).fetchone()
            except sqlite3.OperationalError:  # not even a table yet, or just removed
                continue
            if row:
                return dict(json.loads(row[0]))
        return {"taken": 0, "groups": []}

    def is_stored(self) -> bool:
        """Whether there is a checkpoint of after the last cell."""
        return bool(self.manifest()["taken"] > self.started)

    def stored_names(self) -> set[str]:
        groups = self.manifest()["groups"]
        return {name for group in groups for names in group["names"] for name in names}

    def environments(self) -> list[str]:
        """The environments that the kernel holds, or has left to others."""
        claims = (self.data / "runtime").glob("aca-kernel/*/*.json")
        return [json.loads(one.read_text())["environment_id"] for one in claims]

    def wait_until_stored(self) -> None:
        # The copy that stores has to stand back behind everything else on a busy machine.
        assert eventually(self.is_stored, TIMEOUT)

    def expire_when_stored(self) -> None:
        self.wait_until_stored()
        self.pool.expire()

    def restart(self) -> None:
        """As the front end's button does: a clean start."""
        self.kernel.restart()

    def begin_anew(self) -> None:
        """Go on as a kernel that has run nothing, in an environment that has not either."""
        assert self.run("%aca restart").error is None
        assert eventually(lambda: self.manifest()["groups"] == [])
        # The pool would keep the old one until its cooldown has passed.
        self.pool.expire()

    def is_idle(self) -> bool:
        """Whether the kernel leaves the pool alone for as long as two checkpoints would take."""
        calls = self.pool.calls()
        time.sleep(1.5)
        return self.pool.calls() == calls


def is_running(pool: Pool, argument: str) -> bool:
    """Whether a process with this argument runs in an environment of the pool."""
    for pid in pool.processes():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if argument in psutil.Process(pid).cmdline():
                return True
    return False


@contextmanager
def notebook(
    folder: Path,
    *arguments: str,
    pool: Pool | None = None,
    env: dict[str, str] | None = None,
    pool_options: dict[str, Any] | None = None,
) -> Iterator[Notebook]:
    """Start a kernel with directories of its own, on a pool of its own if none is given."""
    if pool is None:
        options = {"max_concurrent_sessions": 50, **(pool_options or {})}
        with (
            running_pool(**options) as one,
            notebook(folder, *arguments, pool=one, env=env) as made,
        ):
            yield made
        return
    directories = {"JUPYTER_DATA_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with running_kernel({**pool.env, **directories, **(env or {})}, arguments=arguments) as kernel:
        yield Notebook(kernel, pool, folder)
