"""Kernelspecs: the content of one, and its installation with its logos."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AcaKernelError

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

DEFAULT_NAME = "aca"


class NotWritable(AcaKernelError):
    """The place that the kernelspec should go to cannot be written."""


def make_spec(name: str, display_name: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the content of kernel.json: the shipped one, bound to this Python.

    settings: trait names and values; they become arguments of the kernel.
    """
    spec: dict[str, Any] = json.loads((shipped("kernelspec") / "kernel.json").read_text("utf-8"))
    if display_name is not None:
        spec["display_name"] = display_name
    elif name != DEFAULT_NAME:
        spec["display_name"] = f"{spec['display_name'].removesuffix(')')}, {name})"
    # Absolute: a bare `python` means the front end's own in JupyterLab and hides the kernel in
    # VS Code. With its symlinks: a virtual environment's python is one.
    python = os.path.abspath(sys.executable)
    arguments = [f"--AcaKernel.{key}={value}" for key, value in settings.items()]
    spec["argv"] = [python, *spec["argv"][1:], *arguments]
    # VS Code finds the environment's variables and packages by this path.
    spec["metadata"]["interpreter"] = {"path": python}
    return spec


def shipped(name: str) -> Path:
    """Return a folder that belongs to this package: kernelspec, docs.

    It lies in the package when that is installed from a wheel, and beside it in a
    checkout, from where an editable install takes it.
    """
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def install_spec(spec: dict[str, Any], name: str, *, user: bool, prefix: str | None) -> str:
    """Copy a kernelspec with its logos to where Jupyter looks; return that place.

    Raises NotWritable.
    """
    manager = spec_manager()
    with tempfile.TemporaryDirectory() as scratch:
        # A folder of its own: the scratch folder is private, a kernelspec must not be.
        folder = Path(scratch, name)
        folder.mkdir()
        for item in shipped("kernelspec").iterdir():
            if item.name.startswith("logo-"):
                shutil.copyfile(item, folder / item.name)
        text = json.dumps(spec, indent=1, ensure_ascii=False) + "\n"
        (folder / "kernel.json").write_text(text, encoding="utf-8")
        place = os.path.abspath(prefix) if prefix else None
        try:
            return str(manager.install_kernel_spec(str(folder), name, user=user, prefix=place))
        except (OSError, shutil.Error) as error:
            where = place or ("your Jupyter folder" if user else "the system-wide Jupyter folder")
            raise NotWritable(
                f"The kernelspec cannot be written to {where} "
                f"({getattr(error, 'strerror', None) or 'copying failed'}): "
                "choose another place with --user, --sys-prefix or --prefix.",
                detail=str(error),
            ) from error


def spec_manager() -> KernelSpecManager:
    """Return Jupyter's own finder of kernelspecs."""
    from jupyter_client.kernelspec import KernelSpecManager

    return KernelSpecManager()
