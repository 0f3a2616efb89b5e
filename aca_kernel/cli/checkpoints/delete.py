"""`aca-kernel checkpoints delete`: remove checkpoints from this machine."""

from __future__ import annotations

import argparse

from ...checkpoint.store import entries, remove
from ...errors import SettingInvalid


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("id", nargs="*", help="of `aca-kernel checkpoints list`")
    parser.add_argument(
        "--all", action="store_true", help="all of them, except those of running kernels"
    )


def run(namespace: argparse.Namespace) -> int:
    """Remove checkpoints. Raises SettingInvalid: there is none, or its kernel is running."""
    if bool(namespace.id) == namespace.all:
        raise SettingInvalid("Say which checkpoints to delete: their ids, or --all.")
    found = {one.path.stem: one for one in entries()}
    for name in namespace.id:
        if name not in found:
            raise SettingInvalid(
                f"There is no checkpoint {name}. See `aca-kernel checkpoints list`."
            )
        if found[name].is_live:
            raise SettingInvalid(f"The kernel of checkpoint {name} is running: shut it down first.")
    chosen = [found[name] for name in namespace.id] or [
        one for one in found.values() if not one.is_live
    ]
    for one in chosen:
        remove(one.path)
    print(f"Deleted {len(chosen)} checkpoint{'' if len(chosen) == 1 else 's'}.")
    return 0
