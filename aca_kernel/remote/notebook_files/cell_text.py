"""Names of files in a cell's text, for code that opens them in ways that nobody sees.

Text in quotes counts if it looks like a name, and is an argument of a call into something that is
not known to open its files by Python or to be wrapped (c_readers.py): a C function by `ctypes`, an
extension module, a function of the notebook's own. All are asked about in one question. What is
large waits for whoever opens it. Of a cell that another program reads, all words count.

Needs IPython.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from typing import Any

from ..paged_files import FileProblem
from . import file_mentions, is_quiet
from .c_readers import READERS
from .mirror import Mirror, Refused
from .program_files import LARGEST_BYTES, WHOLE_NAME
from .script_cells import command_of

# A name in quotes, with a suffix. Its dot comes first: text without one is passed over at once.
_NAME = re.compile(r"\.(?<=[^\s'\"/\\]\.)[A-Za-z]\w{0,11}[\"']")

_MOST_NAMES = 50

# Packages besides Python's own whose files are opened by Python, or are no files.
_SEEN = frozenset(
    ("pandas", "numpy", "PIL", "matplotlib", "joblib", "IPython", "requests", "httpx", "seaborn",
     "plotly", "altair", "bokeh", "scipy", "sklearn", "torch", "ipywidgets", "pyarrow", "openpyxl",
     "yaml", "dotenv", "tqdm")
)  # fmt: skip


class CellText:
    """Brings what a cell's text names, before the cell runs."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def register(self, ip: Any) -> None:
        """Come before all cells of a shell."""
        run_cell_async = ip.run_cell_async

        @functools.wraps(run_cell_async)
        async def run_after_files(raw_cell: str, *args: Any, **options: Any) -> Any:
            # Hidden code asks for nothing.
            if options.get("store_history") and not options.get("silent"):
                try:
                    # Whatever it is, the cell must run.
                    with contextlib.suppress(Exception):
                        self._bring(ip, raw_cell)
                except KeyboardInterrupt:
                    options["preprocessing_exc_tuple"] = sys.exc_info()
            return await run_cell_async(raw_cell, *args, **options)

        ip.run_cell_async = run_after_files

    def _bring(self, ip: Any, code: str) -> None:
        mirror = self._mirror
        if is_quiet():
            return
        if command := command_of(code):
            mirror.begin_cell_early()
            file_mentions.bring_named(mirror, command)
        elif _NAME.search(code):
            found = [mirror.inside(name) for name in names_in(_parsed(ip, code), ip.user_ns)]
            paths = [path for path in dict.fromkeys(found) if path][:_MOST_NAMES]
            if paths:
                mirror.begin_cell_early()
                for path, item in zip(paths, mirror.look_at(paths)):  # noqa: B905
                    is_small = item is not None and item.size <= LARGEST_BYTES
                    if item is not None and is_small and not item.is_folder:
                        with contextlib.suppress(FileProblem, Refused):
                            mirror.bring(path)


def _parsed(ip: Any, code: str) -> ast.Module:
    """Raises SyntaxError."""
    try:
        return ast.parse(code)
    except SyntaxError:  # it has magics
        return ast.parse(str(ip.transform_cell(code)))


def names_in(tree: ast.AST, variables: dict[str, Any]) -> Iterator[str]:
    """Yield the names of files that calls of unknown code get. variables: of the notebook."""
    imported = dict(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_unknown(node.func, imported, variables):
            for argument in [*node.args, *(one.value for one in node.keywords)]:
                for constant in _constants(argument):
                    text = _text(constant.value)
                    if WHOLE_NAME.fullmatch(text):
                        yield text


def _constants(node: ast.AST) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant):
        yield node
    elif isinstance(node, (ast.List, ast.Tuple)):
        for one in node.elts:
            yield from _constants(one)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that a cell imports, with the packages that they are of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield one.asname or one.name.partition(".")[0], one.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield one.asname or one.name, (node.module or "").partition(".")[0]


def _is_unknown(function: ast.AST, imported: dict[str, str], variables: dict[str, Any]) -> bool:
    """Tell whether nobody knows how the files of a called function are opened."""
    while isinstance(function, ast.Attribute):
        function = function.value
    if isinstance(function, ast.Call):
        return _is_unknown(function.func, imported, variables)
    if not isinstance(function, ast.Name):
        return False  # a method of text, a subscript
    name = function.id
    if name in imported:
        package = imported[name]
    elif name in variables:
        value = variables[name]
        is_named = isinstance(getattr(value, "__name__", None), str)
        whole = value.__name__ if isinstance(value, type(sys)) else _module_of(value, is_named)
        package = str(whole).partition(".")[0]
    else:  # a function of Python's, or a variable of the cell's own
        return not hasattr(builtins, name)
    return package not in _known()


def _module_of(value: Any, is_named: bool) -> str:
    return str(getattr(value if is_named else type(value), "__module__", ""))


@functools.cache
def _known() -> frozenset[str]:
    own = frozenset(getattr(sys, "stdlib_module_names", ("os", "pathlib", "json", "io", "shutil")))
    wrapped = frozenset(name.partition(".")[0] for name in READERS)
    return (own | _SEEN | wrapped | {"builtins"}) - {"ctypes", "__main__"}
