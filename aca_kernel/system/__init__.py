"""What differs between operating systems: one function, or one value, for each difference.

    on_posix       Linux and macOS
    on_windows     Windows 10 and later
    windows_names  the names that Windows takes for something else than a file

Both modules have the same names, with one docstring each in `on_posix`. The other modules of the
local half (all but `remote` and `localpool`) use nothing that one of the systems lacks; for Windows
`mypy` says so, with tests/windows/mypy.ini.
"""

# ruff: noqa: F405 - each name is in both modules

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .on_windows import *  # noqa: F403 - the names below, as in the other
else:
    from .on_posix import *  # noqa: F403

__all__ = [
    "END_SIGNALS",
    "KILL_SIGNAL",
    "Parent",
    "create_inside",
    "create_shared",
    "is_link",
    "is_plain_name",
    "is_plain_path",
    "is_running",
    "lock",
    "on_signal",
    "open_inside",
    "open_shared",
    "programs_folder",
    "restrict_to_owner",
    "run_loop",
    "wait_for_end_of",
]
