"""Environments that outlive their kernel, so that the next kernel need not take a new place.

A pool has few places, an environment holds one until its cooldown has passed, and nothing
ends it earlier. So every kernel lists its environment in a small file below Jupyter's
runtime directory, and holds a lock on that file for as long as it lives. A file without a
lock is an environment without a kernel: left by one that has shut down, or that was killed.
The next kernel of the same user and pool takes it over by taking the lock, and starts afresh
in it (remote/agent.py, `retire`).

A kernel that is restarted must find its own again, also while others wait for a place in a
full pool. So what was left for a restart is its own kernel's for a while, and what a killed
kernel has left is not taken at once by those who wait.

The lock is the operating system's, so that it cannot outlive its holder. The files hold no
key: who has the id alone can do nothing with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

# An environment that has so little time left is not worth a try.
_LEAST_SECONDS = 3.0

# No environment has been warm for so long without a call.
_FORGOTTEN_SECONDS = 24 * 3600.0

_SUFFIX = ".json"

# The file's time is the environment's last use; setting it more often changes nothing.
_TOUCH_SECONDS = 1.0

# A front end that restarts a kernel, also one that was killed, has started the new one by
# then, on a slow machine too; Jupyter Server looks after its kernels every 3 s.
_RESTART_SECONDS = 15.0

# Of two kernels that look at one file at the same time, one finds it locked for an instant.
_LOCK_ATTEMPTS = 5
_LOCK_PAUSE_SECONDS = 0.002


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
    path: Path
    descriptor: int
    nonce: str = ""
    _state: ClaimState = ClaimState.NEW
    _touched: float = 0.0

    def touch(self) -> None:
        """The environment has just been used."""
        now = time.monotonic()
        if now - self._touched >= _TOUCH_SECONDS and self.descriptor >= 0:
            self._touched = now
            with contextlib.suppress(OSError):  # somebody has emptied the directory
                os.utime(self.path)

    def begin(self, nonce: str) -> None:
        """A generation begins in it; the next kernel must be able to end its processes."""
        self.nonce = nonce
        self.write(self._state)

    def write(self, state: ClaimState) -> None:
        """Write down what another kernel has to know; the time of its last use stays."""
        if self.descriptor >= 0:
            with contextlib.suppress(OSError):  # the disk is full: then it is not handed over
                self.write_or_fail(state)

    def write_or_fail(self, state: ClaimState) -> None:
        """Do the same. Raises OSError."""
        self._state = state
        content = {
            "environment_id": self.environment_id,
            "owner": self.owner,
            "nonce": self.nonce,
            "state": state.value,
            # Not the file's time, which is that of the last use.
            "written": time.time(),
        }
        used_at = os.fstat(self.descriptor).st_mtime_ns
        os.truncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(content).encode("ascii"), 0)
        os.utime(self.descriptor, ns=(used_at, used_at))

    def release(self, *, keep: bool, for_restart: bool = False) -> None:
        """Let go of it.

        keep: the environment lives, if it ever did, and another kernel may have it;
        for_restart: but its own one first, which is about to start.
        """
        if self.descriptor < 0:
            return
        if keep and self._state is not ClaimState.NEW:
            self.write(ClaimState.RESTARTING if for_restart else ClaimState.LEFT)
        else:
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self.descriptor)
        self.descriptor = -1


class WarmEnvironments:
    """The environments that this user's kernels have, or had, in one pool.

    owner: told apart from other kernels by it, the same before and after a restart.
    is_shared: whether to take over what other kernels have left.
    """

    def __init__(self, endpoint: str, owner: str, *, is_shared: bool, log: logging.Logger) -> None:
        self._directory = _directory_of(endpoint)
        self._owner = _digest(owner)
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

    def add(self, environment_id: str) -> Claim | None:
        """List a new environment and claim it; None where that is not possible."""
        name = _digest(environment_id)
        hidden = self._directory / f".{name}"
        self._sweep()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._log.info("environments cannot be handed over: %s", error.strerror)
            return None
        claim = Claim(environment_id, self._owner, hidden.with_name(name + _SUFFIX), descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            claim.write_or_fail(ClaimState.NEW)
            # Only now seen by others, who lock what they find to look at it.
            hidden.rename(claim.path)
        except OSError as error:  # a file system without locks, or a full one
            os.close(descriptor)
            with contextlib.suppress(OSError):
                hidden.unlink()
            self._log.info("environments cannot be handed over: %s", error.strerror)
            return None
        return claim

    def _sweep(self) -> None:
        """Remove what was listed for pools that nobody uses any more."""
        long_ago = time.time() - _FORGOTTEN_SECONDS
        for directory in _listed(self._directory.parent):
            for path in _listed(directory):
                if _used_at(path) < long_ago:
                    with contextlib.suppress(OSError):
                        path.unlink()

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
        descriptor = _open_locked(path, _LOCK_ATTEMPTS if self._is_ours(content) else 1)
        if descriptor is None:
            self._seen.pop(path, None)
            return None
        content = _read(path)
        environment_id, nonce = content.get("environment_id"), content.get("nonce")
        if (
            not isinstance(environment_id, str)
            or not self._may_have(content, others_wait=others_wait)
            or (is_waiting and self._may_be_restarted(path, content))
        ):
            os.close(descriptor)
            return None
        claim = Claim(environment_id, self._owner, path, descriptor)
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


def forget_pool(endpoint: str) -> None:
    """Remove what is listed for a pool that has ended, with all of its environments."""
    shutil.rmtree(_directory_of(endpoint), ignore_errors=True)


def _directory_of(endpoint: str) -> Path:
    return Path(jupyter_runtime_dir()) / "aca-kernel" / _digest(endpoint)


def _listed(directory: Path) -> list[Path]:
    """Return what is in a directory; other kernels remove it at any moment (`forget_pool`).

    Not by `Path.glob`, which fails where a directory goes while it looks (until Python 3.12).
    """
    try:
        return [directory / name for name in os.listdir(directory)]
    except OSError:
        return []


def _open_locked(path: Path, attempts: int) -> int | None:
    """Open a file and lock it; None where it is gone, or locked by somebody else."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    for attempt in range(attempts):
        if attempt:
            time.sleep(_LOCK_PAUSE_SECONDS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, another kernel may have taken and removed it.
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                return descriptor
        except BlockingIOError:
            continue
        except OSError:
            pass
        break
    os.close(descriptor)
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


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
