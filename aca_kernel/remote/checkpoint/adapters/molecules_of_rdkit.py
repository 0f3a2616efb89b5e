"""rdkit: the properties of molecules, their atoms and bonds, which it leaves out unless asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of molecules."""
    chem = sys.modules["rdkit.Chem"]
    options = chem.PropertyPickleOptions
    wanted = int(options.AllProps) | int(options.CoordsAsDouble)

    def reduce(obj: Any) -> Any:
        if type(obj) not in (chem.Mol, chem.RWMol):
            return obj.__reduce_ex__(5)
        return molecule, (type(obj) is chem.RWMol, obj.ToBinary(wanted)), dict(vars(obj)) or None

    yield chem.Mol, reduce


def molecule(is_editable: bool, data: bytes) -> Any:
    """Make a molecule."""
    chem: Any = sys.modules["rdkit.Chem"]
    made = chem.Mol(data)
    return chem.RWMol(made) if is_editable else made
