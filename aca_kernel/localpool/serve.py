"""A pool for a person: command line, what it prints, and its life until Ctrl-C."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from typing import TYPE_CHECKING

from ..errors import AcaKernelError
from .options import DEFAULT_PORT, PoolOptions, check_system, make_quirks, quirk_names

if TYPE_CHECKING:
    import argparse

    from .prepare import Prepared

KEY_VARIABLE = "ACA_LOCAL_POOL_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool serve` to a parser. Defaults: PoolOptions."""
    add = parser.add_argument
    add("--host", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=int, help=f"port to listen on; 0: any free one (default: {DEFAULT_PORT})")
    add(
        "--allow-remote",
        action="store_true",
        default=None,
        help="let --host be an address that other machines can reach",
    )
    add("--api-key", help=f"API key (default: ${KEY_VARIABLE}, else a random one)")
    add("--max-concurrent-sessions", type=int, help="sessions at a time (default: 5)")
    add("--cooldown-seconds", type=float, help="idle time that ends a session (default: 300)")
    add("--ready-sessions", type=int, help="sessions started in advance (default: 0)")
    add("--egress", choices=["enabled", "disabled"], help="network for sessions (default: enabled)")
    add(
        "--isolation",
        choices=["auto", "bubblewrap", "process"],
        help="how sessions are kept apart; auto: bubblewrap if it works (default: auto)",
    )
    add("--call-timeout-seconds", type=float, help="limit of one tool call (default: 220)")
    add("--memory-mib", type=int, help="memory of a session; 0: no limit (default: up to 8192)")
    add("--max-processes", type=int, help="processes of a session; 0: no limit (default: 512)")
    add(
        "--interpreter",
        choices=["light", "ipykernel"],
        help="what runs Python: a small interpreter, or a real ipykernel (default: light)",
    )
    add(
        "--launch-tools",
        choices=["both", "python", "shell"],
        help="offer launchShell, launchPythonEnvironment, or both (default: both)",
    )
    add(
        "--output-limit",
        type=int,
        metavar="N",
        help="cut stdout and stderr after N characters, as a service may (default: 0, never)",
    )
    add("--retry-after-seconds", type=int, help="Retry-After of a full pool (default: absent)")
    add(
        "--key-rotation-seconds",
        type=float,
        help="after a rotation, how long the old key works and the new one does not (default: 0)",
    )
    add("--max-request-bytes", type=int, help="largest request (default: 128 MiB)")
    add("--max-output-bytes", type=int, help="largest stdout or stderr (default: 64 MiB)")
    add(
        "--quirk",
        dest="quirks",
        action="append",
        metavar="NAME",
        help="behave as some pools of the service do; repeatable: " + ", ".join(quirk_names()),
    )
    add("--faults", action="store_true", default=None, help="allow failures on demand (for tests)")
    _add_control_plane_arguments(parser)


def _add_control_plane_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("control plane").add_argument
    add("--subscription", help="id of the subscription (default: all zeros)")
    add("--resource-group", help="resource group that this pool is in (default: local)")
    add("--name", help="name of this pool (default: local)")
    add("--location", help="region of this pool (default: eastus)")
    add(
        "--operation-seconds",
        type=float,
        help="how long creating, changing and deleting takes (default: 1)",
    )
    add("--token-lifetime-seconds", type=float, help="life of a bearer token (default: 3600)")
    add(
        "--min-cooldown-seconds",
        type=int,
        help="shortest cooldown that a pool may be created with, for tests (default: 300)",
    )


def options_from(namespace: argparse.Namespace) -> PoolOptions:
    """Return the options that parsed arguments ask for.

    Raises SettingInvalid: a value cannot work.
    """
    names = {item.name for item in dataclasses.fields(PoolOptions)}
    given = {name: value for name, value in vars(namespace).items() if name in names}
    given = {name: value for name, value in given.items() if value is not None}
    given["quirks"] = make_quirks(given.get("quirks", []))
    given.setdefault("api_key", os.environ.get(KEY_VARIABLE) or None)
    return PoolOptions(**given, control_plane=True)


def run(namespace: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM and return the exit code: 0, or 2 with a sentence."""
    try:
        serve(options_from(namespace))
    except AcaKernelError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 2
    return 0


def serve(options: PoolOptions) -> None:
    """Run a pool in this process, printing how to use it, until SIGINT or SIGTERM.

    Raises SettingInvalid: a setting cannot work here, or the port is taken.
    """
    check_system()
    from .prepare import prepare

    asyncio.run(_serve(prepare(options)))


async def _serve(prepared: Prepared) -> None:
    from .service import open_service

    service = open_service(prepared)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        _print(
            _introduction(
                prepared.options, service.endpoint, service.keys.current, service.environment
            )
        )
        if service.notice:
            _print(f"\nNote: {service.notice}")
        service.sweep()
        await stopped.wait()
    finally:
        await service.close()
    _print("\nStopped; all sessions and their files are gone.")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _introduction(
    options: PoolOptions, endpoint: str, key: str, environment: dict[str, str]
) -> str:
    control_plane = "\n".join(f"    export {name}={value}" for name, value in environment.items())
    memory = f"{options.memory_bytes >> 20} MiB" if options.memory_bytes else "no limit"
    launch = "launchPythonEnvironment" if options.launch_tools == "python" else "launchShell"
    return f"""\
Session pool at {endpoint}
API key {key}

Sessions: at most {options.max_concurrent_sessions}, each ends after \
{options.cooldown_seconds:g} s idle; {options.call_timeout_seconds:g} s per call;
memory {memory}, processes {options.max_processes or "no limit"}, network {options.egress}.

A kernel uses this pool with:
    export ACA_MCP_ENDPOINT={endpoint} ACA_MCP_API_KEY={key}

Or finds it, and others, as in Azure, with a local control plane and its tokens:
{control_plane}

With curl:
    export MCP_ENDPOINT={endpoint} API_KEY={key}

    curl -sS -X POST "$MCP_ENDPOINT" -H "Content-Type: application/json" \\
        -H "x-ms-apikey: $API_KEY" \\
        -d '{{ "jsonrpc": "2.0", "id": "1", "method": "initialize" }}'

    ENVIRONMENT_ID=$(curl -sS -X POST "$MCP_ENDPOINT" -H "Content-Type: application/json" \\
        -H "x-ms-apikey: $API_KEY" \\
        -d '{{ "jsonrpc": "2.0", "id": "2", "method": "tools/call",
              "params": {{ "name": "{launch}", "arguments": {{}} }} }}' \\
        | sed 's/.*"environmentId": *"\\([^"]*\\)".*/\\1/')

    curl -sS -X POST "$MCP_ENDPOINT" -H "Content-Type: application/json" \\
        -H "x-ms-apikey: $API_KEY" \\
        -d '{{ "jsonrpc": "2.0", "id": "3", "method": "tools/call",
              "params": {{ "name": "runPythonCodeInRemoteEnvironment", "arguments": {{
                "environmentId": "'"$ENVIRONMENT_ID"'",
                "pythonCode": "import sys; print(sys.version)" }} }} }}'

Ctrl-C stops the pool."""
