"""Notebooks whose cells depend on all that the cells before them have done.

Cells are divided by lines `# %%`.
"""

from __future__ import annotations

import sys

# A chain is pickled by recursion, for which these versions have a fixed limit of 1,500.
LINKS = 1000 if (3, 12) <= sys.version_info < (3, 12, 3) else 3000

PLAIN = r"""
x = 5
y: float = 2.5
text = 'grün'
x
# %%
_ + x, __import__('__main__').__annotations__
# %%
print(_, __, Out, len(In), In[1])
_2
# %%
def count(n):
    return 1 if n < 2 else n * count(n - 1)
a = [1, 2]
b = {'a': a}
c = (a, b)
a.append(c)
same = a
print(_i, _ii, _i2)
get_ipython().execution_count
# %%
b['a'].append('more')
print(len(a), same is a, c[0] is a, a[2] is c, c[1] is b)
import os, sys, math as m, xml.etree.ElementTree
from collections import OrderedDict, Counter
from os.path import join as put
os.environ['MINE'] = 'yes'; os.environ.pop('HOME', None)
sys.path.insert(0, '/nowhere/at/all')
counter = Counter('hello')
import random
random.seed(3)
own = random.Random(7)
count(5), random.random(), own.random()
# %%
print(os.environ.get('MINE'), os.environ.get('HOME'), sys.path[0], m.pi, put('a', 'b'))
print(counter.most_common(1), xml.etree.ElementTree.fromstring('<a/>').tag, OrderedDict(a=1))
import warnings
warnings.filterwarnings('error', message='careful')
random.random(), random.choice('abc'), own.random()
# %%
for _ in range(3): pass
try:
    warnings.warn('careful')
except UserWarning as error:
    print('raised', error)
%load_ext autoreload
%autoreload 0
_, x
# %%
_, __, ___
# %%
import inspect
print(inspect.getsource(count))
%history -n 1
"""

CLASSES = r"""
import functools, dataclasses, enum, typing, abc
class Base(abc.ABC):
    made = []
    def __init__(self, n): self.n = n; Base.made.append(self)
    @abc.abstractmethod
    def value(self): ...
class Sub(Base):
    def value(self): return self.n * factor
    def up(self): return super().value()
    @property
    def twice(self): return 2 * self.n
    @classmethod
    def new(cls, n): return cls(n)
    @staticmethod
    def still(): return factor
factor = 10
one, two = Sub(1), Sub.new(2)
# %%
factor = 100
print(one.value(), two.twice, Sub.still(), one.up(), isinstance(two, Base))
print(Base.made == [one, two], Base.made[0] is one, type(one) is Sub)
@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0
    seen: list = dataclasses.field(default_factory=list)
class Colour(enum.Enum):
    RED = 1
    BLUE = 2
Pair = typing.NamedTuple('Pair', [('a', int), ('b', str)])
points = {Point(1, 2), } if False else [Point(1, 2)]
paint, pair = {Colour.RED: 'r'}, Pair(1, 'b')
# %%
print(points, points[0] < Point(2), paint[Colour.RED], Colour(2) is Colour.BLUE, pair, pair.a)
print(isinstance(pair, Pair), type(points[0]) is Point, dataclasses.astuple(points[0]))
old = Point(7, 7)
class Point:
    pass
new = Point()
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    def get(): return n
    return up, get
up, get = counter()
up()
# %%
print(type(old) is Point, type(new) is Point, old, type(points[0]) is type(old))
@functools.lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
twice = lambda v, k=[2]: v * k[0]
part = functools.partial(twice, k=[3])
table = {'twice': twice, 'fib': fib}
def noted(n, *, m=factor): 'doc'; return n + m + extra
noted.mark = table
fib(20)
up(); get()
# %%
extra = 1
print(fib(30), twice(4), part(4), table['twice'] is twice, table['fib'] is fib, noted(1))
print(noted.mark is table, noted.__doc__, noted.__kwdefaults__, fib.cache_info().maxsize)
class Node:
    def __init__(self, name): self.name, self.next, self.root = name, None, self
    def __repr__(self): return f'<{self.name}>'
    def __eq__(self, other): return self.name == other.name
    def __hash__(self): return hash(self.name)
first = Node('a'); first.next = Node('b'); first.next.next = first
ring = {first: first.next}
chain = None
for n in range(LINKS):
    chain = (n, chain)
up(), get(), up.__closure__[0] is get.__closure__[0]
# %%
print(first.next.next is first, ring[first], first.root is first, chain[0], chain[1][1][0])
def outer(function):
    @functools.wraps(function)
    def inner(*a): calls.append(function.__name__); return function(*a)
    return inner
calls = []
@outer
def squared(n): return n * n
squared(3)
def even(n): return True if n == 0 else odd(n - 1)
def odd(n): return False if n == 0 else even(n - 1)
even.friend, odd.friend = odd, even
# %%
print(squared(4), calls, squared.__name__, squared.__wrapped__(5))
print(even(10), odd.friend is even, even.friend is odd)
def asked():
    return get_ipython().execution_count, later
shell = get_ipython()
'ok'
# %%
later = 4
print(asked(), shell is get_ipython())
""".replace("LINKS", str(LINKS))

