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
from pathlib import Path
from typing import Any

from ..errors import CredentialUnavailable, SettingInvalid
from ..pool.backend import check_endpoint
from ..settings import AcaKernel
from ..system import programs_folder
from .configuration import add_pool_options, given_options, read
from .git import is_tracked, keep_out_of_git, repository_of
from .mcp_file import McpFile, entries

DEFAULT_FILE = Path(".vscode", "mcp.json")

# Names of VS Code's own folder: of its stable version, of its preview, of the free build.
_VS_CODES = ("Code", "Code - Insiders", "VSCodium")

# The tutorial's.
DEFAULT_SERVER = "aca-python-sessions"

# Source: VS Code's schema for mcp.json.
_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel mcp-config`."""
    parser.description = (
        "Print a session pool's MCP server as VS Code wants it in .vscode/mcp.json, for Agent "
        "mode of GitHub Copilot. VS Code asks for the API key, unless it is embedded."
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--user",
        action="store_true",
        help="add it to your own mcp.json, which counts in every folder that you open in VS Code, "
        "and leave everything else in it as it is",
    )
    place.add_argument(
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
        "to .gitignore; with --write or --user only",
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
    path = user_file() if namespace.user else namespace.write
    if namespace.embed_key and path is None:
        raise SettingInvalid(
            "The key is never printed: give --write with --embed-key, or leave --embed-key out "
            "and let VS Code ask for the key."
        )
    file = McpFile.read(path) if path is not None else None
    configuration = read(given)
    if configuration.problem:
        raise SettingInvalid(configuration.problem)
    url, key, how = await _find_pool(configuration.settings, with_key=namespace.embed_key)
    text = json.dumps(entries(namespace.server, url, None), indent=4)
    if file is None:
        print(text)
        print(f"Next: save this as {DEFAULT_FILE}, or add --write.", how, sep="\n", file=sys.stderr)
        return 0
    is_secret = key is not None
    merged = file.merged(entries(namespace.server, url, key), namespace.server)
    if merged is None:
        # Only a person knows the places of the comments after a change.
        print(
            f"aca-kernel mcp-config: {file.path} has comments, which would be lost: nothing was "
            "written. Add this to it yourself:",
            file=sys.stderr,
        )
        print(text)
        return 1
    _write(file, merged, namespace.server, is_secret=is_secret)
    if not is_secret:
        print(how)
    return 0


def user_file() -> Path:
    """Return the user's own mcp.json.

    Source: https://code.visualstudio.com/docs/configure/settings, "Settings file locations".
    Raises SettingInvalid: there is no VS Code.
    """
    folders = [programs_folder() / name / "User" for name in _VS_CODES]
    for folder in folders:
        if folder.is_dir():
            return folder / "mcp.json"
    raise SettingInvalid(
        f"VS Code has no folder {folders[0]}: start it once, or name the file with --write."
    )


def _write(file: McpFile, merged: dict[str, Any], server: str, *, is_secret: bool) -> None:
    # The file that gets the key: the target of a symlink.
    path = file.path.resolve() if file.path.is_symlink() else file.path
    repository = repository_of(path) if is_secret else None
    if repository is not None:
        # Ahead of the key: a `git add` must never catch it.
        added = keep_out_of_git(repository, path)
        if added is not None:
            print(f"Added {path} to {added}")
        if is_tracked(repository, path):
            print(
                f"Warning: git tracks {path} already, key or not: run `git rm --cached "
                f"{shlex.quote(str(path))}` before the next commit.",
                file=sys.stderr,
            )
    is_changed = file.write(merged, is_secret=is_secret)
    done = "Wrote the server {} to {}" if is_changed else "The server {} is in {} already"
    print(done.format(server, file.path))
    print(f"Next: in VS Code, open Copilot Chat in Agent mode and look for {server} in its tools.")


# -- the pool --------------------------------------------------------------------------


async def _find_pool(settings: AcaKernel, *, with_key: bool) -> tuple[str, str | None, str]:
    """Return the MCP endpoint, the key if it is asked for, and how VS Code gets it otherwise."""
    if settings.place == "endpoint":
        url = check_endpoint(settings.endpoint, settings.allow_plain_http)
        if with_key and not settings.api_key:
            raise CredentialUnavailable(
                "There is no API key to embed: set ACA_MCP_API_KEY to the key of the pool, or "
                "leave --embed-key out."
            )
        how = "VS Code asks for the key of the pool when it connects for the first time."
        return url, settings.api_key if with_key else None, how
    if settings.place == "azure":
        return await _find_in_azure(settings, with_key=with_key)
    raise SettingInvalid(
        "There is no pool that VS Code could connect to: give --resource-group and --pool, or "
        "--endpoint. An embedded pool lives only as long as its kernel; `aca-kernel pool serve` "
        "serves one that stays."
    )


async def _find_in_azure(settings: AcaKernel, *, with_key: bool) -> tuple[str, str | None, str]:
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
    return check_endpoint(url, settings.allow_plain_http), key, how
