"""Objects that are unlike others: each survives as it was, or is named, and spoils no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .running import missing, run


def come_back(folder: Path, before: str, after: str, **limits: Any) -> dict[str, Any]:
    """Run a cell, save, restore, and run another; return what that one showed."""
    result = run([before, after], folder, **limits)
    assert result[0]["error"] == ""
    return result[1]


def test_no_object_is_asked_anything_that_runs_code_of_the_users(tmp_path: Path) -> None:
    before = """
class AttrDict(dict):
    __getattr__ = dict.__getitem__
class Loops:
    def __getattribute__(self, name):
        while True: pass
class Raises:
    def __getattribute__(self, name): raise RuntimeError('not ' + name)
class Lies:
    __class__ = property(lambda self: 1 / 0)
class Permissive:
    def __getattr__(self, name):
        if name.startswith('__'): raise AttributeError(name)
        return 1
class Meta(type):
    def __getattribute__(cls, name): raise RuntimeError('no class either')
    def __eq__(self, other): raise RuntimeError('not compared')
class Strange(metaclass=Meta): pass
def __getattr__(name): raise ValueError(name)
cfg = AttrDict(a=1); important = [1, 2, 3]
loops, raises, lies, strange = Loops(), Raises(), Lies(), Strange()
one = Permissive(); two = {'one': one}; three = one
one
"""
    cell = come_back(
        tmp_path,
        before,
        "print(important, cfg.a, two['one'] is one is three, _ is one, one.anything)",
        variable_seconds=1,
    )
    assert (cell["text"], cell["error"]) == ("[1, 2, 3] 1 True True 1\n", "")
    reasons = missing(cell)
    # Pickle itself asks these.
    assert set(reasons) == {"loops", "raises", "lies", "Lies", "strange", "Strange"}
    assert reasons["loops"] == "storing it takes longer than 1 s"
    assert reasons["raises"] == "RuntimeError: not __class__"


def test_a_class_need_not_say_which_module_it_is_of(tmp_path: Path) -> None:
    before = """
class Nowhere: pass
class Odd(tuple): pass
Nowhere.__module__ = None
Odd.__module__ = 5
nowhere, odd, other = Nowhere(), Odd([1]), [1, 2]
same = [odd]
"""
    cell = come_back(
        tmp_path, before, "print(other, type(nowhere) is Nowhere, odd, same[0] is odd)"
    )
    assert missing(cell) == {}
    assert (cell["text"], cell["error"]) == ("[1, 2] True (1,) True\n", "")


def test_functions_share_nothing_that_one_could_spoil_for_the_others(tmp_path: Path) -> None:
    before = """
def helper(): return 1
class Conn:
    def __setstate__(self, state): raise ValueError('closed')
conn = Conn(); conn.x = 1
def query(c=conn): return c
def make(n):
    data = bytearray(n)
    def closure(): return len(data)
    return closure
f1, f2, f3 = make(700_000), make(700_000), make(200_000)
def other(): return 2
shared = [1]
left, right, third = [shared, bytes(700_000)], [shared, bytes(700_001)], {'shared': shared}
"""
    cell = come_back(
        tmp_path,
        before,
        "print(helper(), other(), f1(), f2(), f3(), Conn)",
        variable_bytes=1_000_000,
    )
    assert cell["text"] == "1 2 700000 700000 200000 <class '__main__.Conn'>\n"
    reasons = missing(cell)
    assert set(reasons) == {"conn", "query", "shared", "left", "right", "third"}
    assert reasons["query"] == "ValueError: closed"
    assert reasons["left"] == "together with `shared`, `right` and 1 more: it is larger than 1 MB"
