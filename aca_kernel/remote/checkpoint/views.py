"""Pickling of views, with what they are views of: of memory, and of dicts.

A memoryview is stored as its place in what it is a view of. What it is a view of, and how, it tells
itself, but not where in it: that is asked for by Python's own buffer protocol.

Keys, values and items of dicts, and proxies that can be read only, show what the dict holds later.
So they are stored with the dict, which they do not tell: the garbage collector does.
"""

from __future__ import annotations

import collections
import ctypes
import gc
import types
from collections.abc import Callable
from typing import Any

from . import rebuild
from .atoms import NotStorable

# PyBUF_FULL_RO: with shape, strides and format, and perhaps read-only.
_FULL = 0x011C


_MAKERS: tuple[Callable[[Any], Any], ...] = (
    *(dict.keys, dict.values, dict.items),
    *(collections.OrderedDict.keys, collections.OrderedDict.values, collections.OrderedDict.items),
)
_EMPTY = collections.OrderedDict[Any, Any]()


def reducers() -> dict[type, Callable[[Any], Any]]:
    """Return a reducer for each type of views."""
    # An OrderedDict is taken by the methods of dicts, too, which make views of theirs.
    made: dict[type, Callable[[Any], Any]] = {
        type(maker(_EMPTY)): _of_dict(maker) for maker in _MAKERS
    }
    return {**made, types.MappingProxyType: _of_dict(types.MappingProxyType), memoryview: _reduce}


def _of_dict(maker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda view: (maker, tuple(gc.get_referents(view)))


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


def _reduce(view: memoryview) -> Any:
    try:
        owner = view.obj
        whole = memoryview(owner)
    except (ValueError, TypeError):  # it has been released, or its owner shows no memory now
        raise NotStorable("a memoryview of what is not there any more") from None
    is_read_only = view.readonly and not whole.readonly
    if (view.format, view.shape, view.strides) == (whole.format, whole.shape, whole.strides):
        return rebuild.whole_memory, (owner, is_read_only)
    if not whole.c_contiguous or (view.ndim != 1 and not view.c_contiguous) or not view.nbytes:
        raise NotStorable("a memoryview of a part that is not in one piece")
    strides = view.strides or (view.itemsize,)
    step = strides[0] // view.itemsize if view.ndim == 1 else 1
    start = _address(view) - _address(whole)
    return rebuild.part_of_memory, (owner, start, view.format, view.shape, step, is_read_only)


def _address(view: memoryview) -> int:
    """Return the address of a view's first element."""
    found = _Buffer()
    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    get(ctypes.py_object(view), ctypes.byref(found), _FULL)
    try:
        return int(found.buf or 0)
    finally:
        release(ctypes.byref(found))
