"""Environments that outlive their kernel, so that the next kernel need not take a new place.

A pool has few places, an environment holds one until its cooldown has passed, and nothing
ends it earlier. So every kernel lists its environment in a small file below Jupyter's
runtime directory, and holds that file for as long as it lives (lock_files.py). A file that
nobody holds is an environment without a kernel: left by one that has shut down, or that was
killed. The next kernel of the same user and pool takes it over by taking the file, and starts
afresh in it (remote/agent.py, `retire`).

A kernel that is restarted must find its own again, also while others wait for a place in a
full pool. So what was left for a restart is its own kernel's for a while, and what a killed
kernel has left is not taken at once by those who wait.

The files hold no key: who has the id alone can do nothing with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .lock_files import ENVIRONMENTS, LockFile, digest, folder_of

# An environment that has so little time left is not worth a try.
_LEAST_SECONDS = 3.0

# No environment has been warm for so long without a call.
_FORGOTTEN_SECONDS = 24 * 3600.0

# Between two looks for that in one process, and when the last was, by monotonic clock.
_SWEEP_SECONDS = 600.0
_SWEPT: dict[Path, float] = {}

_SUFFIX = ".json"

# The file's time is the environment's last use; setting it more often changes nothing.
_TOUCH_SECONDS = 1.0

# A front end that restarts a kernel, also one that was killed, has started the new one by
# then, on a slow machine too; Jupyter Server looks after its kernels every 3 s.
_RESTART_SECONDS = 15.0

# For a file of this kernel's own, which another one may just be looking at.
_LOCK_ATTEMPTS = 5


class ClaimState(Enum):
    """What an environment's file says of it, and means once nobody holds the lock."""

    NEW = "new"  # it has an id and no place in the pool: nobody needs it
    USED = "used"  # its kernel was killed
    LEFT = "left"  # its kernel has shut down
    RESTARTING = "restarting"  # its kernel is about to be started again


@dataclass
class Claim:
    """This kernel's hold on one environment; ends with `release`, or with the process.

    nonce: of the generation that ran in it last, "" if there was none.
    """

    environment_id: str
    owner: str
    file: LockFile
    nonce: str = ""
    _state: ClaimState = ClaimState.NEW
    _touched: float = 0.0

    def touch(self) -> None:
        """The environment has just been used."""
        now = time.monotonic()
        if now - self._touched >= _TOUCH_SECONDS and self._is_held:
            self._touched = now
            with contextlib.suppress(OSError):  # somebody has emptied the directory
                os.utime(self.file.path)

    def begin(self, nonce: str) -> None:
        """A generation begins in it; the next kernel must be able to end its processes."""
        self.nonce = nonce
        self.write(self._state)

    def write(self, state: ClaimState) -> None:
        """Write down what another kernel has to know; the time of its last use stays."""
        if self._is_held:
            self._state = state
            content = _content(self.environment_id, self.owner, state, self.nonce)
            with contextlib.suppress(OSError):  # the disk is full: then it is not handed over
                self.file.write(content)

    @property
    def _is_held(self) -> bool:
        return self.file.descriptor >= 0

    def release(self, *, keep: bool, for_restart: bool = False) -> None:
        """Let go of it.

        keep: the environment lives, if it ever did, and another kernel may have it;
        for_restart: but its own one first, which is about to start.
        """
        keep = keep and self._state is not ClaimState.NEW
        if keep:
            self.write(ClaimState.RESTARTING if for_restart else ClaimState.LEFT)
        self.file.release(remove=not keep)


