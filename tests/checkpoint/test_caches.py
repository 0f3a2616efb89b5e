"""Caches of functions: they go on with what they hold, or are named."""

from __future__ import annotations

from pathlib import Path

from .running import missing
from .test_objects import come_back, same_with_restores

CACHED_METHODS = """
import functools, operator
class Converter:
    def __init__(self):
        self.calls, self.find = 0, functools.lru_cache(None)(self._find)
    def _find(self, one): self.calls += 1; return one * 2
converter = Converter(); converter.find(1); converter.find(1)
negative, power = functools.cache(operator.neg), functools.cache(functools.partial(pow, 2))
# %%
print(converter.find(1), converter.find(2), converter.calls, converter.find.cache_info())
print(negative.cache_info(), negative(1), power(3)); negative.cache_clear(); power.cache_clear()
"""


def test_methods_that_are_cached_go_on_with_what_they_have_answered(tmp_path: Path) -> None:
    same_with_restores(tmp_path, CACHED_METHODS)


def test_a_cache_that_cannot_be_filled_is_named(tmp_path: Path) -> None:
    before = """
import functools, operator
negative, power = functools.cache(operator.neg), functools.cache(functools.partial(pow, 2))
negative(1); power(3)
"""
    cell = come_back(tmp_path, before, "print(negative.cache_info().currsize, negative(1))")
    reason = "ValueError: it is not written in Python"
    assert missing(cell) == {
        "the cache of `neg`": reason,
        "the cache of `a partial function`": reason,
    }
    assert (cell["text"], cell["error"]) == ("0 -1\n", "")
