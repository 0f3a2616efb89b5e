"""`aca-kernel mcp-config`: a session pool's MCP server for GitHub Copilot in VS Code.

Source: the tutorial's section "Connect to GitHub Copilot in VS Code". VS Code asks for the
key, unless --embed-key writes it to the file. It is never printed.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import CredentialUnavailable, SettingInvalid
from ..pool.backend import check_endpoint
from ..settings import AcaKernel
from .configuration import add_pool_options, given_options, read
from .git import is_tracked, keep_out_of_git, repository_of
from .mcp_file import McpFile, entries

DEFAULT_FILE = Path(".vscode", "mcp.json")

# The tutorial's.
DEFAULT_SERVER = "aca-python-sessions"

# Source: VS Code's schema for mcp.json.
_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class McpTarget:
    """Address of a server, the key if it was asked for, and how to get the key otherwise."""

    url: str
    key: str | None
    how: str

    def __repr__(self) -> str:
        return f"<McpTarget {self.url}>"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel mcp-config`."""
    parser.description = (
        "Print a session pool's MCP server as VS Code wants it in .vscode/mcp.json, for Agent "
        "mode of GitHub Copilot. VS Code asks for the API key, unless it is embedded."
    )
    parser.add_argument(
        "--write",
        nargs="?",
        const=DEFAULT_FILE,
        type=Path,
        metavar="FILE",
        help="add it to this file and leave everything else in it as it is; the file is made "
        f"if there is none (default: {DEFAULT_FILE})",
    )
    parser.add_argument(
        "--embed-key",
        action="store_true",
        help="write the key itself to the file, make the file readable for you only, and add it "
        "to .gitignore; with --write only",
    )
    parser.add_argument(
        "--server",
        type=_server_name,
        default=DEFAULT_SERVER,
        metavar="NAME",
        help="name of the server in VS Code, one for each pool (default: %(default)s)",
    )
    add_pool_options(parser)


def _server_name(given: str) -> str:
    if not _SERVER.fullmatch(given):
        raise argparse.ArgumentTypeError(
            f"{given!r} is not a server's name: use letters, digits, '_' and '-', beginning with "
            "a letter"
        )
    return given


async def run(namespace: argparse.Namespace) -> int:
    """Print or write the configuration.

    Raises SettingInvalid: there is no pool, or the file is not VS Code's.
    Raises NotWritable, and what finding the pool raises.
    """
    given = given_options(namespace)
    if namespace.embed_key and namespace.write is None:
        raise SettingInvalid(
            "The key is never printed: give --write with --embed-key, or leave --embed-key out "
            "and let VS Code ask for the key."
        )
    file = McpFile.read(namespace.write) if namespace.write is not None else None
    configuration = read(given)
    if configuration.problem:
        raise SettingInvalid(configuration.problem)
    target = await _target(configuration.settings, with_key=namespace.embed_key)
    if file is None:
        print(_text(namespace.server, target))
        print(f"Next: save this as {DEFAULT_FILE}, or add --write.", file=sys.stderr)
        print(target.how, file=sys.stderr)
        return 0
    return _write(file, namespace.server, target)


def _text(server: str, target: McpTarget) -> str:
    return json.dumps(entries(server, target.url, None), indent=4)


def _write(file: McpFile, server: str, target: McpTarget) -> int:
    merged = file.merged(entries(server, target.url, target.key), server)
    if merged is None:
        # Only a person can say where the comments belong after a change.
        print(
            f"aca-kernel mcp-config: {file.path} has comments, which would be lost: nothing was "
            "written. Add this to it yourself:",
            file=sys.stderr,
        )
        print(_text(server, target))
        return 1
    repository = repository_of(file.path) if target.key is not None else None
    if repository is not None:
        # Ahead of the key: at no moment may a `git add` take it up.
        added = keep_out_of_git(repository, file.path)
        if added is not None:
            print(f"Added {file.path} to {added}")
        if is_tracked(repository, file.path):
            print(
                f"Warning: git tracks {file.path} already, key or not: run `git rm --cached "
                f"{shlex.quote(str(file.path))}` before the next commit.",
                file=sys.stderr,
            )
    is_changed = file.write(merged, is_secret=target.key is not None)
    done = "Wrote the server {} to {}" if is_changed else "The server {} is in {} already"
    print(done.format(server, file.path))
    print(f"Next: in VS Code, open Copilot Chat in Agent mode and look for {server} in its tools.")
    if target.key is None:
        print(target.how)
    return 0


# -- the pool --------------------------------------------------------------------------


async def _target(settings: AcaKernel, *, with_key: bool) -> McpTarget:
    if settings.place == "endpoint":
        url = check_endpoint(settings.endpoint, settings.allow_plain_http)
        if with_key and not settings.api_key:
            raise CredentialUnavailable(
                "There is no API key to embed: set ACA_MCP_API_KEY to the key of the pool, or "
                "leave --embed-key out."
            )
        how = "VS Code asks for the key of the pool when it connects for the first time."
        return McpTarget(url, settings.api_key if with_key else None, how)
    if settings.place == "azure":
        return await _azure_target(settings, with_key=with_key)
    raise SettingInvalid(
        "There is no pool that VS Code could connect to: give --resource-group and --pool, or "
        "--endpoint. An embedded pool lives only as long as its kernel; `aca-kernel pool serve` "
        "serves one that stays."
    )


async def _azure_target(settings: AcaKernel, *, with_key: bool) -> McpTarget:
    from ..pool.azure.azure_backend import names_of
    from ..pool.azure.pools import endpoint_of
    from ..pool.azure.resource_names import POOLS_API_VERSION
    from .pool.common import connected

    names_of(settings)
    async with connected(settings) as control:
        pool = control.pool
        url = endpoint_of(await control.pools.get(pool))
        key = await control.pools.fetch_key(pool) if with_key else None
    address = settings.arm_endpoint.rstrip("/") + pool.path
    how = (
        "VS Code asks for the key when it connects for the first time. To see it: "
        "az rest --method post --query apiKey --output tsv --url "
        f"'{address}/fetchMCPServerCredentials?api-version={POOLS_API_VERSION}'"
    )
    return McpTarget(check_endpoint(url, settings.allow_plain_http), key, how)
