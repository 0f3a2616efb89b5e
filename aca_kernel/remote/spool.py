"""The beginning of the log, compressed as a whole and read in pieces: for answers that are cut.

No piece depends on the one before, so that any number of them can be asked for at a time, in any
order and again; and what is compressed at once is half of what many small pages would be.

    question    {spool: offset, start, length}
    answer      {size, of} with bytes: of all pieces together, and their checksum

No input or output.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

from . import wire

# So much of the log at a time: what is sent to the remote kernel meanwhile waits.
SPOOLED_BYTES = 1 << 20


class Spool:
    """What is kept of the log of one generation from one question to the next."""

    def __init__(self) -> None:
        self._offset = -1
        self._packed = b""

    def answer(self, log: wire.SendLog, head: dict[str, Any]) -> wire.Page:
        """Return the piece that a question asks for. Raises ValueError: the log is elsewhere."""
        if head["spool"] != self._offset:
            self._packed = zlib.compress(log.slice(head["spool"], SPOOLED_BYTES), 6)
            self._offset = head["spool"]
        start = head["start"]
        about = {"size": len(self._packed), "of": zlib.crc32(self._packed)}
        return wire.Page(about, self._packed[start : start + head["length"]], packed=b"")

    def forget(self) -> None:
        """Let go of what is kept: the kernel has asked for something else."""
        self._offset, self._packed = -1, b""


class Piece(NamedTuple):
    """A part of the spool. size, of: of the whole, as above."""

    start: int
    size: int
    of: int
    data: bytes


def joined(pieces: list[Piece]) -> bytes:
    """Return what of the log the pieces hold together.

    Raises ValueError: they do not belong together, or not all are here.
    """
    data = b"".join(piece.data for piece in sorted(pieces, key=lambda piece: piece.start))
    if {(piece.size, piece.of) for piece in pieces} != {(len(data), zlib.crc32(data))}:
        raise ValueError("pieces of different logs, or not all of them")
    packed = zlib.decompressobj()
    log = packed.decompress(data, SPOOLED_BYTES)
    if packed.unconsumed_tail or not packed.eof:
        raise ValueError("more than was asked for")
    return log
