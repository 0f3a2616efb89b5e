"""Checkpoints, taken by a forked child while the notebook goes on.

`start` forks. The child has a snapshot of the memory, at the cost of some milliseconds for a
gigabyte. What a `__reduce__` changes, prints, imports or crashes happens in the child.

Forking a process with threads is dangerous where the child goes on as before: a lock that
another thread held is held for ever. This child pickles, writes two files and leaves by `_exit`:
no event loop, no zmq, no linear algebra, no exit handlers, no finalizers (garbage is not
collected). Only a `__reduce__` of the user's or of a library's could still wait for such a lock,
or for a thread: see hanging.py. Where there is no safe fork (not Linux) the process takes the
checkpoint itself, and cells wait.

The child supervises a worker, a child of its own. If that crashes, or exceeds a variable's limit
of processor time, it is started again without that variable. When much of the time is gone, the
last worker stores what others before it could.

`start` writes into its folder: `pack` with the new pieces, and `manifest` once all is done.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import math
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from ..call_socket import is_readable
from ..origin import Origin
from ..originals import io, json, os, time
from . import process_settings, session_state
from .changed_files import ChangedFiles
from .groups import Grouping, TooSlow
from .hanging import (
    VARIABLE_SECONDS,
    Hanging,
    Recorder,
    Turn,
    activity,
    copy_guard,
    reduce_ahead,
)
from .module_names import ModuleNames
from .pickler import Surroundings, note_streams, try_out
from .pieces import Pack
from .process_settings.places import all_places
from .reasons import reason_of
from .sharing import Group

# 1 has no groups of more than one pickle, 2 none that know the namespace.
FORMAT = 3

PACK = "pack"
MANIFEST = "manifest"

# A worker that exceeds its limit of processor time by this is stuck where no signal reaches it.
_STUCK_SECONDS = 3.0

# A worker is looked at so often.
_LOOK_SECONDS = 0.1

# Variables are looked at for this share of the time, and workers started again: the rest is for
# writing what has been found.
_SHARE_FOR_LOOKING = 0.5

# After so many workers, the next one stores only what they could.
_MOST_WORKERS = 20

# A linked list is pickled by recursion.
_RECURSION_LIMIT = 20_000
_STACK_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The limits of a checkpoint, in size and time."""

    variable_bytes: int
    total_bytes: int
    files_bytes: int
    # Of processor time.
    variable_seconds: float = 20.0
    total_seconds: float = 180.0
    # A worker that has slept for so long waits for what does not come.
    hanging_seconds: float = 0.7


@dataclass
class CheckpointJob:
    """One checkpoint to be taken.

    known: hashes of the pieces that need not be written. began: the time of the snapshot.
    is_in_cell: a cell asks for it, which is not counted yet.
    hanging: what is known to hang; `Hanging.learn` reads from the folder what was found out.
    only: names that may be stored; None: all. looking_until: when no more variables are looked at.
    packages: an AddedPackages; None: nobody looks after packages.
    """

    shell: Any
    origin: Origin
    folder: str
    limits: Limits
    known: set[str]
    is_in_cell: bool = False
    began: float = field(default_factory=time.time)
    # Settings that are not the same in the copy.
    noted: dict[str, Any] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    hanging: Hanging = field(default_factory=Hanging)
    ready: dict[int, Any] = field(default_factory=dict)
    turn: Turn = field(default_factory=Turn)
    only: set[str] | None = None
    looking_until: float = math.inf
    packages: Any = None


def start(job: CheckpointJob) -> int:
    """Begin a checkpoint; return the process that takes it, 0 if it has been taken already.

    Raises OSError: the process cannot fork.
    """
    _note(job)
    if not _can_fork():
        _take(job, contextlib.nullcontext, lambda _: None)
        return 0
    _reduce_ahead(job)
    # An interrupt is for the cell, and must not hit the child before it ignores it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of threads, see above
            pid = os.fork()
        # A process group of its own, so that it can be ended with its children. Parent and child
        # both set it: either may come first.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        if not pid:
            _leave_after(_supervise, job)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return pid


def _can_fork() -> bool:
    """Tell whether a copy of this process lives: beside other interpreters in it none does."""
    # Their module is that of Python 3.13 or 3.12.
    names = ("_interpreters", "_xxsubinterpreters")
    is_alone = all(len(sys.modules[name].list_all()) < 2 for name in names if name in sys.modules)
    return sys.platform.startswith("linux") and is_alone


def _note(job: CheckpointJob) -> None:
    """Read what is not the same any more in the copy."""
    note_streams()
    job.noted, failed = _settings(job, contextlib.nullcontext, is_before_fork=True)
    job.failed += [*failed, *process_settings.unkept()]


def _reduce_ahead(job: CheckpointJob) -> None:
    def pickle_value(value: Any, recorder: Recorder) -> None:
        modules = ModuleNames(job.shell.user_ns)
        try_out(value, Surroundings(job.shell, recorder.guard, modules, {}, {}))

    if job.hanging.kinds:
        job.ready = reduce_ahead(
            session_state.variables(job.shell),
            job.hanging,
            pickle_value,
            job.refused,
            seconds=min(VARIABLE_SECONDS, job.limits.variable_seconds),
            is_interruptible=job.is_in_cell,
        )


