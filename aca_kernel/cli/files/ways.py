"""The two ways of a transfer from the command line: a kernel that runs, or a pool's tools."""

from __future__ import annotations

import argparse
import sys

from ...batch.lines import plain_lines
from ...errors import SettingInvalid
from ...remote.command_line import Command
from ...remote.paged_files import FileProblem
from ..configuration import add_pool_options, given_options, read
from ..setting_options import named


def add_paths(parser: argparse.ArgumentParser, path: str, destination: str) -> None:
    """Add the paths, with their help, and the options that say where the environment is."""
    parser.add_argument("path", metavar="PATH", type=named, help=path)
    parser.add_argument("destination", metavar="DEST", nargs="?", default="", help=destination)
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--existing",
        metavar="FILE",
        help="the kernel: its connection file, or a part of that file's name, such as the "
        "kernel's id (default: the kernel that was started last)",
    )
    way.add_argument(
        "--environment-id",
        metavar="ID",
        help="an environment of a session pool, by the id that its launch tool has returned; the "
        "key is read from ACA_MCP_API_KEY, or fetched for a pool in Azure",
    )
    add_pool_options(parser)


async def transfer(command: Command, namespace: argparse.Namespace) -> int:
    """Do it, and return the exit status. Raises SettingInvalid and the errors of the pool."""
    try:
        if namespace.environment_id is None:
            if given_options(namespace):
                raise SettingInvalid(
                    "A pool alone says nothing of where the file goes. Give --environment-id too, "
                    "or leave the pool away for a kernel that runs."
                )
            from .running_kernel import transfer_through

            return await transfer_through(command, namespace.existing)
        from .in_pool import transfer_in

        settings = read(given_options(namespace)).settings
        print(plain_lines(await transfer_in(settings, namespace.environment_id, command)))
    except FileProblem as problem:
        print(f"{namespace.prog}: {plain_lines(str(problem))}", file=sys.stderr)
        return 1
    return 0
