"""Checks of this machine: the kernelspec that Jupyter finds, and the settings."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from urllib.parse import urlsplit

from ... import __version__
from ...batch.kernels import THIS_PYTHON, arguments_of
from ...errors import SettingInvalid
from ...settings import AcaKernel
from ..configuration import DEFAULT, check_names, read
from ..kernelspec import spec_manager
from .checklist import Found, Step
from .report import CheckOutcome, failed, failure

# Python's own start, on a slow disk.
_TIMEOUT_SECONDS = 20.0

# Never shown, only that it is set.
_SECRET = "api_key"  # noqa: S105 - the name of a setting

_PLACES = {
    "endpoint": "cells run in a session pool that is known by its endpoint",
    "azure": "cells run in a session pool in Azure that is known by its name",
    "embedded": "cells run on this machine, in an embedded pool; no Azure account is used",
}


def steps(found: Found) -> list[Step]:
    """Return the first checks, wherever cells run."""
    return [
        # Not needed unless it was asked for: the rest can be checked without.
        Step("kernelspec", _kernelspec, is_needed=found.is_kernel_asked_for),
        Step("settings", _settings),
    ]


def public_address(url: str) -> str:
    """Return a web address without user, password and query, which could be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")


# -- kernelspec ------------------------------------------------------------------------


async def _kernelspec(found: Found) -> CheckOutcome:
    from jupyter_client.kernelspec import NoSuchKernel

    name = found.kernel
    remedy = f"Write it again with `aca-kernel install --user --name {name}`."
    try:
        spec = spec_manager().get_kernel_spec(name)
    except NoSuchKernel:
        return failed(
            f"Jupyter finds no kernel {name}.",
            "`jupyter kernelspec list` shows those that it finds; "
            f"`aca-kernel install --user --name {name}` makes this one.",
        )
    except Exception as error:  # noqa: BLE001 - a broken file raises anything
        detail = f"The kernelspec {name} cannot be read ({type(error).__name__})."
        return failed(detail, remedy)
    arguments = arguments_of(spec)
    if arguments is None:
        return failed(
            f"The kernel {name} is another program's.",
            "Give the name of an aca kernel with --kernel.",
        )
    found.kernel_arguments = arguments
    _apply(found, spec.env)
    python = sys.executable if spec.argv[0] in THIS_PYTHON else spec.argv[0]
    problem = _python_problem(python)
    if problem:
        return failed(f"The kernel {name} cannot be started: {problem}", remedy)
    return CheckOutcome(f"{spec.display_name}, in {spec.resource_dir}")


def _apply(found: Found, variables: dict[str, str]) -> None:
    """Set a kernelspec's environment variables as jupyter_client does, until the end."""
    before = dict(os.environ)
    for name, value in variables.items():
        os.environ[name] = string.Template(value).safe_substitute(before)

    def restore() -> None:
        os.environ.clear()
        os.environ.update(before)

    found.stack.callback(restore)


def _python_problem(python: str) -> str:
    """Return the reason why a Python cannot run this kernel, or an empty text."""
    command = [python, "-c", "import aca_kernel; print(aca_kernel.__version__)"]
    try:
        done = subprocess.run(
            command,
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"its Python {python} does not start."
    if done.returncode:
        return f"its Python {python} has no aca_kernel."
    version = done.stdout.strip()
    if version != __version__:
        return f"its Python {python} has aca_kernel {version}, not {__version__}."
    return ""


# -- settings --------------------------------------------------------------------------


async def _settings(found: Found) -> CheckOutcome:
    configuration = read(found.given, found.kernel_arguments, found.kernel)
    settings = found.settings = configuration.settings
    found.sources = configuration.sources
    lines = [_PLACES[settings.place]]
    for name, source in configuration.sources.items():
        if source != DEFAULT:
            lines.append(f"{name} = {_shown(settings, name)} ({source})")
    lines.append("every other setting has its default")
    detail = "\n".join(lines)
    try:
        _check(settings)
    except SettingInvalid as error:
        wrong = failure(error)
        return failed(f"{wrong.detail}\n{detail}", wrong.remedy)
    warnings = [configuration.problem] if configuration.problem else []
    if configuration.unknown:
        warnings.append(
            f"There are no such settings: {', '.join(configuration.unknown)}. Correct or remove "
            "them."
        )
    if configuration.sources[_SECRET].startswith(("kernelspec", "command line")):
        warnings.append(
            "The key stands in the kernelspec, which others can read: set ACA_MCP_API_KEY instead."
        )
    return CheckOutcome(detail, " ".join(warnings), "warning" if warnings else "ok")


def _shown(settings: AcaKernel, name: str) -> str:
    value = str(getattr(settings, name))
    if name == _SECRET:
        return "set"
    if name == "environment":
        pairs, patterns = settings.environment_words()
        return " ".join([*patterns, *(f"{one}=…" for one in pairs)])
    return public_address(value) if name in ("endpoint", "arm_endpoint") and value else value


def _check(settings: AcaKernel) -> None:
    """Check the settings as the kernel's backend does. Raises SettingInvalid."""
    from ...pool.azure.azure_backend import names_of

    names = {"endpoint": ["endpoint"], "azure": ["arm_endpoint", "subscription"]}
    if settings.place == "azure":
        names_of(settings)
    used = [*names.get(settings.place, []), "allow_plain_http"]
    check_names({name: getattr(settings, name) for name in used})
