"""The line magic `%aca` in the remote kernel.

The kernel on the user's machine is asked for all that concerns that machine; it looks for the line
in the running cell's text (aca_kernel/host/permission.py). Needs IPython.
"""

from __future__ import annotations

import asyncio
import html
import platform
import sys
from typing import Any

from . import transfer
from .asking import HostClient, asking, cell_of
from .command_line import SUBCOMMANDS, Command, CommandInvalid, parse
from .notebook_files.facade import NotebookFiles
from .paged_files import FileProblem
from .state import CheckpointState
from .wrapping import titled, wrapped

_CONNECTING = (
    "Clients connect to the kernel on your machine, not to its process in this environment. "
    "`%aca status` names its connection file: `jupyter console --existing NAME`"
)

_RESTARTING = (
    "This environment is given up at the end of this cell: its variables and files are lost. "
    "The next cell runs in a new one."
)

_RESTARTING_KEPT = (
    "This environment is given up at the end of this cell. The next cell runs in a new one, with "
    "variables and files as they are now: changes made later in this cell are lost."
)


class AcaError(Exception):
    """A failed `%aca` line; shown as its sentence, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [titled("AcaError", str(self))]


class _Interrupted(KeyboardInterrupt):
    def _render_traceback_(self) -> list[str]:
        return [titled("KeyboardInterrupt", str(self))]


_Interrupted.__name__ = "KeyboardInterrupt"


def register(kernel: Any, calls_path: str, notebook: CheckpointState, files: NotebookFiles) -> None:
    """Define the magic and its completion, and what `%connect_info` says here.

    kernel: the ipykernel; calls_path: the agent's socket.
    """
    ip = kernel.shell

    def aca(line: str) -> None:
        sys.stdout.flush()
        try:
            _run(line, kernel, calls_path, notebook, files)
        except (CommandInvalid, FileProblem) as error:
            raise AcaError(str(error)) from None
        except _Interrupted:
            raise
        except KeyboardInterrupt:
            raise _Interrupted(
                "Interrupted; nothing is left of a file that was on its way."
            ) from None

    aca.__doc__ = "The environment that this notebook runs in.\n\n" + help_text()
    ip.register_magic_function(aca, "line", "aca")
    ip.set_hook("complete_command", _complete, str_key="%aca")

    def connect_info(_line: str) -> None:
        _say(_CONNECTING)

    # As lists of magics have it; what follows there is about a file that is not of use here.
    theirs = ip.find_line_magic("connect_info")
    connect_info.__doc__ = str(theirs.__doc__).strip().partition("\n")[0]
    ip.register_magic_function(connect_info, "line", "connect_info")


def help_text() -> str:
    """Return the subcommands, one a line."""
    rows = [(f"%aca {name} {usage}".rstrip(), text) for name, (usage, text) in SUBCOMMANDS.items()]
    width = max(len(usage) for usage, _ in rows)
    lines = [f"{usage.ljust(width)}   {text}" for usage, text in rows]
    lines += [
        "",
        "Paths on your machine are relative to the notebook's folder and are written out in the",
        "cell itself: variables, functions and %run cannot name them. Quote paths with spaces.",
    ]
    return "\n".join(lines)


def _say(sentence: str) -> None:
    print(wrapped(sentence))  # noqa: T201 - the cell's output


def _run(
    line: str, kernel: Any, calls_path: str, notebook: CheckpointState, files: NotebookFiles
) -> None:
    command = parse(line)
    if command.name == "help":
        print(help_text())  # noqa: T201 - the cell's output
        return
    if command.name == "packages":
        _show_packages(kernel.shell, notebook, command)
        return
    with asking(calls_path, cell_of(kernel)) as asked:
        if command.name == "upload":
            _say(transfer.upload(asked, command, files))
        elif command.name == "download":
            _say(transfer.download(asked, command))
        elif command.name == "files":
            print(files.writing.listing(asked))  # noqa: T201
        elif command.name == "status":
            _show_status(asked.ask("status").head)
        elif command.name == "checkpoint":
            _say(_checkpoint(asked, notebook, command.name))
        elif command.name == "restore":
            _say(_restore(asked, notebook))
        elif command.name == "keep":
            _say(str(asked.ask("keep", time=command.path).head["told"]))
        else:
            _restart(asked, command, kernel, notebook)


def _show_packages(ip: Any, notebook: CheckpointState, command: Command) -> None:
    from .packages import overview

    found = notebook.packages.added.found()
    print(overview.text(found))  # noqa: T201 - the cell's output
    if command.write and found:
        ip.set_next_input(overview.block(found))


def _checkpoint(asked: HostClient, notebook: CheckpointState, line: str) -> str:
    """Take a checkpoint and return a sentence about it. line: the name of the command."""
    try:
        told = asked.ask("checkpoint", line=line).head
        notebook.take_in_cell(told["limits"], told["number"])
    except KeyboardInterrupt:
        notebook.end_copies()
        raise _Interrupted(
            "Interrupted; no checkpoint is stored by this line, and the one before it is kept."
        ) from None
    try:
        return str(asked.ask("checkpoint_end", line=line).head["told"])
    except KeyboardInterrupt:
        # The kernel on the user's machine goes on fetching it.
        raise _Interrupted(
            "Interrupted; the checkpoint is still being brought to your machine."
        ) from None


def _restore(asked: HostClient, notebook: CheckpointState) -> str:
    try:
        asked.ask("restore")
        report = notebook.restore(is_in_cell=True)
        if not report.get("is_interrupted"):
            return str(asked.ask("restored", report=report).head["told"])
    except KeyboardInterrupt:
        pass
    raise _Interrupted(
        "Interrupted; what had come back by then is here. All that was stored is kept, and "
        "`%aca restore` brings the rest."
    )


def _restart(asked: HostClient, command: Command, kernel: Any, notebook: CheckpointState) -> None:
    if command.keep:
        _say(_checkpoint(asked, notebook, command.name))
    told = str(asked.ask("restart", keep=command.keep).head.get("note", ""))
    _run_no_more_cells(kernel)
    restarting = _RESTARTING_KEPT if command.keep else _RESTARTING
    _say(" ".join(filter(None, (restarting, told))))


def _show_status(answer: dict[str, Any]) -> None:
    from IPython import display

    rows = [(str(name), str(value)) for name, value in answer["rows"]]
    rows.append(("Python", f"{platform.python_version()} on {platform.platform(terse=True)}"))
    width = max(len(name) for name, _ in rows)
    text = "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)
    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    show: Any = display.display
    show({"text/plain": text, "text/html": f"<table>{cells}</table>"}, raw=True)


def _run_no_more_cells(kernel: Any) -> None:
    """Leave the queued cells to the next environment."""

    async def wait_for_the_end(*_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    kernel.shell_handlers["execute_request"] = wait_for_the_end


def _complete(_: Any, event: Any) -> list[str]:
    words = str(event.text_until_cursor).split(" ")
    if len([word for word in words[:-1] if word]) != 1:
        from IPython.core.error import TryNext

        raise TryNext
    return [name for name in SUBCOMMANDS if name.startswith(words[-1])]
