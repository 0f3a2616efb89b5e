"""JSON with megabytes of text in it, which are copied where the encoder would spell them out.

The standard encoder looks at each character twice, at ten times the cost of a copy.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from ..remote.large_json import blocks_of, escape, is_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below this many bytes the encoder is as quick.
_LARGE_BYTES = 1 << 16
# Cannot be in any text: it is made anew by each process and told to nobody.
_MARK = secrets.token_hex(16)
_QUOTED_MARK = f'"{_MARK}"'.encode()


class LargeText:
    """Printable ASCII, lines included, that is to stand in JSON as a string."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def escaped(self) -> Iterator[bytes]:
        """Yield the text as JSON has it, piece by piece."""
        yield b'"'
        yield from map(escape, blocks_of(self._data))
        yield b'"'


def text_of(data: bytes) -> str | LargeText:
    """Return output as text; what is not UTF-8 in it is replaced."""
    if len(data) >= _LARGE_BYTES and all(map(is_plain, blocks_of(data))):
        return LargeText(data)
    return data.decode("utf-8", "replace")


def dump(value: Any) -> bytes:
    """Return a JSON value, `LargeText` in it allowed, as ASCII."""
    large: list[LargeText] = []

    def leave_out(item: Any) -> str:
        if not isinstance(item, LargeText):
            raise TypeError(f"{type(item).__name__} is not JSON")
        large.append(item)
        return _MARK

    pieces = json.dumps(value, default=leave_out).encode("ascii").split(_QUOTED_MARK)
    joined = [pieces[0]]
    for text, piece in zip(large, pieces[1:], strict=True):
        joined += text.escaped()
        joined.append(piece)
    return b"".join(joined)
