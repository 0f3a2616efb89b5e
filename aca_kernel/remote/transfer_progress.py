"""How far a file has come, on one line of the cell's output."""

from __future__ import annotations

import sys
import time
from typing import Any

# Short transfers are not worth watching; long ones are shown so often.
_QUIET_SECONDS = 1.0
_SHOW_SECONDS = 0.5


class TransferProgress:
    """One line of the cell's output that is written again and again, if it takes long.

    label: stands before it. stream: where it is written, by default sys.stdout.
    """

    def __init__(self, total: int, label: str = "", stream: Any = None) -> None:
        self._total = total
        self._label = label
        self._stream = stream
        self._started = time.monotonic()
        self._next = self._started + _QUIET_SECONDS
        self._width = 0

    def show(self, done: int) -> None:
        """Show how much is done, from time to time."""
        now = time.monotonic()
        if now < self._next or done >= self._total:
            return
        self._next = now + _SHOW_SECONDS
        rate = done / (now - self._started)
        text = (
            f"{self._label}{done / self._total:4.0%}  {done / 1e6:.1f} of "
            f"{shown_size(self._total)}, {rate / 1e6:.1f} MB/s"
        )
        self._write("\r" + text.ljust(self._width))
        self._width = max(self._width, len(text))

    def end(self) -> None:
        """Take the line back: what comes now stands in its place."""
        if self._width:
            self._write("\r" + " " * self._width + "\r")

    def summary(self, what: str) -> str:
        """Return what it took, behind what it was."""
        seconds = time.monotonic() - self._started
        rate = self._total / 1e6 / max(seconds, 1e-3)
        return f"{what}: {shown_size(self._total)} in {seconds:.1f} s, {rate:.1f} MB/s"

    def _write(self, text: str) -> None:
        stream = sys.stdout if self._stream is None else self._stream
        stream.write(text)
        stream.flush()


def folder_summary(
    progress: TransferProgress, source: str, target: str, count: int, left_out: int
) -> str:
    """Return a sentence about a folder. left_out: names that are not sent or taken."""
    files = "1 file" if count == 1 else f"{count} files"
    text = progress.summary(f"{source} → {target}: {files}")
    if not left_out:
        return text
    names = "1 name is" if left_out == 1 else f"{left_out} names are"
    return (
        f"{text}. {names} left out: hidden, ignored, links, or usual for keys and passwords. "
        "A line that names a file itself brings it."
    )


def shown_size(count: int) -> str:
    """Return a number of bytes as it is told."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return "1 byte" if count == 1 else f"{count} bytes"
