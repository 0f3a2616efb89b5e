"""A transfer through a kernel that runs: a silent cell with one `%aca` line.

Who can read a kernel's connection file may run any code in it, and so a cell that names a file. The
kernel decides as it does for a cell in a notebook.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import shlex
import sys
import time
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import find_connection_file
from traitlets import TraitError

from ...batch.lines import plain_lines
from ...errors import NotSupported, SettingInvalid
from ...remote.command_line import Command

# A kernel answers at once, also when a cell runs.
_ANSWER_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 0.5

# From then on a wait for the kernel's present cell is told.
_QUIET_SECONDS = 2.0

_LOOK_SECONDS = 1.0

# Without a heartbeat for so many looks, the kernel has ended.
_MOST_MISSED = 10

_INTERRUPT_SECONDS = 10.0

# How often cells ahead of the transfer may fail, which aborts what waits behind them.
_MOST_ABORTED = 20


async def transfer_through(command: Command, existing: str | None) -> int:
    """Transfer a file or folder and return the exit status.

    existing: a part of the connection file's name; None: the newest one's.
    Raises SettingInvalid: there is no such kernel. Raises NotSupported: it is of another kind.
    """
    code = _line_of(command)
    client = _client_of(existing)
    client.start_channels(hb=True)
    try:
        await _greet(client)
        return await _run(client, code)
    finally:
        client.stop_channels()


def _line_of(command: Command) -> str:
    words = [command.name, *(["--force"] if command.force else []), command.path]
    if command.destination:
        words.append(command.destination)
    if any("\n" in word or "\r" in word for word in words):
        raise SettingInvalid("A path with a line break cannot stand in an `%aca` line. Rename it.")
    return "%aca " + " ".join(map(shlex.quote, words))


def _client_of(existing: str | None) -> AsyncKernelClient:
    try:
        path = find_connection_file(*([] if existing is None else [existing]))
        client = AsyncKernelClient(connection_file=path)
        client.load_connection_file()
    except (OSError, ValueError, TypeError, AttributeError, TraitError) as error:
        named = f" by the name {existing}" if existing else ""
        raise SettingInvalid(
            f"No connection file of a kernel was found{named}. Give one to --existing: in the "
            "notebook, `%aca status` names it."
        ) from error
    return client


async def _greet(client: AsyncKernelClient) -> None:
    """Wait until the kernel answers and its outputs arrive. Raises NotSupported."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    info: dict[str, Any] | None = None
    hears = False
    while info is None or not hears:
        if time.monotonic() > deadline:
            raise NotSupported(
                "The kernel of this connection file does not answer. Give the one of an aca "
                "kernel that runs to --existing."
            )
        # Not on the shell channel, where it would wait for the cell that runs.
        client.control_channel.send(client.session.msg("kernel_info_request", {}))
        with contextlib.suppress(queue.Empty):
            reply = await client.get_control_msg(timeout=_ASK_AGAIN_SECONDS)
            if reply["msg_type"] == "kernel_info_reply":
                info = reply["content"]
        with contextlib.suppress(queue.Empty):
            await client.get_iopub_msg(timeout=_ASK_AGAIN_SECONDS)
            hears = True
    if info.get("implementation") != "aca_kernel":
        raise NotSupported(
            "This kernel runs on this machine, not in an environment: it has the files already. "
            "Give the connection file of an aca kernel to --existing."
        )


async def _run(client: AsyncKernelClient, code: str) -> int:
    for _ in range(_MOST_ABORTED):
        msg_id = client.execute(
            code, silent=True, store_history=False, allow_stdin=False, stop_on_error=False
        )
        shown = _Shown()
        try:
            status = await _follow(client, msg_id, shown)
        except asyncio.CancelledError:
            await _stop(client, msg_id, shown)
            raise
        # Aborted: a cell ahead of it has failed, and it has not run.
        if not await _is_aborted(client):
            return status
    raise NotSupported("The kernel's cells fail one after the other. Try again when it is idle.")


async def _is_aborted(client: AsyncKernelClient) -> bool:
    try:
        reply = await client.get_shell_msg(timeout=_ANSWER_SECONDS)
    except queue.Empty:
        raise NotSupported("The kernel does not say how the transfer has ended.") from None
    return bool(reply["content"]["status"] == "aborted")


class _Shown:
    """What of the cell is shown here: text, whatever code in the environment has made of it.

    is_running, has_ended: whether it has. status: the exit status.
    """

    def __init__(self) -> None:
        self.is_running = self.has_ended = False
        self.status = 0
        self._text = ""

    def take(self, msg_type: str, content: dict[str, Any]) -> None:
        """Show a message of the cell."""
        if msg_type == "stream" and content["name"] == "stdout":
            self._add(plain_lines(content["text"]))
        elif msg_type == "stream":
            print(plain_lines(content["text"]), end="", file=sys.stderr)
        elif msg_type == "error":
            self.status = 1
            print(f"aca-kernel: {plain_lines(content['evalue'])}", file=sys.stderr)
        elif content.get("execution_state") == "busy":
            self.is_running = True
        elif content.get("execution_state") == "idle":
            self.has_ended = True
            if not sys.stdout.isatty() and self._text:
                print(self._text.rpartition("\r")[2], end="", flush=True)

    def _add(self, text: str) -> None:
        """Show what the cell prints: progress on a terminal, elsewhere its last line at the end."""
        if sys.stdout.isatty():
            sys.stdout.write(text)
            sys.stdout.flush()
        self._text += text


async def _follow(client: AsyncKernelClient, msg_id: str, shown: _Shown) -> int:
    started, missed, is_told = time.monotonic(), 0, False
    while not shown.has_ended:
        try:
            message = await client.get_iopub_msg(timeout=_LOOK_SECONDS)
        except queue.Empty:
            missed = 0 if client.hb_channel.is_beating() else missed + 1
            if missed > _MOST_MISSED:
                raise NotSupported("The kernel has ended. Restart it, then try again.") from None
            if not (shown.is_running or is_told) and time.monotonic() - started > _QUIET_SECONDS:
                is_told = True
                print("Waiting for the cell that the kernel runs now.", file=sys.stderr)
            continue
        if message["parent_header"].get("msg_id") == msg_id:
            shown.take(message["msg_type"], message["content"])
    return shown.status


async def _stop(client: AsyncKernelClient, msg_id: str, shown: _Shown) -> None:
    """Interrupt the transfer, not another cell that it waits for."""
    if not shown.is_running:
        print(
            "The kernel is busy, and begins with the transfer when its cell has ended. Nothing "
            "here can take it back.",
            file=sys.stderr,
        )
        return
    client.control_channel.send(client.session.msg("interrupt_request", {}))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_follow(client, msg_id, shown), _INTERRUPT_SECONDS)
