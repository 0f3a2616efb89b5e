"""The setting `packages`: requirements, and names of files that hold them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SettingInvalid
from ..settings import package_words
from . import projects, requirement_lines, uv_lock


@dataclass
class Declared:
    """What the setting asks for.

    python: which versions of Python, empty if it does not say. told: sentences for the user, about
    what cannot be read.
    """

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    python: str = ""
    told: list[str] = field(default_factory=list)


def read(setting: str, directory: str, is_withheld: Callable[[str], bool]) -> Declared:
    """Read the setting, and the files that it names.

    directory: a relative path is looked for there and in the folders above it.
    is_withheld: tells whether a file or folder of some name is never sent.
    """
    declared = Declared()
    for word in package_words(setting):
        name, group = _name_and_group(word)
        if not _is_file(name):
            declared.requirements.append(word)
            continue
        path = _find(name, Path(directory))
        if path is None:
            declared.told.append(
                f"The setting `packages` names {name}, which lies neither beside the notebook "
                "nor in a folder above."
            )
            continue
        try:
            _read_file(path, group, is_withheld, declared)
        except SettingInvalid as error:
            declared.told.append(error.message)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not what it must be"
            declared.told.append(f"{name} of the setting `packages` cannot be read: {reason}.")
    return declared


def _name_and_group(word: str) -> tuple[str, str]:
    """Return the name of a file, and the group behind it. A drive's colon is part of the name."""
    match = re.fullmatch(r"((?:[A-Za-z]:(?=[\\/]))?[^:]*):?(.*)", word, re.DOTALL)
    return (match[1], match[2]) if match else (word, "")


def _is_file(name: str) -> bool:
    return name.lower().endswith((*requirement_lines.SUFFIXES, ".toml", ".lock"))


def _find(name: str, directory: Path) -> Path | None:
    folders = (directory, *directory.parents)
    return next(filter(os.path.isfile, (one / os.path.expanduser(name) for one in folders)), None)


def _read_file(
    path: Path, group: str, is_withheld: Callable[[str], bool], declared: Declared
) -> None:
    suffix = path.suffix.lower()
    if suffix in requirement_lines.SUFFIXES:
        asked = requirement_lines.read(path, is_withheld)
        why = ". An index is named by the setting `packages_index_url`."
    else:
        asked = (projects.of_pyproject if suffix == ".toml" else uv_lock.of_lock)(path, group)
        why = ": it lies on your machine."
    declared.requirements += asked.requirements
    declared.constraints += asked.constraints
    declared.python = declared.python or asked.python
    if asked.left_out:
        declared.told.append(
            f"Of {path.name}, {', '.join(asked.left_out)} cannot be taken to an environment{why}"
        )
