"""Keep a file with a secret in it out of git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from ..batch.atomic_write import write_whole
from .kernelspec import NotWritable

# A slow disk; none of these commands asks the network for anything.
_TIMEOUT_SECONDS = 20.0


def repository_of(path: Path) -> Path | None:
    """Return the root of the git repository that a file lies in, or would; None: in none."""
    for folder in _absolute(path).parents:
        # A file in worktrees and submodules.
        if (folder / ".git").exists():
            return folder
    return None


def keep_out_of_git(repository: Path, path: Path) -> Path | None:
    """Add a file to the repository's .gitignore, unless git ignores it already.

    Returns the .gitignore if it was changed. Raises NotWritable.
    """
    relative = _absolute(path).relative_to(repository).as_posix()
    ignore = repository / ".gitignore"
    # Characters with a meaning there. Source: gitignore(5), "PATTERN FORMAT".
    line = "/" + re.sub(r"([\\*?\[\]]| $)", r"\\\1", relative)
    try:
        text = ignore.read_bytes().decode("utf-8") if ignore.exists() else ""
        status = _git(repository, "check-ignore", "--quiet", "--no-index", "--", relative)
        # Git knows all sources of patterns; without it, the .gitignore decides.
        if status == 0 or (status != 1 and line in text.splitlines()):
            return None
        end = "\r\n" if "\r\n" in text else "\n"
        text += end if text and not text.endswith("\n") else ""
        write_whole(ignore, f"{text}{line}{end}")
    except (OSError, UnicodeDecodeError) as error:
        raise NotWritable(
            f"{ignore} cannot be changed, so that the key would end up in git: nothing was "
            "written. Add the file to it yourself, or leave --embed-key out."
        ) from error
    return ignore


def is_tracked(repository: Path, path: Path) -> bool:
    """Tell whether git has a file already, so that ignoring it does not help."""
    relative = _absolute(path).relative_to(repository).as_posix()
    return (
        _git(repository, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", relative) == 0
    )


def _git(repository: Path, *words: str) -> int | None:
    """Run git; return its exit status, None if there is no git."""
    git = shutil.which("git")
    if git is None:
        return None
    # A hook's variables would lead to another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [git, "-C", str(repository), *words],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode


def _absolute(path: Path) -> Path:
    """Return a path without symlinks in its folders; the file itself may be one."""
    return path.parent.resolve() / path.name
