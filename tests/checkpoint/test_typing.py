"""Types, annotations and what they are made of, which later Pythons have changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .running import come_back, missing, same_with_restores

TYPES = """
import dataclasses, typing
class Protocol(typing.Protocol):
    size: int
    def run(self, x: int) -> int: ...
@typing.runtime_checkable
class Checked(typing.Protocol):
    def run(self) -> int: ...
class Row(typing.TypedDict):
    a: int
    b: 'Later'
class Longer(Row, total=False):
    c: str
Form = typing.TypedDict('Form', {'in': int, 'x-y': str})
class Pair(typing.NamedTuple):
    a: int
    b: 'Later' = None
    def total(self) -> int: return self.a
Single = typing.NamedTuple('Single', [('a', int)])
Plus = typing.TypeVar('Plus', covariant=True)
Minus = typing.TypeVar('Minus', contravariant=True, bound='Pair')
Either = typing.TypeVar('Either', int, str)
class Slots:
    __slots__ = ('p',)
    p: int
    def get(self) -> int: return self.p
class Empty:
    __slots__ = ()
    def get(self, x: int) -> str: return ''
class Changed:
    x: int
Changed.__annotations__['y'] = str
class Replaced:
    x: int
Replaced.__annotations__ = {'z': float}
def added(x: int): return x
added.__annotations__['extra'] = int
def other(x: int): return x
other.__annotations__ = {'q': str}
get = Slots.get
@dataclasses.dataclass(slots=True, kw_only=True)
class Data:
    a: int
    b: list[int] = dataclasses.field(default_factory=list, metadata={'m': 1})
data = Data(a=1)
# %%
print(Protocol.__annotations__, Protocol.run.__annotations__, Protocol._is_protocol)
print(isinstance(type('Q', (), {'run': 1})(), Checked), isinstance(1, Checked))
print(Row.__annotations__, sorted(Row.__required_keys__), Longer.__annotations__, Longer.__total__)
print(sorted(Longer.__optional_keys__), Form.__annotations__, typing.is_typeddict(Longer))
print(Pair(1), Pair(1).total(), Pair.__annotations__, Pair._field_defaults)
print(Pair.total.__annotations__, Single(1), Single.__annotations__)
print(Plus, Minus, Minus.__bound__, Either, Either.__constraints__, Plus.__module__)
print(Slots.__annotations__, get.__annotations__, get is Slots.get, Empty().get.__annotations__)
print(Changed.__annotations__, Replaced.__annotations__)
print(added.__annotations__, other.__annotations__)
print(data, Data.__annotations__, Data.__init__.__annotations__, dataclasses.replace(data, a=2))
# %%
print(typing.get_type_hints(Changed), typing.get_type_hints(added), Protocol.__annotations__)
"""


def test_types_and_annotations_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, TYPES)


ALIASES = """
type Name = str
type Pair[T] = tuple[T, Name]
def pair(name: Name) -> Pair[int]: return 1, name
# %%
print(pair.__annotations__['name'] is Name, Name.__value__, Pair[int], Name.__module__)
print(pair.__annotations__['return'] == Pair[int], len(Pair.__type_params__))
# %%
print(pair.__annotations__['name'] is Name, Name.__value__, Pair[int], Name.__module__)
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax came with Python 3.12")
def test_aliases_of_types_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ALIASES)


