"""What is sent to the environment for its part of the work, and what may come back from it."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from ..environment import remote_sources
from ..errors import CheckpointFailed
from ..settings import AcaKernel

MEGABYTE = 1_000_000

# A manifest says what the pieces are; this is room for some 100,000 variables.
LARGEST_MANIFEST_BYTES = 64 * MEGABYTE

# One piece is a mebibyte and a byte (remote/checkpoint/pieces.py).
LARGEST_PIECE_BYTES = (1 << 20) + 1

_PACKAGE = "_aca_remote/"
_CLOUDPICKLE = "lib/cloudpickle/"


def remote_files() -> dict[str, bytes]:
    """Return the sources that the environment needs, by their names in the agent's folder."""
    files = {
        _PACKAGE + name: source.encode("utf-8")
        for name, source in remote_sources.checkpoint_half().items()
    }
    # Its licence, which allows this, stands at the head of its main module.
    found = importlib.util.find_spec("cloudpickle")
    if found is None or found.origin is None:
        raise CheckpointFailed(
            "cloudpickle is not installed on this machine: install aca-kernel anew."
        )
    folder = os.path.dirname(found.origin)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                files[_CLOUDPICKLE + name] = file.read()
    return files


def of_settings(settings: AcaKernel) -> dict[str, Any]:
    """Return the limits as the environment is told them."""
    return {
        "variable_bytes": settings.checkpoint_variable_mb * MEGABYTE,
        "total_bytes": settings.checkpoint_total_mb * MEGABYTE,
        "files_bytes": settings.checkpoint_files_mb * MEGABYTE,
    }


def largest_pack_bytes(settings: AcaKernel) -> int:
    """Return what all new pieces of a checkpoint may hold; more does not come from our half.

    Beside variables and files there is a history, and settings of libraries.
    """
    return (settings.checkpoint_total_mb + settings.checkpoint_files_mb + 200) * MEGABYTE
