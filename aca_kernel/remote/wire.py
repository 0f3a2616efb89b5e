"""The form in which records travel between the kernel and the agent.

Theory. Each direction is one stream of bytes, numbered from 0 at the start of a
generation (one life of one environment). The sender keeps the bytes that are not
acknowledged (`SendLog`), the receiver knows how far it has read (`ReceiveLog`). An
exchange carries one page a direction: a slice of the stream with its offset. Asking
again is therefore always safe: bytes that are known already are dropped, bytes that
are missing are asked for by offset, and no record is delivered twice or out of order.

    record   8 hex digits of head length, JSON head, binary parts  (never interpreted here)
    page     8 hex digits of head length, JSON head, slice of the stream
    frame    ~aca1:<nonce>:<form>:<characters>:<crc32>:<body>~

The body of a frame is, by its form, the base64 of the page (r), the base64 of the page
with its slice compressed (z), or the page itself where that is ASCII (t): a displayed image
is base64 already. All are ASCII; r and z have no blanks, quotes or backslashes either, so that they
can stand in Python source. The prefix keeps a proxy from taking a frame for bare base64.
A frame that was cut on its way is recognised by its length and checksum.

Megabytes are copied as seldom as can be: each copy costs as much as sending them does.

No input or output happens here: values in, values out. Shared by both ends.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from collections import deque
from typing import Any, NamedTuple

# Characters that a frame has beside its base64 text: prefix, nonce, numbers, end mark.
FRAME_OVERHEAD = 96

# From this many bytes on a copy takes longer than looking after one more piece.
_LARGE_PART_BYTES = 1 << 16

# Pages below this many bytes are not worth compressing: zlib's own cost and header
# exceed what the shorter text saves on loopback.
_COMPRESS_FROM_BYTES = 1024

# How much of a page is compressed on trial, and the share it must shrink to: images are
# compressed already, and zlib on them costs more than it saves. Their base64 shrinks to
# 0.76 and no further.
_SAMPLE_BYTES = 16384
_SAMPLE_RATIO = 0.7

_FRAME = re.compile(r"~aca1:([0-9a-z]+):([rtz]):(\d+):([0-9a-f]{8}):")

_LENGTH_DIGITS = 8

# In the head of a page that is compressed: the bytes that it has otherwise. More than this is not
# believed beforehand.
_SIZE = "size"
_LARGEST_AT_ONCE_BYTES = 64 * 1024 * 1024


class FrameCut(Exception):
    """A frame began and did not arrive whole.

    received: how many characters of text arrived, the cut frame included.
    """

    def __init__(self, received: int) -> None:
        super().__init__(f"a frame was cut after {received} characters")
        self.received = received


class FrameMissing(Exception):
    """The text holds no frame at all."""


class FrameInvalid(Exception):
    """A frame arrived whole and does not hold what it must."""


class Record(NamedTuple):
    """One thing that one side tells the other: a JSON head and binary parts.

    head["kind"] names it; see agent.py for the kinds.
    end: the offset behind its last byte in the stream that it came by.
    """

    head: dict[str, Any]
    parts: tuple[bytes, ...] = ()
    end: int = 0

    @property
    def kind(self) -> str:
        """What the record is about."""
        return str(self.head.get("kind", ""))

    @property
    def can_be_withdrawn(self) -> bool:
        """Whether it is for what has been reported as failed, if all has been."""
        return self.kind in {"msg", "interrupt"} and not self.head.get("keep", False)


class Page(NamedTuple):
    """What one exchange carries in one direction: a JSON head and a slice of a stream.

    packed: the slice compressed, where that has been done and is worth it; b"" where it
    has been found not to be.
    """

    head: dict[str, Any]
    data: bytes | memoryview = b""
    packed: bytes | None = None


def encode_record(record: Record) -> bytes:
    """Turn a record into the bytes that a stream holds."""
    return b"".join(_record_pieces(record))


def _record_pieces(record: Record) -> list[bytes]:
    """Return the same in pieces: large parts are not copied."""
    head = dict(record.head)
    if record.parts:
        head["parts"] = [len(part) for part in record.parts]
    pieces: list[bytes] = []
    small = [_with_length(_dump(head))]
    for part in record.parts:
        if len(part) < _LARGE_PART_BYTES:
            small.append(part)
            continue
        pieces += (b"".join(small), part)
        small = []
    return [*pieces, b"".join(small)] if small else pieces


def encode_frame(nonce: str, page: Page) -> str:
    """Turn a page into a frame that may stand in Python source, within double quotes."""
    return b"".join(frame_pieces(nonce, page, may_be_text=False)).decode("ascii")


def frame_pieces(nonce: str, page: Page, *, may_be_text: bool) -> list[bytes | memoryview]:
    """Return the pieces of a page's frame, ASCII all of them.

    may_be_text: it need not stand in Python source, and large data that are ASCII are a piece of
    their own, not copied.
    """
    packed = _compress(page.data) if page.packed is None else page.packed
    size = {_SIZE: len(page.data)} if packed else {}
    head = _with_length(_dump({**page.head, **size}))
    pieces: list[bytes | memoryview]
    if packed:
        form, checksum = "z", zlib.crc32(packed, zlib.crc32(head))
        pieces = [binascii.b2a_base64(head + packed, newline=False)]
    elif may_be_text and len(page.data) >= _COMPRESS_FROM_BYTES and _is_ascii(page.data):
        form, checksum = "t", zlib.crc32(page.data, zlib.crc32(head))
        pieces = [head, page.data]
    else:
        form, body = "r", head + page.data
        checksum, pieces = zlib.crc32(body), [binascii.b2a_base64(body, newline=False)]
    length = sum(map(len, pieces))
    start = f"~aca1:{nonce}:{form}:{length}:{checksum:08x}:".encode("ascii")
    return [start, *pieces, b"~"]


def decode_frame(text: str) -> tuple[str, Page]:
    """Find the frame in a text and return its nonce and page.

    Raises FrameMissing: there is no frame in it.
    Raises FrameCut: a frame begins and its end or a part of it is missing.
    Raises FrameInvalid: it is whole, and is not a page.
    """
    found = _FRAME.search(text)
    if found is None:
        if "~aca1" in text[-FRAME_OVERHEAD:]:
            raise FrameCut(len(text))
        raise FrameMissing
    nonce, form, characters, checksum = found.groups()
    start, end = found.end(), found.end() + int(characters)
    if text[end : end + 1] != "~":
        raise FrameCut(len(text))
    # Not validated: what is wrong with it, the checksum tells at a third of the cost.
    try:
        encoded = memoryview(text.encode("ascii"))[start:end]
        body = encoded if form == "t" else memoryview(binascii.a2b_base64(encoded))
    except (binascii.Error, ValueError):
        raise FrameCut(len(text)) from None
    if f"{zlib.crc32(body):08x}" != checksum:
        raise FrameCut(len(text))
    try:
        head_end = _LENGTH_DIGITS + int(bytes(body[:_LENGTH_DIGITS]), 16)
        head = json.loads(bytes(body[_LENGTH_DIGITS:head_end]))
        data = body[head_end:]
        if form == "z":
            # Told its size, zlib need not let its result grow bit by bit.
            size = min(int(head.pop(_SIZE)), _LARGEST_AT_ONCE_BYTES)
            data = memoryview(zlib.decompress(data, bufsize=max(1, size)))
    except (zlib.error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FrameInvalid(str(error)) from None
    if not isinstance(head, dict):
        raise FrameInvalid("the head is not an object")
    return nonce, Page(head, data)


class SendLog:
    """The bytes of one direction that the other side has not acknowledged.

    `start` is the offset of the first byte kept, `end` of the next one to be written.
    """

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._chunks: deque[bytes | memoryview] = deque()
        # Where the records begin that may still be taken back, and those of them that stay then.
        self._begins: deque[tuple[int, Record | None]] = deque()

    def append(self, record: Record) -> int:
        """Add a record; return the offset behind its last byte."""
        self._begins.append((self.end, None if record.can_be_withdrawn else record))
        for piece in _record_pieces(record):
            self._chunks.append(piece)
            self.end += len(piece)
        return self.end

    def acknowledge(self, offset: int) -> None:
        """Forget what lies before `offset`: the other side has it."""
        while self._chunks and self.start + len(self._chunks[0]) <= offset:
            self.start += len(self._chunks.popleft())
        if self._chunks and self.start < offset:
            # A view: where answers are cut short, a large record is fetched bit by bit.
            self._chunks[0] = memoryview(self._chunks[0])[offset - self.start :]
            self.start = offset
        while self._begins and self._begins[0][0] < offset:
            self._begins.popleft()

    def withdraw(self, offset: int) -> None:
        """Take back the records that begin at `offset` or later: they were never sent."""
        kept = []
        while self._begins and self._begins[-1][0] >= offset:
            begin, record = self._begins.pop()
            while self.end > begin:
                self.end -= len(self._chunks.pop())
            if record is not None:
                kept.append(record)
        for record in reversed(kept):
            self.append(record)

    def slice(self, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset` on.

        Raises ValueError: the offset lies before what is kept, or behind the end.
        """
        if not self.start <= offset <= self.end:
            raise ValueError(f"offset {offset} is not within {self.start} and {self.end}")
        taken: list[bytes | memoryview] = []
        position = self.start
        for chunk in self._chunks:
            if limit <= 0:
                break
            skip = max(0, offset - position)
            position += len(chunk)
            if skip >= len(chunk):
                continue
            piece = chunk[skip : skip + limit] if skip or len(chunk) > limit else chunk
            taken.append(piece)
            limit -= len(piece)
        return b"".join(taken)


