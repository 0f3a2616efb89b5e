"""The uv of an environment: its own, or one that it is given as a wheel, apart from its packages.

It stays for the environment's life, as uv's cache does, and is no package of any Python there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from .. import agent_folder

# In the folder for temporary files; a name with a dot outlives `rm -rf /tmp/*`.
_FOLDER = ".aca-uv-{uid}"


def find() -> str:
    """Return the path of uv, empty if there is none."""
    for path in (os.path.join(os.path.dirname(sys.executable), "uv"), _given()):
        if os.access(path, os.X_OK):
            return path
    return shutil.which("uv") or ""


def make_folder() -> str:
    """Return a folder of this user alone to install uv into. Raises OSError: there is none."""
    folder = _folder()
    agent_folder.make(folder)
    return folder


def _given() -> str:
    folder = _folder()
    return os.path.join(folder, "bin", "uv") if agent_folder.is_own(folder) else ""


def _folder() -> str:
    return os.path.join(tempfile.gettempdir(), _FOLDER.format(uid=os.geteuid()))
