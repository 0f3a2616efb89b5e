"""Changes to ipykernel in the remote kernel, made once after it is set up.

- Output is flushed ten times as often: nothing else delays a printed line.
- No output is dropped, however fast it comes.
- Large outputs become JSON more quickly.
- The debugger is imported when it is asked for (late_debugger.py).
- All that a cell writes to the descriptors 1 and 2 is output of that cell.
- An interrupt reaches a cell that awaits, unlike in plain ipykernel 7.4.
- `!` commands are sent back to the kernel, which runs them with the shell tool.
- `%aca` is defined (magic.py).
- Checkpoints are taken and restored (state.py).
- Files beside the notebook are found (notebook_files/).
- Packages that the notebook asks for are installed before its cells (packages/).
- Errors are shown without our frames (trimming.py).
- Behind an error no cell runs that was sent ahead of it (ahead_of_replies.py).
- The agent knows whether anything can still print when no cell is running.
- The first cell names the arguments that ipykernel does not take (arguments.py).

Needs ipykernel; oldest supported 6.29.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from typing import Any

from . import magic, shell, state, trimming
from .ahead_of_replies import abort_behind_errors
from .asking import cell_of
from .call_socket import Connection, is_readable, keep_open
from .large_json import quick_packer
from .late_debugger import import_late
from .notebook_files.facade import NotebookFiles
from .packages.attach import NotebookPackages
from .wrapping import wrapped

# ipykernel's own interval is 0.2 s.
FLUSH_INTERVAL_SECONDS = 0.02

# A line that is not at its end when the interval is over gets so long to come to it: `print`
# writes its text and the end of the line one after the other.
LINE_GRACE_SECONDS = 0.001

# The limit of a cell's end for reading its descriptors; only a process that keeps writing in the
# background reaches it.
_DESCRIPTORS_SECONDS = 0.1

# Message ids are session, process id and a counter. Process ids repeat in a new container, so
# each remote kernel of one kernel counts from another million.
_COUNT_STEP = 1_000_000


def prepare() -> None:
    """Make the changes that must come before ipykernel is set up."""
    import zmq

    import_late()
    from ipykernel.iostream import OutStream
    from ipykernel.kernelapp import IPKernelApp

    app_class: Any = IPKernelApp
    init_iopub = app_class.init_iopub

    def init_unlimited_iopub(app: Any, context: Any) -> None:
        # A cell may send more than 1000 messages, zmq's limit, before zmq's thread gets its turn;
        # the rest would be dropped.
        context.setsockopt(zmq.SNDHWM, 0)
        init_iopub(app, context)

    app_class.init_iopub = init_unlimited_iopub

    stream_class: Any = OutStream
    stream_class._watch_pipe_fd = _watch_descriptor  # noqa: SLF001 - a thread's target


def load(app: Any, config: dict[str, Any]) -> None:
    """Make the changes. app: the IPKernelApp, initialized, not started. config: see agent.py."""
    from ipykernel.iostream import OutStream
    from tornado.ioloop import IOLoop

    OutStream.flush_interval = FLUSH_INTERVAL_SECONDS
    _skip_empty_flushes(OutStream)
    _keep_lines_whole(OutStream)
    kernel, ip, calls_path = app.kernel, app.kernel.shell, config["calls"]
    # A pause before each reply that lets outputs overtake it: the agent sees to that.
    kernel._execute_sleep = 0.0  # noqa: SLF001 - a trait, private by name only
    app.session.message_count = _COUNT_STEP * (
        1000 * int(config["generation"]) + int(config["number"])
    )
    app.session.pack = quick_packer(app.session.pack)
    # The one that ipykernel will run in; Python makes none by itself any more since 3.14.
    loop = IOLoop.current().asyncio_loop  # type: ignore[attr-defined]
    _wake_loop_on_signals(loop)
    abort_behind_errors(kernel)
    notebook = state.CheckpointState(kernel)
    notebook.listen()
    files = NotebookFiles(ip, config, notebook.origin)
    trimming.trim_shown(ip)
    packages = NotebookPackages(config.get("packages", {}), calls_path)
    packages.register(kernel)
    notebook.packages = packages
    shell.replace_system(ip, calls_path, files.bring_named, lambda: cell_of(kernel))
    magic.register(kernel, calls_path, notebook, files)
    streams = [one for one in (sys.stdout, sys.stderr) if hasattr(one, "is_watched")]
    ip.events.register("post_execute", lambda: _read_descriptors(streams))
    keep_open(calls_path)
    ip.events.register("post_execute", lambda: _keep_notes(notebook, files))
    _Background(calls_path, notebook, loop).watch(kernel)
    if config["refused"] and (config["generation"], config["number"]) == (1, 1):
        _tell_refused(ip, config["refused"])


def _tell_refused(shell_: Any, names: list[str]) -> None:
    """Say in the first cell which of ipykernel's arguments are not applied."""

    def tell(info: Any) -> None:
        if info.store_history and not info.silent:
            shell_.events.unregister("pre_run_cell", tell)
            sentence = f"ipykernel runs without what cannot be applied here: {', '.join(names)}."
            sys.stderr.write(wrapped(sentence) + "\n")

    shell_.events.register("pre_run_cell", tell)


