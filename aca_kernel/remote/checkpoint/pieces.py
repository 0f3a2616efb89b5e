"""Byte strings cut into pieces that are addressed by their hash.

A reference to a piece is its hash, or, for a piece that is shorter than that, "=" and the
piece itself. A stored piece begins with one byte that says whether it is compressed. New
pieces are appended to a pack, which has an index.

No input or output but of packs; standard library only.
"""

from __future__ import annotations

import binascii
import hashlib
import itertools
import sys
import zlib
from collections.abc import Collection, Iterator
from typing import Any

from ..originals import io

# One changed column of a large table is little to send, and a gigabyte is a thousand pieces.
PIECE_BYTES = 1 << 20

_DIGEST_BYTES = 20

# Up to this length a piece stands in the manifest itself.
_INLINE_BYTES = 30

# zlib is tried on so much of a piece, and used if that shrinks to this share. It does 50 MB/s of
# what shrinks little (sorted floats: 0.77), as long as most lines take to carry the difference.
_SAMPLE_BYTES = 16384
_SAMPLE_RATIO = 0.7
_SMALLEST_COMPRESSED = 256

# From this size on, new memory costs as much as what is read into it.
_LARGE_BYTES = 4 * 1024 * 1024


class DamagedPiece(Exception):
    """A piece that is missing or does not match its hash."""


class Pack:
    """A file of new pieces.

    known: hashes of the pieces that the kernel has. index: offset and length of each piece here.
    """

    def __init__(self, path: str, known: set[str]) -> None:
        self.index: dict[str, tuple[int, int]] = {}
        self._known = known
        self._file = io.open(path, "wb")
        self._end = 0

    def add(self, data: bytes | memoryview) -> str:
        """Keep a piece; return the reference to it."""
        if len(data) <= _INLINE_BYTES:
            return "=" + binascii.b2a_base64(data, newline=False).decode("ascii")
        name = piece_name(data)
        if name not in self._known and name not in self.index:
            flag, stored = _compress(data)
            self._file.write(flag)
            self._file.write(stored)
            length = 1 + len(stored)
            self.index[name] = (self._end, length)
            self._end += length
        return name

    def add_all(self, data: memoryview) -> list[str]:
        """Keep a byte string of any length; return the references to its pieces."""
        return [
            self.add(data[start : start + PIECE_BYTES])
            for start in range(0, len(data), PIECE_BYTES)
        ]

    def close(self) -> None:
        """Write out what is buffered."""
        self._file.close()


