"""Objects that are unlike others: each survives as it was, or is named, and spoils no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .running import come_back, missing, run, same_with_restores, shown


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
        "print(important, two['one'] is one is three, _ is one, one.anything, 'cfg' in dir())",
        variable_seconds=1,
    )
    reasons = missing(cell)
    # Before Python 3.11 pickle looks for `__getstate__`, and does not expect a KeyError.
    stored = reasons.pop("cfg", "") != "KeyError: '__getstate__'"
    assert (cell["text"], cell["error"]) == (f"[1, 2, 3] True True 1 {stored}\n", "")
    assert stored or sys.version_info < (3, 11)
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
    assert reasons["query"] == "it holds a Conn, which did not come back: ValueError: closed"
    assert reasons["left"] == "together with `shared`, `right` and 1 more: it is larger than 1 MB"


OF_MODULES = '''
open('algebra.py', 'w').write("""
import functools, threading
def keep(function):
    @functools.wraps(function)
    def kept(*a): return function(*a)
    kept.__qualname__ = 'keep.<locals>.kept'
    return kept
@keep
def simplify(one): return one, len(seen)
@functools.lru_cache
def slow(one): return one
slow.__wrapped__.__qualname__ = slow.__qualname__ = 'elsewhere'
def make():
    class Field:
        def __init__(self, name): self.name, self.lock = name, threading.Lock()
    return Field
Kind = make()
RR, CC = Kind('reals'), Kind('complex')
seen = []
__all__ = ['simplify', 'slow', 'Kind', 'RR', 'CC']
""")
import sys; sys.path.insert(0, '')
from algebra import *
held, table = [RR, {'c': CC}, simplify], {RR: slow}
# %%
import algebra
print([globals()[name] is getattr(algebra, name) for name in algebra.__all__])
print(held[0] is RR, held[1]['c'] is CC, held[2] is simplify, table[RR] is slow)
algebra.seen.append(1); print(simplify('x'), slow(2), CC.name)
# %%
print(len(algebra.seen), held[0] is algebra.RR)
'''


def test_what_is_a_modules_own_is_it_again(tmp_path: Path) -> None:
    cells = OF_MODULES.split("# %%\n")
    cell = come_back(tmp_path, *cells[:2])
    assert missing(cell) == {}
    assert cell["text"] == (
        "[True, True, True, True, True]\nTrue True True True\n('x', 1) 2 complex\n"
    )


REASONS = """
import sys, threading, types
class Client:
    def __init__(self): self.name, self.session = 'n', {'pools': [1, threading.Lock()]}
class Plain: pass
client, plain = Client(), Plain()
plain.fine, plain.inner = list(range(5)), (1, Plain())
plain.inner[1].lines = iter(open('lines', 'w+'))
module = types.ModuleType('module'); sys.modules['module'] = module
Old = type('Old', (), {'__module__': 'module'}); module.Old = type('Old', (), {})
class Said:
    def __reduce__(self): raise ValueError(f'I am {object.__repr__(self)}')
said = {'by': [Said()]}
class Nameless:
    def __reduce__(self): return 'module.nothing'
Nameless.__module__ = 'module'
nameless = Nameless()
class Returns:
    def __reduce__(self): return 5
returns = [Returns()]
import json
json.mine = lambda: None
class Later:
    def __reduce__(self): return (getattr, (json, 'mine'))
later = Later()
"""


def test_reasons_tell_the_culprit_and_its_place(tmp_path: Path) -> None:
    cell = come_back(tmp_path, REASONS, "print('Old' in dir())")
    reasons = missing(cell)
    assert "0x" not in str(reasons)
    assert "PicklingError" not in str(reasons)
    assert reasons.pop("later").startswith("AttributeError: ")
    assert reasons.pop("module")
    not_int = ", not int" if sys.version_info >= (3, 14) else ""
    assert reasons == {
        "client": "it holds a lock, which cannot be stored, at `client.session['pools'][1]` "
        "of a Client",
        "plain": "it holds an open file, at `plain.inner[1].lines` of a Plain",
        "said": "ValueError: I am <__main__.Said>, at `said['by'][0]`",
        "nameless": "it is, or holds, module.Nameless, which cannot be found under this name",
        "returns": f"__reduce__ must return a string or tuple{not_int}, at `returns[0]`",
    }


OF_LIBRARIES = """
import os, matplotlib
import matplotlib.pyplot as plt
from os import environ
from matplotlib import rcParams
params, copied = {'of plt': plt.rcParams, 'env': os.environ}, dict(os.environ)
environ['MINE'] = 'set'; rcParams['lines.linewidth'] = 7
env, held = environ, {'parameters': rcParams}
# %%
print(environ is os.environ is env, environ['MINE'], rcParams is matplotlib.rcParams)
print(held['parameters'] is rcParams is params['of plt'], rcParams['lines.linewidth'])
print(params['env'] is os.environ, 'MINE' in copied)
# %%
environ['MINE'] = 'again'; print(os.environ['MINE'])
"""


def test_what_was_imported_out_of_a_library_is_the_librarys(tmp_path: Path) -> None:
    same_with_restores(tmp_path, OF_LIBRARIES)


ODD = """
import argparse
parser = argparse.ArgumentParser('prog', argument_default=argparse.SUPPRESS)
parser.add_argument('--number', type=int, default=3, help=argparse.SUPPRESS)
commands = parser.add_subparsers(dest='command')
commands.add_parser('go').add_argument('file')
class Failed(Exception):
    def __init__(self, code): super().__init__(code); self.code = code
