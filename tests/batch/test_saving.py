"""Saving of a running notebook."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import nbformat
import pytest

from aca_kernel.batch.saving import Saver

from .support import state


async def changes(saver: Saver, number: int) -> None:
    """Have a notebook saved several times, and say nothing of it but to the end."""
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    for _ in range(number):
        saver.changed()
        await asyncio.sleep(0.05)
    saver.changed()
    await asyncio.sleep(0)
    try:
        await saver.finish("done")
    finally:
        gc.collect()
        assert said == []


def test_a_failure_to_save_is_told_at_the_end_and_once(tmp_path: Path) -> None:
    saver = Saver(nbformat.v4.new_notebook(), str(tmp_path / "gone" / "1.ipynb"), "print")
    with pytest.raises(FileNotFoundError):
        asyncio.run(changes(saver, 3))


def test_what_could_not_be_saved_is_there_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "gone"

    async def lost_for_a_time() -> None:
        saver = Saver(nbformat.v4.new_notebook(), str(folder / "1.ipynb"), "print")
        saver.changed()
        await asyncio.sleep(0.05)
        folder.mkdir()
        await changes(saver, 0)

    asyncio.run(lost_for_a_time())
    assert state(folder / "1.ipynb") == "done"
