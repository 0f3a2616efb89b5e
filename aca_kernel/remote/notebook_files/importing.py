"""Modules beside the notebook, and what is done when a library is imported.

A module that is missing in the environment is looked for beside the notebook. One that came from
there is refreshed before it is loaded again. pyarrow, which opens files in C, is patched when it
is imported.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from typing import Any

from ..paged_files import FileProblem
from . import c_readers, is_quiet, quiet
from .fetching import bring_tree
from .mirror import Mirror, Refused
from .missing_errors import MissingModule
from .outside import Outside

# Archives that Python imports modules from.
_ARCHIVES = (".zip", ".egg", ".whl")


def install(mirror: Mirror, outside: Outside, more: dict[str, Callable[[Any], None]]) -> None:
    """Install the finders. more: what is done with further modules when they are imported."""
    patches: dict[str, Callable[[Any], None]] = {
        "pyarrow": functools.partial(_patch_pyarrow, mirror),
        "pyarrow.util": functools.partial(_patch_pyarrow_util, mirror),
        **c_readers.patches(mirror, outside),
        **more,
    }
    for name, patch in patches.items():
        if name in sys.modules:
            patch(sys.modules[name])
    finders: Any = sys.meta_path
    finders.insert(0, _First(mirror, patches))
    finders.append(_Last(mirror))


class _First:
    """The first finder: refreshes copies, and patches libraries."""

    def __init__(self, mirror: Mirror, patches: dict[str, Callable[[Any], None]]) -> None:
        self._mirror = mirror
        self._patches = patches

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: Any = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder: whoever wraps a finder may pass all by keyword."""
        if fullname in self._patches:
            return self._patched(fullname, path)
        if not is_quiet():
            if path is None and not self._mirror.is_hinting:
                self._bring_places()
            for prefix, _folder in _folders(self._mirror, path):
                self._refresh(prefix + fullname.rpartition(".")[2])
        return None

    def _bring_places(self) -> None:
        """Bring the folders and archives beside the notebook that are on the search path."""
        for place in list(sys.path):
            # Python has not looked there, or has found nothing.
            if sys.path_importer_cache.get(place) is None:
                relative = self._mirror.inside(place)
                if relative:
                    with contextlib.suppress(FileProblem, Refused):
                        if not self._mirror.bring_folder(relative) and place.endswith(_ARCHIVES):
                            self._mirror.bring(relative)
                    sys.path_importer_cache.pop(place, None)

    def _refresh(self, relative: str) -> None:
        mirror = self._mirror
        package, module = _files_of(relative)
        with contextlib.suppress(FileProblem, Refused):
            for path in (package, module):
                if mirror.is_copy(path):
                    mirror.bring(path)
            # A folder without its files would pass for a namespace package.
            if not mirror.is_hinting and not mirror.is_copy(package):
                with quiet():
                    is_folder = os.path.isdir(mirror.path_of(relative))
                    if is_folder and mirror.look(package) is not None:
                        mirror.bring(package)

    def _patched(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        loader: Any = spec.loader if spec is not None else None
        if loader is None or not hasattr(loader, "exec_module"):
            return None
        execute, patch = loader.exec_module, self._patches[name]

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            patch(module)

        loader.exec_module = exec_module
        return spec


class _Last:
    """The last finder: looks beside the notebook."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: Any = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder: whoever wraps a finder may pass all by keyword."""
        __debuggerskip__ = True
        __tracebackhide__ = True
        if is_quiet():
            return None
        mirror = self._mirror
        for prefix, folder in _folders(mirror, path):
            try:
                if not self._bring(prefix + fullname.rpartition(".")[2]):
                    continue
            except (FileProblem, Refused) as error:
                raise MissingModule(
                    f"No module named {fullname!r}. {error}", name=fullname
                ) from None
            # The caches of folders may be stale.
            importlib.machinery.PathFinder.invalidate_caches()
            return importlib.machinery.PathFinder.find_spec(fullname, [folder])
        return None

    def _bring(self, relative: str) -> bool:
        __tracebackhide__ = True
        mirror = self._mirror
        if not mirror.may_have_module(relative):
            return False
        package, module = _files_of(relative)
        found = mirror.look_at([relative, package, module])
        for path, item in ((package, found[1]), (module, found[2])):
            if item is not None and not item.is_folder:
                if mirror.is_hinting:
                    # No error of ours: code that only looks for a module gets None (hinting.py).
                    return False
                mirror.bring(path)
                return True
        if found[0] is not None and found[0].is_folder and not mirror.is_hinting:
            return mirror.bring_folder(relative)
        return False


def _folders(mirror: Mirror, path: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    """Yield the folders beside the notebook that may hold a module, as a prefix and as a path."""
    seen: set[str] = set()
    for folder in [mirror.paths.home, *sys.path] if path is None else list(path):
        # Python means the working directory by an empty one.
        inside = mirror.inside(folder or ".")
        if inside is not None and inside not in seen:
            seen.add(inside)
            yield f"{inside}/" if inside else "", folder or mirror.path_of(inside)


def _files_of(name: str) -> tuple[str, str]:
    """Return the paths of a module, as a package and as a file."""
    return f"{name}/__init__.py", f"{name}.py"


# -- pyarrow -----------------------------------------------------------------------


def _patch_pyarrow_util(mirror: Mirror, module: Any) -> None:
    """Notice paths where pyarrow makes a text of them, as it does with nearly all.

    The function's code is replaced, not the function: other modules have imported it already.
    """
    function = module._stringify_path  # noqa: SLF001 - there is no public way in
    module._aca_original = types.FunctionType(  # noqa: SLF001
        function.__code__, function.__globals__, function.__name__
    )
    module._aca_notice = functools.partial(_notice, mirror)  # noqa: SLF001
    function.__code__ = _stringify_path.__code__


def _stringify_path(path: Any) -> Any:
    """Replacement for pyarrow's function; its globals are those of pyarrow.util."""
    text = _aca_original(path)  # type: ignore[name-defined]  # noqa: F821
    _aca_notice(text)  # type: ignore[name-defined]  # noqa: F821
    return text


def _patch_pyarrow(mirror: Mirror, module: Any) -> None:
    original = module.memory_map

    @functools.wraps(original)
    def memory_map(path: Any, mode: str = "r") -> Any:
        _notice(mirror, path)
        return original(path, mode)

    module.memory_map = module.lib.memory_map = memory_map


def _notice(mirror: Mirror, path: Any) -> None:
    relative = None if is_quiet() or mirror.is_hinting else mirror.inside(path)
    if relative is not None:
        # A folder with all its files: C code decides which of them it reads.
        bring_tree(mirror, path, relative, with_links=True)
