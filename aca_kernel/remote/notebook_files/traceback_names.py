"""Names of files in tracebacks: as the user's machine knows them.

A path of the environment leads nowhere there. JupyterLab makes links of paths that begin with `/`,
`~/` or `./`, and has its server look for them, from 4.6 on relative to the notebook's folder, too
(`/api/resolvePath`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

from . import quiet
from .mirror import Mirror

# Where IPython makes a text of a file's name: since version 9, and before.
_PLACES = (
    ("IPython.core.ultratb", "_tokens_filename", 1),
    ("IPython.core.doctb", "_tokens_filename", 1),
    ("IPython.core.ultratb", "_format_filename", 0),
)


def install(mirror: Mirror) -> None:
    """Name the files of the notebook's folder by their paths there in what IPython shows."""
    import importlib

    for name, function, position in _PLACES:
        with contextlib.suppress(ImportError, AttributeError):  # of another version of IPython
            module: Any = importlib.import_module(name)
            setattr(module, function, _naming(mirror, getattr(module, function), position))


def _naming(mirror: Mirror, original: Callable[..., Any], position: int) -> Callable[..., Any]:
    @functools.wraps(original)
    def with_name(*args: Any, **options: Any) -> Any:
        # Whatever goes wrong here, the error must be shown.
        with contextlib.suppress(Exception):
            name = name_of(mirror, args[position])
            args = (*args[:position], name, *args[position + 1 :])
        return original(*args, **options)

    return with_name


def name_of(mirror: Mirror, path: Any) -> Any:
    """Return the name of a file that is the user's; others keep theirs."""
    if not isinstance(path, str) or not path.startswith("/"):
        return path
    with quiet():
        relative = mirror.inside(path)
        if not relative or not mirror.is_copy(relative):
            return path
    shown = mirror.paths.shown(relative)
    # A link may not lead up: `../` is read as `./`.
    return mirror.paths.local_name(relative) or path if shown.startswith("..") else f"./{shown}"
