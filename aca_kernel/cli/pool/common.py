"""What the commands of `aca-kernel pool` share."""

from __future__ import annotations

import shlex
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from ...batch.lines import console_on, live_on
from ...errors import SettingInvalid
from ...pool.azure.account import subscription_of
from ...pool.azure.arm import Arm
from ...pool.azure.clouds import cloud_at
from ...pool.azure.credentials import Tokens
from ...pool.azure.long_running import OPERATION_TIMEOUT_SECONDS
from ...pool.azure.pools import SessionPools
from ...pool.azure.resource_names import (
    PoolId,
    ResourceGroupId,
    check_pool,
    check_resource_group,
    check_subscription,
)
from ...pool.azure.shapes import (
    DEFAULT_MAX_SESSIONS,
    LONGEST_COOLDOWN_SECONDS,
    SHORTEST_COOLDOWN_SECONDS,
    PoolChoices,
)
from ...settings import DEFAULT_ARM_ENDPOINT, AcaKernel
from ..configuration import add_arm_endpoint, add_subscription

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator
    from typing import TextIO


# -- options ---------------------------------------------------------------------------


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which subscription of which Azure."""
    add_subscription(parser)
    add_arm_endpoint(parser)
    parser.add_argument(
        "--allow-plain-http",
        action="store_true",
        help="send the login's token to an http:// address that is not on this machine",
    )


def add_resource_group(parser: argparse.ArgumentParser, text: str = "") -> None:
    """Add the option that says which resource group."""
    parser.add_argument(
        "--resource-group",
        "-g",
        metavar="NAME",
        help=text or "resource group of the pool (default: $ACA_RESOURCE_GROUP)",
    )


def add_pool(parser: argparse.ArgumentParser, group_text: str = "") -> None:
    """Add the options that say which pool of which resource group."""
    add_resource_group(parser, group_text)
    parser.add_argument(
        "--name", "-n", metavar="NAME", help="name of the pool (default: $ACA_SESSION_POOL)"
    )


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how long to wait for Azure."""
    parser.add_argument(
        "--timeout-seconds",
        type=float,
        default=OPERATION_TIMEOUT_SECONDS,
        metavar="N",
        help="how long to wait for each step; Azure goes on by itself (default: %(default)g)",
    )


def add_pool_options(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen about a pool; PoolChoices checks it."""
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


def pool_options(namespace: argparse.Namespace) -> PoolChoices:
    """Return what was chosen. Raises SettingInvalid."""
    return PoolChoices(namespace.max_sessions, namespace.cooldown, namespace.egress)


# -- where -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Control:
    """A connection to Resource Manager, for one subscription."""

    arm: Arm
    pools: SessionPools
    subscription: str
    progress: ProgressLine

    def group(self, name: str) -> ResourceGroupId:
        """Return a resource group of the subscription."""
        return ResourceGroupId(self.subscription, name)


@dataclass(frozen=True)
class Place:
    """What a command line and the environment variables name, each checked by itself.

    resource_group, name: empty if not given.
    """

    settings: AcaKernel
    resource_group: str
    name: str

    @classmethod
    def of(cls, namespace: argparse.Namespace) -> Place:
        """Read the options that are there. Raises SettingInvalid."""
        options = {
            "subscription": getattr(namespace, "subscription", None),
            "resource_group": getattr(namespace, "resource_group", None),
            "session_pool": getattr(namespace, "name", None),
            "arm_endpoint": getattr(namespace, "arm_endpoint", None),
            "allow_plain_http": getattr(namespace, "allow_plain_http", None),
        }
        settings = AcaKernel(**{key: value for key, value in options.items() if value is not None})
        # What is there is checked at once, before anything is asked or sent.
        if settings.subscription:
            check_subscription(settings.subscription)
        group, name = settings.resource_group, settings.session_pool
        return cls(
            settings,
            check_resource_group(group) if group else "",
            check_pool(name) if name else "",
        )

    def need_group(self) -> str:
        """Return the resource group. Raises SettingInvalid: there is none."""
        if not self.resource_group:
            raise SettingInvalid(
                "Which resource group? Give --resource-group, or set ACA_RESOURCE_GROUP."
            )
        return self.resource_group

    def need_name(self) -> str:
        """Return the pool's name. Raises SettingInvalid: there is none."""
        if not self.name:
            raise SettingInvalid("Which session pool? Give --name, or set ACA_SESSION_POOL.")
        return self.name

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Control]:
        """Connect to Resource Manager for as long as the context lasts.

        Raises SettingInvalid: there is no subscription, or no such Azure.
        """
        cloud = cloud_at(
            self.settings.arm_endpoint, allow_plain_http=self.settings.allow_plain_http
        )
        progress = ProgressLine(sys.stderr)
        arm = Arm(
            cloud,
            Tokens(cloud),
            connect_timeout_seconds=self.settings.connect_timeout_seconds,
            progress=progress,
        )
        try:
            subscription = await subscription_of(self.settings.subscription)
            yield Control(arm, SessionPools(arm), subscription, progress)
        finally:
            progress.clear()
            await arm.close()

    def install_command(self, pool: PoolId) -> str:
        """Return the command that makes a kernel of a pool."""
        words = ["aca-kernel", "install", "--user"]
        words += ["--subscription", pool.group.subscription]
        words += ["--resource-group", pool.group.name, "--pool", pool.name]
        if self.settings.arm_endpoint != DEFAULT_ARM_ENDPOINT:
            words += ["--arm-endpoint", self.settings.arm_endpoint]
        return shlex.join(words)


# -- talking ---------------------------------------------------------------------------


class ProgressLine:
    """Tells a person what is waited for: one line that changes, or one line a step."""

    def __init__(self, stream: TextIO) -> None:
        self._console = console_on(stream)
        self._live = live_on(self._console)
        self._shown = ""

    def __call__(self, what: str, waited: float) -> None:
        """Show what is waited for, and for how long, in seconds."""
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
        """Take away the line that changes, before something else is printed."""
        self._live.stop()
        self._shown = ""


def check_can_ask(*, is_agreed: bool) -> None:
    """Look, before anything else is done, whether a question can be answered.

    is_agreed: --yes was given. Raises SettingInvalid: nobody is there to answer.
    """
    if not is_agreed and not sys.stdin.isatty():
        raise SettingInvalid("Nobody can be asked here, so nothing is deleted: add --yes.")


def confirm(question: str, *, is_agreed: bool) -> bool:
    """Ask before something is lost; see check_can_ask."""
    if is_agreed:
        return True
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    return answer.strip().lower() in ("y", "yes")
