"""A pool with everything that belongs to it, from first process to last file.

Made from what prepare.py has started before; importing this module imports tornado.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

from ..errors import SettingInvalid
from .hosted import HostedPool
from .prepare import abandon, discard
from .sandbox import is_up
from .server import MCP_PATH, PoolServer

if TYPE_CHECKING:
    from .options import PoolOptions
    from .prepare import Prepared

NO_SANDBOX = (
    "Sessions are isolated by process only: bubblewrap is missing or does not work here. "
    "Code in them can read what you can read."
)


def choose_isolation(prepared: Prepared) -> str:
    """Settle how sessions are isolated, by trying it; return a notice or "".

    Raises SettingInvalid: bubblewrap is demanded and does not work.
    """
    launcher, first = prepared.launcher, prepared.first
    if launcher.isolation == "bubblewrap":
        if (first is not None and is_up(first)) or (first is None and launcher.works()):
            return ""
        if prepared.options.isolation == "bubblewrap":
            raise SettingInvalid(
                "Isolation by bubblewrap is demanded, but bwrap does not work here (it may not "
                "make user namespaces). Allow that, or choose --isolation process."
            )
        launcher.isolation = "process"
        if first is not None:
            discard(first)
            prepared.first = launcher.start(prepared.directory.new_session())
    return "" if prepared.options.isolation == "process" else NO_SANDBOX


def open_service(prepared: Prepared) -> Service:
    """Run what was prepared, inside a running event loop.

    Raises SettingInvalid: bubblewrap is demanded and does not work, or the port is not
    free. Nothing is left behind then.
    """
    try:
        notice = choose_isolation(prepared)
        listening = _listen(prepared.options)
    except BaseException:  # Ctrl-C too: processes have been started
        abandon(prepared)
        raise
    return Service(prepared, notice, listening)


def _listen(options: PoolOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server((options.host, options.port), family=family, backlog=128)
    except OSError as error:
        # Python's own text repeats the address.
        is_named = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno or 0) if is_named else error.strerror
        raise SettingInvalid(
            f"The pool cannot listen on {options.host} port {options.port}: {reason}. "
            "Choose another --port (0 takes any free one)."
        ) from error


class Service:
    """A running pool with its HTTP server, and the control plane if it is asked for.

    endpoint: where clients find it. notice: what the user should know, or "".
    environment: the variables with which clients use the control plane; empty without one.
    near: see SandboxLauncher.
    """

    def __init__(self, prepared: Prepared, notice: str, listening: socket.socket) -> None:
        options = prepared.options
        host = f"[{options.host}]" if ":" in options.host else options.host
        origin = f"http://{host}:{listening.getsockname()[1]}"
        self.notice = notice
        self.endpoint = origin + MCP_PATH
        self.environment: dict[str, str] = {}
        self._hosted = HostedPool(prepared)
        self.isolation = self._hosted.isolation
        self.keys = self._hosted.keys
        self.near = prepared.launcher.near
        self._control_plane = None
        if options.control_plane:
            # An embedded pool starts without it, and must not wait for its import.
            from .controlplane.arm_server import ControlPlaneServer

            self._control_plane = ControlPlaneServer(options, self._hosted)
            self.environment = self._control_plane.environment(origin)
        self._server = PoolServer(options, self._hosted, self._control_plane)
        self._server.serve(listening)

    def sweep(self) -> None:
        """Remove, in the background, what killed pools left behind."""
        # A daemon: a long sweep must not hold up the end, and the next pool goes on with it.
        threading.Thread(target=self._hosted.sweep, daemon=True).start()

    async def close(self) -> None:
        """End everything and remove every file."""
        self._server.stop()
        if self._control_plane is not None:
            await self._control_plane.close()
        await self._hosted.close()