try:
    try: {}['missing']
    except KeyError as error: raise Failed(5) from error
except Failed as error: failed = error; failed.note = ['noted']
try:
    try: 1 / 0
    except ZeroDivisionError: raise ValueError('while handling') from None
except ValueError as error: handled = error
cause = failed.__cause__
texts = ("b'\\xff'.decode()", "open('/nothing')", "raise SystemExit(3)", "eval('1+')", "nothing")
raised = []
for text in texts:
    try: exec(text)
    except BaseException as error: raised.append(error)
own = OSError(); own.filename = 'set later'
# %%
for error in (*raised, own): print(repr(error), '|', error, getattr(error, 'filename', None))
print(raised[2].code, getattr(raised[4], 'name', None), own.errno)
print(parser.parse_args(['--number', '4', 'go', 'there']), parser.parse_args([]))
print(parser.format_help())
print(repr(failed), failed.code, failed.note, failed.__cause__ is cause, repr(cause))
print(repr(handled.__context__), handled.__cause__, handled.__suppress_context__)
"""


def test_parsers_of_arguments_and_causes_of_exceptions_are_kept(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ODD)


HASHED = """
class Person:
    def __init__(self, name): self.friends, self.name, self.group = {}, name, frozenset()
    def __hash__(self): return hash(self.name)
    def __eq__(self, other): return self.name == other.name
    def meet(self, other): self.friends[other] = other.friends[self] = len(self.friends)
one, two, three = map(Person, 'abc')
one.meet(two); two.meet(three); three.meet(one)
one.group = two.group = frozenset([one, two])
all_of_them = {one, two, three}
# %%
print(one.friends[two], two.friends[three], three.friends[one], one in all_of_them)
print(list(vars(one)), one in one.group, one.group is two.group, len(all_of_them))
# %%
print(two in three.friends, two in one.group)
"""


def test_objects_with_hashes_come_back_in_what_they_hold(tmp_path: Path) -> None:
    same_with_restores(tmp_path, HASHED)


DERIVED = """
import collections, datetime, decimal
class Tagged(set):
    def __init__(self, tag, items=()): super().__init__(items); self.tag = tag
class Loud(list):
    def __init__(self): super().__init__(); self.n = 0
    def extend(self, many): self.n += len(many); super().extend(many)
class Counting(dict):
    def __init__(self, name): self.name, self.n = name, 0
    def __setitem__(self, key, value): self.n += 1; super().__setitem__(key, value)
class Attributes(dict):
    def __init__(self, **k): super().__init__(**k); self.__dict__ = self
class Slots(dict):
    __slots__ = ('tag', 'unset')
    def __init__(self, tag): self.tag = tag
class Recent(collections.OrderedDict):
    def __init__(self, most): super().__init__(); self.most = most
    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        if len(self) > self.most: self.popitem(last=False)
class Last(collections.deque):
    def __init__(self, most): super().__init__(maxlen=most); self.most = most
class Lists(collections.defaultdict):
    def __init__(self, note): super().__init__(list); self.note = note
class Words(collections.Counter):
    def __init__(self, name, words=()): self.name = name; super().__init__(words)
    def update(self, words): self.last = self.name; super().update(words)
class Vector(tuple):
    def __new__(cls, *parts): return super().__new__(cls, parts)
class Point(collections.namedtuple('Point', 'x y')):
    def __new__(cls, text): return super().__new__(cls, *map(int, text.split(',')))
class Kelvin(float):
    def __new__(cls, celsius): return super().__new__(cls, celsius + 273)
class Text(str):
    def __new__(cls, text, source):
        made = super().__new__(cls, text); made.source = source; return made
class Group(frozenset):
    def __new__(cls, *members): return super().__new__(cls, members)
class Money(decimal.Decimal):
    def __new__(cls, value, unit):
        made = super().__new__(cls, value); made.unit = unit; return made
class Day(datetime.date):
    def __new__(cls, text): return super().__new__(cls, *map(int, text.split('-')))
class Failed(Exception):
    def __init__(self, status, *, body=None): super().__init__(f'HTTP {status}'); self.body = body
