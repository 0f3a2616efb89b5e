"""The log in pieces that can be read in any order."""

from __future__ import annotations

import os
import random

import pytest

from aca_kernel.remote import wire
from aca_kernel.remote.spool import SPOOLED_BYTES, Piece, Spool, joined


def log_of(*parts: bytes) -> wire.SendLog:
    log = wire.SendLog()
    for number, part in enumerate(parts):
        log.append(wire.Record({"kind": "msg", "number": number}, (part,)))
    return log


def piece(spool: Spool, log: wire.SendLog, start: int, *, offset: int = 0) -> Piece:
    page = spool.answer(log, {"spool": offset, "start": start, "length": 1000})
    return Piece(start, page.head["size"], page.head["of"], bytes(page.data))


def all_pieces(spool: Spool, log: wire.SendLog, *, offset: int = 0) -> list[Piece]:
    first = piece(spool, log, 0, offset=offset)
    starts = list(range(1000, first.size, 1000))
    random.shuffle(starts)
    return [first, *(piece(spool, log, start, offset=offset) for start in starts)]


@pytest.mark.parametrize("data", [b"line\n" * 50_000, os.urandom(300_000)])
def test_pieces_in_any_order_are_the_log(data: bytes) -> None:
    log = log_of(data, b"end")
    assert joined(all_pieces(Spool(), log)) == log.slice(0, log.end)


def test_a_long_log_comes_in_several_parts_of_bounded_size() -> None:
    log, spool, read = log_of(b"x" * 3 * SPOOLED_BYTES), Spool(), b""
    while len(read) < log.end:
        part = joined(all_pieces(spool, log, offset=len(read)))
        assert 0 < len(part) <= SPOOLED_BYTES
        read += part
    assert read == log.slice(0, log.end)


def test_what_comes_into_the_log_meanwhile_changes_no_piece() -> None:
    log, spool = log_of(os.urandom(10_000)), Spool()
    end = log.end
    first = piece(spool, log, 0)
    log.append(wire.Record({"kind": "msg"}, (b"more",)))
    rest = [piece(spool, log, start) for start in range(1000, first.size, 1000)]
    assert joined([first, *rest]) == log.slice(0, end)


def test_pieces_that_do_not_belong_together_are_no_log() -> None:
    log, spool = log_of(os.urandom(10_000)), Spool()
    pieces = all_pieces(spool, log)
    with pytest.raises(ValueError, match="not all"):
        joined(pieces[:-1])
    with pytest.raises(ValueError, match="not all"):
        joined([*pieces, pieces[-1]])
    other = all_pieces(Spool(), log_of(os.urandom(10_000)))
    with pytest.raises(ValueError, match="different"):
        joined([other[0], *pieces[1:]])
