"""Worlds whose agent has the world's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from aca_kernel.remote import agent, kernel_messages

from .world import World, fake_time


@pytest.fixture(scope="module")
def new_world() -> Iterator[Callable[..., World]]:
    """Makes worlds; there is one at a time."""
    made: list[World] = []
    time = fake_time(lambda: made[-1] if made else None)

    def make(**options: object) -> World:
        # The clock is wanted while the world is being made.
        world = World.__new__(World)
        for one in made:
            one.close()
        made[:] = [world]
        world.__init__(**options)
        return world

    with pytest.MonkeyPatch.context() as patch:
        for module in (agent, kernel_messages):
            patch.setattr(module, "time", time)
        yield make
