"""The `!` lines of a cell, as its text shows them.

IPython says in the remote kernel what a line is. This is only told in time to have a starter there,
and what is missed, or is none, costs a call.
"""

from __future__ import annotations

import re

# `!cmd`, `!!cmd`, `name = !cmd`, also in a block.
_LINE = re.compile(
    r"^[ \t]*(?:[^\W\d][\w.,\[\] \t]*=[ \t]*)?!{1,2}[ \t]*([^\s=!].*)$", re.MULTILINE
)

# Cell magics whose body is run as a cell; what others do with theirs is not known.
_TRANSPARENT = ("%%time", "%%capture", "%%prun")


def shell_lines(code: str) -> list[str]:
    """Return the commands in the text of a cell, before variables are expanded."""
    if code.startswith("%%") and not code.startswith(_TRANSPARENT):
        return []
    return _LINE.findall(code) if "!" in code else []
