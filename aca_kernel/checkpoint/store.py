"""Where checkpoints are kept: one SQLite file for each kernel, which only its user can read.

A file holds the manifest of the last checkpoint and the pieces that it consists of. It is
replaced in one transaction: a checkpoint is there as a whole or, whatever this process does
meanwhile, the one before it is. Pieces that nothing refers to any more are removed, and the file
shrinks: it is at most twice as large as what is in it.
Should it be removed or damaged by others, the next checkpoint begins a new one.

The disk is waited for only where the checkpoint is to outlive the machine's power: when it is kept
for another kernel. Others are removed as abandoned after that (`remove_abandoned`).

Pieces come from the environment and go back to it; they are not looked into.
Every method blocks and may be called in any thread, one at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointDamaged, CheckpointFailed
from ..system import is_running, restrict_to_owner
from .place import directory

_SUFFIX = ".sqlite"

# A piece is a mebibyte: pages of 4 kB would be hundreds for each, in a chain. The names have a
# B-tree of their own, so that they are read without what they are the names of.
_SCHEMA = """
PRAGMA page_size = 32768;
PRAGMA auto_vacuum = INCREMENTAL;
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS pieces (name TEXT PRIMARY KEY, data BLOB);
"""

# So much free space is given back at once. More takes time, because what lies behind it is moved:
# it is left to the next checkpoint, unless it is more than half of the file.
_QUICKLY_FREED_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """A file with a checkpoint, as `aca-kernel checkpoints list` shows it.

    taken: seconds since the epoch. is_live: a kernel that runs has it.
    """

    path: Path
    notebook: str
    taken: float
    variables: int
    size: int
    is_kept: bool
    is_live: bool


class Store:
    """The checkpoint of one kernel. The file is made with the first one.

    hash_seed: of the kernel's remote kernels, stored with the checkpoint.
    damaged: names of pieces that are not what they were, as who has read them says; `add` replaces
    them.

    Whatever reads or writes raises CheckpointFailed if it cannot, and CheckpointDamaged if what
    was stored is lost by that.
    """

    def __init__(self, kernel_id: str, notebook: str, hash_seed: str = "") -> None:
        self.path = directory() / f"{kernel_id}{_SUFFIX}"
        self.damaged: set[str] = set()
        self._notebook = notebook
        self._hash_seed = hash_seed
        self._connection: sqlite3.Connection | None = None
        # Device and inode of the file that is connected: another one may take its place.
        self._file = (0, 0)
        self._is_closed = False
        self._lock = threading.Lock()

    def manifest(self) -> dict[str, Any] | None:
        """Return what was stored last, None if there is nothing."""
        with self._open(create=False) as connection:
            return None if connection is None else _manifest(connection)

    def names(self) -> list[str]:
        """Return the hashes of the pieces that are here and whole: none if the file is damaged."""
        with contextlib.suppress(CheckpointDamaged), self._open(create=False) as connection:
            if connection is not None:
                found = connection.execute("SELECT name FROM pieces")
                return [name for (name,) in found if name not in self.damaged]
        return []

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each piece that is here, by its name."""
        with self._open(create=False) as connection:
            if connection is None:
                return {}
            return dict(connection.execute("SELECT name, length(data) FROM pieces"))

    def add(self, pieces: Collection[tuple[str, bytes]]) -> None:
        """Keep pieces for the next checkpoint, by their names."""
        with self._open(create=True) as connection:
            assert connection is not None  # noqa: S101 - made above
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO pieces VALUES (?, ?)", pieces)
        self.damaged.difference_update(name for name, _ in pieces)

    def commit(self, manifest: dict[str, Any], used: set[str]) -> None:
        """Replace the checkpoint. used: names of the pieces that it consists of.

        Raises CheckpointFailed: it cannot be stored, and the one before is still there.
        """
        with self._open(create=True) as connection:
            assert connection is not None  # noqa: S101 - made above
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                there = {name for (name,) in connection.execute("SELECT name FROM pieces")}
                if used - there:
                    raise CheckpointFailed("A part of the checkpoint did not arrive.")
                connection.executemany(
                    "DELETE FROM pieces WHERE name = ?", [(name,) for name in there - used]
                )
                _describe(
                    connection,
                    manifest=json.dumps(manifest),
                    kept="",
                    hash_seed=self._hash_seed,
                )
                _shrink(connection)
            # Now it is this kernel's own, and goes with it.
            connection.execute("PRAGMA synchronous = OFF")

    def pieces(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        """Yield pieces by their names. Raises CheckpointFailed: one is missing."""
        for name in names:
            with self._open(create=False) as connection:
                row = None
                if connection is not None:
                    row = connection.execute(
                        "SELECT data FROM pieces WHERE name = ?", (name,)
                    ).fetchone()
            if row is None:
                raise CheckpointFailed("A part of the checkpoint is missing on this machine.")
            yield name, row[0]

    def adopt(self) -> bool:
        """Take over what another kernel of this notebook has left; tell whether there was any."""
        if self.path.exists():
            return True
        left = self._kept_before()
        if not left:
            return False
        newest = max(left, key=lambda entry: entry.taken)
        try:
            os.replace(newest.path, self.path)
        except OSError:  # another kernel was quicker
            return False
        return True

    def kept_seed(self) -> str:
        """Return the hash seed of the checkpoint that `adopt` would find, "" if there is none."""
        path = self.path
        if not path.exists():
            left = self._kept_before()
            if not left:
                return ""
            path = max(left, key=lambda entry: entry.taken).path
        with contextlib.suppress(sqlite3.Error, OSError):
            seed = _about(path).get("hash_seed", "")
            return seed if seed.isdecimal() else ""
        return ""

    def _kept_before(self) -> list[Entry]:
        """Return what other kernels of this notebook have left."""
        return [
            entry
            for entry in entries()
            if entry.notebook == self._notebook
            and self._notebook
            and entry.is_kept
            and not entry.is_live
            and entry.path != self.path
        ]

    def clear(self) -> None:
        """Remove everything; the next checkpoint is the first."""
        with self._lock:
            self._discard()

    def close(self, *, keep: bool) -> None:
        """Let go of the file for good; keep: it stays, in place of what was kept before."""
        is_kept = False
        with contextlib.suppress(CheckpointFailed), self._open(create=False) as connection:
            if connection is not None and keep and _manifest(connection) is not None:
                connection.execute("PRAGMA synchronous = FULL")
                _describe(connection, kept="yes", process="")
                is_kept = True
        with self._lock:
            self._is_closed = True
            self._disconnect()
            if not is_kept:
                self._discard()
        for entry in self._kept_before() if is_kept else ():
            with contextlib.suppress(OSError):
                remove(entry.path)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _discard(self) -> None:
        self._disconnect()
        # What others have put into its place need not be removed.
        with contextlib.suppress(OSError):
            remove(self.path)

    @contextlib.contextmanager
    def _open(self, *, create: bool) -> Iterator[sqlite3.Connection | None]:
        with self._lock:
            try:
                if self._is_closed:
                    # Of work that was under way when the kernel ended, and has no place any more.
                    raise CheckpointFailed("The kernel has ended.")
                if self._connection is not None and _identity(self.path) != self._file:
                    self._disconnect()
                if self._connection is None and (create or self.path.exists()):
                    self._connection = _connect(self.path)
                    self._file = _identity(self.path)
                    # From now on it is this kernel's, and goes with it.
                    process = f"{socket.gethostname()} {os.getpid()}"
                    _describe(self._connection, notebook=self._notebook, process=process)
                yield self._connection
            except (sqlite3.Error, OSError, ValueError) as error:
                if _is_damage(error):
                    self._discard()
                    raise CheckpointDamaged(
                        f"The checkpoint in {self.path.parent} was damaged ({error})."
                    ) from error
                raise CheckpointFailed(
                    f"The checkpoint cannot be kept in {self.path.parent} ({error}). Make it a "
                    "folder that can be written and has room, or name one in JUPYTER_DATA_DIR."
                ) from error


def entries() -> list[Entry]:
    """Return all checkpoints of this user; what is no checkpoint is passed over."""
    found = []
    for path in sorted(directory().glob(f"*{_SUFFIX}")):
        try:
            about = _about(path)
            manifest = json.loads(about["manifest"])
            entry = Entry(
                path,
                about.get("notebook", ""),
                float(manifest["taken"]),
                int(manifest["named"]),
                path.stat().st_size,
                about.get("kept") == "yes",
                _is_running(about.get("process", "")),
            )
        except (sqlite3.Error, OSError, KeyError, ValueError, TypeError):
            continue
        found.append(entry)
    return found


def remove(path: Path) -> None:
    """Remove a file and what SQLite may have left beside it."""
    for one in (path, path.with_name(path.name + "-journal")):
        with contextlib.suppress(FileNotFoundError):
            one.unlink()


def remove_abandoned(own: Path) -> None:
    """Remove the checkpoints of kernels that were killed and did not want them kept.

    own: of the kernel that asks, which may not have written to it yet.
    """
    for path in directory().glob(f"*{_SUFFIX}"):
        try:
            about = _about(path)
        except (sqlite3.Error, OSError):
            continue
        process = about.get("process", "")
        if path != own and process and about.get("kept") != "yes" and not _is_running(process):
            remove(path)


def _about(path: Path) -> dict[str, str]:
    # Not by _connect, which would make a file that another kernel has just removed.
    uri = f"{path.resolve().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        return dict(connection.execute("SELECT key, value FROM about"))


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(path.parent, 0o700)
    # SQLite gives what it makes beside a file the file's own permissions.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    restrict_to_owner(path)
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_SCHEMA)
        # What another kernel has kept stays on the disk until there is a new one.
        if not _is_kept(connection):
            connection.execute("PRAGMA synchronous = OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _is_damage(error: Exception) -> bool:
    """Tell whether a file is of no use any more; others are full, locked or forbidden."""
    # Of a manifest that is no JSON; or of a file that is no database, or has no tables.
    return (
        isinstance(error, ValueError)
        or type(error) is sqlite3.DatabaseError
        or "no such table" in str(error)
    )


def _describe(connection: sqlite3.Connection, **about: str) -> None:
    connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())


def _is_kept(connection: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM about WHERE key = 'kept' AND value = 'yes'"
    return connection.execute(query).fetchone() is not None


def _shrink(connection: sqlite3.Connection) -> None:
    """Give free space back with this transaction, as far as that is quick or needed."""
    free, total, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "page_count", "page_size")
    )
    if free * size <= _QUICKLY_FREED_BYTES or 2 * free > total:
        # A page each: `execute` does not carry on to the next. A script would end the transaction.
        for _ in range(free):
            connection.execute("PRAGMA incremental_vacuum(1)")


def _manifest(connection: sqlite3.Connection) -> dict[str, Any] | None:
    row = connection.execute("SELECT value FROM about WHERE key = 'manifest'").fetchone()
    if row is None:
        return None
    manifest = json.loads(row[0])
    return manifest if isinstance(manifest, dict) else None


def _is_running(process: str) -> bool:
    """Tell whether the kernel that wrote this runs; of another machine nobody knows."""
    host, _, pid = process.rpartition(" ")
    if not pid.isdigit():
        return False
    if host != socket.gethostname():
        return True
    return is_running(int(pid))
