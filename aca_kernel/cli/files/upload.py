"""`aca-kernel upload`: a file or folder of this machine to an environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Coroutine
from typing import Any

from ...remote.command_line import Command
from .ways import add_paths, transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel upload`."""
    parser.description = (
        "Send a file or folder to the environment of a kernel that runs, or to an environment of "
        "a session pool. Of a folder, hidden and ignored files, keys by their usual names, and "
        "symlinks stay here. It is there whole or not at all."
    )
    add_paths(
        parser,
        "a file or folder of this machine",
        "where it goes in the environment (default: the working directory, its own name)",
    )


def run(namespace: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Send it. Raises SettingInvalid and the errors of the pool."""
    path = os.path.abspath(os.path.expanduser(namespace.path))
    return transfer(Command("upload", path, namespace.destination), namespace)
