"""Words of a command that may be names of files, for both halves."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator
from typing import Any


def words_of(arguments: Iterable[Any]) -> Iterator[str]:
    """Yield the words of commands and of their arguments, one by one or in lists."""
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            yield from words_of(argument)
        elif isinstance(argument, (str, bytes, os.PathLike)):
            text = os.fsdecode(argument)
            yield text
            if not text.isidentifier():
                yield from _split(text)


def _split(text: str) -> Iterator[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    with contextlib.suppress(ValueError):  # a quote that is not closed: the words before it
        for word in lexer:
            yield word
            # --input=data.csv
            yield word.rpartition("=")[2]
