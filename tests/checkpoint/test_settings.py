"""Settings of the process: Python's, IPython's and libraries' are as they were, or are named."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from aca_kernel.remote.checkpoint.process_settings.counters import _go_on_with
from aca_kernel.remote.checkpoint.save import CheckpointJob, Limits, _settings
from aca_kernel.remote.origin import Origin

from ..support import Client
from .running import missing, run, shown
from .test_objects import come_back, same_with_restores

# Each sets something in one cell, and shows it in the next ones.
PYTHON = {
    "decimal": (
        "import decimal; decimal.getcontext().prec = 5; decimal.getcontext().rounding = 'ROUND_UP'",
        "print(decimal.Decimal(1) / 3, decimal.getcontext().rounding)",
    ),
    "locale": (
        "import locale; locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')",
        "print(locale.setlocale(locale.LC_NUMERIC))",
    ),
    "limits": (
        "import sys; sys.setrecursionlimit(1234); sys.setswitchinterval(0.01); sys.argv[:] = ['a']",
        "print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.argv)",
    ),
    "umask": ("import os; os.umask(0o027)", "print(os.umask(0o027))"),
    "signals": (
        """
import os, signal
def note(number, frame): print('signal', number)
signal.signal(signal.SIGUSR1, note)
""",
        "print(signal.getsignal(signal.SIGUSR1) is note); os.kill(os.getpid(), signal.SIGUSR1)",
    ),
    "sockets": (
        "import socket; socket.setdefaulttimeout(7.5)",
        "print(socket.getdefaulttimeout())",
    ),
    "gc": (
        "import gc; gc.disable(); gc.set_threshold(500, 5, 5)",
        "print(gc.isenabled(), gc.get_threshold())",
    ),
    "faulthandler": (
        "import faulthandler, tempfile; faulthandler.enable(tempfile.TemporaryFile())",
        "print(faulthandler.is_enabled())",
    ),
    "csv": (
        "import csv, io; csv.field_size_limit(999); csv.register_dialect('mine', delimiter='|')",
        "print(csv.field_size_limit(), list(csv.reader(['a|b'], 'mine')))",
    ),
    "others": (
        """
import calendar, multiprocessing, ssl, tempfile
calendar.setfirstweekday(6); multiprocessing.set_start_method('spawn', force=True)
tempfile.tempdir = '.'
ssl._create_default_https_context = ssl._create_unverified_context
""",
        """
print(calendar.firstweekday(), multiprocessing.get_start_method(), tempfile.tempdir)
print(ssl._create_default_https_context is ssl._create_unverified_context)
""",
    ),
    "copyreg": (
        """
import copyreg
class Point:
    def __init__(self, x): self.x = x
def reduce_point(one): return Point, (one.x,)
copyreg.pickle(Point, reduce_point)
""",
        "print(copyreg.dispatch_table[Point] is reduce_point)",
    ),
}


@pytest.mark.parametrize("name", PYTHON)
def test_settings_of_python_are_as_they_were(name: str, tmp_path: Path) -> None:
    before, after = PYTHON[name]
    same_with_restores(tmp_path, f"{before}\n# %%\n{after}\n# %%\n{after}")


def test_handlers_that_are_not_made_again_are_named(tmp_path: Path) -> None:
    before = """
import logging, logging.handlers
class Mine(logging.Handler): pass
logging.getLogger('a').addHandler(Mine())
logging.root.addHandler(logging.handlers.MemoryHandler(9))
"""
    assert missing(come_back(tmp_path, before, "")) == {
        "a handler of the root logger": "it is a MemoryHandler, which is not made again",
        "a handler of the logger a": "it is a Mine, which is not made again",
    }


IPYTHON = """
ip = get_ipython()
%precision 3
%xmode Plain
%alias hi echo hi
%alias_magic t time
%config PlainTextFormatter.max_seq_length = 4
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.ast_node_interactivity = 'all'
from IPython.core.magic import Magics, magics_class, line_magic, register_line_magic
@register_line_magic
def shout(line): return line.upper() + '!'
@magics_class
class Mine(Magics):
    @line_magic
    def whisper(self, line): return line.lower()
