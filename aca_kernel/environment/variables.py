"""Environment variables of remote kernels: what somebody has set for this kernel, and nothing else.

The table in docs/settings.md says what is passed where. Values are never logged.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from ..settings import AcaKernel

# What tools tell their users to set; passed to a pool on this machine whoever has set it. The last
# two lines: what voila tells a notebook about the request that it answers.
OF_TOOLS = (
    "IPYKERNEL_CELL_NAME MPLBACKEND TZ LANG LANGUAGE LC_* PYTHONHASHSEED PYTHONWARNINGS "
    "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS NUMEXPR_NUM_THREADS "
    "NUMEXPR_MAX_THREADS VECLIB_MAXIMUM_THREADS BLIS_NUM_THREADS NUMBA_NUM_THREADS "
    "RAYON_NUM_THREADS POLARS_MAX_THREADS "
    "QUERY_STRING PATH_INFO REQUEST_METHOD SCRIPT_NAME SERVER_NAME SERVER_PORT "
    "SERVER_PROTOCOL SERVER_SOFTWARE VOILA_*"
)

# Between Jupyter, this kernel and its remote kernels.
_OF_THE_KERNEL = "JPY_* ACA_* GLIBC_TUNABLES"

# About this machine: wrong elsewhere, and given by the environment itself. Passed by name only.
_OF_THE_MACHINE = (
    "HOME USER LOGNAME USERNAME SHELL PATH PWD OLDPWD SHLVL _ TMPDIR TEMP TMP HOSTNAME TERM* "
    "VIRTUAL_ENV* CONDA_* _CONDA_* PS1 LD_* DYLD_* XDG_* DBUS_* SSH_* DISPLAY WAYLAND_DISPLAY "
    "PYTHONHOME PYTHONPATH PYTHONEXECUTABLE PYTHONSTARTUP PYTHONUSERBASE PYTHONPYCACHEPREFIX "
    "JUPYTER* IPYTHONDIR VSCODE_* ELECTRON_* PYTEST_* "
    # Logins to Azure, which this kernel may have.
    "AZURE_* IDENTITY_* MSI_* ARM_*"
)

# Secrets are passed where a setting or a kernelspec names them, and not for having been set by
# a program that has perhaps set them for itself.
_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|COOKIE|(^|_)(PASS|PWD|AUTH|AUTHORIZATION|SAS|PAT|DSN)(_|$)"
    r"|CONNECTION_STRING|^(AWS|GOOGLE|GCP|GITHUB|GITLAB)_",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"://[^/\s@]*:[^/\s@]*@|-----BEGIN ")

_ENTRY = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=(.*)", re.ASCII)
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


def variables_to_pass(
    settings: AcaKernel,
    kernelspec: str,
    here: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> dict[str, str]:
    """Return the environment variables that remote kernels get.

    kernelspec: the folder of the kernelspec that this kernel was started by, if it is known.
    here, folder: its own variables and working directory; None: those of this process.
    """
    return select(
        dict(os.environ if here is None else here),
        settings,
        of_kernelspec=_names_in(kernelspec),
        parent=_environ_of_parent() if settings.place == "embedded" else None,
        folder=folder,
    )


def select(
    here: Mapping[str, str],
    settings: AcaKernel,
    *,
    of_kernelspec: Iterable[str] = (),
    parent: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> dict[str, str]:
    """Return those of this process's variables, and of the settings, that are passed on.

    of_kernelspec: names in its `env`. parent: variables of the process that has started this one
    by jupyter_client; None: unknown. folder: where files are looked for, None: where this runs.
    """
    pairs, patterns = settings.environment_words()
    names: set[str] = set()
    if settings.place == "embedded":
        names.update(_matching(here, OF_TOOLS.split()))
        names.update(_different(here, parent))
    names.update(name for name in of_kernelspec if name in here and not _is_local(name))
    passed = {name: here[name] for name in names}
    if settings.environment_file:
        passed |= _read_file(settings.environment_file, here, folder)
    passed |= {name: here[name] for name in _matching(here, patterns)}
    passed |= pairs
    return {
        name: value
        for name, value in passed.items()
        if not _is_one_of(name, _OF_THE_KERNEL) and _is_text(name + value)
    }


def _matching(here: Mapping[str, str], patterns: Iterable[str]) -> set[str]:
    """Return the names that match; this machine's own only where they are named in full."""
    found: set[str] = set()
    for pattern in patterns:
        if re.fullmatch(r"\w+", pattern):
            found.update({pattern} & here.keys())
        else:
            found.update(x for x in here if fnmatchcase(x, pattern) and not _is_local(x))
    return found


