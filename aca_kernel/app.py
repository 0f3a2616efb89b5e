"""The application that a front end starts: `python -m aca_kernel -f connection.json`."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import importlib
import json
import logging
import os
import signal
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

from jupyter_core.application import JupyterApp, base_aliases, base_flags
from traitlets import Unicode, default

from . import __version__
from .settings import AcaKernel
from .system import END_SIGNALS, Parent, on_signal, run_loop

if TYPE_CHECKING:
    import subprocess

    from .environment.launch import Launcher
    from .kernel.driver import Driver
    from .kernel.events import Event
    from .pool.backend import Backend

# Between two looks at the front end's process. VS Code kills kernels, and a crashed front end says
# nothing: without a look their environments would stay.
PARENT_POLL_SECONDS = 1.0

# The age of the connection file at a first start. After a restart in this time, only the first
# front end that comes back is told that the kernel starts.
_FRESH_SECONDS = 5.0

# Sections of the configuration for this process. The others are for the remote kernel, e.g. what
# nbclient appends to the command line.
_OWN_SECTIONS = frozenset({"AcaKernel", "AcaKernelApp", "JupyterApp", "Application", "Session"})

# The slowest import after the settings are known.
_AFTER_LAUNCH = "aca_kernel.kernel.driver"

# Options that print or write all settings.
_DESCRIBING = frozenset({"--help", "--help-all", "-h", "--generate-config"})


class AcaKernelApp(JupyterApp):
    """Run a kernel whose cells run in an Azure Container Apps session environment."""

    name = "aca-kernel"
    version = __version__
    config_file_name = "aca_kernel_config"
    classes = [AcaKernel]  # noqa: RUF012 - as traitlets has it
    flags = base_flags
    aliases = {  # noqa: RUF012 - as traitlets has it
        **base_aliases,
        "f": "AcaKernelApp.connection_file",
        "kernelspec": "AcaKernelApp.kernelspec",
        "endpoint": "AcaKernel.endpoint",
        "subscription": "AcaKernel.subscription",
        "resource-group": "AcaKernel.resource_group",
        "pool": "AcaKernel.session_pool",
        "cooldown-seconds": "AcaKernel.cooldown_seconds",
        "start": "AcaKernel.start",
        "egress": "AcaKernel.egress",
        "isolation": "AcaKernel.isolation",
    }

    # An embedded pool that waits for its settings.
    pool_process: subprocess.Popen[bytes] | None = None

    connection_file = Unicode(
        "", help="JSON file with the sockets to bind and the key to sign with."
    ).tag(config=True)

    kernelspec = Unicode(
        "",
        help="""Folder of the kernelspec that this kernel is started by: the variables of its `env`
        are passed on. Front ends put it for `{resource_dir}`.""",
    ).tag(config=True)

    # What the front end appended that is not ours: ipykernel's own, which reads it over there.
    _remote_arguments: tuple[str, ...] = ()

    def parse_command_line(self, argv: list[str] | None = None) -> None:
        """Take our options from the command line; the others are for the remote kernel."""
        own = {*self.flags, *self.aliases, "h", "help", "help-all"}
        ours, theirs = _split(sys.argv[1:] if argv is None else argv, own)
        self._remote_arguments = tuple(theirs)
        if _DESCRIBING.intersection(ours):
            # It reads its settings without being named here, and its import would delay the pool.
            from jupyter_client.session import Session

            self.classes = [*self.classes, Session]
        super().parse_command_line(ours)

    @default("log_level")
    def _default_log_level(self) -> int:
        # The front end shows the log to its user.
        return logging.WARNING

    def start(self) -> None:
        """Serve until a front end says shutdown, the parent ends or SIGTERM comes."""
        super().start()
        settings = AcaKernel(parent=self)
        pool = self.pool_process
        if pool is not None:
            # Before the large imports: the pool takes the longest of a start.
            from .pool.embedded_process import configure, stop

            if settings.place != "embedded":
                stop(pool)
                pool = None
            else:
                configure(pool, settings, data_path=_data_path(settings))
        run_loop(self._serve(settings, pool, self._connection_info()))

    async def _serve(
        self, settings: AcaKernel, pool: subprocess.Popen[bytes] | None, info: dict[str, Any]
    ) -> None:
        from .environment.variables import variables_to_pass
        from .packages import notebook_block

        log = _logger(self.log)
        key = str(info.get("key", "")).encode("ascii")
        identity = self.identity()
        config = self.remote_config(
            settings,
            identity,
            # The same before and after a restart, which keeps the connection file.
            kernel_id=self._kernel_id(key),
            notebook=os.environ.get("JPY_SESSION_NAME", ""),
            variables=variables_to_pass(settings, self.kernelspec),
            packages=notebook_block.told(os.environ),
        )
        backend = backend_of(settings, pool)
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        launcher = begin_launching(backend, settings, config, inbox, log)
        # The environment comes up while this process imports what speaks to front ends.
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, importlib.import_module, _AFTER_LAUNCH)
        from jupyter_client.session import Session

        from .kernel.driver import Driver
        from .messaging.channels import Channels

        session = Session(parent=self, key=key, **identity)
        if info.get("signature_scheme"):
            session.signature_scheme = info["signature_scheme"]
        channels = Channels(info, session, log, is_restart=self._is_restart())
        self._write_connection_file(info, channels.bind())
        file = self.connection_file
        kernel = Driver(channels, backend, settings, launcher, inbox, log, connection_file=file)
        loop = asyncio.get_running_loop()
        on_signal(loop, END_SIGNALS[0], kernel.stop)
        on_signal(loop, signal.SIGINT, kernel.interrupt)
        watch = asyncio.ensure_future(_watch_parent(kernel))
        # See __main__.py: no collection looks at what there is by now.
        gc.freeze()
        gc.enable()
        try:
            await kernel.serve()
        finally:
            watch.cancel()
            await backend.close()

    def remote_config(
        self,
        settings: AcaKernel,
        identity: dict[str, str],
        *,
        kernel_id: str,
        notebook: str,
        variables: dict[str, str],
        packages: dict[str, Any],
        folder: str | None = None,
    ) -> dict[str, Any]:
        """Return what remote kernels are told, and what tells this kernel from others.

        notebook: as Jupyter Server names it, "" if it does not. packages: what notebook_block.told
        returns. folder: the notebook's; None: the working directory.
        """
        from .checkpoint.hash_seed import hash_seed

        traits, refused = self._remote_traits()
        return {
            **identity,
            "kernel_id": kernel_id,
            "session_name": notebook,
            "hash_seed": hash_seed(kernel_id, notebook),
            "traits": traits,
            "arguments": list(self._remote_arguments),
            "refused": refused,
            "variables": variables,
            "files": settings.files_mode,
            "files_back": settings.files_back,
            "files_root": _files_root(settings, folder),
            "packages": {**settings.packages_config(), **packages},
        }

    def _kernel_id(self, key: bytes) -> str:
        """Return a name of this kernel that survives restarts.

        It is made of the key, or of the connection file's path where nothing is signed.
        """
        told_by = key or b"file:" + os.fsencode(os.path.abspath(self.connection_file))
        return hashlib.sha256(told_by).hexdigest()[:24]

    def identity(self) -> dict[str, str]:
        """Return session and user name of all messages of this kernel and its remote kernels."""
        section = self.config.get("Session", {})
        user = os.environ.get("USER") or os.environ.get("USERNAME")
        return {
            "session": str(section.get("session") or uuid.uuid4()),
            "username": str(section.get("username") or user or "username"),
        }

    def _connection_info(self) -> dict[str, Any]:
        try:
            with open(self.connection_file, encoding="utf-8") as file:
                info = json.load(file)
        except FileNotFoundError:  # or there is no name
            return {"key": os.urandom(24).hex(), "transport": "tcp", "ip": "127.0.0.1"}
        except (OSError, ValueError) as error:
            self.log.critical(
                "The connection file cannot be read (%s). Start the kernel from a front end, "
                "or leave out -f to have one made.",
                error,
            )
            self.exit(1)
        return info if isinstance(info, dict) else {}

    def _is_restart(self) -> bool:
        """Tell whether there was a kernel before this one: the file is written for the first."""
        try:
            return time.time() - os.stat(self.connection_file).st_mtime > _FRESH_SECONDS
        except OSError:  # there is none
            return False

    def _write_connection_file(self, info: dict[str, Any], ports: dict[str, int]) -> None:
        if self.connection_file and all(info.get(name) == port for name, port in ports.items()):
            return
        if not self.connection_file:
            os.makedirs(self.runtime_dir, mode=0o700, exist_ok=True)
            self.connection_file = os.path.join(self.runtime_dir, f"kernel-{os.getpid()}.json")
        from jupyter_core.paths import secure_write

        written = {"signature_scheme": "hmac-sha256", **info, **ports, "kernel_name": "aca"}
        with secure_write(self.connection_file) as file:
            json.dump(written, file, indent=2)
        # For a person who started the kernel by hand.
        sys.stdout.write(f"To connect: --existing {os.path.basename(self.connection_file)}\n")

    def _remote_traits(self) -> tuple[dict[str, Any], list[str]]:
        """Return what configuration files say to ipykernel, and the names of what cannot travel."""
        traits: dict[str, Any] = {}
        refused: list[str] = []
        for section, values in self.config.items():
            if section in _OWN_SECTIONS or not isinstance(values, dict):
                continue
            for name, value in values.items():
                try:
                    traits.setdefault(section, {})[name] = json.loads(json.dumps(value))
                except (TypeError, ValueError):  # no value, such as `c.X.y.append(1)`, or an object
                    refused.append(f"{section}.{name}")
        return traits, refused


def _files_root(settings: AcaKernel, folder: str | None = None) -> dict[str, Any]:
    """Return what environments are told of the folder whose files are sent."""
    from .host.notebook_files.files_root import files_root

    config = files_root(settings.files_root_used, folder).config()
    # The embedded pool shows its path by itself.
    return {**config, "may_link": settings.place != "embedded"}


def _data_path(settings: AcaKernel) -> str:
    """Return the path of the folder whose files are sent, where any are."""
    return "" if settings.files_mode == "off" else str(_files_root(settings)["local"])


def backend_of(settings: AcaKernel, pool: subprocess.Popen[bytes] | None = None) -> Backend:
    """Return the session pool of the settings. pool: an embedded one that waits for its own."""
    if settings.place == "endpoint":
        from .pool.backend import EndpointBackend

        return EndpointBackend(settings)
    if settings.place == "azure":
        from .pool.azure.azure_backend import AzureBackend

        return AzureBackend(settings)
    from .pool.embedded_backend import EmbeddedBackend

    return EmbeddedBackend(settings, pool, data_path=_data_path(settings))


def begin_launching(
    backend: Backend,
    settings: AcaKernel,
    config: dict[str, Any],
    inbox: asyncio.Queue[Event],
    log: logging.Logger,
) -> Launcher:
    """Begin what a kernel does before anybody asks; needs a running event loop."""
    from .environment.launch import Launcher

    launcher = Launcher(backend, settings, config, inbox, log)
    if settings.start == "kernel" or (settings.start == "auto" and backend.is_embedded):
        launcher.begin()
    else:
        launcher.prepare()
    return launcher


async def _watch_parent(kernel: Driver) -> None:
    parent = Parent()
    # There is no event of a parent's end.
    while not parent.has_ended():  # noqa: ASYNC110
        await asyncio.sleep(PARENT_POLL_SECONDS)
    kernel.stop()


def _split(argv: list[str], own: set[str]) -> tuple[list[str], list[str]]:
    """Tell our flags, aliases and traits from ipykernel's; values may follow them."""
    ours: list[str] = []
    theirs: list[str] = []
    target = ours
    for argument in argv:
        # A number is a value.
        if argument.startswith("-") and not argument[1:2].isdigit():
            name = argument.lstrip("-").partition("=")[0]
            section, _, trait = name.partition(".")
            is_short = not argument.startswith("--") and argument[1:2] in own
            is_own = is_short or name in own or (trait and section in _OWN_SECTIONS)
            target = ours if is_own else theirs
        target.append(argument)
    return ours, theirs


def _logger(log: Any) -> logging.Logger:
    if isinstance(log, logging.LoggerAdapter):
        log = log.logger
    # httpx logs addresses at INFO.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not isinstance(log, logging.Logger):
        return logging.getLogger(__name__)
    # traitlets leaves it to the handlers, after each record has been made.
    log.setLevel(min((one.level for one in log.handlers), default=log.level))
    return log


def main(pool_process: subprocess.Popen[bytes] | None = None) -> None:
    """Start the kernel as the command line says.

    pool_process: see pool/embedded_process.py.
    """
    AcaKernelApp.pool_process = pool_process
    AcaKernelApp.launch_instance()