ip.register_magics(Mine)
class Point:
    pass
ip.display_formatter.formatters['text/plain'].for_type(Point, lambda one, p, cycle: p.text('<P>'))
ip.display_formatter.formatters['text/html'].for_type(complex, lambda one: '<i>')
calls = []
def hook(*_): calls.append(1)
ip.events.register('post_execute', hook)
def transform(lines): return [line.replace('§', 'print') for line in lines]
ip.input_transformers_cleanup.append(transform)
def on_key_error(shell, kind, error, tb, tb_offset=None): print('handled', kind.__name__)
ip.set_custom_exc((KeyError,), on_key_error)
ip.db['bookmarks'] = {'here': '/'}
point = Point()
# %%
3.14159265
[1, 2, 3, 4, 5, 6]
point
# %%
%shout a
%whisper B
§('by transformer')
print('t' in ip.magics_manager.magics['line'], 'hi' in dict(ip.alias_manager.aliases))
print(ip.InteractiveTB.mode, len(calls) > 0)
print(ip.events.callbacks['post_execute'].count(hook), ip.db['bookmarks'])
print(ip.display_formatter.formatters['text/html'].lookup_by_type(complex)(1j))
# %%
{}['missing']
"""


def test_settings_of_ipython_are_as_they_were(tmp_path: Path) -> None:
    cells = IPYTHON.strip().split("# %%\n")
    restored, plain = run(cells, tmp_path), run(cells)
    for cell in restored[1:]:
        assert missing(cell) == {}
    for one, other in zip(shown(restored), shown(plain), strict=True):
        assert one == other
    assert "<P>" in restored[1]["text"]
    assert "by transformer" in restored[2]["text"]
    assert "handled KeyError" in restored[3]["text"]


def test_what_another_kernel_is_writing_into_the_profile_is_left_to_it(tmp_path: Path) -> None:
    before = "db = get_ipython().db; db['bookmarks'] = {'here': '/'}; db['autorestore/n'] = 7"
    folder = "get_ipython().profile_dir.location + '/db"
    half_written = f"open({folder}/bookmarks', 'w').close(); db.uncache()"
    cell = come_back(
        tmp_path, f"{before}\n{half_written}", "print(get_ipython().db['autorestore/n'])"
    )
    assert (cell["text"], missing(cell)) == ("7\n", {})


AUTORELOAD = """
import os, sys; sys.path.insert(0, ''); sys.dont_write_bytecode = True
open('edited.py', 'w').write('def f(): return 1')
%load_ext autoreload
%autoreload 2
import edited
print(edited.f())
# %%
print(edited.f())
# %%
open('edited.py', 'w').write('def f(): return "edited"'); os.utime('edited.py', (9e9, 9e9))
get_ipython().events.trigger('pre_run_cell', None)
print(edited.f())
"""


def test_modules_are_reloaded_as_before(tmp_path: Path) -> None:
    restored = run(AUTORELOAD.strip().split("# %%\n"), tmp_path)
    assert [cell["text"] for cell in restored] == ["1\n", "1\n", "edited\n"]
    assert missing(restored[2]) == {}


EXTENSIONS = """
open('mine.py', 'w').write('''
from IPython.core.magic import Magics, magics_class, line_magic
from traitlets import Int, Unicode
@magics_class
class Told(Magics):
    width = Int(80)
    name = Unicode()
    @line_magic
    def told(self, line):
        if line: self.width, self.name = 100, line
        return self.width, self.name
@magics_class
class Untold(Magics):
    def __init__(self, shell):
        super().__init__(shell)
        self.connections = object()
    @line_magic
    def untold(self, line): pass
def load_ipython_extension(ip): ip.register_magics(Told, Untold(ip))
''')
import sys; sys.path.insert(0, '')
%load_ext mine
%told a
"""


def test_extensions_come_back_with_their_traits_and_are_named_for_the_rest(tmp_path: Path) -> None:
    cell = come_back(tmp_path, EXTENSIONS, "%told")
    assert cell["text"].endswith("(100, 'a')\n")
    assert missing(cell) == {"what is set in the extension mine": "the extension does not tell it"}


PATCHES = """
import textwrap, warnings, pandas as pd
def dedent(text): return 'mine'
textwrap.dedent = dedent
def wide(self): return self.shape[1]
pd.DataFrame.wide = wide
pd.DataFrame.tall = property(lambda self: self.shape[0])
@pd.api.extensions.register_series_accessor('twice')
class Twice:
    def __init__(self, series): self.series = series
    def all(self): return list(self.series * 2)
