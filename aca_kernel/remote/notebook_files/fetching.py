"""Files that are fetched when code opens them.

The environment's own files come first. A file that is missing there is shown with its size and
time on the user's machine, and fetched when it is opened. A folder is made when it is looked at,
and lists the names of both.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..paged_files import FileProblem
from . import file_mentions, is_quiet, quiet
from .entries import FileFacts, Scan, status_of
from .mirror import Mirror, Refused
from .missing_errors import bring, missing
from .paths import text_of

# The environment's own: hooks.py replaces them in `os`.
_readlink, _stat = os.readlink, os.stat


def bring_tree(mirror: Mirror, path: Any, relative: str, *, with_links: bool = False) -> None:
    """Fetch a file, or a whole folder, for code that does not open each file by itself.

    path: as the code has written it. Raises MissingFile: not all of it can come.
    """
    __tracebackhide__ = True
    with quiet():
        is_file = os.path.isfile(mirror.path_of(relative))
    if is_file:
        bring(mirror, path, relative)
        return
    try:
        mirror.bring_tree(relative, with_links=with_links)
    except (FileProblem, Refused) as error:
        raise missing(path, str(error)) from None


class _Opening(threading.local):
    """The dir_fd of a thread's call of `os.open`, which its audit event does not have."""

    dir_fd: int | None = None


