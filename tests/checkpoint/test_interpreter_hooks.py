"""What cells have given Python and libraries to call or to ask is there again, or is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import missing
from .test_objects import come_back, same_with_restores

# Each sets something in its first cell, and shows it in the next one.
HOOKS = {
    "overloads": """
import sys, typing
@typing.overload
def f(one: int) -> int: ...
@typing.overload
def f(one: str) -> str: ...
def f(one): return one
# %%
if sys.version_info >= (3, 11): print([one.__annotations__ for one in typing.get_overloads(f)])
""",
    "codecs": """
import codecs
def search(name):
    if name == 'mine':
        encode = lambda text, errors='strict': (text.upper().encode(), len(text))
        return codecs.CodecInfo(encode, None, name='mine')
codecs.register(search); codecs.register_error('mark', lambda error: ('?!', error.end))
# %%
print('abc'.encode('mine'), 'é'.encode('ascii', 'mark'))
""",
    "functions by types": """
import pkgutil, sys
open('showing.py', 'w').write('''
import functools
@functools.singledispatch
def show(one): return 'default'
class Shower:
    @functools.singledispatchmethod
    def show(self, one): return 'default'
''')
sys.path.insert(0, ''); from showing import show, Shower; import showing
class Own: pass
@showing.show.register
def _(one: Own): return 'own'
show.register(int, lambda one: 'int')
showing.Shower.show.register(Own, lambda self, one: 'own')
pkgutil.iter_importer_modules.register(Own, lambda one, prefix='': iter([('x', True)]))
# %%
print(showing.show(Own()), show(3), show('x'), showing.show is show, Shower().show(Own()))
print(list(pkgutil.iter_importer_modules(Own())))
""",
    "virtual subclasses": """
import collections.abc, numbers
class Own: pass
collections.abc.Sequence.register(Own); numbers.Number.register(Own)
# %%
print(isinstance(Own(), collections.abc.Sequence), issubclass(Own, numbers.Number))
""",
    "finders": """
import importlib.abc, importlib.machinery, sys
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == 'virtual': return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return None
    def exec_module(self, module): module.x = 5
sys.meta_path.insert(0, Finder())
def hook(path): raise ImportError
sys.path_hooks.append(hook)
# %%
import virtual; print(virtual.x, sys.path_hooks[-1] is hook, type(sys.meta_path[0]).__name__)
del sys.modules['virtual'], virtual
""",
    "threads": """
import threading
def note(frame, event, argument): return None
threading.settrace(note); threading.setprofile(note); _ = threading.stack_size(1 << 20)
threading.excepthook = lambda one: print('failed')
# %%
print(threading._trace_hook is note, threading._profile_hook is note, threading.stack_size())
""",
    "logging": """
import logging
class Own(logging.Logger):
    def trace(self, text): print('trace', text)
logging.addLevelName(5, 'TRACE'); logging.setLoggerClass(Own)
logger = logging.getLogger('mine'); logger.extra = 5
# %%
print(logging.getLevelName(5), type(logger) is Own, logger.extra, logging.getLoggerClass() is Own)
logging.getLogger('new').trace('text'); print(logger is logging.getLogger('mine'), Own.__module__)
""",
    "types of files": """
import mimetypes
mimetypes.add_type('x/y', '.zzz')
# %%
print(mimetypes.guess_type('a.zzz'), mimetypes.guess_extension('x/y'))
""",
    "limits of the process": """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
# %%
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
""",
    "numpy": """
import numpy as np
np.seterr(all='call'); _ = np.seterrcall(lambda kind, flag: print('called', kind))
# %%
print(np.float64(1) / 0)
""",
    "pandas": """
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype
class Array(ExtensionArray): pass
@register_extension_dtype
class Own(ExtensionDtype):
    name, type = 'own', int
@pd.api.extensions.register_dataframe_accessor('geo')
class Geo:
    def __init__(self, frame): self.frame = frame
    def count(self): return len(self.frame)
frame = pd.DataFrame({'a': [1, 2]})
# %%
print(type(pd.api.types.pandas_dtype('own')) is Own, frame.geo.count(), 'geo' in dir(frame))
""",
    "matplotlib": """
import matplotlib; matplotlib.use('agg')
import matplotlib.pyplot as plt
plt.style.library['mine'] = {'lines.linewidth': 9}
# %%
with plt.style.context('mine'): print(plt.rcParams['lines.linewidth'])
""",
    "what decorators have made": """
import contextlib, functools, json
@contextlib.contextmanager
def context(): yield 'context'
json.context = context; contextlib.closing = context
@functools.wraps(json.dumps)
def dumps(one): return 'dumps'
before = json.dumps; json.dumps = dumps
@functools.lru_cache
def loads(text): return 'loads ' + text
json.loads = loads
class Encoder(json.JSONEncoder): pass
json.JSONEncoder = Encoder
# %%
with json.context() as one, contextlib.closing() as other: print(one, other)
print(json.dumps(1), json.dumps is dumps, before(1), json.loads('1'), json.loads is loads)
print(json.JSONEncoder is Encoder, Encoder.__module__, json.context is context)
""",
    "what was shown": """
import json
lambda one: 'shown'
# %%
json.loads = _
# %%
print(json.loads('1'), json.loads is Out[1])
""",
}


@pytest.mark.parametrize("name", HOOKS)
def test_what_cells_have_registered_is_registered_again(name: str, tmp_path: Path) -> None:
    same_with_restores(tmp_path, HOOKS[name])


def test_what_is_not_called_again_is_named(tmp_path: Path) -> None:
    before = """
import atexit, sys, json
from unittest import mock
atexit.register(print, 'bye')
mock.patch('json.dumps').start(); mock.patch.dict('os.environ', {'PATCHED': 'y'}).start()
def profile(frame, event, argument): pass
sys.setprofile(profile)
"""
    cell = come_back(tmp_path, before, "print(sys.getprofile(), json.dumps(1))")
    assert missing(cell) == {
        "the functions of atexit": "Python does not tell which there are",
        "a patch of `dumps` of unittest.mock": "it is not started again",
        "a patch of unittest.mock": "it is not started again",
        "sys.setprofile": "a function that is called at each step is not set again",
    }
    assert cell["text"] == "None 1\n"
