"""An installation of which a part may fail: what can be had is installed all the same."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from .distributions import normalized
from .installer import InstallFailed, name_of


def install_what_there_is(
    requirements: list[str], install: Callable[[list[str]], object], deadline: float
) -> dict[str, InstallFailed]:
    """Install together what can be; return the others, each with its failure.

    install: installs some of them. Raises what that raises but InstallFailed. deadline: of
    time.monotonic; nothing more is tried after it.
    """
    failed: dict[str, InstallFailed] = {}
    groups = [requirements]
    while groups:
        group = groups.pop(0)
        try:
            install(group)
        except InstallFailed as error:
            named = [one for one in group if _is_named(one, str(error))]
            if error.is_unreachable or time.monotonic() > deadline:
                # Nobody else is asked: each would wait as long.
                for left in (group, *groups):
                    failed.update(dict.fromkeys(left, error))
                break
            if len(group) == 1:
                failed[group[0]] = error
            elif named:
                # Without those that cannot be had, or not with each other, the rest may come.
                failed.update(dict.fromkeys(named, error))
                rest = [one for one in group if one not in named]
                groups += [rest] if rest else []
            else:
                groups += [[one] for one in group]
    return failed


def reason(error: InstallFailed) -> str:
    """Return why something was not installed: the end of a sentence."""
    if error.is_unreachable:
        return "no package index can be reached from the environment"
    return str(error).rstrip(".")


def _is_named(requirement: str, line: str) -> bool:
    """Tell whether a line names the package of a requirement, however that is written."""
    name = "[-_.]+".join(map(re.escape, normalized(name_of(requirement)).split("-")))
    return re.search(rf"(?<![\w.-]){name}(?!\w|-[a-z])", line, re.IGNORECASE) is not None
