"""The size of calls to the environment: larger while they are quick, smaller when refused."""

from __future__ import annotations

from aca_kernel.environment.page_size import (
    FIRST_SENT_BYTES,
    LARGEST_SENT_BYTES,
    SMALLEST_PAGE_CHARACTERS,
    SMALLEST_SENT_BYTES,
    PageSize,
    SentSize,
)


def test_full_calls_that_are_quick_become_larger_up_to_a_bound() -> None:
    size = SentSize()
    seen = []
    for _ in range(6):
        seen.append(size.count)
        size.took(size.count, 0.2)
    assert seen[:3] == [FIRST_SENT_BYTES, 2 * FIRST_SENT_BYTES, 4 * FIRST_SENT_BYTES]
    assert seen[-1] == LARGEST_SENT_BYTES


def test_what_is_not_full_or_takes_its_time_changes_nothing() -> None:
    size = SentSize()
    size.took(size.count - 1, 0.1)
    size.took(size.count, 2.0)
    assert size.count == FIRST_SENT_BYTES


def test_slow_calls_become_smaller_but_not_below_the_first() -> None:
    size = SentSize()
    size.took(size.count, 0.1)
    size.took(size.count, 20.0)
    size.took(size.count, 20.0)
    assert size.count == FIRST_SENT_BYTES


def test_a_size_that_was_refused_is_not_tried_again() -> None:
    size = SentSize()
    size.took(size.count, 0.1)
    refused = size.count
    assert size.refused()
    for _ in range(10):
        size.took(size.count, 0.1)
    assert size.count < refused
    for _ in range(20):
        if not size.refused():
            break
    assert size.count == SMALLEST_SENT_BYTES
    assert not size.refused()
    size.took(size.count, 20.0)
    assert size.count == SMALLEST_SENT_BYTES


def test_answers_are_as_large_as_what_arrives_whole() -> None:
    size = PageSize()
    assert size.was_cut(4096)
    assert 3000 < size.characters < 4096
    assert size.certain_bytes < 3072
    # No smaller than asked for, and cut all the same.
    assert size.was_cut(size.characters)
    assert size.characters < 2048
    while size.was_cut(0):
        assert size.characters >= SMALLEST_PAGE_CHARACTERS
    assert size.characters == SMALLEST_PAGE_CHARACTERS
