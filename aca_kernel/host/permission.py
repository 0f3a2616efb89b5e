"""Permission to touch the user's machine, given by lines of the user's own cells.

Any code in the environment can send the calls of `%aca`: a package that a cell installs, a file
that it unpickles. So a call that concerns this machine is answered only while a cell runs whose
text, as it came from the front end, has a line `%aca …` that asks for it. The path on this machine
is taken from that line. Nothing that the remote side says can add to it: no variable, no function,
no magic that is run by another.

While that cell runs, any code in the environment can use the permission, and repeatedly.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import CallRefused
from ..messaging.requests import Request, RequestTable
from ..remote import command_line
from ..remote.command_line import Command


def find_permission(
    table: RequestTable, name: str, is_meant: Callable[[Command], bool] = lambda _: True
) -> tuple[Request, Command]:
    """Return a running cell, and its line `%aca NAME …` that `is_meant`.

    Raises CallRefused: no running cell has such a line.
    """
    for cell in table:
        # Busy came and idle did not; the agent passes a call on after the busy of its cell.
        if not (cell.is_execute and cell.is_running):
            continue
        for command in command_line.of_cell(cell.code):
            if command.name == name and is_meant(command):
                return cell, command
    raise CallRefused(
        f"No line of the running cell begins with `%aca {name}` and says this. Write it out in the "
        "cell: variables, functions and %run cannot reach your machine."
    )
