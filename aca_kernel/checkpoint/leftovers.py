"""What a checkpoint holds and the environment does not: it stays in the checkpoints that follow.

Otherwise a restore that failed, that was interrupted, or that has not been asked for yet would
be lost with the next checkpoint, which is of an environment without all that. A variable stays
until it is back, or until another one is stored under its name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]


@dataclass
class Leftovers:
    """Names of variables and modules, paths of files, and names of packages."""

    names: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.names or self.paths or self.packages)


def all_of(manifest: Manifest) -> Leftovers:
    """Return all that a checkpoint holds, but for outputs: those are of a history that is over."""
    names = {name for name in _names(manifest) if not name.startswith("Out[")}
    names.update(name for name, _ in manifest["skipped"])
    paths = {str(one["path"]) for one in manifest["files"]}
    return Leftovers(names, paths, packages_of(manifest))


def of_report(report: dict[str, Any]) -> Leftovers:
    """Return what an environment says did not come back."""
    left = report.get("left")
    if not isinstance(left, dict):
        return Leftovers()
    keys = ("names", "paths", "packages")
    return Leftovers(*({str(one) for one in left.get(key, ())} for key in keys))


def leave_out(manifest: Manifest, names: Collection[str], reason: str) -> None:
    """Take the groups of these variables out of a checkpoint; the reason is told with it."""
    groups = manifest["groups"]
    manifest["groups"] = kept = []
    for group in groups:
        own = [name for each in group["names"] for name in each]
        if set(own).isdisjoint(names):
            kept.append(group)
        else:
            manifest["skipped"] += [[name, reason] for name in own]


def carry_over(
    new: Manifest, old: Manifest, left: Leftovers, sizes: dict[str, int], most_bytes: int
) -> Leftovers:
    """Add to a new checkpoint what is left in the one before it; return what was added.

    sizes: bytes of all pieces, by name. most_bytes: what all pieces may hold together; what goes
    beyond it is dropped, and named among what could not be stored.
    """
    room = _Room(references(new), sizes, most_bytes)
    added = Leftovers()
    added.names |= _carry_groups(new, old, left.names - _names(new), room)
    for name, module in old["imports"]:
        if name in left.names - _names(new):
            new["imports"].append([name, module])
            added.names.add(name)
    told = {name for name, _ in new["skipped"]}
    for name, reason in old["skipped"]:
        if name in left.names - _names(new) - told:
            new["skipped"].append([name, reason])
            added.names.add(name)
    paths = {one["path"] for one in new["files"]}
    for one in old["files"]:
        if one["path"] in left.paths - paths and room.takes(one):
            new["files"].append(one)
            added.paths.add(one["path"])
    added.packages |= _carry_packages(new, old, left.packages - packages_of(new), room)
    return added


def _carry_packages(new: Manifest, old: Manifest, wanted: set[str], room: _Room) -> set[str]:
    stored = old.get("packages") or {}
    into = new.setdefault("packages", {})
    added: set[str] = set()
    for name, version in stored.get("pinned", ()):
        if name in wanted:
            into.setdefault("pinned", []).append([name, version])
            added.add(str(name))
    for one in stored.get("kept", ()):
        if _package_of(one) in wanted and room.takes(one):
            into.setdefault("kept", []).append(one)
            added.add(_package_of(one))
    return added


def packages_of(manifest: Manifest) -> set[str]:
    """Return the names of the packages that a checkpoint brings back."""
    stored = manifest.get("packages") or {}
    found = {str(name) for name, _ in stored.get("pinned", ())}
    return found | {_package_of(one) for one in stored.get("kept", ())}


def _package_of(one: dict[str, Any]) -> str:
    name, _version = one["package"]
    return str(name)


def _carry_groups(new: Manifest, old: Manifest, wanted: set[str], room: _Room) -> set[str]:
    added: set[str] = set()
    for group in old["groups"]:
        names = [[one for one in each if one in wanted] for each in group["names"]]
        found = {name for each in names for name in each}
        if found and room.takes(group):
            # Bytecode is of one version, and another environment may have another.
            python = group.get("python", old["python"])
            new["groups"].append({**group, "names": names, "python": python})
            new["order"] += sorted(found)
            added |= found
        else:
            reason = "there was no room for it beside what is newer"
            new["skipped"] += [[name, reason] for name in sorted(found)]
    return added


class _Room:
    """What may still be added to a checkpoint. used: names of the pieces that are in it."""

    def __init__(self, used: set[str], sizes: dict[str, int], most_bytes: int) -> None:
        self._used = used
        self._sizes = sizes
        self._most_bytes = most_bytes
        self._left = most_bytes - sum(sizes.get(name, 0) for name in used)

    def takes(self, one: dict[str, Any]) -> bool:
        """Add the pieces of a file, or of a group, unless they are too large; tell whether."""
        more = _references_of(one) - self._used
        # One that is missing could not come back either.
        size = sum(self._sizes.get(name, self._most_bytes + 1) for name in more)
        if size > self._left:
            return False
        self._left -= size
        self._used |= more
        return True


def references(manifest: Manifest) -> set[str]:
    """Return the names of all pieces that a manifest refers to."""
    found = {name for name in map(str, manifest["history"]) if not name.startswith("=")}
    kept = (manifest.get("packages") or {}).get("kept", ())
    settings = [one for _, one in manifest["settings"]]
    for one in [*manifest["files"], *manifest["groups"], *settings, *kept]:
        found |= _references_of(one)
    return found


def _references_of(one: dict[str, Any]) -> set[str]:
    """Return the names of the pieces of a file, or of a group of variables."""
    lists = [one.get("pieces", ()), one.get("stream", ())]
    lists += [pieces for _, pieces in one.get("buffers", ())]
    # What begins so is a piece itself, and not the name of one.
    return {str(name) for names in lists for name in names if not str(name).startswith("=")}


def _names(manifest: Manifest) -> set[str]:
    found = {str(name) for group in manifest["groups"] for each in group["names"] for name in each}
    return found | {str(name) for name, _ in manifest["imports"]}
