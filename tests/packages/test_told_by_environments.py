"""What environments say about packages is data: kept within bounds, and refused if it is odd."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from aca_kernel.errors import CallRefused
from aca_kernel.host.call import Call
from aca_kernel.host.package_calls import PackageCalls
from aca_kernel.packages import notebook_block
from aca_kernel.settings import AcaKernel


class Relay:
    """As much of a relay as a call needs."""

    def __init__(self) -> None:
        self.environment = object()


def call(relay: Any, **head: Any) -> Call:
    return Call(head, (), relay)


def test_an_environment_tells_so_many_sentences_and_no_more() -> None:
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    calls = PackageCalls(AcaKernel(), ".", {}, inbox)

    async def run() -> list[int]:
        counts = []
        for relay in (Relay(), Relay()):
            for _ in range(1000):
                await calls.told(call(relay, text="x" * 5000))
            counts.append(inbox.qsize())
        return counts

    assert asyncio.run(run()) == [200, 400]
    assert len(inbox.get_nowait().text) == 1000


@pytest.mark.parametrize(
    "head",
    [
        {"requirements": "polars", "python": "", "indexes": []},
        {"requirements": [1], "python": "", "indexes": []},
        {"requirements": [], "python": None, "indexes": []},
        {"requirements": [], "python": ""},
    ],
)
def test_metadata_of_another_shape_is_refused(head: dict[str, Any]) -> None:
    config: dict[str, Any] = {}
    calls = PackageCalls(AcaKernel(), ".", config, asyncio.Queue())
    with pytest.raises(CallRefused):
        asyncio.run(calls.asked(call(Relay(), **head)))
    assert config == {}


def test_the_last_metadata_is_remembered_unless_it_is_huge() -> None:
    config: dict[str, Any] = {}
    calls = PackageCalls(AcaKernel(), ".", config, asyncio.Queue())
    for names in (["one"], ["two"], ["x" * 100_000]):
        asked = call(Relay(), requirements=names, python=">=3.9", indexes=[])
        asyncio.run(calls.asked(asked))
    assert config["notebook"] == {"requirements": ["two"], "python": ">=3.9", "indexes": []}


def test_the_first_metadata_of_a_notebook_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = ["1", "# /// script\n# odd\n# ///\n", '# /// script\n# dependencies = ["a"]\n# ///\n']
    found = notebook_block.of_cells(cells)
    assert found == {"requirements": ["a"], "python": "", "indexes": []}
    assert notebook_block.of_cells(cells[:2]) is None
    for text in ("", "odd", "[]", '{"requirements": 1}'):
        monkeypatch.setenv(notebook_block.VARIABLE, text)
        assert notebook_block.told(os.environ) == {}
    monkeypatch.setenv(notebook_block.VARIABLE, json.dumps(found))
    assert notebook_block.told(os.environ) == {"notebook": found}
