"""`aca-kernel pool template`: the ARM template of a pool, for deployment by `az`."""

from __future__ import annotations

import argparse
import json
import sys

from ...pool.azure.resource_names import check_location
from ...pool.azure.shapes import deployment_template
from ..configuration import add_cloud
from .common import add_choices, add_pool, choices_of, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool template`."""
    parser.description = (
        "Print an ARM template that creates a session pool for Python with its MCP server on. "
        "Options become defaults of its parameters. Nothing is sent anywhere."
    )
    add_pool(parser, "Named in the command for deploying it (default: $ACA_RESOURCE_GROUP).")
    parser.add_argument("--location", "-l", help="location, e.g. eastus")
    add_choices(parser)
    add_cloud(parser)


def run(namespace: argparse.Namespace) -> int:
    """Print the template; to a terminal, also the command that deploys it."""
    settings = settings_of(namespace)
    name = settings.session_pool
    location = check_location(namespace.location) if namespace.location is not None else None
    template = deployment_template(name or None, location, choices_of(namespace))
    print(json.dumps(template, indent=4))
    if sys.stderr.isatty():
        group = settings.resource_group or "RESOURCE_GROUP"
        missing = [] if name else ["name=POOL"]
        missing += [] if location else ["location=LOCATION"]
        parameters = f" --parameters {' '.join(missing)}" if missing else ""
        print(
            f"Deploy it with: az deployment group create --resource-group {group} "
            f"--template-file FILE{parameters}",
            file=sys.stderr,
        )
    return 0
