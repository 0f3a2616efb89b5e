"""The transfer of one file from the user's machine (host/notebook_files/sending.py)."""

from __future__ import annotations

import os
import time
from typing import Any

from ..asking import HostClient
from ..origin import stamp
from ..paged_files import FileProblem, PartialFile, write_whole
from ..paging import LATER_SECONDS, page_of, receive_pages
from ..transfer_progress import TransferProgress
from .copies import Copies, Copy
from .entries import FileFacts


def ask(kernel: HostClient, relative: str, copy: Copy | None, others: list[str]) -> Any:
    """Return the answer about a file, with its beginning. Raises FileProblem.

    others: files that are to come along.
    """
    known: dict[str, Any] = {"others": others} if others else {}
    if copy is not None:
        known.update(size=copy.size, changed=copy.changed)
    while True:
        answer = kernel.ask("files_open", path=relative, **known)
        if answer.head["state"] != "later":
            return answer
        time.sleep(LATER_SECONDS)


def receive(
    kernel: HostClient, relative: str, answer: Any, copies: Copies, stream: Any
) -> FileFacts | None:
    """Write a file and note it; return the facts about it, None if it changed meanwhile.

    stream: where a slow transfer shows its progress. Raises FileProblem.
    """
    head, path = answer.head, copies.path_of(relative)
    size, changed = int(head["size"]), int(head["changed"])
    file = PartialFile(path, relative, size, may_replace=True)
    try:
        if "transfer" in head:
            digest = _receive_pages(kernel, file, head, stream)
        else:
            digest = str(head["digest"])
            file.write(answer.parts[0])
        if digest is None:
            return None
        with copies.alone():
            # The code may have written one, and another process may have fetched it.
            if copies.is_free(relative):
                file.commit(digest)
                copies.note_file(
                    relative, _as_there(path, size, changed, head.get("is_executable"))
                )
    finally:
        file.discard()
    return FileFacts(False, size, changed)


def receive_companions(answer: Any, copies: Copies) -> dict[str, FileFacts]:
    """Write the files that have come along, and note them; return the facts about them.

    What cannot be written is fetched when it is opened, which says why.
    """
    came: dict[str, FileFacts] = {}
    rows = answer.head.get("others")
    if not rows:
        return came
    try:
        data = memoryview(page_of(answer))
    except FileProblem:  # it took too long to come to it
        return came
    position = 0
    noted: dict[str, Copy] = {}
    with copies.alone():
        for relative, size, changed, is_executable, digest in rows:
            begin, position = position, position + size
            if not copies.is_free(relative):
                continue
            path = copies.path_of(relative)
            try:
                write_whole(path, relative, data[begin:position], digest)
                noted[relative] = _as_there(path, size, changed, is_executable)
            except (FileProblem, OSError):
                continue
            came[relative] = FileFacts(False, size, changed)
        copies.note_files(noted)
    return came


def _as_there(path: str, size: int, changed: int, is_executable: Any) -> Copy:
    """Give a file the mode and time that it has there; return what is noted of it."""
    if is_executable:
        os.chmod(path, os.stat(path).st_mode | 0o111)  # noqa: S103 - as it is there
    os.utime(path, ns=(changed, changed))
    return Copy(size, changed, stamp(os.lstat(path)))


def _receive_pages(
    kernel: HostClient, file: PartialFile, head: dict[str, Any], stream: Any
) -> str | None:
    progress = TransferProgress(file.size, f"{file.shown}: ", stream)
    try:
        return receive_pages(kernel, "files_page", head, file, progress, int(head["changed"]))
    finally:
        progress.end()
