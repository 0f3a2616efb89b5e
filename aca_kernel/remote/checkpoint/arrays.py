"""Pickling of numpy arrays, with the memory that they share.

An array that shares another's memory is stored as a view of it. So are matrices, records, masked
arrays and the user's subclasses that only add attributes; subclasses that define their own
pickling use it. An array in a file (memmap) is opened again.

numpy is never imported here: where there is an array, it is loaded.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from ..originals import os
from . import rebuild
from .atoms import NotStorable, module_of

# Kinds of numpy's dtypes whose memory is all there is of an array.
_PLAIN_KINDS = "biufcmMSUV"

_PICKLED_THEIR_WAY = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def reduce(obj: Any) -> Any:
    """Reduce an array for pickle; NotImplemented leaves it to numpy. Raises NotStorable."""
    kind = type(obj)
    if not _is_understood(kind):
        return NotImplemented
    numpy: Any = sys.modules["numpy"]
    is_plain = kind is numpy.ndarray
    plain = obj if is_plain else numpy.ndarray.view(obj, numpy.ndarray)
    made = _view(obj, plain) or _in_file(obj, plain) or _of_its_own(plain, obj)
    if is_plain or made is NotImplemented:
        return made
    maker, arguments = made
    if maker is rebuild.memmap:
        return made
    # A memmap is opened again with the array that owns it.
    state = {key: value for key, value in vars(obj).items() if key != "_mmap" or value is None}
    return maker, (*arguments, kind), state, None, None, rebuild.set_attributes


def owner(obj: Any) -> Any:
    """Return the array whose memory an array shares.

    None: it has its own, or the memory belongs to something else or is not contiguous.
    """
    numpy: Any = sys.modules["numpy"]
    found = obj
    while (base := _base(found, numpy.ndarray)) is not None:
        found = base
    if found is obj or not _is_understood(type(found)):
        return None
    is_dense = found.flags.c_contiguous or found.flags.f_contiguous
    if not is_dense or not obj.size or found.dtype.hasobject != obj.dtype.hasobject:
        return None
    return found


def _base(obj: Any, kind: type) -> Any:
    """Return the array that another was made of, None if there is none."""
    base = obj.base
    # What numpy's stride tricks put between the two, as for sliding windows.
    if type(base).__name__ == "DummyArray" and module_of(type(base)).startswith("numpy."):
        base = base.base
    return base if issubclass(type(base), kind) else None


def _view(obj: Any, plain: Any) -> Any:
    shared = owner(obj)
    if shared is None:
        return None
    offset = _address(plain) - _address(shared)
    writeable = plain.flags.writeable
    return rebuild.view, (shared, plain.dtype, plain.shape, plain.strides, offset, writeable)


def _of_its_own(plain: Any, obj: Any) -> Any:
    if plain.dtype.hasobject or plain.dtype.kind not in _PLAIN_KINDS or not plain.dtype.itemsize:
        return NotImplemented
    return rebuild.array, (
        _data(plain),
        plain.dtype,
        plain.shape,
        _order(plain),
        obj.flags.writeable,
    )


def _in_file(obj: Any, plain: Any) -> Any:
    if getattr(obj, "_mmap", None) is None:
        return None
    if obj.filename is None or not os.path.exists(obj.filename):
        raise NotStorable("an array in a file that has no name any more")
    # Writes to a copy-on-write array are not in the file.
    data = _data(plain) if obj.mode == "c" else None
    where = (obj.filename, obj.mode, obj.offset)
    return rebuild.memmap, (*where, plain.dtype, plain.shape, _order(plain), data)


def _data(plain: Any) -> pickle.PickleBuffer:
    numpy: Any = sys.modules["numpy"]
    dense = plain if _order(plain) == "F" else numpy.ascontiguousarray(plain)
    return pickle.PickleBuffer(rebuild.flat(dense).view("u1"))


def _order(plain: Any) -> str:
    return "F" if plain.flags.f_contiguous and not plain.flags.c_contiguous else "C"


def _address(obj: Any) -> int:
    return int(obj.__array_interface__["data"][0])


# Whose own pickling adds the attributes, and nothing else.
_LIKE_NUMPY = frozenset({"astropy.units.quantity"})


def _is_understood(kind: type) -> bool:
    """Tell whether arrays of this class consist of their memory and attributes only."""
    numpy: Any = sys.modules["numpy"]
    for one in kind.__mro__[: kind.__mro__.index(numpy.ndarray)]:
        of_numpy = module_of(one).partition(".")[0] == "numpy" or module_of(one) in _LIKE_NUMPY
        if vars(one).get("__slots__") or one.__name__ == "MaskedConstant":
            return False
        if not of_numpy and any(name in vars(one) for name in _PICKLED_THEIR_WAY):
            return False
    return True