NUMPY = r"""
import numpy as np
from numpy.random import default_rng
np.random.seed(1)
rng = default_rng(5)
np.set_printoptions(precision=3)
a = np.arange(12.)
m = a.reshape(3, 4)
row, column, back = m[1], m[:, 2], a[::-1]
np.random.rand(), rng.random()
# %%
f = np.asfortranarray(np.arange(6).reshape(2, 3) * 1.5)
g = f[:, 1]
names = np.array(['x', None, [1]], dtype=object)
some = names[1:]
dates = np.array(['2020-01-01', 'NaT'], dtype='datetime64[D]')
record = np.zeros(3, dtype=[('a', int), ('b', 'U3')])
field = record['b']
fixed = np.arange(3); fixed.flags.writeable = False
nothing, scalar, zero = np.zeros((0, 3)), np.float32(2.5), np.array(5)
wide = np.broadcast_to(np.arange(3), (2, 3))
mask = np.ma.masked_array([1, 2], [True, False])
big = np.arange(500_000.)
half = big[::2]
a[6] = 99
print(m, row, column, back, sep='\n')
print(np.shares_memory(row, a), row.base is a, m.base is a, a.flags.owndata, a.base)
np.random.rand(), rng.random(), np.pi * np.ones(1)
# %%
g[0] = -1; some[0] = 'set'; field[1] = 'abc'; half[1] = 7
print(f, names, some, dates, record, field, nothing.shape, scalar, zero, wide, mask, sep='\n')
print(f.flags.f_contiguous, fixed.flags.writeable, big[2], type(scalar), wide.strides)
a.resize(3) if False else None
alone = np.arange(4); alone.resize(6, refcheck=False)
alone
# %%
funcs = [np.sin, np.add.reduce, len]
print(funcs[0](0.0), funcs[1]([1, 2]), funcs[2]('ab'))
alone.resize(8, refcheck=False)
alone, np.sin, np.float64, a.dtype is m.dtype
"""

PANDAS = r"""
import pandas as pd, numpy as np
pd.set_option('display.max_rows', 4)
df = pd.DataFrame({'a': range(5), 'b': np.linspace(0, 1, 5), 'c': list('vwxyz')},
                  index=pd.date_range('2024-01-01', periods=5))
s, same, part, view = df['b'], df, df.iloc[1:3], df[:]
raw = df['a'].to_numpy()
frames = {'one': df, 'two': df.copy()}
df
# %%
s.iloc[0] = 42
df.loc[df.index[1], 'b'] = 7
print(df, s, part, view, raw, sep='\n')
print(same is df, frames['one'] is df, frames['two'] is df, df.index is s.index)
# %%
same.iloc[2, 0] = -3
print(df, raw, view, frames['one'], frames['two'], sep='\n')
# %%
view.iloc[0, 1] = 1000
part.iloc[0, 1] = 2000
print(df['b'], s, view['b'], part['b'], sep='\n')
cat = df.assign(k=pd.Categorical(['p', 'q', 'p', 'q', 'p']))
grouped = cat.groupby('k', observed=True)
multi = cat.set_index(['k', 'a'])
times = pd.Series(pd.to_datetime(['2020-01-01', None]).tz_localize('UTC'))
gaps = pd.array([1, None, 3], dtype='Int64')
# %%
print(grouped['b'].sum(), multi.loc['p'], times, gaps, cat.dtypes, sep='\n')
print(pd.get_option('display.max_rows'), df.index.freq)
idx = df.index
idx.name = 'day'
df['new'] = s * 2
del df['c']
df
# %%
print(df.index.name, same.columns.tolist(), idx is df.index)
df.describe()
"""