class ReceiveLog:
    """Puts the slices of one direction together and hands out whole records.

    `received` is the offset up to which all bytes are known.
    """

    def __init__(self) -> None:
        self.received = 0
        self._pending: deque[bytes | memoryview] = deque()
        self._pending_bytes = 0
        self._needed_bytes = _LENGTH_DIGITS

    def feed(self, offset: int, data: bytes | memoryview) -> list[Record]:
        """Take a slice; return the records that are whole now, in order.

        A slice that is known already, in part or in all, is no error.
        Raises ValueError: bytes between the known ones and this slice are missing.
        """
        if offset > self.received:
            raise ValueError(f"bytes {self.received} to {offset} are missing")
        fresh = data[self.received - offset :]
        if not fresh:
            return []
        self.received += len(fresh)
        self._pending.append(fresh)
        self._pending_bytes += len(fresh)
        # A record of many megabytes comes in many pages: they are joined once.
        if self._pending_bytes < self._needed_bytes:
            return []
        is_one = len(self._pending) == 1
        buffer = memoryview(self._pending[0] if is_one else b"".join(self._pending))
        records, used = self._parse(buffer)
        rest = bytes(buffer[used:])
        self._pending = deque([rest] if rest else [])
        self._pending_bytes = len(rest)
        return records

    def _parse(self, buffer: memoryview) -> tuple[list[Record], int]:
        records: list[Record] = []
        position = 0
        while True:
            left = len(buffer) - position
            if left < _LENGTH_DIGITS:
                self._needed_bytes = _LENGTH_DIGITS
                return records, position
            head_start = position + _LENGTH_DIGITS
            head_end = head_start + int(bytes(buffer[position:head_start]), 16)
            if len(buffer) < head_end:
                self._needed_bytes = head_end - position
                return records, position
            head = json.loads(bytes(buffer[head_start:head_end]))
            sizes = head.pop("parts", [])
            record_end = head_end + sum(sizes)
            if len(buffer) < record_end:
                self._needed_bytes = record_end - position
                return records, position
            parts: list[bytes] = []
            position = head_end
            for size in sizes:
                parts.append(bytes(buffer[position : position + size]))
                position += size
            end = self.received - len(buffer) + position
            records.append(Record(head, tuple(parts), end))


