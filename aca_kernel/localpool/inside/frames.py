"""The frames that the pool and the programs inside a sandbox exchange.

A frame is two lengths, a JSON object and bytes that are not JSON. The bytes keep
source code and output out of the JSON encoder, where ten megabytes would be slow.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

_LENGTHS = struct.Struct(">II")
# Far above what either side sends; more is a stream that is out of step, or an attack.
_MAX_FRAME_BYTES = 1 << 29

Frame = tuple[dict[str, Any], bytes]


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """Return one frame as it travels."""
    head = json.dumps(header).encode()
    return b"".join((_LENGTHS.pack(len(head), len(payload)), head, payload))


def receive(sock: socket.socket) -> Frame | None:
    """Wait for one frame on a blocking socket; None when the other end is closed."""
    lengths = _receive_exactly(sock, _LENGTHS.size)
    if lengths is None:
        return None
    head_length, payload_length = _LENGTHS.unpack(lengths)
    body = _receive_exactly(sock, head_length + payload_length)
    if body is None:
        return None
    return json.loads(body[:head_length]), bytes(memoryview(body)[head_length:])


def _receive_exactly(sock: socket.socket, count: int) -> bytearray | None:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = sock.recv_into(view)
        if not got:
            return None
        view = view[got:]
    return data


class FrameReader:
    """Cuts a stream of bytes into frames, for sockets that do not block."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._wanted = _LENGTHS.size

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes as they came and return the frames that are now complete.

        Raises ValueError: this is no stream of frames.
        """
        self._data += data
        frames: list[Frame] = []
        while len(self._data) >= self._wanted:
            head_length, payload_length = _LENGTHS.unpack_from(self._data)
            head_end = _LENGTHS.size + head_length
            end = head_end + payload_length
            if end > _MAX_FRAME_BYTES:
                raise ValueError("A frame is too large.")
            self._wanted = end
            if len(self._data) < end:
                break
            with memoryview(self._data) as view:
                header = json.loads(bytes(view[_LENGTHS.size : head_end]))
                payload = bytes(view[head_end:end])
            del self._data[:end]
            self._wanted = _LENGTHS.size
            frames.append((header, payload))
        return frames
