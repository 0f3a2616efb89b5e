"""The pages of a file that goes to an environment, in answers or beside them.

Where the environment is on this machine, and its pool has a folder that it sees and cannot write to
(pool/backend.py, NearFolder), a page is written there, and the answer names it: it is not encoded,
compiled and parsed on its way, as what an answer holds is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque
from typing import Any, Generic, TypeVar

from ..environment.page_size import FIRST_SENT_BYTES
from ..pool.backend import NearFolder
from ..remote.folder_stream import SourceFolder
from ..remote.paged_files import SourceFile

# A page and its head fit into what one exchange carries.
PAGE_BYTES = FIRST_SENT_BYTES - 4096

NEAR_PAGE_BYTES = 8 * 1024 * 1024

# The other side asks for two pages at a time: what is older has been read.
_MOST_KEPT = 2

# In all transfers of a kernel; what is more goes in answers.
_MOST_BYTES = 512 * 1024 * 1024


F = TypeVar("F", bound=SourceFile | SourceFolder)


class NearPages:
    """The pages in a folder that the environment sees. near: None where there is none.

    most: how many are kept; the oldest is removed for another.
    """

    def __init__(self, near: NearFolder | None, most: int) -> None:
        self._near = near
        self._most = most
        self._kept: deque[tuple[str, int]] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, data: bytes) -> str | None:
        """Add a page and return its path in the environment; None: it must go in an answer."""
        near = self._near
        while len(self._kept) >= self._most:
            self._drop(*self._kept.popleft())
        if near is None or near.used_bytes + len(data) > _MOST_BYTES:
            return None
        name = secrets.token_hex(8)
        path = os.path.join(near.here, name)
        near.used_bytes += len(data)
        self._kept.append((path, len(data)))
        try:
            with open(path, "xb") as page:
                page.write(data)
        except OSError:  # no room, or the pool has ended
            return None
        return f"{near.inside}/{name}"

    def _drop(self, path: str, size: int) -> None:
        with contextlib.suppress(OSError):  # it went with its pool
            os.unlink(path)
        if self._near is not None:
            self._near.used_bytes -= size

    def close(self) -> None:
        """Remove all; may be called again."""
        while self._kept:
            self._drop(*self._kept.popleft())


class PagedSource(Generic[F]):
    """A file or folder that is sent page by page. near: None where there is no such folder."""

    def __init__(self, file: F, near: NearFolder | None) -> None:
        self.file: F = file
        # The size of all pages but the last.
        self.page_bytes = PAGE_BYTES if near is None else NEAR_PAGE_BYTES
        self._pages = NearPages(near, _MOST_KEPT)

    @property
    def has_ended(self) -> bool:
        """Whether all has been read, and none of it waits in the folder."""
        return self.file.sent == self.file.size and not self._pages

    def read(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """Return what an answer says of the next page, and its parts. Raises FileProblem."""
        data = self.file.read(self.page_bytes)
        name = self._pages.put(data)
        if name is None:
            return {"digest": self.file.digest}, (data,)
        return {"digest": self.file.digest, "near": name}, ()

    def close(self) -> None:
        """Let go of the file, and of its pages; may be called again."""
        self.file.close()
        self._pages.close()
