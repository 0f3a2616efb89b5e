"""Options, connection and progress line of the commands of `aca-kernel pool`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.text import Text

from ...batch.lines import console_on, live_on
from ...errors import SettingInvalid
from ...pool.azure.account import subscription_of
from ...pool.azure.arm import OPERATION_TIMEOUT_SECONDS, Arm
from ...pool.azure.clouds import cloud_at
from ...pool.azure.credentials import Tokens
from ...pool.azure.pools import SessionPools
from ...pool.azure.resource_names import PoolId, ResourceGroupId
from ...pool.azure.shapes import (
    DEFAULT_MAX_SESSIONS,
    LONGEST_COOLDOWN_SECONDS,
    SHORTEST_COOLDOWN_SECONDS,
    PoolChoices,
)
from ...settings import DEFAULT_ARM_ENDPOINT, AcaKernel
from ..configuration import check_names
from ..setting_options import add_setting

# -- options ---------------------------------------------------------------------------


def add_pool(parser: argparse.ArgumentParser, group_text: str = "") -> None:
    """Add the options that say which pool of which resource group."""
    add_setting(parser, "resource_group", "-g", text=group_text)
    text = "name of the pool (default: $ACA_SESSION_POOL)"
    parser.add_argument("--name", "-n", metavar="NAME", dest="session_pool", help=text)


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits the wait for Azure."""
    parser.add_argument(
        "--timeout-seconds",
        type=_timeout,
        default=OPERATION_TIMEOUT_SECONDS,
        metavar="N",
        help="longest wait for each step; Azure goes on by itself (default: %(default)g)",
    )


def _timeout(given: str) -> float:
    seconds = float(given)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{given!r} is not a number of more than 0")
    return seconds


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options of a pool itself; PoolChoices checks them."""
    parser.add_argument(
        "--max-sessions",
        type=int,
        metavar="N",
        help=f"environments at a time (default: {DEFAULT_MAX_SESSIONS})",
    )
    parser.add_argument(
        "--cooldown",
        type=int,
        metavar="SECONDS",
        help="idle time after which an environment is destroyed, "
        f"{SHORTEST_COOLDOWN_SECONDS} to {LONGEST_COOLDOWN_SECONDS} "
        f"(default: {SHORTEST_COOLDOWN_SECONDS})",
    )
    parser.add_argument(
        "--egress",
        choices=["enabled", "disabled"],
        help="network for the environments (default: enabled)",
    )


def choices_of(namespace: argparse.Namespace) -> PoolChoices:
    """Return the options of a pool itself. Raises SettingInvalid."""
    return PoolChoices(namespace.max_sessions, namespace.cooldown, namespace.egress)


# -- where -----------------------------------------------------------------------------

_NEEDED = {
    "resource_group": "Which resource group? Give --resource-group, or set ACA_RESOURCE_GROUP.",
    "session_pool": "Which session pool? Give --name, or set ACA_SESSION_POOL.",
}


def settings_of(namespace: argparse.Namespace, *needed: str) -> AcaKernel:
    """Return what the command line and the environment variables name.

    Every name is checked here, before anything is asked or sent.
    needed: resource_group, session_pool. Raises SettingInvalid: one is missing or cannot be.
    """
    names = ("subscription", "resource_group", "session_pool", "arm_endpoint", "allow_plain_http")
    given = {name: getattr(namespace, name, None) for name in names}
    settings = AcaKernel(**{name: value for name, value in given.items() if value is not None})
    check_names({name: getattr(settings, name) for name in names[:3]})
    for name in needed:
        if not getattr(settings, name):
            raise SettingInvalid(_NEEDED[name])
    return settings


@dataclass(frozen=True)
class Control:
    """A connection to Resource Manager, and what the settings name there."""

    settings: AcaKernel
    arm: Arm
    pools: SessionPools
    subscription: str
    progress: ProgressLine

    @property
    def group(self) -> ResourceGroupId:
        """The resource group."""
        return ResourceGroupId(self.subscription, self.settings.resource_group)

    @property
    def pool(self) -> PoolId:
        """The session pool."""
        return PoolId(self.group, self.settings.session_pool)

    def install_command(self) -> str:
        """Return the command that makes a kernel of the pool."""
        words = ["aca-kernel", "install", "--user"]
        words += ["--subscription", self.subscription]
        words += ["--resource-group", self.group.name, "--pool", self.pool.name]
        if self.settings.arm_endpoint != DEFAULT_ARM_ENDPOINT:
            words += ["--arm-endpoint", self.settings.arm_endpoint]
        return shlex.join(words)


@asynccontextmanager
async def connected(
    settings: AcaKernel, *, timeout_seconds: float = OPERATION_TIMEOUT_SECONDS
) -> AsyncIterator[Control]:
    """Connect to Resource Manager for as long as the context lasts.

    timeout_seconds: of each operation.
    Raises SettingInvalid: there is no subscription, or no such Azure.
    """
    cloud = cloud_at(settings.arm_endpoint, allow_plain_http=settings.allow_plain_http)
    progress = ProgressLine(sys.stderr)
    arm = Arm(
        cloud,
        Tokens(cloud),
        connect_timeout_seconds=settings.connect_timeout_seconds,
        progress=progress,
        operation_timeout_seconds=timeout_seconds,
    )
    try:
        subscription = await subscription_of(settings.subscription)
        yield Control(settings, arm, SessionPools(arm), subscription, progress)
    finally:
        progress.clear()
        await arm.close()


# -- talking ---------------------------------------------------------------------------


class ProgressLine:
    """The present wait: one line that changes on a terminal, one line a step elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._console = console_on(stream)
        self._live = live_on(self._console)
        self._shown = ""

    def __call__(self, what: str, waited: float) -> None:
        """Show a wait, and its seconds so far."""
        if self._console.is_interactive:
            self._live.start()
            line = Text(f"{what}… {waited:.0f} s", no_wrap=True, overflow="ellipsis")
            self._live.update(line, refresh=True)
        elif what != self._shown:
            self.say(f"{what}…")
            self._shown = what

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, soft_wrap=True)

    def clear(self) -> None:
        """Remove the line that changes, before something else is printed."""
        self._live.stop()
        self._shown = ""