def piece_name(data: bytes | bytearray | memoryview) -> str:
    """Return the hash of a piece."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def _compress(data: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    if len(data) < _SMALLEST_COMPRESSED:
        return b"r", data
    sample = data[:_SAMPLE_BYTES]
    if len(zlib.compress(sample, 1)) > _SAMPLE_RATIO * len(sample):
        return b"r", data
    packed = zlib.compress(data, 1)
    return (b"z", packed) if len(packed) < len(data) else (b"r", data)


class PieceWriter:
    """A file that cuts a pickle into pieces.

    `write` raises TooLarge when more than most_bytes have been written.
    """

    def __init__(self, pack: Pack, most_bytes: int) -> None:
        self.size = 0
        self._references: list[str] = []
        self._pack = pack
        self._most_bytes = most_bytes
        self._held = bytearray()

    def write(self, data: Any) -> int:
        """Write bytes, or any buffer."""
        view = memoryview(data).cast("B")
        self.size += len(view)
        if self.size > self._most_bytes:
            raise TooLarge
        start = 0
        while start < len(view):
            room = PIECE_BYTES - len(self._held)
            self._held += view[start : start + room]
            start += room
            if len(self._held) == PIECE_BYTES:
                self._flush()
        return len(view)

    def _flush(self) -> None:
        self._references.append(self._pack.add(bytes(self._held)))
        self._held = bytearray()

    def finish(self) -> list[str]:
        """Return the references to all that has been written."""
        if self._held:
            self._flush()
        return self._references


class Nowhere:
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        """Take bytes, or any buffer."""
        return memoryview(data).nbytes


class TooLarge(Exception):
    """A pickle exceeds its limit."""


class Pieces:
    """A reader of a pack.

    damaged: pieces that do not match their hashes; None: nobody has looked, and all are hashed.
    """

    def __init__(
        self, path: str, index: dict[str, tuple[int, int]], damaged: Collection[str] | None = None
    ) -> None:
        self._index = index
        self._damaged = damaged
        self._file = io.open(path, "rb", buffering=0)  # closed by close()

    def read(self, reference: str) -> bytes | bytearray:
        """Return a piece. Raises DamagedPiece."""
        if reference.startswith("="):
            return binascii.a2b_base64(reference[1:])
        flag, length = self._begin(reference)
        stored = bytearray(length)
        self._read(stored)
        data: bytes | bytearray = stored
        if flag == b"z":
            try:
                data = zlib.decompress(stored)
            except zlib.error:
                data = b""
        self._check(data, reference)
        return data

    def _begin(self, reference: str) -> tuple[bytes, int]:
        """Go behind the flag of a stored piece; return it and how many bytes follow."""
        place = self._index.get(reference)
        if place is None:
            raise DamagedPiece("a part of it is missing")
        self._file.seek(place[0])
        return self._file.read(1), place[1] - 1

    def read_all(self, references: list[str]) -> Iterator[bytes | bytearray]:
        """Yield the pieces one after the other. Raises DamagedPiece."""
        for reference in references:
            yield self.read(reference)

    def open(self, references: list[str], before: bytes = b"") -> io.BufferedReader:
        """Return the concatenated pieces as a file. before: what it begins with."""
        pieces = itertools.chain([before], self.read_all(references))
        return io.BufferedReader(_PieceReader(pieces), PIECE_BYTES)

    def buffer(self, references: list[str], size: int) -> bytearray | memoryview:
        """Return the concatenated pieces, in memory of their own. Raises DamagedPiece.

        What is not compressed is read to its place: a copy of it costs as much as hashing it does.
        """
        data = _memory(size)
        end = 0
        with memoryview(data) as view:
            for reference in references:
                end += self._read_into(view[end:], reference)
        if end != size:
            raise DamagedPiece("a part of it is missing")
        return data

    def _read_into(self, target: memoryview, reference: str) -> int:
        if not reference.startswith("="):
            flag, length = self._begin(reference)
            if flag != b"z" and length <= len(target):
                self._read(target[:length])
                self._check(target[:length], reference)
                return length
        piece = self.read(reference)
        if len(piece) > len(target):
            raise DamagedPiece("a part of it is damaged")
        target[: len(piece)] = piece
        return len(piece)

    def _read(self, target: bytearray | memoryview) -> None:
        if self._file.readinto(target) != len(target):
            raise DamagedPiece("a part of it is missing")

    def _check(self, data: bytes | bytearray | memoryview, reference: str) -> None:
        if self._damaged is None:
            is_damaged = piece_name(data) != reference
        else:
            is_damaged = reference in self._damaged
        if is_damaged:
            raise DamagedPiece("a part of it is damaged")

    def close(self) -> None:
        """Close the pack."""
        self._file.close()


def _memory(size: int) -> bytearray | memoryview:
    """Return memory of so many bytes, which whoever has it may write to."""
    array: Any = getattr(sys.modules.get("numpy"), "ndarray", None)
    if size < _LARGE_BYTES or array is None:
        return bytearray(size)
    # In large pages, and not filled with zeros before it is written to.
    return memoryview(array(size, "u1"))


class _PieceReader(io.RawIOBase):
    """Concatenated pieces as a raw file."""

    def __init__(self, pieces: Iterator[bytes | bytearray]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