class Gone(OSError):
    def __init__(self, where): super().__init__(2, 'gone', where)
tagged, loud, counting, attributes = Tagged('t', [1]), Loud(), Counting('n'), Attributes(rate=1)
loud.extend([1, loud]); counting['a'] = 1; slots = Slots('s'); slots['self'] = slots
recent, last, lists, words = Recent(2), Last(2), Lists('n'), Words('w', 'aab')
for one in 'abc': recent[one] = one; last.append(one); lists[one].append(one)
vector, point, kelvin, text = Vector(1, 2), Point('1,2'), Kelvin(0), Text('x', 'there')
group, money, day = Group(1, 2), Money('1.5', 'EUR'), Day('2024-01-02')
failed, gone = Failed(500, body=[attributes]), Gone('there')
# %%
print(tagged, tagged.tag, loud.n, loud[1] is loud, counting, counting.n, counting.name)
attributes.rate = 5; print(attributes, slots.tag, slots['self'] is slots, hasattr(slots, 'unset'))
recent['d'] = last.append('d'); print(recent, recent.most, last, last.most, lists, lists.note)
print(words, words.name, vector, point, point.y, kelvin, text, text.source, group)
print(money, money.unit, day, repr(failed), failed.body[0] is attributes, gone, gone.filename)
# %%
print(attributes.rate, list(recent), loud.n, failed, point)
"""


def test_objects_derived_from_pythons_own_are_not_made_once_more(tmp_path: Path) -> None:
    same_with_restores(tmp_path, DERIVED)


FIGURES = """
import matplotlib; matplotlib.use('agg')
import matplotlib.pyplot as plt
first = plt.figure(7); plt.plot([1, 2])
plt.figure('named', figsize=(3, 4)); nameless = plt.gca()
closed = plt.figure(1); plt.close(closed)
last = plt.figure(2)
plt.figure(7)
# %%
print(plt.get_fignums(), plt.gcf() is first, plt.gcf().number, plt.figure('named').number)
print(plt.gca() is nameless, plt.figure(2) is last, len(plt.figure(7).axes[0].lines))
plt.close(2); print(plt.get_fignums(), plt.figure().number)
# %%
print(plt.get_fignums(), plt.gcf().number, plt.figure(7) is first, closed.axes)
"""


def test_pyplot_goes_on_with_its_figures(tmp_path: Path) -> None:
    same_with_restores(tmp_path, FIGURES)


ZONES = """
import os, time
noon = 43_200
os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()
# %%
print(time.localtime(noon).tm_hour, time.tzname)
"""


def test_times_are_told_in_the_time_zone_that_was_set(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ZONES)


FAILING = """
import collections, functools, numpy as np, pandas as pd
class Fails:
    def __init__(self, *parts): self.parts = parts
    def __setstate__(self, state): raise ValueError('no way back')
class Refuses:
    def __new__(cls, *parts):
        if parts: raise KeyError('cannot be made')
        return super().__new__(cls)
    def __getnewargs__(self): return ('x',)
class Filled(list):
    def append(self, one): raise IndexError('full')
    def extend(self, many): raise IndexError('full')
    def __reduce__(self): return Filled, (), None, list.__iter__(self)
class Box:
    def __init__(self, **parts): self.__dict__.update(parts)
class Set(set):
    def __reduce__(self): return Set, (list(self),)
data = np.arange(5.)
table = pd.DataFrame({'a': [1, 2], 'b': [3., 4.]})
common, view, column = [data, table], data[1:], table['b']
fails = Fails(common)
one, two = [common, fails], {'common': common, 'two': 2}
refuses, full = [common, Refuses()], Filled(); list.append(full, common)
def later(x=common, y=fails): return x
def good(x=common): return x
def closing():
    inner, other = common, fails
    def bad(): return other
    def fine(): return inner
    return bad, fine
bad, fine = closing()
box, holder = Box(c=common), Box(c=common, f=[[fails]])
keyed = {fails: common}
od, members = collections.OrderedDict(c=common), Set([good])
wrapped = functools.partial(good, common)
circle = Box(c=common); circle.me = circle
mixed = Box(c=common); mixed.other = Box(back=mixed, fails=[fails])
"""


def test_of_variables_that_share_something_only_those_that_fail_are_lost(tmp_path: Path) -> None:
    cell = come_back(
        tmp_path,
        FAILING,
        """