PARAMETERS = """
import dataclasses, typing
type Name = str
type Json = dict[str, Json] | list[Json] | str
type Listed[T] = list[T]
def call[T: int, *Ts, **P](x: T, *more: *Ts) -> T: return x
class Box[T]:
    held: T
    def put[S](self, s: S) -> T: ...
box = Box[int]()
inferred = typing.TypeVar('inferred', infer_variance=True)
first = call.__type_params__[0]
put = Box.put
class Row[T](typing.TypedDict):
    x: T
class Pair[T](typing.NamedTuple):
    x: T
@dataclasses.dataclass
class Data[T]:
    a: T
data = Data[int](1)
# %%
print(Name, Name.__module__, Json.__value__, Json.__value__.__args__[0].__args__[1] is Json)
print(Listed, Listed.__type_params__, Listed[int].__value__)
print(call.__type_params__, [type(one) for one in call.__type_params__], first.__bound__)
print(call.__annotations__, call(3), first is call.__annotations__['x'], first.__module__)
print(Box.__type_params__, Box.__orig_bases__, Box.__annotations__, box.__orig_class__, Box[str])
print(put.__type_params__, put.__annotations__['return'] is Box.__type_params__[0], put is Box.put)
print(inferred, inferred.__infer_variance__, first.__infer_variance__)
print(Row.__annotations__, Row[int], Pair[int](3), Pair.__annotations__, data, data.__orig_class__)
# %%
print(Json.__value__, call.__type_params__, inferred)
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax came with Python 3.12")
def test_type_parameters_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, PARAMETERS)


DEFAULTS = """
import typing, warnings
class Box[T = int]: pass
type Listed[T = str] = list[T]
default = typing.TypeVar('default', default=int)
many = typing.TypeVarTuple('many', default=typing.Unpack[tuple[int, str]])
class Row(typing.TypedDict):
    a: typing.ReadOnly[int]
@warnings.deprecated('no longer')
def old(): return 1
# %%
print(Box.__type_params__[0].__default__, Listed.__type_params__[0].__default__)
print(default.__default__, default.has_default(), many.__default__)
print(Row.__annotations__, Row.__readonly_keys__, old.__deprecated__)
# %%
print(default.__default__)
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="defaults came with Python 3.13")
def test_defaults_of_type_parameters_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, DEFAULTS)


LAZY = """
import annotationlib, dataclasses, typing
FORWARD = annotationlib.Format.FORWARDREF
class Node:
    next: Nowhere
    def link(self, to: Later) -> Node: return self
class Later: pass
def seen(x: Later, y: Missing, *, z: 'Str'): return x
annotate = seen.__annotate__
forward = annotationlib.get_annotations(Node, format=FORWARD)
def made(format): return {'made': str}
def given(): pass
given.__annotate__ = made
class Given: pass
Given.__annotate__ = made
@dataclasses.dataclass
class Data:
    n: Node | None = None
class Outer:
    def inner(self):
        local = 3
        def own(x: local) -> self: return x
        return own
own = Outer().inner()
name = 'w'
template = t'hello {name!r:>5} {1 + 1}'
part = template.interpolations[0]
# %%
print(annotationlib.get_annotations(seen, format=annotationlib.Format.STRING))
print(annotationlib.get_annotations(seen, format=FORWARD)['x'] is Later)
print(annotate is seen.__annotate__)
print(Node.link.__annotations__ == {'to': Later, 'return': Node}, forward['next'].__owner__ is Node)
print(given.__annotations__, given.__annotate__ is made, Given.__annotations__)
print(Data(), Data.__annotations__, Data.__init__.__annotations__, own.__annotations__)
print(template.strings, template.values, part, part is template.interpolations[0])
# %%
Nowhere, Missing = bytes, float
print(Node.__annotations__, seen.__annotations__, forward['next'].evaluate())
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="they are functions since Python 3.14")
def test_annotations_that_cannot_be_evaluated_yet_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, LAZY)


OTHERS_IN_THE_PROCESS = """
import sys, types
sys.modules['_interpreters'] = types.SimpleNamespace(list_all=lambda: [(0, 2), (1, 1)])
def refuse(event, _):
    if event == 'os.fork': raise RuntimeError('a copy of the process would not live')
sys.addaudithook(refuse)
x = [1]
"""


def test_beside_other_interpreters_no_copy_of_the_process_is_made(tmp_path: Path) -> None:
    cell = come_back(tmp_path, OTHERS_IN_THE_PROCESS, "print(x)")
    assert cell["text"] == "[1]\n"
    assert not missing(cell)
