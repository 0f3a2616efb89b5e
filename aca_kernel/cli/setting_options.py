"""Command-line options for settings of the kernel, made of their traits."""

from __future__ import annotations

import argparse
from typing import Any

from traitlets import Bool, Enum, Float, Integer, TraitError, TraitType

from ..settings import AcaKernel


def add_setting(
    parser: argparse._ActionsContainer, name: str, *aliases: str, text: str = ""
) -> None:
    """Add the option of a setting; its value in the namespace is None if it is not given.

    text: instead of the trait's help.
    """
    trait: TraitType[Any, Any] = AcaKernel.class_own_traits(config=True)[name]
    options = [*aliases, "--" + name.replace("_", "-")]
    text = plain(text or " ".join(trait.help.split()))
    if "default" not in text.lower():
        text += f" Default: {plain(str(trait.default_value))}."
    if isinstance(trait, Bool):
        action = argparse.BooleanOptionalAction
        parser.add_argument(*options, dest=name, action=action, default=None, help=text)
        return
    metavar = name.rsplit("_", 1)[-1].upper()
    if isinstance(trait, Enum):
        metavar = "{" + ",".join(trait.values or []) + "}"

    def parse(given: str) -> Any:
        try:
            value = trait.from_string(given)
            AcaKernel(**{name: value})
        except (TraitError, ValueError):
            raise argparse.ArgumentTypeError(f"{given!r} is not {_wanted(trait)}") from None
        return value

    parser.add_argument(*options, dest=name, type=parse, metavar=metavar, help=text)


def named(given: str) -> str:
    """Refuse an empty name of a file or folder: a variable that is not set, most likely."""
    if not given:
        raise argparse.ArgumentTypeError("the name is empty: is a variable not set?")
    return given


def _wanted(trait: TraitType[Any, Any]) -> str:
    """Return the values of a trait, for the end of a sentence."""
    if isinstance(trait, Enum):
        return "one of " + ", ".join(map(str, trait.values or []))
    if isinstance(trait, (Integer, Float)):
        kind = "a whole number" if isinstance(trait, Integer) else "a number"
        return kind if trait.min is None else f"{kind} of {trait.min:g} or more"
    return trait.info()


def plain(text: str) -> str:
    """Protect a text from argparse, which formats its help texts with `%`."""
    return text.replace("%", "%%")