SKLEARN = r"""
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, FunctionTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import make_classification
X, y = make_classification(200, 5, random_state=0)
def clipped(values): return np.clip(values, -limit, limit)
limit = 2
model = make_pipeline(FunctionTransformer(clipped), StandardScaler(), LogisticRegression())
forest = RandomForestClassifier(5, random_state=1)
model.fit(X, y); forest.fit(X, y)
round(model.score(X, y), 6)
# %%
limit = 0.5
best = model[-1]
print(round(model.score(X, y), 6), forest.score(X, y))
print(model[0].func is clipped, best.coef_.round(4))
# %%
best.coef_[:] = 0
print(model[-1] is best, model.predict_proba(X[:1]).round(3))
"""

PLOTS = r"""
import matplotlib
matplotlib.use('agg')
import matplotlib.pyplot as plt
plt.rcParams['lines.linewidth'] = 7
plt.style.use('ggplot')
fig, ax = plt.subplots()
line, = ax.plot([1, 2], [3, 4])
# %%
line.set_label('named'); ax.set_title('title')
print(plt.get_backend(), plt.rcParams['lines.linewidth'], line.get_linewidth())
print(fig.axes[0] is ax, ax.lines[0] is line, ax.get_legend_handles_labels()[1])
ax.bar([1], [2])
fig.savefig('plot.png')
print(len(ax.patches), fig.axes[0].get_title())
# %%
import os
print(os.path.getsize('plot.png') > 1000, plt.fignum_exists(fig.number))
display(fig)
"""

FILES = r"""
import os, pathlib
pathlib.Path('sub/empty').mkdir(parents=True)
pathlib.Path('sub/data.csv').write_text('a,b\n1,2\n')
pathlib.Path('helper.py').write_text('value = 3\ndef double(n): return n * value\n')
os.chmod('helper.py', 0o750)
os.symlink('sub/data.csv', 'link')
pathlib.Path('blob').write_bytes(bytes(range(256)) * 9000)
import sys; sys.path.insert(0, '')
import helper
from helper import double
# %%
print(sorted(os.listdir()), open('link').read(), helper.double(2), double(3))
print(oct(os.stat('helper.py').st_mode), os.path.getsize('blob'), sorted(os.listdir('sub')))
with open('sub/data.csv', 'a') as file: file.write('3,4\n')
del file
os.remove('blob')
# %%
print(open('link').read(), os.path.exists('blob'))
os.chdir('sub')
# %%
print(os.path.basename(os.getcwd()), sorted(os.listdir('.')))
open('log', 'w').close()
# %%
print(sorted(os.listdir('.')))
"""

NOTEBOOKS = {
    "plain": PLAIN.strip("\n").split("\n# %%\n"),
    "classes": CLASSES.strip("\n").split("\n# %%\n"),
    "numpy": NUMPY.strip("\n").split("\n# %%\n"),
    "pandas": PANDAS.strip("\n").split("\n# %%\n"),
    "sklearn": SKLEARN.strip("\n").split("\n# %%\n"),
    "plots": PLOTS.strip("\n").split("\n# %%\n"),
    "files": FILES.strip("\n").split("\n# %%\n"),
}

# What needs a front end: figures in the output, `!` and input from a shell.
SHOWN = r"""
import matplotlib.pyplot as plt
plt.rcParams['figure.figsize'] = (3, 2)
def draw(values):
    fig, ax = plt.subplots()
    ax.plot(values)
    return fig
fig = draw([1, 2, 3])
# %%
!echo out > made; cat made
fig.axes[0].set_title('later')
fig
# %%
draw([3, 2, 1])
print(plt.rcParams['figure.figsize'], plt.get_backend())
lines = !cat made
lines
# %%
print(lines, lines.n)
"""

IN_A_FRONT_END = {**NOTEBOOKS, "shown": SHOWN.strip("\n").split("\n# %%\n")}
