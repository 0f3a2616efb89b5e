"""The notebook's folder as far as it has come here.

A file that has come is a copy, as long as the code leaves it alone: it is fetched again when the
user's has changed, and removed when that is gone. Once the code has written to it, it is the
code's, and stays. A file that the code has made is the code's from the beginning.

Whether something has changed is asked once in a cell, and again after a second; where a folder
is asked about again and again, it is listed instead.

Calls to the kernel: see aca_kernel/beside/sending.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from .. import calls, transfer
from ..files import FileProblem, PartialFile
from ..origin import Stamp, stamp
from . import quiet

# What is known is taken for true so long, in the same cell.
FRESH_SECONDS = 1.0

# After so many questions about a folder in one cell it is listed.
_QUESTIONS_BEFORE_LIST = 8

# How long code that runs while no cell does waits for the kernel, which then looks after it
# at growing intervals for half a minute, or until the next cell.
_PATIENCE_SECONDS = 60.0

# Another transfer fills the way: ask again so soon.
_LATER_SECONDS = 0.05

# A file that is written to while it is read is read again so often.
_ATTEMPTS = 3

_PAGES_AHEAD = 2

# More would not be quicker.
_FILES_AT_A_TIME = 2


@dataclass(frozen=True)
class Item:
    """A file or folder on the user's machine. changed: in nanoseconds since 1970."""

    is_folder: bool
    size: int
    changed: int


@dataclass(frozen=True)
class Copy:
    """A file that has come. size, changed: the user's then; own: the copy's stamp since."""

    size: int
    changed: int
    own: Stamp

    def is_of(self, item: Item) -> bool:
        """Tell whether the user's file is as it was."""
        return (self.size, self.changed) == (item.size, item.changed)


class Refused(Exception):
    """A file is there and is not sent; the text says why."""


