"""Restore of a notebook's state, in a remote kernel that has run no cell of the user's.

In this order: files, the process (directory, environment variables, path), packages, modules,
variables, settings of libraries, history. A failure is reported by name, and the rest goes on.

Runs in the main thread, like a cell, and can be interrupted like one.
"""

from __future__ import annotations

import contextlib
import importlib
import pickle
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from ..origin import Origin
from ..originals import io, json, os, time
from . import held_elsewhere, partial, process_settings, rebuild, session_state
from .changed_files import write_files
from .pieces import DamagedPiece, Pieces
from .reasons import NotRestored, reason_of
from .save import FORMAT

LOADING = "loading"


def restore(
    shell: Any,
    origin: Origin,
    manifest: dict[str, Any],
    pack: str,
    packages: Any = None,
    *,
    progress: str = "",
    is_in_cell: bool = False,
) -> dict[str, Any]:
    """Restore a manifest; return a report.

    pack: the file with the pieces, of which manifest["pack"] is the index; manifest["damaged"]: if
    they have been checked, those that are not what they are called by. progress: a file that
    holds the names that were being loaded if this process dies; "": `loading` beside the pack.
    packages: an AddedPackages; None: packages are not brought back.
    is_in_cell: the running cell asks for it.
    The report: `variables`, `files` and `packages` (how many), `seconds`, `missing`, pairs of a
    name and the reason, those included that had not been stored, `python`, the version of the
    variables if that is not this one: then only modules and files have come back; and `left`,
    {"names", "paths", "packages"} of what the checkpoint holds and is not here now.
    After an interrupt: `is_interrupted`, `variables`, and `files` if all are here.
    """
    started = time.monotonic()
    if manifest["format"] not in range(1, FORMAT + 1):
        raise ValueError("The checkpoint was taken by another version of aca-kernel.")
    index = {name: (one[0], one[1]) for name, one in manifest["pack"].items()}
    pieces = Pieces(pack, index, manifest.get("damaged"))
    progress = progress or os.path.join(os.path.dirname(pack), LOADING)
    try:
        with io.open(progress, "wb", buffering=0) as loading:
            loader = _Loader(shell, pieces, loading, packages)
            report: dict[str, Any] = {"missing": loader.missing}
            try:
                _restore(loader, origin, manifest, is_in_cell, report)
            except KeyboardInterrupt:
                report = {**report, "is_interrupted": True, "missing": []}
            report["variables"] = loader.count
    finally:
        rebuild.forget()
        pieces.close()
        os.unlink(progress)
    report["seconds"] = time.monotonic() - started
    return report


def _restore(
    loader: _Loader, origin: Origin, manifest: dict[str, Any], is_in_cell: bool, report: Any
) -> None:
    loader.missing += [(name, reason) for name, reason in manifest["skipped"]]
    written, told, paths = write_files(
        manifest["files"], loader.pieces, origin.directory, manifest["taken"]
    )
    loader.missing += told
    process = manifest["process"]
    directory = process["directory"]
    if directory is not None:
        directory = session_state.place_of(process, directory, origin)
    loader.missing += session_state.set_process_state(process, origin)
    report["packages"], lost = loader.packages(manifest, is_in_cell=is_in_cell)
    # Modules may have come that were looked for in vain before.
    importlib.invalidate_caches()
    report["files"] = written
    with _silent(), session_state.findable(directory):
        # Those that are early are set again: modules change settings when they are imported.
        stored = manifest["settings"]
        loader.settings(stored, is_early=True)
        loader.modules(manifest["imports"], manifest["submodules"])
        # Pickles hold bytecode, which changes with Python.
        if list(manifest["python"]) == list(sys.version_info[:2]):
            loader.variables(manifest["groups"])
            loader.settings(stored)
            loader.history(manifest["history"], is_in_cell)
            session_state.sort(loader.shell, manifest["order"])
        else:
            report["python"] = ".".join(str(part) for part in manifest["python"])
            loader.left += [name for group in manifest["groups"] for name in _names(group)]
    # Last: modules may lie in the directory that the process started in.
    loader.missing += session_state.set_directory(directory)
    report["left"] = {"names": loader.left, "paths": paths, "packages": lost}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Discard what modules and classes print while they are loaded.

    The streams themselves stay in their place: a module may keep one, or make a handler of it.
    """
    gates = []
    for stream in {id(one): one for one in (sys.stdout, sys.stderr)}.values():
        attributes = getattr(stream, "__dict__", None)
        if attributes is not None:  # another one is the user's own, and stays as it is
            gates += [_Gate(stream, name) for name in ("write", "writelines")]
    try:
        yield
    finally:
        for gate in gates:
            gate.open()


class _Gate:
    """A stream's method that does nothing until it is opened; whoever keeps it has the method."""

    def __init__(self, stream: Any, name: str) -> None:
        self._write = getattr(stream, name)
        self._is_shut = True
        self._attributes, self._name = vars(stream), name
        self._before = self._attributes.get(name)
        self._attributes[name] = self

    def __call__(self, text: Any) -> Any:
        """Write, or tell that it was done."""
        return len(text) if self._is_shut else self._write(text)

    def open(self) -> None:
        """Give the stream its method back."""
        self._is_shut = False
        del self._attributes[self._name]
        if self._before is not None:
            self._attributes[self._name] = self._before