print(good() is fine() is box.c is common is two['common'] is od['c'] is wrapped())
data[1] = 10
print(common[0] is data, view[0], common[1] is table, list(column), two['two'])
print(circle.me is circle, circle.c is common, members == {good})
""",
    )
    assert (cell["text"], cell["error"]) == (
        "True\nTrue 10.0 True [3.0, 4.0] 2\nTrue True True\n",
        "",
    )
    held = "it holds a Fails, which did not come back: ValueError: no way back"
    assert missing(cell) == {
        "fails": "ValueError: no way back",
        **dict.fromkeys(("one", "later", "bad", "holder", "keyed", "mixed"), held),
        "refuses": "it holds a Refuses, which did not come back: KeyError: 'cannot be made'",
        "full": "IndexError: full",
    }


CLASSES = """
import abc, enum, dataclasses, pickle, typing, functools
REGISTRY = {}
class Plugin:
    count = 0
    def __init_subclass__(cls, key=None, **k):
        super().__init_subclass__(**k)
        Plugin.count += 1
        REGISTRY[key or cls.__name__.lower()] = cls
class Csv(Plugin): pass
class Json(Plugin, key='j'):
    def hi(self): return super().__repr__()[:5]
made = []
class Meta(type):
    def __new__(mcls, name, bases, space, **k):
        made.append('new ' + name)
        return super().__new__(mcls, name, bases, {**space, 'added': [name]})
    def __init__(cls, name, bases, space, **k):
        super().__init__(name, bases, space)
        made.append('init ' + name)
    @classmethod
    def __prepare__(mcls, name, bases, **k):
        made.append('prepare ' + name)
        return {}
    def __setattr__(cls, name, value):
        made.append('set ' + name)
        super().__setattr__(name, value)
class A(metaclass=Meta): x = 1
class B(A, k=1): pass
B.y = 2
class AMeta(Meta, abc.ABCMeta): pass
class Abstract(metaclass=AMeta):
    @abc.abstractmethod
    def f(self): ...
class Concrete(Abstract):
    def f(self): return 'f'
Abstract.register(int)
class Field:
    def __set_name__(self, owner, name): self.name = name; made.append('field ' + name)
    def __get__(self, obj, kind=None): return self.name
class Model:
    one = Field()
class Colour(enum.Enum):
    def __init_subclass__(cls, **k): made.append('enum'); super().__init_subclass__(**k)
class Red(Colour):
    LIGHT = 1
    DARK = 2
class Flag(enum.IntFlag):
    P = 1
    Q = 2
T = typing.TypeVar('T')
class Box(typing.Generic[T]):
    def __init__(self, v: T): self.v = v
class IntBox(Box[int]): pass
@typing.runtime_checkable
class Has(typing.Protocol):
    def f(self): ...
class Pair(typing.NamedTuple):
    a: int
    b: str = 'x'
class TD(typing.TypedDict):
    a: int
@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int = 1
@dataclasses.dataclass
class Point3(Point if False else object):
    l: list = dataclasses.field(default_factory=list)
class Cached:
    n = 0
    @functools.cached_property
    def x(self): self.n += 1; return self.n
class S:
    __slots__ = ('a', '__b')
    def __init__(self): self.a = 1; self.__b = 2
    def b(self): return self.__b
class Triple(tuple):
    __slots__ = ()
class Outer:
    class Inner: pass
    @dataclasses.dataclass
    class Part: y: int = 1
def making():
    class Local: pass
    return Local
Local, part = making(), Outer.Part()
class Slim:
    __slots__ = 'only'
    def __init_subclass__(cls): made.append('slim')
class Slimmer(Slim):
    __slots__ = {'more': 'doc'}
triple, slim = Triple((1, 2, 3)), Slimmer()
slim.only, slim.more = 1, 2
s, c, p = S(), Cached(), Point()
box, pair, td, con, i = IntBox(1), Pair(1), TD(a=1), Concrete(), Json()
c.x
before = list(made)
# %%
print(made == before, REGISTRY == {'csv': Csv, 'j': Json}, Plugin.count, i.hi(), type(i) is Json)
print(A.added, B.added, B.x, B.y, Model.one, Red.DARK, Red(1) is Red.LIGHT)
print(Flag(3), list(Red), isinstance(3, Abstract), con.f())
print(isinstance(con, Has), isinstance(3, Has), box.v, isinstance(box, Box), IntBox.__orig_bases__)
print(pair, Pair(2).b, td, TD.__annotations__)
print(p, Point(3), hasattr(p, '__dict__'), Point3(), c.x, Cached().x)
print(s.b(), s.a, hasattr(s, '__dict__'), triple, hasattr(triple, '__dict__'))
print(slim.only, slim.more, hasattr(slim, '__dict__'))
print(part, Outer.Inner, Local, pickle.loads(pickle.dumps(part)) == part)
try: Abstract()
except TypeError as e: print(e)
try: s.nothing = 1
except AttributeError as e: print(e)
class Xml(Plugin): pass
class C(A): pass
print(Plugin.count, list(REGISTRY), made[len(before):])
# %%
print(Plugin.count, list(REGISTRY), made[len(before):])
"""


def test_classes_come_back_without_being_made_once_more(tmp_path: Path) -> None:
    """What cells have written to be told of new classes has been told already."""
    same_with_restores(tmp_path, CLASSES)


HOOKS_OF_MODULES = """
open('library.py', 'w').write('''
known = []
class Base:
    def __init_subclass__(cls, **k): super().__init_subclass__(**k); known.append(cls.__name__)
class Meta(type):
    def __init__(cls, *a): super().__init__(*a); known.append('meta ' + cls.__name__)
''')
import sys; sys.path.insert(0, '')
import library
told = []
class Mine(library.Base):
    def __init_subclass__(cls): told.append(cls.__name__); super().__init_subclass__()
