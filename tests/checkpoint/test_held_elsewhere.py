"""What libraries hold in places of their own, and variables may hold as well."""

from __future__ import annotations

from pathlib import Path

from .running import missing
from .test_objects import come_back


def test_open_figures_that_cannot_be_stored_are_named(tmp_path: Path) -> None:
    before = """
import threading
import matplotlib; matplotlib.use('agg')
import matplotlib.pyplot as plt
plt.figure(5).lock = threading.Lock()
"""
    cell = come_back(tmp_path, before, "print(plt.get_fignums())")
    assert missing(cell) == {
        "the figures of pyplot": "it is, or holds, a lock, which cannot be stored"
    }
    assert (cell["text"], cell["error"]) == ("[]\n", "")
