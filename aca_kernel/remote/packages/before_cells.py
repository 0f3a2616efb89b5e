"""Installation of what a notebook asks for, before its first cell or the cell that asks.

The setting `packages` is read by the kernel on the user's machine, which is asked for it before
the first cell of an environment. A cell's script metadata is read here, before the cell runs; the
kernel is told of it, so that an environment after this one has the packages from the start. What is
there in a fitting version is left alone; a failure is one sentence, and the cells run all the
same. What was done in this environment is noted in the agent's folder, for the remote kernel after
this one.

Needs IPython.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from typing import Any

from ..asking import asking, cell_of
from ..paged_files import FileProblem
from ..wrapping import tell
from . import distributions, script_metadata
from .installer import Installer, InstallFailed, interruptible, without_credentials
from .parts import install_what_there_is, reason
from .script_metadata import ScriptMetadata
from .unmet import fits_python, unmet

_DONE = "packages-done"

# Among what is done: the setting. Metadata is known by its hash.
_SETTING = "setting"

# So many packages are named in a sentence.
_MOST_NAMES = 8


class PackagesFirst:
    """Installs before cells.

    config, calls_path: see NotebookPackages.
    """

    def __init__(self, installer: Installer, config: dict[str, Any], calls_path: str) -> None:
        self._installer = installer
        self._calls_path = calls_path
        self._done_path = os.path.join(os.path.dirname(calls_path), _DONE)
        self._done = self._read_done()
        self._is_setting_due = bool(config.get("wanted")) and _SETTING not in self._done
        notebook = config.get("notebook")
        self._notebook = None if notebook is None else _metadata_of(notebook)

    def before(self, code: str, kernel: Any) -> None:
        """Install what is due before a cell. Raises KeyboardInterrupt when an installer has ended.

        code: of the cell. kernel: the ipykernel.
        """
        with interruptible():
            self._before(code, cell_of(kernel))

    def _before(self, code: str, msg_id: str) -> None:
        if self._is_setting_due:
            self._is_setting_due = False
            self._note(_SETTING)
            self._install_setting(msg_id)
        notebook, self._notebook = self._notebook, None
        if notebook is not None:
            self._install_metadata(notebook, "This notebook")
        try:
            wanted = script_metadata.of_cell(code)
        except script_metadata.MetadataInvalid as error:
            tell(f"Nothing was installed for this cell: {error}.")
            return
        if wanted is not None:
            if wanted != notebook:
                self._remember(wanted, msg_id)
            self._install_metadata(wanted, "This cell")

    def _install_metadata(self, wanted: ScriptMetadata, who: str) -> None:
        key = hashlib.sha256(repr(wanted).encode()).hexdigest()
        if key not in self._done:
            self._install(wanted.requirements, (), wanted.requires_python, who, wanted.indexes)
            self._note(key)

    def _remember(self, wanted: ScriptMetadata, msg_id: str) -> None:
        """Tell the kernel, which tells the environment after this one."""
        with contextlib.suppress(FileProblem), asking(self._calls_path, msg_id) as asked:
            asked.send("packages_asked", **wanted.told())

    def _install_setting(self, msg_id: str) -> None:
        try:
            with asking(self._calls_path, msg_id) as asked:
                head = asked.ask("packages").head
        except FileProblem as error:
            tell(f"The setting `packages` was not read: {error}")
            return
        if head.get("told"):
            tell(str(head["told"]))
        self._install(
            [str(one) for one in head.get("requirements", ())],
            [str(one) for one in head.get("constraints", ())],
            str(head.get("python", "")),
            "The setting `packages`",
            (),
        )

    def _install(
        self, requirements: Any, constraints: Any, python: str, who: str, indexes: Any
    ) -> None:
        """Install what is missing and say so. who: asks for it, at the head of a sentence."""
        fits = fits_python(python) if python else True
        if fits is None:
            tell(
                f"{who} asks for Python {python}, which says no versions: write one such as "
                '">=3.10".'
            )
        elif not fits:
            tell(
                f"{who} asks for Python {python}, and the environment has "
                f"{platform.python_version()}. Cells run with that."
            )
        left = unmet(requirements, constraints)
        if not left:
            return
        started = time.monotonic()
        before = {name: one.version for name, one in distributions.find().items()}
        deadline = started + self._installer.most_seconds
        progress = InstallProgress(left).tell

        def install(group: list[str]) -> None:
            # With what is there already, so that it keeps a fitting version.
            wanted = [one for one in requirements if one in group or one not in left]
            self._installer.install(
                wanted, constraints, indexes=indexes, deadline=deadline, tell=progress
            )

        try:
            failed = install_what_there_is(left, install, deadline)
        except KeyboardInterrupt:
            tell(f"Interrupted: {_listed(left)} {'is' if len(left) == 1 else 'are'} not installed.")
            raise
        came = [f"{one.name} {one.version}" for one in distributions.added(before)]
        if came:
            tell(f"Installed in {time.monotonic() - started:.1f} s: {_listed(came)}.")
        for sentence in failure_sentences(who, failed):
            tell(sentence)

    def _read_done(self) -> set[str]:
        try:
            with open(self._done_path, encoding="ascii") as file:
                return set(map(str, json.load(file)))
        except (OSError, ValueError):
            return set()

    def _note(self, key: str) -> None:
        self._done.add(key)
        # No room, or the folder is gone: the next remote kernel looks once more.
        with contextlib.suppress(OSError), open(self._done_path, "w", encoding="ascii") as file:
            json.dump(sorted(self._done), file)


class InstallProgress:
    """Sentences about an installation that takes long. show: shows one with the cell."""

    def __init__(self, requirements: list[str]) -> None:
        self.show = tell
        self._requirements = requirements

    def tell(self, step: str) -> None:
        """Say what is being done; first, what for."""
        first, self._requirements = self._requirements, []
        if first:
            self.show(f"Installing {_listed(first)}; the cell runs when that is done.")
        if step:
            self.show(f"{step} …")


def failure_sentences(who: str, failed: dict[str, InstallFailed]) -> list[str]:
    """Return a sentence for each reason why something could not be installed."""
    by_reason: dict[str, list[str]] = {}
    for requirement, error in failed.items():
        by_reason.setdefault(reason(error), []).append(requirement)
    return [
        f"{who} asks for {_listed(names)}, which could not be installed: {why}."
        for why, names in by_reason.items()
    ]


def _listed(names: list[str]) -> str:
    shown = without_credentials(", ".join(names[:_MOST_NAMES]))
    more = len(names) - _MOST_NAMES
    return shown if more <= 0 else f"{shown} and {more} more"


def _metadata_of(told: dict[str, Any]) -> ScriptMetadata:
    return ScriptMetadata(tuple(told["requirements"]), str(told["python"]), tuple(told["indexes"]))
