"""What papermill loads of its engine `aca` when it is imported.

It imports nothing of papermill: that is not complete then, nor is who has imported it.
"""

from __future__ import annotations

from typing import Any


class _Engine:
    """papermill_engine.PoolEngine, of which papermill calls class methods, when it is called."""

    def __getattr__(self, name: str) -> Any:
        from .papermill_engine import PoolEngine

        return getattr(PoolEngine, name)


AcaEngine = _Engine()
