"""JSON with one long string, as in a message with an image.

The standard encoder and decoder look at each character, ten times slower than a copy. The long
string is cut out and converted here, and they get the rest.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

# Below this many bytes the standard library is as quick.
_LARGE_BYTES = 1 << 18
# Fits into a processor's cache.
_BLOCK_BYTES = 1 << 16
# More strings and escapes could take longer than is spared.
_MOST_STEPS = 4000
# How deep a long string may lie in a message: data, type of data.
_DEEPEST = 3

# Characters that JSON does not escape, and the newline.
_PLAIN = bytes([*range(0x20, 0x7F), 0x0A])

_ESCAPED = {
    b'"': b'"', b"\\": b"\\", b"/": b"/",
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
}  # fmt: skip


def loads(data: bytes) -> Any:
    """Return what json.loads returns, except that the long string may hold control characters.

    Raises ValueError: it is not JSON.
    """
    place = _find_long_string(data) if len(data) >= _LARGE_BYTES else None
    text = _read_string(data, *place) if place is not None else None
    if place is not None and text is not None:
        # Random, so that it is not in the data.
        mark = secrets.token_hex(16)
        start, end = place
        value = json.loads(b"".join((data[:start], mark.encode("ascii"), data[end:])))
        if isinstance(value, dict) and _put(value, mark, text):
            return value
    return json.loads(data)


def _find_long_string(data: bytes) -> tuple[int, int] | None:
    """Return start and end, without the quotes, of a string of more than half of the data."""
    start = data.find(b'"')
    quote = start
    for _ in range(_MOST_STEPS):
        quote = data.find(b'"', quote + 1)
        if start < 0 or quote < 0:
            return None
        backslash = quote
        while data[backslash - 1] == 0x5C:
            backslash -= 1
        if (quote - backslash) % 2:
            continue
        if quote - start > len(data) // 2:
            return start + 1, quote
        start = quote = data.find(b'"', quote + 1)
    return None


def _read_string(data: bytes, start: int, end: int) -> str | None:
    """Return the text of a string; None leaves it to the decoder."""
    view = memoryview(data)
    pieces: list[bytes | memoryview] = []
    while (backslash := data.find(b"\\", start, end)) >= 0:
        plain = _ESCAPED.get(data[backslash + 1 : backslash + 2])
        if plain is None or len(pieces) > _MOST_STEPS:
            return None
        pieces += (view[start:backslash], plain)
        start = backslash + 2
    pieces.append(view[start:end])
    return b"".join(pieces).decode("utf-8", "surrogatepass")


def _put(value: dict[str, Any], mark: str, text: str) -> bool:
    """Replace the mark in a tree of objects by the text; tell whether it was there."""
    for key, item in value.items():
        if item == mark:
            value[key] = text
            return True
        if isinstance(item, dict) and _put(item, mark, text):
            return True
    return False


def quick_packer(pack: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return an encoder with the same results as `pack`, jupyter_client's, and quicker."""

    def pack_quickly(value: Any) -> bytes:
        # Random, so that it is not in the value.
        mark = secrets.token_hex(16)
        found = _cut(value, mark, _DEEPEST) if isinstance(value, dict) else None
        if found is None:
            return pack(value)
        rest, text = found
        escaped: list[bytes] = []
        for block in blocks_of(text.encode("ascii")):
            if not is_plain(block):
                return pack(value)
            escaped.append(escape(block))
        before, quoted, after = pack(rest).partition(f'"{mark}"'.encode("ascii"))
        return b"".join([before, b'"', *escaped, b'"', after]) if quoted else pack(value)

    return pack_quickly


def _cut(value: dict[str, Any], mark: str, depth: int) -> tuple[dict[str, Any], str] | None:
    """Return a copy of the value with a mark in place of its long text, and that text."""
    for key, item in value.items():
        if type(item) is str and len(item) >= _LARGE_BYTES and item.isascii():
            return {**value, key: mark}, item
        if depth > 1 and type(item) is dict:
            found = _cut(item, mark, depth - 1)
            if found is not None:
                return {**value, key: found[0]}, found[1]
    return None


def blocks_of(data: bytes) -> Iterator[bytes]:
    """Yield data in blocks that fit into a processor's cache."""
    for start in range(0, len(data), _BLOCK_BYTES):
        yield data[start : start + _BLOCK_BYTES]


def is_plain(block: bytes) -> bool:
    """Tell whether `escape` is enough for a block; others are left to the encoder."""
    return not block.translate(None, _PLAIN)


def escape(block: bytes) -> bytes:
    """Escape lines of printable ASCII for a JSON string."""
    if b"\\" in block or b'"' in block:
        block = block.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return block.replace(b"\n", b"\\n")
