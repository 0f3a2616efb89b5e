"""Groups of variables that are pickled together, in the order of their restore.

Each value is pickled alone first, or behind a large one that it seems to share with. Values that
share a mutable object become one group and are pickled together, so that it is one object after a
restore (sharing.py). A group that refers to a function or
class of another by its name comes after that; groups that refer to each other are one. A value
that cannot be pickled is left out, with those that need it.

Pickles are written as they are made, large buffers once their group is kept.
"""

from __future__ import annotations

import functools
import graphlib
import math
import sys
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from ..originals import time
from . import rebuild, weak
from .atoms import Atoms, NotStorable, module_of
from .functions import StandIn
from .hanging import NotReady, Reducer, simple_name_of
from .held_elsewhere import told_name
from .module_names import ModuleNames
from .pickler import Pickler, Surroundings, try_out
from .pieces import Nowhere, Pack, PieceWriter, TooLarge
from .process_settings import assignments
from .process_settings.row import is_of_cells
from .reasons import place_of_failure, reason_of
from .sharing import Group, Sampled, connected, needed

# functools.lru_cache has no public name for what it makes.
_CACHED: Any = functools._lru_cache_wrapper  # noqa: SLF001
_ALIAS: Any = getattr(typing, "TypeAliasType", None)  # since Python 3.12
# Objects of libraries that go by many names, or whose methods do, of which a copy would have no
# effect, or numbers of its own.
_SINGLE = (
    ("os", "environ"),
    ("matplotlib", "rcParams"),
    ("random", "_inst"),
    ("numpy.random.mtrand", "_rand"),
)

# A pickle of this size is not made twice, if that can be avoided.
_LARGE_BYTES = 1 << 18

# What comes to be held by what has been found before is looked for so often.
_MOST_ROUNDS = 20

# Of a variable that was not looked at, because storing others has taken all the time.
_NO_TIME = "there was no time left to store it"

_FUNCTIONS: tuple[Any, ...] = (types.FunctionType, _CACHED, typing.NewType, _ALIAS)


