"""Distributions that this Python finds, and which of them have come since the environment began.

What an environment begins with, its image, is noted before the first cell and outlives the kernel
that has noted it: the next one that gets the environment must not take for the image's what cells
have installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_FOLDER = re.compile(r"(?P<name>[^-]+)(?:-(?P<version>[^-]+))?(?:-py[\d.]+)?\.(?:dist|egg)-info")

# In the folder for temporary files; a name with a dot outlives `rm -rf /tmp/*`.
_IMAGE = ".aca-image-{uid}.json"


@dataclass(frozen=True)
class Distribution:
    """An installed package. name: normalized. folder: with its metadata."""

    name: str
    version: str
    folder: str

    def read(self, file_name: str) -> str:
        """Return one of its metadata files, empty if there is none."""
        try:
            with open(os.path.join(self.folder, file_name), encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError):
            return ""

    def files(self) -> list[str]:
        """Return its files as it lists them, by their paths below the folder that it lies in."""
        import csv  # no start needs it

        return [row[0] for row in csv.reader(self.read("RECORD").splitlines()) if row and row[0]]

    def direct_url(self) -> dict[str, Any]:
        """Return what is noted of a package that comes from no index (PEP 610), empty else."""
        try:
            found = json.loads(self.read("direct_url.json") or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def normalized(name: str) -> str:
    """Return the name by which packages are told apart (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find(path: Iterable[str] | None = None) -> dict[str, Distribution]:
    """Return the distributions by their names; of several, the one that is imported.

    By the names of their folders only: some hundred packages take a millisecond.
    """
    found: dict[str, Distribution] = {}
    for folder in dict.fromkeys(sys.path if path is None else path):
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:  # a zip file, or nothing at all
            continue
        for name in names:
            match = _FOLDER.fullmatch(name) if name.endswith("-info") else None
            if match is not None:
                key = normalized(match["name"])
                one = Distribution(key, match["version"] or "", os.path.join(folder, name))
                found.setdefault(key, one)
    return found


def image() -> dict[str, str]:
    """Return the versions that the environment began with, and note them if nobody has."""
    path = os.path.join(tempfile.gettempdir(), _IMAGE.format(uid=os.geteuid()))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if os.lstat(path).st_uid == os.geteuid():
            with open(path, encoding="utf-8") as file:
                return {str(name): str(version) for name, version in json.load(file).items()}
    versions = {name: one.version for name, one in find().items()}
    with contextlib.suppress(OSError):  # no room: noted by the next remote kernel
        partial = f"{path}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(partial, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(versions, file)
        os.replace(partial, path)
    return versions


def needs(name: str) -> set[str]:
    """Return the packages that a package needs, whatever extras are asked for with it."""
    from importlib import metadata  # no start needs it

    try:
        texts = metadata.requires(name) or ()
    except metadata.PackageNotFoundError:
        return set()
    found = [re.match(r"[\w.-]+", text) for text in texts if "extra ==" not in text]
    return {normalized(one[0]) for one in found if one is not None}


def added(image_versions: dict[str, str]) -> list[Distribution]:
    """Return what has come since the environment began, or has another version now."""
    here = find()
    return [here[name] for name in sorted(here) if image_versions.get(name) != here[name].version]
