"""Files that a program will open, as far as its text names them.

For `python script.py`, `python -m module`, `python -c …`, pytest and make, which open files in
processes of their own: modules beside the script, names of files in quotes, files of tests, and the
words of a makefile. What is large is left out, and so is what a program puts together.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
from collections.abc import Iterator, Sequence

from ..paged_files import FileProblem
from .mirror import Mirror, Refused

# A text in quotes that looks like the name of a file, and what is fetched for no more than that.
WHOLE_NAME = re.compile(r"[^\n:*?<>|\\]*[^\s/]\.[A-Za-z]\w{0,11}")
LARGEST_BYTES = 32_000_000

_PYTEST = frozenset({"pytest", "py.test"})
_MAKE = frozenset({"make", "gmake"})
_PYTHON = re.compile(r"^(?:python|pypy)[\d.]*$")

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_OF_PYTEST = ("conftest.py", "pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_TEST = re.compile(r"(?:test_.*|.*_test|conftest|__init__)\.py")

# Of the text of one program.
_MOST_SCRIPTS = 100
_MOST_NAMES = 100


class ProgramFiles:
    """Brings what the programs of one command will open. folders: those that it may be in."""

    def __init__(self, mirror: Mirror, words: Sequence[str], folders: Sequence[str]) -> None:
        self._mirror = mirror
        self._words = words
        self._folders = ("", *folders)
        self._seen: set[str] = set()
        self._scripts: list[str] = []

    def bring(self) -> None:
        """Bring it; what cannot come, the program misses."""
        programs = {os.path.basename(word) for word in self._words}
        with contextlib.suppress(FileProblem):
            if programs & _PYTEST:
                self._add_tests()
            if programs & _MAKE:
                self._bring_makefile()
            if any(map(_PYTHON.match, programs)):
                self._add_options()
            self._scripts += [word for word in self._words if word.endswith(".py")]
            self._follow()

    def _add_options(self) -> None:
        for option, value in zip(self._words, self._words[1:]):  # noqa: B905 - not in Python 3.9
            if option == "-m":
                files = _files_of(value)
                self._scripts += self._bring_found(self._in_folders(files))
            elif option == "-c":
                for folder in self._folders:
                    self._bring_named(folder, value)

    def _in_folders(self, names: Sequence[str]) -> list[str]:
        return [os.path.join(folder, name) for folder in self._folders for name in names]

    def _add_tests(self) -> None:
        self._bring_found([path for path in _OF_PYTEST if not os.path.lexists(path)])
        named = [word.partition("::")[0] for word in self._words]
        folders = [word for word in named if os.path.isdir(word)] or ["."]
        self._scripts += [word for word in named if word.endswith(".py")]
        for folder in folders:
            for above, inner, names in os.walk(folder):
                inner[:] = [one for one in inner if not one.startswith((".", "__pycache__"))]
                self._scripts += [os.path.join(above, name) for name in names if _TEST.match(name)]
                if len(self._scripts) > _MOST_SCRIPTS:
                    return

    def _bring_makefile(self) -> None:
        files = self._in_folders(_MAKEFILES)
        self._bring_found(files)
        for path in files:
            words = list(dict.fromkeys(re.split(r"[\s:=;|<>()\"']+", _text_of(path))))
            words = [word for word in words if "." in word or "/" in word]
            named = [os.path.join(os.path.dirname(path), word) for word in words]
            self._bring_found(named)
            self._scripts += [word for word in named if word.endswith(".py")]

    def _follow(self) -> None:
        """Bring scripts, and what their texts name."""
        while self._scripts and len(self._seen) < _MOST_SCRIPTS:
            path = os.path.normpath(self._scripts.pop(0))
            if path in self._seen:
                continue
            self._seen.add(path)
            relative = self._mirror.inside(path)
            if relative:
                with contextlib.suppress(FileProblem, Refused):
                    self._mirror.bring(relative)
                self._bring_named(os.path.dirname(path), _text_of(path))

    def _bring_named(self, folder: str, text: str) -> None:
        """Bring what a Python text names, and read its modules. folder: of the script."""
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return
        modules = [
            os.path.join(place, path)
            for module in dict.fromkeys(_modules(tree))
            for place in dict.fromkeys((folder, ""))
            for path in _files_of(module)
        ]
        self._scripts += self._bring_found(modules)
        names = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and WHOLE_NAME.fullmatch(node.value)
        ]
        self._bring_found([*names, *(os.path.join(folder, name) for name in names if folder)])

    def _bring_found(self, names: Sequence[str]) -> list[str]:
        """Bring the small files among names; return those that are there."""
        inside = {name: self._mirror.inside(name) for name in dict.fromkeys(names)}
        paths = {name: path for name, path in inside.items() if path}
        chosen = list(paths)[:_MOST_NAMES]
        found = self._mirror.look_at([str(paths[name]) for name in chosen]) if chosen else []
        there = []
        for name, item in zip(chosen, found):  # noqa: B905 - not in Python 3.9
            if item is not None and not item.is_folder and item.size <= LARGEST_BYTES:
                there.append(name)
                with contextlib.suppress(FileProblem, Refused):
                    self._mirror.bring(str(paths[name]))
        return there


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1_000_000)
    except (OSError, ValueError):
        return ""


def _files_of(module: str) -> list[str]:
    path = module.replace(".", "/")
    return [f"{path}.py", f"{path}/__init__.py", f"{path}/__main__.py"]


def _modules(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a text imports, and the packages above them."""
    for node in ast.walk(tree):
        whole: list[str] = []
        if isinstance(node, ast.Import):
            whole = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            whole = [module, *(f"{module}.{one.name}".lstrip(".") for one in node.names)]
        for name in whole:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1) if parts[0])
