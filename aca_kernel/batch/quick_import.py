"""The import of nbformat, without a second of grammars that no notebook needs."""

from __future__ import annotations

import sys

# jsonschema checks IRIs with it if it is installed, which JupyterLab brings along. When it is
# imported it compiles 38 grammars: nine tenths of the time that nbformat takes.
_GRAMMARS = "rfc3987_syntax"


def import_nbformat() -> None:
    """Import nbformat quickly, before the modules that need it.

    The schema of notebooks has no IRIs. To be deleted when jsonschema imports on demand.
    """
    if _GRAMMARS in sys.modules:
        return
    sys.modules[_GRAMMARS] = None  # type: ignore[assignment]  # "cannot be imported", to Python
    try:
        import nbformat  # noqa: F401 - the others find it imported
    finally:
        del sys.modules[_GRAMMARS]