class Grouping:
    """The groups of one namespace.

    skipped: names that are left out, each with its reason, a text that begins lower case.
    limited: gives each pickle a time limit, by the names it is for; raises TooSlow.
    guard: see Surroundings.
    known: names of another grouping, restored before, that these values may refer to.
    only: names that may be stored; None: all. deadline: of the first look at the variables.
    deferred: names of those skipped that hold objects which the copy cannot reduce.
    """

    def __init__(
        self,
        shell: Any,
        pack: Pack,
        most_bytes: int,
        limited: Callable[[list[str]], AbstractContextManager[None]],
        guard: Callable[[type, Reducer], Reducer],
        known: dict[int, str] | None = None,
        *,
        only: set[str] | None = None,
        deadline: float = math.inf,
    ) -> None:
        self.skipped: list[tuple[str, str]] = []
        self.deferred: set[str] = set()
        self._shell = shell
        self._pack = pack
        self._most_bytes = most_bytes
        self._limited = limited
        self._modules = ModuleNames(shell.user_ns)
        self._by_module: dict[int, tuple[str, str]] = {}
        self._names: dict[int, str] = {}
        self._around = Surroundings(shell, guard, self._modules, self._by_module, self._names)
        self._only = only
        self._deadline = deadline
        self._atoms = Atoms()
        self._known = known or {}
        self._large: list[Sampled] = []

    def make(self, variables: dict[str, Any], refused: dict[str, str]) -> list[Group]:
        """Return the groups, each after those that it needs. refused: names with reasons."""
        groups = self._singles(variables, refused)
        own = {
            id(value): group.names[0][0]
            for group in groups
            for value in group.values
            if _is_made_in_a_cell(value)
        }
        self._names.update(own | self._known)
        self._by_module.update(_singles())
        for group in groups:
            self._find_library(group)
        pickled: list[Group] = []
        failed = self._try_all(groups, pickled)
        known = len(self._by_module)
        # Objects that cannot be pickled, and are a module's own: they, and what holds them.
        for group, _ in failed:
            where = self._modules.of(group.values[0])
            if where is None or _is_made_in_a_cell(group.values[0]):
                continue
            if where not in assignments.places():  # by a cell: it is not there after an import
                self._by_module[id(group.values[0])] = where
        if len(self._by_module) > known:
            failed = self._try_all([group for group, _ in failed], pickled)
            pickled.sort(key=groups.index)
        for group, reason in failed:
            self.skip(group, self._located(group, reason))
        for group in pickled:
            group.finish()
        together = connected(pickled, self._atoms, self._names, id(self._shell.user_ns))
        groups = [group for group in map(self._joined, together) if group is not None]
        self._leave_out_dependants(groups)
        for group in groups:
            self.skipped += group.lost.items()
        return list(graphlib.TopologicalSorter(needed(groups)).static_order())

    def _find_library(self, group: Group) -> None:
        """Note where a value comes from that was imported out of a library."""
        value = group.values[0]
        kind = type(value)
        # Plain containers and arrays are stored as they are, with what is in them now.
        is_data = module_of(kind) in ("builtins", "__main__", "numpy", "types")
        if is_data or issubclass(kind, type) or self._atoms.holds(value) or is_of_cells(value):
            return
        for name in group.names[0]:
            where = self._modules.in_library(name, value)
            if where is not None:
                self._by_module[id(value)] = where

    def names_of(self, groups: list[Group]) -> dict[int, str]:
        """Return the names of the functions and classes in some of its groups, by their ids."""
        there = {name for group in groups for name in group.all_names()}
        return {key: name for key, name in self._names.items() if name in there}

    def skip(self, group: Group, reason: str) -> None:
        """Leave a group out."""
        self.skipped.extend((told_name(name), reason) for name in group.all_names())

    def _singles(self, variables: dict[str, Any], refused: dict[str, str]) -> list[Group]:
        """Return a group for each object; most aliases are seen without pickling."""
        groups: list[Group] = []
        by_id: dict[int, Group] = {}
        for name, value in variables.items():
            is_wanted = self._only is None or name in self._only
            if name in refused or not is_wanted:
                self.skipped.append((name, refused.get(name, _NO_TIME)))
                continue
            if id(value) in by_id:
                by_id[id(value)].names[0].append(name)
                continue
            try:
                is_known_by_id = not self._atoms.holds(value)
            # Only types are asked, but those of the user's may raise anything.
            except BaseException as error:  # noqa: BLE001
                self.skipped.append((name, reason_of(error)))
                continue
            # Which `globals()` in a cell returns.
            is_own = value is self._shell.user_ns
            groups.append(Group([[name]], [StandIn(rebuild.namespace) if is_own else value]))
            if is_known_by_id:
                by_id[id(value)] = groups[-1]
        return groups

    # -- pickling ------------------------------------------------------------------

    def _try_all(self, groups: list[Group], pickled: list[Group]) -> list[tuple[Group, str]]:
        """Pickle groups, add them to those that are; return the others with their reasons."""
        failed: list[tuple[Group, str]] = []
        for group in groups:
            if time.monotonic() > self._deadline:
                failed.append((group, _NO_TIME))
                continue
            if self._append_to_another(group, failed):
                continue
            reason = self._try(group)
            if reason is not None:
                failed.append((group, reason))
                continue
            pickled.append(group)
            if group.written() > _LARGE_BYTES:
                self._large.append(Sampled(group))
        for group, _ in failed:
            if group in pickled:
                pickled.remove(group)
        return failed

    def _append_to_another(self, group: Group, failed: list[tuple[Group, str]]) -> bool:
        """Pickle a variable behind a large one that it seems to share with; tell whether it was.

        It would be joined with that one anyway, and both pickled once more.
        """
        value = group.values[0]
        if _is_made_in_a_cell(value):
            return False  # others know it by its name, before and behind
        for sampled in self._large:
            large = sampled.group
            if not sampled.may_share(value, self._atoms):
                continue
            try:
                with self._limited(group.all_names()):
                    large.pickler.dump([value])
                large.size = _size_of(large)
            except BaseException:  # noqa: BLE001 - the user's classes may raise anything
                large.size = self._most_bytes + 1
            if large.size <= self._most_bytes:
                large.names += group.names
                large.values.append(value)
                large.parts += 1
                return True
            # What has been written of it is of no use: the large one is pickled anew, and this one
            # apart, which tells the reason.
            self._large.remove(sampled)
            reason = self._try(large)
            if reason is not None:
                failed.append((large, reason))
            return False
        return False

    def _try(self, group: Group, alive: set[int] | None = None) -> str | None:
        """Pickle a group; return why it cannot be stored, None if it can.

        alive: ids of what it refers to weakly and holds as well; None: that is not known yet.
        """
        group.writer = writer = PieceWriter(self._pack, self._most_bytes)
        group.buffers, group.parts = [], 1
        own = self._own(group)
        group.pickler = pickler = Pickler(writer, self._around, own, group.buffers.append, alive)
        try:
            with self._limited(group.all_names()):
                pickler.dump(group.values)
        except NotStorable as error:
            group.has_culprit = not isinstance(error, NotReady)
            if not group.has_culprit:
                self.deferred.update(group.all_names())
            return f"it is, or holds, {error}"
        except TooLarge:
            return _too_large(self._most_bytes)
        except TooSlow as error:
            return str(error)
        except BaseException as error:  # noqa: BLE001 - the user's classes may raise anything
            group.has_culprit = not isinstance(error, RecursionError)
            return reason_of(error)
        group.size = _size_of(group)
        return _too_large(self._most_bytes) if group.size > self._most_bytes else None

    def _own(self, group: Group) -> set[int]:
        """Return the ids of what is stored by value: not of what another grouping has stored."""
        return {id(value) for value in group.values} - self._known.keys()

    def _located(self, group: Group, reason: str) -> str:
        """Add to a reason where in the variable it lies, if that can be found out."""
        name, value = group.names[0][0], group.values[0]
        # Where something lies in what was read of a setting says nothing.
        if not group.has_culprit or name.startswith("_") or not name.isidentifier():
            return reason
        try:
            with self._limited(group.all_names()):
                fails = functools.partial(self._fails, reason)
                place = place_of_failure(name, value, fails, simple_name_of)
        except TooSlow:
            return reason
        return f"{reason.replace('it is, or holds,', 'it holds')}, at {place}" if place else reason

    def _fails(self, reason: str, part: Any) -> bool:
        try:
            try_out(part, self._around, {id(part)})
        except TooSlow:
            raise
        except NotStorable as error:
            return f"it is, or holds, {error}" == reason
        except BaseException as error:  # noqa: BLE001 - the user's classes may raise anything
            return reason_of(error) == reason
        return False

    # -- what belongs together -----------------------------------------------------

    def _joined(self, part: list[Group]) -> Group | None:
        found = [(group, dict(group.pickler.weak.met)) for group in part]
        watching = [(group, targets) for group, targets in found if targets]
        for group in part:
            group.release()
        if len(part) == 1 and not watching:
            return part[0]
        joined = Group(
            [names for group in part for names in group.names],
            [value for group in part for value in group.values],
        )
        alive = self._held(joined) if watching else set()
        lost = {
            weak.LOST.format(_quoted(group.names[0][0])): weak.WHY_LOST
            for group, targets in watching
            if targets.keys() - alive
        }
        # Together they may exceed the limit.
        reason = self._try(joined, alive)
        joined.finish()
        joined.release()
        if reason is None:
            joined.lost.update(lost)
            return joined
        for group in part:
            others = [name for one in part if one is not group for name in one.all_names()]
            together = f"together with {_listed(others)}: " if others else ""
            self.skip(group, together + reason)
        return None

    def _held(self, group: Group) -> set[int]:
        """Return the ids of what values refer to weakly and hold as well.

        What has come to be held may hold others, as the keys of a WeakKeyDictionary do.
        """
        alive: set[int] = set()
        own = self._own(group)
        for _ in range(_MOST_ROUNDS):
            pickler = Pickler(Nowhere(), self._around, own, alive=alive)
            try:
                with self._limited(group.all_names()):
                    pickler.dump(group.values)
                found = pickler.weak.met.keys() & pickler.memo.copy().keys()
            # Why it fails is told when it is pickled for good.
            except BaseException:  # noqa: BLE001 - the user's classes may raise anything
                return alive
            finally:
                pickler.release()
            if not found:
                return alive
            alive |= found
        return alive

    def _leave_out_dependants(self, groups: list[Group]) -> None:
        there = {name for group in groups for name in group.all_names()}
        there.update(self._known.values())
        while True:
            lost = [group for group in groups if group.needs - there]
            if not lost:
                return
            for group in lost:
                groups.remove(group)
                missing = min(group.needs - there)
                self.skip(group, f"it needs `{missing}`, which cannot be stored")
                there.difference_update(group.all_names())


