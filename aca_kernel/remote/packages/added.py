"""What cells have added to the packages of an environment: kept by checkpoints, and brought back.

A package of an index is kept by its name and version, and installed again. One from elsewhere (a
wheel, a folder, a repository) is kept by the files that it has installed: nobody could build it
again without what it was made of. A restore installs before it loads anything, because variables
and modules need their packages.

In a manifest: {"pinned": [[name, version]], "kept": [{"package", "path", "mode", "pieces"}]}.
"""

from __future__ import annotations

import os
import site
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ..asking import asking
from ..paged_files import FileProblem
from ..wrapping import tell
from . import distributions
from .before_cells import InstallProgress
from .distributions import Distribution
from .installer import Installer, InstallFailed, without_credentials
from .parts import install_what_there_is, reason

# Packages from elsewhere are small, as a rule; an index has the large ones.
_MOST_KEPT_BYTES = 50_000_000

_NO_KERNEL = "Python's kernel may not start with it"

# Imports what a remote kernel does.
_START = "import sys; sys.path.insert(0, sys.argv[1]); import zmq, IPython, ipykernel.kernelapp"
_START_SECONDS = 60


class AddedPackages:
    """The packages of one remote kernel's environment, beyond its image.

    image: the versions of what was found first.
    """

    def __init__(self, image: dict[str, str], installer: Installer, calls_path: str) -> None:
        self._installer = installer
        self._calls_path = calls_path
        self._image = image

    def found(self) -> list[Distribution]:
        """Return what was added."""
        return distributions.added(self._image)

    # -- storing -----------------------------------------------------------------

    def take(self, pack: Any, skipped: list[tuple[str, str]]) -> dict[str, Any]:
        """Return the entry of a manifest. pack: takes files. skipped: told what is not kept."""
        pinned: list[list[str]] = []
        kept: list[dict[str, Any]] = []
        left = _MOST_KEPT_BYTES
        for one in self.found():
            source = one.direct_url()
            if not source:
                pinned.append([one.name, one.version])
                continue
            files = list(_files_of(one))
            size = sum(status.st_size for _, status in files)
            reason = _reason_against(source)
            if not files:
                reason = "its installation does not list its files"
            elif size > left:
                limit = f"{_MOST_KEPT_BYTES / 1e6:.0f} MB"
                reason = f"packages from no index together are larger than {limit}"
            if reason:
                skipped.append((f"{one.name} {one.version}", reason))
                continue
            left -= size
            kept += [_entry(one, path, status, pack) for path, status in files]
        return {"pinned": pinned, "kept": kept}

    # -- bringing back -------------------------------------------------------------

    def bring_back(
        self, stored: dict[str, Any], pieces: Any, *, is_in_cell: bool
    ) -> tuple[int, list[tuple[str, str]], list[str]]:
        """Install what is not there; return how many came, what did not with why, and its names.

        pieces: gives files. is_in_cell: a cell asks for it, and its output is the place for
        progress. Raises KeyboardInterrupt when an installer has ended.
        """
        here = distributions.find()

        def is_there(name: str, version: str) -> bool:
            return name in here and here[name].version == version

        failed: dict[str, tuple[str, str]] = {}
        count = self._write_kept(stored, pieces, is_there, failed)
        pinned = [(str(name), str(version)) for name, version in stored["pinned"]]
        wanted = [one for one in pinned if not is_there(*one)]
        if wanted:
            progress = InstallProgress([f"{name} {version}" for name, version in wanted])
            progress.show = tell if is_in_cell else self._tell_waiting
            reasons = self._refused(wanted, progress.tell)
            allowed = [one for one in wanted if one not in reasons]
            reasons.update(self._install_all(allowed, progress.tell) if allowed else {})
            failed.update({name: (version, reasons[name, version]) for name, version in reasons})
            count += len(wanted) - len(reasons)
        missing = [(f"{name} {version}", why) for name, (version, why) in failed.items()]
        return count, missing, list(failed)

    def _refused(
        self, wanted: list[tuple[str, str]], show: Callable[[str], None]
    ) -> dict[tuple[str, str], str]:
        """Try what the image has in another version and this process is made of.

        With a wrong version of traitlets, say, no remote kernel would start here any more, and each
        death of one would cost an environment. Returns what is not to be installed, with why.
        """
        needed = _needed_by_kernels()
        risky = [one for one in wanted if one[0] in self._image and one[0] in needed]
        if not risky:
            return {}
        with tempfile.TemporaryDirectory(prefix="aca-packages-") as folder:
            requirements = [f"{name}=={version}" for name, version in risky]
            try:
                self._installer.install(requirements, is_exact=True, target=folder, tell=show)
            except InstallFailed:
                return {}  # the installation of all will fail, too, and tell why
            if _kernel_starts_with(folder):
                return {}
        return dict.fromkeys(risky, _NO_KERNEL)

    def _install_all(
        self, wanted: list[tuple[str, str]], show: Callable[[str], None]
    ) -> dict[tuple[str, str], str]:
        """Install as much as there is to be had; return the reasons of the others."""
        deadline = time.monotonic() + self._installer.most_seconds
        of_text = {f"{name}=={version}": (name, version) for name, version in wanted}

        def install(group: list[str]) -> None:
            self._installer.install(group, is_exact=True, deadline=deadline, tell=show)

        failed = install_what_there_is(list(of_text), install, deadline)
        return {of_text[text]: reason(error) for text, error in failed.items()}

    def _tell_waiting(self, sentence: str) -> None:
        """Have the kernel show a sentence with the cell that waits for the restore."""
        with suppress(FileProblem), asking(self._calls_path) as asked:
            asked.send("packages_told", text=sentence)

    def _write_kept(
        self,
        stored: dict[str, Any],
        pieces: Any,
        is_there: Callable[[str, str], bool],
        failed: dict[str, tuple[str, str]],
    ) -> int:
        base = sysconfig.get_path("purelib")
        inside = os.path.realpath(sys.prefix) + os.sep
        needed = _needed_by_kernels() if stored["kept"] else set()
        written: set[str] = set()
        for entry in stored["kept"]:
            name, version = (str(one) for one in entry["package"])
            if is_there(name, version) or name in failed:
                continue
            if name in self._image and name in needed:
                failed[name] = version, _NO_KERNEL
                continue
            path = os.path.normpath(os.path.join(base, entry["path"]))
            try:
                _write(path, inside, b"".join(pieces.read_all(entry["pieces"])), entry["mode"])
            except Exception as error:  # noqa: BLE001 - a damaged piece, too: the others come
                failed[name] = version, getattr(error, "strerror", None) or str(error)
                continue
            written.add(name)
            if path.endswith(".pth") and os.path.dirname(path) == os.path.normpath(base):
                # As at a start of Python, which only then looks at it.
                site.addpackage(base, os.path.basename(path), None)
        return len(written - set(failed))