def _keep_notes(notebook: state.CheckpointState, files: NotebookFiles) -> None:
    """Write the records for the next remote kernel again if the cell has removed them."""
    with contextlib.suppress(OSError):  # no room on the disk
        notebook.keep_origin()
        files.keep_journal()


def _skip_empty_flushes(stream_class: Any) -> None:
    """Skip flushes of empty buffers; a cell makes six of them.

    Each would wait for a hop to the IOPub thread and back. That hop also keeps replies after
    outputs, which the agent does for us.
    """
    flush, send = stream_class.flush, stream_class._flush  # noqa: SLF001
    stream_class.is_sending = False

    def flush_if_written(self: Any) -> None:
        # Another thread may have emptied the buffer and not sent it yet: the cell's idle would
        # overtake it.
        if self._buffers or self.is_sending:
            flush(self)

    def send_noted(self: Any) -> None:
        self.is_sending = True
        try:
            send(self)
        finally:
            self.is_sending = False

    stream_class.flush = flush_if_written
    stream_class._flush = send_noted  # noqa: SLF001


def _keep_lines_whole(stream_class: Any) -> None:
    """Let one `print` be one message, though its parts are written one after the other.

    A flush that was due soon is not needed any more after one that code has asked for; it would
    come in the middle of what is written next. ipykernel leaves it be: at its interval it seldom
    matters.
    """
    send = stream_class._flush  # noqa: SLF001
    stream_class.sent_count = 0

    def send_counted(self: Any) -> None:
        self.sent_count += 1
        send(self)

    def send_soon(self: Any) -> None:
        if self._flush_pending:
            return
        self._flush_pending = True
        count = self.sent_count

        def send_line() -> None:
            if self.sent_count == count:
                self._flush()

        def send_due() -> None:
            if self.sent_count == count and _is_in_line(self):
                self._io_loop.call_later(LINE_GRACE_SECONDS, send_line)
            else:
                send_line()

        self.pub_thread.schedule(lambda: self._io_loop.call_later(self.flush_interval, send_due))

    stream_class._flush = send_counted  # noqa: SLF001
    stream_class._schedule_flush = send_soon  # noqa: SLF001


def _is_in_line(stream: Any) -> bool:
    """Tell whether text waits in the buffer whose line has not ended."""
    with stream._buffer_lock:  # noqa: SLF001
        for buffer in stream._buffers.values():  # noqa: SLF001
            end = buffer.tell()
            if end:
                buffer.seek(end - 1)
                if buffer.read() != "\n":
                    return True
    return False


def _watch_descriptor(stream: Any) -> None:
    """Pass on what is written to the stream's descriptor; runs in a thread of its own.

    Replaces ipykernel's. It shows whether data are on the way (`_read_descriptors`), and copies
    nothing to the descriptor's former file, a log that nobody reads.
    """
    from ipykernel.iostream import PIPE_BUFFER_SIZE

    stream.is_reading, stream.is_watched = False, True
    try:
        while stream._should_watch:  # noqa: SLF001
            is_readable(stream._fid, None)  # noqa: SLF001
            # Set before the read: at no moment do unsent data look sent.
            stream.is_reading = True
            data = os.read(stream._fid, PIPE_BUFFER_SIZE)  # noqa: SLF001
            if stream._should_watch:  # noqa: SLF001
                stream.write(data.decode(errors="replace"))
            stream.is_reading = False
    except Exception:  # noqa: BLE001 - shown when the stream is closed, as ipykernel does
        stream._exc = sys.exc_info()  # noqa: SLF001
    stream.is_watched = False


def _read_descriptors(streams: list[Any]) -> None:
    """Wait until a cell's writes to the descriptors 1 and 2 are output, ahead of its idle."""
    deadline = time.monotonic() + _DESCRIPTORS_SECONDS
    for stream in streams:
        while stream.is_watched and (
            stream.is_reading or is_readable(stream._fid, 0)  # noqa: SLF001
        ):
            if time.monotonic() > deadline:
                return
            time.sleep(0.0001)  # lets the thread that reads have its turn


