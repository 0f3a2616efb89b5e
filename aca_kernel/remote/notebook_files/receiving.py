"""One file on its way here.

Calls to the kernel: see aca_kernel/host/notebook_files/sending.py.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ..asking import HostClient
from ..origin import stamp
from ..paged_files import PartialFile
from ..transfer_progress import TransferProgress
from .copies import Copies, Copy, FileFacts

# Another transfer fills the way: ask again so soon.
_LATER_SECONDS = 0.05

_PAGES_AHEAD = 2


def ask(kernel: HostClient, relative: str, copy: Copy | None) -> Any:
    """Return the answer about a file, with its beginning. Raises FileProblem."""
    known = {} if copy is None else {"size": copy.size, "changed": copy.changed}
    while True:
        answer = kernel.ask("files_open", path=relative, **known)
        if answer.head["state"] != "later":
            return answer
        time.sleep(_LATER_SECONDS)


def receive(
    kernel: HostClient, relative: str, answer: Any, copies: Copies, stream: Any
) -> FileFacts | None:
    """Take what is sent, and note it; return what it is there, None if it changed meanwhile.

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
                if head.get("is_executable"):
                    os.chmod(path, os.stat(path).st_mode | 0o111)  # noqa: S103 - as it is there
                os.utime(path, ns=(changed, changed))
                copies.note_file(relative, Copy(size, changed, stamp(os.lstat(path))))
    finally:
        file.discard()
    return FileFacts(False, size, changed)


def _receive_pages(
    kernel: HostClient, file: PartialFile, head: dict[str, Any], stream: Any
) -> str | None:
    page, digest = int(head["page"]), ""
    unasked, asked = -(-file.size // page), 0
    progress = TransferProgress(file.size, f"{file.shown}: ", stream)
    try:
        while unasked or asked:
            while unasked and asked < _PAGES_AHEAD:
                kernel.send("files_page", transfer=head["transfer"])
                unasked, asked = unasked - 1, asked + 1
            answer = kernel.receive()
            asked -= 1
            if answer.head.get("later"):
                unasked += 1
                time.sleep(_LATER_SECONDS)
                continue
            if answer.head["changed"] != head["changed"]:
                return None
            file.write(answer.parts[0])
            digest = str(answer.head["digest"])
            progress.show(file.received)
    finally:
        progress.end()
    return digest
