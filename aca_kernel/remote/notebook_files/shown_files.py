"""Files that an output refers to: `IFrame`, `FileLink`, `Image(url=…)`, links in HTML and Markdown.

The front end looks for them beside the notebook. One that the code has written is sent there ahead
of the output, and again at the end of the cell if it has changed by then. The kernel on the user's
machine decides whether it takes it (aca_kernel/host/notebook_files/write_back.py).
"""

from __future__ import annotations

import contextlib
import html
import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from .write_back import Writing

_KINDS = frozenset({"display_data", "execute_result", "update_display_data"})

# Longer texts are pages of their own, which hold what they show.
_MOST_CHARACTERS = 1_000_000

# More than a gallery has.
_MOST_FILES = 500

_IN_HTML = re.compile(
    r"""\b(?:src|href|poster|data)\s*=\s*(?:"([^"]{1,1000})"|'([^']{1,1000})'|([^\s"'>]{1,1000}))""",
    re.IGNORECASE,
)

# `[text](path "title")` and `![](<path>)`; definitions of references stand on lines of their own.
_IN_MARKDOWN = re.compile(
    r"""\]\(\s*(?:<([^<>\n]{1,1000})>|([^\s()<>]{1,1000}))|^\s{0,3}\[[^\]\n]{1,200}\]:\s*(\S{1,1000})""",
    re.MULTILINE,
)

# `https:`, `data:`; a drive of Windows is no address, either.
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


class ShownFiles:
    """The files that outputs of the running cell have referred to."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._names: dict[str, None] = {}

    def watch(self, ip: Any) -> None:
        """Look at each output before it is sent. ip: the InteractiveShell of a kernel."""
        session = ip.kernel.session
        send = session.send

        def send_behind_files(stream: Any, message: Any, *args: Any, **options: Any) -> Any:
            if isinstance(message, dict) and message.get("msg_type") in _KINDS:
                # Whatever goes wrong here, the output must be shown.
                with contextlib.suppress(Exception):
                    self._bring(message["content"]["data"])
            return send(stream, message, *args, **options)

        session.send = send_behind_files
        ip.events.register("post_execute", self._end)

    def _bring(self, data: dict[str, Any]) -> None:
        names = dict.fromkeys(references(data))
        if names:
            self._names.update(names)
            self._writing.send_shown(list(names)[:_MOST_FILES])

    def _end(self) -> None:
        names, self._names = list(self._names), {}
        if names:
            self._writing.send_shown(names[:_MOST_FILES])


def references(data: dict[str, Any]) -> Iterator[str]:
    """Yield the paths relative to the notebook's folder that an output refers to.

    data: by MIME type.
    """
    for kind, expression in (("text/html", _IN_HTML), ("text/markdown", _IN_MARKDOWN)):
        text = data.get(kind)
        if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
            continue
        # Markdown may hold HTML.
        for one in {expression, _IN_HTML}:
            for found in one.finditer(text):
                path = _path(html.unescape(next(filter(None, found.groups()))))
                if path:
                    yield path


def _path(address: str) -> str:
    """Return the path in the folder that an address stands for; "" for any other."""
    if _SCHEME.match(address) or address.startswith(("/", "#", "\\")):
        return ""
    path = posixpath.normpath(unquote(address.partition("#")[0].partition("?")[0]))
    return "" if path in (".", "..") or path.startswith(("../", "/")) or "\0" in path else path
