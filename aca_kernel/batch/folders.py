"""Folders for what a batch writes."""

from __future__ import annotations

import os


def make_folder(folder: str) -> str:
    """Make a folder, if it is not there; return why it cannot be written to, "" if it can."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        return (error.strerror or "it cannot be made").lower()
    return "" if os.access(folder, os.W_OK | os.X_OK) else "permission denied"