class Mirror:
    """The files of one remote kernel.

    root: the directory that stands for the notebook's folder. calls_path: the agent's socket.
    journal: a file in the agent's folder that keeps what has come from one remote kernel to the
    next. known: stamps of files that are not the code's, which copies are added to.
    stream: where a slow transfer shows its progress.
    """

    def __init__(
        self,
        root: str,
        calls_path: str,
        journal: str,
        known: dict[str, Stamp],
        stream: Any,
        *,
        is_hinting: bool,
    ) -> None:
        self.root = root
        self.is_hinting = is_hinting
        # Whether a cell is running, and which one.
        self.is_in_cell = False
        self.cell = 0
        self._calls_path = calls_path
        self._journal = journal
        self._known = known
        self._stream = stream
        self._copies: dict[str, Copy] = {}
        # What the code has removed stays away, with everything in it.
        self._removed: set[str] = set()
        self._found: dict[str, tuple[int, float, Item | None]] = {}
        self._lists: dict[str, tuple[int, float, dict[str, Item] | None]] = {}
        self._questions: dict[str, int] = {}
        self._told: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._way = threading.Semaphore(_FILES_AT_A_TIME)
        os.register_at_fork(after_in_child=self._forget_other_threads)
        self._read_journal()

    def _forget_other_threads(self) -> None:
        """A copy of the process has one thread: what the others held is held by nobody."""
        self._locks = {}
        self._way = threading.Semaphore(_FILES_AT_A_TIME)

    def begin_cell(self) -> None:
        """Take nothing for known any more."""
        self.is_in_cell = True
        self.cell += 1
        for known in (self._found, self._lists, self._questions):
            known.clear()

    def end_cell(self) -> None:
        """A cell has ended."""
        self.is_in_cell = False

    # -- paths -------------------------------------------------------------------

    def inside(self, path: Any) -> str | None:
        """Return a path relative to the root, "" for itself; None where nothing is mirrored.

        Hidden names and paths beyond the root are never asked for: the kernel would refuse. What
        Python keeps of modules is its own.
        """
        text = _text_of(path)
        if not text or "\0" in text:
            return None
        root = self.root
        if not text.startswith("/"):
            try:
                text = os.path.join(os.getcwd(), text)
            except FileNotFoundError:
                return None
        if not text.startswith(root) and "//" not in text and "/." not in text:
            return None
        text = os.path.normpath(text)
        if text != root and not text.startswith(root + "/"):
            return None
        parts = text[len(root) + 1 :].split("/")
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            return None
        return "/".join(parts)

    def path_of(self, relative: str) -> str:
        """Return the absolute path of what is inside."""
        return os.path.join(self.root, relative) if relative else self.root

    def _is_removed(self, relative: str) -> bool:
        if not self._removed:
            return False
        parts = relative.split("/")
        return any("/".join(parts[:end]) in self._removed for end in range(1, len(parts) + 1))

    def remove(self, relative: str) -> None:
        """The code removes something: it must not come again by itself."""
        self._removed.add(relative)
        self._copies.pop(relative, None)

    # -- what there is on the user's machine --------------------------------------

    def look(self, relative: str) -> Item | None:
        """Return what is there. Raises FileProblem: it cannot be asked."""
        return self.look_at([relative])[0]

    def look_at(self, paths: list[str]) -> list[Item | None]:
        """As `look`, with one question for all that is not known."""
        unknown = [path for path in paths if not self._knows(path)]
        if unknown:
            with quiet(), self._asking() as kernel:
                answer = kernel.ask("files_look", paths=unknown).head["found"]
            for place, path in enumerate(unknown):
                row = answer[place]
                self._note(path, None if row is None else Item(*row))
        return [self._known_item(path) for path in paths]

    def _knows(self, relative: str) -> bool:
        """Tell whether something is known; lists its folder if it was asked about often."""
        if not relative or self._is_removed(relative):
            return True
        if self._is_fresh(self._found.get(relative)):
            return True
        folder = os.path.dirname(relative)
        if self._is_fresh(self._lists.get(folder)):
            return True
        asked = self._questions[folder] = self._questions.get(folder, 0) + 1
        if asked <= _QUESTIONS_BEFORE_LIST or self.is_hinting:
            return False
        self.names(folder)
        return True

    def _known_item(self, relative: str) -> Item | None:
        if not relative:
            return Item(True, 0, 0)
        if self._is_removed(relative):
            return None
        folder, name = os.path.split(relative)
        listed, found = self._lists.get(folder), self._found.get(relative)
        if listed is not None and (found is None or listed[:2] >= found[:2]):
            return (listed[2] or {}).get(name)
        return found[2] if found is not None else None

    def _note(self, relative: str, found: Item | None) -> None:
        self._found[relative] = self.cell, time.monotonic(), found

    def _is_fresh(self, known: Any) -> bool:
        return (
            known is not None
            and known[0] == self.cell
            and time.monotonic() - known[1] < FRESH_SECONDS
        )

    def names(self, relative: str) -> dict[str, Item] | None:
        """Return what is in a folder there; None: it is none. Raises FileProblem."""
        if self._is_removed(relative):
            return None
        known = self._lists.get(relative)
        if not self._is_fresh(known):
            with quiet(), self._asking() as kernel:
                answer = kernel.ask("files_list", path=relative)
            found = None
            if answer.head["is_folder"]:
                rows = json.loads(answer.parts[0])
                found = {name: Item(*row) for name, row in rows.items()}
            self._lists[relative] = known = self.cell, time.monotonic(), found
        if known is None or known[2] is None:
            return None
        if not self._removed:
            return known[2]
        prefix = relative + "/" if relative else ""
        return {k: v for k, v in known[2].items() if prefix + k not in self._removed}

    # -- what has come ---------------------------------------------------------------

    def is_copy(self, relative: str) -> bool:
        """Tell whether it has come from the user's machine, changed by the code or not."""
        return relative in self._copies

    def copies(self) -> dict[str, Copy]:
        """Return all that has come, by path."""
        return dict(self._copies)

    def keep_same(self, relative: str, changed: int, own: Stamp) -> None:
        """A file has gone there, or was uploaded: a change there counts from now on.

        It is not noted as known: a checkpoint holds it, as what the code has made.
        """
        if not self.is_hinting:
            self._removed.discard(relative)
            self._known.pop(self.path_of(relative), None)
            self._copies[relative] = Copy(own[0], changed, own)
            self._note(relative, Item(False, own[0], changed))

    def bring_folder(self, relative: str) -> bool:
        """Make a folder that is there; return whether it is one here now."""
        path = self.path_of(relative)
        if os.path.isdir(path):
            return True
        found = self.look(relative)
        if found is None or not found.is_folder:
            return False
        with contextlib.suppress(FileExistsError):
            os.makedirs(path)
        return True

    def bring(self, relative: str) -> None:
        """See to it that a file is here, as it is there, if it is there and is not the code's.

        Raises FileProblem: it cannot be fetched. Raises Refused: it is too large.
        """
        lock = self._locks.setdefault(relative, threading.Lock())
        with quiet(), lock:
            self._bring(relative)

    def _bring(self, relative: str) -> None:
        path = self.path_of(relative)
        copy = self._copies.get(relative)
        here = _stamp_of(path)
        if here is not None and copy is None:
            return
        if copy is not None and here is not None and here != copy.own:
            self._look_for_both_changed(relative, copy)
            return
        if self._knows(relative):
            found = self._known_item(relative)
            if found is None:
                self._forget(relative, path, copy)
                return
            if found.is_folder:
                self.bring_folder(relative)
                return
            if (
                copy is not None
                and here
                and (found.size, found.changed) == (copy.size, copy.changed)
            ):
                return
        self._fetch(relative, path, copy if here is not None else None)

    def _look_for_both_changed(self, relative: str, copy: Copy) -> None:
        if relative in self._told:
            return
        found = self.look(relative)
        if found is not None and not copy.is_of(found):
            self.tell_once(
                relative,
                f"{relative} has changed on your machine, and the code has changed its copy here: "
                f"the copy is kept. `{_upload_of(relative)}` replaces it by yours.",
            )

    def _forget(self, relative: str, path: str, copy: Copy | None) -> None:
        """The user's file is gone, or is not sent any more: an unchanged copy goes, too."""
        if copy is not None:
            del self._copies[relative]
            # What the code has written, and what was uploaded, stays.
            if self._known.pop(path, None) is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _fetch(self, relative: str, path: str, copy: Copy | None) -> None:
        known = {} if copy is None else {"size": copy.size, "changed": copy.changed}
        for _ in range(_ATTEMPTS):
            with self._way, self._asking() as kernel:
                answer = self._open(kernel, relative, known)
                state = answer.head["state"]
                if state == "same" and copy is not None:
                    self._note(relative, Item(False, copy.size, copy.changed))
                    return
                if state == "none":
                    self._note(relative, None)
                    self._forget(relative, path, copy)
                    return
                if state == "refused":
                    raise Refused(str(answer.head["told"]))
                if self._receive(kernel, relative, path, answer):
                    return
        raise FileProblem(f"{relative} goes on changing on your machine while it is read.")

    def _open(self, kernel: transfer.Kernel, relative: str, known: dict[str, int]) -> Any:
        while True:
            answer = kernel.ask("files_open", path=relative, **known)
            if answer.head["state"] != "later":
                return answer
            time.sleep(_LATER_SECONDS)

    def _receive(self, kernel: transfer.Kernel, relative: str, path: str, answer: Any) -> bool:
        """Write what is sent; return False if it was changed meanwhile."""
        head = answer.head
        size, changed = int(head["size"]), int(head["changed"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = PartialFile(path, relative, size, may_replace=True)
        try:
            if "transfer" in head:
                digest = self._receive_pages(kernel, file, head)
            else:
                digest = str(head["digest"])
                file.write(answer.parts[0])
            if digest is None:
                return False
            file.commit(digest)
        finally:
            file.discard()
        if head.get("is_executable"):
            os.chmod(path, os.stat(path).st_mode | 0o111)  # noqa: S103 - as it is there
        os.utime(path, ns=(changed, changed))
        self._keep(relative, path, Copy(size, changed, stamp(os.lstat(path))))
        self._note(relative, Item(False, size, changed))
        return True

    def _receive_pages(
        self, kernel: transfer.Kernel, file: PartialFile, head: dict[str, Any]
    ) -> str | None:
        page, digest = int(head["page"]), ""
        unasked, asked = -(-file.size // page), 0
        progress = transfer.Progress(file.size, f"{file.shown}: ", self._stream)
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

    # -- from one remote kernel to the next --------------------------------------------

    def _keep(self, relative: str, path: str, copy: Copy) -> None:
        self._copies[relative] = copy
        self._known[path] = copy.own
        line = json.dumps([relative, copy.size, copy.changed, copy.own])
        with contextlib.suppress(OSError), open(self._journal, "a", encoding="ascii") as file:
            file.write(line + "\n")

    def _read_journal(self) -> None:
        try:
            with open(self._journal, encoding="ascii") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            with contextlib.suppress(ValueError):  # the last one was cut off
                relative, size, changed, own = json.loads(line)
                self._copies[relative] = Copy(size, changed, tuple(own))
        for relative, copy in self._copies.items():
            self._known[self.path_of(relative)] = copy.own

    # -- the kernel ----------------------------------------------------------------------

    def _asking(self) -> contextlib.AbstractContextManager[transfer.Kernel]:
        return transfer.asking(self._calls_path, patience=self._wait)

    def _wait(self, connection: calls.Connection) -> None:
        """Wait for an answer: in a cell as long as it takes, since it can be interrupted."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not connection.has_arrived(1.0):
            if not self.is_in_cell and time.monotonic() > deadline:
                raise FileProblem(
                    "The kernel on your machine does not answer while no cell is running."
                )

    def tell_once(self, key: str, text: str) -> None:
        """Show a sentence, with the running cell, unless there was one of this key before."""
        if key not in self._told:
            self._told.add(key)
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def hint_of(relative: str) -> str:
    """Return the sentence that an error carries where files are not sent by themselves."""
    return (
        f"{relative} exists beside the notebook on your machine: `{_upload_of(relative)}` sends "
        'it, and with the setting files = "on-demand" such files are sent when they are opened.'
    )


def _upload_of(relative: str) -> str:
    """Return the line that puts a file where it is missing."""
    folder = os.path.dirname(relative)
    words = [relative, folder + "/"] if folder else [relative]
    return " ".join(["%aca upload", *map(shlex.quote, words)])


def _text_of(path: Any) -> str:
    """Return a path as text, an empty one for what is none, such as a descriptor.

    What a path object raises it raises again where the code asks for it.
    """
    if isinstance(path, str):
        return path
    try:
        return os.fsdecode(path)
    except Exception:  # noqa: BLE001 - anything, it is the notebook's
        return ""


def _stamp_of(path: str) -> Stamp | None:
    try:
        return stamp(os.lstat(path))
    except OSError:
        return None
