"""Settings and connections that kernels in this process take over from one another.

A lease is one kernel's alone, so that whatever it does to its connections concerns no other. The
next kernel gets them open: a batch has as many as notebooks run at a time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Template

from traitlets import TraitError

from ..app import AcaKernelApp, backend_of
from ..environment.variables import variables_to_pass
from ..pool.backend import Backend
from ..settings import AcaKernel


@dataclass(frozen=True)
class Lease:
    """What one kernel has for as long as it runs."""

    settings: AcaKernel
    backend: Backend


class Leases:
    """The leases of the kernels of one kernelspec.

    arguments: of its kernels' command lines. resource_dir: the kernelspec's folder. variables: set
    for its kernels beside this process's own.
    environ: the variables that such a process would have.
    """

    def __init__(
        self, arguments: Sequence[str], resource_dir: str, variables: Mapping[str, str]
    ) -> None:
        self._arguments = [one.replace("{resource_dir}", resource_dir) for one in arguments]
        self.environ = dict(os.environ)
        for name, value in variables.items():
            # As jupyter_client does.
            self.environ[name] = Template(value).safe_substitute(self.environ)
        self._free: list[Lease] = []
        self._all: list[Lease] = []

    @cached_property
    def app(self) -> AcaKernelApp:
        """The application that a kernel's process would have; it is never started.

        Raises RuntimeError, as jupyter_client does: none could start.
        """
        app = AcaKernelApp()
        try:
            app.initialize(self._arguments)
        except SystemExit as ended:  # what traitlets makes of invalid arguments
            raise RuntimeError("The kernel's configuration cannot be read.") from ended
        return app

    def take(self) -> Lease:
        """Return a lease. Raises RuntimeError: no kernel could start with these settings."""
        if self._free:
            return self._free.pop()
        try:
            settings = AcaKernel(parent=self.app)
            settings.environ = self.environ
            lease = Lease(settings, backend_of(settings))
        except TraitError as error:
            raise RuntimeError(f"The kernel's settings are invalid: {error}") from error
        self._all.append(lease)
        return lease

    def give_back(self, lease: Lease) -> None:
        """Let the next kernel have it."""
        self._free.append(lease)

    def variables_for(self, lease: Lease, folder: str) -> dict[str, str]:
        """Return the environment variables for the remote kernels of a notebook's folder."""
        return variables_to_pass(lease.settings, self.app.kernelspec, self.environ, folder)

    async def close(self) -> None:
        """Close all connections."""
        for lease in self._all:
            await lease.backend.close()
