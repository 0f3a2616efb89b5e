"""Checkpoints in the remote kernel: requests of the kernel, and lines of cells.

The kernel on the user's machine sends `aca_state_request` over the shell channel: it is handled
between cells, in the main thread. Its content is {"op": "take" or "restore", ...}. The files of a
request lie in the folder `state` beside this package (depot.py):

    known       the number of the request, and hashes of the pieces that the kernel has, one a line
    pack        pieces for `restore`, unless the manifest's `file` names another one beside `state`
    manifest    the index of the pieces
    N/          result of `take` for the request of this number: `pack`, and `manifest` or `failure`

The package `checkpoint` and, for environments without it, cloudpickle come the same way before
the first request, because most environments never need them. Needs IPython.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import signal
import sys
from typing import Any

from . import agent_folder, origin
from .notebook_files import quiet
from .originals import io, os, time
from .state_messages import REPLY, REQUEST

STATE = "state"

# For environments without cloudpickle: beside this package.
_LIBRARIES = "lib"


class CheckpointState:
    """The state of one shell, stored and restored."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._shell = kernel.shell
        here = os.path.dirname(os.path.abspath(__file__))
        self._root = os.path.dirname(here)
        # Files that come from elsewhere are added to the origin.
        self._origin_path = os.path.join(self._root, "origin")
        self.origin = origin.remember(self._origin_path)
        self._folder = os.path.join(self._root, STATE)
        # Forked processes that take a checkpoint, or have taken one, each with a process group of
        # its own; and the folder of the last one.
        self._copies: set[int] = set()
        self._taking = ""
        # What is known to hang in such a process (checkpoint/hanging.py).
        self._hanging: Any = None
        # The NotebookPackages of this remote kernel.
        self.packages: Any = None

    def keep_origin(self) -> None:
        """Write the origin again if code has removed it. Raises OSError."""
        if not os.path.exists(self._origin_path):
            agent_folder.make(self._root)
            origin.write(self._origin_path, self.origin.files)

    def listen(self) -> None:
        """Answer requests of the kernel."""
        self._kernel.shell_handlers[REQUEST] = self._on_request

    def copies(self) -> set[int]:
        """Return our forked processes."""
        for pid in list(self._copies):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:  # a cell has waited for whatever ends
                ended = pid
            if ended:
                self._copies.discard(pid)
        return set(self._copies)

    def end_copies(self) -> None:
        """Kill processes that take an abandoned checkpoint, with their children."""
        for pid in self.copies():
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            self._copies.discard(pid)

    def _on_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        content = parent["content"]
        try:
            if content["op"] == "take":
                self.take(content["limits"], content["number"])
                answer: dict[str, Any] = {"status": "ok"}
            else:
                answer = {"status": "ok", "report": self.restore(is_in_cell=False)}
        except KeyboardInterrupt:
            answer = {"status": "error", "evalue": "It was interrupted."}
        except Exception as error:  # noqa: BLE001 - the kernel tells it to the user
            answer = {"status": "error", "evalue": f"{type(error).__name__}: {error}"}
        self._kernel.session.send(stream, REPLY, answer, parent, ident=ident)

    def take(self, limits: dict[str, Any], number: str, *, is_in_cell: bool = False) -> int:
        """Begin a checkpoint; return the process that takes it, 0 if it is done.

        number: of the request; the kernel may have made another since.
        Raises OSError: this process cannot fork, or the request is out of date.
        """
        with io.open(os.path.join(self._folder, "known"), encoding="ascii") as file:
            wanted, *known = file.read().split()
        if wanted != number:
            raise OSError("another one has been asked for since")
        self._import_cloudpickle()
        save = importlib.import_module(f"{__package__}.checkpoint.save")
        self.end_copies()
        self._learn()
        for name in filter(str.isdigit, os.listdir(self._folder)):
            shutil.rmtree(os.path.join(self._folder, name), ignore_errors=True)
        self._taking = os.path.join(self._folder, number)
        os.mkdir(self._taking, mode=0o700)
        allowed = save.Limits(**limits)
        job = save.CheckpointJob(
            self._shell, self.origin, self._taking, allowed, set(known), is_in_cell
        )
        job.hanging, job.packages = self._hanging, self.packages.added
        # The child must see the environment's files only.
        with quiet():
            pid = int(save.start(job))
        if pid:
            self._copies.add(pid)
        return pid

    def _learn(self) -> bool:
        """Learn from the last checkpoint what hangs; tell whether that was left out of it."""
        hanging = importlib.import_module(f"{__package__}.checkpoint.hanging")
        if self._hanging is None:
            self._hanging = hanging.Hanging()
        return bool(self._taking and self._hanging.learn(self._taking))

    def take_in_cell(self, limits: dict[str, Any], number: str) -> None:
        """Take a checkpoint for the running cell, which waits for it. Raises as `take` does."""
        self._wait(self.take(limits, number, is_in_cell=True))
        if self._learn():
            self._wait(self.take(limits, number, is_in_cell=True))

    def _wait(self, pid: int) -> None:
        """Wait until the last checkpoint has been taken, or has failed."""
        names = [os.path.join(self._taking, name) for name in ("manifest", "failure")]
        while not any(map(os.path.exists, names)):
            if pid not in self.copies():
                if not any(map(os.path.exists, names)):
                    with io.open(names[1], "w", encoding="ascii") as file:
                        file.write("what took it was killed, which mostly means too little memory")
                return
            time.sleep(0.005)

    def restore(self, *, is_in_cell: bool) -> dict[str, Any]:
        """Restore the checkpoint in the folder; return the report.

        is_in_cell: a cell asks for it, which then is the last one of the history.
        Raises any error of a damaged checkpoint; failures of single variables are reported.
        """
        self._import_cloudpickle()
        restore = importlib.import_module(f"{__package__}.checkpoint.restore")
        manifest = restore.load_manifest(os.path.join(self._folder, "manifest"))
        file = manifest.get("file")
        pack = os.path.join(*([self._root, file] if file else [self._folder, "pack"]))
        self._learn()
        self._hanging.kinds.update(manifest.get("hanging", ()))
        report = restore.restore(
            self._shell,
            self.origin,
            manifest,
            pack,
            self.packages.added,
            progress=os.path.join(self._folder, restore.LOADING),
            is_in_cell=is_in_cell,
        )
        os.unlink(pack)
        return dict(report)

    def _import_cloudpickle(self) -> None:
        try:
            importlib.import_module("cloudpickle")
        except ImportError:
            sys.path.append(os.path.join(self._root, _LIBRARIES))
            try:
                importlib.import_module("cloudpickle")
            finally:
                del sys.path[-1]
