"""Line breaks in sentences for the user, for front ends that break none (VS Code)."""

from __future__ import annotations

import re
import sys
import textwrap

WIDTH = 80

# A command stays on one line, so that it can be copied.
_COMMAND = re.compile(r"`[^`\n]*`")


def wrapped(text: str) -> str:
    """Break a text into lines of at most 80 characters, between words and not within `commands`.

    Line breaks of the text stay. A longer word, such as a path, keeps its line.
    """
    return "\n".join(map(_wrapped_line, text.split("\n")))


def tell(sentence: str) -> None:
    """Show a sentence with the running cell, on its stderr."""
    sys.stderr.write(wrapped(sentence) + "\n")
    sys.stderr.flush()


def titled(ename: str, evalue: str) -> str:
    """Return an error of ours as a traceback shows it: its name in red, its sentence wrapped."""
    return f"\x1b[31m{ename}\x1b[39m" + wrapped(f"{ename}: {evalue}").removeprefix(ename)


def _wrapped_line(line: str) -> str:
    if len(line) <= WIDTH:
        return line
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", "\0"), line)
    lines = textwrap.wrap(whole, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")
