"""The import of nbformat, without what no notebook needs."""

from __future__ import annotations

import sys

# jsonschema checks formats of text with them if they are installed, which JupyterLab brings along.
# rfc3987_syntax compiles 38 grammars when it is imported: nine tenths of the time that nbformat
# takes. The others, with arrow, take a third of the rest.
_CHECKERS = (
    "fqdn",
    "isoduration",
    "jsonpointer",
    "rfc3339_validator",
    "rfc3986_validator",
    "rfc3987_syntax",
    "uri_template",
    "webcolors",
)


def import_nbformat() -> None:
    """Import nbformat quickly, before the modules that need it.

    It checks no formats. To be deleted when jsonschema imports on demand.
    """
    hidden = [name for name in _CHECKERS if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # "cannot be imported", to Python
    try:
        import nbformat  # noqa: F401 - the others find it imported
    finally:
        for name in hidden:
            del sys.modules[name]