class WarmEnvironments:
    """The environments that this user's kernels have, or had, in one pool.

    owner: told apart from other kernels by it, the same before and after a restart.
    is_shared: whether to take over what other kernels have left.
    """

    def __init__(self, endpoint: str, owner: str, *, is_shared: bool, log: logging.Logger) -> None:
        self._directory = folder_of(ENVIRONMENTS, endpoint)
        self._owner = digest(owner)
        self._is_shared = is_shared
        self._log = log
        # When what a killed kernel has left was seen first, by monotonic clock.
        self._seen: dict[Path, float] = {}

    def take(
        self, cooldown_seconds: float, *, is_waiting: bool = False, others_wait: bool = False
    ) -> Iterator[Claim]:
        """Yield claims on environments that nobody has, likeliest to be alive first.

        is_waiting: this is asked again and again; what a killed kernel has left is taken only
        when its own kernel has had the time to be started again.
        others_wait: for what may be had by all; only this kernel's own are yielded.
        Whoever gets one releases it. What has cooled down is removed from the list.
        """
        for path in self._candidates():
            claim = self._lock(path, is_waiting=is_waiting, others_wait=others_wait)
            if claim is None:
                continue
            left = cooldown_seconds - (time.time() - _used_at(path))
            if left < _LEAST_SECONDS:
                claim.release(keep=False)
            else:
                yield claim

    def has_any(self, cooldown_seconds: float) -> bool:
        """Tell whether there is most likely something to take; nothing is taken."""
        return any(
            content.get("state") in (ClaimState.LEFT.value, ClaimState.RESTARTING.value)
            and self._may_have(content, others_wait=False)
            and cooldown_seconds - (time.time() - _used_at(path)) >= _LEAST_SECONDS
            for path in self._candidates()
            for content in [_read(path)]
        )

    def add(self, environment_id: str) -> Claim | None:
        """List a new environment and claim it; None where that is not possible."""
        path = self._directory / f"{digest(environment_id)}{_SUFFIX}"
        self._sweep()
        try:
            file = LockFile.create(path, _content(environment_id, self._owner, ClaimState.NEW))
        except OSError as error:  # a file system without locks, or a full one
            self._log.info("environments cannot be handed over: %s", error.strerror)
            return None
        return Claim(environment_id, self._owner, file)

    def _sweep(self) -> None:
        """Remove what was listed for pools that nobody uses any more, once in a while.

        It looks at all that is listed, and a batch lists one after the other.
        """
        now = time.monotonic()
        if now < _SWEPT.get(self._directory.parent, -math.inf) + _SWEEP_SECONDS:
            return
        _SWEPT[self._directory.parent] = now
        long_ago = time.time() - _FORGOTTEN_SECONDS
        for directory in _listed(self._directory.parent):
            is_old = 0.0 < _used_at(directory) < long_ago  # 0: it has just gone
            for path in _listed(directory):
                if _used_at(path) < long_ago:
                    with contextlib.suppress(OSError):
                        path.unlink()
            if is_old and directory != self._directory:
                with contextlib.suppress(OSError):  # there is something in it
                    directory.rmdir()

    def _candidates(self) -> list[Path]:
        paths = [path for path in _listed(self._directory) if path.suffix == _SUFFIX]
        # This kernel's own from before a restart, then what was used last.
        return sorted(
            paths, key=lambda path: (self._is_ours(_read(path)), _used_at(path)), reverse=True
        )

    def _lock(self, path: Path, *, is_waiting: bool, others_wait: bool) -> Claim | None:
        """Claim what is in a file, if it is anybody's, and may be this kernel's."""
        content = _read(path)
        # Looked at without the lock first: its own kernel may come for it at this moment.
        if not self._may_have(content, others_wait=others_wait):
            return None
        try:
            file = LockFile.take(path, _LOCK_ATTEMPTS if self._is_ours(content) else 1)
        except OSError:
            self._seen.pop(path, None)
            return None
        content = _read(path)
        environment_id, nonce = content.get("environment_id"), content.get("nonce")
        if (
            not isinstance(environment_id, str)
            or not self._may_have(content, others_wait=others_wait)
            or (is_waiting and self._may_be_restarted(path, content))
        ):
            file.release(remove=False)
            return None
        claim = Claim(environment_id, self._owner, file)
        if content.get("state") == ClaimState.NEW.value:
            claim.release(keep=False)
            return None
        # It will stand in a shell command.
        claim.nonce = nonce if isinstance(nonce, str) and nonce.isalnum() else ""
        # From now on it is this kernel's, also for the time after a restart.
        claim.write(ClaimState.USED)
        return claim

    def _may_have(self, content: dict[str, object], *, others_wait: bool) -> bool:
        if self._is_ours(content):
            return True
        written = content.get("written")
        is_reserved = (
            content.get("state") == ClaimState.RESTARTING.value
            and isinstance(written, float)
            and abs(time.time() - written) < _RESTART_SECONDS
        )
        return self._is_shared and not others_wait and not is_reserved

    def _may_be_restarted(self, path: Path, content: dict[str, object]) -> bool:
        """Tell whether a kernel was killed, and not long before this waiter saw it first."""
        if self._is_ours(content) or content.get("state") != ClaimState.USED.value:
            return False
        seen = self._seen.setdefault(path, time.monotonic())
        return time.monotonic() - seen < _RESTART_SECONDS

    def _is_ours(self, content: dict[str, object]) -> bool:
        return content.get("owner") == self._owner


def _listed(directory: Path) -> list[Path]:
    """Return what is in a directory; other kernels remove it at any moment (`forget_pool`).

    Not by `Path.glob`, which fails where a directory goes while it looks (until Python 3.12).
    """
    try:
        return [directory / name for name in os.listdir(directory)]
    except OSError:
        return []


def _content(environment_id: str, owner: str, state: ClaimState, nonce: str = "") -> bytes:
    """Return what the file of an environment says."""
    content = {
        "environment_id": environment_id,
        "owner": owner,
        "nonce": nonce,
        "state": state.value,
        # Not the file's time, which is that of the last use.
        "written": time.time(),
    }
    return json.dumps(content).encode("ascii")


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
