"""What we change in the remote kernel. It is loaded once, after ipykernel is set up.

- Output is flushed ten times as often: nothing else delays a line that is printed.
- No output is dropped, however fast it comes.
- Large outputs become JSON more quickly.
- What a cell writes to the descriptors 1 and 2 belongs to it, to the last byte.
- An interrupt reaches a cell that awaits, which plain ipykernel 7.4 does not manage.
- `!` commands are sent back to the kernel, which runs them with the shell tool.
- `%aca` is defined (magic.py).
- Checkpoints are taken and restored (state.py).
- Files beside the notebook are found (notebook_files/).
- Errors are shown without frames of ours (trimming.py).
- The agent is told whether anything can still print when no cell is running.
- The first cell names the arguments that ipykernel does not take (arguments.py).

Needs ipykernel; oldest supported 6.29.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any

from . import magic, shell, state, trimming
from .call_socket import Connection, is_readable, keep_open
from .large_json import quick_packer
from .notebook_files.facade import NotebookFiles
from .wrapping import wrapped

# ipykernel flushes what is not flushed by the cell itself every 0.2 s.
FLUSH_INTERVAL_SECONDS = 0.02

# A line that is not at its end when the interval is over gets so long to come to it: `print`
# writes its text and the end of the line one after the other.
LINE_GRACE_SECONDS = 0.001

# A cell's end waits this long for its descriptors to be read empty. Only a process that
# goes on writing in the background makes it wait so long.
_DESCRIPTORS_SECONDS = 0.1

# Message ids are session, process id and a counter. Process ids repeat in a new
# container, so each remote kernel of one kernel counts from another thousand thousands.
_COUNT_STEP = 1_000_000


def prepare() -> None:
    """Change what must be changed before ipykernel is set up."""
    import zmq
    from ipykernel.iostream import OutStream
    from ipykernel.kernelapp import IPKernelApp

    app_class: Any = IPKernelApp
    init_iopub = app_class.init_iopub

    def init_unlimited_iopub(app: Any, context: Any) -> None:
        # A cell may say more than 1000 things before zmq's own thread gets its turn; what
        # is beyond that limit of zmq would be dropped.
        context.setsockopt(zmq.SNDHWM, 0)
        init_iopub(app, context)

    app_class.init_iopub = init_unlimited_iopub

    stream_class: Any = OutStream
    stream_class._watch_pipe_fd = _watch_descriptor  # noqa: SLF001 - a thread's target


def load(app: Any, config: dict[str, Any]) -> None:
    """Change the application as described above.

    app: the IPKernelApp, initialized and not started. config: see agent.py.
    """
    from ipykernel.iostream import OutStream

    OutStream.flush_interval = FLUSH_INTERVAL_SECONDS
    _skip_empty_flushes(OutStream)
    _keep_lines_whole(OutStream)
    # A pause before each reply that lets outputs overtake it: the agent sees to that.
    app.kernel._execute_sleep = 0.0  # noqa: SLF001 - a trait, private by name only
    app.session.message_count = _COUNT_STEP * (
        1000 * int(config["generation"]) + int(config["number"])
    )
    app.session.pack = quick_packer(app.session.pack)
    _wake_loop_on_signals()
    notebook = state.CheckpointState(app.kernel)
    notebook.listen()
    files = NotebookFiles(app.kernel.shell, config, notebook.origin)
    trimming.trim_shown(app.kernel.shell)
    trimming.trim_threads()
    shell.replace_system(app.kernel.shell, config["calls"], files.bring_named)
    magic.register(app.kernel.shell, app.kernel, config["calls"], notebook, files)
    streams = [one for one in (sys.stdout, sys.stderr) if hasattr(one, "is_watched")]
    app.kernel.shell.events.register("post_execute", lambda: _read_descriptors(streams))
    keep_open(config["calls"])
    app.kernel.shell.events.register("post_execute", lambda: _keep_notes(notebook, files))
    _Background(config["calls"], notebook).watch(app.kernel)
    if config["refused"] and (config["generation"], config["number"]) == (1, 1):
        _tell_refused(app.kernel.shell, config["refused"])


def _tell_refused(shell_: Any, names: list[str]) -> None:
    """Say in the first cell which of ipykernel's arguments are not applied."""

    def tell(info: Any) -> None:
        if info.store_history and not info.silent:
            shell_.events.unregister("pre_run_cell", tell)
            sentence = f"ipykernel runs without what cannot be applied here: {', '.join(names)}."
            sys.stderr.write(wrapped(sentence) + "\n")

    shell_.events.register("pre_run_cell", tell)


