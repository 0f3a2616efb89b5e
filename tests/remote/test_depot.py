"""Files that the kernel keeps in the agent's folder."""

from __future__ import annotations

from pathlib import Path

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
