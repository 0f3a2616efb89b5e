"""Kernels of notebooks: their kernelspecs, settings and pool sizes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from traitlets import TraitError

from ..app import AcaKernelApp
from ..errors import SettingInvalid
from ..settings import AcaKernel

if TYPE_CHECKING:
    # `aca-kernel doctor` asks for a kernelspec only.
    from nbformat import NotebookNode

    from .leases import Leases

DEFAULT_KERNEL = "aca"

# Of `python -m aca_kernel`.
_MODULE = "aca_kernel"

# What jupyter_client replaces by its own Python.
THIS_PYTHON = (
    "python",
    f"python{sys.version_info.major}",
    f"python{sys.version_info.major}.{sys.version_info.minor}",
)

# The tutorial's maxConcurrentSessions: an endpoint does not tell its own.
_USUAL_POOL_SIZE = 5


class KernelInvalid(SettingInvalid):
    """The kernelspec of an aca kernel has invalid settings: only its notebooks fail."""


@dataclass
class Target:
    """A kernel, and its start.

    settings: of an aca kernel; None for another one.
    arguments, variables: of a pool that the batch starts; see shared_pool.py.
    spec: an aca kernel's that may run in this process; None: it gets one of its own.
    """

    name: str
    language: str
    settings: AcaKernel | None
    spec: KernelSpec | None = None
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    _leases: Leases | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether its cells run in an embedded pool."""
        return self.settings is not None and self.settings.place == "embedded"

    def manager_maker(self, folder: str) -> Callable[[], Any] | None:
        """Return what makes the managers of kernels in this process; None: it cannot be there.

        folder: the notebook's.
        """
        if self.spec is None or (self.is_embedded and not self.arguments):
            return None
        from .in_process import InProcessManager

        if self._leases is None:
            from .leases import Leases

            arguments = [*(arguments_of(self.spec) or ()), *self.arguments]
            variables = {**self.variables, **self.spec.env}
            self._leases = Leases(arguments, self.spec.resource_dir, variables)
        return partial(InProcessManager, self._leases, folder)

    async def close(self) -> None:
        """Close what kernels in this process have left open."""
        if self._leases is not None:
            await self._leases.close()

    async def size(self) -> int:
        """Return the number of its kernels that are worth running at a time.

        Raises the errors of AzureBackend.connect: the pool cannot be asked.
        """
        if self.settings is None or self.is_embedded:
            # The processors that this process may use.
            if hasattr(os, "sched_getaffinity"):
                return len(os.sched_getaffinity(0))
            return os.cpu_count() or 1
        if self.settings.place == "endpoint":
            return _USUAL_POOL_SIZE
        from ..pool.azure.azure_backend import AzureBackend

        backend = AzureBackend(self.settings)
        try:
            return await backend.max_sessions() or _USUAL_POOL_SIZE
        finally:
            await backend.close()


class Kernels:
    """Finds the kernel of each notebook.

    chosen: the kernel of all; None for each one's own, if that is an aca kernel.
    in_process: whether aca kernels run in this process.
    """

    def __init__(self, chosen: str | None, *, in_process: bool = True) -> None:
        self._chosen = chosen
        self._in_process = in_process
        self._specs = KernelSpecManager()
        self._targets: dict[str, Target] = {}

    def target_of(self, notebook: NotebookNode) -> Target:
        """Return the kernel for a notebook.

        Raises SettingInvalid: there is none. Raises KernelInvalid: its settings are invalid.
        """
        if self._chosen is not None:
            try:
                return self.target(self._chosen)
            except KernelInvalid as error:  # of every notebook
                raise SettingInvalid(error.message) from error
        spec = notebook.metadata.get("kernelspec")
        own = spec.get("name") if isinstance(spec, Mapping) else None
        if isinstance(own, str) and own != DEFAULT_KERNEL:
            try:
                target = self.target(own)
            except KernelInvalid:
                raise
            except SettingInvalid:
                return self.target(DEFAULT_KERNEL)
            if target.settings is not None:
                return target
        return self.target(DEFAULT_KERNEL)

    def target(self, name: str) -> Target:
        """Return the kernel of this name.

        Raises SettingInvalid: it does not exist or cannot be read. Raises KernelInvalid: it is
        an aca kernel with invalid settings.
        """
        if name not in self._targets:
            try:
                spec = self._specs.get_kernel_spec(name)
            except NoSuchKernel as error:
                raise SettingInvalid(_missing(name)) from error
            except (OSError, ValueError, TypeError, TraitError) as error:
                raise SettingInvalid(
                    f"The kernelspec {name!r} cannot be read: mend its kernel.json "
                    "(`jupyter kernelspec list` shows where it is), or give another with --kernel."
                ) from error
            try:
                settings = _settings_of(spec)
            except TraitError as error:
                raise KernelInvalid(
                    f"The kernel {name!r} cannot be started as its kernelspec says: "
                    f"{str(error).rstrip('.')}. Mend its kernel.json "
                    "(`jupyter kernelspec list` shows where it is), or give another with --kernel."
                ) from error
            runs_here = self._in_process and settings is not None and _is_ours(spec)
            self._targets[name] = Target(name, spec.language, settings, spec if runs_here else None)
        return self._targets[name]


def _missing(name: str) -> str:
    if name == DEFAULT_KERNEL:
        return f"There is no kernel {name!r}: run `aca-kernel install --user`, or give --kernel."
    return f"There is no kernel {name!r}: `jupyter kernelspec list` shows those that there are."


def arguments_of(spec: KernelSpec) -> list[str] | None:
    """Return the arguments of an aca kernel but for its connection file; None: another kernel."""
    if _MODULE not in spec.argv:
        return None
    arguments = spec.argv[spec.argv.index(_MODULE) + 1 :]
    return [one for one in arguments if one not in {"{connection_file}", "-f"}]


def _is_ours(spec: KernelSpec) -> bool:
    """Tell whether a kernelspec starts this package with this Python, and in the usual way."""
    python = spec.argv[0]
    # A virtual environment's Python is a link to another one's.
    folders = {os.path.realpath(os.path.dirname(one)) for one in (python, sys.executable)}
    is_this = python in THIS_PYTHON or (os.path.isabs(python) and len(folders) == 1)
    has_provisioner = bool((spec.metadata or {}).get("kernel_provisioner"))
    return is_this and spec.argv[1:3] == ["-m", _MODULE] and not has_provisioner


def _settings_of(spec: KernelSpec) -> AcaKernel | None:
    arguments = arguments_of(spec)
    if arguments is None:
        return None
    app = AcaKernelApp()
    app.initialize(arguments)
    return AcaKernel(parent=app)