def _leave_after(action: Any, *arguments: Any) -> None:
    """Do something in a forked child and end the child, whatever happens."""
    code = 1
    try:
        _become_child()
        action(*arguments)
        code = 0
    except BaseException as error:  # noqa: BLE001 - there is nobody else to tell
        with contextlib.suppress(BaseException):
            folder = arguments[0].folder
            with io.open(os.path.join(folder, "failure"), "a", encoding="utf-8") as file:
                file.write(f"{error or type(error).__name__}\n")
    finally:
        os._exit(code)  # noqa: SLF001 - which is documented


def _become_child() -> None:
    """Let go of signal handlers and streams of the notebook's process."""
    gc.disable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    sys.stdout = sys.stderr = io.open(os.devnull, "w", encoding="utf-8")
    # A debugger that is being used says something to that, or refuses it (Python 3.12).
    with contextlib.suppress(RuntimeError):
        sys.settrace(None)
        threading.settrace(None)
    # If memory runs out this process must go.
    with contextlib.suppress(OSError), io.open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


# -- supervision -------------------------------------------------------------------


def _supervise(job: CheckpointJob) -> None:
    worker = _Worker(job, os.getppid())
    share = job.limits.total_seconds * _SHARE_FOR_LOOKING
    job.looking_until = time.monotonic() + share
    for count in itertools.count(1):
        reason = worker.run()
        if not reason:
            if os.path.exists(os.path.join(job.folder, MANIFEST)):
                return
            # A `__reduce__` has ended the process with status 0.
            reason = "storing it ended the process"
        kind = job.turn.name()
        if reason is _HANGS and kind and kind not in job.hanging.kinds:
            job.hanging.kinds.add(kind)
            job.hanging.tell(job.folder, set())
        elif worker.culprits:
            job.refused.update(dict.fromkeys(worker.culprits, str(reason)))
        else:
            raise RuntimeError(reason)
        if count > _MOST_WORKERS or time.monotonic() > job.looking_until:
            if job.only is not None:
                raise RuntimeError("too many variables could not be looked at")
            job.only = worker.finished - set(worker.culprits)
            job.looking_until = time.monotonic() + share / 2


_HANGS = "storing it waits for something that does not come in a copy of the process"


class _Worker:
    """Workers, one after the other.

    culprits: variables that the last one was busy with when it ended. finished: variables that
    one of them has looked at without harm.
    """

    def __init__(self, job: CheckpointJob, notebook: int) -> None:
        self.culprits: list[str] = []
        self.finished: set[str] = set()
        self._job = job
        self._notebook = notebook
        self._deadline = time.monotonic() + job.limits.total_seconds

    def run(self) -> str:
        """Have a worker do all of it; return why it failed, "" if it did not."""
        self._job.turn.clear()
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            _leave_after(_work, self._job, writing)
        os.close(writing)
        try:
            reason = self._watch(pid, reading)
        finally:
            os.close(reading)
        if reason:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if reason or status == 0:
            return reason
        if os.WIFSIGNALED(status):
            return f"storing it crashed (signal {os.WTERMSIG(status)})"
        return "storing it failed"

    def _watch(self, pid: int, reading: int) -> str:
        """Wait until a worker has ended, or is to be ended; return why, "" if it has ended."""
        limits = self._job.limits
        self.culprits = []
        buffered = b""
        used_before = used = awake = 0.0
        while True:
            if is_readable(reading, _LOOK_SECONDS):
                data = os.read(reading, 65536)
                if not data:
                    return ""
                *lines, buffered = (buffered + data).split(b"\n")
                for line in lines:
                    self.finished.update(self.culprits)
                    self.culprits = json.loads(line)
                used_before, awake = used, time.monotonic()
            now = time.monotonic()
            sleeps, used_now = activity(pid)
            if used_now != used or not sleeps:
                used, awake = used_now, now
            if self.culprits and used > used_before + limits.variable_seconds + _STUCK_SECONDS:
                return _too_slow(limits.variable_seconds)
            if self.culprits and now > awake + limits.hanging_seconds:
                return _HANGS
            if now > self._deadline or os.getppid() != self._notebook:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise RuntimeError("it took too long")


