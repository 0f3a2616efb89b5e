"""The notebook's folder as far as it has come here.

A file that has come is a copy, as long as the code leaves it alone: it is fetched again when the
user's has changed, and removed when that is gone. Once the code has written to it, it is the
code's, and stays. A file that the code has made is the code's from the beginning. A folder is made
when it is looked at, and goes when it is gone there, but for what the code has put into it.

Whether something has changed is asked once in a cell, and again after a second.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading
import time
from typing import Any

from .. import call_socket
from ..asking import HostClient, asking
from ..origin import Stamp
from ..paged_files import FileProblem
from ..wrapping import wrapped
from . import quiet, receiving
from .copies import Copies, Copy, FileFacts
from .lookup_cache import LookupCache

# How long code that runs while no cell does waits for the kernel, which then looks after it
# at growing intervals for half a minute, or until the next cell.
_PATIENCE_SECONDS = 60.0

# A file that is written to while it is read is read again so often.
_ATTEMPTS = 3

# More would not be quicker.
_FILES_AT_A_TIME = 2


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
        # Whether a cell is running.
        self.is_in_cell = False
        self.device = os.stat(root).st_dev
        self._calls_path = calls_path
        self._stream = stream
        self._copies = Copies(root, journal, known)
        self._asked = LookupCache(self._asking, self._on_list, is_listing=not is_hinting)
        self._told: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._way = threading.Semaphore(_FILES_AT_A_TIME)
        os.register_at_fork(after_in_child=self._forget_other_threads)

    def _forget_other_threads(self) -> None:
        """A copy of the process has one thread: what the others held is held by nobody."""
        self._locks = {}
        self._way = threading.Semaphore(_FILES_AT_A_TIME)

    def begin_cell(self) -> None:
        """Take nothing for known any more."""
        self.is_in_cell = True
        self._asked.forget()
        self._copies.read()

    def end_cell(self) -> None:
        """A cell has ended: what its processes have fetched is no work of the code's."""
        self.is_in_cell = False
        self._copies.read()

    def keep_journal(self) -> None:
        """Write the journal again, if code has removed it. Raises OSError."""
        self._copies.keep()

    # -- paths -------------------------------------------------------------------

    def inside(self, path: Any) -> str | None:
        """Return a path relative to the root, "" for itself; None where nothing is mirrored.

        Hidden names and paths beyond the root are never asked for: the kernel would refuse. What
        Python keeps of modules is its own.
        """
        text = text_of(path)
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
        relative = "/".join(parts)
        return self._through_links(relative) if self._copies.links else relative

    def _through_links(self, relative: str) -> str:
        """Return where a path leads, by links that lead there still."""
        with quiet(), contextlib.suppress(FileProblem):
            for link in list(self._copies.links):
                if relative.startswith(link + "/"):
                    self._check_folder(link)
        return self._copies.canonical(relative)

    def path_of(self, relative: str) -> str:
        """Return the absolute path of what is inside."""
        return self._copies.path_of(relative)

    def leads_to(self, relative: str) -> str:
        """Return the folder that a link to one leads to, or the path itself."""
        return self._copies.links.get(relative, relative)

    # -- what there is on the user's machine --------------------------------------

    def look(self, relative: str) -> FileFacts | None:
        """Return what is there. Raises FileProblem: it cannot be asked."""
        if self._copies.is_removed(relative):
            return None
        return self._asked.look_at([relative])[0]

    def look_at(self, paths: list[str]) -> list[FileFacts | None]:
        """As `look`, with one question for all that is not known."""
        seen = [path for path in paths if not self._copies.is_removed(path)]
        found = dict(zip(seen, self._asked.look_at(seen)))  # noqa: B905 - not in Python 3.9
        return [found.get(path) for path in paths]

    def names(self, relative: str) -> dict[str, FileFacts] | None:
        """Return what is in a folder there; None: it is none. Raises FileProblem."""
        if self._copies.is_removed(relative):
            return None
        found = self._asked.names(relative)
        return None if found is None else self._copies.without_removed(relative, found)

    def _on_list(self, relative: str, found: dict[str, FileFacts] | None) -> None:
        """A folder has been listed: copies of what is not in it any more go."""
        if found is None and relative in self._copies.folders:
            self._vacate(relative)
        prefix = relative + "/" if relative else ""
        for name in self._copies.in_folder(relative):
            if name not in (found or {}):
                path = prefix + name
                lock = self._locks.setdefault(path, threading.Lock())
                # Who holds it, perhaps this thread, finds out by itself.
                if lock.acquire(blocking=False):
                    try:
                        self._forget(path)
                    finally:
                        lock.release()

    # -- what has come ---------------------------------------------------------------

    def is_copy(self, relative: str) -> bool:
        """Tell whether it has come from the user's machine, changed by the code or not."""
        self._copies.read()
        return relative in self._copies.files

    def is_outdated(self, relative: str, item: FileFacts) -> bool:
        """Tell whether what is here is a copy of what has been there before."""
        copy = self._copies.files.get(relative)
        return copy is not None and not copy.is_of(item) and self._copies.is_unchanged(relative)

    def keep_same(self, relative: str, changed: int, own: Stamp) -> None:
        """A file has gone there, or was uploaded: a change there counts from now on.

        It is not noted as known: a checkpoint holds it, as what the code has made.
        """
        if not self.is_hinting:
            self._copies.note_same(relative, changed, own)
            self._asked.note(relative, FileFacts(False, own[0], changed))

    def refresh(self, relative: str) -> None:
        """See to it that what has come is here as it is there, files and folders.

        Raises FileProblem and Refused, as `bring`.
        """
        self._copies.read()
        if relative in self._copies.files or relative in self._copies.folders:
            self.bring(relative)

    def bring(self, relative: str) -> None:
        """See to it that a file is here, as it is there, if it is there and is not the code's.

        A folder is made. Raises FileProblem: it cannot be fetched. Raises Refused: it is too
        large.
        """
        lock = self._locks.setdefault(relative, threading.Lock())
        with quiet(), lock:
            self._bring(relative)

    def _bring(self, relative: str) -> None:
        copies = self._copies
        copies.read()
        if relative in copies.folders:
            self._check_folder(relative)
        here, copy = copies.stamp_of(relative), copies.files.get(relative)
        if copy is None if here is not None else copies.is_removed(relative):
            return
        if copy is not None and here is not None and here != copy.own:
            with copies.alone():  # another process may be fetching it
                here, copy = copies.stamp_of(relative), copies.files.get(relative)
            if copy is None or (here is not None and here != copy.own):
                self._look_for_both_changed(relative, copy)
                return
        if self._asked.knows(relative):
            found = self._asked.item(relative)
            if found is None or found.is_folder:
                self._forget(relative)
                self.bring_folder(relative)
                return
            if copy is not None and copy.is_of(found):
                return
        self._fetch(relative, copy if here is not None else None)

    def _look_for_both_changed(self, relative: str, copy: Copy | None) -> None:
        if relative in self._told or copy is None or copy.size < 0:
            return
        found = self.look(relative)
        if found is not None and not copy.is_of(found):
            self.tell_once(
                relative,
                f"{relative} has changed on your machine, and the code has changed its copy here: "
                f"the copy is kept. `{_upload_of(relative)}` replaces it by yours.",
            )

    def _forget(self, relative: str) -> None:
        """The user's file is gone, or is not sent any more: an unchanged copy goes, too."""
        copies = self._copies
        with copies.alone():
            if copies.is_removed(relative) or relative not in copies.files:
                return
            is_unchanged = copies.is_unchanged(relative) and copies.is_known(relative)
            copies.drop(relative)
            if is_unchanged:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path_of(relative))

    def _fetch(self, relative: str, copy: Copy | None) -> None:
        for _ in range(_ATTEMPTS):
            with self._way, self._asking() as kernel:
                answer = receiving.ask(kernel, relative, copy)
                state = answer.head["state"]
                if state == "same" and copy is not None:
                    self._asked.note(relative, FileFacts(False, copy.size, copy.changed))
                    return
                if state == "none":
                    break
                if state == "refused":
                    raise Refused(str(answer.head["told"]))
                self._make_parents(relative)
                place = self._copies.canonical(relative)
                if place != relative:  # a folder on its way is a link: it may be here already
                    break
                taken = receiving.receive(kernel, relative, answer, self._copies, self._stream)
                if taken is not None:
                    self._asked.note(relative, taken)
                    return
        else:
            raise FileProblem(f"{relative} goes on changing on your machine while it is read.")
        if state != "none":
            self._bring(place)
            return
        self._forget(relative)
        if answer.head.get("is_folder"):
            self.bring_folder(relative)
        else:
            self._asked.note(relative, None)

    # -- folders -----------------------------------------------------------------------

    def bring_folder(self, relative: str) -> bool:
        """Make a folder that is there; return whether it is one here now. Raises FileProblem."""
        with quiet():
            if os.path.isdir(self.path_of(relative)):
                return True
            found = self.look(relative)
            if found is None or not found.is_folder:
                return False
            self._forget(relative)
            self._make_parents(relative)
            self._make(relative, found.link)
            return os.path.isdir(self.path_of(relative))

    def _make(self, relative: str, link: str | None) -> None:
        path = self.path_of(relative)
        # Something of the code's may have the name, or another thread was quicker.
        with self._copies.alone(), contextlib.suppress(OSError):
            if link is None:
                os.mkdir(path)
            else:
                target = self.path_of(link)
                os.symlink(os.path.relpath(target, os.path.dirname(path)), path)
            self._copies.note_folder(relative, link)
        if link:
            self.bring_folder(link)

    def _make_parents(self, relative: str) -> None:
        """Make the folders that something is in there."""
        parts = relative.split("/")[:-1]
        folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        missing = [one for one in folders if not os.path.isdir(self.path_of(one))]
        if missing:
            self.look_at(missing)
            for one in missing:
                self.bring_folder(self._copies.canonical(one))

    def bring_tree(self, relative: str, *, with_links: bool = False) -> None:
        """Bring a file, or a folder with all that is in it, for who does not ask for each.

        with_links: also what links in it lead to. Raises FileProblem, Refused.
        """
        with quiet():
            self._bring_tree(relative, set(), with_links=with_links)

    def _bring_tree(self, relative: str, done: set[str], *, with_links: bool) -> None:
        if relative:
            self.bring(relative)
        relative = self.leads_to(relative) if with_links else relative
        if relative in done or not os.path.isdir(self.path_of(relative)):
            return
        if not with_links and os.path.islink(self.path_of(relative)):
            return
        done.add(relative)
        prefix = relative + "/" if relative else ""
        for name, item in sorted((self.names(relative) or {}).items()):
            if item.is_folder:
                self._bring_tree(prefix + name, done, with_links=with_links)
            else:
                self.bring(prefix + name)

    def _check_folder(self, relative: str) -> None:
        """A folder was made because there is one: it goes if there is none any more."""
        found = self.look(relative)
        if (
            found is None
            or not found.is_folder
            or found.link != self._copies.folders.get(relative, found.link)
        ):
            self._vacate(relative)

    def _vacate(self, relative: str) -> None:
        """Remove a folder, but not what the code has put into it."""
        with self._copies.alone():
            files, folders = self._copies.within(relative)
            for path in files:
                self._forget(path)
            for path in [*folders, relative]:
                self._copies.drop(path)
                with contextlib.suppress(OSError):  # it holds something of the code's
                    here = self.path_of(path)
                    os.unlink(here) if os.path.islink(here) else os.rmdir(here)

    # -- what the code removes -----------------------------------------------------------

    def before_removal(self, relative: str) -> FileFacts | None:
        """See to it that what the code is about to remove is here and, once gone, stays away.

        Its content does not matter. Return what is there.
        """
        copies = self._copies
        with quiet():
            found = self.look(relative)
            if found is None:
                return None
            here = copies.stamp_of(relative)
            if here is None and found.is_folder:
                self.bring_folder(relative)
            elif here is None:
                self._make_parents(relative)
                # Of no file that there could be: if it is not removed, it is fetched.
                with copies.alone(), contextlib.suppress(FileExistsError):
                    open(self.path_of(relative), "xb").close()
                    own = copies.stamp_of(relative)
                    if own is not None:
                        copies.note_file(relative, Copy(-1, -1, own))
            elif relative not in copies.files and relative not in copies.folders:
                copies.note_own(relative)
            return found

    def note_removed(self, relative: str) -> None:
        """The code removes a folder with everything in it."""
        self._copies.note_removed(relative)

    def is_only_there(self, relative: str) -> FileFacts | None:
        """Return what is on the user's machine and neither here nor removed."""
        if self._copies.stamp_of(relative) is not None:
            return None
        return self.look(relative)

    # -- the kernel ----------------------------------------------------------------------

    def _asking(self) -> contextlib.AbstractContextManager[HostClient]:
        return asking(self._calls_path, patience=self._wait)

    def _wait(self, connection: call_socket.Connection) -> None:
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
            sys.stderr.write(wrapped(text) + "\n")
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


def text_of(path: Any) -> str:
    """Return a path as text, an empty one for what is none, such as a descriptor.

    What a path object raises it raises again where the code asks for it.
    """
    if isinstance(path, str):
        return path
    try:
        return os.fsdecode(path)
    except Exception:  # noqa: BLE001 - anything, it is the notebook's
        return ""
