"""Files on their way from one machine to another: read in pages, whole or absent at the end.

A file that arrives is written in the folder of its target, under a name that says that it is a part
or under none, and takes the target's name when its checksum is that of the sender. Used by both
halves.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable

# What has been begun is called `.NAME.RANDOM.part`; a name may have 255 bytes.
_LONGEST_KEPT_NAME = 60

# What is read a second time is read in pieces.
_PIECE_BYTES = 1 << 20

# Windows would translate line ends.
_BYTES = getattr(os, "O_BINARY", 0)


class FileProblem(Exception):
    """Something is wrong with a file; the text is a sentence for the user."""


class SourceFile:
    """A regular file that is read from its beginning to its end, once.

    shown: how sentences name it. size, opened: in bytes, and when it was last written to, in
    nanoseconds since 1970, as it was when it was opened. is_executable: whether its owner may run
    it. opener: opens the path, as os.open does. may_grow: what it was then is read, even if more
    is written to its end.
    Raises FileProblem: it is not there, not readable, or not a regular file.
    """

    def __init__(
        self,
        path: str,
        shown: str,
        *,
        opener: Callable[[str, int], int] = os.open,
        may_grow: bool = False,
    ) -> None:
        self.shown = shown
        self._may_grow = may_grow
        self.sent = 0
        self._digest = hashlib.sha256()
        try:
            # Nonblocking: to open a named pipe would wait for who writes to it.
            self._fd = opener(path, os.O_RDONLY | _BYTES | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError) as error:
            raise problem_of(error, shown, "read") from error
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise FileProblem(_not_a_file(status.st_mode, shown))
        self.size = status.st_size
        self.opened = status.st_mtime_ns
        self.is_executable = bool(status.st_mode & stat.S_IXUSR)

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes, fewer than asked for only at the end.

        Raises FileProblem: it cannot be read, or is not what it was when it was opened.
        """
        wanted = min(most_bytes, self.size - self.sent)
        data = b""
        try:
            while len(data) < wanted:
                piece = os.read(self._fd, wanted - len(data))
                if not piece:
                    raise FileProblem(f"{self.shown} became shorter while it was read. Try again.")
                data += piece
            is_end = self.sent + wanted == self.size and not self._may_grow
            if is_end and os.fstat(self._fd).st_size != self.size:
                raise FileProblem(f"{self.shown} became longer while it was read. Try again.")
        except OSError as error:
            raise problem_of(error, self.shown, "read") from error
        self.sent += wanted
        self._digest.update(data)
        return data

    def begins_as_read(self) -> bool:
        """Tell whether the file begins with what has been read, whatever was written since.

        Raises FileProblem: it cannot be read.
        """
        if self.changed == self.opened:
            return True
        digest, position = hashlib.sha256(), 0
        try:
            while position < self.sent:
                os.lseek(self._fd, position, os.SEEK_SET)
                data = os.read(self._fd, min(_PIECE_BYTES, self.sent - position))
                if not data:
                    return False
                digest.update(data)
                position += len(data)
        except OSError as error:
            raise problem_of(error, self.shown, "read") from error
        return digest.digest() == self._digest.digest()

    @property
    def changed(self) -> int:
        """When it was last written to, in nanoseconds since 1970."""
        return os.fstat(self._fd).st_mtime_ns

    @property
    def digest(self) -> str:
        """SHA-256 of what has been read, in hexadecimal."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file; may be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class PartialFile:
    """A file that is being written, beside its target and under no name or another one.

    target: where it goes; may_replace: whether a file that is there is replaced. has_name: False
    to do without where the system can, so that nothing is left of it if this process is killed.
    Raises FileProblem: it cannot go there.
    """

    def __init__(
        self, target: str, shown: str, size: int, *, may_replace: bool, has_name: bool = True
    ) -> None:
        self.target = target
        self.shown = shown
        self.size = size
        self.received = 0
        self._may_replace = may_replace
        self._digest = hashlib.sha256()
        self._fd = -1
        folder, name = os.path.split(target)
        if name in ("", ".", ".."):
            raise FileProblem(f"{shown} is no name for a file.")
        self._refuse_occupied()
        kept = os.fsdecode(os.fsencode(name)[:_LONGEST_KEPT_NAME])
        self._path = os.path.join(folder, f".{kept}.{secrets.token_hex(4)}.part")
        self._fd = -1 if has_name else _open_unnamed(folder or os.curdir)
        self._has_name = self._fd < 0
        try:
            if self._has_name:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BYTES, 0o666)
            space = os.fstatvfs(self._fd) if hasattr(os, "fstatvfs") else None
        except (OSError, ValueError) as error:
            self.discard()
            raise problem_of(error, shown, "written") from error
        if space is not None and space.f_bavail * space.f_frsize < size:
            self.discard()
            raise FileProblem(_full(shown))

    def _refuse_occupied(self) -> None:
        try:
            status = os.stat(self.target)
        except (OSError, ValueError):  # what else is wrong shows when it is opened
            return
        if not stat.S_ISREG(status.st_mode):
            raise FileProblem(_not_a_file(status.st_mode, self.shown))
        if not self._may_replace:
            raise FileProblem(_exists(self.shown))

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises FileProblem: they cannot be kept."""
        if self.received + len(data) > self.size:
            raise FileProblem(f"More came for {self.shown} than was announced. Try again.")
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise problem_of(error, self.shown, "written") from error
        self.received += len(data)
        self._digest.update(data)

    def commit(self, digest: str) -> None:
        """Give it the target's name, if it is what the sender read.

        Raises FileProblem: it is not, or the name cannot be taken. It is removed then.
        """
        try:
            if self.received != self.size or self._digest.hexdigest() != digest:
                raise FileProblem(f"{self.shown} did not arrive as it was sent. Try again.")
            self._take_part_name()
            fd, self._fd = self._fd, -1
            os.close(fd)
            if self._may_replace:
                os.replace(self._path, self.target)
            else:
                self._take_free_name()
        except OSError as error:
            raise problem_of(error, self.shown, "written") from error
        finally:
            self.discard()

    def make_executable(self) -> None:
        """Let those run it who may read it. Raises FileProblem."""
        if os.chmod not in os.supports_fd:  # Windows, which knows programs by their names
            return
        try:
            mode = stat.S_IMODE(os.fstat(self._fd).st_mode)
            os.chmod(self._fd, mode | (mode & 0o444) >> 2)
        except OSError as error:
            raise problem_of(error, self.shown, "written") from error

    def _take_part_name(self) -> None:
        if self._has_name:
            return
        # A folder's descriptor makes a call of it that follows the link; the path needs none.
        os.link(_path_of(self._fd), self._path, src_dir_fd=self._fd, follow_symlinks=True)
        self._has_name = True

    def _take_free_name(self) -> None:
        try:
            os.link(self._path, self.target)  # fails where a name is taken, unlike rename
        except FileExistsError:
            raise FileProblem(_exists(self.shown)) from None
        except OSError:  # a file system without hard links
            self._refuse_occupied()
            os.replace(self._path, self.target)

    def discard(self) -> None:
        """Remove what has been written under the partial name; may be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        if self._has_name:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def write_whole(path: str, shown: str, data: bytes | memoryview, digest: str) -> None:
    """Write a small file as a PartialFile is, whole or not at all. Raises FileProblem."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise FileProblem(f"{shown} did not arrive as it was sent. Try again.")
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name[: _LONGEST_KEPT_NAME // 4]}.{secrets.token_hex(4)}.part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BYTES, 0o666)
    except (OSError, ValueError) as error:
        raise problem_of(error, shown, "written") from error
    is_named = False
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        os.replace(part, path)
        is_named = True
    except OSError as error:
        raise problem_of(error, shown, "written") from error
    finally:
        if not is_named:
            with contextlib.suppress(OSError):
                os.unlink(part)


def _open_unnamed(folder: str) -> int:
    """Return a file without a name in a folder, to be written; -1 where there are none."""
    flag = getattr(os, "O_TMPFILE", 0)
    if not flag or os.link not in os.supports_dir_fd:
        return -1
    try:
        fd = os.open(folder, os.O_WRONLY | flag, 0o666)
    except (OSError, ValueError):
        return -1
    # What the system says of itself names it later.
    if os.path.exists(_path_of(fd)):
        return fd
    os.close(fd)
    return -1


def _path_of(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def target_path(destination: str, file_name: str) -> str:
    """Return where a file goes: into a folder under its own name, or to a path of its own."""
    path = os.path.expanduser(destination)
    if not destination or path.endswith(("/", os.sep)) or os.path.isdir(path):
        return os.path.join(path, file_name)
    return path


def _exists(shown: str) -> str:
    return f"{shown} exists already. Name another destination, or put --force before the path."


def _not_a_file(mode: int, shown: str) -> str:
    if stat.S_ISDIR(mode):
        return f"{shown} is a folder, and not a file."
    return f"{shown} is a device, pipe or socket, not a file."


def _full(shown: str) -> str:
    return f"{shown} cannot be written: there is not enough space on the disk."


def problem_of(error: Exception, shown: str, done: str) -> FileProblem:
    """Return the sentence for an error of the system. done: "read" or "written"."""
    number = getattr(error, "errno", None)
    if isinstance(error, ValueError):
        return FileProblem(f"{shown} is no name for a file.")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        missing = "does not exist" if done == "read" else "is in a folder that does not exist"
        return FileProblem(f"{shown} {missing}.")
    if isinstance(error, IsADirectoryError):
        return FileProblem(_not_a_file(stat.S_IFDIR, shown))
    if isinstance(error, PermissionError) or number == errno.EROFS:
        return FileProblem(f"{shown} cannot be {done}: there is no permission.")
    if number in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return FileProblem(_full(shown))
    return FileProblem(f"{shown} cannot be {done}: {os.strerror(number) if number else error}.")
