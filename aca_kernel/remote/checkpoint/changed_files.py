"""Files in the working directory that have changed since the start.

Both the directory that the process started in and its current one are searched. Folders of tools
and directories of the system are left out.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any

from ..notebook_files import quiet
from ..origin import Origin, stamp
from ..originals import io, os
from ..paged_files import FileProblem
from .pieces import PIECE_BYTES, DamagedPiece, Pack, Pieces
from .session_state import working_directory

_TOOLS_FOLDERS = frozenset(
    {"__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".cache", "node_modules"}
)

# A notebook that has gone to one of these has not gone to its own files.
_SYSTEM_FOLDERS = frozenset({"/", "/tmp", "/usr", "/etc", "/var", "/home", "/root", "/opt", "/dev"})  # noqa: S108 - compared only

_MOST_FILES = 10_000


class ChangedFiles:
    """The files of a checkpoint. most_bytes: of all together."""

    def __init__(self, origin: Origin, pack: Pack, most_bytes: int) -> None:
        self.skipped: list[tuple[str, str]] = []
        self._origin = origin
        self._pack = pack
        self._most_bytes = most_bytes
        self._left = most_bytes

    def take(self) -> list[dict[str, Any]]:
        """Store the files; return their entries in the manifest, small files before large ones."""
        found = sorted(self._changed(), key=lambda one: one[1].st_size)
        taken = []
        for path, status in found[:_MOST_FILES]:
            try:
                entry = self._entry(path, status)
            except (OSError, FileProblem) as error:
                self._skip(path, _reason(error))
            else:
                mode = stat.S_IMODE(status.st_mode)
                taken.append({"path": self._stored_path(path), "mode": mode, **entry})
        for path, _ in found[_MOST_FILES:]:
            self._skip(path, f"there are more than {_MOST_FILES} files")
        return taken

    def _stored_path(self, path: str) -> str:
        """Return a path below the first directory relative to it: the next one may be another."""
        first = self._origin.directory.rstrip(os.sep) + os.sep
        return path.removeprefix(first)

    def _skip(self, path: str, reason: str) -> None:
        self.skipped.append((os.path.relpath(path, self._origin.directory), reason))

    def _changed(self) -> Iterator[tuple[str, os.stat_result]]:
        for root in self._roots():
            for folder, folders, names in os.walk(root):
                folders[:] = sorted(set(folders) - _TOOLS_FOLDERS)
                links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
                empty = [folder] if folder != root and not names and not folders else []
                for path in [os.path.join(folder, name) for name in [*names, *links]] + empty:
                    try:
                        status = os.lstat(path)
                    except OSError:  # removed since
                        continue
                    if self._origin.files.get(path) != stamp(status):
                        yield path, status

    def _roots(self) -> list[str]:
        roots = [self._origin.directory]
        current = working_directory()
        if current is None or current in _SYSTEM_FOLDERS or current == os.path.expanduser("~"):
            return roots
        is_inside = (current + os.sep).startswith(self._origin.directory.rstrip(os.sep) + os.sep)
        return roots if is_inside else [*roots, current]

    def _entry(self, path: str, status: os.stat_result) -> dict[str, Any]:
        if stat.S_ISLNK(status.st_mode):
            return {"link": os.readlink(path)}
        if stat.S_ISDIR(status.st_mode):
            return {"folder": True}
        if not stat.S_ISREG(status.st_mode):
            raise FileProblem("it is not a regular file")
        if status.st_size > self._left:
            limit = f"{self._most_bytes / 1e6:.0f} MB"
            raise FileProblem(f"the files together are larger than {limit}")
        self._left -= status.st_size
        pieces = []
        with io.open(path, "rb") as file:
            while data := file.read(PIECE_BYTES):
                pieces.append(self._pack.add(data))
            if stamp(os.fstat(file.fileno())) != stamp(status):
                raise FileProblem("it was written to meanwhile")
        return {"pieces": pieces, "changed": status.st_mtime_ns}


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def write_files(
    entries: list[dict[str, Any]], pieces: Pieces, directory: str, taken: float
) -> tuple[int, list[tuple[str, str]], list[str]]:
    """Write files again; return how many, those not written with the reason, and failed paths.

    directory: for relative paths. taken: when they were stored; a newer file stays.
    """
    written: int = 0
    told: list[tuple[str, str]] = []
    failed: list[str] = []
    for entry in entries:
        path = os.path.join(directory, entry["path"])
        shown = os.path.relpath(path, directory)
        try:
            # A newer one beside the notebook does not count: this one is the code's.
            with quiet():
                if _is_newer(path, entry, taken):
                    told.append((shown, "there is a newer one"))
                    continue
                _write(path, entry, pieces)
        except (OSError, DamagedPiece) as error:
            told.append((shown, _reason(error)))
            failed.append(entry["path"])
        else:
            written += "folder" not in entry
    return written, told, failed


def _is_newer(path: str, entry: dict[str, Any], taken: float) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return "pieces" in entry and status.st_mtime > taken


def _write(path: str, entry: dict[str, Any], pieces: Pieces) -> None:
    if "folder" in entry:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Atomic: a file that cannot be written whole leaves the old one.
    # Of a short name: the file's own may be as long as names can be.
    partial = os.path.join(os.path.dirname(path), f".aca-{os.getpid()}.part")
    try:
        if "link" in entry:
            os.symlink(entry["link"], partial)
        else:
            with io.open(partial, "wb") as file:
                file.writelines(pieces.read_all(entry["pieces"]))
            os.chmod(partial, entry["mode"])
            os.utime(partial, ns=(entry["changed"], entry["changed"]))
        os.replace(partial, path)
    except BaseException:  # an interrupt, too
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
