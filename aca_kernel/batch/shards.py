"""Parts of a batch, for machines that share it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SettingInvalid
from .finding import Job


@dataclass(frozen=True)
class Shard:
    """A part of a batch. number: from 1 to count."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read I/N. Raises SettingInvalid."""
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise SettingInvalid(
                f"--shard {text} names no part of a batch: give I/N, for instance 2/4 for the "
                "second part of four."
            )
        return cls(number, count)

    def of(self, jobs: Sequence[Job]) -> list[Job]:
        """Return this part of the notebooks: every N-th, so that no part has one whole folder."""
        return list(jobs[self.number - 1 :: self.count])


def missing(shards: Sequence[Shard]) -> list[Shard]:
    """Return the parts of the same batches that are not among these."""
    counts = {shard.count for shard in shards}
    wanted = [Shard(number, count) for count in sorted(counts) for number in range(1, count + 1)]
    return [shard for shard in wanted if shard not in shards]
