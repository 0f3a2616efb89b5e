"""Which names a pattern that was given to glob stands for."""

from __future__ import annotations

import fnmatch

import pytest

from aca_kernel.remote.notebook_files.reading_ahead import ReadingAhead

NAMES = ("a", "d", "e", "z", "-", "]", "[", "!", "^", "\\", "&", "ab", "[ab]", "b.csv", "")


@pytest.mark.parametrize(
    "pattern",
    [
        *("[ab]", "[!ab]", "[a-e]", "[!a-e]", "[]a]", "[!]a]", "[", "[]", "[!]", "[a", "a]", "?"),
        *("[e-d]", "[!e-d]", "[xe-d]", "[a-e-d]", "[-a]", "[a-]", "[^a]", "[[a]", "[&&a]", "[\\]"),
        *("*", "*.csv", "[a-b]*", "\\", "[ab]]", "[[]ab[]]"),
    ],
)
def test_a_pattern_stands_for_the_names_that_glob_finds(pattern: str) -> None:
    ahead = ReadingAhead("/root")
    ahead.note_pattern(pattern)
    (expression,) = ahead._patterns.values()
    found = [name for name in NAMES if expression.match(name)]
    assert found == [name for name in NAMES if fnmatch.fnmatchcase(name, pattern)]


def test_no_part_of_a_pattern_but_two_stars_stands_for_a_slash() -> None:
    ahead = ReadingAhead("/root")
    for pattern, found in {"a[!b]c": False, "a*c": False, "a?c": False, "a/**/c": True}.items():
        ahead.note_pattern(pattern)
        assert bool(ahead._patterns[pattern].match("a/c")) is found
