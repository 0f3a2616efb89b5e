"""Files that the code has written into the working directory, and their way to the user's machine.

These are files that are new since the first cell and were not fetched, or have changed since. With
the setting `files_back` they are sent at the end of each cell, and without it those that an output
shows (shown_files.py); the kernel on the user's machine decides whether it takes them
(aca_kernel/host/notebook_files/write_back.py).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..asking import HostClient, asking
from ..origin import Stamp, stamp
from ..paged_files import FileProblem, SourceFile
from ..paging import send_pages
from ..transfer_progress import TransferProgress, shown_size
from ..wrapping import tell
from . import quiet
from .mirror import Mirror
from .paths import Paths, way_to

# Up to this size a file goes along with the question.
_AT_ONCE_BYTES = 1_000_000

# Folders of tools, beside the hidden ones.
_TOOLS_FOLDERS = frozenset({"__pycache__", "node_modules"})

# Files beyond this are only counted in a list.
_MOST_LISTED = 100


@dataclass(eq=False)
class Writing:
    """The files of one remote kernel that are the code's.

    paths: only what is in the notebook's folder comes back. known: stamps of all other files, by
    their absolute paths; grows as files are fetched.
    mirror: None where none are.
    """

    paths: Paths
    calls_path: str
    known: dict[str, Stamp]
    stream: Any
    mirror: Mirror | None
    # Stamps of the files that were sent back or refused.
    _sent: dict[str, Stamp] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the regular files that the code has written, by path."""
        with quiet():
            found = list(self._files())
        yield from sorted(found)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for folder, folders, names in os.walk(self.paths.home):
            folders[:] = [one for one in set(folders) - _TOOLS_FOLDERS if not one.startswith(".")]
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith("."):
                    continue
                try:
                    status = os.lstat(path)
                except OSError:  # it was there a moment ago
                    continue
                if stat.S_ISREG(status.st_mode) and self.known.get(path) != stamp(status):
                    yield os.path.relpath(path, self.paths.home), status

    def send_back(self) -> None:
        """Send the files that are new since the last cell; a refusal is shown once."""
        try:
            with quiet():
                self._send_new(list(self.files()))
        except KeyboardInterrupt:
            tell("Interrupted; what has not come back yet comes after the next cell.")

    def send_shown(self, paths: list[str]) -> None:
        """Send those of some paths in the notebook's folder that the code has written."""
        with quiet():
            found = []
            for path in paths:
                whole = os.path.join(self.paths.home, path)
                with contextlib.suppress(OSError, ValueError):  # it is no file here
                    status = os.lstat(whole)
                    if stat.S_ISREG(status.st_mode) and self.known.get(whole) != stamp(status):
                        found.append((path, status))
            self._send_new(found, is_shown=True)

    def _send_new(self, files: list[tuple[str, os.stat_result]], *, is_shown: bool = False) -> None:
        for path, status in files:
            if self._sent.get(path) == stamp(status):
                continue
            try:
                answer = self._send(path, is_shown=is_shown)
            except FileProblem as error:
                answer = {}
                if str(error) not in self._told:
                    self._told.add(str(error))
                    tell(str(error))
            self._sent[path] = stamp(status)
            if answer.get("size") == status.st_size:
                self._note(self.paths.prefix + path, int(answer["changed"]), stamp(status))

    def is_same(self, path: str, beside: str) -> bool:
        """Tell whether a path here stands for one in the notebook's folder."""
        return path == os.path.join(self.paths.root, beside)

    def note_same(self, relative: str, changed: int | None) -> None:
        """Note a file that the user has uploaded: it need not go back.

        changed: its time on the user's machine; None: it would not be sent again.
        """
        with quiet():
            own = stamp(os.lstat(os.path.join(self.paths.root, relative)))
            if relative.startswith(self.paths.prefix):
                self._sent[relative[len(self.paths.prefix) :]] = own
        if changed is not None:
            self._note(relative, changed, own)

    def _note(self, relative: str, changed: int, own: Stamp) -> None:
        if self.mirror is not None:
            self.mirror.keep_same(relative, changed, own)

    def _send(self, path: str, *, is_shown: bool) -> dict[str, Any]:
        file = SourceFile(os.path.join(self.paths.home, path), path)
        progress = TransferProgress(file.size, f"{path}: ", self.stream)
        try:
            with asking(self.calls_path, way_home=way_to(self.paths.home)) as kernel:
                started: dict[str, Any] = {"path": path, "size": file.size, "is_shown": is_shown}
                if file.size <= _AT_ONCE_BYTES:
                    data = file.read(file.size)
                    ended = {"digest": file.digest, "is_executable": file.is_executable}
                    kernel.send("back", data, **started, **ended)
                    return kernel.receive().head
                transfer = kernel.ask("back", **started).head
                send_pages(kernel, "back_page", transfer, file, progress)
                ended = {"digest": file.digest, "is_executable": file.is_executable}
                return kernel.ask("back_end", transfer=transfer["transfer"], **ended).head
        finally:
            file.close()
            progress.end()

    def listing(self, kernel: HostClient) -> str:
        """Return the text of `%aca files`. Raises FileProblem."""
        answer = kernel.ask("files_sent").head
        sent = [(str(path), int(size)) for path, size in answer["rows"]]
        written = [(path, status.st_size) for path, status in self.files()]
        line = f"%aca download {way_to(self.paths.home)}PATH"
        return "\n".join(
            [
                *_section("Sent from your machine", sent, f"files = {answer['files']}"),
                *_section("Written here", written, f"`{line}` brings one"),
            ]
        )


def _section(title: str, rows: list[tuple[str, int]], hint: str) -> list[str]:
    if not rows:
        return [f"{title}: nothing ({hint})"]
    total = shown_size(sum(size for _, size in rows))
    count = f"{len(rows)} files" if len(rows) > 1 else "1 file"
    width = max(len(path) for path, _ in rows[:_MOST_LISTED])
    lines = [f"{title}: {count}, {total} ({hint})"]
    lines += [f"  {path.ljust(width)}  {shown_size(size)}" for path, size in rows[:_MOST_LISTED]]
    if len(rows) > _MOST_LISTED:
        lines.append(f"  and {len(rows) - _MOST_LISTED} more")
    return lines