class Fetching:
    """Handlers for code that opens, looks for, lists or removes files."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._opening = _Opening()

    # -- audit events --------------------------------------------------------------

    def handlers(self) -> dict[str, Callable[..., OSError | None]]:
        """Return the handlers of audit events, by their names.

        They run before the act, and return its error where a file that is only on the user's
        machine is in the way.
        """
        return {
            "open": self._on_open,
            "sqlite3.connect": self._on_connect,
            "os.chdir": self._bring_folder,
            "os.mkdir": self._on_mkdir,
            "os.remove": self._on_remove,
            "os.rmdir": self._on_rmdir,
            "shutil.rmtree": self._on_rmtree,
            "os.rename": self._on_rename,
            "os.truncate": self._on_use,
            "os.chmod": self._on_change,
            "os.utime": self._on_change,
            "os.link": self._on_link,
            "os.symlink": self._on_symlink,
            "glob.glob": self._on_glob,
            "pathlib.Path.glob": lambda *path: self._on_glob(os.path.join(*path)),
            "pathlib.Path.rglob": lambda path, name: self._on_glob(os.path.join(path, "**", name)),
            "ctypes.dlopen": self._on_use,
            "subprocess.Popen": self._on_popen,
            "os.system": self._on_process,
            "os.exec": self._on_process,
            "os.posix_spawn": self._on_process,
        }

    def _inside(self, path: Any, dir_fd: int | None = -1) -> str:
        """Return a path relative to the root, "" where nothing is mirrored.

        dir_fd: the directory that it is relative to; None or -1: the working directory.
        """
        return self._mirror.inside(_seen_from(path, dir_fd)) or ""

    def _inside_root(self, path: Any, dir_fd: int | None) -> str:
        """As `_inside`, for a removal; with a dir_fd only the root's own counts.

        shutil.rmtree has told its tree and removes by the dir_fd of each folder: a question about
        each file would take longer than the removal.
        """
        is_told = dir_fd not in (-1, None) and not os.path.isabs(text_of(path))
        if is_told and _directory(dir_fd) != self._mirror.paths.root:
            return ""
        return self._inside(path, dir_fd)

    def _bring(self, path: Any, dir_fd: int | None = -1) -> None:
        __tracebackhide__ = True
        relative = self._inside(path, dir_fd)
        if relative:
            bring(self._mirror, path, relative)

    def _on_use(self, path: Any, *_: Any) -> None:
        __tracebackhide__ = True
        self._bring(path)

    def _on_change(self, path: Any, *values: Any) -> None:
        __tracebackhide__ = True
        self._bring(path, values[-1])  # the dir_fd

    def _bring_folder(self, path: Any, *_: Any) -> None:
        relative = self._inside(path)
        if relative:
            with contextlib.suppress(FileProblem):
                self._mirror.bring_folder(relative)

    def _bring_parent(self, relative: str) -> None:
        if relative:
            self._bring_folder(os.path.dirname(self._mirror.path_of(relative)))

    def _on_open(self, path: Any, mode: Any, flags: int) -> OSError | None:
        __tracebackhide__ = True
        # `open`, which has a mode, is told no directory.
        dir_fd = self._opening.dir_fd if mode is None else None
        if flags & os.O_CREAT and flags & os.O_EXCL:
            return self._on_mkdir(path, dir_fd=dir_fd)
        if not flags & os.O_TRUNC:  # its content matters
            self._bring(path, dir_fd)
        if flags & os.O_CREAT:
            self._bring_parent(self._inside(path, dir_fd))
        return None

    def _on_mkdir(self, path: Any, _: int = 0, dir_fd: int | None = -1) -> OSError | None:
        relative = self._inside(path, dir_fd)
        if not relative:
            return None
        self._bring_parent(relative)
        return None if self._mirror.is_only_there(relative) is None else _error(errno.EEXIST, path)

    def _on_connect(self, database: Any) -> None:
        __tracebackhide__ = True
        path, log = file_mentions.of_database(database)
        self._bring(path)
        relative = self._mirror.inside(log)
        # Most have no log.
        if relative and self._mirror.look(relative) is not None:
            self._bring(log)

    def _on_remove(self, path: Any, dir_fd: int = -1) -> None:
        relative = self._inside_root(path, dir_fd)
        if relative:
            self._mirror.before_removal(relative)

    def _on_rmdir(self, path: Any, dir_fd: int = -1) -> OSError | None:
        relative = self._inside_root(path, dir_fd)
        found = self._mirror.before_removal(relative) if relative else None
        return _error(errno.ENOTEMPTY, path) if self._holds_something(relative, found) else None

    def _holds_something(self, relative: str, found: FileFacts | None) -> bool:
        """Tell whether a folder there holds something that was not removed."""
        with contextlib.suppress(FileProblem):
            return _is_real_folder(found) and bool(self._mirror.names(relative))
        return False

    def _on_rmtree(self, path: Any, dir_fd: int | None = None) -> None:
        relative = self._inside(path, dir_fd)
        if relative and _is_real_folder(self._mirror.before_removal(relative)):
            # Now: its folders go one by one and must not seem to hold something.
            self._mirror.copies.note_removed(relative)

    def _on_rename(
        self, source: Any, target: Any, source_fd: int = -1, target_fd: int = -1
    ) -> OSError | None:
        __tracebackhide__ = True
        mirror = self._mirror
        moved, target_inside = self._inside(source, source_fd), self._inside(target, target_fd)
        with contextlib.suppress(FileProblem):  # one question for both
            mirror.look_at([path for path in (moved, target_inside) if path])
        is_folder = False
        if moved:
            bring_tree(mirror, source, moved)
            mirror.before_removal(moved)
            with quiet():
                path = mirror.path_of(moved)
                is_folder = os.path.isdir(path) and not os.path.islink(path)
        return self._target_of_rename(source, target, target_inside, is_folder=is_folder)

    def _target_of_rename(
        self, source: Any, target: Any, relative: str, *, is_folder: bool
    ) -> OSError | None:
        """Prepare the target. is_folder: whether the source is one."""
        if not relative:
            return None
        self._bring_parent(relative)
        found = self._mirror.is_only_there(relative)
        if found is not None and found.is_folder:
            self._bring_folder(self._mirror.path_of(relative))
        if is_folder:
            if found is not None and not found.is_folder:
                return _error(errno.ENOTDIR, source, target)
            with contextlib.suppress(FileProblem):
                if self._holds_something(relative, self._mirror.look(relative)):
                    return _error(errno.ENOTEMPTY, source, target)
        return None

    def _on_link(
        self, source: Any, target: Any, source_fd: int = -1, target_fd: int = -1
    ) -> OSError | None:
        __tracebackhide__ = True
        self._bring(source, source_fd)
        return self._refuse_link(source, target, target_fd)

    def _refuse_link(self, source: Any, target: Any, target_fd: int) -> OSError | None:
        relative = self._inside(target, target_fd)
        if relative and self._mirror.is_only_there(relative) is not None:
            return _error(errno.EEXIST, source, target)
        return None

    def _on_symlink(self, source: Any, target: Any, dir_fd: int = -1) -> OSError | None:
        __tracebackhide__ = True
        with contextlib.suppress(TypeError):  # text and bytes: the act says so itself
            # Code that opens the symlink raises no event for its target.
            self._bring(os.path.join(os.path.dirname(target), source), dir_fd)
        return self._refuse_link(source, target, dir_fd)

    def _on_glob(self, pattern: Any, *_: Any) -> None:
        # A pattern of names is a path, too; hidden names are not looked for.
        relative = self._inside(pattern)
        if relative:
            self._mirror.ahead.note_pattern(relative)

    def _on_popen(self, program: Any, arguments: Any, directory: Any, _: Any) -> None:
        file_mentions.bring_named(self._mirror, (program, arguments, directory), directory)

    def _on_process(self, *arguments: Any) -> None:
        file_mentions.bring_named(self._mirror, arguments)

    # -- functions of os -------------------------------------------------------------

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the replacements for functions of `os`, by their names.

        Debuggers of IPython step over what has `__debuggerskip__`, as over the functions in C.
        """
        actions: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "stat": self._look,
            "lstat": self._look,
            "access": self._access,
            "listdir": self._listdir,
            "scandir": self._scandir,
            "readlink": self._read_link,
        }
        return {name: _in_place_of(getattr(os, name), action) for name, action in actions.items()}

    def _open(
        self, original: Any, path: Any, flags: int, mode: int = 0o777, *, dir_fd: Any = None
    ) -> Any:
        __debuggerskip__ = True
        __tracebackhide__ = True
        if dir_fd is None:
            return original(path, flags, mode)
        self._opening.dir_fd = dir_fd
        try:
            return original(path, flags, mode, dir_fd=dir_fd)
        finally:
            self._opening.dir_fd = None

    def _look(self, original: Any, path: Any, *, dir_fd: Any = None, **options: Any) -> Any:
        __debuggerskip__ = True
        __tracebackhide__ = True
        relative = "" if is_quiet() else self._inside(path, dir_fd)
        if not relative:
            return original(path, dir_fd=dir_fd, **options)
        with contextlib.suppress(FileProblem, Refused):
            self._mirror.refresh(relative)
        try:
            return original(path, dir_fd=dir_fd, **options)
        except FileNotFoundError:
            found = self._find(relative)
            if found is None:
                raise
        # A folder has been made by now.
        if found.is_folder:
            return original(path, dir_fd=dir_fd, **options)
        if text_of(path).endswith("/"):
            raise _error(errno.ENOTDIR, path)
        return status_of(found, relative, self._mirror.device)

    def _find(self, relative: str) -> FileFacts | None:
        try:
            with quiet():
                found = self._mirror.look(relative)
                if found is not None and found.is_folder:
                    self._mirror.bring_folder(relative)
        except FileProblem:  # no answer: as if it were not there
            return None
        return found

    def _access(self, original: Any, path: Any, mode: int, **options: Any) -> Any:
        __debuggerskip__ = True
        if original(path, mode, **options):
            return True
        dir_fd = options.get("dir_fd")
        relative = "" if is_quiet() else self._inside(path, dir_fd)
        if not relative:
            return False
        try:
            self._look(_stat, path, dir_fd=dir_fd)
        except OSError:
            return False
        if self._mirror.is_only_there(relative) is None:  # made by now, or forbidden
            return original(path, mode, **options)
        return not mode & os.X_OK

    def _listdir(self, original: Any, path: Any = ".") -> Any:
        __debuggerskip__ = True
        __tracebackhide__ = True
        relative, there = self._names("." if path is None else path)
        self._note_listing(relative, there)
        names = original(path)
        if not there:
            return names
        more = sorted(set(there).difference(map(os.fsdecode, names)))
        return [*names, *(map(os.fsencode, more) if _is_bytes(path) else more)]

    def _scandir(self, original: Any, path: Any = ".") -> Any:
        __debuggerskip__ = True
        __tracebackhide__ = True
        path = "." if path is None else path
        relative, there = self._names(path)
        self._note_listing(relative, there, sys._getframe(2))  # noqa: SLF001 - who has called it
        here = original(path)
        if not there:
            return here
        folder = "" if isinstance(path, int) else os.fspath(path)
        about = (relative, self._mirror.device, self._mirror.is_outdated, self._mirror.path_of)
        return Scan(here, folder, there, *about)

    def _note_listing(self, relative: str, there: dict[str, FileFacts], caller: Any = None) -> None:
        if there and self._mirror.is_in_cell:
            # pathlib's own listing scans since Python 3.14.
            is_listing = caller is None or caller.f_code.co_name == "iterdir"
            module = "" if is_listing else str(caller.f_globals.get("__name__", ""))
            names = sorted(name for name, item in there.items() if not item.is_folder)
            self._mirror.ahead.note_listing(relative, names, module)

    def _read_link(self, original: Any, path: Any, *, dir_fd: Any = None) -> Any:
        __debuggerskip__ = True
        __tracebackhide__ = True
        relative = "" if is_quiet() else self._inside(path, dir_fd)
        if relative:
            self._find(relative)
        return original(path, dir_fd=dir_fd)

    def _names(self, path: Any) -> tuple[str, dict[str, FileFacts]]:
        """Return a folder's path and its listing there; make it if it is missing here.

        path: text, bytes, or a descriptor.
        """
        relative = None
        if isinstance(path, (str, bytes, os.PathLike, int)) and not is_quiet():
            relative = self._mirror.inside(_directory(path) if isinstance(path, int) else path)
        if relative is None:
            return "", {}
        try:
            names = self._mirror.names(relative)
            if names is None or not self._mirror.bring_folder(relative):
                return "", {}
            if self._mirror.leads_to(relative) != relative:
                relative = self._mirror.leads_to(relative)
                names = self._mirror.names(relative) or {}
            for name, item in names.items():
                if item.link is not None:  # code that sees one asks for its target
                    self._mirror.bring_folder(f"{relative}/{name}" if relative else name)
        except FileProblem:
            return "", {}
        return relative, {name: item for name, item in names.items() if name != "__pycache__"}


