"""Which kernel runs a notebook, where its cells run, and how many fit there at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from traitlets import TraitError

from ..app import AcaKernelApp
from ..errors import SettingInvalid
from ..settings import AcaKernel

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec
    from nbformat import NotebookNode

DEFAULT_KERNEL = "aca"

# What runs a kernel of ours: `python -m aca_kernel`.
_MODULE = "aca_kernel"

# Of an endpoint nobody can be asked: the tutorial's maxConcurrentSessions.
_USUAL_POOL_SIZE = 5


class KernelInvalid(SettingInvalid):
    """A kernel of ours cannot be started as its kernelspec says: its notebooks fail, no others."""


@dataclass
class Target:
    """A kernel, with what it is started with.

    settings: of a kernel of ours; None for another one, which runs beside the batch.
    arguments, variables: filled in for a pool that the batch starts; see shared_pool.py.
    """

    name: str
    language: str
    settings: AcaKernel | None
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_embedded(self) -> bool:
        """Whether its cells run in a session pool on this machine that is yet to be started."""
        return self.settings is not None and self.settings.place == "embedded"

    def environment(self) -> dict[str, str]:
        """Return the environment variables of its process."""
        return {**os.environ, **self.variables}

    async def size(self) -> int:
        """Return how many of its kernels are worth running at a time.

        Raises the errors of AzureBackend.connect: the pool cannot be asked.
        """
        if self.settings is None or self.is_embedded:
            return cpu_count()
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

    chosen: what runs all of them; None for each one's own kernel, if that is one of ours.
    """

    def __init__(self, chosen: str | None) -> None:
        self._chosen = chosen
        self._specs = KernelSpecManager()
        self._targets: dict[str, Target] = {}

    def target_of(self, notebook: NotebookNode) -> Target:
        """Return the kernel for a notebook.

        Raises SettingInvalid: there is none. Raises KernelInvalid: there is one for this
        notebook, which cannot be started.
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

        Raises SettingInvalid: there is none that can be read. Raises KernelInvalid: it is one
        of ours, with settings that cannot be.
        """
        if name not in self._targets:
            try:
                spec = self._specs.get_kernel_spec(name)
            except NoSuchKernel as error:
                raise SettingInvalid(_missing(name)) from error
            except (OSError, ValueError, TypeError, TraitError) as error:
                raise SettingInvalid(_unreadable(name)) from error
            try:
                settings = _settings_of(spec)
            except TraitError as error:
                raise KernelInvalid(_unusable(name, error)) from error
            self._targets[name] = Target(name, spec.language, settings)
        return self._targets[name]


def cpu_count() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _missing(name: str) -> str:
    if name == DEFAULT_KERNEL:
        return f"There is no kernel {name!r}: run `aca-kernel install --user`, or give --kernel."
    return f"There is no kernel {name!r}: `jupyter kernelspec list` shows those that there are."


def _unreadable(name: str) -> str:
    return (
        f"The kernelspec {name!r} cannot be read: mend its kernel.json "
        "(`jupyter kernelspec list` shows where it is), or give another with --kernel."
    )


def _unusable(name: str, error: TraitError) -> str:
    return (
        f"The kernel {name!r} cannot be started as its kernelspec says: "
        f"{str(error).rstrip('.')}. Mend its kernel.json "
        "(`jupyter kernelspec list` shows where it is), or give another with --kernel."
    )


def _settings_of(spec: KernelSpec) -> AcaKernel | None:
    """Return the settings that a kernel of ours reads when it is started by its kernelspec."""
    if _MODULE not in spec.argv:
        return None
    arguments = spec.argv[spec.argv.index(_MODULE) + 1 :]
    app = AcaKernelApp()
    app.initialize([one for one in arguments if one not in {"{connection_file}", "-f"}])
    return AcaKernel(parent=app)
