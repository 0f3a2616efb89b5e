"""What we change in the remote kernel. It is loaded once, after ipykernel is set up.

- Output is flushed ten times as often: nothing else delays a line that is printed.
- An interrupt reaches a cell that awaits, which plain ipykernel 7.4 does not manage.
- `!` commands are sent back to the kernel, which runs them with the shell tool.
- The agent is told whether anything can still print when no cell is running.

Needs ipykernel; oldest supported 6.29.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from typing import Any

from . import shell

# ipykernel flushes what is not flushed by the cell itself every 0.2 s.
FLUSH_INTERVAL_SECONDS = 0.02

# Message ids are session, process id and a counter. Process ids repeat in a new
# container, so each remote kernel of one kernel counts from another thousand thousands.
_COUNT_STEP = 1_000_000


def load(app: Any, config: dict[str, Any]) -> None:
    """Change the application as described above.

    app: the IPKernelApp, initialized and not started. config: see agent.py.
    """
    from ipykernel.iostream import OutStream

    OutStream.flush_interval = FLUSH_INTERVAL_SECONDS
    _skip_empty_flushes(OutStream)
    # A pause before each reply that lets outputs overtake it: the agent sees to that.
    app.kernel._execute_sleep = 0.0  # noqa: SLF001 - a trait, private by name only
    app.session.message_count = _COUNT_STEP * (
        1000 * int(config["generation"]) + int(config["number"])
    )
    _silence_echo()
    _wake_loop_on_signals()
    shell.replace_system(app.kernel.shell, config["calls"])
    reporter = _Background(config["calls"])
    app.kernel.shell.events.register("pre_execute", reporter.begin)
    app.kernel.shell.events.register("post_run_cell", reporter.report)


def _skip_empty_flushes(stream_class: Any) -> None:
    """Make a flush with nothing to flush cost nothing; a cell makes six of them.

    Each would wait for a hop to the IOPub thread and back. That hop also keeps replies
    behind outputs that are under way, which the agent does for us.
    """
    flush = stream_class.flush

    def flush_if_written(self: Any) -> None:
        if self._buffers:
            flush(self)

    stream_class.flush = flush_if_written


def _silence_echo() -> None:
    """Keep captured low-level output from being written a second time to our log file.

    ipykernel copies what it captures from the descriptors 1 and 2 to where they led
    before: a file that nobody reads and that would grow with every `os.system`.
    """
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        copy = getattr(stream, "_original_stdstream_copy", None)
        if isinstance(copy, int):
            os.dup2(nothing, copy)
    os.close(nothing)


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

    def __init__(self, calls_path: str) -> None:
        self._known_threads: set[threading.Thread] | None = None
        self._calls_path = calls_path
        self._connection: socket.socket | None = None
        self._last_report = False

    def begin(self, *_: Any) -> None:
        """Remember the threads that are ipykernel's own, just before the first cell."""
        if self._known_threads is None:
            self._known_threads = set(threading.enumerate())

    def report(self, *_: Any) -> None:
        """Compare with what was there at the start; IPython calls this after each cell."""
        is_active = self._is_active()
        if is_active == self._last_report:
            return
        try:
            if self._connection is None:
                self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._connection.connect(self._calls_path)
            self._connection.sendall(json.dumps({"background": is_active}).encode() + b"\n")
        except OSError:  # told again after the next cell
            self._connection = None
        else:
            self._last_report = is_active

    def _is_active(self) -> bool:
        threads = {thread for thread in threading.enumerate() if thread.is_alive()}
        if threads - (self._known_threads or threads):
            return True
        if _children():
            return True
        try:
            tasks = asyncio.all_tasks()
        except RuntimeError:  # not on the loop's thread: a subshell's cell
            return False
        current = asyncio.current_task()
        return any(task is not current and _is_from_user(task) for task in tasks)


def _is_from_user(task: Any) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    filename = getattr(code, "co_filename", "")
    parts = filename.replace("\\", "/").split("/")
    return not {"ipykernel", "tornado", "zmq", "IPython"}.intersection(parts)


def _children() -> bool:
    """Tell whether this process has child processes (where /proc can say so)."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return bool(file.read().strip())
    except OSError:
        return False