def _reason_against(source: dict[str, Any]) -> str:
    """Return why a package from elsewhere does not come back by its files; empty if it does."""
    info = source.get("dir_info")
    if not isinstance(info, dict) or not info.get("editable"):
        return ""
    place = urllib.parse.urlsplit(str(source.get("url", "")))
    folder = os.path.realpath(urllib.parse.unquote(place.path))
    here = os.path.realpath(os.getcwd())
    if folder == here or folder.startswith(here + os.sep):
        return ""
    return "it is installed from a folder that is not kept"


def _needed_by_kernels() -> set[str]:
    """Return the packages that ipykernel is made of."""
    found: set[str] = set()
    left = {"ipykernel"}
    while left:
        found |= left
        left = {one for name in left for one in distributions.needs(name)} - found
    return found


def _kernel_starts_with(folder: str) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _START, folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_START_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _files_of(one: Distribution) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the paths of a package's files below the folder that it lies in, as it lists them."""
    base = os.path.dirname(one.folder)
    for path in one.files():
        if "__pycache__" in path or os.path.isabs(path):
            continue
        with suppress(OSError):  # removed since
            status = os.stat(os.path.join(base, path))
            if stat.S_ISREG(status.st_mode):
                yield path, status


def _entry(one: Distribution, path: str, status: os.stat_result, pack: Any) -> dict[str, Any]:
    with open(os.path.join(os.path.dirname(one.folder), path), "rb") as file:
        data = file.read()
    if os.path.basename(path) == "direct_url.json":
        # Installers are to leave them out, and not all do.
        data = without_credentials(data.decode("utf-8", "replace")).encode("utf-8")
    return {
        "package": [one.name, one.version],
        "path": path,
        "mode": stat.S_IMODE(status.st_mode),
        "pieces": pack.add_all(memoryview(data)),
    }


def _write(path: str, inside: str, data: bytes, mode: int) -> None:
    """Write a file below a folder. Raises OSError."""
    if not os.path.realpath(path).startswith(inside):
        raise OSError("it lies outside of this Python")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode & 0o777)
