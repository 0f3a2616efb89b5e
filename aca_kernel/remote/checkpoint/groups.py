"""Which variables belong together, and in which order they come back.

Each value is pickled alone first. Values whose pickles have met the same changeable object
are put into one group and pickled together, so that the object is one object afterwards,
too. A group that refers to a function or class of another one by its name comes after it;
groups that refer to each other are one. A value that cannot be pickled is left out, with
what needs it, and nothing else is.

Pickles are written as they are made; large buffers are not written before it is clear that
they will be kept.
"""

from __future__ import annotations

import functools
import pickle
import re
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from .atoms import Atoms, module_of
from .pickler import NotStorable, Pickler
from .pieces import Pack, PieceWriter, TooLarge

# functools.lru_cache has no public name for what it makes.
_CACHED: Any = functools._lru_cache_wrapper  # noqa: SLF001
_ALIAS: Any = getattr(typing, "TypeAliasType", None)  # since Python 3.12
_FUNCTIONS: tuple[Any, ...] = (types.FunctionType, _CACHED, typing.NewType, _ALIAS)


@dataclass(eq=False)
class Group:
    """Variables that are stored in one pickle.

    names: for each value, the variables that are this very object.
    """

    names: list[list[str]]
    values: list[Any]
    needs: set[str] = field(default_factory=set)
    stream: list[str] = field(default_factory=list)
    size: int = 0
    buffers: list[pickle.PickleBuffer] = field(default_factory=list)
    # Changeable objects that it has met; the pickler keeps them, and with them their ids.
    met: set[int] = field(default_factory=set)
    pickler: Pickler | None = None

    def release(self) -> None:
        """Let go of what is needed only until it is known what belongs together."""
        if self.pickler is not None:
            self.pickler.release()
            self.pickler = None

    def all_names(self) -> list[str]:
        """Return the names of all its variables."""
        return [name for names in self.names for name in names]


class Grouping:
    """Groups the values of one namespace.

    skipped: names of what is left out, each with its reason, a text that begins lower case.
    limited: gives each pickle a time limit, by the names it is for; raises TooSlow.
    known: names of another grouping's that these values may refer to, which come back before.
    """

    def __init__(
        self,
        shell: Any,
        pack: Pack,
        most_bytes: int,
        limited: Callable[[list[str]], AbstractContextManager[None]],
        known: dict[int, str] | None = None,
    ) -> None:
        self.skipped: list[tuple[str, str]] = []
        self._shell = shell
        self._pack = pack
        self._most_bytes = most_bytes
        self._limited = limited
        self._atoms = Atoms()
        self._known = known or {}
        self._names: dict[int, str] = {}

    def make(self, variables: dict[str, Any], refused: dict[str, str]) -> list[Group]:
        """Return the groups, each after those that it needs.

        refused: names that are not to be tried, with the reason.
        """
        groups = self._singles(variables, refused)
        self._names = self._known | {
            id(value): group.names[0][0]
            for group in groups
            for value in group.values
            if _is_made_in_a_cell(value)
        }
        groups = [group for group in groups if self._pickle(group)]
        groups = [
            group for part in self._connected(groups) if (group := self._joined(part)) is not None
        ]
        self._leave_out_dependants(groups)
        return _in_order(groups)

    def names_of(self, groups: list[Group]) -> dict[int, str]:
        """Return the functions and classes that some of its groups hold, as id and name."""
        there = {name for group in groups for name in group.all_names()}
        return {key: name for key, name in self._names.items() if name in there}

    def skip(self, group: Group, reason: str) -> None:
        """Leave a group out."""
        self.skipped.extend((name, reason) for name in group.all_names())

    def _singles(self, variables: dict[str, Any], refused: dict[str, str]) -> list[Group]:
        """Return a group for each object; most aliases are seen without pickling."""
        groups: list[Group] = []
        by_id: dict[int, Group] = {}
        for name, value in variables.items():
            if name in refused:
                self.skipped.append((name, refused[name]))
                continue
            if id(value) in by_id:
                by_id[id(value)].names[0].append(name)
                continue
            try:
                is_known_by_id = not self._atoms.holds(value)
            # Only types are asked, but what those of the user's do may be anything.
            except BaseException as error:  # noqa: BLE001
                self.skipped.append((name, reason_of(error)))
                continue
            groups.append(Group([[name]], [value]))
            if is_known_by_id:
                by_id[id(value)] = groups[-1]
        return groups

    # -- pickling ------------------------------------------------------------------

    def _pickle(self, group: Group) -> bool:
        """Pickle a group; tell whether it worked."""
        reason = self._try(group)
        if reason is not None:
            self.skip(group, reason)
        return reason is None

    def _try(self, group: Group) -> str | None:
        writer = PieceWriter(self._pack, self._most_bytes)
        buffers: list[pickle.PickleBuffer] = []
        own = {id(value) for value in group.values}
        pickler = Pickler(writer, self._shell, self._names, own, buffers.append)
        try:
            with self._limited(group.all_names()):
                pickler.dump(group.values)
                group.met = set(self._changeable(pickler))
        except NotStorable as error:
            return f"it is, or holds, {error}"
        except TooLarge:
            return _too_large(self._most_bytes)
        except TooSlow as error:
            return str(error)
        # What the user's classes raise may be anything.
        except BaseException as error:  # noqa: BLE001
            return reason_of(error)
        group.size = writer.size + sum(memoryview(one).nbytes for one in buffers)
        if group.size > self._most_bytes:
            return _too_large(self._most_bytes)
        group.stream, group.buffers = writer.finish(), buffers
        group.needs = pickler.needs - set(group.all_names())
        group.pickler = pickler
        return None

    def _changeable(self, pickler: Pickler) -> Iterator[int]:
        """Yield the ids of the objects that a pickle holds and that somebody could change."""
        for _, value in pickler.memo.copy().values():
            kind = type(value)  # isinstance() would ask the value itself, too
            if issubclass(kind, (type, types.FunctionType)) or id(value) in self._names:
                if id(value) in pickler.made:
                    yield id(value)
            elif not self._atoms.holds(value):
                yield id(value)

    # -- what belongs together -----------------------------------------------------

    def _connected(self, groups: list[Group]) -> list[list[Group]]:
        """Return the groups that share objects, or need each other, side by side."""
        parent: dict[Group, Group] = {group: group for group in groups}

        def root(group: Group) -> Group:
            while parent[group] is not group:
                parent[group] = group = parent[parent[group]]
            return group

        first: dict[int, Group] = {}
        for group in groups:
            for key in group.met:
                parent[root(group)] = root(first.setdefault(key, group))
        by_name = {name: group for group in groups for name in group.all_names()}
        needs: dict[Group, set[Group]] = {}
        for group in groups:
            own = root(group)
            found = {root(by_name[name]) for name in group.needs if name in by_name}
            needs.setdefault(own, set()).update(found - {own})
        for circle in _circles(needs):
            for group in circle:
                parent[root(group)] = root(circle[0])
        parts: dict[Group, list[Group]] = {}
        for group in groups:
            parts.setdefault(root(group), []).append(group)
        return list(parts.values())

    def _joined(self, part: list[Group]) -> Group | None:
        for group in part:
            group.release()
        if len(part) == 1:
            return part[0]
        joined = Group(
            [names for group in part for names in group.names],
            [value for group in part for value in group.values],
        )
        # What goes beyond the limit only together goes beyond it.
        reason = self._try(joined)
        joined.release()
        if reason is None:
            return joined
        for group in part:
            others = [name for one in part if one is not group for name in one.all_names()]
            self.skip(group, f"together with {_listed(others)}: {reason}")
        return None

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