def show(message, *a, **k): print('warned', message)
warnings.showwarning = show
table = pd.DataFrame({'a': [1, 2]})
# %%
print(textwrap.dedent(''), textwrap.dedent is dedent)
print(table.wide(), table.tall, table['a'].twice.all())
warnings.warn('of something')
# %%
print(textwrap.dedent(''), textwrap.dedent is dedent)
print(table.wide(), table.tall, table['a'].twice.all())
"""


def test_what_cells_have_put_into_modules_is_there_again(tmp_path: Path) -> None:
    same_with_restores(tmp_path, PATCHES)


EXCHANGED = """
import json, os, time, textwrap
plain, clock, shorten = json.dumps, time.time, textwrap.shorten
def dumps(value, **named): return plain(value, **{'indent': 2, 'default': repr, **named})
def never(*arguments, **named): raise RuntimeError('not for others')
json.dumps, textwrap.shorten = dumps, never
json.dump = json.load = json.loads = never
def frozen(): return 1.5
time.time = time.monotonic = frozen
os.replace = os.path.getsize = never
class Point: pass
numbers = {'a': list(range(100_000))}; also = [numbers['a']]
# %%
print(json.dumps([1]), json.dumps is dumps, json.load is never, time.time())
print(os.replace is os.path.getsize is never, also[0] is numbers['a'], shorten('a b', 9))
print(clock() > 1e9, plain([1]))
# %%
print(json.dumps({'a': Point}, indent=None)[:6], clock() > 1e9, plain is not dumps)
"""


def test_functions_that_cells_have_exchanged_are_not_ours(tmp_path: Path) -> None:
    same_with_restores(tmp_path, EXCHANGED)


# Stand-ins with the functions that the libraries document.
LIBRARIES = {
    "jax": """
class config:
    jax_enable_x64 = False
    jax_debug_nans = False
    @classmethod
    def update(cls, name, value): setattr(cls, name, value)
class Array:
    def __init__(self, value): self.value, self.wide = value, config.jax_enable_x64
    def __reduce__(self): return Array, (self.value,)
""",
    "torch": """
import random
state = dict(dtype='float32', grad=True, deterministic=False, threads=2, rng=b'seed')
def get_default_dtype(): return state['dtype']
def set_default_dtype(one): state['dtype'] = one
def is_grad_enabled(): return state['grad']
def set_grad_enabled(one): state['grad'] = one
def are_deterministic_algorithms_enabled(): return state['deterministic']
def use_deterministic_algorithms(one): state['deterministic'] = one
def get_num_threads(): return state['threads']
def set_num_threads(one): state['threads'] = one
def get_rng_state(): return state['rng']
def set_rng_state(one): state['rng'] = one
""",
    "xarray": """
state = {'display_width': 80}
def get_options(): return dict(state)
def set_options(**options): state.update(options)
""",
    "polars": """
import json
state = {}
class Config:
    @classmethod
    def set_tbl_rows(cls, rows): state['rows'] = rows
    @classmethod
    def save(cls): return json.dumps(state)
    @classmethod
    def load(cls, text): state.clear(); state.update(json.loads(text))
""",
    "altair": """
class Registry:
    def __init__(self):
        self.active, self.options, self._plugins, self._global_settings = 'default', {}, {}, {}
    def enable(self, name, **options): self.active, self.options = name, options
renderers, data_transformers = Registry(), Registry()
""",
    "numba": """
