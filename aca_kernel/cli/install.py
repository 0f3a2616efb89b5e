"""`aca-kernel install`: write a kernelspec with settings in its command line.

`pip install` registers one kernelspec, for the Python environment it installs into. This
command writes others: for Jupyter in another environment, for VS Code without that
environment selected, one for each pool.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from typing import Any, NoReturn

from ..errors import SettingInvalid
from ..settings import AcaKernel
from .configuration import check_names
from .kernelspec import DEFAULT_NAME, install_spec, make_spec, spec_manager
from .setting_options import add_setting, named, plain

# Jupyter's rule for kernel names, which are folder names too (jupyter_client.kernelspec),
# less those of dots only: Jupyter would replace the parent folder with the kernelspec.
_NAME = re.compile(r"(?!\.+$)[a-z0-9._-]+", re.IGNORECASE)

# Never in a kernelspec, which others can read, also in the list of processes.
_SECRET = "api_key"  # noqa: S105 - the name of a setting

# The setting that names a pool in Azure, and with it the kernel.
_POOL = "session_pool"


# -- arguments -----------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel install`, one for each trait among them."""
    parser.description = (
        "Write a kernelspec that starts this kernel with the Python that runs this command "
        f"({sys.executable}). Without --user, --sys-prefix or --prefix it is installed "
        "system-wide, as `python -m ipykernel install` does. A kernelspec of the same name "
        "in the same place is replaced."
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--user", action="store_true", help="install for the current user, not system-wide"
    )
    place.add_argument(
        "--sys-prefix",
        action="store_const",
        const=sys.prefix,
        dest="prefix",
        help="install into the Python environment of this command, the same as "
        f"--prefix={plain(sys.prefix)}",
    )
    place.add_argument(
        "--prefix", metavar="P", type=named, help="install into P/share/jupyter/kernels"
    )
    parser.add_argument(
        "--name",
        type=_kernel_name,
        help=f"name that Jupyter knows the kernel by (default: {DEFAULT_NAME}, with --pool "
        f"{DEFAULT_NAME}-POOL)",
    )
    parser.add_argument(
        "--display-name",
        type=_display_name,
        metavar="D",
        help="name that front ends show (default: Python (Azure Container Apps), with the "
        "name in it if that is not the default one; with --pool: Python (Azure: POOL))",
    )
    settings = parser.add_argument_group(
        "settings",
        "Those that are given become part of the kernelspec; for the others the "
        "configuration file, the environment variables and the defaults count when the "
        "kernel starts. The API key is never part of it: set ACA_MCP_API_KEY.",
    )
    for name in _settings():
        add_setting(settings, name, *(["--pool"] if name == _POOL else []))
    parser.add_argument(
        "--api-key",
        "--api_key",
        f"--AcaKernel.{_SECRET}",
        nargs="?",
        action=_RefuseSecret,
        help=argparse.SUPPRESS,
    )


def _settings() -> list[str]:
    """Return the settings that may stand in a kernelspec, in the order of their class."""
    traits = AcaKernel.class_own_traits(config=True)
    return [name for name in vars(AcaKernel) if name in traits and name != _SECRET]


def _kernel_name(given: str) -> str:
    if not _NAME.fullmatch(given):
        raise argparse.ArgumentTypeError(
            f"{given!r} is not a kernel name: use letters, digits, '.', '_' and '-' only"
        )
    # As Jupyter does before it makes the folder.
    return given.lower()


def _display_name(given: str) -> str:
    if not given.strip():
        raise argparse.ArgumentTypeError("a front end cannot show an empty name")
    return given.strip()