class Other(Mine): pass
class Third(metaclass=library.Meta): pass
# %%
print(told, sorted(library.known))
"""


def test_modules_are_told_of_the_classes_that_come_back(tmp_path: Path) -> None:
    """They are imported anew, and know of none."""
    same_with_restores(tmp_path, HOOKS_OF_MODULES)


NAMES_ALONE = """
import typing
from typing import NewType, Optional
UserId = NewType('UserId', int)
AdminId = NewType('AdminId', UserId)
P = typing.ParamSpec('P', bound=int)
Ts = getattr(typing, 'TypeVarTuple', typing.TypeVar)('Ts')  # since Python 3.11
T = typing.TypeVar('T')
def get(u: UserId, v: Optional[UserId] = None) -> list[UserId]: return [u]
class User:
    id: UserId
    def f(self, x: typing.Callable[P, T]) -> T: return x
class _Missing:
    def __reduce__(self): return 'MISSING'
    def __repr__(self): return '<missing>'
MISSING = _Missing()
MISSING.note = [1]
holds = {'default': MISSING}
def inner():
    Local = NewType('Local', str)
    return Local
Local = {'l': inner()}
alias = dict[UserId, list[AdminId]]
class Slot:
    __slots__ = ('x',)
    def __reduce__(self): return 'slot'
slot = Slot()
# %%
print(get.__annotations__['u'] is UserId, typing.get_type_hints(User))
print(AdminId.__supertype__ is UserId)
print(UserId(3), UserId, get(1))
print(User.f.__annotations__['return'] is T, User.f.__annotations__['x'] == typing.Callable[P, T])
print(P, P.__bound__, Ts, P.__module__)
print(holds['default'] is MISSING, MISSING, MISSING, MISSING.note)
print(type(MISSING) is _Missing, Local['l'].__name__, alias == dict[UserId, list[AdminId]])
"""


def test_what_only_its_name_tells_is_stored_as_what_it_is_or_named(tmp_path: Path) -> None:
    before, after = NAMES_ALONE.split("# %%\n")
    cell = come_back(tmp_path, before, after)
    assert missing(cell) == {
        "slot": "it is, or holds, `slot`, which is known by its name only",
    }
    assert shown([cell]) == shown(run([before, after])[1:])
    assert cell["error"] == ""


ARRAYS = """
import numpy as np
a = np.arange(6.)
mat = a.view(np.matrix)
row = np.matrix([[1, 2], [3, 4]]); first = row[0]; column = row[:, 1]
rec = np.rec.array([(1, 2.0, 'x'), (3, 4.0, 'y')], names='a,b,c')
fa, one = rec.a, rec[1:]
m = np.ma.masked_array([1., 2., 3.], [False, True, False], fill_value=9)
data, mask, part, plain = m.data, m.mask, m[1:], np.ma.array([1, 2])
hard = np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]], hard_mask=True)
masked = np.ma.masked
class Mine(np.ndarray):
    def __array_finalize__(self, obj): self.unit = getattr(obj, 'unit', 'none')
mine = np.arange(4).view(Mine); mine.unit = 'm'; half = mine[::2]; as_array = np.asarray(mine)
own = Mine((2,), int); own[:] = 5; own.unit = 'kg'; shared = own[1:].view(np.ndarray)
class Theirs(np.ndarray):
    def __reduce__(self):
        made = super().__reduce__()
        return (*made[:2], (made[2], 'kept'))
    def __setstate__(self, state): super().__setstate__(state[0]); self.note = state[1]
