"""The command `aca-kernel`: the table of subcommands, and its entry point.

    setting_options            options for settings, made of their traits
    configuration, kernelspec  settings as a kernel would get them; kernelspecs on disk
    install, run, mcp_config   subcommands; mcp_file and git are the last one's
    merge_reports              the subcommand `report merge`
    help_pages                 the pages of docs/, in the terminal
    doctor/                    checks of a kernel start
    files/                     the subcommands `upload` and `download`
    pool/, checkpoints/        subcommands with subcommands of their own

A subcommand is a module with `add_arguments(parser)` and `run(namespace)`, a function or
coroutine function that returns the exit status. Only the module of the requested one is
imported, so that none makes another slower.

Above: nothing. Below: every other room.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from .. import __version__, system
from ..errors import AcaKernelError, SettingInvalid

# As argparse has it for a command line that cannot work.
_EXIT_BAD_INPUT = 2
# The shell's: 128 + SIGINT, for Ctrl-C; 128 + SIGPIPE, for a reader that has gone, as `head` does.
_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141


# A subcommand's module below this package, or a group's subcommands, each with its summary.
_Commands: TypeAlias = Mapping[str, "tuple[str, str | _Commands]"]

_COMMANDS: _Commands = {
    "install": ("write a kernelspec, so that Jupyter and VS Code offer this kernel", ".install"),
    "doctor": ("check, step by step, what a kernel start would do", ".doctor.command"),
    "mcp-config": ("connect GitHub Copilot in VS Code to a session pool", ".mcp_config"),
    "run": ("run many notebooks, several at a time", ".run"),
    "report": (
        "work with reports of batches",
        {"merge": ("make one report of those of several runs", ".merge_reports")},
    ),
    "upload": ("send a file or folder to a kernel's environment", ".files.upload"),
    "download": ("bring a file or folder of a kernel's environment", ".files.download"),
    "help": ("show a page of the documentation", ".help_pages"),
    "checkpoints": (
        "list and delete the checkpoints that kernels have kept",
        {
            "list": ("list the checkpoints", ".checkpoints.list"),
            "delete": ("delete checkpoints", ".checkpoints.delete"),
        },
    ),
    "pool": (
        "work with session pools",
        {
            "serve": ("serve a session pool on this machine", "..localpool.serve"),
            "create": ("create a session pool in Azure", ".pool.create"),
            "show": ("show a session pool in Azure", ".pool.show"),
            "list": ("list the session pools in Azure", ".pool.list"),
            "delete": ("delete a session pool in Azure", ".pool.delete"),
            "rotate-key": ("replace the API key of a session pool in Azure", ".pool.rotate_key"),
            "template": ("print an ARM template for a session pool", ".pool.template"),
        },
    ),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        """End the program; called by argparse."""
        self.exit(_EXIT_BAD_INPUT, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `aca-kernel`; return its exit status.

    argv: without the program's name, default sys.argv. Raises SystemExit for --help,
    --version and a command line that cannot work.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(
        prog="aca-kernel",
        description="Run Jupyter cells in Azure Container Apps session environments.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    program = parser.prog
    _take_any_text()
    try:
        _add_commands(parser, _COMMANDS, words)
        namespace = parser.parse_args(words)
        program = namespace.prog
        status = namespace.module.run(namespace)
        return int(system.run_loop(status) if asyncio.iscoroutine(status) else status)
    except AcaKernelError as error:
        print(f"{program}: {error.message}", file=sys.stderr)
        return _EXIT_BAD_INPUT if isinstance(error, SettingInvalid) else 1
    except BrokenPipeError:
        # Else Python fails when it flushes at its end. Source: the documentation of signal.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _take_any_text() -> None:
    """Let characters that a console or file does not have become question marks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _add_commands(
    parser: argparse.ArgumentParser, commands: _Commands, words: Sequence[str]
) -> None:
    """Add all subcommands, and the arguments of the one that `words` starts with."""
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (summary, below) in commands.items():
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
        )
        if list(words[:1]) != [name]:
            continue
        if isinstance(below, str):
            module = importlib.import_module(below, __package__)
            module.add_arguments(subparser)
            subparser.set_defaults(module=module, prog=subparser.prog)
        else:
            _add_commands(subparser, below, words[1:])
