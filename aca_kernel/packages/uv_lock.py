"""What a `uv.lock` beside the notebook asks for, and its versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import SettingInvalid
from ..remote.packages.distributions import normalized
from .projects import Asked, address_of, load, narrowed, table, texts, with_marker

# As for `_MOST_STEPS` of projects: members of a workspace that ask for each other.
_MOST_STEPS = 1000


def of_lock(path: Path, group: str) -> Asked:
    """Return what a lock asks for, with versions and hashes of all that it names.

    The installer follows the dependencies, and the versions keep it to those of the lock.
    Raises SettingInvalid, OSError.
    """
    content = load(path)
    packages = [table(one) for one in content.get("package", ()) if isinstance(one, dict)]
    root = next((one for one in packages if _is_here(one)), None)
    if root is None:
        raise SettingInvalid(
            f"{path.name} belongs to no project of its own folder. Run `uv lock` there, or name "
            "another file in the setting `packages`."
        )
    if group:
        groups = table(root.get("dev-dependencies"))
        own = root.get("dependencies", [])
        extras = table(root.get("optional-dependencies"))
        extras = {name: [*own, *value] for name, value in extras.items()}
        found = {normalized(name): value for name, value in {**extras, **groups}.items()}
        if normalized(group) not in found:
            raise SettingInvalid(
                f"{path.name} has no dependency group {group}. Run `uv lock` beside it, or name "
                "another group in the setting `packages`."
            )
        wanted = found[normalized(group)]
    else:
        wanted = root.get("dependencies", [])
    project = _followed(wanted, packages, root)
    project.constraints = [_pin(one) for one in packages if "registry" in table(one.get("source"))]
    project.python = str(content.get("requires-python", ""))
    return project


def _is_here(package: dict[str, Any]) -> bool:
    source = table(package.get("source"))
    return "." in {source.get("virtual"), source.get("editable"), source.get("directory")}


def _followed(wanted: Any, packages: list[dict[str, Any]], root: dict[str, Any]) -> Asked:
    """Return requirements, with what members of a workspace ask for in their place.

    No index is asked for what lies on this machine: it may have something else of that name.
    """
    by_name: dict[str, dict[str, Any]] = {}
    for package in packages:
        by_name.setdefault(str(package["name"]), package)
    found = Asked()
    seen: set[tuple[str, str, str]] = set()
    waiting = [(dict(one), "") for one in wanted]
    while waiting:
        dependency, marker = waiting.pop(0)
        name = str(dependency["name"])
        package = by_name.get(name, {})
        source = table(dependency.get("source")) or table(package.get("source"))
        both = narrowed(with_marker("", str(dependency.get("marker", ""))), marker).strip("; ")
        if not {"virtual", "editable", "directory", "path"} & source.keys():
            found.requirements.append(with_marker(_wanted(dependency, source), both))
            continue
        if package is not root and "virtual" not in source and name not in found.left_out:
            found.left_out.append(name)
        extras = table(package.get("optional-dependencies"))
        for extra in ("", *map(str, dependency.get("extra", ()))):
            if (name, extra, both) in seen:
                continue
            seen.add((name, extra, both))
            further = extras.get(extra, ()) if extra else package.get("dependencies", ())
            waiting += [(dict(one), both) for one in further]
        if len(seen) > _MOST_STEPS:
            raise SettingInvalid(f"Packages of the lock ask for {name} endlessly. Lock them again.")
    found.requirements = list(dict.fromkeys(found.requirements))
    return found


def _wanted(dependency: dict[str, Any], source: dict[str, Any]) -> str:
    extras = ",".join(map(str, dependency.get("extra", ())))
    text = str(dependency["name"]) + (f"[{extras}]" if extras else "")
    if address := address_of(source):
        return f"{text} @ {address}"
    if dependency.get("version"):  # there are several
        text += f"=={dependency['version']}"
    return text


def _pin(package: dict[str, Any]) -> str:
    """Return the version of a package, for the machines that the lock has it for, and its hashes.

    Without those of wheels for Windows, which no environment is.
    """
    markers = [f"({one})" for one in texts(package.get("resolution-markers"))]
    pin = with_marker(f"{package['name']}=={package['version']}", " or ".join(markers))
    files = [table(package.get("sdist")), *map(table, package.get("wheels", ()))]
    hashes = [
        str(file["hash"])
        for file in files
        if "hash" in file and not re.search(r"-win\w*\.whl$", str(file.get("url", "")))
    ]
    return " ".join([pin, *(f"--hash={one}" for one in hashes)])
