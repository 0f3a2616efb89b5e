"""Small tools."""

REQUIREMENTS = (
    *("more-itertools", "toolz", "sortedcontainers", "arrow", "pendulum", "cachetools", "loguru"),
    *("structlog", "rich", "click", "typer", "faker", "bidict", "boltons", "tenacity"),
    *("pyrsistent", "frozendict", "tabulate", "humanize", "anytree", "treelib"),
)

NOTEBOOKS = {
    "more-itertools": """
# wrappers of iterators
import more_itertools as mi
p = mi.peekable([1, 2, 3]); p.peek(); s = mi.seekable(iter('abc')); next(s); b = mi.bucket(['a1', 'b1'], key=lambda x: x[0]); n = mi.numeric_range(0, 5, 2)
# %% restart
print(list(p))
# %%
s.seek(0); print(list(s))
# %%
print(list(b['a']))
# %%
print(list(n))
""",
    "toolz": """
# composed and curried functions
import toolz, toolz.curried as tc
add = toolz.curry(lambda a, b: a + b); inc = add(1); comp = toolz.compose(str, inc); m = toolz.memoize(lambda x: x * 2); j = toolz.juxt(inc, str); m(3)
# %% restart
print(inc(2), comp(3), m(4), j(1), tc.map(inc, [1])) if False else print(inc(2), comp(3), m(4), j(1))
""",
    "sortedcontainers": """
# sorted lists, dicts and sets with keys of cells
from sortedcontainers import SortedList, SortedDict, SortedSet
l = SortedList([3, 1], key=lambda v: -v); d = SortedDict({'b': 1, 'a': 2}); s = SortedSet([2, 1]); view = d.keys()
# %% restart
l.add(2); d['0'] = 5; s.add(0); print(l, d, s, list(view), l.bisect_left(2))
""",
    "arrow": """
# times, own factories
import arrow
t = arrow.get('2024-01-02T03:04:05+02:00'); r = t.shift(days=1); f = arrow.factory.ArrowFactory()
# %% restart
print(t.humanize(r), r - t, t.to('UTC'), f.get(0))
""",
    "pendulum": """
# times, locales, the first day of the week
import pendulum
t = pendulum.datetime(2024, 1, 2, tz='Europe/Paris'); d = pendulum.duration(days=3); i = pendulum.interval(t, t + d); pendulum.set_locale('fr'); pendulum.week_starts_at(pendulum.SUNDAY)
# %% restart
print(t.add(days=1), d, i.days, t.timezone_name)
# %%
print(pendulum.get_locale(), t.start_of('week'))
""",
    "cachetools": """
# caches of functions of cells
import cachetools
calls = []; cache = cachetools.LRUCache(2)
@cachetools.cached(cache)
def f(x): calls.append(x); return x * 2
f(1); f(2); f(3); ttl = cachetools.TTLCache(5, 1000); ttl['a'] = 1
@cachetools.cached({}, info=True)
def g(x): calls.append(x); return x
g(1)
class C:
    @cachetools.cachedmethod(lambda self: self.cache)
    def m(self, x): calls.append(x); return x
    def __init__(self): self.cache = {}
c = C(); c.m(5)
# %% restart
f(3); f(1); print(calls, cache, ttl['a'], f.cache is cache)
# %%
g(1); c.m(5); c.m(6); print(calls, g.cache_info())
""",
    "loguru": """
# handlers of cells; those that write elsewhere are named
import sys
from loguru import logger
logger.remove(); logger.add(sys.stdout, format='{level} {message} {extra}'); logger.level('MINE', no=25); bound = logger.bind(a=1); seen = []
n = logger.add(seen.append, format='{message}')
bound.info('before')
# %% restart
# needs: the handlers of loguru
bound.info('after')
# %%
# needs: the handlers of loguru
logger.log('MINE', 'own'); print([str(one) for one in seen])
""",
    "structlog": """
# configuration with processors of cells
import structlog
def add(logger, name, event): event['added'] = 1; return event
structlog.configure(processors=[add, structlog.processors.KeyValueRenderer()]); log = structlog.get_logger(); bound = log.bind(a=2); bound.info('hi')
# %% restart
structlog.get_logger().info('new')
# %%
bound.info('old')
""",
    "rich": """
# consoles, tables, pretty printing in cells
from rich.console import Console
from rich.table import Table
from rich import pretty
import rich
t = Table('a', 'b'); t.add_row('1', '2'); con = Console(width=40, record=True); con.print('x'); pretty.install(max_length=3)
# %% restart
t.add_row('3', '4'); print(t.row_count)
# %%
con.print(t); print(con.export_text())
# %%
# needs: the formatter of text/plain
list(range(9))
""",
    "click": """
# commands
import click
from click.testing import CliRunner
@click.group()
def cli(): pass
@cli.command()
@click.option('--n', default=2, type=int)
def hi(n): click.echo('hi' * n)
r = CliRunner()
# %% restart
print(r.invoke(cli, ['hi', '--n', '3']).output, [p.name for p in hi.params])
""",
    "typer": """
# commands by annotations
import typer
from typer.testing import CliRunner
app = typer.Typer()
@app.command()
def hi(n: int = 2): print('hi' * n)
# %% restart
print(CliRunner().invoke(app, ['--n', '3']).output)
""",
    "faker": """
# invented data in its order
from faker import Faker
from faker.providers import BaseProvider
Faker.seed(3); f = Faker(['en_US', 'de_DE']); one = Faker('de_DE'); one.seed_instance(5); one.name()
class Mine(BaseProvider):
    def own(self): return self.random_element(['a', 'b', 'c'])
one.add_provider(Mine); f.name(); u = Faker(); u.unique.random_digit()
# %% restart
print(one.name(), one.own(), f.name(), u.name())
# %%
print(sorted(u.unique.random_digit() for _ in range(9)))
""",
    "bidict": """
# dicts both ways
from bidict import bidict
b = bidict({'a': 1}); inv = b.inverse
# %% restart
b['c'] = 3; print(inv, b.inverse is inv, inv.inverse is b)
""",
    "boltons": """
# containers
from boltons.dictutils import OMD
from boltons.cacheutils import LRU, cached
from boltons.setutils import IndexedSet
o = OMD([('a', 1), ('a', 2)]); l = LRU(2); l['a'] = 1; i = IndexedSet('hello'); calls = []
@cached(l)
def f(x): calls.append(x); return x
f(1)
# %% restart
print(o.getlist('a'), i, i[0])
# %%
l['b'] = 2; print(dict(l)); f(1); print(calls)
""",
    "tenacity": """
# functions that are tried again
import tenacity
calls = []
@tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_none(), reraise=True)
def f():
    calls.append(1)
    if len(calls) < 3: raise ValueError
    return 'ok'
# %% restart
print(f(), calls, f.statistics['attempt_number'])
""",
    "pyrsistent": """
# persistent vectors, maps, records
from pyrsistent import pvector, pmap, PRecord, field, freeze
v = pvector([1, 2]); m = pmap({'a': 1}); w = v.append(3)
class R(PRecord):
    x = field(type=int)
r = R(x=1)
# %% restart
print(v, w, m.set('b', 2)['b'], r, r.set(x=5), freeze({'a': [1]}) == freeze({'a': [1]}))
""",
    "frozendict": """
# dicts that stay
from frozendict import frozendict
f = frozendict(a=1); d = {f: 'v'}
# %% restart
print(f, d[frozendict(a=1)], f.set('b', 2) | {'c': 3})
""",
    "tabulate": """
# tables as texts, formats of cells
import tabulate
from tabulate import TableFormat, DataRow, Line
tabulate._table_formats['mine'] = TableFormat(None, None, None, None, DataRow('<', '|', '>'), DataRow('<', '|', '>'), 0, None); tabulate.PRESERVE_WHITESPACE = True
rows = [[1, ' x']]
# %% restart
print(tabulate.tabulate(rows, tablefmt='github'))
# %%
print(tabulate.tabulate(rows, tablefmt='mine'))
# %%
print(tabulate.PRESERVE_WHITESPACE)
""",
    "humanize": """
# sizes and times in words, languages
import humanize, datetime as dt
humanize.i18n.activate('de_DE'); d = dt.timedelta(hours=3)
# %% restart
print(humanize.naturaldelta(d), humanize.naturalsize(1e6))
""",
    "anytree": """
# trees of nodes
from anytree import Node, RenderTree, NodeMixin
root = Node('r'); kid = Node('k', parent=root); leaf = Node('l', parent=kid)
# %% restart
Node('new', parent=kid); print(RenderTree(root).by_attr(), leaf.root is root)
""",
    "treelib": """
# trees with identifiers
from treelib import Tree
t = Tree(); t.create_node('R', 'r'); t.create_node('K', 'k', parent='r', data=[1]); node = t['k']
# %% restart
t.create_node('N', 'n', parent='k'); print(sorted(t.expand_tree()), node is t['k'], t.depth())
""",
}
