"""The first step of a start: settings, directory and the first sandbox's processes.

Uses the standard library's small modules only, so that the first session comes up while
the second step (service.py) is still importing its server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .directories import PoolDirectory
from .sandbox import SandboxLauncher, destroy

if TYPE_CHECKING:
    from .options import PoolOptions
    from .sandbox import Sandbox


@dataclass
class Prepared:
    """What exists before there is an event loop."""

    options: PoolOptions
    directory: PoolDirectory
    launcher: SandboxLauncher
    first: Sandbox | None


def prepare(options: PoolOptions) -> Prepared:
    """Make the pool's directory and start the first of its ready sessions.

    Raises SettingInvalid: a setting cannot work on this machine.
    """
    directory = PoolDirectory()
    try:
        launcher = SandboxLauncher(options, directory.path, directory.short)
        first = launcher.start(directory.new_session()) if options.ready_sessions else None
    except BaseException:  # Ctrl-C too: the directory is nobody's yet
        directory.close()
        raise
    return Prepared(options, directory, launcher, first)


def discard(sandbox: Sandbox) -> None:
    """End a sandbox that never became a session."""
    sandbox.control.close()
    sandbox.lane.close()
    destroy(sandbox)


def abandon(prepared: Prepared) -> None:
    """Take everything back: the second step failed."""
    if prepared.first is not None:
        discard(prepared.first)
    prepared.directory.close()
