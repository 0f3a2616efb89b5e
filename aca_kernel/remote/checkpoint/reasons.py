"""Why something could not be stored or restored, in words of the notebook's author.

No addresses, which differ each time and say nothing, and no internals of pickle. Where an object
cannot be stored for something that it holds, that is looked for: its place is what helps.
"""

from __future__ import annotations

import contextlib
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

from ..originals import time

_ADDRESS = re.compile(r"( object)? at 0x[0-9a-fA-F]+")

_LONGEST = 160

# What pickle says. Quotation marks and words differ between versions.
_OBJECT = r"(?:cannot|can't) pickle '?([\w.]+)'? objects?"
_OTHER_NAME = (
    r"can't pickle <?(?:class |function |built-in function )*'?([\w.<>]+?)'?(?: object)?"
    r"(?: at 0x\w+)?>?: "
    r"(?:it's not the same object as|it's not found as|attribute lookup|import of module)"
)
_LOCAL = r"can't (?:pickle|get) local object '?([\w.<>]+)'?"
_GONE = r"can't get attribute '?([\w.<>]+)'? on <module '?([\w.]+)'?.*"

_PLAINER = {
    "RLock": "lock",
    "ReferenceType": "weak reference",
    "weakref": "weak reference",
    "mappingproxy": "read-only dict",
}

# And what it means.
_MEANINGS = (
    (_OBJECT, "it is, or holds, a {0}, which cannot be stored"),
    (_OTHER_NAME, "it is, or holds, {0}, which cannot be found under this name"),
    (_LOCAL, "it is, or holds, {0}, which is known inside of a function only"),
    (_GONE, "the module {1} has no `{0}`"),
)

# The search for the place of a failure is given up after so many attempts, levels and seconds.
_MOST_ATTEMPTS = 300
_MOST_LEVELS = 8
_SEARCH_SECONDS = 0.5


class NotRestored(Exception):
    """Something that a pickle refers to did not come back; the text is a reason."""


def reason_of(error: BaseException) -> str:
    """Return in a few words why something could not be stored or restored."""
    if isinstance(error, NotRestored):
        return str(error)
    text = str(error).strip().partition("\n")[0]
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            names = found.groups()
            if pattern is _OBJECT:
                name = names[0].rpartition(".")[2].strip("_")
                names = (_PLAINER.get(name, name),)
            return meaning.format(*names)
    if "recursion" in text or isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = _ADDRESS.sub("", text)
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    name = type(error).__name__
    if name in {"PicklingError", "UnpicklingError"} and text:
        return text
    return f"{name}: {text}" if text else name


def place_of_failure(
    name: str, value: Any, fails: Callable[[Any], bool], kind_of: Callable[[type], str]
) -> str:
    """Return the place of what fails in a value, such as "`pool.lock` of a Queue", "" if unknown.

    fails: tells whether an object cannot be pickled for the same reason.
    kind_of: gives the name of a type.
    """
    deadline = time.monotonic() + _SEARCH_SECONDS
    attempts = 0
    path, owner = name, ""
    for _ in range(_MOST_LEVELS):
        for step, part, is_attribute in _parts(value):
            attempts += 1
            if attempts > _MOST_ATTEMPTS or time.monotonic() > deadline:
                return ""
            if fails(part):
                if is_attribute:
                    owner = kind_of(type(value))
                path, value = path + step, part
                break
        else:
            break
    if path == name:
        return ""
    return f"`{path}`" + (f" of a {owner}" if owner else "")


def _parts(value: Any) -> Iterator[tuple[str, Any, bool]]:
    """Yield what a value holds: how it is reached, and whether as an attribute."""
    kind = type(value)
    if kind is dict:
        for key, part in list(value.items()):
            is_short = type(key) in (str, int) and len(repr(key)) < 40
            yield (f"[{key!r}]" if is_short else "[…]"), part, False
        return
    if kind in (list, tuple, set, frozenset):
        for number, part in enumerate(list(value)):
            yield (f"[{number}]" if kind in (list, tuple) else "[…]"), part, False
        return
    if issubclass(kind, (type, types.ModuleType)):
        return
    if kind is types.MethodType:
        yield ".__self__", value.__self__, False
        return
    with contextlib.suppress(Exception):
        attributes = object.__getattribute__(value, "__dict__")
        if type(attributes) is dict:
            for key, part in list(attributes.items()):
                if type(key) is str:
                    yield f".{key}", part, True