def _different(here: Mapping[str, str], parent: Mapping[str, str] | None) -> set[str]:
    """Return what was set for this kernel, as by `start_kernel(env=…)`: its parent has it not.

    A variable that the parent has set for itself meanwhile looks the same.
    """
    if parent is None:
        return set()
    return {
        name
        for name, value in here.items()
        if parent.get(name) != value
        and not _is_local(name)
        and not _SECRET_NAME.search(name)
        and not _SECRET_VALUE.search(value)
    }


def _is_local(name: str) -> bool:
    return _is_one_of(name, _OF_THE_MACHINE)


def _is_one_of(name: str, patterns: str) -> bool:
    """Tell whether a name is among words of which some end in `*`, for what begins so.

    An expression for each of them would be compiled at each start, in ten milliseconds.
    """
    words = patterns.split()
    starts = tuple(word[:-1] for word in words if word.endswith("*"))
    return name in words or name.startswith(starts)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes in another encoding: no JSON
        return False
    return True


def _names_in(kernelspec: str) -> list[str]:
    """Return the names in the `env` of a kernelspec; whoever starts it has set their values."""
    try:
        spec = json.loads(Path(kernelspec, "kernel.json").read_text(encoding="utf-8"))
        return [str(name) for name in spec["env"]]
    except (OSError, ValueError, TypeError, KeyError):  # there is none, or it is not one
        return []


def _environ_of_parent() -> dict[str, str] | None:
    """Return what the process that has started this one by jupyter_client was started with."""
    parent = os.getppid()
    if os.environ.get("JPY_PARENT_PID") != str(parent):
        return None
    try:
        entries = Path(f"/proc/{parent}/environ").read_bytes().split(b"\0")
    except OSError:  # no such file system, or another user's process
        return None
    pairs = (os.fsdecode(entry).partition("=") for entry in entries if entry)
    return {name: value for name, _, value in pairs}


# -- files of variables ----------------------------------------------------------------


def _read_file(path: str, here: Mapping[str, str], folder: str | None) -> dict[str, str]:
    """Read a file such as VS Code's `.env`; empty if there is none.

    path: a relative one is looked for in the working directory and the folders above it.
    """
    directory = Path.cwd() if folder is None else Path(folder)
    for one in (directory, *directory.parents):
        try:
            text = (one / Path(path).expanduser()).read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            continue
        return parse_file(text, here)
    return {}


def parse_file(text: str, here: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file: a `NAME=VALUE` a line, with quotes and `${OTHER}`.

    here: what `${OTHER}` may mean beside variables of the file.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry is not None:
            found[entry[1]] = _value(entry[2], {**here, **found})
    return found


def _value(written: str, known: Mapping[str, str]) -> str:
    quoted = re.match(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""", written.lstrip())
    if quoted is not None and quoted[1] is not None:
        return quoted[1]
    if quoted is not None:
        value = re.sub(r"\\.", lambda one: _ESCAPES.get(one[0], one[0]), quoted[2])
    else:
        value = re.split(r"\s#", written)[0].strip()
    return _REFERENCE.sub(lambda one: known.get(one[1], ""), value)
