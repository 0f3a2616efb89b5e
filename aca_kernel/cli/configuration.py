"""Settings as a kernel would get them, and the source of each.

Precedence, highest first: options of the command line, a kernelspec, the configuration
file, environment variables, defaults.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitlets import TraitError
from traitlets.config import Config

from ..errors import SettingInvalid
from ..settings import VARIABLES, AcaKernel
from .setting_options import add_setting

# A pool that the command line names takes precedence over an endpoint in a kernelspec or the
# configuration file, which otherwise goes before a name.
_POOL_NAMES = frozenset({"resource_group", "session_pool"})

DEFAULT = "default"


@dataclass(frozen=True)
class Configuration:
    """Settings, and the source of each, e.g. "command line".

    problem: a sentence about a configuration file that cannot be read, which a kernel ignores.
    unknown: names in the class's section that are no settings, which a kernel ignores.
    """

    settings: AcaKernel
    sources: dict[str, str]
    problem: str
    unknown: tuple[str, ...]


def add_pool_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which pool, as `aca-kernel install` has them."""
    group = parser.add_argument_group(
        "pool",
        "Without any of them the settings of the configuration file and the environment "
        "variables count, as they do for a kernel.",
    )
    add_setting(group, "resource_group", "-g")
    add_setting(group, "session_pool", "--pool")
    add_setting(group, "endpoint")
    add_cloud(group)


def add_cloud(parser: argparse._ActionsContainer) -> None:
    """Add the options that say which subscription of which Azure."""
    for name in ("subscription", "arm_endpoint", "allow_plain_http"):
        add_setting(parser, name)


def given_options(namespace: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives, each checked by itself.

    Raises SettingInvalid: one of them cannot work, or two exclude each other.
    """
    names = ("subscription", "resource_group", "session_pool", "endpoint", "arm_endpoint")
    given = {
        name: getattr(namespace, name)
        for name in (*names, "allow_plain_http")
        if getattr(namespace, name)
    }
    if "endpoint" in given and ("session_pool" in given or "resource_group" in given):
        raise SettingInvalid(
            "A pool is known by its endpoint or by its name in Azure: give --endpoint, or "
            "--resource-group and --pool, not both."
        )
    check_names(given)
    return given


def check_names(given: Mapping[str, Any]) -> None:
    """Check the names and addresses among some settings, but for empty ones.

    Raises SettingInvalid: one of them cannot work.
    """
    from ..pool.azure.clouds import cloud_at
    from ..pool.azure.resource_names import check_pool, check_resource_group, check_subscription
    from ..pool.backend import check_endpoint

    allow_plain_http = bool(given.get("allow_plain_http"))
    checks: dict[str, Callable[[str], object]] = {
        "endpoint": lambda url: check_endpoint(url, allow_plain_http),
        "subscription": check_subscription,
        "resource_group": check_resource_group,
        "session_pool": check_pool,
        "arm_endpoint": lambda url: cloud_at(url, allow_plain_http=allow_plain_http),
    }
    for name, check in checks.items():
        if given.get(name):
            check(given[name])


def read(given: Mapping[str, Any], kernelspec: Sequence[str] = (), name: str = "") -> Configuration:
    """Return the settings of a kernel that is started with these arguments.

    given: settings of the command line. kernelspec: arguments of a kernelspec, after
    `-m aca_kernel`. name: of that kernelspec.
    Raises SettingInvalid: a value cannot be one of its setting.
    """
    file, problem = _configuration_file()
    layers = [("configuration file", file)]
    if kernelspec:
        layers.append((f"kernelspec {name}", _arguments(kernelspec, name)))
    if _POOL_NAMES & given.keys():
        for _, layer in layers:
            layer.pop("endpoint", None)
    layers.append(("command line", dict(given)))
    traits = AcaKernel.class_own_traits(config=True)
    config, sources = Config(), dict.fromkeys(traits, DEFAULT)
    for setting, variable in VARIABLES.items():
        if os.environ.get(variable):
            sources[setting] = f"environment variable {variable}"
    unknown: list[str] = []
    for source, layer in layers:
        for setting, value in layer.items():
            if setting not in traits:
                unknown.append(f"{setting} ({source})")
                continue
            _check(setting, value, source)
            config.AcaKernel[setting] = value
            sources[setting] = source
    return Configuration(AcaKernel(config=config), sources, problem, tuple(unknown))


def _check(setting: str, value: Any, source: str) -> None:
    """Try a value. Raises SettingInvalid, without the value, which might be a secret."""
    config = Config()
    config.AcaKernel[setting] = value
    try:
        AcaKernel(config=config)
    except TraitError as error:
        raise SettingInvalid(
            f"The setting {setting} cannot have the value that the {source} gives it. "
            "`aca-kernel install --help` says what it takes."
        ) from error


def _configuration_file() -> tuple[dict[str, Any], str]:
    """Return our section of the configuration file, and the problem with that file."""
    from ..app import AcaKernelApp

    app = AcaKernelApp(raise_config_file_errors=True)
    try:
        app.load_config_file(suppress_errors=False)
    except Exception as error:  # noqa: BLE001 - the file is a program and may raise anything
        # Not the text of the error: it may quote the file, and that may hold a key.
        return {}, (
            f"The configuration file {app.config_file_name} cannot be read "
            f"({type(error).__name__}), and a kernel ignores it. Correct it; `jupyter --paths` "
            "shows where it may lie."
        )
    return _section(app.config), ""


def _arguments(words: Sequence[str], name: str) -> dict[str, Any]:
    """Read a kernelspec's arguments as the kernel does. Raises SettingInvalid."""
    from ..app import AcaKernelApp

    app = AcaKernelApp()
    try:
        app.parse_command_line(list(words))
    except SystemExit as error:
        # Raised by traitlets for a command line that it cannot read.
        raise SettingInvalid(
            f"The command line of the kernelspec {name} cannot be read. Write it again with "
            "`aca-kernel install`."
        ) from error
    return _section(app.config)


def _section(config: Config) -> dict[str, Any]:
    return dict(config["AcaKernel"]) if "AcaKernel" in config else {}
