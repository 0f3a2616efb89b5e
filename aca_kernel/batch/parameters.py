"""Parameters of notebooks, from the command line, a JSON or a YAML file."""

from __future__ import annotations

import importlib
import json
import keyword
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SettingInvalid

# Levels of nesting. Python's own parser takes some 200.
_DEEPEST = 100

# Values in all: more than that are no parameters.
_MOST = 1_000_000

_WORDS = {"True": True, "False": False, "None": None}


def read_parameters(path: str | None, pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return the values of a file and of the command line, which takes precedence.

    path: a JSON or YAML object; None for no file. pairs: names and values as text.
    Raises SettingInvalid: the file cannot be read, or a name is no Python name.
    """
    values = _read_file(path) if path is not None else {}
    values |= {name: typed(text) for name, text in pairs}
    for name in values:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise SettingInvalid(
                f"The parameter {name!r} is not a name: use letters, digits and underscores, as "
                "for a Python variable."
            )
    return values


def typed(text: str) -> Any:
    """Convert a value of the command line as papermill's `-p` does: number, bool, None or text."""
    if text in _WORDS:
        return _WORDS[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _read_file(path: str) -> dict[str, Any]:
    try:
        # With or without a byte order mark.
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingInvalid(f"The parameters in {path} cannot be read: {reason}.") from error
    parse = _parse_json if path.endswith(".json") else _parse_yaml
    try:
        values = parse(text, path)
    except RecursionError:
        raise _too_deep(path) from None
    _check_size(values, path)
    if not isinstance(values, dict):
        raise SettingInvalid(
            f"The parameters in {os.path.basename(path)} must be names with values, not a "
            f"{type(values).__name__}."
        )
    return values


def _check_size(values: Any, path: str) -> None:
    """Raises SettingInvalid: there are too many values, by YAML's anchors perhaps, or levels."""
    level, count = [values], 0
    for _ in range(_DEEPEST + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                below.extend(value.values())
            elif isinstance(value, (list, tuple)):
                below.extend(value)
            if count + len(below) > _MOST:
                raise SettingInvalid(
                    f"The parameters in {path} are more than {_MOST:,} values: give notebooks the "
                    "name of a file that has them."
                )
        level, count = below, count + len(below)
    if level:
        raise _too_deep(path)


def _too_deep(path: str) -> SettingInvalid:
    return SettingInvalid(
        f"The parameters in {path} are nested more than {_DEEPEST} levels deep, or in "
        "themselves: make them flatter."
    )


def _parse_json(text: str, path: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingInvalid(f"The parameters in {path} are not valid JSON: {error}.") from error


def _parse_yaml(text: str, path: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise SettingInvalid(
            f"Reading {path} needs PyYAML: pip install pyyaml, or write the parameters as JSON "
            "into a file whose name ends in .json."
        ) from None
    try:
        values = yaml.load(text, Loader=_without_dates(yaml))
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise SettingInvalid(f"The parameters in {path} are not valid YAML{where}.") from error
    # As papermill reads an empty file, or one of comments only.
    return {} if values is None else values


def _without_dates(yaml: Any) -> Any:
    """Return a safe loader that leaves dates and times as they are written, as papermill's does."""
    resolvers = {
        first: [one for one in found if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})
