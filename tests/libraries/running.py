"""A program: runs notebooks in kernels, in the virtual environment of their libraries.

Reads {"kernel", "notebooks": {name: [cells before, cells after]}} from stdin. Writes a line of JSON
for each notebook as it ends: its name, what each cell showed, and what the kernel said of its
restore. Between the two halves the kernel `aca` gets a new environment.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from typing import Any

from jupyter_client.manager import start_new_kernel

# Numpy is imported for the first time here, in a sandbox, on a machine that does other things too.
_CELL_SECONDS = 180


def run_cell(client: Any, code: str, **options: Any) -> str:
    """Return what a cell shows, without what goes to stderr: warnings come once in a process."""
    shown: list[str] = []

    def keep(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream" and (content["name"] == "stdout" or options):
            shown.append(content["text"])
        elif kind in ("execute_result", "display_data", "update_display_data"):
            data = content["data"]
            pictures = sorted(one for one in data if one.startswith("image/"))
            shown.append(" ".join([data.get("text/plain", ""), *pictures]) + "\n")
        elif kind == "error":
            shown.append(f"{content['ename']}: {content['evalue']}\n")

    client.execute_interactive(code, output_hook=keep, timeout=_CELL_SECONDS, **options)
    text = "".join(shown)
    return re.sub(r"0x[0-9a-f]{6,}|/tmp/\S+|\x1b\[[0-9;]*m", "…", text)


def run_notebook(kernel: str, halves: list[list[str]]) -> dict[str, Any]:
    """Run the cells; return what they showed, and what was said of the restore."""
    # A folder of its own, in which no cell finds what another notebook has written.
    os.chdir(tempfile.mkdtemp())
    manager, client = start_new_kernel(kernel_name=kernel, startup_timeout=_CELL_SECONDS)
    said = ""
    try:
        shown = [run_cell(client, code) for code in halves[0]]
        if kernel == "aca":
            said = run_cell(client, "%aca restart --keep", store_history=False)
            said += run_cell(client, "pass", store_history=False)
        shown += [run_cell(client, code) for code in halves[1]]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return {"shown": shown, "said": said}


def main() -> None:
    """Run what stdin asks for."""
    asked = json.load(sys.stdin)
    for name, halves in asked["notebooks"].items():
        try:
            result = run_notebook(asked["kernel"], halves)
        except Exception as error:  # noqa: BLE001 - one of many must not end the others
            result = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps({"name": name, **result}), flush=True)


if __name__ == "__main__":
    main()
