"""ipykernel's own arguments and settings: those that it takes here, and the names of the others.

ipykernel ends at the first that is wrong. A kernel whose argument is misspelled should start.
Needs ipykernel; oldest supported 6.29.
"""

from __future__ import annotations

import re
from typing import Any

from traitlets import TraitError
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfig

# Names that begin an option; `-1` is a value.
_OPTION = re.compile(r"--?[^-\d.]")

# The agent has chosen these: with others it would not find the remote kernel, or not understand it.
_OF_THE_AGENT = re.compile(
    r"(ConnectionFileMixin|IPKernelApp)"
    r"\.(transport|ip|\w+_port|connection_\w+|parent_handle|interrupt)|Session\..*"
)


def split_applicable(
    app_class: Any, settings: Config, arguments: list[str]
) -> tuple[list[str], list[str]]:
    """Return the arguments that can be applied, and the names of those that cannot.

    settings: of configuration files. Those that cannot be applied are removed, and named, too.
    """
    refused = _remove_inapplicable(settings)
    if not arguments or _is_applicable(app_class, arguments):
        return arguments, refused
    accepted: list[str] = []
    for group in _groups(arguments):
        if _is_applicable(app_class, group):
            accepted += group
        else:
            refused.append(name_of(group[0]))
    return accepted, refused


def name_of(argument: str) -> str:
    """Return an argument without its value, which may be a secret or code."""
    if argument.startswith("--"):
        return argument.partition("=")[0]
    return argument[:2] if argument.startswith("-") else "…"


def names_of(settings: Config, arguments: list[str]) -> list[str]:
    """Return the names of all settings and arguments."""
    names = [f"{section}.{name}" for section in settings for name in settings[section]]
    return names + [name_of(group[0]) for group in _groups(arguments)]


def _groups(arguments: list[str]) -> list[list[str]]:
    """Return each option with the values that follow it."""
    groups: list[list[str]] = []
    for argument in arguments:
        if _OPTION.match(argument) or not groups:
            groups.append([])
        groups[-1].append(argument)
    return groups


def _is_applicable(app_class: Any, arguments: list[str]) -> bool:
    app = app_class()
    try:
        app.parse_command_line(arguments)
    except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, it would end the kernel
        return False
    # What is left over, ipykernel ignores with a line in its log.
    return not app.extra_args and not _remove_inapplicable(app.config, is_command_line=True)


def _remove_inapplicable(settings: Config, *, is_command_line: bool = False) -> list[str]:
    """Remove what cannot be applied; return the names, such as `Kernel.stop_on_error_timeout`."""
    refused = []
    for section, values in list(settings.items()):
        if not isinstance(values, Config):
            # An alias that ipykernel does not know.
            if is_command_line:
                refused.append(section)
            continue
        for name, value in list(values.items()):
            full_name = f"{section}.{name}"
            if _OF_THE_AGENT.fullmatch(full_name) or not _is_taken(section, name, value):
                del values[name]
                refused.append(full_name)
    return refused


def _is_taken(section: str, name: str, value: Any) -> bool:
    """Tell whether a class of this name takes the value; of a class that is not loaded, believe it.

    Extensions bring classes later.
    """
    if isinstance(value, Config):
        return True
    everything = _subclasses(Configurable)
    classes = [one for one in everything if section in {base.__name__ for base in one.__mro__}]
    takers = [one for one in classes if name in one.class_trait_names(config=True)]
    return bool(takers or not classes) and all(_takes(one, name, value) for one in takers)


def _takes(taker: Any, name: str, value: Any) -> bool:
    trait = taker.class_traits()[name]
    # Without `__init__`: nothing is set up.
    probe = taker.__new__(taker)
    try:
        if isinstance(value, DeferredConfig):
            value = value.get_value(trait)
        with probe.cross_validation_lock:
            trait._validate(probe, value)  # noqa: SLF001 - the public way is to set it
    except (TraitError, ValueError, TypeError):
        return False
    except Exception:  # noqa: BLE001 - it needs more than a probe: ipykernel will see
        return True
    return True


def _subclasses(parent: type[Any]) -> set[type[Any]]:
    found = {parent}
    for child in parent.__subclasses__():
        found |= _subclasses(child)
    return found
