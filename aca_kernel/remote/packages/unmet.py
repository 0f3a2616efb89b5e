"""Which requirements are not there in a fitting version. Needs `packaging`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from typing import Any

from .distributions import normalized


def unmet(requirements: Iterable[str], constraints: Iterable[str] = ()) -> list[str]:
    """Return those that are not met, or whose own requirements are not.

    A requirement that is no name with a version, such as a path, is never known to be met.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    limits: dict[str, list[Any]] = {}
    for text in constraints:
        try:
            limit = Requirement(without_hashes(text))
        except InvalidRequirement:
            continue
        if _applies(limit.marker, ""):
            limits.setdefault(normalized(limit.name), []).append(limit.specifier)
    left = []
    seen: set[tuple[str, str]] = set()
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            left.append(text)
            continue
        if _applies(requirement.marker, "") and not _is_met(requirement, limits, seen):
            left.append(text)
    return left


def _is_met(requirement: Any, limits: dict[str, list[Any]], seen: set[tuple[str, str]]) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion, Version

    if requirement.url:
        return False
    try:
        found = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    specifiers = [requirement.specifier, *limits.get(normalized(requirement.name), ())]
    try:
        version = Version(str(found.version))
    except InvalidVersion:  # of an old package, or what is left of a removed one
        return False
    if not all(one.contains(version, prereleases=True) for one in specifiers):
        return False
    for extra in ("", *sorted(requirement.extras)):
        if (normalized(requirement.name), extra) in seen:
            continue
        seen.add((normalized(requirement.name), extra))
        for text in found.requires or ():
            try:
                further = Requirement(text)
            except InvalidRequirement:  # of an old package: pip overlooks it, too
                continue
            if _applies(further.marker, extra) and not _is_met(further, limits, seen):
                return False
    return True


def _applies(marker: Any, extra: str) -> bool:
    """Tell whether a marker is for this machine; also if nobody can tell: the installer will."""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.version import InvalidVersion

    try:
        return marker is None or bool(marker.evaluate({"extra": extra}))
    except (InvalidVersion, UndefinedComparison, UndefinedEnvironmentName):
        # `platform_release >= "6"` where that is `6.1.0-cloud`, by a packaging before 24.
        return True


def without_hashes(constraint: str) -> str:
    """Return a constraint without `--hash`, which pip takes for a demand to every package."""
    return constraint.partition(" --hash=")[0]


def fits_python(specifier: str) -> bool | None:
    """Tell whether this Python is one of those; None: nobody can tell."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(specifier).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier:
        return None
