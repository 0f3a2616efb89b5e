"""Immutable objects, which may be stored once for each variable that refers to them.

That two variables share one shows by `is` only. In doubt an object counts as mutable, and its
variables are stored together, which costs a little and loses nothing.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import logging
import pathlib
import pickle
import re
import sys
import types
import uuid
from typing import Any

_CONSTANTS: tuple[Any, ...] = (
    str, bytes, int, float, complex, bool, type(None), type(...), type(NotImplemented),
    tuple, frozenset, range, slice, types.CodeType, pickle.PickleBuffer,
    dt.date, dt.time, dt.timedelta, dt.tzinfo, decimal.Decimal,
    enum.Enum, fractions.Fraction, logging.Logger, pathlib.PurePath, re.Pattern, uuid.UUID,
)  # fmt: skip

# What holds no other object.
PLAIN = frozenset({str, bytes, int, float, complex, bool, type(None)})

# Stored as the name of a module's attribute.
_REFERENCES: tuple[Any, ...] = (
    types.ModuleType, types.BuiltinFunctionType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.MethodWrapperType, types.ClassMethodDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType,
)  # fmt: skip

# Functions that were compiled by Cython; its version is part of the name.
CYTHON = "_cython_"

_MODULE: Any = type.__dict__["__module__"]

# The same of libraries, which are looked for only where they are in use.
_OF_LIBRARIES = (
    ("numpy", ("dtype", "generic", "ufunc")),
    ("pandas", ("Period", "Interval", "offsets.BaseOffset", "api.extensions.ExtensionDtype")),
)


class NotStorable(Exception):
    """An object that cannot be stored; the text says why, as a noun."""


class Atoms:
    """The immutable types, those of loaded libraries included."""

    def __init__(self) -> None:
        self._bases = (*_CONSTANTS, *_REFERENCES, *_library_types())
        # By id, and with the kind, so that it stays: a metaclass may forbid to hash its classes.
        self._known: dict[int, tuple[type, bool]] = {}

    def holds(self, value: Any) -> bool:
        """Tell whether a value may be stored twice. Not asked about functions and classes."""
        kind = type(value)
        known = self._known.get(id(kind))
        if known is None:
            known = self._known[id(kind)] = (kind, self._is_immutable(kind))
        return known[1]

    def _is_immutable(self, kind: type) -> bool:
        module = module_of(kind)
        if module.startswith(CYTHON):
            return True
        # Not a subclass made in a cell: its instances are mutable.
        return issubclass(kind, self._bases) and (
            module not in ("", "__main__") or issubclass(kind, enum.Enum)
        )


def module_of(kind: type) -> str:
    """Return the `__module__` of a class, "" if it is no text; runs no code of the user's."""
    try:
        module = _MODULE.__get__(kind)
    except AttributeError:
        return ""
    return module if type(module) is str else ""


def _library_types() -> list[Any]:
    found: list[Any] = []
    for library, names in _OF_LIBRARIES:
        module = sys.modules.get(library)
        for name in names if module is not None else ():
            value: Any = module
            for part in name.split("."):
                value = getattr(value, part, None)
            if isinstance(value, type):
                found.append(value)
    return found
