"""Sizes as they are told."""

from __future__ import annotations

import pytest

from aca_kernel.remote.transfer_progress import shown_size


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (1, "1 byte"), (1000, "1.0 kB"), (2_500_000_000, "2.5 GB")],
)
def test_a_size_is_told_in_its_unit(count: int, shown: str) -> None:
    assert shown_size(count) == shown
