"""The parser of `%aca` lines, for both halves.

The remote kernel runs the line. The kernel on the user's machine reads it too, in the text of the
cell that the front end sent, because only a line there may touch a file of that machine
(aca_kernel/host/permission.py).
"""

from __future__ import annotations

import contextlib
import re
import shlex
from dataclasses import dataclass

# Each subcommand with its arguments and description, in the order of the help.
SUBCOMMANDS = {
    "status": ("", "show the environment, its pool, and how quick the way there is"),
    "upload": ("PATH [DEST]", "send a file or folder of your machine to the environment"),
    "download": ("[--force] PATH [DEST]", "bring a file or folder of it to your machine"),
    "files": ("", "list what was sent from your machine by itself, and what was written here"),
    "packages": ("[--write]", "list what was installed; with --write, put it into the next cell"),
    "restart": ("[--keep]", "get a new environment; with --keep, variables and files come along"),
    "checkpoint": ("", "store variables and files on your machine, in case the environment ends"),
    "restore": ("", "bring back what was stored last"),
    "keep": ("TIME", "keep the environment for a time without use, such as 2h; `off` ends it"),
    "help": ("", "show this"),
}

_OPTIONS = {"download": ("--force",), "packages": ("--write",), "restart": ("--keep",)}

_LONGEST_KEEP_SECONDS = 24 * 3600

# Quotes, and backslashes outside of them.
_BACKSLASHES = re.compile(
    r"""'[^']*'|"(?P<quoted>\\\\(?=[\w.?]))?(?:\\.|[^"\\])*"|(?<!\S)(?P<share>\\\\)(?=[\w.?])"""
    r"""|(?P<part>\\(?=[\w.~-]|\Z))|\\.""",
    re.DOTALL,
)

# IPython's automagic runs the line without its percent sign too.
_LINE = re.compile(r"\s*%?aca(?:\s+(.*))?$", re.DOTALL)


class CommandInvalid(Exception):
    """A line that cannot be understood; the text is a sentence for its writer."""


@dataclass(frozen=True)
class Command:
    """One `%aca` line. path, destination: as written, unquoted; "" where not given.

    path of `keep`: the time. force, keep, write: whether the options of these names are given.
    """

    name: str
    path: str = ""
    destination: str = ""
    force: bool = False
    keep: bool = False
    write: bool = False

    @property
    def file_name(self) -> str:
        """The last part of the path: the file's name where only a folder is given."""
        return self.path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def parse(text: str) -> Command:
    """Read what follows `%aca`; nothing means help.

    Raises CommandInvalid.
    """
    try:
        words = shlex.split(_with_literal_backslashes(text))
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
    allowed = _OPTIONS.get(name, ())
    unknown = [word for word in options if word not in allowed]
    if unknown:
        raise CommandInvalid(f"`%aca {name}` has no option {unknown[0]}. It is written {usage}.")
    most = {"upload": 2, "download": 2, "keep": 1}.get(name, 0)
    if name == "keep" and (len(paths) != 1 or keep_seconds(paths[0]) is None):
        raise CommandInvalid(
            "`%aca keep` needs a time, for instance 2h, 30m or 1h30m, of at most a day, or off."
        )
    if most and not paths:
        raise CommandInvalid(f"`%aca {name}` needs the path of a file. It is written {usage}.")
    if len(paths) > most:
        hint = " A path with spaces is put between quotes." if most else ""
        raise CommandInvalid(f"That is too much for `%aca {name}`. It is written {usage}.{hint}")
    if "" in paths:
        raise CommandInvalid("A path is empty. Write the path of a file.")
    path, destination = [*paths, "", ""][:2]
    given = {word[2:]: True for word in options}
    return Command(name, path, destination, **given)


def _with_literal_backslashes(text: str) -> str:
    r"""Return a line in which `shlex` leaves the backslashes of Windows paths alone.

    Such are those ahead of a letter, digit, dot, hyphen or tilde, and two that begin a word:
    `C:\data\a.csv`, `\\server\share`, `\\?\C:\data`. All others escape, as in a shell:
    `my\ file.csv`.
    """

    def doubled(found: re.Match[str]) -> str:
        if found["quoted"] is not None:
            return '"' + found["quoted"] + found[0][1:]
        return found[0] * 2 if found["share"] or found["part"] else found[0]

    return _BACKSLASHES.sub(doubled, text)


def keep_seconds(text: str) -> int | None:
    """Return the seconds of a time like 1h30m, 0 for off, None for any other text."""
    if text == "off":
        return 0
    found = re.fullmatch(r"(?:(\d{1,2})h)?(?:(\d{1,4})m)?", text)
    hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0)
    seconds = 3600 * hours + 60 * minutes
    return seconds if 0 < seconds <= _LONGEST_KEEP_SECONDS else None


def of_cell(code: str) -> list[Command]:
    """Return the valid `%aca` lines of a cell, in order.

    A line counts if it begins with `%aca`, blanks aside: not behind `#`, `=` or a quote.
    """
    commands: list[Command] = []
    # Not splitlines, which also parts at characters that no editor shows as a new line.
    for line in code.split("\n"):
        found = _LINE.match(line)
        if found is not None:
            with contextlib.suppress(CommandInvalid):
                commands.append(parse(found.group(1) or ""))
    return commands


def transfer_line(words: str, path: str, way_home: str = "") -> str:
    """Return the `%aca` line that transfers a file to its own place on the other side.

    words: `upload` or `download`, with options. path: from the notebook's folder.
    way_home: to that folder's place from the working directory, with a slash; "" if it is that.
    """
    folder = path.rpartition("/")[0]
    target = folder + "/" if folder else ""
    if words.startswith("upload"):
        target = way_home + target
    else:
        path = way_home + path
    return " ".join([f"%aca {words}", *map(shlex.quote, filter(None, [path, target]))])
