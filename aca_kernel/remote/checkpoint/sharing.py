"""Which variables share an object, or need each other: these are stored in one pickle.

Told by what their picklers have met. With millions of small objects each step for one of them
counts: sets of ids are compared as a whole, and only what two groups have in common is looked at.
"""

from __future__ import annotations

import graphlib
import itertools
import pickle
import sys
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from .atoms import Atoms
from .pickler import Pickler
from .pieces import PieceWriter

# In so many elements of a container it shows whether it holds what another one does.
_SAMPLE = 8

# Up to so many it is not worth to look at all of the other one's.
_FEW = 1000


@dataclass(eq=False)
class Group:
    """Variables that are stored together. names: the variables of each value.

    parts: how many pickles they are, which one pickler has made and one unpickler loads.
    """

    names: list[list[str]]
    values: list[Any]
    needs: set[str] = field(default_factory=set)
    # Names of variables that are to be restored before, if they are.
    wants: set[str] = field(default_factory=set)
    stream: list[str] = field(default_factory=list)
    size: int = 0
    buffers: list[pickle.PickleBuffer] = field(default_factory=list)
    parts: int = 1
    # Of the last attempt. The pickler keeps the objects that it has met alive.
    writer: PieceWriter = field(init=False)
    pickler: Pickler = field(init=False)
    # Whether it cannot be stored for something that it is, or holds.
    has_culprit: bool = False
    # What is not stored with the values, and why.
    lost: dict[str, str] = field(default_factory=dict)

    def written(self) -> int:
        """Return the bytes of its pickles, without those of its buffers."""
        return self.writer.size

    def release(self) -> None:
        """Let go of the pickler, which is needed until groups are joined."""
        self.pickler.release()
        del self.pickler

    def finish(self) -> None:
        """Take what the writer has written, and what it refers to."""
        self.stream = self.writer.finish()
        self.needs = self.pickler.needs - set(self.all_names())
        self.wants = self.pickler.weak.wants - set(self.all_names())
        # By its own name, if it has one.
        names = {id(one): names[0] for one, names in zip(self.values, self.names)}  # noqa: B905
        first = self.names[0][0]
        self.lost = {
            what.format(f"`{names.get(key, first)}`"): why for what, why, key in self.pickler.lost
        }

    def all_names(self) -> list[str]:
        """Return the names of all its variables."""
        return [name for names in self.names for name in names]


def connected(
    groups: list[Group], atoms: Atoms, named: dict[int, str], namespace: int
) -> list[list[Group]]:
    """Return the groups that share objects, or need each other, side by side.

    named: names of functions and classes, by their ids; these count where they are stored by value.
    """
    parent: dict[Group, Group] = {group: group for group in groups}

    def root(group: Group) -> Group:
        while parent[group] is not group:
            parent[group] = group = parent[parent[group]]
        return group

    watched = _watched(groups)
    for _, (first, *others) in watched.values():
        for other in others:
            parent[root(other)] = root(first)
    for one, other in _sharing(groups, atoms, named, root, watched, namespace):
        parent[root(one)] = root(other)
    # Most variables need no other.
    needs = {group: others for group, others in needed(groups).items() if others}
    while circle := _circle(needs, root):
        for group in circle:
            parent[root(group)] = root(circle[0])
    together: dict[Group, list[Group]] = {}
    for group in groups:
        together.setdefault(root(group), []).append(group)
    return list(together.values())


def _sharing(
    groups: list[Group],
    atoms: Atoms,
    named: dict[int, str],
    root: Callable[[Group], Group],
    watched: dict[int, tuple[Any, list[Group]]],
    namespace: int,
) -> Iterator[tuple[Group, Group]]:
    """Yield pairs of groups that share a mutable object, until all that do are connected.

    watched: what is shared whatever it is. namespace: the id of the notebook's, which all know.
    """
    is_shared = _asked_of(atoms, named, watched)
    by_size = sorted(groups, key=Group.written)
    seen = {key: group for key, (_, (group, *_)) in watched.items()}
    objects = {key: target for key, (target, _) in watched.items()}
    for group in by_size[:-1]:
        memo = group.pickler.memo.copy()
        memo.pop(namespace, None)
        common = memo.keys() & seen.keys()
        for key in common:
            other = seen[key]
            if root(other) is not root(group) and is_shared(memo[key][1], group):
                if is_shared(memo[key][1], other):
                    yield group, other
                else:
                    seen[key] = group
        new = memo.keys() - common
        seen.update(dict.fromkeys(new, group))
        objects.update({key: memo[key][1] for key in new if is_shared(memo[key][1], group)})
        objects.update({key: memo[key][1] for key in common if seen[key] is group})
    for largest in by_size[-1:]:
        for value in _held_by(largest, list(objects.values())):
            if is_shared(value, largest):
                yield largest, seen[id(value)]


