"""Variables that hold the same objects: stored once, and still the same after a restore."""

from __future__ import annotations

import io
import os
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from aca_kernel.remote.checkpoint.groups import Grouping
from aca_kernel.remote.checkpoint.pieces import Pack, PieceWriter
from aca_kernel.remote.checkpoint.sharing import Group

from .running import missing, run, shown

ROWS = """
class Box:
    def __init__(self, part): self.part = part
class Refuses:
    def __init__(self, part): self.part = part
    def __reduce__(self): raise ValueError('not me')
early = []
rows = [{'id': number, 'text': str(number), 'tags': []} for number in range(20_000)]
early.append(rows[5])
index = {row['id']: row for row in rows}
copy, backwards = list(rows), rows[::-1]
refused = [rows[0], Refuses(rows[1])]
def last(rows=rows): return rows[-1]
box, few, alone = Box(rows), rows[:3], ['alone']
other = [[number] for number in range(20_000)]
others = {'some': other[7], 'row': rows[7]}
names = [last, Box]
# %%
print(all(index[number] is rows[number] is copy[number] for number in range(20_000)))
print(early[0] is rows[5], backwards[0] is rows[-1] is last(), box.part is rows, few[2] is copy[2])
print(others['some'] is other[7], others['row'] is rows[7], names[0] is last, alone)
rows[0]['tags'].append(1); print(index[0]['tags'], copy[0]['tags'], few[0]['tags'])
# %%
print(index[0]['tags'], copy[0]['tags'], few[0]['tags'])
"""


def test_many_small_objects_are_the_same_under_all_their_names(tmp_path: Path) -> None:
    cells = ROWS.strip().split("# %%\n")
    restored = run(cells, tmp_path)
    assert missing(restored[1]) == {"refused": "ValueError: not me, at `refused[1]`"}
    assert shown(restored) == shown(run(cells))
    assert not any(error for _, _, error in shown(restored))


def test_one_that_fails_to_load_among_many_takes_what_holds_it_only(tmp_path: Path) -> None:
    before = """
class Fails:
    def __setstate__(self, state): raise ValueError('no way back')
rows = [{'id': number, 'text': str(number)} for number in range(20_000)]
fails = Fails(); fails.rows = rows
copy, both, index = list(rows), [rows[0], fails], {0: rows[0]}
"""
    after = "print(copy[0] is rows[0] is index[0], len(rows), 'both' in dir())"
    cell = run([before, after], tmp_path)[1]
    assert cell["text"] == "True 20000 False\n"
    assert set(missing(cell)) == {"fails", "both"}


@contextmanager
def unlimited(_: Any) -> Iterator[None]:
    yield


def groups_of(variables: dict[str, Any], most_bytes: int = 10**9) -> list[Group]:
    shell: Any = types.SimpleNamespace(user_ns=variables)
    pack = Pack(os.devnull, set())
    grouping = Grouping(shell, pack, most_bytes, unlimited, lambda _, reduce: reduce)
    groups = grouping.make(variables, {})
    pack.close()
    return groups


def test_many_small_objects_are_pickled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time they are takes as long as cloudpickle does for all."""
    written = 0
    write = PieceWriter.write

    def count(self: PieceWriter, data: Any) -> int:
        nonlocal written
        written += len(data)
        return write(self, data)

    monkeypatch.setattr(PieceWriter, "write", count)
    rows = [{"id": number, "text": str(number)} for number in range(30_000)]
    variables = {
        "one": [1],
        "rows": rows,
        "index": {row["id"]: row for row in rows},
        "copy": list(rows),
        "odd": rows[1::2],
        "text": "text",
    }
    (group,) = [one for one in groups_of(variables) if "rows" in one.all_names()]
    assert sorted(group.all_names()) == ["copy", "index", "odd", "rows"]
    file = io.BytesIO()
    cloudpickle.Pickler(file, 5).dump(list(variables.values()))
    assert written < 1.1 * len(file.getvalue())


@pytest.mark.parametrize("most_bytes", [10**9, 600_000])
def test_who_shares_with_whom_is_found_whatever_the_order(most_bytes: int) -> None:
    """Also where all together are larger than they may be."""
    first = [[number] for number in range(60_000)]
    second = [{number} for number in range(60_000)]
    variables = {
        "bridge": [first[40_000], second[50_000]],
        "first": first,
        "second": second,
        "third": [[number] for number in range(60_000)],
        "atoms": (1, "a", None),
    }
    found = {tuple(sorted(one.all_names())) for one in groups_of(variables, most_bytes=most_bytes)}
    apart = {("third",), ("atoms",)}
    if most_bytes > 10**6:
        assert found == {("bridge", "first", "second"), *apart}
    else:
        assert found == apart