def _work(job: CheckpointJob, writing: int) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    wanted = _STACK_BYTES if hard == resource.RLIM_INFINITY else min(_STACK_BYTES, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
    if not job.is_in_cell:
        # Cells that run meanwhile come first. With all processors taken, a thirtieth of one is left
        # for it, and it has some minutes.
        with contextlib.suppress(OSError):
            os.nice(15)
    with io.open(writing, "wb", buffering=0) as progress:
        _take(job, _limit, lambda names: progress.write(json.dumps(names).encode() + b"\n"))


def _too_slow(seconds: float) -> str:
    return f"storing it takes longer than {seconds:.0f} s"


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TooSlow(_too_slow(seconds))

    signal.signal(signal.SIGPROF, stop)
    # Of processor time: the machine may be busy, and this process is the one that waits. Repeated,
    # in case something catches it all the same.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


# -- the work ----------------------------------------------------------------------


def _take(job: CheckpointJob, limit: Any, tell: Any) -> None:
    @contextlib.contextmanager
    def limited(names: list[str]) -> Iterator[None]:
        tell(names)
        try:
            with limit(job.limits.variable_seconds):
                yield
        finally:
            tell([])

    pack = Pack(os.path.join(job.folder, PACK), job.known)
    # First: cells that run meanwhile may write to them.
    files = ChangedFiles(job.origin, pack, job.limits.files_bytes)
    taken = files.take()
    lacking: list[tuple[str, str]] = []
    packages = {} if job.packages is None else job.packages.take(pack, lacking)
    found = session_state.variables(job.shell)
    order = list(found)
    imports, submodules = session_state.take_modules(found)
    guard = copy_guard(job.hanging, job.ready, job.turn)
    grouping = Grouping(
        job.shell,
        pack,
        job.limits.variable_bytes,
        limited,
        guard,
        only=job.only,
        deadline=job.looking_until,
    )
    groups = _within(grouping, grouping.make(found, job.refused), job.limits.total_bytes)
    variables = [_entry(group, pack) for group in groups]
    # Settings are grouped apart: their names are no variables'.
    known = grouping.names_of(groups)
    asides = Grouping(job.shell, pack, job.limits.variable_bytes, limited, guard, known)
    history = pack.add_all(
        memoryview(json.dumps(session_state.history(job.shell, job.is_in_cell)).encode("ascii"))
    )
    found, failed = _settings(job, limited, is_before_fork=False)
    asides.skipped += [*job.failed, *failed]
    found.update(job.noted)
    stored = asides.make(process_settings.in_order(found), job.refused)
    rows = [(group.names[0][0], _entry(group, pack)) for group in stored]
    pack.close()
    if job.hanging.kinds:
        job.hanging.tell(job.folder, grouping.deferred)
    manifest = {
        "format": FORMAT,
        "python": list(sys.version_info[:2]),
        "taken": job.began,
        "groups": variables,
        "order": order,
        "imports": imports,
        "submodules": submodules,
        "process": session_state.process_state(job.origin),
        "settings": rows,
        "history": history,
        "files": taken,
        "packages": packages,
        "skipped": [*grouping.skipped, *asides.skipped, *files.skipped, *lacking],
        "deferred": sorted(grouping.deferred),
        "hanging": sorted(job.hanging.kinds),
        "bytes": sum(group.size for group in groups),
        "pack": pack.index,
    }
    path = os.path.join(job.folder, MANIFEST)
    with io.open(path + ".part", "w", encoding="ascii") as file:
        json.dump(manifest, file, separators=(",", ":"))
    os.replace(path + ".part", path)


def _settings(
    job: CheckpointJob,
    limited: Callable[[list[str]], AbstractContextManager[Any]],
    *,
    is_before_fork: bool,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return settings by their names, and the names that failed with their reasons."""
    readers: dict[str, Callable[[], dict[str, Any]]] = {
        name: functools.partial(_state_of, name, row.read, sys.modules[row.module])
        for name, row in process_settings.ROWS.items()
        if row.read is not None
        and row.module in sys.modules
        and row.is_before_fork is is_before_fork
    }
    if not is_before_fork:
        places = all_places()
        for name, search in process_settings.SEARCHES.items():
            readers[name] = functools.partial(search, places)
    found: dict[str, Any] = {}
    failed: list[tuple[str, str]] = []
    for name, read in readers.items():
        if name in job.refused:
            failed.append((name, job.refused[name]))
            continue
        try:
            with limited([name]):
                found.update(read())
        except TooSlow as error:
            failed.append((name, str(error)))
        except Exception as error:  # noqa: BLE001 - a library of another version
            failed.append((name, reason_of(error)))
    return found, failed


def _state_of(name: str, read: Callable[[Any], Any], module: Any) -> dict[str, Any]:
    state = read(module)
    return {} if state is None else {name: state}


def _within(grouping: Grouping, groups: list[Group], most_bytes: int) -> list[Group]:
    """Leave out the largest groups until all fit, and those that need them."""
    left = most_bytes
    kept: set[int] = set()
    for group in sorted(groups, key=lambda one: one.size):
        if group.size <= left:
            left -= group.size
            kept.add(id(group))
    lost: set[str] = set()
    result = []
    for group in groups:
        if id(group) in kept and not group.needs & lost:
            result.append(group)
            continue
        lost.update(group.all_names())
        grouping.skip(group, f"the variables together are larger than {most_bytes / 1e6:.0f} MB")
    return result


def _entry(group: Group, pack: Pack) -> dict[str, Any]:
    """Write the buffers of a group; return its entry in the manifest."""
    entry: dict[str, Any] = {"names": group.names, "stream": group.stream, "knows": 1}
    if group.parts > 1:
        entry["parts"] = group.parts
    if group.needs:
        entry["needs"] = sorted(group.needs)
    if group.buffers:
        entry["buffers"] = []
        for buffer in group.buffers:
            with buffer.raw() as data:
                entry["buffers"].append([data.nbytes, pack.add_all(data)])
    return entry