def _asked_of(
    atoms: Atoms, named: dict[int, str], watched: Collection[int]
) -> Callable[[Any, Group], bool]:
    """Return what tells whether an object of a group must stay the same for another one."""

    def is_mutable(value: Any, group: Group) -> bool:
        kind = type(value)  # isinstance() would ask the value itself, too
        if issubclass(kind, (type, types.FunctionType)) or id(value) in named:
            return id(value) in group.pickler.made
        return not atoms.holds(value)

    def is_shared(value: Any, group: Group) -> bool:
        return id(value) in watched or is_mutable(value, group)

    return is_shared if watched else is_mutable


def _watched(groups: list[Group]) -> dict[int, tuple[Any, list[Group]]]:
    """Return what groups refer to weakly, by ids, with these groups."""
    found: dict[int, tuple[Any, list[Group]]] = {}
    for group in groups:
        for key, target in group.pickler.weak.met.items():
            found.setdefault(key, (target, []))[1].append(group)
    return found


def _held_by(group: Group, objects: list[Any]) -> list[Any]:
    """Return those of some objects that the pickler of a group has met; it forgets all of them.

    A copy of what it has met takes longer than its pickle did. That it lets go of an object shows
    by the object's count of references.
    """
    if not objects:
        return []
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        memo = group.pickler.memo.copy()
        return [one for one in objects if id(one) in memo]
    before = [sys.getrefcount(one) for one in objects]
    group.pickler.clear_memo()
    # In the same way as before: a loop over pairs would hold each once more.
    after = [sys.getrefcount(one) for one in objects]
    return [one for number, one in enumerate(objects) if after[number] < before[number]]


class Sampled:
    """A group that others may be added to, by what its first value holds."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._few = set(map(id, itertools.islice(_parts(group.values[0]), _FEW)))
        self._all: set[int] | None = None

    def may_share(self, value: Any, atoms: Atoms) -> bool:
        """Tell whether another value seems to hold some of the same.

        A wrong answer costs time only.
        """
        parts = _parts(value)
        sample = {id(one) for one in itertools.islice(parts, _SAMPLE) if not atoms.holds(one)}
        if not sample or not sample.isdisjoint(self._few):
            return bool(sample)
        if len(parts) <= _FEW:
            return False
        if self._all is None:
            self._all = set(map(id, _parts(self.group.values[0])))
        return not sample.isdisjoint(self._all)


def _parts(value: Any) -> list[Any]:
    kind = type(value)
    if kind is dict:
        return list(value.values())
    if kind in (list, tuple, set, frozenset):
        return list(value)
    if issubclass(kind, (type, types.ModuleType, types.FunctionType)):
        return []
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return []
    return list(attributes.values()) if type(attributes) is dict else []


def needed(groups: list[Group]) -> dict[Group, list[Group]]:
    """Return the groups that each group needs or wants."""
    by_name = {name: group for group in groups for name in group.all_names()}
    return {
        group: [by_name[name] for name in sorted(group.needs | group.wants) if name in by_name]
        for group in groups
    }


def _circle(needs: dict[Group, list[Group]], root: Callable[[Group], Group]) -> list[Group]:
    """Return groups that need each other in a circle, none if there is none.

    root: the group that stands for those joined already.
    """
    by_root: dict[Group, set[Group]] = {}
    for group, others in needs.items():
        own = root(group)
        by_root.setdefault(own, set()).update({root(one) for one in others} - {own})
    try:
        graphlib.TopologicalSorter(by_root).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []
