"""Modules of the standard library as they were when this process began.

A cell may exchange `json.dumps` or `time.time`, for itself or for a library that it tests. What is
stored must not depend on that, and cells must not be asked. Copies, therefore, of the modules that
checkpoints call most, made before any cell runs: who looks for a module by its name, or through all
that are loaded, does not find them.
"""

from __future__ import annotations

import io
import json
import os
import time
import types
from typing import TYPE_CHECKING

__all__ = ["io", "json", "os", "time"]


def _copy(module: types.ModuleType) -> types.ModuleType:
    made = types.ModuleType(module.__name__)
    made.__dict__.update(vars(module))
    return made


if not TYPE_CHECKING:
    io, json, time = _copy(io), _copy(json), _copy(time)
    os = _copy(os)
    os.path = _copy(os.path)
