"""Functions find the same globals after a restore, and go on sharing them with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import missing, run
from .test_objects import same_with_restores

NAMESPACES = {
    "a script that %run has run": """
open('script.py', 'w').write('''
import functools, sqlite3
connection, count, state = sqlite3.connect(':memory:'), 0, {'n': 0}
def bump():
    global count
    count += 1; state['n'] += 1
    return count
def value(): return count, state
@functools.cache
def slow(one): state['n'] += 1; return one
class Adding:
    def add(self):
        global count
        count += 10; return count
''')
%run script.py
del connection
adding = Adding(); bump(); slow(1)
# %%
print(bump(), value(), adding.add(), value(), state, slow(1), slow.cache_info())
# %%
print(bump(), value(), adding.add(), value(), state, slow(1), slow.cache_info())
""",
    "a namespace of exec": """
names = {'n': 1}
exec('def get(): return n\\nclass Kind:\\n    def get(self): return get()', names)
get, kind = names['get'], names['Kind']()
# %%
names['n'] = 2; print(get(), kind.get(), get is names['get'], type(kind) is names['Kind'])
# %%
print(get(), kind.get())
""",
    "the notebook's own": """
import threading
names, lock = globals(), threading.Lock()
same = names
def put(name, value): globals()[name] = value
del lock
# %%
put('one', 1); names['two'] = 2; print(names is globals(), same is names, one, two, names['one'])
# %%
names['two'] = 3; print(two)
""",
    "a module made by hand": """
import types
made = types.ModuleType('made', 'by hand')
exec('n = 1\\ndef get(): return n\\nclass Kind:\\n    def get(self): return n', vars(made))
get, kind, same = made.get, made.Kind(), made
# %%
made.n = 2; print(get(), kind.get(), get is made.get, same is made, made.__doc__, len([1]))
# %%
print(get(), kind.get(), vars(made)['n'], get.__globals__ is vars(made))
""",
    "what a module beside the notebook makes": """
open('helping.py', 'w').write('''
import threading
lock, calls, total = threading.Lock(), {}, 0
def counted(function):
    def kept(*arguments):
        global total
        with lock:
            total += 1; calls[function.__name__] = total
        return function(*arguments)
    return kept
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1; return n
    def get(): return n
    return up, get
''')
import sys; sys.path.insert(0, ''); sys.dont_write_bytecode = True
import helping
from helping import calls as seen
@helping.counted
def double(one): return 2 * one
up, get = helping.counter(); up()
# %%
print(double(3), helping.total, helping.calls, up(), get(), seen is helping.calls)
# %%
print(up(), get(), seen, seen is helping.calls)
""",
}


@pytest.mark.parametrize("name", NAMESPACES)
def test_functions_go_on_sharing_their_globals(name: str, tmp_path: Path) -> None:
    same_with_restores(tmp_path, NAMESPACES[name])


IN_OTHERS = """
import threading
class Holder:
    def __init__(self, names): self.names = names
x, lock, holder = 1, threading.Lock(), Holder(globals())
held, unrelated = {'names': globals(), 'all': [globals(), locals()]}, [x]
class Broken:
    def __setstate__(self, state): raise ValueError('broken')
shared = [1]; broken = [shared, Broken()]; broken[1].x = 1; whole = [shared, globals()]
# %%
print(holder.names is globals() is held['names'] is held['all'][1], whole[1] is globals())
print(whole[0] is shared)
# %%
x = 2; print(holder.names['x'], held['all'][0]['x'], sorted(held), unrelated)
"""


def test_the_namespace_in_other_objects_is_no_copy(tmp_path: Path) -> None:
    cells = IN_OTHERS.strip("\n").split("\n# %%\n")
    result = run(cells, tmp_path)
    assert set(missing(result[1])) == {"lock", "broken"}
    assert result[1]["text"] == "True True\nTrue\n"
    assert result[2]["text"] == "2 2 ['all', 'names'] [1]\n"