threads = [4]
def get_num_threads(): return threads[0]
def set_num_threads(one): threads[0] = one
""",
    "pint": """
class Formatter: default_format = ''
class Registry: formatter = Formatter()
def get_application_registry(): return Registry
""",
    "astropy": """
class Conf:
    max_lines = None
    def keys(self): return ['max_lines']
conf = Conf()
""",
    "geopandas": """
class Options: display_precision, io_engine = None, None
options = Options()
""",
    "zarr": """
class config:
    config = {'array': {'order': 'C'}}
    @classmethod
    def update(cls, new): cls.config.update(new)
""",
    "keras": """
class config:
    values = ['float32', 'channels_last']
    @classmethod
    def floatx(cls): return cls.values[0]
    @classmethod
    def image_data_format(cls): return cls.values[1]
    @classmethod
    def set_floatx(cls, one): cls.values[0] = one
    @classmethod
    def set_image_data_format(cls, one): cls.values[1] = one
""",
}

SET = """
jax.config.update('jax_enable_x64', True); array = jax.Array(5)
torch.set_default_dtype('float64'); torch.set_grad_enabled(False); torch.set_num_threads(1)
torch.use_deterministic_algorithms(True); torch.set_rng_state(b'later')
xarray.set_options(display_width=120); polars.Config.set_tbl_rows(3)
altair.renderers.enable('svg', scale=2); numba.set_num_threads(1)
pint.Registry.formatter.default_format = '~P'; astropy.conf.max_lines = 7
geopandas.options.display_precision = 3; zarr.config.config['array']['order'] = 'F'
keras.config.set_floatx('float16')
"""

SHOW = """
print(jax.config.jax_enable_x64, array.wide, torch.state, xarray.get_options(), polars.state)
print(altair.renderers.active, altair.renderers.options, numba.threads)
print(pint.Registry.formatter.default_format, astropy.conf.max_lines)
print(geopandas.options.display_precision, zarr.config.config, keras.config.values)
"""


def test_options_of_libraries_are_as_they_were(tmp_path: Path) -> None:
    written = [f"open('{name}.py', 'w').write({text!r})" for name, text in LIBRARIES.items()]
    first = "\n".join(["import sys; sys.path.insert(0, '')", *written])
    cells = f"{first}\nimport {', '.join(LIBRARIES)}\n{SET}\n# %%\n{SHOW}\n# %%\n{SHOW}"
    same_with_restores(tmp_path, cells)


PROGRESS = """
import pandas as pd
from tqdm import tqdm
class Shown:
    def write(self, text): print(repr(text.strip()))
    def flush(self): pass
tqdm.pandas(desc='mine', file=Shown(), bar_format='{desc}', mininterval=1e9)
table = pd.DataFrame({'a': [1, 2]})
# %%
print(table.progress_apply(sum).tolist())
# %%
print(table.a.progress_map(abs).tolist())
"""


def test_the_progress_of_pandas_is_shown_as_before(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    same_with_restores(tmp_path, PROGRESS)


REGISTERED = """
import sys; sys.path.insert(0, '')
open('registry.py', 'w').write('''
writers, _cache = {int: repr}, {}
class Reader:
    readers = {}
    @classmethod
    def add(cls, name, one): cls.readers[name] = one; _cache[name] = one
class Spec:
    def __init__(self, made): self.made, self.n = made, 1
specs = {}
names = {}
''')
import registry
class Point:
    def __init__(self, x): self.x = x
registry.writers[Point] = lambda one: f'P{one.x}'
registry.Reader.add('!p', Point); registry.specs['mine/P'] = registry.Spec(Point)
registry.names.setdefault('Point', []).append(Point)
registry._cache['other'] = Point
# %%
print(registry.writers[Point](Point(3)), registry.writers[int](4))
print(registry.Reader.readers['!p'] is Point)
print(registry.specs['mine/P'].made(5).x, registry.specs['mine/P'].n, registry.names)
# %%
print(registry.writers[Point](Point(3)), registry.names, len(registry.writers))
"""


def test_what_cells_have_registered_with_libraries_is_there_again(tmp_path: Path) -> None:
    same_with_restores(tmp_path, REGISTERED)


TWICE = """
import sys; sys.path.insert(0, '')
open('twice.py', 'w').write('names, ends = {}, {}')
import twice
class Loud:
    def __call__(self, *_): return 'loud'
