"""`aca-kernel download`: a file or folder of an environment to this machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Coroutine
from typing import Any

from ...remote.command_line import Command
from .ways import add_paths, transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel download`."""
    parser.description = (
        "Bring a file or folder of the environment of a kernel that runs, or of an environment of "
        "a session pool, to this machine. Of a folder, hidden files, the usual names of keys, and "
        "symlinks are left out. It is here whole or not at all."
    )
    add_paths(
        parser,
        "a file or folder of the environment",
        "where it goes on this machine (default: the present folder, under its own name)",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(namespace: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Bring it. Raises SettingInvalid and the errors of the pool."""
    given = os.path.expanduser(namespace.destination)
    destination = os.path.abspath(given)
    if not given or given.endswith(("/", os.sep)):
        destination = os.path.join(destination, "")
    command = Command("download", namespace.path, destination, force=namespace.force)
    return transfer(command, namespace)
