"""Weak references: they watch the same objects after a restore, and keep none of them alive."""

from __future__ import annotations

from pathlib import Path

from .running import missing, run
from .test_objects import come_back, same_with_restores

OF_ALL_KINDS = """
import gc, weakref
class Node:
    def __init__(self, name): self.name, self.parent, self.children = name, None, []
    def add(self, child): child.parent = weakref.ref(self); self.children.append(child)
    def hi(self): return 'hi ' + self.name
class Tagged(weakref.ref):
    def __init__(self, one): super().__init__(one); self.tag = 'tag'
log = []
def gone(_): log.append('gone')
root, other = Node('root'), Node('other')
leaf = Node('leaf'); root.add(leaf); del leaf
by_name = weakref.WeakValueDictionary(root=root, leaf=root.children[0])
data = weakref.WeakKeyDictionary({root: 'data', root.children[0]: [1]})
group = weakref.WeakSet([root])
frozen = frozenset([1, 2])
refs = [weakref.ref(frozen), weakref.ref(gone), weakref.ref(Node), weakref.ref(Node('dead'))]
tagged, ref = Tagged(root), weakref.ref(other, gone)
method, proxy = weakref.WeakMethod(other.hi, gone), weakref.proxy(other, gone)
# %%
print(root.children[0].parent() is root, sorted(by_name), by_name['root'] is root, root in group)
print(data[root], data[root.children[0]], tagged() is root, tagged.tag, ref() is other, method()())
print(proxy.name, type(proxy), refs[0]() is frozen, refs[1]() is gone, refs[2]() is Node, refs[3]())
# %%
del other; print(log, ref(), method())
# %%
_ = gc.collect(); del root; _ = gc.collect()
print(list(by_name), len(data), len(group), tagged(), log)
"""

FINALIZERS = """
import tempfile, weakref
log = []
class Resource:
    def __init__(self):
        self.finalizer = weakref.finalize(self, log.append, 'closed')
        self.finalizer.atexit = False
resource, other, third = Resource(), {1}, Resource()
class Plain: pass
plain = Plain()
# Nobody holds this one.
_ = weakref.finalize(plain, log.append, 'plain')
done = weakref.finalize(third, log.append, 'third'); done()
# %%
finalizer = resource.finalizer
print(finalizer.alive, finalizer.peek()[0] is resource, finalizer.atexit, done.alive, log)
# %%
del resource; print(log, finalizer.alive)
# %%
del plain, third; print(log)
"""

CHAIN = """
import gc, weakref
class Key: pass
values = weakref.WeakKeyDictionary(); first = key = Key()
for _ in range(5):
    values[key] = following = Key(); key = following
del key, following; _ = gc.collect()
# %%
print(len(values), type(values[first]).__name__)
# %%
del first; print(len(values))
"""

IN_EACH_OTHER = """
import weakref
class Owner:
    def __init__(self):
        self.me, self.again = weakref.ref(self), weakref.WeakMethod(self.run)
        self.proxy = weakref.proxy(self); self.all = weakref.WeakSet([self])
    def run(self): return self.proxy.me() is self and list(self.all) == [self]
owner = Owner(); proxy = owner.proxy
# %%
print(owner.me() is owner, owner.again()(), proxy is owner.proxy)
# %%
del owner
try: proxy.run
except ReferenceError: print('gone')
"""


def test_weak_references_watch_what_they_have_watched(tmp_path: Path) -> None:
    same_with_restores(tmp_path, OF_ALL_KINDS)


def test_finalizers_are_called_once_also_those_that_nobody_holds(tmp_path: Path) -> None:
    same_with_restores(tmp_path, FINALIZERS)


def test_what_a_weak_key_holds_may_be_the_next_key(tmp_path: Path) -> None:
    same_with_restores(tmp_path, CHAIN)


def test_objects_that_refer_to_themselves_weakly_are_not_kept(tmp_path: Path) -> None:
    same_with_restores(tmp_path, IN_EACH_OTHER)


def test_what_lives_by_something_that_is_not_stored_is_not_kept_but_named(tmp_path: Path) -> None:
    before = """
import json, threading, weakref
class Node: pass
class Connection:
    def __init__(self): self.lock = threading.Lock()
connection = Connection(); pool = weakref.WeakSet([connection])
json.decoder.one = [Node()]; hidden = {'of json': weakref.ref(json.decoder.one[0])}
called = weakref.finalize(json.decoder.one[0], print, 'never here')
other = Node(); kept = weakref.ref(other)
"""
    cell = come_back(
        tmp_path, before, "print(len(pool), hidden['of json'](), called.alive, kept() is other)"
    )
    why = "nothing that is stored with it holds that"
    assert missing(cell) == {
        "connection": "it holds a lock, which cannot be stored, at `connection.lock` of a "
        "Connection",
        **{f"what `{name}` refers to weakly": why for name in ("pool", "hidden", "called")},
    }
    assert (cell["text"], cell["error"]) == ("0 None False True\n", "")


def test_a_weak_reference_spoils_nothing_that_its_target_does_not(tmp_path: Path) -> None:
    cells = [
        """
import weakref
class Bad:
    def __setstate__(self, state): raise ValueError('closed')
bad = Bad(); bad.x = 1
refs, other = weakref.WeakValueDictionary(bad=bad), [1]
""",
        "print(other, 'refs' in dir())",
    ]
    cell = run(cells, tmp_path)[1]
    assert missing(cell) == {
        "bad": "ValueError: closed",
        "refs": "it holds a Bad, which did not come back: ValueError: closed",
    }
    assert cell["text"] == "[1] False\n"


SHARED = """
import weakref
class Node: pass
node, held = Node(), frozenset([1])
first, second, third = weakref.ref(node), [weakref.ref(node)], weakref.WeakSet([node])
one, other = weakref.ref(held), {'held': weakref.ref(held)}
# %%
print(first is second[0], first() is node, node in third, one() is held is other['held']())
# %%
del node; print(first(), second[0](), len(third))
"""


def test_those_that_watch_the_same_go_on_doing_so(tmp_path: Path) -> None:
    same_with_restores(tmp_path, SHARED)


def test_a_weak_reference_to_what_has_a_name_does_not_need_it(tmp_path: Path) -> None:
    before = """
import threading, weakref
class Bad:
    lock = threading.Lock()
    def __init_subclass__(cls): subclasses.add(cls)
subclasses = weakref.WeakSet()
class Good: pass
subclasses.add(Bad); subclasses.add(Good)
def function(default=threading.Lock()): pass
refs = [weakref.ref(function), weakref.ref(Good)]
"""
    cell = come_back(
        tmp_path, before, "print(list(subclasses) == [Good], refs[0](), refs[1]() is Good)"
    )
    assert set(missing(cell)) == {"Bad", "function"}
    assert (cell["text"], cell["error"]) == ("True None True\n", "")