def fill_page(log: SendLog, head: dict[str, Any], offset: int, limit_characters: int) -> Page:
    """Return a page with as much of a stream as one frame of `limit_characters` surely holds.

    Text that compresses may fill a page with four times as many bytes; what does not
    compress is cut to what base64 (4 characters for 3 bytes) leaves room for.
    """
    certain = certain_bytes(limit_characters)
    data = log.slice(offset, 4 * certain)
    if len(data) <= certain:
        return Page(head, data)
    packed = _compress(data)
    if packed and len(packed) <= certain:
        return Page(head, data, packed)
    return Page(head, data[:certain])


def certain_bytes(limit_characters: int) -> int:
    """Return how many bytes a frame of so many characters surely holds, whatever they are."""
    return max(64, (limit_characters - FRAME_OVERHEAD) * 3 // 4 - 256)


def _compress(data: bytes | memoryview) -> bytes:
    """Return the data compressed, or nothing where that is not worth it."""
    if len(data) < _COMPRESS_FROM_BYTES:
        return b""
    if len(data) > 2 * _SAMPLE_BYTES:
        middle = len(data) // 2
        sample = data[middle : middle + _SAMPLE_BYTES]
        if len(zlib.compress(sample, 1)) > _SAMPLE_RATIO * len(sample):
            return b""
    packed = zlib.compress(data, 1)
    return packed if len(packed) < len(data) else b""


def _is_ascii(data: bytes | memoryview) -> bool:
    return (data if isinstance(data, bytes) else bytes(data)).isascii()


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _with_length(data: bytes) -> bytes:
    return b"%08x" % len(data) + data
