r"""The names that Windows takes for something else than a file of that name.

Without input and output, so that its tests run everywhere.

Source: https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file, "Naming Conventions":
devices keep their meaning in every folder and with every extension (`nul.txt`), trailing dots and
spaces are dropped, `NAME:STREAM` is a stream of another file, and a path behind `\\?\` or `\\.\` is
taken as it stands.
"""

from __future__ import annotations

import ntpath
import re

# The superscript digits count, too. Blanks before the extension are dropped: `CON .txt` is CON.
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9¹²³])[ ]*(?:[.:].*)?\Z",
    re.IGNORECASE | re.DOTALL,
)

# Separators and wildcards, streams and drives, and what has a meaning to the console.
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f<>:"/\\|?*]')

# What `\\?\` may stand ahead of: a drive, or a share.
_PLACE = re.compile(r"\\\\\?\\(?:[a-z]:|UNC\\[^.?\\])", re.IGNORECASE)

# `PROGRA~1`: the short name of another file.
_SHORT = re.compile(r"[^.]{0,6}~[0-9]{1,6}(?:\.[^.]{0,3})?\Z")


def is_plain(name: str) -> bool:
    """Tell whether a name, one part of a path, is that of a file and of no other one."""
    return name not in ("", ".", "..") and _is_name(name) and not _SHORT.match(name)


def is_plain_path(path: str) -> bool:
    r"""Tell whether a path, as a user writes it, is that of a file and not of a device or stream.

    With a drive, relative to one (`C:data.csv`), on a share, behind `\\?\`: all that is a place.
    """
    path = path.replace("/", "\\")
    if path.startswith("\\\\.\\") or (path.startswith("\\\\?\\") and not _PLACE.match(path)):
        return False
    rest = ntpath.splitdrive(path)[1]
    return all(part in ("", ".", "..") or _is_name(part) for part in rest.split("\\"))


def _is_name(name: str) -> bool:
    return not (name[-1] in ". " or _NOT_IN_NAMES.search(name) or _DEVICE.match(name))


def same_path(one: str, other: str) -> bool:
    r"""Tell whether two absolute paths are spelled alike, but for `\\?\` and the case of the drive.

    Case elsewhere counts: both are the names that the file system has.
    """
    return _spelled(one) == _spelled(other)


def _spelled(path: str) -> str:
    path = path.replace("/", "\\")
    if path.upper().startswith("\\\\?\\UNC\\"):
        path = "\\\\" + path[8:]
    elif path.startswith("\\\\?\\"):
        path = path[4:]
    return path[:1].upper() + path[1:] if path[1:2] == ":" else path
