"""The pool's own Python environment, as the sessions are to see it.

A session gets a thin virtual environment of its own, writable and thrown away with
it, that shows the packages of the pool's environment behind its own ones. So cells
see the same packages as the kernel, and `pip install` in a cell works although
the real environment is read-only: pip installs into the thin one and leaves
alone what it finds "outside environment".
"""

from __future__ import annotations

import os
import site
import sys
from dataclasses import dataclass

# The thin environment, under the session's home.
NAME = ".session-env"
# Where a sandbox has places of its own: nothing may be mounted over these.
_SESSION_PLACES = ("/tmp", "/var/tmp", "/mnt/data", "/home/ubuntu", "/proc", "/dev", "/run")  # noqa: S108
_HIDDEN_PREFIXES = ("ipykernel", "zmq", "pyzmq")  # what the no_ipykernel quirk hides
_PIP = '#!/bin/sh\nexec "${0%/*}/python" -m pip "$@"\n'


@dataclass(frozen=True)
class PythonEnvironment:
    """Where the pool's Python and its packages are.

    executable: the base interpreter, symbolic links resolved.
    prefix, programs: of the environment itself, e.g. of a virtual one.
    site_directories: package directories, whose .pth files are to be honoured.
    module_path: further directories of PYTHONPATH.
    visible: every directory or file that a sandbox must see, read-only.
    """

    executable: str
    prefix: str
    programs: str
    site_directories: tuple[str, ...]
    module_path: tuple[str, ...]
    visible: tuple[str, ...]


def find() -> PythonEnvironment:
    """Describe the environment that this process runs in."""
    executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    site_directories = [path for path in site.getsitepackages() if os.path.isdir(path)]
    user_site = site.getusersitepackages() if site.ENABLE_USER_SITE else None
    if user_site and os.path.isdir(user_site):
        site_directories.append(user_site)
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    module_path = [
        os.path.abspath(path)
        for path in given
        if os.path.isdir(path) and _may_be_shown(os.path.abspath(path), site_directories)
    ]
    wanted = [executable, os.path.dirname(os.__file__), *site_directories, *module_path]
    for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix):
        wanted += _parts(prefix)
    # sys.path[0] is the directory of a script or, for -m, the current one.
    for path in sys.path[1:]:
        if os.path.exists(path) and _may_be_shown(path, site_directories):
            wanted.append(path)
    wanted += _editable_packages()
    return PythonEnvironment(
        executable=executable,
        prefix=sys.prefix,
        programs=os.path.join(sys.prefix, "bin"),
        site_directories=tuple(site_directories),
        module_path=tuple(module_path),
        visible=_outermost(wanted),
    )


def _parts(prefix: str) -> list[str]:
    """Return a prefix, or its Python parts where the whole would show the user's home."""
    if is_too_wide(prefix):
        names = ("bin", "lib", "lib64", "include", "share/jupyter", "pyvenv.cfg")
        return [path for name in names if os.path.exists(path := os.path.join(prefix, name))]
    return [prefix]


def is_too_wide(path: str) -> bool:
    """Tell whether showing this directory would show the user's home, or hide the session's."""
    real = os.path.realpath(path)
    kept = [os.path.realpath(os.path.expanduser("~")), *_SESSION_PLACES]
    return any(place == real or place.startswith(real.rstrip(os.sep) + os.sep) for place in kept)


def _may_be_shown(path: str, site_directories: list[str]) -> bool:
    """Refuse what is on sys.path by accident: the home directory and the current one.

    The current one is meant if an editable install named it.
    """
    if is_too_wide(path):
        return False
    is_current = os.path.realpath(path) == os.path.realpath(os.getcwd())
    return not is_current or _is_installed_editable(path, site_directories)


def _is_installed_editable(path: str, site_directories: list[str]) -> bool:
    for directory in site_directories:
        for name in os.listdir(directory):
            if name.endswith(".pth"):
                with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as f:
                    if path in f.read().splitlines():
                        return True
    return False


def _editable_packages() -> list[str]:
    """Return the sources of packages that an editable install maps by an import hook."""
    found = []
    for name, module in list(sys.modules.items()):
        mapping = getattr(module, "MAPPING", None)
        if name.startswith("__editable__") and isinstance(mapping, dict):
            found += [path for path in mapping.values() if os.path.exists(path)]
    return found


def _outermost(paths: list[str]) -> tuple[str, ...]:
    """Return each path and what it resolves to, without those inside another one."""
    every = sorted({path for given in paths for path in (given, os.path.realpath(given))})
    kept: list[str] = []
    for path in every:
        if not any(path == outer or path.startswith(outer + os.sep) for outer in kept):
            kept.append(path)
    return tuple(kept)


def make_thin_environment(
    environment: PythonEnvironment, home: str, seen_as: str, *, hide_ipykernel: bool = False
) -> None:
    """Create the thin virtual environment in a session's home directory.

    seen_as: the path of `home` inside the sandbox.
    """
    root = os.path.join(home, NAME)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = os.path.join(root, "lib", version, "site-packages")
    programs = os.path.join(root, "bin")
    os.makedirs(packages)
    os.mkdir(programs)
    os.symlink("lib", os.path.join(root, "lib64"))
    for name in ("python", "python3", version):
        os.symlink(environment.executable, os.path.join(programs, name))
    for name in ("pip", "pip3"):
        _write(os.path.join(programs, name), _PIP, mode=0o755)
    number = ".".join(map(str, sys.version_info[:3]))
    _write(
        os.path.join(root, "pyvenv.cfg"),
        f"home = {os.path.dirname(environment.executable)}\n"
        f"include-system-site-packages = false\nversion = {number}\n",
    )
    directories = list(environment.site_directories)
    if hide_ipykernel:
        directories = [
            _link_all_but_ipykernel(path, root, f"packages{index}", seen_as)
            for index, path in enumerate(directories)
        ]
    # Packages come in through a .pth file, so that the .pth files there count too.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in directories]
    _write(os.path.join(packages, "_pool_environment.pth"), "".join(lines))


def _link_all_but_ipykernel(source: str, root: str, name: str, seen_as: str) -> str:
    """Return, as the sandbox sees it, a directory of links to all packages but those."""
    target = os.path.join(root, name)
    os.mkdir(target)
    for entry in os.listdir(source):
        if not entry.lower().startswith(_HIDDEN_PREFIXES):
            os.symlink(os.path.join(source, entry), os.path.join(target, entry))
    return os.path.join(seen_as, NAME, name)


def _write(path: str, text: str, *, mode: int = 0o644) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
