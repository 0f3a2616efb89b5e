"""Checks of an environment's packages and behaviour, by its tools."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shlex
import statistics
import time
from importlib import resources
from typing import Any

from ...environment.page_size import SMALLEST_PAGE_CHARACTERS
from ...environment.relay import Relay
from ...environment.variables import variables_to_pass
from ...errors import AcaKernelError, PoolBusy, PoolNotFound, RemoteProtocolError, ToolFailed
from ...pool.mcp_client import RUN_SHELL
from ...pool.tool_result import ToolResult
from .check_machine import public_address
from .checklist import Found, Skipped, Step
from .probe import numbered_text
from .report import CheckOutcome, failed, warning

# Of most notebooks; the service's image has them.
_PACKAGES = ("numpy", "pandas", "matplotlib")
_KERNEL_PACKAGES = ("ipykernel", "IPython")

# A container is allocated within a second (service-contract); this is for a busy region.
_FIRST_COMMAND_SECONDS = 60.0
_CALL_SECONDS = 30.0

# Two calls that wait longer for each other do not run side by side.
_OVERLAP_SECONDS = 3.0

# Well above the 4096 characters at which the vendor's image may cut (service-contract).
_TEXT_CHARACTERS = 65536

# With nonce, offsets and checksum of a page.
_SMALLEST_USABLE_CHARACTERS = 2 * SMALLEST_PAGE_CHARACTERS

_ROUND_TRIPS = 7
# A call took up to 0.72 s in a public measurement of the service.
_SLOW_SECONDS = 1.0

# Tokens have a tolerance of five minutes (RFC 7519, 4.1.4, and Entra's libraries); a minute is
# worth a warning.
_CLOCK_SECONDS = 60.0

_REACH_SECONDS = 5.0

# Every mirror has it, because ipykernel needs it, and it needs nothing.
_SMALL_PACKAGE = "packaging"
_INSTALL_SECONDS = 60.0


def steps() -> list[Step]:
    """Return the checks of an environment. Only the first one is needed by the others."""
    return [
        Step("first-command", _first_command),
        Step("python", _python, is_needed=False),
        Step("packages", _packages, is_needed=False),
        Step("ipykernel", _ipykernel, is_needed=False),
        Step("shell", _shell, is_needed=False),
        Step("output", _output, is_needed=False),
        Step("round-trip", _round_trip, is_needed=False),
        Step("clock", _clock, is_needed=False),
        Step("egress", _egress, is_needed=False),
        Step("index", _index, is_needed=False),
        Step("cooldown", _cooldown, is_needed=False),
    ]


async def _first_command(found: Found) -> CheckOutcome:
    packages = [*_PACKAGES, *_KERNEL_PACKAGES]
    started = time.monotonic()
    try:
        look = await _ask(found, "look", timeout_seconds=_FIRST_COMMAND_SECONDS, packages=packages)
    except PoolNotFound as error:
        # The pool is there: a page of the vendor has 404 for a full one.
        raise PoolBusy(
            "The session pool is full, as far as its HTTP 404 for a first command can be read. "
            "Wait for a place, or raise maxConcurrentSessions.",
            detail=error.detail,
        ) from error
    if not isinstance(look, dict) or not isinstance(look.get("packages"), dict):
        raise _unreadable()
    found.look = look
    return CheckOutcome(
        f"ran in {time.monotonic() - started:.2f} s, with the container's allocation"
    )


async def _python(found: Found) -> CheckOutcome:
    return CheckOutcome(f"{found.look['python']}, {found.look['executable']}")


async def _packages(found: Found) -> CheckOutcome:
    versions = {name: found.look["packages"].get(name) for name in _PACKAGES}
    detail = ", ".join(f"{name} {version or 'is missing'}" for name, version in versions.items())
    missing = [name for name, version in versions.items() if version is None]
    if not missing:
        return CheckOutcome(detail)
    return warning(
        detail,
        f"Where notebooks need them: run `%pip install {' '.join(missing)}` in a cell (it needs "
        "egress), or, for an embedded pool, install them beside aca-kernel.",
    )


async def _ipykernel(found: Found) -> CheckOutcome:
    """Boot the agent as a kernel does. It starts the remote kernel."""
    environment = found.environment
    config = {
        "session": secrets.token_hex(8),
        "username": "doctor",
        "session_name": "",
        "hash_seed": "",
        "traits": {},
        "arguments": [],
        "refused": [],
        "generation": 1,
    }
    relay = Relay(environment, config, logging.getLogger(__name__))
    greeting = await relay.boot()
    if not greeting.missing:
        packages = found.look["packages"]
        versions = ", ".join(f"{name} {packages.get(name)}" for name in _KERNEL_PACKAGES)
        return CheckOutcome(f"{versions}; a kernel was started in the environment")
    missing = " and ".join(greeting.missing)
    if found.settings.install_ipykernel:
        return warning(
            f"{missing} missing: the first cell tries to install it, which needs egress",
            "Without it cells run in plain mode: use an image with ipykernel, or see that `egress` "
            "below is ok.",
        )
    return warning(
        f"{missing} missing, and install_ipykernel is off: cells run in plain mode",
        "Switch install_ipykernel on, or use an image with ipykernel.",
    )


async def _shell(found: Found) -> CheckOutcome:
    """Let a Python call and a shell command wait for each other."""
    if RUN_SHELL not in (found.client.offered_tools or []):
        raise Skipped("the pool offers no shell tool")
    environment = found.environment
    base = f"{found.look['directory']}/aca-doctor-{secrets.token_hex(6)}"
    started, go = f"{base}-started", f"{base}-go"
    # Looks for the first file as long as Python waits for the second.
    rounds = int(_OVERLAP_SECONDS / 0.05)
    command = (
        f"n=0; while [ ! -e {shlex.quote(started)} ] && [ $n -lt {rounds} ]; "
        f"do sleep 0.05; n=$((n+1)); done; "
        f"[ -e {shlex.quote(started)} ] && : > {shlex.quote(go)}"
    )
    pending = asyncio.ensure_future(
        _ask(found, "overlap", started=started, go=go, seconds=_OVERLAP_SECONDS)
    )
    try:
        result = await environment.persist(lambda: environment.run_shell(command))
        is_side_by_side = bool(await pending)
    finally:
        pending.cancel()
    tidy = f"rm -f {shlex.quote(go)}"
    await environment.persist(lambda: environment.run_shell(tidy))
    if is_side_by_side:
        return CheckOutcome("a shell command ran while a Python call was pending")
    if result.is_failed and not result.exit_code:
        raise ToolFailed(f"The shell tool failed: {result.error_text[:200] or 'no reason given'}")
    return warning(
        "serialised: a shell command waits for the Python call of its environment",
        "Nothing is lost: the kernel makes its calls short, and an interrupt takes up to a second.",
    )


async def _output(found: Found) -> CheckOutcome:
    expected = json.dumps(numbered_text(_TEXT_CHARACTERS))
    result = await _run(found, "numbered_text", characters=_TEXT_CHARACTERS)
    got = result.stdout.rstrip("\n")
    if got == expected:
        return CheckOutcome(f"{len(expected)} characters came whole")
    pairs = enumerate(zip(got, expected, strict=False))
    at = next((n for n, (here, there) in pairs if here != there), min(len(got), len(expected)))
    if at < _SMALLEST_USABLE_CHARACTERS:
        return failed(
            f"Output is cut after {at} characters, which is too little for this kernel.",
            "Ask who runs the pool to raise the limit (outputStreamsMaxLength of the image).",
        )
    return warning(
        f"cut after {at} characters",
        "Nothing is lost: the kernel fetches the rest in pieces, so that large outputs take more "
        "calls.",
    )


async def _round_trip(found: Found) -> CheckOutcome:
    environment = found.environment
    taken = []
    for _ in range(_ROUND_TRIPS):
        started = time.monotonic()
        await environment.persist(
            lambda: environment.run_python("None", timeout_seconds=_CALL_SECONDS)
        )
        taken.append(time.monotonic() - started)
    median = statistics.median(taken)
    detail = f"median {median * 1000:.0f} ms, slowest {max(taken) * 1000:.0f} ms, of {len(taken)}"
    if median < _SLOW_SECONDS:
        return CheckOutcome(detail)
    return warning(
        detail,
        "Every short cell takes that long: choose a pool in a nearer location, and look at the "
        "network and its proxy.",
    )


async def _clock(found: Found) -> CheckOutcome:
    before = time.time()
    there = await _ask(found, "clock")
    after = time.time()
    if not isinstance(there, (int, float)):
        raise _unreadable()
    # Less than the call's own time is no difference.
    apart = max(before - there, there - after, 0.0)
    if apart < _CLOCK_SECONDS:
        return CheckOutcome(
            f"the environment's agrees with this machine's within {max(apart, 1):.0f} s"
        )
    return warning(
        f"the environment's clock and this machine's are {apart:.0f} s apart",
        "Set this machine's clock: logins and certificates fail by it.",
    )


async def _egress(found: Found) -> CheckOutcome:
    said = _egress_setting(found)
    why = await _ask(found, "reach", url=found.reach_url, seconds=_REACH_SECONDS)
    where = public_address(found.reach_url)
    if why == "":
        return CheckOutcome(f"cells reach {where}")
    detail = f"cells do not reach {where} ({why})"
    if said == "disabled":
        return CheckOutcome(f"{detail}; egress is disabled")
    return warning(
        detail,
        "Downloads and `%pip install` fail in cells. "
        + (
            "Egress of the pool is enabled: look at its virtual network and firewall."
            if said == "enabled"
            else "If they are needed: `aca-kernel pool create … --egress enabled`."
        ),
    )


async def _index(found: Found) -> CheckOutcome:
    """Have a small package installed aside, as a kernel has what a notebook asks for."""
    settings = found.settings
    told = await _ask(
        found,
        "install",
        timeout_seconds=_INSTALL_SECONDS + _CALL_SECONDS,
        package=_SMALL_PACKAGE,
        index_url=settings.packages_index_url,
        variables=variables_to_pass(settings, ""),
        seconds=_INSTALL_SECONDS,
    )
    if not isinstance(told, dict):
        raise Skipped("no agent could be started in the environment")
    if not told.get("error"):
        return CheckOutcome(
            f"an index is reached; a small package was installed in {told['seconds']:.1f} s by "
            f"{told['by']}"
        )
    if not told.get("is_unreachable"):
        return warning(
            f"{_SMALL_PACKAGE} could not be installed: {str(told['error'])[:200]}",
            "Look at `packages_index_url`, and at the variables of pip and uv that cells have.",
        )
    detail = "no package index is reached"
    if _egress_setting(found) == "disabled":
        return CheckOutcome(f"{detail}; egress is disabled")
    return warning(
        detail,
        "`%pip install` and the setting `packages` need one: name it by `packages_index_url`, and "
        "see that `egress` above is ok.",
    )


async def _cooldown(found: Found) -> CheckOutcome:
    settings = found.settings
    pool = found.pool
    if pool is not None and not isinstance(pool, AcaKernelError) and pool.cooldown_seconds:
        return CheckOutcome(
            f"{pool.cooldown_seconds} s after the last call; the environment of this check holds "
            f"its place, one of {pool.max_sessions or 'an unknown number'}, until then"
        )
    if settings.place == "embedded":
        return CheckOutcome(
            f"{settings.cooldown_seconds} s after the last call; this pool ends now"
        )
    return CheckOutcome(
        f"{settings.cooldown_seconds} s, as the setting cooldown_seconds says: the pool's own "
        "cannot be asked for by an endpoint; the environment of this check holds its place until "
        "then"
    )


# -- asking ----------------------------------------------------------------------------


async def _ask(
    found: Found, question: str, *, timeout_seconds: float = _CALL_SECONDS, **given: Any
) -> Any:
    """Ask the probe. Raises ToolFailed, RemoteProtocolError and the errors of a call."""
    result = await _run(found, question, timeout_seconds=timeout_seconds, **given)
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise _unreadable() from error


async def _run(
    found: Found, question: str, *, timeout_seconds: float = _CALL_SECONDS, **given: Any
) -> ToolResult:
    source = resources.files(__package__).joinpath("probe.py").read_text(encoding="utf-8")
    # JSON in ASCII is a Python literal too.
    call = f"answer({question}, {json.dumps(json.dumps(given))})"
    environment = found.environment
    result = await environment.persist(
        lambda: environment.run_python(f"{source}\n{call}\n", timeout_seconds=timeout_seconds)
    )
    if result.is_failed:
        raise ToolFailed(
            "The environment's Python could not run what this check sends: "
            f"{(result.error_text or result.stderr)[:200] or 'it gave no reason'}"
        )
    return result


def _unreadable() -> RemoteProtocolError:
    return RemoteProtocolError(
        "The output of the environment's Python came back changed. Check that nothing between "
        "here and the pool rewrites answers."
    )


def _egress_setting(found: Found) -> str | None:
    """Return the pool's egress, as far as it is known."""
    if found.pool is not None and not isinstance(found.pool, AcaKernelError):
        return found.pool.egress
    settings = found.settings
    return settings.egress if settings.place == "embedded" else None