class _RefuseSecret(argparse.Action):
    """Refuses the key without repeating it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        parser.error(
            "an API key does not belong in a kernelspec, which others can read: set the "
            "environment variable ACA_MCP_API_KEY where Jupyter is started instead"
        )


# -- the command ---------------------------------------------------------------------


def run(namespace: argparse.Namespace) -> int:
    """Write the kernelspec and say where it is and what comes next.

    Raises SettingInvalid: the settings cannot work; nothing has been written.
    Raises NotWritable: the place cannot be written.
    """
    settings = {
        name: getattr(namespace, name)
        for name in _settings()
        if getattr(namespace, name) is not None
    }
    _check(settings)
    name, display_name = namespace.name, namespace.display_name
    if settings.get(_POOL):
        # Several pools side by side: each has its own name, in the picker too.
        display_name = display_name or f"Python (Azure: {settings[_POOL]})"
        name = name or _kernel_name(f"{DEFAULT_NAME}-{settings[_POOL]}")
    name = name or DEFAULT_NAME
    spec = make_spec(name, display_name, settings)
    destination = install_spec(spec, name, user=namespace.user, prefix=namespace.prefix)
    print(f"Installed the kernelspec {name} in {destination}")
    shown = spec["display_name"]
    steps = _next_steps(name, shown, settings, destination)
    print(*steps, *_doubles(name, shown, destination), sep="\n")
    return 0


def _doubles(name: str, display_name: str, destination: str) -> list[str]:
    """Name other places of the same kernel: VS Code lists it twice then, JupyterLab once."""
    folders = [*spec_manager().kernel_dirs, os.path.join(sys.prefix, "share/jupyter/kernels")]
    others = dict.fromkeys(os.path.join(folder, name) for folder in folders)
    return [
        f'Note: "{display_name}" is installed in {other}, too. VS Code lists it twice if it knows '
        f"that environment, and then needs one of them only: to take the new one back, remove "
        f"{destination}"
        for other in others
        if _display_name_of(other) == display_name and not os.path.samefile(other, destination)
    ]


def _display_name_of(folder: str) -> str:
    try:
        with open(os.path.join(folder, "kernel.json"), encoding="utf-8") as file:
            spec = json.load(file)
    except (OSError, ValueError):
        return ""
    return str(spec.get("display_name", "")) if isinstance(spec, dict) else ""


def _check(settings: dict[str, Any]) -> None:
    """Check the settings together; options have checked each. Raises SettingInvalid."""
    check_names(settings)
    # Empty is allowed: the embedded pool, whatever ACA_MCP_ENDPOINT may say.
    if settings.get(_POOL) and settings.get("endpoint"):
        raise SettingInvalid(
            "A kernel uses an endpoint or a pool in Azure: give --endpoint or --pool, not both."
        )
    if settings.get(_POOL) and not settings.get("resource_group"):
        raise SettingInvalid(
            "A pool in Azure is found by its resource group: give --resource-group with --pool."
        )
    if settings.get("resource_group") and not settings.get(_POOL):
        raise SettingInvalid("Which pool of the resource group? Give --pool with it.")


def _next_steps(
    name: str, display_name: str, settings: dict[str, Any], destination: str
) -> list[str]:
    steps = []
    kernels = os.path.dirname(destination)
    if kernels not in spec_manager().kernel_dirs:
        steps.append(
            "Jupyter does not look there by itself: add "
            f"{os.path.dirname(kernels)} to the environment variable JUPYTER_PATH."
        )
    if settings.get("endpoint"):
        steps.append(
            "Next: set ACA_MCP_API_KEY to the key of the pool where you start Jupyter or "
            f'VS Code, and choose the kernel "{display_name}" there.'
        )
    else:
        if settings.get(_POOL) and not settings.get("subscription"):
            steps.append(
                "No --subscription was given: the kernel uses ACA_SUBSCRIPTION_ID, else the Azure "
                "CLI's current account, of the moment when it starts."
            )
        steps.append(f'Next: choose the kernel "{display_name}" in JupyterLab or VS Code.')
    steps.append(f"Or run a notebook with it: jupyter execute --kernel_name={name} NOTEBOOK")
    return steps
