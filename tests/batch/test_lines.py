"""What people read of a batch: whole sentences in columns, and nothing that controls a terminal."""

from __future__ import annotations

import asyncio
import io

import pytest

from aca_kernel.batch.lines import cut, plain, width
from aca_kernel.batch.outcomes import CellError, Outcome, Status
from aca_kernel.batch.progress import Progress
from aca_kernel.batch.summary import table
from aca_kernel.pool.mcp_client import POOL_FULL

REMEDY = "The session pool refused the API key. " + "Fetch the current key. " * 8 + "Set it."


def failed(name: str, error: CellError) -> Outcome:
    return Outcome(name, name, name, Status.FAILED, errors=[error])


@pytest.mark.parametrize("text", [POOL_FULL, REMEDY])
def test_a_sentence_of_ours_is_shown_with_its_remedy_and_a_users_error_is_cut(text: str) -> None:
    ours = table([failed("x.ipynb", CellError(1, "PoolBusy", text, is_ours=True))])
    assert ours[1].endswith(f"PoolBusy: {text}")
    users = table([failed("x.ipynb", CellError(1, "ValueError", "x" * 500))])
    assert users[1].endswith("x…")
    assert len(users[1]) < 160


def test_what_is_said_of_a_new_attempt_is_a_whole_sentence() -> None:
    text = "The remote kernel was killed (SIGKILL), most likely because memory ran out. " + REMEDY
    error = CellError(1, "RemoteKernelDied", text, is_ours=True)
    assert error.sentence == (
        "RemoteKernelDied: The remote kernel was killed (SIGKILL), most likely because memory ran "
        "out."
    )
    assert CellError(1, "EnvironmentGone", "").sentence == "EnvironmentGone."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after \x1b]8;;http://x\x1b\\link", "after link"),
        ("\x9b2Jgone", "gone"),
        ("a\x1bcb", "a\ufffdcb"),
        ("a\rb\nc\x00d\u2028e\u202ef", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"),
        ("a\tb \udce9", "a b \ufffd"),
        ("日本 é e\u0301", "日本 é e\u0301"),
    ],
)
def test_nothing_reaches_a_terminal_that_controls_it(text: str, shown: str) -> None:
    assert plain(text) == shown
    (_, row) = table([failed(text, CellError(1, text, "y"))])
    assert " ".join(row.split()) == f"{shown} failed 1 {shown}: y"

    async def tell() -> str:
        stream = io.StringIO()
        async with Progress(stream, 1) as progress:
            progress.say(text, text)
        return stream.getvalue()

    assert asyncio.run(tell()) == f"{shown}: {shown}\n"


def test_columns_are_as_wide_as_they_look() -> None:
    rows = table([
        failed("日本語の名前.ipynb", CellError(1, "A", "")),
        failed("plain-name.ipynb", CellError(2, "B", "")),
    ])  # fmt: skip
    starts = {width(row[: row.index("failed")]) for row in rows[1:]}
    assert len(starts) == 1
    assert (width("日本"), width("e\u0301"), width("é")) == (4, 1, 1)
    assert cut("日本語", 5) == "日本"