twice.names['a'] = twice.ends['b'] = Loud(); twice.names['f'] = twice.ends['f'] = lambda: 1
# %%
print(twice.names['a'](), twice.ends['b'](), twice.names['a'] is twice.ends['b'])
print(twice.names['f'] is twice.ends['f'], list(twice.names), list(twice.ends))
"""


def test_one_object_in_two_tables_is_in_both_again(tmp_path: Path) -> None:
    same_with_restores(tmp_path, TWICE)


ASSIGNED = """
import sys; sys.path.insert(0, '')
open('limits.py', 'w').write('''
MOST, tables, lock = 3, {'a': 1}, None
class Reader: depth = 1
''')
import limits, limits as short
limits.MOST = 5; shared = limits.shared = [1]
short.tables['b'] = [2]; limits.Reader.depth += 4
setattr(limits, 'added', 'x')
import threading; limits.lock = own_lock = threading.Lock()
import builtins; builtins.LEVELS = ['low']
"""


def test_what_cells_set_in_modules_is_set_again_or_named(tmp_path: Path) -> None:
    after = "print(limits.MOST, limits.tables, limits.Reader.depth, limits.added, limits.lock)"
    after += "; print(limits.shared is shared, LEVELS)"
    cell = come_back(tmp_path, ASSIGNED, after)
    assert cell["text"] == "5 {'a': 1, 'b': [2]} 5 x None\nTrue ['low']\n"
    reason = "it is, or holds, a lock, which cannot be stored"
    assert missing(cell) == {
        "own_lock": reason,
        "what a cell has set: limits.lock": "it needs `own_lock`, which did not come back",
    }


RANDOM = """
import functools, random, numpy as np
random.seed(3); np.random.seed(3); random.random(), np.random.random()
draw = {'bit': functools.partial(random.randint, 0, 9), 'n': functools.partial(np.random.rand, 1)}
# %%
print(draw['bit'](), draw['n'](), random.random(), np.random.random())
# %%
print(draw['bit'](), draw['n'](), random.random(), np.random.random())
"""


def test_methods_of_the_common_generators_stay_theirs(tmp_path: Path) -> None:
    same_with_restores(tmp_path, RANDOM)


COUNTERS = """
import sys; sys.path.insert(0, '')
open('numbering.py', 'w').write('''
import itertools
_last_id = 999
MOST_COUNT = 5
_names = itertools.count(3)
_more = itertools.count(0, 2).__next__
def simple():
    global _last_id
    _last_id += 1
    return _last_id
class Counter:
    def __init__(self): self.count = 1
_ids = Counter()
def number():
    _ids.count += 1
    return _ids.count
class Thing:
    instances = 0
    serials = itertools.count()
    limit_count = 7
    def __init__(self):
        Thing.instances += 1
        self.name = f'thing-{Thing.instances}-{next(self.serials)}-{next(_names)}-{_more()}'
    def __setstate__(self, state):
        Thing()
        self.__dict__.update(state)
''')
import numbering
things = [numbering.Thing(), numbering.Thing()]; numbering.simple(); numbering.number()
# %%
print(things[1].name, numbering.Thing().name, numbering.simple(), numbering.number())
# %%
print(things[1].name, numbering.Thing().name, numbering.simple(), numbering.number())
print(numbering.MOST_COUNT, numbering.Thing.limit_count)
"""


# As scikit-learn numbers the elements of its pages.
COUNTERS_OF_ANOTHER_MODULE = """
import os, sys; sys.path.insert(0, '')
os.mkdir('pages')
open('pages/__init__.py', 'w').close()
open('pages/base.py', 'w').write('''
class IDCounter:
    def __init__(self, prefix):
        self.prefix, self.count = prefix, 0
    def get_id(self):
        self.count += 1
        return self.prefix + str(self.count)
''')
open('pages/html.py', 'w').write('''
from .base import IDCounter
IDS = IDCounter('page-')
def show(): return IDS.get_id()
''')
from pages.html import show
print(show(), show())
# %%
print(show())
# %%
print(show(), show())
"""


@pytest.mark.parametrize(
    "cells", [COUNTERS, COUNTERS_OF_ANOTHER_MODULE], ids=["own", "of another module"]
)
def test_what_libraries_count_goes_on(tmp_path: Path, cells: str) -> None:
    same_with_restores(tmp_path, cells)


@pytest.mark.parametrize("wanted", [7, 10**6, 10**15, -2], ids=["near", "far", "too far", "back"])
@pytest.mark.parametrize("step", [1, 3])
def test_a_counter_goes_on_however_far_it_is_behind(wanted: int, step: int) -> None:
    """Some libraries begin at random: rich with up to 2**24."""
    wanted = 1 + step * wanted
    counter = itertools.count(1, step)
    place = SimpleNamespace(plain=counter, bound=itertools.count(1, step).__next__)
    _go_on_with(place, "plain", place.plain, wanted)
    _go_on_with(place, "bound", place.bound, wanted)
    assert [next(place.plain), next(place.plain)] == [wanted, wanted + step]
    assert [place.bound(), place.bound()] == [wanted, wanted + step]
    # Whoever holds it has the same, unless counting to there took too long.
    assert (place.plain is counter) is (0 < wanted <= 1 + step * 10**6)


MATPLOTLIB = """
import matplotlib; matplotlib.use('agg')
import matplotlib.pyplot as plt, matplotlib.scale as scale
plt.style.use('ggplot')
matplotlib.colormaps.register(matplotlib.colors.ListedColormap(['r', 'b']), name='mine')
class Tenfold(scale.LinearScale):
    name = 'tenfold'
