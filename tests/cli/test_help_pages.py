"""`aca-kernel help`: the pages of docs/, on a terminal and elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from aca_kernel.cli import main
from aca_kernel.cli.help_pages import find_pages, question_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
SCRIPT = str(Path(sys.executable).with_name("aca-kernel"))


def test_the_list_has_every_page_with_its_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    said = capsys.readouterr().out
    assert list(find_pages()) == PAGES
    for name in PAGES:
        question = question_of((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
        assert f"| {name} | {question} |" in said


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_printed_as_it_is_written_without_a_terminal(name: str) -> None:
    done = subprocess.run([SCRIPT, "help", name], capture_output=True, timeout=60, check=True)
    assert done.stdout == (ROOT / "docs" / f"{name}.md").read_bytes()
    assert done.stderr == b""


@pytest.mark.parametrize("given", ["Azure", "azure.md"])
def test_a_page_is_known_by_the_name_of_its_file(
    capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert main(["help", given]) == 0
    assert capsys.readouterr().out.startswith("# How do I run notebooks in Azure")


def test_an_unknown_page_is_one_sentence_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "../README"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert "no page '../README'" in line
    assert all(name in line for name in PAGES)


def on_a_terminal(*words: str, **variables: str) -> str:
    env = {"PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8", **variables}
    shown, status = pexpect.run(
        " ".join([SCRIPT, "help", *words]), env=env, withexitstatus=True, encoding="utf-8",
        timeout=60,
    )  # fmt: skip
    assert status == 0, shown
    return str(shown)


def test_a_terminal_gets_the_page_rendered_and_links_as_commands() -> None:
    shown = on_a_terminal("azure", PAGER="cat")
    assert "\x1b[" in shown
    assert "```" not in shown
    assert "](batch.md)" not in shown
    assert "aca-kernel help batch" in shown


def test_a_terminal_without_colours_gets_none() -> None:
    shown = on_a_terminal("state", PAGER="cat", TERM="dumb")
    assert "\x1b[" not in shown
    assert "What is kept" in shown


def test_a_terminal_gets_a_pager() -> None:
    assert "paged: " in on_a_terminal("speed", PAGER="sed s/^/paged:/").replace("paged:", "paged: ")


def test_who_stops_reading_is_told_nothing() -> None:
    done = subprocess.run(
        f"{SCRIPT} help settings | head -1", shell=True, capture_output=True, timeout=60, check=True
    )
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")
