"""`aca-kernel help`: the pages of docs/, in the terminal.

On a terminal a page is rendered and goes through a pager. Elsewhere it is printed as Markdown,
in which `grep` finds a whole row of a table.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from ..errors import SettingInvalid
from .kernelspec import shipped

# Longer lines are tiring to read, however wide the terminal is.
_WIDEST_COLUMNS = 110

# As git sets it: end where a page fits on the screen, show colours, leave the page there.
_LESS_OPTIONS = "FRX"

# A link of one page to another, or to a place in one.
_LINK = re.compile(r"\[([^\]]+)\]\((?:([\w-]+)\.md)?(?:#[\w-]+)?\)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `aca-kernel help`."""
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="a page; without it, a list")


def run(namespace: argparse.Namespace) -> int:
    """Show a page, or the list of pages. Raises SettingInvalid: there is no such page."""
    pages = find_pages()
    if namespace.topic is None:
        text = _list_of(pages)
    else:
        # The name of its file will do, too.
        name = str(namespace.topic).lower().removesuffix(".md")
        if name not in pages:
            raise SettingInvalid(
                f"There is no page {namespace.topic!r}: choose one of {', '.join(pages)}."
            )
        text = pages[name].read_text(encoding="utf-8")
    if sys.stdout.isatty():
        _render(text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0


def find_pages() -> dict[str, Path]:
    """Return the path of each page by its topic, in alphabetical order."""
    return {path.stem: path for path in sorted(shipped("docs").glob("*.md"))}


def question_of(text: str) -> str:
    """Return the first line of a page: the question that it answers."""
    return text.partition("\n")[0].removeprefix("# ").strip()


def _list_of(pages: dict[str, Path]) -> str:
    rows = [f"| {name} | {question_of(path.read_text('utf-8'))} |" for name, path in pages.items()]
    lines = ["# Pages", "", "Show one: `aca-kernel help TOPIC`.", ""]
    lines += ["List the options of a command: `aca-kernel COMMAND --help`.", ""]
    return "\n".join([*lines, "| topic | answers |", "|---|---|", *rows]) + "\n"


def _render(text: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST_COLUMNS)
    os.environ.setdefault("LESS", _LESS_OPTIONS)
    with console.pager(styles=True):
        console.print(Markdown(_with_topics(text), hyperlinks=False))


def _with_topics(text: str) -> str:
    """Replace each link to a page by the command that shows it."""

    def told(link: re.Match[str]) -> str:
        return f"{link[1]} (`aca-kernel help {link[2]}`)" if link[2] else link[1]

    return _LINK.sub(told, text)