def _in_place_of(original: Callable[..., Any], action: Callable[..., Any]) -> Callable[..., Any]:
    """Return what replaces a function of `os`. action: gets that function, too."""

    @functools.wraps(original)
    def replacement(*arguments: Any, **named: Any) -> Any:
        __debuggerskip__ = True
        __tracebackhide__ = True
        try:
            return action(original, *arguments, **named)
        except TypeError:
            try:
                inspect.signature(action).bind(original, *arguments, **named)
            except TypeError:  # a wrong call, of which the function itself tells
                return original(*arguments, **named)
            raise

    return replacement


def _seen_from(path: Any, dir_fd: int | None) -> Any:
    """Return a path with the directory that it is relative to, "" if that is unknown.

    dir_fd: the directory; None or -1: the working directory.
    """
    text = "" if dir_fd in (-1, None) else text_of(path)
    if not text or os.path.isabs(text):
        return path
    directory = _directory(dir_fd)
    return os.path.join(directory, text) if directory else ""


def _is_real_folder(found: FileFacts | None) -> bool:
    """Tell whether something there is a folder, and no symlink to one."""
    return found is not None and found.is_folder and found.link is None


def _is_bytes(path: Any) -> bool:
    return not isinstance(path, int) and isinstance(os.fspath(path), bytes)


def _directory(dir_fd: int | None) -> str:
    """Return the path of an open directory, "" if it is unknown."""
    try:
        return _readlink(f"/proc/self/fd/{dir_fd}")
    except OSError:
        return ""


def _error(number: int, path: Any, target: Any = None) -> OSError:
    """Return the error that code would get if all files were here."""
    return OSError(number, os.strerror(number), path, None, target)