def _keep_notes(notebook: state.CheckpointState, files: NotebookFiles) -> None:
    """Write again what the next remote kernel is to know, if the cell has removed it."""
    with contextlib.suppress(OSError):  # no room on the disk
        notebook.keep_origin()
        files.keep_journal()


def _skip_empty_flushes(stream_class: Any) -> None:
    """Make a flush with nothing to flush cost nothing; a cell makes six of them.

    Each would wait for a hop to the IOPub thread and back. That hop also keeps replies
    behind outputs that are under way, which the agent does for us.
    """
    flush, send = stream_class.flush, stream_class._flush  # noqa: SLF001
    stream_class.is_sending = False

    def flush_if_written(self: Any) -> None:
        # What another thread has taken out of the buffer and not sent yet must be waited
        # for: the cell's idle would overtake it.
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

    As ipykernel's, but it can be told when nothing is under way (`_read_descriptors`), and
    what it has read is not copied to where the descriptor led before: a log file that
    nobody reads and that would grow with every `os.system`.
    """
    from ipykernel.iostream import PIPE_BUFFER_SIZE

    stream.is_reading, stream.is_watched = False, True
    try:
        while stream._should_watch:  # noqa: SLF001
            is_readable(stream._fid, None)  # noqa: SLF001
            # Said while there is still something to read: at no moment does it look as
            # if all had been passed on when it has not.
            stream.is_reading = True
            data = os.read(stream._fid, PIPE_BUFFER_SIZE)  # noqa: SLF001
            if stream._should_watch:  # noqa: SLF001
                stream.write(data.decode(errors="replace"))
            stream.is_reading = False
    except Exception:  # noqa: BLE001 - shown when the stream is closed, as ipykernel does
        stream._exc = sys.exc_info()  # noqa: SLF001
    stream.is_watched = False


def _read_descriptors(streams: list[Any]) -> None:
    """Let what a cell has written to the descriptors 1 and 2 become its output.

    Otherwise the cell's end may overtake it, and it would be seen with the next cell only.
    """
    deadline = time.monotonic() + _DESCRIPTORS_SECONDS
    for stream in streams:
        while stream.is_watched and (
            stream.is_reading or is_readable(stream._fid, 0)  # noqa: SLF001
        ):
            if time.monotonic() > deadline:
                return
            time.sleep(0.0001)  # lets the thread that reads have its turn


def _wake_loop_on_signals() -> None:
    """Make SIGINT wake the event loop, so that an awaiting cell is cancelled at once.

    ipykernel's handler uses add_callback, which does not wake the loop's own selector
    when called on its thread. To be deleted when ipykernel cures this itself.
    """
    loop = asyncio.get_event_loop_policy().get_event_loop()
    wake_socket = getattr(loop, "_csock", None)
    if wake_socket is not None and hasattr(signal, "set_wakeup_fd"):
        signal.set_wakeup_fd(wake_socket.fileno(), warn_on_full_buffer=False)


class _Background:
    """Tells the agent when something could print though no cell is running."""

    def __init__(self, calls_path: str, notebook: state.CheckpointState) -> None:
        self._notebook = notebook
        self._known_threads: set[threading.Thread] | None = None
        self._calls_path = calls_path
        self._connection: Connection | None = None
        self._last_report = False
        self._loop = asyncio.get_event_loop_policy().get_event_loop()
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
        """Remember the threads that are ipykernel's own, just before the first cell."""
        if self._known_threads is None:
            self._known_threads = set(threading.enumerate())

    def report(self) -> None:
        """Compare with what was there at the start; called before each idle."""
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
        # In this order: the first ends some of what the second would still find.
        ours = self._notebook.copies()
        if _children() - ours:
            return True
        # Timers are asyncio's own secret; ipykernel has none while it is idle.
        timers = getattr(self._loop, "_scheduled", ())
        if any(not timer.cancelled() for timer in list(timers)):
            return True
        return any(_is_from_user(task) for task in asyncio.all_tasks(self._loop))


def _is_from_user(task: Any) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    filename = getattr(code, "co_filename", "")
    parts = filename.replace("\\", "/").split("/")
    return not {"ipykernel", "tornado", "zmq", "IPython"}.intersection(parts)


def _children() -> set[int]:
    """Return the child processes of this one (where /proc can say so)."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return {int(word) for word in file.read().split()}
    except OSError:
        return set()