scale.register_scale(Tenfold)
# %%
print(plt.get_cmap('mine')(1.0), plt.rcParams['axes.facecolor'])
plt.gca().set_xscale('tenfold'); print(type(plt.gca().xaxis._scale) is Tenfold)
# %%
print(plt.get_cmap('mine').N, plt.gca().get_xscale())
"""


def test_what_is_registered_with_matplotlib_is_there_again(tmp_path: Path) -> None:
    same_with_restores(tmp_path, MATPLOTLIB)


def test_the_configuration_of_scikit_learn_is_as_it_was(tmp_path: Path) -> None:
    show = "print(sklearn.get_config()['assume_finite'])"
    set_it = "import sklearn; sklearn.set_config(assume_finite=True)"
    same_with_restores(tmp_path, f"{set_it}\n# %%\n{show}\n# %%\n{show}")


def test_options_of_a_library_that_has_changed_are_named(tmp_path: Path) -> None:
    before = """
import sys; sys.path.insert(0, '')
open('numba.py', 'w').write('def get_num_threads(): return 3')
import numba
"""
    assert missing(come_back(tmp_path, before, "")) == {
        "the threads of numba": "AttributeError: module 'numba' has no attribute 'set_num_threads'"
    }


def test_magics_that_were_never_used_are_not_imported_by_a_checkpoint(
    shared_kernel: Client,
) -> None:
    prefix = "IPython.core.magics."
    loaded = f"import sys; sorted(one for one in sys.modules if one.startswith({prefix!r}))"
    before = shared_kernel.run(loaded).result
    assert shared_kernel.run("%aca checkpoint").status == "ok"
    assert shared_kernel.run(loaded).result == before


def test_a_search_that_ended_the_copy_is_named(tmp_path: Path) -> None:
    job = CheckpointJob(None, Origin("", {}, [], {}), str(tmp_path), Limits(1, 1, 1), set())
    name, reason = "the counters of libraries", "storing it crashed (signal 9)"
    job.refused[name] = reason
    found, failed = _settings(job, lambda _: contextlib.nullcontext(), is_before_fork=False)
    assert (name, reason) in failed
    assert name not in found
