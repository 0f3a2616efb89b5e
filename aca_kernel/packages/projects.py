"""Dependencies of a project beside the notebook: `pyproject.toml` and `uv.lock`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from ..errors import SettingInvalid

_TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"


def of_pyproject(path: Path, group: str) -> tuple[list[str], str]:
    """Return requirements, and which Python is asked for.

    group: a dependency group (PEP 735) or, if there is none, an optional dependency of this name;
    empty: the project's own dependencies.
    Raises SettingInvalid, OSError.
    """
    table = _load(path)
    project = _table(table.get("project"))
    python = str(project.get("requires-python", ""))
    if not group:
        return _texts(project.get("dependencies")), python
    groups = _table(table.get("dependency-groups"))
    names = {_normalized(name): name for name in groups}
    if _normalized(group) in names:
        return _of_group(groups, names, group, ()), python
    extras = _table(project.get("optional-dependencies"))
    for name, requirements in extras.items():
        if _normalized(name) == _normalized(group):
            return _texts(requirements), python
    raise SettingInvalid(
        f"{path.name} has no dependency group {group}. It has "
        f"{', '.join([*groups, *extras]) or 'none'}: name one of them in the setting `packages`."
    )


def _of_group(
    groups: dict[str, Any], names: dict[str, str], group: str, within: tuple[str, ...]
) -> list[str]:
    key = _normalized(group)
    if key in within or key not in names:
        raise SettingInvalid(
            f"The dependency group {group} includes itself, or is not there. "
            "Mend it in pyproject.toml."
        )
    found: list[str] = []
    for entry in groups[names[key]]:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and "include-group" in entry:
            found += _of_group(groups, names, str(entry["include-group"]), (*within, key))
    return found


def of_lock(path: Path, group: str) -> tuple[list[str], list[str], str]:
    """Return what a `uv.lock` asks for, versions and hashes of all that it names, and which Python.

    The installer follows the dependencies, and the versions keep it to those of the lock.
    Raises SettingInvalid, OSError.
    """
    table = _load(path)
    packages = [_table(one) for one in table.get("package", ()) if isinstance(one, dict)]
    root = next((one for one in packages if _is_here(one)), None)
    if root is None:
        raise SettingInvalid(
            f"{path.name} belongs to no project of its own folder. Run `uv lock` there, or name "
            "another file in the setting `packages`."
        )
    if group:
        groups = _table(root.get("dev-dependencies"))
        extras = _table(root.get("optional-dependencies"))
        found = {_normalized(name): value for name, value in {**extras, **groups}.items()}
        if _normalized(group) not in found:
            raise SettingInvalid(
                f"{path.name} has no dependency group {group}. Run `uv lock` beside it, or name "
                "another group in the setting `packages`."
            )
        wanted = found[_normalized(group)]
    else:
        wanted = root.get("dependencies", [])
    pins = [_pin(one) for one in packages if "registry" in _table(one.get("source"))]
    return [_wanted(one) for one in wanted], pins, str(table.get("requires-python", ""))


def _is_here(package: dict[str, Any]) -> bool:
    source = _table(package.get("source"))
    return "." in {source.get("virtual"), source.get("editable"), source.get("directory")}


def _wanted(dependency: dict[str, Any]) -> str:
    extras = ",".join(map(str, dependency.get("extra", ())))
    text = str(dependency["name"]) + (f"[{extras}]" if extras else "")
    if dependency.get("version"):  # there are several
        text += f"=={dependency['version']}"
    return _with_marker(text, str(dependency.get("marker", "")))


def _pin(package: dict[str, Any]) -> str:
    """Return the version of a package, for the machines that the lock has it for, and its hashes.

    Without those of wheels for Windows, which no environment is.
    """
    markers = [f"({one})" for one in _texts(package.get("resolution-markers"))]
    pin = _with_marker(f"{package['name']}=={package['version']}", " or ".join(markers))
    files = [_table(package.get("sdist")), *map(_table, package.get("wheels", ()))]
    hashes = [
        str(file["hash"])
        for file in files
        if "hash" in file and not re.search(r"-win\w*\.whl$", str(file.get("url", "")))
    ]
    return " ".join([pin, *(f"--hash={one}" for one in hashes)])


def _with_marker(text: str, marker: str) -> str:
    return f"{text} ; {marker}" if marker else text


def _load(path: Path) -> dict[str, Any]:
    try:
        return dict(importlib.import_module(_TOML).loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise SettingInvalid(f"{path.name} is not TOML ({error}). Mend it.") from error


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
