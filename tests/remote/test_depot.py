"""Files that the kernel keeps in the agent's folder."""

from __future__ import annotations

import importlib.util
import py_compile
from collections.abc import Iterator
from pathlib import Path

from aca_kernel.remote import depot as depot_module
from aca_kernel.remote.depot import Depot
from aca_kernel.remote.wire import Record


def put(depot: Depot, name: str, start: int, data: bytes, needs: str = "") -> str:
    """Put a part of a file; return what went wrong."""
    head = {"kind": "put", "id": "1", "name": name, "start": start, "needs": needs}
    return str(depot.answer(Record(head, (data,))).head.get("error", ""))


def test_what_needs_a_file_that_is_broken_is_not_there(tmp_path: Path) -> None:
    depot = Depot(str(tmp_path))
    assert put(depot, "state/pack", 0, b"one") == ""
    assert put(depot, "state/manifest", 0, b"{}", needs="state/pack") == ""
    (tmp_path / "state" / "pack").unlink()
    assert put(depot, "state/pack", 3, b"two")  # there is nothing to go on with
    assert put(depot, "state/manifest", 0, b"{}", needs="state/pack")
    assert not (tmp_path / "state" / "manifest").exists()
    assert put(depot, "state/pack", 0, b"one") == ""
    assert put(depot, "state/manifest", 0, b"{}", needs="state/pack") == ""
    assert (tmp_path / "state" / "manifest").read_bytes() == b"{}"


def test_what_was_compiled_of_our_modules_is_taken_along(tmp_path: Path) -> None:
    beside, folder = tmp_path / "beside", tmp_path / "folder"
    (beside / "below").mkdir(parents=True)
    for name in ("same", "other"):
        (beside / "below" / f"{name}.py").write_bytes(b"answer = 42\n")
        py_compile.compile(str(beside / "below" / f"{name}.py"), doraise=True)
    depot = Depot(str(folder), str(beside))
    package = depot_module.__package__
    assert put(depot, f"{package}/below/same.py", 0, b"answer = 42\n") == ""
    assert put(depot, f"{package}/below/other.py", 0, b"answer = 43\n") == ""
    assert put(depot, "lib/below/same.py", 0, b"answer = 42\n") == ""
    taken = [
        path
        for path in sorted(folder.rglob("*.py"))
        if Path(importlib.util.cache_from_source(str(path))).exists()
    ]
    assert taken == [folder / package / "below" / "same.py"]


def test_a_module_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Our modules are compiled meanwhile: of half a one, all that is imported would be made."""
    path = tmp_path / "lib" / "one.py"
    seen = []

    class Parts(tuple[bytes, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            for part in super().__iter__():
                seen.append(path.read_bytes() if path.exists() else None)
                yield part

    depot = Depot(str(tmp_path))
    for source in (b"a = 1\nb = 2\n", b"a = 3\nb = 4\n"):
        head = {"kind": "put", "id": "1", "name": "lib/one.py", "start": 0}
        assert "error" not in depot.answer(Record(head, Parts((source[:6], source[6:])))).head
        assert path.read_bytes() == source
    assert seen == [None, None, b"a = 1\nb = 2\n", b"a = 1\nb = 2\n"]
    assert [one.name for one in path.parent.iterdir()] == ["one.py"]
