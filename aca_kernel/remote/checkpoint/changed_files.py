"""Files in the working directory, as far as they are not as they were at the start.

Looked through are the directory that the process started in and the one it is in now. What
tools keep there for themselves is left out, and so are directories that hold a system's files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from ..notebook_files import quiet
from ..origin import Origin, stamp
from .pieces import PIECE_BYTES, DamagedPiece, Pack, Pieces

_TOOLS_FOLDERS = frozenset(
    {"__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".cache", "node_modules"}
)

# A notebook that has gone to one of these has not gone to its own files.
_SYSTEM_FOLDERS = frozenset({"/", "/tmp", "/usr", "/etc", "/var", "/home", "/root", "/opt", "/dev"})  # noqa: S108 - compared only

_MOST_FILES = 10_000


class ChangedFiles:
    """Takes the files of a checkpoint. most_bytes: of all together."""

    def __init__(self, origin: Origin, pack: Pack, most_bytes: int) -> None:
        self.skipped: list[tuple[str, str]] = []
        self._origin = origin
        self._pack = pack
        self._most_bytes = most_bytes
        self._left = most_bytes

    def take(self) -> list[dict[str, Any]]:
        """Return what is to be written again, small files before large ones."""
        found = sorted(self._changed(), key=lambda one: one[1].st_size)
        if len(found) > _MOST_FILES:
            self.skipped.extend(
                (self._shown(path), f"there are more than {_MOST_FILES} files")
                for path, _ in found[_MOST_FILES:]
            )
            del found[_MOST_FILES:]
        taken = []
        for path, status in found:
            try:
                entry = self._entry(path, status)
            except OSError as error:
                self.skipped.append((self._shown(path), error.strerror or type(error).__name__))
            else:
                if entry is not None:
                    taken.append({"path": path, "mode": stat.S_IMODE(status.st_mode), **entry})
        return taken

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
        try:
            current = os.getcwd()
        except FileNotFoundError:
            return roots
        if current in _SYSTEM_FOLDERS or current == os.path.expanduser("~"):
            return roots
        is_inside = (current + os.sep).startswith(self._origin.directory.rstrip(os.sep) + os.sep)
        return roots if is_inside else [*roots, current]

    def _entry(self, path: str, status: os.stat_result) -> dict[str, Any] | None:
        if stat.S_ISLNK(status.st_mode):
            return {"link": os.readlink(path)}
        if stat.S_ISDIR(status.st_mode):
            return {"folder": True}
        if not stat.S_ISREG(status.st_mode):
            self.skipped.append((self._shown(path), "it is not a regular file"))
            return None
        if status.st_size > self._left:
            limit = f"the files together are larger than {self._most_bytes / 1e6:.0f} MB"
            self.skipped.append((self._shown(path), limit))
            return None
        self._left -= status.st_size
        pieces = []
        with open(path, "rb") as file:
            while data := file.read(PIECE_BYTES):
                pieces.append(self._pack.add(data))
            if stamp(os.fstat(file.fileno())) != stamp(status):
                self.skipped.append((self._shown(path), "it was written to meanwhile"))
                return None
        return {"pieces": pieces, "changed": status.st_mtime_ns}

    def _shown(self, path: str) -> str:
        return os.path.relpath(path, self._origin.directory)


def write_files(
    entries: list[dict[str, Any]], pieces: Pieces, directory: str, taken: float
) -> tuple[int, list[tuple[str, str]], list[str]]:
    """Write files again; return how many, what stays as it is with the reason, and what failed.

    The last are paths. taken: when they were stored; a file that is there and newer stays.
    """
    written: int = 0
    told: list[tuple[str, str]] = []
    failed: list[str] = []
    for entry in entries:
        path = entry["path"]
        try:
            # A newer one beside the notebook does not count: this one is the code's.
            with quiet():
                if _is_newer(path, entry, taken):
                    told.append((os.path.relpath(path, directory), "there is a newer one"))
                    continue
                _write(path, entry, pieces)
        except (OSError, DamagedPiece) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            told.append((os.path.relpath(path, directory), reason))
            failed.append(path)
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
    # Under another name first: a file that cannot be written whole leaves the old one.
    partial = f"{path}.aca-{os.getpid()}.part"
    try:
        if "link" in entry:
            os.symlink(entry["link"], partial)
        else:
            with open(partial, "wb") as file:
                file.writelines(pieces.read_all(entry["pieces"]))
            os.chmod(partial, entry["mode"])
            os.utime(partial, ns=(entry["changed"], entry["changed"]))
        os.replace(partial, path)
    except BaseException:  # an interrupt, too: half a file is nobody's
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