theirs = np.arange(3).view(Theirs)
text = np.char.array(['ab', 'c'])
fortran = np.asfortranarray(np.arange(6.).reshape(2, 3)).view(Mine)
frozen = np.matrix([1, 2]); frozen.flags.writeable = False
objects = np.array([1, None], dtype=object).view(Mine)
mm = np.memmap('data.bin', dtype='int32', mode='w+', shape=(4, 2)); mm[:] = 1
tail, raw, copied = mm[2:], np.asarray(mm)[0], mm.copy()
np.arange(3, dtype='u1').tofile('bytes.bin')
private = np.memmap('bytes.bin', mode='c'); private[0] = 200
readonly = np.memmap('bytes.bin', mode='r', offset=1)
# %%
a[0] = 50; row[0, 1] = 20; rec.a[1] = 30; m[2] = 7; data[0] = -1; m[1] = 5; mine[2] = 22
own[1] = 6; mm[2, 0] = 77; raw[1] = 88
print(mat, type(mat), mat.base is a, first, column, type(first), sep='|')
print(fa, one, type(rec), rec.dtype, one.a, type(one[0]))
print(m, data, mask, part, m.fill_value)
print(plain, plain._mask is np.ma.nomask, hard, hard.hardmask)
print(masked is np.ma.masked, type(part))
print(mine, mine.unit, half, half.unit, as_array, type(half))
print(own, own.unit, shared, theirs, type(theirs))
print(text.upper(), fortran, fortran.flags.f_contiguous, fortran.unit)
print(frozen.flags.writeable, objects)
import os
print(np.fromfile('data.bin', 'int32'), tail, type(tail), os.path.basename(mm.filename))
print(tail._mmap is mm._mmap, copied, copied._mmap, os.path.basename(tail.filename))
print(private, readonly, readonly.flags.writeable, np.fromfile('bytes.bin', 'u1'), private.mode)
# %%
m[0] = np.ma.masked; tail[1] = 5; mm.flush(); tail.flush(); mat[0, 1] = 51
print(m, part, data, np.fromfile('data.bin', 'int32'), a)
"""


def test_arrays_of_all_classes_share_memory_and_files(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ARRAYS)


def test_an_array_whose_file_is_gone_is_named(tmp_path: Path) -> None:
    before = f"""
import numpy as np, os
path, other = {str(tmp_path)!r} + '/elsewhere', {str(tmp_path)!r} + '/nowhere'
there = np.memmap(path, 'u1', 'w+', shape=3)
gone, unlinked = np.memmap('large', 'u1', 'w+', shape=30), np.memmap(other, 'u1', 'w+', shape=3)
view, good = gone[1:], there[1:]
os.unlink(other)
"""
    after = "there[2] = 9; print(good, np.fromfile(path, 'u1'))"
    cell = come_back(tmp_path, before, after, files_bytes=10)
    reasons = missing(cell)
    assert set(reasons) == {"gone", "view", "unlinked", "large"}
    assert reasons["gone"] == reasons["view"]
    assert reasons["view"].endswith("/large is not there")
    assert reasons["unlinked"] == "it is, or holds, an array in a file that has no name any more"
    assert cell["text"] == "[0 9] [0 0 9]\n"


VIEWS = """
import array, numpy as np
raw, numbers, text = bytearray(range(20)), array.array('d', range(10)), b'constant'
grid = np.arange(12.).reshape(3, 4)
views = [memoryview(raw), memoryview(raw)[5:9], memoryview(raw)[::2], memoryview(raw)[10:2:-3],
         memoryview(raw).cast('i'), memoryview(raw)[4:12].cast('h', (2, 2)),
         memoryview(raw).toreadonly(), memoryview(text)[1:]]
of_numbers, of_grid = memoryview(numbers)[2:5], memoryview(grid)
rows = memoryview(grid.ravel())[4:8]
def f(v=views[1]): return v
# %%
raw[5:11] = bytes(range(100, 106)); numbers[3] = -1; grid[1, 1] = 77
print([(v.tolist(), v.format, v.readonly, v.shape) for v in views])
print(of_numbers.tolist(), of_grid.tolist(), rows.tolist(), f() is views[1], views[0].obj is raw)
try: raw.append(1)
except BufferError as error: print(error)
# %%
print([v.tolist() for v in views], of_grid.obj is grid)
"""


def test_memoryviews_share_the_memory_that_they_are_of(tmp_path: Path) -> None:
    same_with_restores(tmp_path, VIEWS)


VIEWS_OF_DICTS = """
import collections, types
plain, ordered, held = {'a': 1}, collections.OrderedDict(a=1), {'a': 1}
keys, values, items = plain.keys(), plain.values(), plain.items()
proxy = types.MappingProxyType(plain)
views = [ordered.keys(), ordered.values(), ordered.items()]
class Reads:
    def __init__(self, data): self.data = data; self.shown = types.MappingProxyType(data)
reads, inner = Reads({}), held.keys()
held['keys'] = inner
attributes = vars(Reads)
# %%
plain['b'] = ordered['b'] = reads.data['b'] = held['b'] = 2
print(keys, values, items, proxy, views, reads.shown, list(inner), held['keys'] is inner)
print(type(proxy), sorted(attributes)[-1], reversed(keys).__next__())
# %%
del plain['a'], ordered['a']; print(keys, values, items, proxy, views, reads.shown)
"""


def test_views_of_dicts_show_what_is_in_them_later(tmp_path: Path) -> None:
    same_with_restores(tmp_path, VIEWS_OF_DICTS)


ENDLESS = """
import fractions, itertools
numbers, steps, downwards = itertools.count(), itertools.count(5, 2), itertools.count(-3, -1)
halves, thirds = itertools.count(.5, .5), itertools.count(fractions.Fraction(1, 3))
large, element = itertools.count(2**70), [1]
again, thrice = itertools.repeat(element), itertools.repeat(element, 3)
class Named:
    counter = itertools.count(1)
    def __init__(self): self.number = next(self.counter)