def _wake_loop_on_signals(loop: Any) -> None:
    """Make SIGINT wake the event loop, so that an awaiting cell is cancelled at once.

    ipykernel's handler uses add_callback, which does not wake the loop's selector when called on
    its thread. To be deleted when ipykernel is repaired.
    """
    wake_socket = getattr(loop, "_csock", None)
    if wake_socket is not None and hasattr(signal, "set_wakeup_fd"):
        signal.set_wakeup_fd(wake_socket.fileno(), warn_on_full_buffer=False)


class _Background:
    """Reports to the agent whether anything can print while no cell is running."""

    def __init__(self, calls_path: str, notebook: state.CheckpointState, loop: Any) -> None:
        self._notebook = notebook
        self._known_threads: set[threading.Thread] | None = None
        self._known_watched: set[Any] = set()
        self._calls_path = calls_path
        self._connection: Connection | None = None
        self._last_report = False
        self._loop = loop
        # Subshells end their cells in threads of their own.
        self._lock = threading.Lock()

    def watch(self, kernel: Any) -> None:
        """Report after each message: a widget's callback may start a thread just as a cell."""
        hook = kernel.post_handler_hook

        def hook_and_report() -> None:
            try:
                hook()
            finally:
                self.report()

        kernel.post_handler_hook = hook_and_report
        kernel.shell.events.register("pre_execute", self.begin)

    def begin(self, *_: Any) -> None:
        """Remember what is ipykernel's own, just before the first cell: threads, descriptors."""
        if self._known_threads is None:
            self._known_threads = set(threading.enumerate())
            self._known_watched = self._watched()

    def report(self) -> None:
        """Report a change; called before each idle."""
        with self._lock:
            is_active = self._is_active()
            if is_active == self._last_report:
                return
            try:
                if self._connection is None:
                    self._connection = Connection(self._calls_path)
                self._connection.send({"background": is_active})
            except OSError:  # told again after the next message
                self._connection = None
            else:
                self._last_report = is_active

    def _is_active(self) -> bool:
        threads = {thread for thread in threading.enumerate() if thread.is_alive()}
        if threads - (self._known_threads or threads):
            return True
        # In this order: the first reaps some of the second's.
        ours = self._notebook.copies()
        if _children() - ours:
            return True
        if _has_alarm() or self._watched() - self._known_watched:
            return True
        # asyncio has no public list of timers; ipykernel has none while it is idle.
        timers = getattr(self._loop, "_scheduled", ())
        if any(not timer.cancelled() for timer in list(timers)):
            return True
        # Nor of what runs next: there ipykernel has its own, and the steps of tasks.
        ready = getattr(self._loop, "_ready", ())
        if any(_is_callback_of_user(handle) for handle in list(ready)):
            return True
        return any(_is_from_user(task.get_coro()) for task in asyncio.all_tasks(self._loop))

    def _watched(self) -> set[Any]:
        """Return the descriptors that the loop waits for."""
        selector = getattr(self._loop, "_selector", None)
        return set(selector.get_map() or ()) if selector is not None else set()


def _has_alarm() -> bool:
    """Whether a timer runs whose signal may have a handler of a cell."""
    names = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return any(signal.getitimer(number)[0] for number in numbers)


def _is_callback_of_user(handle: Any) -> bool:
    callback = getattr(handle, "_callback", None)
    if handle.cancelled() or isinstance(getattr(callback, "__self__", None), asyncio.Future):
        return False
    # Tornado's own callback has the user's as its first argument.
    functions = (callback, *(getattr(handle, "_args", None) or ())[:1])
    return any(callable(one) and _is_from_user(_unwrapped(one)) for one in functions)


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _is_from_user(function: Any) -> bool:
    """Whether a coroutine or function is of no module that runs ipykernel itself."""
    code = getattr(function, "cr_code", None) or getattr(function, "__code__", None)
    filename = getattr(code, "co_filename", "")
    parts = filename.replace("\\", "/").split("/")
    return not {"ipykernel", "tornado", "zmq", "IPython", "asyncio"}.intersection(parts)


def _children() -> set[int]:
    """Return the child processes of this one, where there is /proc."""
    pid = os.getpid()
    try:
        # A tenth of what reading the list takes, which the kernel makes of all processes.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return {int(word) for word in file.read().split()}
    except (OSError, AttributeError):  # there is none, or no way to know, as on macOS
        return set()
