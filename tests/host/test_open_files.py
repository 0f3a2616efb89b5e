"""Files on their way: found by their keys, and closed once, in the order of their last use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aca_kernel.errors import CallRefused
from aca_kernel.host.call import Call
from aca_kernel.host.open_files import OpenFiles, in_thread
from aca_kernel.remote.paged_files import FileProblem


def about(key: Any) -> Call:
    return Call({"transfer": key}, (), None)  # type: ignore[arg-type]  # the relay is not asked


def test_the_one_that_has_waited_longest_makes_room() -> None:
    closed: list[str] = []
    files = OpenFiles(2, closed.append)
    first, second = files.add("first"), files.add("second")
    assert files.is_full
    assert files.find(about(first)) == "first"
    files.add("third")
    assert closed == ["second"]
    for key in (second, "no key", None):
        with pytest.raises(CallRefused):
            files.find(about(key))
    assert files.find(about(first)) == "first"


def test_what_is_taken_is_the_takers_and_what_is_dropped_is_closed_once() -> None:
    closed: list[str] = []
    files = OpenFiles(4, closed.append)
    keys = [files.add(name) for name in ("taken", "dropped", "due", "kept")]
    assert files.take(about(keys[0])) == "taken"
    for _ in range(2):
        files.drop(about(keys[1]))
    files.close(lambda one: one == "due")
    assert closed == ["dropped", "due"]
    files.close()
    assert closed == ["dropped", "due", "kept"]
    assert not files.is_full


def test_a_problem_of_a_file_refuses_the_call() -> None:
    def fail() -> None:
        raise FileProblem("x is a folder.")

    with pytest.raises(CallRefused, match=r"x is a folder\."):
        asyncio.run(in_thread(fail))
