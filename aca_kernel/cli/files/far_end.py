"""The part of `aca-kernel upload` and `download` that runs in an environment of a session pool.

Sent with the modules that it imports, below a name of their own (in_pool.py), into the session
interpreter. Each call carries one frame of remote/wire.py and is answered by one. A call may be
repeated: bytes have offsets, and what is known already is dropped.

    op     head                                           answer
    put    {id, destination, name, size, is_folder}       {}
    list   {id, offset}, with the bytes of a list         {}
    page   {id, offset}, with the bytes of the content    {}
    end    {id, digest}                                   {target}
    get    {id, path}                                     {name, size, is_folder, listing}
    names  {id, offset, limit}                            {} with the bytes of its list
    take   {id, without}                                  {size}
    read   {id, offset, limit}                            {digest, end} with the bytes
    drop   {id}                                           {}

Standard library only; Python 3.9 or later.
"""

from __future__ import annotations

import os
from typing import Any

from ...remote import wire
from ...remote.folder_stream import PartialFolder, SourceFolder, entries_of, pack, source_of, unpack
from ...remote.paged_files import FileProblem, PartialFile, SourceFile, target_path

# Transfers that are open at a time: one whose other end was killed is given up for a new one.
_MOST_OPEN = 4

_LOST = "The transfer was lost in the environment. Try again."


class Coming:
    """A file or folder that is written here."""

    def __init__(self, head: dict[str, Any]) -> None:
        target = target_path(str(head["destination"]), str(head["name"]))
        self._target = os.path.abspath(target)
        self._size = int(head["size"])
        self._listing = bytearray()
        self._end = ""
        self._file: PartialFile | PartialFolder | None = None
        if not head["is_folder"]:
            self._file = PartialFile(self._target, self._target, self._size, may_replace=True)

    def add_names(self, offset: int, data: bytes) -> None:
        """Take bytes of a folder's list."""
        if offset <= len(self._listing):
            self._listing[offset:] = data

    def write(self, offset: int, data: bytes) -> None:
        """Take bytes of the content."""
        file = self._opened()
        if offset > file.received:
            raise FileProblem(_LOST)
        fresh = data[file.received - offset :]
        if fresh:
            file.write(fresh)

    def end(self, digest: str) -> str:
        """Give it its name; return it."""
        if not self._end:
            self._opened().commit(digest)
            self._end = self._target
        return self._end

    def _opened(self) -> PartialFile | PartialFolder:
        if self._file is None:
            entries = unpack(bytes(self._listing))
            self._file = PartialFolder(self._target, self._target, entries, may_replace=True)
        return self._file

    def close(self) -> None:
        """Remove what is not whole."""
        if self._file is not None and not self._end:
            self._file.discard()


class Going:
    """A file or folder that is read here."""

    def __init__(self, shown: str) -> None:
        self._path = path = os.path.expanduser(shown)
        self._shown = shown
        self._entries = entries_of(path) if os.path.isdir(path) else None
        self.listing = b"" if self._entries is None else pack(self._entries)
        self.file: SourceFile | SourceFolder | None = None
        if self._entries is None:
            self.file = SourceFile(path, shown)
        # What has been read and may be asked for again, and the offset of its first byte.
        self._kept = b""
        self._start = 0

    @property
    def is_folder(self) -> bool:
        """Whether it is one."""
        return self._entries is not None

    def take(self, without: list[int]) -> int:
        """Leave out some entries of a folder; return the bytes of the others."""
        if self.file is None:
            left_out = set(without)
            entries = self._entries or []
            taken = [one for place, one in enumerate(entries) if place not in left_out]
            self.file = source_of(self._path, self._shown, taken)
        return self.file.size

    def read(self, offset: int, limit: int) -> bytes:
        """Return bytes of the content."""
        file = self.file
        if file is None or not self._start <= offset <= self._start + len(self._kept):
            raise FileProblem(_LOST)
        self._kept = self._kept[offset - self._start :]
        self._start = offset
        if len(self._kept) < limit:
            self._kept += file.read(limit - len(self._kept))
        return self._kept[:limit]

    def close(self) -> None:
        """Let go of it."""
        if self.file is not None:
            self.file.close()


_OPEN: dict[str, Coming | Going] = {}


def answer(frame: str) -> None:
    """Print the answer to a call."""
    nonce, page = wire.decode_frame(frame)
    try:
        head, data = _do(page.head, bytes(page.data))
    except FileProblem as problem:
        head, data = {"error": str(problem)}, b""
    except OSError as error:
        head, data = {"error": f"It failed in the environment: {error}."}, b""
    print(wire.encode_frame(nonce, wire.Page(head, data)))


def _do(head: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    op, key = head["op"], str(head["id"])
    if op == "drop":
        found = _OPEN.pop(key, None)
        if found is not None:
            found.close()
        return {}, b""
    if op in ("put", "get") and key not in _OPEN:
        while len(_OPEN) >= _MOST_OPEN:
            _OPEN.pop(next(iter(_OPEN))).close()
        _OPEN[key] = Coming(head) if op == "put" else Going(str(head["path"]))
    one = _OPEN.get(key)
    if isinstance(one, Coming):
        return _take(one, head, data), b""
    if isinstance(one, Going):
        return _give(one, head)
    raise FileProblem(_LOST)


def _take(one: Coming, head: dict[str, Any], data: bytes) -> dict[str, Any]:
    if head["op"] == "list":
        one.add_names(int(head["offset"]), data)
    elif head["op"] == "page":
        one.write(int(head["offset"]), data)
    elif head["op"] == "end":
        return {"target": one.end(str(head["digest"]))}
    return {}


def _give(one: Going, head: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    if head["op"] == "get":
        size = one.file.size if one.file is not None else 0
        told = {"size": size, "is_folder": one.is_folder, "listing": len(one.listing)}
        return told, b""
    if head["op"] == "names":
        offset = int(head["offset"])
        return {}, one.listing[offset : offset + int(head["limit"])]
    if head["op"] == "take":
        return {"size": one.take(list(head["without"]))}, b""
    data = one.read(int(head["offset"]), int(head["limit"]))
    return {"digest": one.file.digest if one.file is not None else ""}, data