named = [Named(), Named()]
every = (numbers, steps, downwards, halves, thirds, large, thrice)
print([next(one) for one in every])
# %%
print([next(one) for one in every], next(again) is element, next(thrice, 'over') is element)
print(Named().number, [one.number for one in named])
# %%
print([next(one, 'over') for one in every], Named().number)
"""


def test_endless_iterators_go_on(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ENDLESS)


def test_a_memoryview_that_cannot_come_back_is_named(tmp_path: Path) -> None:
    before = """
import numpy as np
released = memoryview(b'text'); released.release()
column = memoryview(np.arange(6).reshape(2, 3).T)[1:]
"""
    reasons = missing(come_back(tmp_path, before, ""))
    assert reasons == {
        "released": "it is, or holds, a memoryview of what is not there any more",
        "column": "it is, or holds, a memoryview of a part that is not in one piece",
    }


WINDOWS = """
import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
series = np.arange(20_000.)
windows = sliding_window_view(series, 10_000)
tall, overlapping = np.broadcast_to(series, (5_000, 20_000)), as_strided(series, (9, 3), (8, 8))
# %%
series[5] = -5
print(windows.shape, windows[3, 2], tall[7, 5], overlapping[4], windows.flags.writeable)
overlapping[0, 0] = 9; print(series[0], windows[0, 0])
# %%
print(windows.strides, tall.strides, windows[5, 0], series[0])
"""


def test_windows_of_an_array_take_its_size_and_not_their_own(tmp_path: Path) -> None:
    same_with_restores(tmp_path, WINDOWS)


def test_a_file_comes_back_whose_name_is_as_long_as_can_be(tmp_path: Path) -> None:
    before = "name = 'n' * 251 + '.txt'; open(name, 'w').write('long')"
    cell = come_back(
        tmp_path, before, "import os; print(open(name).read(), os.listdir() == [name])"
    )
    assert (cell["text"], missing(cell)) == ("long True\n", {})


UNDERSCORES = """
1 + 1
# %%
_2020, _1, _i1, _i2, _7 = 'year', 'mine', 'my input', 'later', 7
'shown'
# %%
print(_2020, _1, _i1, _i2, _7, _2, Out, In[1], _i3)
# %%
print(_2020, _1, _i1, _i2, _7, _2, _i4, __)
"""


def test_names_like_those_of_ipython_may_be_the_users(tmp_path: Path) -> None:
    same_with_restores(tmp_path, UNDERSCORES)


FILTERS = """
import warnings
class Mine(UserWarning): pass
warnings.simplefilter('error', Mine)
# %%
try: warnings.warn('now', Mine)
except Mine as error: print('raised', error)
# %%
try: warnings.warn('again', Mine)
except Mine as error: print('raised', error)
"""


def test_filters_of_warnings_know_the_classes_of_cells(tmp_path: Path) -> None:
    same_with_restores(tmp_path, FILTERS)


DISPATCHING = """
import collections.abc, functools
class Shape: pass
class Square(Shape): pass
@functools.singledispatch
def area(one): 'Doc.'; return 'any'
@area.register
def _(one: int): return f'int {unit}'
@area.register(collections.abc.Sequence)
def of_sequences(one): return [area(part) for part in one]
@area.register(Shape)
def of_shapes(one): return 'shape'
area.mark = [1]
class Shower:
    def __init__(self, pre): self.pre = pre
    @functools.singledispatchmethod
    def show(self, one): return self.pre + 'any'
    @show.register
    def _(self, one: int): return self.pre + 'int'
shower, square, table, unit = Shower('> '), Square(), {'area': area}, 'm'
area(square)
# %%
print(area(1), area([1, 2.5]), area(square), area.mark, area.__doc__, area.__name__)
print(table['area'] is area, area.registry[Shape] is of_shapes, area.__wrapped__(1))
print(list(area.registry))
print(shower.show(1), shower.show('s'), area.__qualname__, area.__module__)
@area.register
def of_squares(one: Square): return 'square'
@Shower.__dict__['show'].register
def _(self, one: str): return self.pre + 'text'
unit = 'cm'
# %%
print(area(1), area(square), area(Shape()), shower.show('s'), Shower('').show(2))
try: area()
except TypeError as error: print(error)
"""


def test_functions_that_dispatch_by_type_go_on_doing_so(tmp_path: Path) -> None:
    same_with_restores(tmp_path, DISPATCHING)


CACHES = """
import functools
class Point:
    def __init__(self, x): self.x = x
    @functools.lru_cache
    def norm(self): print('norm', self.x); return abs(self.x)
