"""How far up from the notebook files are the notebook's: the setting `files_root`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# What a repository's or a project's folder holds.
_SIGNS = (".git", "pyproject.toml")

REPOSITORY = "repository"


@dataclass(frozen=True)
class FilesRoot:
    """The folder whose files may be sent. home: the notebook's folder, in it or the same.

    problem: a sentence, if the setting cannot be followed; root is the notebook's folder then.
    """

    root: str
    home: str
    problem: str = ""

    @property
    def inner(self) -> str:
        """The notebook's folder as a path in the root, with slashes, "" for the root itself."""
        within = os.path.relpath(self.home, self.root)
        return "" if within == os.curdir else within.replace(os.sep, "/")

    def config(self) -> dict[str, Any]:
        """Return what remote kernels are told. Paths of Windows have no place in them."""
        return {"inner": self.inner, "local": self.root if os.sep == "/" else ""}


def files_root(setting: str, folder: str | None = None) -> FilesRoot:
    """Return the root for the notebook's folder; None: the one that this process was started in."""
    try:
        home = os.path.realpath(folder or os.getcwd())
    except FileNotFoundError:  # it has been removed: nothing is beside the notebook
        return FilesRoot(os.sep, os.sep)
    return find_root(setting, home)


def find_root(setting: str, home: str) -> FilesRoot:
    """Return the root for a notebook's folder, a real path."""
    if not setting:
        return FilesRoot(home, home)
    if setting == REPOSITORY:
        root = nearest_with(_SIGNS, home) or home
    else:
        root = os.path.realpath(os.path.join(home, os.path.expanduser(setting)))
    problem = _problem(setting, root, home)
    return FilesRoot(home if problem else root, home, problem)


def nearest_with(signs: Sequence[str], folder: str) -> str | None:
    """Return a folder, or the nearest above it, that holds one of these names."""
    while not any(os.path.lexists(os.path.join(folder, sign)) for sign in signs):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _problem(setting: str, root: str, home: str) -> str:
    if root == home:
        return ""
    only = f"The setting `files_root` is {setting}, and only the notebook's folder is used:"
    if os.path.dirname(root) == root:
        return f"{only} a whole drive is nobody's folder of files."
    if not home.startswith(root + os.sep):
        return f"{only} it names no folder above the notebook's."
    from .withheld import parts_of

    if parts_of(os.path.relpath(home, root).replace(os.sep, "/")) is None:
        return f"{only} on the way down to it is a folder whose name is never sent."
    return ""
