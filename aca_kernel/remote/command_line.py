"""What a line `%aca …` says; read in the same way by both halves.

The remote kernel runs the line. The kernel on the user's machine reads it too, in the text
of the cell that the front end sent, because only what is written there may touch a file of
that machine (aca_kernel/permission.py).

Standard library only; oldest Python 3.9.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

# Subcommand to its arguments and what it does, in the order of the help.
SUBCOMMANDS = {
    "status": ("", "show the environment, its pool, and how quick the way there is"),
    "upload": ("PATH [DEST]", "send a file of your machine to the environment"),
    "download": ("[--force] PATH [DEST]", "bring a file of the environment to your machine"),
    "restart": ("", "get a new environment: variables and files of this one are lost"),
    "help": ("", "show this"),
}

# IPython's automagic runs the line without its percent sign too.
_LINE = re.compile(r"\s*%?aca(?:\s+(.*))?$", re.DOTALL)


class CommandInvalid(Exception):
    """The line cannot be understood; the text is a sentence for its writer."""


@dataclass(frozen=True)
class Command:
    """One `%aca` line. path, destination: as written, unquoted; "" where not given."""

    name: str
    path: str = ""
    destination: str = ""
    force: bool = False

    @property
    def file_name(self) -> str:
        """The last part of the path: what the file is called where only a folder is named."""
        return self.path.replace("\\", "/").rpartition("/")[2]


def parse(text: str) -> Command:
    """Read what follows `%aca`; nothing means help.

    Raises CommandInvalid.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise CommandInvalid("A quote is opened and not closed again in this line.") from None
    name, *words = words or ["help"]
    if name in ("-h", "--help"):
        name = "help"
    if name not in SUBCOMMANDS:
        raise CommandInvalid(
            f"There is no `%aca {name}`. There are {', '.join(SUBCOMMANDS)}: see `%aca help`."
        )
    options = [word for word in words if word.startswith("--")]
    paths = [word for word in words if not word.startswith("--")]
    usage = f"`%aca {name} {SUBCOMMANDS[name][0]}".rstrip() + "`"
    allowed = ["--force"] if name == "download" else []
    unknown = [word for word in options if word not in allowed]
    if unknown:
        raise CommandInvalid(f"`%aca {name}` has no option {unknown[0]}. It is written {usage}.")
    most = 2 if name in ("upload", "download") else 0
    if most and not paths:
        raise CommandInvalid(f"`%aca {name}` needs the path of a file. It is written {usage}.")
    if len(paths) > most:
        hint = " A path with spaces is put between quotes." if most else ""
        raise CommandInvalid(f"That is too much for `%aca {name}`. It is written {usage}.{hint}")
    if "" in paths:
        raise CommandInvalid("A path is empty. Write the path of a file.")
    path, destination = [*paths, "", ""][:2]
    return Command(name, path, destination, bool(options))


def of_cell(code: str) -> list[Command]:
    """Return the `%aca` lines of a cell that can be understood, in their order.

    A line counts if it begins with `%aca`, blanks aside: not behind `#`, `=` or a quote.
    """
    commands: list[Command] = []
    # Not splitlines, which also parts at characters that no editor shows as a new line.
    for line in code.split("\n"):
        found = _LINE.match(line)
        if found is None:
            continue
        try:
            commands.append(parse(found.group(1) or ""))
        except CommandInvalid:
            continue
    return commands
