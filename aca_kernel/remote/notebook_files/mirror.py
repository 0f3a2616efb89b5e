"""The local copy of the notebook's folder.

An unchanged copy of a file is fetched again when the user's has changed, and removed when that is
gone. A file that the code has written to, or made, is the code's and stays. A folder is made when
it is looked at, and removed when it is gone there, but for what the code has put into it.

Changes are looked for once in a cell, and again after a second.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from .. import call_socket
from ..asking import HostClient, asking
from ..command_line import transfer_line
from ..origin import Stamp
from ..paged_files import FileProblem
from ..wrapping import tell
from . import quiet, receiving
from .companions import Companions
from .copies import Copies, Copy
from .entries import MOST_ALONG, FileFacts
from .lookup_cache import LookupCache
from .paths import Paths, way_to
from .reading_ahead import ReadingAhead

# In the agent's folder, where the next remote kernel finds it.
_JOURNAL = "copies"

# How long code waits for the kernel while no cell runs; the kernel then polls at growing
# intervals for half a minute, or until the next cell.
_PATIENCE_SECONDS = 60.0

# Attempts to read a file that is written to meanwhile.
_ATTEMPTS = 3

# As many copies in one folder are asked about together, by its listing.
_MANY_COPIES = 8

# More would not be quicker.
_FILES_AT_A_TIME = 2


class Refused(Exception):
    """A file that is there and is not sent; the text says why."""


class Mirror:
    """The files of one remote kernel.

    calls_path: the agent's socket, in its folder.
    known: stamps of files that are not the code's, to which copies are added.
    stream: where a slow transfer shows its progress.
    """

    def __init__(
        self,
        paths: Paths,
        calls_path: str,
        known: dict[str, Stamp],
        stream: Any,
        *,
        is_hinting: bool,
    ) -> None:
        self.paths = paths
        self.is_hinting = is_hinting
        # Whether a cell is running.
        self.is_in_cell = False
        # Whether the next cell has, before it is executed.
        self._has_begun = False
        self.device = os.stat(paths.root).st_dev
        self._calls_path = calls_path
        self._stream = stream
        journal = os.path.join(os.path.dirname(calls_path), _JOURNAL)
        self.copies = Copies(paths.root, journal, known)
        self.path_of = self.copies.path_of
        self.ahead = ReadingAhead(paths.root)
        self._asked = LookupCache(self._asking, self._on_list, is_listing=not is_hinting)
        self._companions = Companions(self.copies, self._asked.item)
        self._told: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._way = threading.Semaphore(_FILES_AT_A_TIME)
        os.register_at_fork(after_in_child=self._forget_other_threads)

    def _forget_other_threads(self) -> None:
        """Drop the locks of other threads in a forked process, which has one thread."""
        self._locks = {}
        self._companions.forget_other_threads()
        self._way = threading.Semaphore(_FILES_AT_A_TIME)

    def begin_cell(self) -> None:
        """Drop cached answers, unless the cell has begun already."""
        self.is_in_cell = True
        if self._has_begun:
            self._has_begun = False
            return
        self._asked.forget()
        self.ahead.begin_cell()
        self.copies.read()

    def begin_cell_early(self) -> None:
        """Drop cached answers for a cell that asks before it is executed."""
        self.begin_cell()
        self._has_begun = True

    def end_cell(self) -> None:
        """Note what the cell's processes have fetched: it is no work of the code's."""
        self.is_in_cell = self._has_begun = False
        self.copies.read()

    # -- paths -------------------------------------------------------------------

    def inside(self, path: Any) -> str | None:
        """As Paths.inside, with the symlinks resolved that are there."""
        relative = self.paths.inside(path)
        return self._through_links(relative) if relative and self.copies.links else relative

    def _through_links(self, relative: str) -> str:
        """Resolve the symlinks in a path that still exist there."""
        with quiet(), contextlib.suppress(FileProblem):
            for link in list(self.copies.links):
                if relative.startswith(link + "/"):
                    self._check_folder(link)
        return self.copies.canonical(relative)

    def leads_to(self, relative: str) -> str:
        """Return the target of a symlink to a folder, or the path itself."""
        return self.copies.links.get(relative, relative)

    # -- the user's machine --------------------------------------------------------

    def look(self, relative: str) -> FileFacts | None:
        """Return facts about a file there. Raises FileProblem: there is no answer."""
        return self.look_at([relative])[0]

    def look_at(self, paths: list[str]) -> list[FileFacts | None]:
        """As `look`, with one question for all that are unknown."""
        seen = [path for path in paths if not self.copies.is_removed(path)]
        found = dict(zip(seen, self._asked.look_at(seen)))  # noqa: B905 - not in Python 3.9
        return [found.get(path) for path in paths]

    def names(self, relative: str) -> dict[str, FileFacts] | None:
        """Return the listing of a folder there; None: it is none. Raises FileProblem."""
        if self.copies.is_removed(relative):
            return None
        found = self._asked.names(relative)
        return None if found is None else self.copies.without_removed(relative, found)

    def may_have_module(self, relative: str) -> bool:
        """Tell whether a module may be there, by its path without a suffix; see LookupCache."""
        folder, name = os.path.split(relative)
        found = self._asked.few_names(folder)
        return found is None or name in found or f"{name}.py" in found

    def _on_list(self, relative: str, found: dict[str, FileFacts] | None) -> None:
        """Remove copies of files that are not in a folder's listing."""
        if found is None and relative in self.copies.folders:
            self._vacate(relative)
        for name in self.copies.in_folder(relative):
            if name not in (found or {}):
                path = os.path.join(relative, name)
                lock = self._locks.setdefault(path, threading.Lock())
                # Its holder, perhaps this thread, finds out by itself.
                if lock.acquire(blocking=False):
                    try:
                        self._forget(path)
                    finally:
                        lock.release()

    # -- copies ----------------------------------------------------------------------

    def is_copy(self, relative: str) -> bool:
        """Tell whether a file was fetched, changed by the code or not."""
        self.copies.read()
        return relative in self.copies.files

    def is_outdated(self, relative: str, item: FileFacts) -> bool:
        """Tell whether a file here is an unchanged copy of an earlier version."""
        copy = self.copies.files.get(relative)
        return copy is not None and not copy.is_of(item) and self.copies.is_unchanged(relative)

    def keep_same(self, relative: str, changed: int, own: Stamp) -> None:
        """Note that a file was sent back or uploaded: changes there count from now on.

        Checkpoints hold it, as a file that the code has made.
        """
        if not self.is_hinting:
            self.copies.note_same(relative, changed, own)
            self._asked.note(relative, FileFacts(False, own[0], changed))

    def refresh(self, relative: str) -> None:
        """Update a copy or a folder, if it is one. Raises FileProblem and Refused, as `bring`."""
        self.copies.read()
        if relative in self.copies.files or relative in self.copies.folders:
            self.bring(relative)

    def bring(self, relative: str, along: Iterable[str] | None = None) -> None:
        """Fetch or update a file, unless it is the code's; make a folder.

        along: what may come with it; None: what code has shown that it opens next.
        Raises FileProblem: it cannot be fetched. Raises Refused: it is too large.
        """
        lock = self._locks.setdefault(relative, threading.Lock())
        with quiet(), lock:
            self._bring(relative, along)

    def bring_all(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """As `bring` for many files, in few calls; yield those that fail, with the reason."""
        each = list(dict.fromkeys(paths))
        for number, path in enumerate(each, 1):
            try:
                self.bring(path, itertools.islice(each, number, None))
            except (FileProblem, Refused) as error:
                yield path, str(error)

    def _bring(self, relative: str, along: Iterable[str] | None) -> None:
        copies = self.copies
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
        if self._knows(relative, copy):
            found = self._asked.item(relative)
            if found is None or found.is_folder:
                self._forget(relative)
                self.bring_folder(relative)
                return
            if copy is not None and copy.is_of(found):
                return
        self._fetch(relative, copy if here is not None else None, along)

    def _knows(self, relative: str, copy: Copy | None) -> bool:
        """Tell whether there is a fresh answer; of many copies in a folder, ask about all."""
        if self._asked.knows(relative):
            return True
        folder = os.path.dirname(relative)
        if copy is None or self.is_hinting or len(self.copies.in_folder(folder)) < _MANY_COPIES:
            return False
        self._asked.names(folder)
        return True

    def _look_for_both_changed(self, relative: str, copy: Copy | None) -> None:
        if relative in self._told or copy is None or copy.size < 0:
            return
        found = self.look(relative)
        if found is not None and not copy.is_of(found):
            shown = self.paths.shown(relative)
            line = transfer_line("upload", shown, way_to(self.paths.home))
            self.tell_once(
                relative,
                f"{shown} has changed on your machine, and the code has changed its copy here: "
                f"the copy is kept. `{line}` replaces it by yours.",
            )

    def _forget(self, relative: str) -> None:
        """Drop a file that is gone or no longer sent; remove its copy if that is unchanged."""
        copies = self.copies
        with copies.alone():
            if copies.is_removed(relative) or relative not in copies.files:
                return
            is_unchanged = copies.is_unchanged(relative) and copies.is_known(relative)
            copies.drop(relative)
            if is_unchanged:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path_of(relative))

    def _fetch(self, relative: str, copy: Copy | None, along: Iterable[str] | None) -> None:
        others = self.ahead.others(relative) if along is None else along
        most = (lambda: MOST_ALONG) if along is not None else lambda: self.ahead.most(relative)
        for _ in range(_ATTEMPTS):
            with self._way, self._asking() as kernel:
                with self._companions.chosen(relative, others, most) as chosen:
                    if self._has_come(relative, copy):
                        return
                    answer = receiving.ask(kernel, relative, copy, chosen)
                    state = answer.head["state"]
                    if state == "same" and copy is not None:
                        self._asked.note(relative, FileFacts(False, copy.size, copy.changed))
                        return
                    if state == "none":
                        break
                    if state == "refused":
                        raise Refused(str(answer.head["told"]))
                    self._make_parents(relative)
                    place = self.copies.canonical(relative)
                    if place != relative:  # a folder above it is a symlink: it may be here already
                        break
                    self._take_companions(relative, answer)
                # What is large is on its way while other threads ask.
                taken = receiving.receive(kernel, relative, answer, self.copies, self._stream)
                if taken is not None:
                    self._asked.note(relative, taken)
                    return
        else:
            raise FileProblem(f"{relative} goes on changing on your machine while it is read.")
        if state != "none":
            self._bring(place, ())
            return
        self._forget(relative)
        if answer.head.get("is_folder"):
            self.bring_folder(relative)
        else:
            self._asked.note(relative, None)

    def _has_come(self, relative: str, copy: Copy | None) -> bool:
        """Tell whether a file has come along with another thread's. copy: what was here before."""
        found = self.copies.files.get(relative)
        return found is not None and found != copy and self.copies.is_unchanged(relative)

    def _take_companions(self, relative: str, answer: Any) -> None:
        came = receiving.receive_companions(answer, self.copies)
        for path, item in came.items():
            self._asked.note(path, item)
        self.ahead.note_came(relative, len(came))

    # -- folders -----------------------------------------------------------------------

    def bring_folder(self, relative: str) -> bool:
        """Make a folder that is there; return whether there is one here. Raises FileProblem."""
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
        # The code may have taken the name, or another thread was quicker.
        with self.copies.alone(), contextlib.suppress(OSError):
            if link is None:
                os.mkdir(path)
            else:
                target = self.path_of(link)
                os.symlink(os.path.relpath(target, os.path.dirname(path)), path)
            self.copies.note_folder(relative, link)
        if link:
            self.bring_folder(link)

    def _make_parents(self, relative: str) -> None:
        """Make the folders above a path."""
        parts = relative.split("/")[:-1]
        folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        missing = [one for one in folders if not os.path.isdir(self.path_of(one))]
        if missing:
            self.look_at(missing)
            for one in missing:
                self.bring_folder(self.copies.canonical(one))

    def bring_tree(self, relative: str, *, with_links: bool = False) -> None:
        """Bring a file, or a folder with its contents.

        with_links: also the targets of symlinks in it. Raises FileProblem, Refused.
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
        names = sorted((self.names(relative) or {}).items())
        found = [(os.path.join(relative, name), item.is_folder) for name, item in names]
        for _, problem in self.bring_all(path for path, is_folder in found if not is_folder):
            raise FileProblem(problem)
        for path, is_folder in found:
            if is_folder:
                self._bring_tree(path, done, with_links=with_links)

    def _check_folder(self, relative: str) -> None:
        """Remove a folder that was made here, if it is gone there or leads elsewhere."""
        found = self.look(relative)
        if (
            found is None
            or not found.is_folder
            or found.link != self.copies.folders.get(relative, found.link)
        ):
            self._vacate(relative)

    def _vacate(self, relative: str) -> None:
        """Remove a folder, but not the files that the code has put into it."""
        with self.copies.alone():
            files, folders = self.copies.within(relative)
            for path in files:
                self._forget(path)
            for path in [*folders, relative]:
                self.copies.drop(path)
                with contextlib.suppress(OSError):  # it holds something of the code's
                    here = self.path_of(path)
                    os.unlink(here) if os.path.islink(here) else os.rmdir(here)

    # -- removal -------------------------------------------------------------------------

    def before_removal(self, relative: str) -> FileFacts | None:
        """Make a file or folder that the code is about to remove, and have it stay away then.

        Its content does not matter. Return the facts about it; None also without an answer.
        """
        copies = self.copies
        with quiet(), contextlib.suppress(FileProblem):
            found = self.look(relative)
            if found is None:
                return None
            here = copies.stamp_of(relative)
            if here is None and found.is_folder:
                self.bring_folder(relative)
            elif here is None:
                self._make_parents(relative)
                # With a size that no file has: if it is not removed, it is fetched.
                with copies.alone(), contextlib.suppress(FileExistsError):
                    open(self.path_of(relative), "xb").close()
                    own = copies.stamp_of(relative)
                    if own is not None:
                        copies.note_file(relative, Copy(-1, -1, own))
            elif relative not in copies.files and relative not in copies.folders:
                copies.note_own(relative)
            return found
        return None

    def is_only_there(self, relative: str) -> FileFacts | None:
        """Return facts about a file that is neither here nor removed; without an answer, none."""
        if self.copies.stamp_of(relative) is None:
            with quiet(), contextlib.suppress(FileProblem):
                return self.look(relative)
        return None

    # -- the kernel ----------------------------------------------------------------------

    def _asking(self) -> contextlib.AbstractContextManager[HostClient]:
        way_home = way_to(self.paths.home)
        return asking(self._calls_path, patience=self._wait, way_home=way_home)

    def _wait(self, connection: call_socket.Connection) -> None:
        """Wait for an answer; in a cell without a limit, since it can be interrupted."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not call_socket.is_readable(connection, 1.0):
            if not self.is_in_cell and time.monotonic() > deadline:
                raise FileProblem(
                    "The kernel on your machine does not answer while no cell is running."
                )

    def tell_failure(self, what: str, error: Exception) -> None:
        """Say that looking for files has failed, which the user's code must not fail for."""
        why = str(error) or type(error).__name__
        self.tell_once(what, f"Files beside the notebook may be missing: {why}")

    def tell_once(self, key: str, text: str) -> None:
        """Show a sentence with the running cell, once for each key."""
        if key not in self._told:
            self._told.add(key)
            tell(text)