def make(start):
    @functools.lru_cache(maxsize=3, typed=True)
    def add(*numbers, **named):
        print('add', numbers, named)
        if not numbers: raise ValueError('no numbers')
        return start + sum(numbers) + sum(named.values())
    return add
@functools.cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
@functools.cache
def data(name='a', *, size=2): print('data'); return [name] * size
add, point = make(10), Point(-3)
fib(50); rows = data('b', size=3); data(); point.norm()
add(1); add(1.0); add(2, to=3); add(1); add(4, 5)
try: add()
except ValueError: pass
# %%
print(fib.cache_info(), data.cache_info(), add.cache_info(), Point.norm.cache_info())
print(data('b', size=3) is rows, data(), point.norm(), fib(50))
print(add(1), add(2, to=3), add(4, 5)); print(add(1.0)); print(add(6))
# %%
print(fib(51), data(), point.norm()); print(add(2, to=3), add(7), add.cache_info())
"""


def test_functions_remember_what_they_have_answered(tmp_path: Path) -> None:
    same_with_restores(tmp_path, CACHES)


def test_a_cache_that_cannot_be_stored_is_empty_and_named(tmp_path: Path) -> None:
    before = """
import functools, threading
@functools.cache
def lock(name): return threading.Lock()
@functools.cache
def other(name): return name
lock('a'); other('b')
"""
    cell = come_back(tmp_path, before, "print(lock.cache_info().currsize, other.cache_info())")
    assert missing(cell) == {
        "the cache of `lock`": "it is, or holds, a lock, which cannot be stored"
    }
    assert cell["text"] == "0 CacheInfo(hits=0, misses=1, maxsize=None, currsize=1)\n"


asks_before_3_11 = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 asks `__getattr__` how an object is pickled"
)

ASKING = """
import sys; sys.path.insert(0, '')
open('asking.py', 'w').write('''
class Wrapped:
    def __init__(self, one): self.one = one
    def __getattr__(self, name): return getattr(self.one, name)
class Values(dict):
    def __init__(self): super().__init__(a=1); self.more = {}
    def __getattr__(self, name):
        if name in self.more: return 1
        raise AttributeError(name)
''')
import asking
wrapped, values = asking.Wrapped([1, 2]), asking.Values()
values.more['b'] = 2
class Mine(asking.Wrapped): pass
class Options:
    def __init__(self, **known): self.known = known
    def __getattr__(self, name): return self.known[name]
class Writing:
    def __init__(self, one): object.__setattr__(self, 'one', one)
    def __getattr__(self, name): return getattr(self.one, name)
    def __setattr__(self, name, value): setattr(self.one, name, value)
mine, options = Mine([1, 2]), Options(rate=3); writing = Writing(options)
# %%
print(wrapped.index(2), values, values.more, values.b)
print(mine.index(2), options.rate, writing.rate); writing.known = {'rate': 4}
# %%
print(wrapped.index(1), values.b, mine.index(1), options.rate, writing.rate, writing.one is options)
"""


@asks_before_3_11
def test_objects_that_look_for_attributes_in_others_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ASKING)


ONLY_WITH_ARGUMENTS = """
class Template:
    def __new__(cls, source, *, kind='t'):
        made = object.__new__(cls); made.source, made.kind = source, kind
        return made
    def __getattr__(self, name): return getattr(self.source, name)
template = Template('text'); both = [template, Template('b', kind='k')]
# %%
print(template.source, both[0] is template, both[1].kind, template.upper())
"""


def test_objects_that_cannot_be_made_without_arguments_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, ONLY_WITH_ARGUMENTS)


SLOTS = """
class Permissive:
    __slots__ = ('x', '__dict__')
    def __init__(self, x): self.x = x
    def __getattr__(self, name): return 'no ' + name
one = Permissive(3); one.y = 4; two = [one]
# %%
print(one.x, one.y, one.z, two[0] is one)
"""


@asks_before_3_11
def test_objects_with_slots_that_have_any_attribute_come_back(tmp_path: Path) -> None:
    same_with_restores(tmp_path, SLOTS)


SUBCLASSES = """
class Base: pass
class Helper: pass
class Tool(Helper): pass
class Zebra(Base, Tool): pass
class Ant(Base): pass
class Mouse(Base): pass
class Ape(Zebra, metaclass=type('Meta', (type,), {})): pass
# %%
print([one.__name__ for one in Base.__subclasses__()], Zebra.__subclasses__(), Ape.__mro__)
"""


def test_subclasses_keep_their_order(tmp_path: Path) -> None:
    same_with_restores(tmp_path, SUBCLASSES)
