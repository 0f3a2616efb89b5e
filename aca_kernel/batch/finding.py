"""Notebooks that a command line names, and the path of each one's output."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import SettingInvalid

_SUFFIX = ".ipynb"


@dataclass(frozen=True)
class Job:
    """A notebook to run.

    source, output: absolute paths, the same for a notebook that is run in place.
    name: in messages and reports. other_names: of the same file, which reports have as well.
    """

    source: str
    output: str
    name: str
    other_names: tuple[str, ...] = ()


def find_jobs(words: Sequence[str], output_dir: str | None) -> list[Job]:
    """Return the notebooks that a command line names, each once, in its order.

    words: notebooks, folders (searched with their subfolders) and patterns.
    output_dir: None to run in place. Below it, outputs keep the paths of the notebooks relative
    to the current folder, or to the common folder of all if some lie elsewhere.
    Raises SettingInvalid: no notebook is there, or an output would overwrite one.
    """
    outputs = os.path.abspath(output_dir) if output_dir is not None else None
    # A file with two names is run once, by the first; a dictionary keeps the order of the others.
    sources: dict[str, dict[str, None]] = {}
    for word in words:
        for path in _expand(word, outputs):
            absolute = os.path.abspath(path)
            sources.setdefault(os.path.realpath(absolute), {})[absolute] = None
    here = os.getcwd()
    named = (list(paths) for paths in sources.values())
    names = {paths[0]: [_name(path, here) for path in paths] for paths in named}
    found = list(names)
    if outputs is None:
        return [Job(path, path, name, tuple(more)) for path, (name, *more) in names.items()]
    base = here
    if not all(_is_below(path, here) for path in found):
        base = _common_folder(found)
    jobs = [
        Job(path, os.path.join(outputs, os.path.relpath(path, base)), name, tuple(more))
        for path, (name, *more) in names.items()
    ]
    overwritten = next((job for job in jobs if os.path.realpath(job.output) in sources), None)
    if overwritten is not None:
        raise SettingInvalid(
            f"The output of {overwritten.name} would overwrite a notebook: choose another "
            "--output-dir, or --inplace if that is meant."
        )
    return jobs


def make_folders(jobs: Sequence[Job]) -> None:
    """Make the folders of the outputs, before anything runs.

    Raises SettingInvalid: one cannot be made or written, or an output is a folder.
    """
    for job in jobs:
        if os.path.isdir(job.output):
            raise SettingInvalid(
                f"The output {job.output} cannot be written: there is a folder of this name. "
                "Remove it, or choose another --output-dir."
            )
    for folder in sorted({os.path.dirname(job.output) for job in jobs}):
        reason = make_folder(folder)
        if reason:
            raise SettingInvalid(
                f"Outputs cannot be written to the folder {folder} ({reason}): choose another "
                "--output-dir, or make it writable."
            )


def make_folder(folder: str) -> str:
    """Make a folder, if it is not there; return why it cannot be written to, "" if it can."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        return (error.strerror or "it cannot be made").lower()
    return "" if os.access(folder, os.W_OK | os.X_OK) else "permission denied"


def _expand(word: str, outputs: str | None) -> Iterator[str]:
    if not word:
        raise SettingInvalid(
            "The name of a notebook is empty: check the command line, for a variable that is not "
            "set perhaps."
        )
    if os.path.isfile(word):
        if not word.endswith(_SUFFIX):
            raise SettingInvalid(f"{word} is no notebook: its name does not end in {_SUFFIX}.")
        yield word
        return
    folder = os.path.abspath(word)
    if os.path.isdir(word):
        paths = list(_below(word))
        missing = f"There is no notebook in the folder {word!r}."
    elif glob.has_magic(word):
        paths = sorted(path for path in glob.glob(word, recursive=True) if _is_notebook(path))
        magic_at = next(n for n in range(len(folder)) if glob.has_magic(folder[n]))
        folder = os.path.dirname(folder[:magic_at])
        missing = f"No notebook matches {word}: check the pattern, and the current folder."
    else:
        raise SettingInvalid(f"There is no notebook {word}: check the path.")
    if outputs is not None and not _is_below(folder, outputs):
        # Outputs of an earlier run are no inputs of this one.
        paths = [path for path in paths if not _is_below(os.path.abspath(path), outputs)]
    if not paths:
        raise SettingInvalid(missing)
    yield from paths


def _below(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        # Among hidden folders are JupyterLab's .ipynb_checkpoints and virtual environments.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(parent, name)
            if _is_notebook(path):
                yield path


def _refuse(error: OSError) -> None:
    raise SettingInvalid(
        f"The folder {error.filename} cannot be searched for notebooks: {error.strerror}. Make it "
        "readable, or name the others."
    ) from error


def _is_notebook(path: str) -> bool:
    name = os.path.basename(path)
    return name.endswith(_SUFFIX) and not name.startswith(".") and os.path.isfile(path)


def _common_folder(paths: Sequence[str]) -> str:
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError as error:
        raise SettingInvalid(
            "The notebooks lie on several drives, so that no folder holds them all: run those of "
            "each drive by themselves, or give --inplace."
        ) from error


def _is_below(path: str, folder: str) -> bool:
    try:
        common = os.path.commonpath([path, folder])
    except ValueError:  # on another drive of Windows
        return False
    return os.path.normcase(common) == os.path.normcase(folder)


def _name(path: str, here: str) -> str:
    return os.path.relpath(path, here) if _is_below(path, here) else path