class TooSlow(BaseException):
    """Pickling something took longer than it may; no class of the user's can catch it."""


def _is_made_in_a_cell(value: Any) -> bool:
    """Tell whether something is known to other objects by the name it was defined under.

    By its type alone: any attribute of an object of the user's may run code of the user's.
    """
    kind = type(value)
    if issubclass(kind, type):
        return module_of(value) == "__main__"
    if not any(kind is one for one in _FUNCTIONS):
        return False
    module = getattr(value, "__module__", None)
    return type(module) is str and module == "__main__"


def _in_order(groups: list[Group]) -> list[Group]:
    """Return each group after those that it needs; none needs itself by way of others."""
    by_name = {name: group for group in groups for name in group.all_names()}
    ordered: dict[Group, None] = {}
    for first in groups:
        waiting = [first]
        while waiting:
            group = waiting[-1]
            needed = {by_name[name] for name in group.needs if name in by_name}
            missing = [one for one in needed if one not in ordered]
            if missing:
                waiting.extend(missing)
            else:
                waiting.pop()
                ordered[group] = None
    return list(ordered)


def _circles(needs: dict[Group, set[Group]]) -> list[list[Group]]:
    """Return the sets of groups in which each can be reached from each other (Tarjan)."""
    number: dict[Group, int] = {}
    lowest: dict[Group, int] = {}
    stack: list[Group] = []
    on_stack: set[Group] = set()
    circles: list[list[Group]] = []
    for first, its_needs in needs.items():
        if first in number:
            continue
        path: list[tuple[Group, Iterator[Group]]] = [(first, iter(its_needs))]
        number[first] = lowest[first] = len(number)
        stack.append(first)
        on_stack.add(first)
        while path:
            group, others = path[-1]
            other = next(others, None)
            if other is None:
                path.pop()
                if path:
                    before = path[-1][0]
                    lowest[before] = min(lowest[before], lowest[group])
                if lowest[group] == number[group]:
                    start = stack.index(group)
                    circle = stack[start:]
                    del stack[start:]
                    on_stack.difference_update(circle)
                    if len(circle) > 1:
                        circles.append(circle)
            elif other not in number:
                number[other] = lowest[other] = len(number)
                stack.append(other)
                on_stack.add(other)
                path.append((other, iter(needs[other])))
            elif other in on_stack:
                lowest[group] = min(lowest[group], number[other])
    return circles


def reason_of(error: BaseException) -> str:
    """Say in a few words why something could not be stored or restored."""
    text = str(error).strip().partition("\n")[0]
    found = re.search(r"(?:cannot|can't) pickle '?([\w.]+)'? objects?", text, re.IGNORECASE)
    if found:
        kind = found.group(1).rpartition(".")[2].strip("_")
        return f"it is, or holds, a {kind}, which cannot be stored"
    if "recursion" in text or isinstance(error, RecursionError):
        return "it is nested too deeply"
    if len(text) > 160:
        text = text[:159] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _listed(names: list[str]) -> str:
    if len(names) > 2:
        return f"`{names[0]}`, `{names[1]}` and {len(names) - 2} more"
    return " and ".join(f"`{name}`" for name in names)


def _too_large(most_bytes: int) -> str:
    return f"it is larger than {most_bytes / 1e6:.0f} MB"