def _singles() -> Iterator[tuple[int, tuple[str, str]]]:
    for module, name in _SINGLE:
        single = getattr(sys.modules.get(module), name, None)
        if single is not None:
            yield id(single), (module, name)


def _size_of(group: Group) -> int:
    return group.written() + sum(memoryview(one).nbytes for one in group.buffers)


class TooSlow(BaseException):
    """The end of a pickle's time; no class of the user's can catch it."""


def _is_made_in_a_cell(value: Any) -> bool:
    """Tell whether other objects know a value by the name that it was defined under.

    By its type alone: attributes of the user's objects may run the user's code.
    """
    kind = type(value)
    if issubclass(kind, type):
        return module_of(value) == "__main__"
    if not any(kind is one for one in _FUNCTIONS):
        return False
    if is_of_cells(value):  # whatever functools.wraps has made of its name
        return True
    module = getattr(value, "__module__", None)
    return type(module) is str and module == "__main__"


def _quoted(name: str) -> str:
    told = told_name(name)
    return f"`{name}`" if told == name else told


def _listed(names: list[str]) -> str:
    if len(names) > 2:
        return f"`{names[0]}`, `{names[1]}` and {len(names) - 2} more"
    return " and ".join(f"`{name}`" for name in names)


def _too_large(most_bytes: int) -> str:
    return f"it is larger than {most_bytes / 1e6:.0f} MB"
