"""The folder of checkpoints."""

from __future__ import annotations

from pathlib import Path

from jupyter_core.paths import jupyter_data_dir


def directory() -> Path:
    """Return where checkpoints are kept."""
    return Path(jupyter_data_dir()) / "aca-kernel" / "checkpoints"
