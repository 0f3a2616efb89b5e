"""What people read of a batch: whole sentences in columns, and nothing that controls a terminal."""

from __future__ import annotations

import asyncio
import io
import time

import pytest

from aca_kernel.batch.lines import plain
from aca_kernel.batch.outcomes import CellError, Outcome, Status
from aca_kernel.batch.progress import Progress
from aca_kernel.batch.summary import print_problems
from aca_kernel.pool.mcp_errors import POOL_FULL

from ..support import AT_ONCE

REMEDY = "The session pool refused the API key. " + "Fetch the current key. " * 8 + "Set it."


class Terminal(io.StringIO):
    """A terminal of 60 columns; what it is given is in `getvalue`."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in {"TERM": "xterm", "COLUMNS": "60", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


@pytest.mark.parametrize("begin", ["\x1b]", "\x9d", "\x1b[1;", "\x1bP"])
def test_no_text_takes_long(begin: str) -> None:
    started = time.monotonic()
    plain(begin * 50_000)
    assert time.monotonic() - started < AT_ONCE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9ca", "a"),
        ("\x1b]0;not ended", "\ufffd]0;not ended"),
        ("\x1b]0;not ended\x1b[31mred", "\ufffd]0;not endedred"),
    ],
)
def test_strings_for_a_terminal_are_left_out_if_they_end(text: str, shown: str) -> None:
    assert plain(text) == shown


def table(outcomes: list[Outcome]) -> list[str]:
    stream = io.StringIO()
    print_problems(stream, outcomes)
    return stream.getvalue().splitlines()


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
    assert " ".join(row.split()) == f"{shown} failed 1 - {shown}: y"

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
        failed("e\u0301.ipynb", CellError(3, "C", "")),
    ])  # fmt: skip
    # Two columns for each of six characters, none for one that is put on another.
    assert [row.index("failed") for row in rows[1:]] == [14, 20, 21]
    assert rows[0] == "notebook            status  cell  line  error"


def test_brackets_and_colons_stay_as_they_are() -> None:
    name = "[red]x[/red] :smile: [/].ipynb"
    (_, row) = table([failed(name, CellError(1, "KeyError", "[bold]1[/]"))])
    assert row == f"{name}  failed  1     -     KeyError: [bold]1[/]"
    assert table([]) == table([Outcome("x", "x", "x", Status.DONE)]) == []


def test_on_a_terminal_a_long_cell_is_folded_in_its_column(terminal: Terminal) -> None:
    error = CellError(1, "PoolBusy", "word " * 40, is_ours=True)
    print_problems(terminal, [failed("x.ipynb", error)])
    head, first, *others = terminal.getvalue().splitlines()
    assert "\x1b[31mfailed" in first
    assert len(others) > 3
    assert {len(line) - len(line.lstrip()) for line in others} == {plain(head).index("error")}


def test_no_color_is_honoured(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    print_problems(terminal, [failed("x.ipynb", CellError(1, "A", "b"))])
    assert "\x1b[3" not in terminal.getvalue()


def test_force_color_colours_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in "".join(table([failed("x.ipynb", CellError(1, "A", "b"))]))


def test_what_a_stream_cannot_encode_is_replaced() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", write_through=True)
    print_problems(stream, [failed("日本.ipynb", CellError(1, "Ä", ""))])
    assert raw.getvalue().splitlines()[1] == b"??.ipynb  failed  1     -     ?"


async def show(stream: io.StringIO) -> None:
    outcome = failed("x.ipynb", CellError(1, "A", ""))
    async with Progress(stream, 2) as progress:
        progress.begin(outcome)
        progress.cell("x.ipynb", 1, 3)
        progress.say("x.ipynb", "waits " * 20)
        progress.tell("Something.")
        progress.end(outcome)


def test_on_a_terminal_progress_is_drawn_over_in_lines_that_fit(terminal: Terminal) -> None:
    asyncio.run(show(terminal))
    said = terminal.getvalue()
    assert "\x1b[1A" in said
    assert "0 of 2 notebooks, 0 s" in said
    assert "1 of 2 notebooks, 1 failed, 0 s" not in said.rpartition("x.ipynb: ")[0]
    assert "\x1b[31mfailed\x1b[0m, 0.0 s" in said
    lines = [plain(line) for line in said.replace("\r", "\n").split("\n")]
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("  x.ipynb  cell 1 of 3  0 s  waits") for line in lines)
    assert "\x1b[?25h" in said.rpartition("\x1b[?25l")[2]


def test_a_dumb_terminal_and_a_file_get_plain_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for stream in (terminal, io.StringIO()):
        asyncio.run(show(stream))
        assert stream.getvalue().splitlines() == [
            "x.ipynb: started, 3 cells",
            "x.ipynb: " + "waits " * 20,
            "Something.",
            "x.ipynb: failed, 0.0 s",
        ]


def test_a_terminal_that_goes_away_and_comes_back_ends_nothing(terminal: Terminal) -> None:
    errors = [BrokenPipeError(32, "gone"), OSError(5, "gone"), OSError(28, "full")]

    class Failing(Terminal):
        def write(self, text: str) -> int:
            if errors and "Something." in text:
                raise errors.pop(0)
            return super().write(text)

    async def tell(stream: Failing) -> None:
        async with Progress(stream, 1) as progress:
            for n in range(4):
                progress.tell(f"{n} Something.")

    stream = Failing()
    asyncio.run(tell(stream))
    # What could not be written is not kept to be written later.
    assert "2 Something." not in stream.getvalue()
    assert "3 Something." in stream.getvalue()
