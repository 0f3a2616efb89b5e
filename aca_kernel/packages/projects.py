"""Dependencies of a project beside the notebook: `pyproject.toml`, and what locks share with it."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ..errors import SettingInvalid
from ..remote.packages.distributions import normalized

_TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"

# A project that asks for itself with extras, which ask for it with others, endlessly.
_MOST_STEPS = 1000

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")


@dataclass
class Asked:
    """What a file asks for. left_out: names of what cannot be taken to an environment."""

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    python: str = ""
    left_out: list[str] = field(default_factory=list)


def of_pyproject(path: Path, group: str) -> Asked:
    """Return what a project asks for.

    group: a dependency group (PEP 735) or, if there is none, an optional dependency of this name,
    with the project's own; empty: those alone.
    Raises SettingInvalid, OSError.
    """
    content = load(path)
    project = table(content.get("project"))
    wanted = _without_itself(_wanted(path, content, project, group), project)
    found = Asked(python=str(project.get("requires-python", "")))
    sources = table(table(table(content.get("tool")).get("uv")).get("sources"))
    places = {normalized(name): source for name, source in sources.items()}
    for text in wanted:
        name = normalized(_name_and_extras(text)[0])
        named = places.get(name)
        # One, or several with markers.
        of_it = [table(one) for one in (named if isinstance(named, list) else [named])]
        if any(one.get("workspace") or "path" in one for one in of_it):
            # Not from an index, which may have something else of its name.
            found.left_out.append(name)
        else:
            found.requirements += _from_sources(text, of_it)
    return found


def _from_sources(text: str, sources: list[dict[str, Any]]) -> list[str]:
    """Return a requirement for each address that it comes from; without any, that of an index."""
    found: list[str] = []
    for source in sources:
        address, marker = address_of(source), str(source.get("marker", ""))
        if address:
            at = _at(text, address)
            found.append(narrowed(at, marker) if marker else at)
    return found or [text]


def _wanted(path: Path, content: dict[str, Any], project: dict[str, Any], group: str) -> list[str]:
    if not group:
        if not project or "dependencies" in texts(project.get("dynamic")):
            raise SettingInvalid(
                f"{path.name} lists no dependencies in a table [project]: name a dependency group "
                "of it, or a file of requirements, in the setting `packages`."
            )
        return texts(project.get("dependencies"))
    groups = table(content.get("dependency-groups"))
    names = {normalized(name): name for name in groups}
    if normalized(group) in names:
        return _of_group(groups, names, group, (), set())
    extras = table(project.get("optional-dependencies"))
    for name, requirements in extras.items():
        if normalized(name) == normalized(group):
            return [*texts(project.get("dependencies")), *texts(requirements)]
    raise SettingInvalid(
        f"{path.name} has no dependency group {group}. It has "
        f"{', '.join([*groups, *extras]) or 'none'}: name one of them in the setting `packages`."
    )


def _of_group(
    groups: dict[str, Any],
    names: dict[str, str],
    group: str,
    within: tuple[str, ...],
    done: set[str],
) -> list[str]:
    """Return what a group asks for, and those that it includes, each of them once."""
    key = normalized(group)
    if key in within or key not in names:
        raise SettingInvalid(
            f"The dependency group {group} includes itself, or is not there. "
            "Mend it in pyproject.toml."
        )
    if key in done:
        return []
    done.add(key)
    entries = groups[names[key]]
    found: list[str] = []
    for entry in entries if isinstance(entries, list) else [None]:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and "include-group" in entry:
            found += _of_group(groups, names, str(entry["include-group"]), (*within, key), done)
        else:
            raise SettingInvalid(
                f"The dependency group {group} is no list of requirements and of other groups. "
                "Mend it in pyproject.toml."
            )
    return found


def _without_itself(wanted: list[str], project: dict[str, Any]) -> list[str]:
    """Return requirements, with what the project asks for in the place of itself.

    `all = ["here[plots]"]` means the project's own: an index may have another one of its name.
    """
    own = normalized(str(project.get("name", "")))
    extras = table(project.get("optional-dependencies"))
    of_extra = {normalized(name): texts(value) for name, value in extras.items()}
    of_extra[""] = texts(project.get("dependencies"))
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        text = waiting.pop(0)
        name, asked = _name_and_extras(text)
        if not own or normalized(name) != own:
            found.append(text)
            continue
        marker = _split(text)[1]
        steps = {(normalized(extra), marker) for extra in ("", *asked)} - seen
        seen |= steps
        if len(seen) > _MOST_STEPS:
            raise SettingInvalid(f"The project {own} asks for itself endlessly. Mend it.")
        further = [one for extra, _ in sorted(steps) for one in of_extra.get(extra, ())]
        waiting = [narrowed(one, marker) for one in further] + waiting
    return list(dict.fromkeys(found))


def _name_and_extras(text: str) -> tuple[str, list[str]]:
    match = _NAME.match(text)
    if match is None:
        return "", []
    return match[1], [one.strip() for one in (match[2] or "").split(",") if one.strip()]


def _split(text: str) -> tuple[str, str]:
    """Return a requirement without its marker, and that. A URL may hold a semicolon."""
    head, _, marker = text.partition(" ;" if " @ " in text else ";")
    return head.strip(), marker.strip()


def narrowed(text: str, marker: str) -> str:
    """Return a requirement that a further marker is for."""
    head, own = _split(text)
    return with_marker(head, f"({own}) and ({marker})" if own and marker else own or marker)


def with_marker(text: str, marker: str) -> str:
    """Return a requirement with its marker, if that is not empty."""
    return f"{text} ; {marker}" if marker else text


def _at(text: str, address: str) -> str:
    name, extras = _name_and_extras(text)
    place = name + (f"[{','.join(extras)}]" if extras else "")
    return with_marker(f"{place} @ {address}", _split(text)[1])


def address_of(source: dict[str, Any]) -> str:
    """Return where pip finds what a source of uv names, empty if that is an index."""
    if "url" in source:
        return str(source["url"])
    if "git" not in source:
        return ""
    place, _, commit = str(source["git"]).partition("#")
    place, _, query = place.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    at = commit or next((str(source[one]) for one in ("rev", "tag", "branch") if one in source), "")
    folder = str(source.get("subdirectory") or asked.get("subdirectory", ""))
    address = f"git+{place}" + (f"@{at}" if at else "")
    return address + (f"#subdirectory={folder}" if folder else "")


def load(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises SettingInvalid, OSError."""
    try:
        return dict(importlib.import_module(_TOML).loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise SettingInvalid(f"{path.name} is not TOML ({error}). Mend it.") from error


def table(value: Any) -> dict[str, Any]:
    """Return a table, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> list[str]:
    """Return the texts of a list."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
