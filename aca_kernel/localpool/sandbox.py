"""Starts the process tree of one session, and says what it may see and use.

With bubblewrap: own user, mount, pid, ipc, uts and (egress off) network namespaces,
a fresh root with the system and the Python environment read-only, and four writable
places, all inside the session's directory. Without it ("process"): an ordinary
process tree with the same variables, limits and working directory.

Nothing here needs an event loop, so that a pool can start its first session before
it has imported one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import SettingInvalid
from . import bubblewrap, cgroup, network, python_environment
from .lane import Lane, open_lane

if TYPE_CHECKING:
    from .options import PoolOptions

UsedIsolation = Literal["bubblewrap", "process"]

# inside/ is shown to sandboxes as a package of this name, in a directory of its own.
_PACKAGE = "session_programs"
_PROGRAMS = "/opt/session"

# The same of the folder for files of the pool's owner.
_NEAR = "/run/aca-near"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAUNCH = (
    "import sys; sys.path[0] = sys.argv.pop(1); "
    "from {package}.{module} import main; del sys.path[0]; main()"
)
# The last one is how the C library allocates, which the supervisor takes out again.
_PASSED_VARIABLES = ("LANG", "LANGUAGE", "TZ", "GLIBC_TUNABLES")
# Moves itself into the control groups, so that everything after is born there.
_ENTER_GROUPS = (
    'while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done 2>/dev/null; shift; exec "$@"'
)
_PROBE_SECONDS = 20
GROUPS = "groups"  # the file beside a session's directories that names its control groups
_LEAVE_SECONDS = 1.0  # before a supervisor that should have left is killed


@dataclass
class Sandbox:
    """A started process tree, the socket to its supervisor and the lane to its interpreter."""

    isolation: UsedIsolation
    directory: str
    process: subprocess.Popen[bytes]
    control: socket.socket
    group: cgroup.ControlGroup
    lane: Lane


class SandboxLauncher:
    """Starts sandboxes for one pool; what is the same for all is worked out once.

    short: a path to the pool's directory that is short enough for sockets.

    Raises SettingInvalid: bubblewrap is demanded and there is none.
    """

    def __init__(self, options: PoolOptions, pool_directory: str, short: str) -> None:
        self._options = options
        self._pool_directory = pool_directory
        self._short = short
        self._etc = os.path.join(pool_directory, "etc")
        self._environment = python_environment.find()
        self._network = (
            network.collect(dict(os.environ))
            if options.egress == "enabled"
            else network.NetworkSettings()
        )
        self._bwrap = shutil.which("bwrap") or ""
        if options.isolation == "bubblewrap" and not self._bwrap:
            raise SettingInvalid(
                "Isolation by bubblewrap is demanded, but there is no bwrap program. "
                "Install bubblewrap, or choose --isolation process."
            )
        self.isolation: UsedIsolation = "bubblewrap" if self._bwrap else "process"
        if options.isolation == "process":
            self.isolation = "process"
        self._data_path = options.data_path
        bubblewrap.write_etc(self._etc, has_network=options.egress == "enabled")
        self._inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside")
        self._near = os.path.join(pool_directory, "near") if options.near_files else ""
        if self._near:
            os.mkdir(self._near, 0o700)
        programs = os.path.join(pool_directory, "programs")
        os.mkdir(programs)
        os.symlink(self._inside, os.path.join(programs, _PACKAGE))

    @property
    def near(self) -> tuple[str, str, str] | None:
        """The folder for files of the pool's owner, here and in a session; None: there is none.

        The third is where the sessions' own folders are.
        """
        if not self._near:
            return None
        inside = _NEAR if self._is_sandboxed else self._near
        return self._near, inside, self._pool_directory

    def start(self, directory: str) -> Sandbox:
        """Make a session's directory and start its processes; takes milliseconds.

        Raises OSError: no process or no file could be made.
        """
        _make_session_directory(directory)
        home = os.path.join(directory, "home")
        python_environment.make_thin_environment(
            self._environment,
            home,
            bubblewrap.HOME if self._is_sandboxed else home,
            hide_ipykernel=self._options.quirks.no_ipykernel,
        )
        name = "aca-" + "-".join(directory.split(os.sep)[-2:])
        group = cgroup.create(name, self._options.memory_bytes, self._options.max_processes)
        group.record(os.path.join(directory, GROUPS))
        ours, theirs = socket.socketpair()
        lane = None
        try:
            lane = open_lane(ours, self._options.max_output_bytes)
            config = json.dumps(self._config(directory, theirs.fileno()))
            argv = [*self._program(directory, "supervisor"), config]
            if self._is_sandboxed:
                argv = self._bubblewrap_argv(directory) + argv
            if group.directories:
                argv = ["/bin/sh", "-c", _ENTER_GROUPS, "sh", *group.directories, "--", *argv]
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._variables(directory),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=os.path.join(directory, "data"),
            )
        except BaseException:  # whatever it is, nothing is left behind
            ours.close()
            if lane is not None:
                lane.close()
            group.remove()
            shutil.rmtree(directory, ignore_errors=True)
            raise
        finally:
            theirs.close()
        return Sandbox(self.isolation, directory, process, ours, group, lane)

    def works(self) -> bool:
        """Try bubblewrap once, with the options that sessions will get."""
        if not self._is_sandboxed or self._can_start():
            return True
        # Without what is only a convenience.
        is_tried, self._data_path = bool(self._data_path), ""
        return is_tried and self._can_start()

    def _can_start(self) -> bool:
        directory = os.path.join(self._pool_directory, "probe")
        _make_session_directory(directory)
        try:
            argv = [*self._bubblewrap_argv(directory), "true"]
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                env=self._variables(directory),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return done.returncode == 0

    @property
    def _is_sandboxed(self) -> bool:
        return self.isolation == "bubblewrap"

    def _home(self, directory: str) -> str:
        return bubblewrap.HOME if self._is_sandboxed else os.path.join(directory, "home")

    def _config(self, directory: str, control_fd: int) -> dict[str, Any]:
        data = bubblewrap.DATA if self._is_sandboxed else os.path.join(directory, "data")
        config: dict[str, Any] = {
            "control_fd": control_fd,
            "isolation": self.isolation,
            "directory": data,
            "memory_bytes": self._options.memory_bytes,
            "max_processes": self._process_limit(),
            "output_limit_bytes": self._output_limit(),
        }
        if self._options.interpreter == "ipykernel":
            config["interpreter_argv"] = self._program(directory, "kernel_bridge")
        return config

    def _output_limit(self) -> int:
        """Return how much of a command's output the supervisor may hold, within its memory."""
        limit, memory = self._options.max_output_bytes, self._options.memory_bytes
        return min(limit, memory // 8) if memory else limit

    def _process_limit(self) -> int:
        """Return the RLIMIT_NPROC to set, or 0.

        Linux counts it per user namespace since 5.14; before, and without a namespace,
        per user of this machine, where what the user already runs would spend it.
        """
        release = os.uname().release.split(".")
        is_per_namespace = tuple(int(part) for part in release[:2] if part.isdigit()) >= (5, 14)
        return self._options.max_processes if self._is_sandboxed and is_per_namespace else 0

    def _program(self, directory: str, module: str) -> list[str]:
        own = os.path.join(self._pool_directory, "programs")
        programs = _PROGRAMS if self._is_sandboxed else own
        python = os.path.join(self._home(directory), python_environment.NAME, "bin", "python")
        return [python, "-c", _LAUNCH.format(package=_PACKAGE, module=module), programs]

    def _bubblewrap_argv(self, directory: str) -> list[str]:
        return bubblewrap.arguments(
            self._bwrap,
            session=directory,
            own_etc=self._etc,
            visible=[*self._environment.visible, *self._network.visible],
            mounted=self._mounted(),
            has_network=self._options.egress == "enabled",
            data_path=self._data_path,
        )

    def _mounted(self) -> dict[str, str]:
        mounted = {f"{_PROGRAMS}/{_PACKAGE}": self._inside}
        return {**mounted, _NEAR: self._near} if self._near else mounted

    def _variables(self, directory: str) -> dict[str, str]:
        """Return all variables of a session; a list of what is allowed, not of what is not."""
        home = self._home(directory)
        thin = os.path.join(home, python_environment.NAME)
        own = os.path.join(self._short, os.path.basename(directory), "tmp")
        temporary = "/tmp" if self._is_sandboxed else own  # noqa: S108
        paths = [os.path.join(thin, "bin"), self._environment.programs, _SYSTEM_PATH]
        variables = {
            "HOME": home,
            "USER": bubblewrap.USER,
            "LOGNAME": bubblewrap.USER,
            "SHELL": self._shell(),
            "PATH": os.pathsep.join(paths),
            "TMPDIR": temporary,
            "VIRTUAL_ENV": thin,
            "JUPYTER_PATH": os.path.join(self._environment.prefix, "share", "jupyter"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "LANG": "C.UTF-8",
        }
        if self._environment.module_path:
            variables["PYTHONPATH"] = os.pathsep.join(self._environment.module_path)
        variables.update(
            (name, value)
            for name, value in os.environ.items()
            if name in _PASSED_VARIABLES or name.startswith("LC_")
        )
        variables.update(self._network.variables)
        return variables

    def _shell(self) -> str:
        """Return the user's shell, which runs `!` commands, if a session sees it."""
        shell = os.environ.get("SHELL", "")
        is_seen = not self._is_sandboxed or bubblewrap.is_system(os.path.realpath(shell))
        return shell if os.access(shell, os.X_OK) and is_seen else "/bin/sh"


def is_up(sandbox: Sandbox) -> bool:
    """Wait until the first process in a new sandbox runs; False if it ended instead."""
    sandbox.control.settimeout(_PROBE_SECONDS)
    try:
        # Its greeting stays in the socket for whoever reads frames.
        return bool(sandbox.control.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def destroy(sandbox: Sandbox) -> None:
    """End every process of a session and remove every file; blocks until that is done.

    The caller has closed the control socket, at which the supervisor leaves.
    """
    try:
        sandbox.process.wait(_LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        # Killing bwrap kills process 1 of the sandbox, and that everything in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(sandbox.process.pid, signal.SIGKILL)
        sandbox.process.wait()
    if sandbox.isolation == "process":
        _kill_strays(os.path.join(sandbox.directory, "home"))
    deadline = time.monotonic() + _LEAVE_SECONDS
    while sandbox.group.kill() and time.monotonic() < deadline:
        time.sleep(0.002)
    sandbox.group.remove()
    remove_tree(sandbox.directory)


def _kill_strays(home: str) -> None:
    """Kill what outlived a supervisor that was itself killed: known by its HOME."""
    try:
        entries = os.listdir("/proc")
    except FileNotFoundError:
        _kill_strays_elsewhere(home)
        return
    marker = b"HOME=" + os.fsencode(home)
    for entry in entries:
        if entry.isdigit() and entry != str(os.getpid()):
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if marker in file.read().split(b"\0"):
                    os.kill(int(entry), signal.SIGKILL)


def _kill_strays_elsewhere(home: str) -> None:
    # Comes with ipykernel. Not where there is /proc, which is read in a tenth of the time.
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("HOME") == home:
                process.kill()


def remove_tree(path: str) -> None:
    """Remove a directory that belongs to us, whatever permissions its content was given."""

    def open_up_and_retry(function: Any, failed: str, _error: Any) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(failed), 0o700)
            if not os.path.islink(failed):
                os.chmod(failed, 0o700)
            if function in {os.scandir, os.open, os.lstat}:
                shutil.rmtree(failed, ignore_errors=True)
            else:
                function(failed)

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=open_up_and_retry)
    else:
        shutil.rmtree(path, onerror=open_up_and_retry)


def _make_session_directory(directory: str) -> None:
    for name in ("data", "tmp", "home"):
        os.makedirs(os.path.join(directory, name))