class _Loader:
    """A loader into one namespace.

    count: variables and modules that have come back, of those that the user has named.
    missing: names that failed, with the reason. left: names that are not here now.
    """

    def __init__(self, shell: Any, pieces: Pieces, loading: Any, packages: Any = None) -> None:
        self.count = 0
        self.missing: list[tuple[str, str]] = []
        self.left: list[str] = []
        self.shell = shell
        self.pieces = pieces
        self._loading = loading
        self._packages = packages
        self._names: set[str] = set()
        rebuild.restore_into(shell.user_ns)

    def packages(self, manifest: dict[str, Any], *, is_in_cell: bool) -> tuple[int, list[str]]:
        """Install packages; return how many, and the names of those that have not come."""
        stored = manifest.get("packages")
        if not stored or self._packages is None:
            return 0, []
        count, missing, lost = self._packages.bring_back(stored, self.pieces, is_in_cell=is_in_cell)
        self.missing += missing
        return count, lost

    def modules(self, imports: list[tuple[str, str]], submodules: list[str]) -> None:
        """Import modules under the names that they had."""
        for name, module in imports:
            try:
                self.shell.user_ns[name] = importlib.import_module(module)
                self.count += 1
            except Exception as error:  # noqa: BLE001 - an import may raise anything
                self.missing.append((name, reason_of(error)))
                self.left.append(name)
        for module in submodules:
            if module not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)

    def variables(self, groups: list[dict[str, Any]]) -> None:
        """Load variables."""
        self._names = {name for group in groups for name in _names(group)}
        for group in groups:
            names = _names(group)
            self._loading.seek(0)
            self._loading.truncate()
            self._loading.write(json.dumps(names).encode("ascii"))
            values = self._load_whole(group)
            for aliases, (value, reason) in zip(group["names"], values):  # noqa: B905 - Python 3.9
                if reason:
                    told = map(held_elsewhere.told_name, aliases)
                    self.missing.extend((name, reason) for name in told)
                    self.left += aliases
                    continue
                for name in aliases:
                    if session_state.is_output(name):
                        self._set_output(name, value)
                    else:
                        self.shell.user_ns[name] = value
                self.count += sum(session_state.is_shown(name) for name in aliases)

    def _set_output(self, name: str, value: Any) -> None:
        rebuild.note(name, value)
        try:
            session_state.set_output(self.shell, name, value, self._names)
        except Exception as error:  # noqa: BLE001 - a library of another version
            self.missing.append((held_elsewhere.told_name(name), reason_of(error)))

    def _load_whole(self, group: dict[str, Any]) -> list[tuple[Any, str]]:
        """Return the values of a group, each with "" or the reason why it has not come back."""
        try:
            return [(value, "") for value in self._load(group)]
        except KeyboardInterrupt:  # of the user's
            raise
        except BaseException as error:  # noqa: BLE001 - the user's classes may raise anything
            reason = reason_of(error)
        count = len(group["names"])
        if count > 1 and _is_of_this_python(group):
            try:
                with self._open(group) as file:
                    known = "knows" in group
                    buffers, parts = _Buffers(self.pieces, group), group.get("parts", 1)
                    return partial.load(file, buffers, parts, known=known)
            except KeyboardInterrupt:  # of the user's
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                reason = reason_of(error)
        return [(None, reason)] * count

    def _load(self, group: dict[str, Any]) -> list[Any]:
        if not _is_of_this_python(group):
            version = ".".join(str(part) for part in group["python"])
            raise NotRestored(f"it was stored by Python {version}")
        with self._open(group) as file:
            # Stored by this user's own notebook, and loaded where its cells run.
            unpickler = pickle.Unpickler(file, buffers=_Buffers(self.pieces, group))  # noqa: S301
            if "knows" in group:
                unpickler.load()
            return [value for _ in range(group.get("parts", 1)) for value in unpickler.load()]

    def _open(self, group: dict[str, Any]) -> Any:
        """Return the pickles of a group as a file."""
        before = rebuild.NAMESPACE if "knows" in group else b""
        return self.pieces.open(group["stream"], before)

    def settings(self, stored: list[tuple[str, dict[str, Any]]], *, is_early: bool = False) -> None:
        """Restore settings of the process. is_early: only those that are set again later.

        Settings that hold the same object, such as a function of a cell, are one group.
        """
        for _, group in stored:
            names = [name for name in _names(group) if not is_early or _is_early(name)]
            if not names:
                continue
            failed: dict[str, Exception] = {}
            try:
                values = self._load(group)
            except Exception as error:  # noqa: BLE001 - a library of another version
                failed = dict.fromkeys(names, error)
            else:
                for each, value in zip(group["names"], values):  # noqa: B905 - since Python 3.10
                    # Others may be, or hold, the same function of a cell.
                    rebuild.note(each[0], value)
                    failed |= self._set(set(each).intersection(names), value)
            if not is_early:
                self.missing += [(name, reason_of(error)) for name, error in failed.items()]

    def _set(self, names: Iterable[str], value: Any) -> dict[str, Exception]:
        failed: dict[str, Exception] = {}
        for name in names:
            try:
                row = process_settings.row(name)
                row.write(importlib.import_module(row.module), value)
            except Exception as error:  # noqa: BLE001 - a library of another version
                failed[name] = error
        return failed

    def history(self, references: list[str], is_in_cell: bool) -> None:
        """Restore inputs, execution count and extensions."""
        try:
            state = json.loads(b"".join(self.pieces.read_all(references)))
        except DamagedPiece as error:
            self.missing.append(("In", str(error)))
            return
        session_state.set_history(self.shell, state, is_in_cell, self._names)
        for name in state["extensions"]:
            if name not in self.shell.extension_manager.loaded:
                try:
                    self.shell.extension_manager.load_extension(name)
                except Exception as error:  # noqa: BLE001 - an extension may raise anything
                    self.missing.append((f"the extension {name}", reason_of(error)))


def _is_early(name: str) -> bool:
    row = process_settings.ROWS.get(name)
    return row is not None and row.is_early


class _Buffers:
    """The buffers of a group. One that is damaged does not keep the others back."""

    def __init__(self, pieces: Pieces, group: dict[str, Any]) -> None:
        self._pieces = pieces
        self._left = iter(group.get("buffers", ()))

    def __iter__(self) -> _Buffers:
        return self

    def __next__(self) -> Any:
        size, references = next(self._left)
        return self._pieces.buffer(references, size)


def _is_of_this_python(group: dict[str, Any]) -> bool:
    here = list(sys.version_info[:2])
    return list(group.get("python", here)) == here


def _names(group: dict[str, Any]) -> list[str]:
    return [name for names in group["names"] for name in names]


def load_manifest(path: str) -> dict[str, Any]:
    """Read a manifest from a file."""
    with io.open(path, encoding="ascii") as file:
        manifest = json.load(file)
    return dict(manifest)
