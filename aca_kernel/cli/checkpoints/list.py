"""`aca-kernel checkpoints list`: the notebooks with checkpoints on this machine."""

from __future__ import annotations

import argparse
import json
import time

from ...batch.lines import plain
from ...checkpoint.store import entries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def run(namespace: argparse.Namespace) -> int:
    """Print a line for each checkpoint."""
    found = entries()
    if namespace.json:
        rows = [
            {
                "id": one.path.stem,
                "notebook": one.notebook,
                "taken": one.taken,
                "variables": one.variables,
                "bytes": one.size,
                "kept": one.is_kept,
                "running": one.is_live,
            }
            for one in found
        ]
        print(json.dumps(rows, indent=2))
        return 0
    if not found:
        print("There are no checkpoints.")
    for one in found:
        taken = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.taken))
        state = "  (its kernel is running)" if one.is_live else ""
        print(
            f"{one.path.stem}  {taken}  {one.variables:6} variables  {one.size / 1e6:8.1f} MB  "
            f"{plain(one.notebook) or 'no notebook'}{state}"
        )
    return 0
