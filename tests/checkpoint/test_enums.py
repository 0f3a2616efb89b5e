"""Enumerations of cells: all names, values and attributes of their members come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_objects import same_with_restores

ENUMERATIONS = {
    "aliases": """
import enum
class Bits(enum.Flag): A = 1; B = 2; BOTH = A | B
class Color(enum.Enum): RED = 1; CRIMSON = 1; BLUE = 2
class Int(enum.IntFlag): P = 1; Q = 2; BOTH = 3
held = Bits.BOTH, Color.CRIMSON, Int.BOTH
# %%
print(Bits.BOTH, Bits['BOTH'].name, Bits(3) is held[0], list(Bits.__members__), repr(Int(3)))
print(Color.CRIMSON is Color.RED is held[1], list(Color.__members__))
print(list(Color), Int.BOTH is held[2])
""",
    "attributes of members": """
import enum
class Planet(enum.Enum):
    EARTH = (1.0, 2.0); MARS = (3.0, 4.0); HOME = EARTH
    def __init__(self, mass, radius): self.mass, self.radius = mass, radius
    @property
    def gravity(self): return self.mass / self.radius
Planet.MARS.note = 'red'; held = {Planet.MARS: [Planet.HOME]}
# %%
print(Planet.EARTH.gravity, Planet.MARS.note, Planet((3.0, 4.0)))
print(held[Planet.MARS][0] is Planet.EARTH)
""",
    "values that are not what the member is": """
import enum
class Axis(bytes, enum.Enum):
    def __new__(cls, value, label):
        made = bytes.__new__(cls, [value]); made._value_, made.label = value, label
        return made
    X = (0, 'x'); Y = (1, 'y')
class Name(str, enum.Enum):
    @staticmethod
    def _generate_next_value_(name, *_): return name.lower()
    A = enum.auto()
class Coded(enum.Enum):
    def __new__(cls, code, text):
        made = object.__new__(cls); made._value_, made.text = code, text
        return made
    OK = (200, 'fine')
held = Axis.Y, Name.A, Coded.OK
# %%
print(Axis(1).label, Axis.Y == bytes([1]), held[0] is Axis.Y, Name('a').upper())
print(Coded(200).text, held[2].value)
""",
}


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_enumerations_are_what_they_were(name: str, tmp_path: Path) -> None:
    same_with_restores(tmp_path, ENUMERATIONS[name])
