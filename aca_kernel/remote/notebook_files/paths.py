"""Paths as code has them, and what they mean for the files of the notebook's folder."""

from __future__ import annotations

import os
from typing import Any

from .local_path import LocalPath


class Paths:
    """What the paths of one remote kernel's code mean.

    root: the directory that stands for the folder whose files may come.
    inner: the notebook's folder in it. local: the root's path on the user's machine.
    """

    def __init__(self, root: str, inner: str, local: LocalPath) -> None:
        self.root = root
        self._inner = inner
        # The notebook's folder here, and what is in front of its files' paths.
        self.home = os.path.join(root, inner) if inner else root
        self.prefix = f"{inner}/" if inner else ""
        self._local = local

    def inside(self, path: Any) -> str | None:
        """Return a path relative to the root, "" for itself; None where nothing is mirrored.

        Hidden names and paths outside the root are never asked for: the kernel would refuse.
        """
        text = text_of(path)
        if not text or "\0" in text or self._leads_up(text):
            return None
        root = self.root
        if not text.startswith("/"):
            try:
                text = os.path.join(os.getcwd(), text)
            except FileNotFoundError:
                return None
        elif self._local.is_led(text):
            text = root + text[len(self._local.path) :]
        if not text.startswith(root) and "//" not in text and "/." not in text:
            return None
        text = os.path.normpath(text)
        if text != root and not text.startswith(root + "/"):
            return None
        parts = text[len(root) + 1 :].split("/")
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            return None
        return "/".join(parts)

    def local_place(self, path: str) -> str:
        """Return the place here of an absolute path of the user's machine that leads nowhere."""
        if not self._local.is_in(path) or self._local.is_led(path):
            return ""
        return os.path.normpath(path[len(self._local.path) :].lstrip("/"))

    def local_name(self, relative: str) -> str:
        """Return a file's absolute path on the user's machine, "" where that is not known."""
        return f"{self._local.path}/{relative}" if self._local.path else ""

    def _leads_up(self, text: str) -> bool:
        """Tell whether a relative path leaves the root.

        It may come back by a name that the directory has here only: `../data/x`.
        """
        try:
            return ".." in text and not text.startswith("/") and self.leads_out(text)
        except FileNotFoundError:  # there is no working directory
            return True

    def leads_out(self, path: str) -> bool:
        """Tell whether a path may be one of the user's machine that is outside of the root."""
        text = os.path.normpath(path) if path and "\0" not in path else ""
        if text.startswith("/"):
            return text != self.root and not text.startswith(self.root + "/")
        if not text.startswith(".."):
            return False
        here = os.path.relpath(os.getcwd(), self.root)
        return os.path.normpath(os.path.join(here, text)).startswith("..")

    def shown(self, relative: str) -> str:
        """Return a path as the notebook writes it: relative to its own folder."""
        return os.path.relpath(relative, self._inner) if self._inner else relative


def way_to(home: str) -> str:
    """Return the way to a folder from the working directory, with a slash; "" if it is that."""
    try:
        way = os.path.relpath(home)
    except FileNotFoundError:  # there is no working directory
        return ""
    return "" if way == os.curdir else way + "/"


def text_of(path: Any) -> str:
    """Return a path as text, "" for others, such as descriptors.

    An exception of a path object is raised again where the code uses it.
    """
    if isinstance(path, str):
        return path
    try:
        return os.fsdecode(path)
    except Exception:  # noqa: BLE001 - anything, it is the notebook's
        return ""
