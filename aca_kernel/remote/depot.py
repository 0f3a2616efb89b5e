"""Files that the kernel keeps in the agent's folder for a while: pieces of checkpoints.

Records from the kernel, each answered by one of kind `got` with the same id:

    put    {id, name, start} with bytes     write them; start: 0 begins the file anew; needs: a file
                                            without all of which this one is not to be there
    get    {id, name, ranges}               read ranges, pairs of place and length
    look   {id, names}                      how long the files are, -1 for one that is missing
    drop   {id, names}                      remove files
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any

from . import wire
from .loader import take_compiled, write_at_once

KINDS = frozenset({"put", "get", "look", "drop"})


class Depot:
    """Does what the records say, in one folder.

    compiled: the folder that our modules are from, if this environment may see it; else "".
    """

    def __init__(self, directory: str, compiled: str = "") -> None:
        self._directory = directory
        self._compiled = compiled
        # What was put here to be imported, for a folder that has to be made again.
        self.sources: dict[str, bytes] = {}
        # Files of which a part could not be written.
        self._broken: set[str] = set()

    def answer(self, record: wire.Record) -> wire.Record:
        """Do it; the answer's `error` says what went wrong, if anything did."""
        head: dict[str, Any] = {"kind": "got", "id": record.head["id"]}
        try:
            parts = getattr(self, "_" + record.kind)(head, record)
        except OSError as error:
            return wire.Record({**head, "error": error.strerror or type(error).__name__})
        return wire.Record(head, parts)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, *name.split("/"))

    def _put(self, _: dict[str, Any], record: wire.Record) -> tuple[bytes, ...]:
        name, start = record.head["name"], record.head["start"]
        path = self._path(name)
        if not start:
            self._broken.discard(name)
        if record.head.get("needs") in self._broken:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise OSError(errno.EIO, "What belongs to it could not be written")
        is_source = name.endswith(".py")
        if is_source:
            self.sources[name] = self.sources.get(name, b"")[:start] + b"".join(record.parts)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            if is_source:
                write_at_once(path, self.sources[name])
            else:
                with open(path, "r+b" if start else "wb") as file:
                    file.seek(start)
                    file.writelines(record.parts)
        except OSError:
            self._broken.add(name)
            raise
        module = name.partition(f"{__package__}/")[2]
        if is_source and module:
            take_compiled(self._compiled, module, self.sources[name], path)
        return ()

    def _get(self, _: dict[str, Any], record: wire.Record) -> tuple[bytes, ...]:
        with open(self._path(record.head["name"]), "rb") as file:
            descriptor = file.fileno()
            parts = [os.pread(descriptor, length, start) for start, length in record.head["ranges"]]
        return (b"".join(parts),)

    def _look(self, head: dict[str, Any], record: wire.Record) -> tuple[bytes, ...]:
        head["sizes"] = sizes = []
        for name in record.head["names"]:
            try:
                sizes.append(os.stat(self._path(name)).st_size)
            except OSError:
                sizes.append(-1)
        return ()

    def _drop(self, _: dict[str, Any], record: wire.Record) -> tuple[bytes, ...]:
        for name in record.head["names"]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(name))
        return ()
