"""A pool for a parent process: `python -m aca_kernel.localpool`.

Reads one line of JSON from stdin, the settings (see options.py), and writes one line:

    {"endpoint", "api_key", "isolation", "notice"?, "environment"?}
    or {"error"} and exit code 2

"environment" is there if the setting control_plane is true: the variables for its clients.

It lives until stdin ends, which is how it learns that the parent died, or until
SIGTERM; then it ends every session and removes every file. If stdin ends before the
settings came, nothing is started.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any

from .options import check_system, from_mapping


def _read_line() -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        more = os.read(0, 1 << 16)
        if not more:
            break
        data += more
    return data


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the pool; returns the exit code."""
    gc.disable()  # until all is imported, which would be looked through for garbage
    from ..errors import AcaKernelError

    try:
        check_system()
        # While the settings are waited for.
        from .prepare import prepare
    except AcaKernelError as error:
        _read_line()
        _say({"error": error.message})
        return 2
    line = _read_line()
    if not line:
        return 0
    try:
        prepared = prepare(from_mapping({"port": 0, **json.loads(line)}))
        # Not before the first sandbox is on its way, even if the settings are waited for:
        # this imports tornado, which takes as long as a sandbox does to come up.
        from .embedded import serve_parent

        return serve_parent(prepared, _say)
    except AcaKernelError as error:
        _say({"error": error.message})
        return 2


if __name__ == "__main__":
    sys.exit(main())
