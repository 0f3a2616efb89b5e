"""Whether a piece is what it is called by: pieces bear the hash of what they hold.

A piece under a wrong name would be kept for good, because what is known is never sent again.
What it holds is only unpacked, to no more than a piece may be, and hashed.
"""

from __future__ import annotations

import zlib

from ..remote.checkpoint.pieces import PIECE_BYTES, piece_name


def is_intact(name: str, stored: bytes) -> bool:
    """Tell whether a piece, as it is stored, is the one of this name."""
    flag, data = stored[:1], memoryview(stored)[1:]
    if flag == b"r":
        return piece_name(data) == name
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, PIECE_BYTES)
    except zlib.error:
        return False
    return piece_name(unpacked) == name
