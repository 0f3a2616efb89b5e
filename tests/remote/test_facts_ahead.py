"""Facts about files that came along with a cell, and the questions that they answer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from aca_kernel.remote.facts_ahead import FactsAhead
from aca_kernel.remote.wire import Record

FACTS = {"a.txt": [False, 5, 1], "missing": None}


@pytest.fixture
def ahead() -> FactsAhead:
    ahead = FactsAhead()
    ahead.take(Record({"kind": "facts", "found": FACTS}))
    return ahead


def found(ahead: FactsAhead, paths: Any, op: str = "files_look") -> Any:
    answer = ahead.answer(Record({"id": "1", "op": op, "paths": paths}))
    return None if answer is None else answer.head


def test_a_question_about_nothing_else_is_answered(ahead: FactsAhead) -> None:
    expected = {"kind": "answer", "id": "1", "found": [None, [False, 5, 1]]}
    assert found(ahead, ["missing", "a.txt"]) == expected
    assert found(ahead, ["a.txt"])["found"] == [[False, 5, 1]]


@pytest.mark.parametrize("paths", [["a.txt", "b.txt"], [["a.txt"]], [5], None, "a.txt"])
def test_any_other_question_is_for_the_kernel(ahead: FactsAhead, paths: Any) -> None:
    assert found(ahead, paths) is None
    assert found(ahead, ["a.txt"], op="files_open") is None


def test_the_next_cell_asks_anew(ahead: FactsAhead) -> None:
    ahead.forget()
    assert found(ahead, ["a.txt"]) is None


def test_what_is_old_is_asked_for(ahead: FactsAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.monotonic() + 1.1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert found(ahead, ["a.txt"]) is None
