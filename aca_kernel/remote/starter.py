"""The program that starts a `!` command and reports its end.

Run by path with the path of a job, or with that of a FIFO and `ahead`: it takes the paths of jobs
from there then until the FIFO ends (ahead.py). A job is a marshalled dict that shell.py writes:

    once        a folder to be made: a repeated call finds it
    status      a FIFO that shell.py reads
    output      the command's terminal or FIFO
    terminal    whether that is a terminal
    programs    paths of the shell; the first executable one is used
    arguments   its arguments, as bytes
    variables   its environment variables, as bytes
    directories paths of its working directory; `directory`: its device and inode
    umask, nice its file mode mask and niceness
    limits      its resource limits, soft and hard, by their numbers
    processors  its CPU affinity, None where there is none
    ignored     the numbers of signals that it ignores; `blocked`: that it blocks

Lines to the FIFO: `pid NUMBER` of the command, `failed ERRNO` if it could not be executed, and
`end STATUS`, negative for a signal. If the FIFO ends before, this program was killed.

Not a shell script: variables may have any name, PATH may be anything, and only the command's own
shell prints. FIFOs are opened before the command starts, so that it may remove their folder.

Few imports, because each command waits for them: 7 ms with `posix`, 9 with `os`, of which it is
the built-in part, as `_signal` is of `signal`.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed does not know it
import errno
import marshal
import posix
import resource
import sys
import time
from posix import _exit
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# Signals that this process or the shell tool may ignore, and the command must not.
_SIGNALS = (
    *(_signal.SIGHUP, _signal.SIGINT, _signal.SIGPIPE),
    *(_signal.SIGQUIT, _signal.SIGTERM, _signal.SIGXFSZ),
)

# The exit status of a command that was not executed, as a shell gives it.
_NOT_EXECUTED = 127


# A starter that is ahead of its cell by more than this waits for nothing.
_LATEST_SECONDS = 2.0


def main() -> None:
    """Start what the arguments say."""
    if sys.argv[2:3] == ["ahead"]:
        _start_all(sys.argv[1])
    else:
        _start(sys.argv[1])


def _start_all(fifo: str) -> None:
    """Start the commands of one cell, in a background process."""
    if posix.fork():
        _exit(0)
    posix.setsid()
    _redirect(posix.open("/dev/null", posix.O_RDWR))
    source, rest = _open_fifo(fifo), b""
    while data := posix.read(source, 65536):
        *jobs, rest = (rest + data).split(b"\n")
        for job in jobs:
            child = posix.fork()
            if not child:
                try:
                    _start(job)
                finally:
                    _exit(1)
            posix.waitpid(child, 0)
    _exit(0)


def _open_fifo(path: str) -> int:
    deadline = time.monotonic() + _LATEST_SECONDS
    while True:
        try:
            # Without O_NONBLOCK this would wait for ever where the cell has ended meanwhile.
            source = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                _exit(0)
            time.sleep(0.002)
        else:
            posix.set_blocking(source, True)
            return source


def _start(path: str | bytes) -> None:
    """Start a command and end; a background process waits for the command's end."""
    with open(path, "rb") as file:
        job = marshal.load(file)  # noqa: S302 - of this user's own, in a private folder
    try:
        posix.mkdir(job["once"])
    except FileExistsError:
        return
    # Without O_NONBLOCK this would wait for ever for a reader that was interrupted.
    status = posix.open(job["status"], posix.O_WRONLY | posix.O_NONBLOCK)
    output = -1 if job["terminal"] else posix.open(job["output"], posix.O_WRONLY | posix.O_NONBLOCK)
    if posix.fork():
        _exit(0)  # the interpreter's own end would take a millisecond
    # The shell tool's call ends when nobody holds its pipes.
    posix.setsid()
    _redirect(posix.open("/dev/null", posix.O_RDWR))
    for descriptor in (status, output):
        if descriptor >= 0:
            posix.set_blocking(descriptor, True)
    pid = posix.fork()
    if not pid:
        _become_command(job, status, output)
    if output >= 0:
        posix.close(output)  # it ends with the command
    _tell(status, f"pid {pid}")
    _, ended = posix.waitpid(pid, 0)
    _tell(status, f"end {posix.waitstatus_to_exitcode(ended)}")
    _exit(0)


def _become_command(job: dict[str, Any], status: int, output: int) -> None:
    """Execute the command; never returns."""
    number = errno.EINVAL
    try:
        # A session of its own: an interrupt reaches the command and its children.
        posix.setsid()
        if job["terminal"]:
            # The first terminal that a session's leader opens becomes the session's.
            output = posix.open(job["output"], posix.O_RDWR)
            _redirect(output)
        else:
            posix.dup2(output, 1)
            posix.dup2(output, 2)
        _enter(job["directories"], job["directory"])
        posix.umask(job["umask"])
        # As far as this process may.
        _try(posix.setpriority, posix.PRIO_PROCESS, 0, job["nice"])
        if job["processors"] is not None:
            _try(posix.sched_setaffinity, 0, job["processors"])
        for one in _SIGNALS:
            _signal.signal(one, _signal.SIG_DFL)
        for one in job["ignored"]:
            _signal.signal(one, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, job["blocked"])
        _limit(job["limits"])
        number = _execute(job["programs"], job["arguments"], job["variables"])
    except OSError as error:
        number = error.errno or number
    finally:
        _tell(status, f"failed {number}")
        _exit(_NOT_EXECUTED)


def _enter(paths: list[bytes], wanted: tuple[int, int]) -> None:
    """Change to the directory, which may have been removed or moved."""
    for path in paths:
        _try(posix.chdir, path)
        found = posix.stat(".")
        if (found.st_dev, found.st_ino) == wanted:
            return
    raise FileNotFoundError(errno.ENOENT, posix.strerror(errno.ENOENT))


def _limit(limits: dict[int, tuple[int, int]]) -> None:
    for kind, (soft, hard) in limits.items():
        _, most = resource.getrlimit(kind)
        if not _try(resource.setrlimit, kind, (soft, hard)):
            _try(resource.setrlimit, kind, (_least(soft, most), _least(hard, most)))


def _least(one: int, other: int) -> int:
    finite = [limit for limit in (one, other) if limit != resource.RLIM_INFINITY]
    return min(finite, default=resource.RLIM_INFINITY)


def _try(function: Any, *arguments: Any) -> bool:
    try:
        function(*arguments)
    except (OSError, ValueError):
        return False
    return True


def _execute(programs: list[bytes], arguments: list[bytes], variables: dict[bytes, bytes]) -> int:
    """Execute the first executable program; return an errno if there is none, as `Popen` does."""
    number = errno.ENOENT
    for program in programs:
        try:
            posix.execve(program, arguments, variables)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                number = error.errno or number
    return number


def _redirect(descriptor: int) -> None:
    for standard in (0, 1, 2):
        posix.dup2(descriptor, standard)
    if descriptor > 2:
        posix.close(descriptor)


def _tell(status: int, line: str) -> None:
    try:  # noqa: SIM105 - contextlib is imported by nothing else here
        posix.write(status, line.encode("ascii") + b"\n")
    except BrokenPipeError:
        pass  # the remote kernel has ended, or given the command up


if __name__ == "__main__":
    main()
